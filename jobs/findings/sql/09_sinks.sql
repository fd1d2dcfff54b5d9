-- Step 9: the sinks. Files and alerts become visible together, at a checkpoint.
{%- for table, columns in lake_tables %}
CREATE TABLE lake_{{ table }} (
{%- for name, type in columns %}
  `{{ name }}` {{ type }}{{ "," if not loop.last }}
{%- endfor %}
) PARTITIONED BY ({{ partitions[table] }}) WITH (
  'connector' = 'filesystem',
  'path' = {{ (lake ~ "/" ~ table) | quoted }},
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'parquet.utc-timezone' = 'true',
  'sink.rolling-policy.rollover-interval' = '1 h',
  'sink.rolling-policy.check-interval' = '1 min',
  'sink.parallelism' = '1'
);
{% endfor %}
CREATE TABLE alerts_out (
{%- if alerts_topic %}
  `key` STRING,
  `value` STRING,
  headers MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = {{ alerts_topic | quoted }},
{%- for name, value in kafka_options %}
  {{ name | quoted }} = {{ value | quoted }},
{%- endfor %}
  'key.format' = 'raw',
  'key.fields' = 'key',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = {{ (transactions ~ "-alerts") | quoted }},
  'properties.transaction.timeout.ms' = '{{ transaction_timeout_ms }}',
  'sink.parallelism' = '1'
{%- elif alerts_path %}
  `value` STRING
) WITH (
  'connector' = 'filesystem',
  'path' = {{ alerts_path | quoted }},
  'format' = 'raw',
  'sink.parallelism' = '1'
{%- else %}
  `value` STRING
) WITH (
  'connector' = 'blackhole'
{%- endif %}
);

CREATE TABLE dead_letters_out (
{%- if dead_letters_topic %}
  `key` BYTES,
  `value` BYTES,
  headers MAP<STRING, BYTES> METADATA
) WITH (
  'connector' = 'kafka',
  'topic' = {{ dead_letters_topic | quoted }},
{%- for name, value in kafka_options %}
  {{ name | quoted }} = {{ value | quoted }},
{%- endfor %}
  'key.format' = 'raw',
  'key.fields' = 'key',
  'value.format' = 'raw',
  'value.fields-include' = 'EXCEPT_KEY',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = {{ (transactions ~ "-dead-letters") | quoted }},
  'properties.transaction.timeout.ms' = '{{ transaction_timeout_ms }}',
  'sink.parallelism' = '1'
{%- else %}
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
  'path' = {{ (lake ~ "/dead_letters") | quoted }},
  'format' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'parquet.write.int64.timestamp' = 'true',
  'parquet.timestamp.time.unit' = 'micros',
  'sink.parallelism' = '1'
{%- endif %}
);
