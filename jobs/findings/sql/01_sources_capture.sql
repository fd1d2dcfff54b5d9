-- Step 1, from a capture in place of Kafka: the same tables, from files that were sorted by record time before.
-- One file is one split, so its event time moves as a partition's would: the slowest topic's lateness holds for all.
-- `passed_ms` is what the records before one promised, from the file: it decides what of the record is late.
CREATE TABLE captured (
  k BYTES,
  v BYTES,
  topic STRING NOT NULL,
  `partition` INT NOT NULL,
  `offset` BIGINT NOT NULL,
  ms BIGINT NOT NULL,
  before_ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  heard AS TO_TIMESTAMP_LTZ(ms, 3) - {{ lateness }},
  passed_ms AS COALESCE(before_ms - {{ lateness_ms }}, 0),
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
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
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = {{ inventory_path | quoted }},
  'format' = 'avro'
);
