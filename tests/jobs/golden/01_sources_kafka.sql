-- Step 1: the topics as they are, bytes and Kafka coordinates. Each table is one Kafka source, read once.
-- Event time moves per partition, before anything merges them: by the record's own time less the lateness of its topic.
-- A promise of a time is that nothing before it follows: the watermark, behind which nothing at its own time does, is 1 ms less.
-- A partition that is silent for idle_after of wall time stops holding the others back.
CREATE TABLE telemetry (
  k BYTES,
  v BYTES,
  topic STRING NOT NULL METADATA VIRTUAL,
  `partition` INT NOT NULL METADATA VIRTUAL,
  `offset` BIGINT NOT NULL METADATA VIRTUAL,
  ts TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL,
  heard AS CASE WHEN topic = 'telemetry.metrics' THEN ts - INTERVAL '0 00:00:30.000' DAY TO SECOND WHEN topic = 'telemetry.logs' THEN ts - INTERVAL '0 00:00:30.000' DAY TO SECOND WHEN topic = 'telemetry.flows' THEN ts - INTERVAL '0 00:00:30.000' DAY TO SECOND ELSE ts - INTERVAL '0 00:10:00.000' DAY TO SECOND END,
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'topic-pattern' = 'telemetry\.metrics|telemetry\.cloudwatch|telemetry\.logs|telemetry\.flows',
  'properties.bootstrap.servers' = 'kafka-0:9092',
  'scan.startup.mode' = 'earliest-offset',
  'properties.group.id' = 'afoot',
  'connector' = 'kafka',
  'key.format' = 'raw',
  'key.fields' = 'k',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'scan.watermark.idle-timeout' = '60000 ms'
);

-- The inventory's event time is the version time of its changes, which arrive in commit order: source.ts_ms, in the
-- envelope, under `payload` where the schema travels along, or unwrapped. A heartbeat row moves it on when nothing changes.
CREATE TABLE inventory (
  k BYTES,
  v BYTES,
  topic STRING NOT NULL METADATA VIRTUAL,
  `partition` INT NOT NULL METADATA VIRTUAL,
  `offset` BIGINT NOT NULL METADATA VIRTUAL,
  ts TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL,
  heard AS CASE WHEN v IS NULL THEN TO_TIMESTAMP_LTZ(0, 3) WHEN COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)) IS NULL OR TO_TIMESTAMP_LTZ(COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)), 3) > ts + INTERVAL '0 00:01:00.000' DAY TO SECOND THEN ts ELSE TO_TIMESTAMP_LTZ(COALESCE(TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.source.ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.__source_ts_ms') AS BIGINT), TRY_CAST(JSON_VALUE(CAST(v AS STRING), '$.payload.__source_ts_ms') AS BIGINT)), 3) END,
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'topic-pattern' = 'inventory|(?:(.*\.)?inventory\.(entity|relation|schedule|heartbeat))',
  'properties.bootstrap.servers' = 'kafka-0:9092',
  'scan.startup.mode' = 'earliest-offset',
  'properties.group.id' = 'afoot',
  'connector' = 'kafka',
  'key.format' = 'raw',
  'key.fields' = 'k',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'scan.parallelism' = '1',
  'scan.watermark.idle-timeout' = '600000 ms'
);
