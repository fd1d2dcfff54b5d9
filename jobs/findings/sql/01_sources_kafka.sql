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
  heard AS {{ watermark }},
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'topic-pattern' = {{ telemetry_pattern | quoted }},
{%- for name, value in kafka_options %}
  {{ name | quoted }} = {{ value | quoted }},
{%- endfor %}
  'properties.group.id' = {{ group_id | quoted }},
  'connector' = 'kafka',
  'key.format' = 'raw',
  'key.fields' = 'k',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'scan.watermark.idle-timeout' = '{{ idle_after_ms }} ms'
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
  heard AS {{ version_time }},
  WATERMARK FOR heard AS heard - INTERVAL '0.001' SECOND
) WITH (
  'topic-pattern' = {{ inventory_pattern | quoted }},
{%- for name, value in kafka_options %}
  {{ name | quoted }} = {{ value | quoted }},
{%- endfor %}
  'properties.group.id' = {{ group_id | quoted }},
  'connector' = 'kafka',
  'key.format' = 'raw',
  'key.fields' = 'k',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'scan.parallelism' = '1',
  'scan.watermark.idle-timeout' = '{{ inventory_idle_after_ms }} ms'
);
