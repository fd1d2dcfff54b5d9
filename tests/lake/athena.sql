CREATE DATABASE IF NOT EXISTS afoot;

CREATE EXTERNAL TABLE IF NOT EXISTS afoot.findings (
  `finding_id` string,
  `revision` int,
  `as_of` timestamp,
  `state` string,
  `superseded_by` string,
  `kind` string,
  `severity` string,
  `window_start` timestamp,
  `window_end` timestamp,
  `victim_entity` string,
  `victim_component` string,
  `victim_signal` string,
  `victim_observed` double,
  `victim_expected` double,
  `victim_unit` string,
  `culprit_entity` string,
  `culprit_component` string,
  `culprit_via` string,
  `culprit_share` double,
  `confidence` double,
  `schedule_id` string,
  `schedule_expression` string,
  `schedule_command` string,
  `recurrence_period_s` bigint,
  `recurrence_phase_s` bigint,
  `runs_seen` int,
  `runs_with_effect` int,
  `summary` string,
  `remedy` string,
  `rule` string
)
PARTITIONED BY (`component` string, `dt` string)
STORED AS PARQUET
LOCATION 's3://lake/afoot/findings/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.component.type' = 'enum',
  'projection.component.values' = 'network,router,ingestion,broker,service,processor,storage,compute,unknown',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://lake/afoot/findings/component=${component}/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS afoot.evidence (
  `finding_id` string,
  `revision` int,
  `entity` string,
  `verdict` string,
  `share` double,
  `reason` string,
  `signal` string,
  `observed` double,
  `expected` double,
  `unit` string,
  `score` double,
  `window_start` timestamp,
  `window_end` timestamp,
  `as_of` timestamp,
  `pointers` array<struct<topic:string,`partition`:int,first_offset:bigint,last_offset:bigint>>
)
PARTITIONED BY (`component` string, `dt` string)
STORED AS PARQUET
LOCATION 's3://lake/afoot/evidence/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.component.type' = 'enum',
  'projection.component.values' = 'network,router,ingestion,broker,service,processor,storage,compute,unknown',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://lake/afoot/evidence/component=${component}/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS afoot.signals (
  `window_start` timestamp,
  `window_end` timestamp,
  `entity` string,
  `signal` string,
  `unit` string,
  `value` double,
  `expected` double,
  `score` double
)
PARTITIONED BY (`component` string, `dt` string)
STORED AS PARQUET
LOCATION 's3://lake/afoot/signals/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.component.type' = 'enum',
  'projection.component.values' = 'network,router,ingestion,broker,service,processor,storage,compute,unknown',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://lake/afoot/signals/component=${component}/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS afoot.books (
  `as_of` timestamp,
  `topic` string,
  `counted` string,
  `account` string,
  `detail` string,
  `count` bigint
)
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://lake/afoot/books/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://lake/afoot/books/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS afoot.dead_letters (
  `topic` string,
  `partition` int,
  `offset` bigint,
  `timestamp` timestamp,
  `key` binary,
  `value` binary,
  `reason` string
)
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://lake/afoot/dead_letters/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://lake/afoot/dead_letters/dt=${dt}/'
);

