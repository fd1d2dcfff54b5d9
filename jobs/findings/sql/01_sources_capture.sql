-- Step 1, from a capture in place of Kafka: the same tables, from files that were sorted by record time before.
-- One file is one split, so its event time moves as the partition's would: the slowest topic's lateness holds for all.
CREATE TABLE telemetry (
  k BYTES,
  v BYTES,
  topic STRING NOT NULL,
  `partition` INT NOT NULL,
  `offset` BIGINT NOT NULL,
  ms BIGINT NOT NULL,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  heard AS {{ watermark }},
  WATERMARK FOR heard AS heard
) WITH (
  'connector' = 'filesystem',
  'path' = {{ telemetry_path | quoted }},
  'format' = 'avro'
);

CREATE TABLE inventory (
  k BYTES,
  v BYTES,
  topic STRING NOT NULL,
  `partition` INT NOT NULL,
  `offset` BIGINT NOT NULL,
  ms BIGINT NOT NULL,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  heard AS {{ version_time }},
  WATERMARK FOR heard AS heard
) WITH (
  'connector' = 'filesystem',
  'path' = {{ inventory_path | quoted }},
  'format' = 'avro'
);
