-- Step 2: messages become frames. decode_messages (Python, a batch of messages a call) returns the frames of a message
-- as texts of seven fields; a frame is a sample block of one (shard, minute), inventory changes, counts, or a refusal.
-- What could not be read, or may turn out to be late (kind 'unsure'), keeps the bytes of its message. They come back
-- from decoding, once a message: what a capture holds is packed, and [privacy] may have them encrypted or dropped.
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
  CASE WHEN kind IN ('dead', 'refused', 'unsure') THEN k END AS k,
  CASE WHEN kind IN ('dead', 'refused', 'unsure') THEN v END AS v,
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
    topic, `partition`, `offset`, ts, k, v,
    CAST({{ counted_at }} AS TIMESTAMP_LTZ(3)) AS counted_at,
    heard
  FROM (
    SELECT d.found.frames AS frames, d.found.k AS k, d.found.v AS v, topic, `partition`, `offset`, ts, heard
    FROM (
      SELECT decode_messages(k, v, topic, `partition`, `offset`, ts{{ ", passed_ms" if passed }}) AS found, topic, `partition`, `offset`, ts, heard
      FROM {{ source }}
    ) AS d
  ) CROSS JOIN UNNEST(frames) AS decoded (frame)
)
