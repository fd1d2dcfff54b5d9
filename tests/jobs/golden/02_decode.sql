-- Step 2: messages become frames. decode_messages (Python, a batch of messages a call) returns the frames of a message
-- as texts of seven fields; a frame is a sample block of one (shard, minute), inventory changes, counts, or a refusal.
-- A block whose window has closed is late: it is split off here, because a window would drop it without a word.
-- What is late or could not be read keeps the bytes of its message. `rt` is never late itself.
SELECT
  kind,
  shard,
  window_ms,
  messages,
  points,
  reason,
  body,
  late,
  topic,
  `partition`,
  `offset`,
  ts,
  CASE WHEN late OR kind IN ('dead', 'refused') THEN k END AS k,
  CASE WHEN late OR kind IN ('dead', 'refused') THEN v END AS v,
  CASE
    WHEN kind = 'samples' AND NOT late THEN TO_TIMESTAMP_LTZ(window_ms, 3)
    WHEN watermark_now IS NOT NULL AND counted_at <= watermark_now THEN watermark_now + INTERVAL '0.001' SECOND
    ELSE counted_at
  END AS rt
FROM (
  SELECT
    *,
    COALESCE(kind = 'samples' AND TO_TIMESTAMP_LTZ(window_ms + 60000, 3) <= watermark_now, FALSE) AS late
  FROM (
    SELECT
      SPLIT_INDEX(frame, u&'\001f', 0) AS kind,
      CAST(SPLIT_INDEX(frame, u&'\001f', 1) AS INT) AS shard,
      CAST(SPLIT_INDEX(frame, u&'\001f', 2) AS BIGINT) AS window_ms,
      CAST(SPLIT_INDEX(frame, u&'\001f', 3) AS BIGINT) AS messages,
      CAST(SPLIT_INDEX(frame, u&'\001f', 4) AS BIGINT) AS points,
      SPLIT_INDEX(frame, u&'\001f', 5) AS reason,
      SPLIT_INDEX(frame, u&'\001f', 6) AS body,
      topic, `partition`, `offset`, ts, k, v,
      ts AS counted_at,
      CURRENT_WATERMARK(heard) AS watermark_now
    FROM (
      SELECT decode_messages(k, v, topic, `partition`, `offset`, ts) AS frames, topic, `partition`, `offset`, ts, heard, k, v
      FROM telemetry
    ) CROSS JOIN UNNEST(frames) AS decoded (frame)
  )
)
