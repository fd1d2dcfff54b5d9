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
  heard AS TO_TIMESTAMP_LTZ(ms, 3) - INTERVAL '0 00:00:30.000' DAY TO SECOND,
  passed_ms AS COALESCE(before_ms - 30000, 0),
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = 'file:///capture/telemetry.jsonl.gz',
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
  heard AS CASE WHEN v IS NULL THEN TO_TIMESTAMP_LTZ(0, 3) WHEN COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)) IS NULL OR TO_TIMESTAMP_LTZ(COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)), 3) > TO_TIMESTAMP_LTZ(ms, 3) + INTERVAL '0 00:01:00.000' DAY TO SECOND THEN TO_TIMESTAMP_LTZ(ms, 3) ELSE TO_TIMESTAMP_LTZ(COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)), 3) END,
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = 'file:///capture/inventory.jsonl.gz',
  'format' = 'avro'
);
