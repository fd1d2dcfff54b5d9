-- Step 9: the sinks. Files and alerts become visible together, at a checkpoint.
CREATE TABLE lake_findings (
  `finding_id` STRING,
  `revision` INT,
  `as_of` TIMESTAMP(6),
  `state` STRING,
  `superseded_by` STRING,
  `kind` STRING,
  `severity` STRING,
  `window_start` TIMESTAMP(6),
  `window_end` TIMESTAMP(6),
  `victim_entity` STRING,
  `victim_component` STRING,
  `victim_signal` STRING,
  `victim_observed` DOUBLE,
  `victim_expected` DOUBLE,
  `victim_unit` STRING,
  `culprit_entity` STRING,
  `culprit_component` STRING,
  `culprit_via` STRING,
  `culprit_share` DOUBLE,
  `confidence` DOUBLE,
  `schedule_id` STRING,
  `schedule_expression` STRING,
  `schedule_command` STRING,
  `recurrence_period_s` BIGINT,
  `recurrence_phase_s` BIGINT,
  `runs_seen` INT,
  `runs_with_effect` INT,
  `summary` STRING,
  `remedy` STRING,
  `rule` STRING,
  `component` STRING,
  `dt` STRING
) PARTITIONED BY (component, dt) WITH (
  'connector' = 'filesystem',
  'path' = 's3://lake/afoot/findings',
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'parquet.utc-timezone' = 'true',
  'sink.rolling-policy.rollover-interval' = '1 h',
  'sink.rolling-policy.check-interval' = '1 min',
  'sink.parallelism' = '1'
);

CREATE TABLE lake_evidence (
  `finding_id` STRING,
  `revision` INT,
  `entity` STRING,
  `verdict` STRING,
  `share` DOUBLE,
  `reason` STRING,
  `signal` STRING,
  `observed` DOUBLE,
  `expected` DOUBLE,
  `unit` STRING,
  `score` DOUBLE,
  `window_start` TIMESTAMP(6),
  `window_end` TIMESTAMP(6),
  `as_of` TIMESTAMP(6),
  `pointers` ARRAY<ROW<topic STRING, `partition` INT, first_offset BIGINT, last_offset BIGINT>>,
  `component` STRING,
  `dt` STRING
) PARTITIONED BY (component, dt) WITH (
  'connector' = 'filesystem',
  'path' = 's3://lake/afoot/evidence',
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'parquet.utc-timezone' = 'true',
  'sink.rolling-policy.rollover-interval' = '1 h',
  'sink.rolling-policy.check-interval' = '1 min',
  'sink.parallelism' = '1'
);

CREATE TABLE lake_signals (
  `window_start` TIMESTAMP(6),
  `window_end` TIMESTAMP(6),
  `entity` STRING,
  `signal` STRING,
  `unit` STRING,
  `value` DOUBLE,
  `expected` DOUBLE,
  `score` DOUBLE,
  `component` STRING,
  `dt` STRING
) PARTITIONED BY (component, dt) WITH (
  'connector' = 'filesystem',
  'path' = 's3://lake/afoot/signals',
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'parquet.utc-timezone' = 'true',
  'sink.rolling-policy.rollover-interval' = '1 h',
  'sink.rolling-policy.check-interval' = '1 min',
  'sink.parallelism' = '1'
);

CREATE TABLE lake_books (
  `as_of` TIMESTAMP(6),
  `topic` STRING,
  `counted` STRING,
  `account` STRING,
  `detail` STRING,
  `count` BIGINT,
  `dt` STRING
) PARTITIONED BY (dt) WITH (
  'connector' = 'filesystem',
  'path' = 's3://lake/afoot/books',
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'parquet.utc-timezone' = 'true',
  'sink.rolling-policy.rollover-interval' = '1 h',
  'sink.rolling-policy.check-interval' = '1 min',
  'sink.parallelism' = '1'
);

CREATE TABLE alerts_out (
  `value` STRING
) WITH (
  'connector' = 'filesystem',
  'path' = 'file:///alerts',
  'format' = 'raw',
  'sink.parallelism' = '1'
);

CREATE TABLE dead_letters_out (
  topic STRING,
  `partition` INT,
  `offset` BIGINT,
  `timestamp` TIMESTAMP(6),
  `key` BYTES,
  `value` BYTES,
  reason STRING,
  dt STRING
) PARTITIONED BY (dt) WITH (
  'connector' = 'filesystem',
  'path' = 's3://lake/afoot/dead_letters',
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'sink.parallelism' = '1'
);
