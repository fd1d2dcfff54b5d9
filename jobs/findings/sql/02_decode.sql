-- Step 2: messages become frames. decode_messages (Python, a batch of messages a call) returns the frames of a message
-- as texts of seven fields; a frame is a sample block of one (shard, minute), inventory changes, counts, or a refusal.
-- What could not be read, or may turn out to be late (kind 'unsure'), keeps the bytes of its message.
{%- if privacy %}
-- As [privacy] says: encrypted, in two more fields of the text, or not at all where it has none.
{%- elif from_capture %}
-- Values come packed here, so the text has that of its message as one more field, in hexadecimal digits.
{%- endif %}
SELECT
  kind,
  shard,
  window_ms,
  messages,
  points,
  reason,
  body,
  topic,
  `partition`,
  `offset`,
  ts,
{%- if privacy %}
  k,
  v,
{%- else %}
  CASE WHEN kind IN ('dead', 'refused', 'unsure') THEN k END AS k,
  {{ "v" if from_capture else "CASE WHEN kind IN ('dead', 'refused', 'unsure') THEN v END AS v" }},
{%- endif %}
  counted_at,
  heard
FROM (
  SELECT
    SPLIT_INDEX(frame, {{ separator }}, 0) AS kind,
    CAST(SPLIT_INDEX(frame, {{ separator }}, 1) AS INT) AS shard,
    CAST(SPLIT_INDEX(frame, {{ separator }}, 2) AS BIGINT) AS window_ms,
    CAST(SPLIT_INDEX(frame, {{ separator }}, 3) AS BIGINT) AS messages,
    CAST(SPLIT_INDEX(frame, {{ separator }}, 4) AS BIGINT) AS points,
    SPLIT_INDEX(frame, {{ separator }}, 5) AS reason,
    SPLIT_INDEX(frame, {{ separator }}, 6) AS body,
    topic, `partition`, `offset`, ts,
{%- if privacy %}
    CAST(ENCODE(NULLIF(SPLIT_INDEX(frame, {{ separator }}, 7), ''), 'UTF-8') AS BYTES) AS k,
    CAST(ENCODE(NULLIF(SPLIT_INDEX(frame, {{ separator }}, 8), ''), 'UTF-8') AS BYTES) AS v,
{%- elif from_capture %}
    k,
    UNHEX(SPLIT_INDEX(frame, {{ separator }}, 7)) AS v,
{%- else %}
    k, v,
{%- endif %}
    CAST({{ counted_at }} AS TIMESTAMP_LTZ(3)) AS counted_at,
    heard
  FROM (
    SELECT decode_messages(k, v, topic, `partition`, `offset`, ts{{ ", passed_ms" if passed }}) AS frames, topic, `partition`, `offset`, ts, heard, k, v
    FROM {{ source }}
  ) CROSS JOIN UNNEST(frames) AS decoded (frame)
)
