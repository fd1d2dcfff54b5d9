-- Step 2, behind an exchange from every decoder to every instance here: event time is what all of them have reached, so
-- the windows, which see the same from here, are never ahead of it. A partition that was idle may well be behind it.
-- A block whose window has closed is late: it is split off here, because a window would drop it without a word.
{%- if from_capture %}
-- Of a capture, those that decoding was not sure of are those: it knows what was promised before their record, and event
-- time here is at most that.
{%- endif %}
-- `rt` is never late itself. A tombstone tells no time: before there is any, its record's is taken.
SELECT
  CASE kind WHEN 'unsure' THEN 'samples' ELSE kind END AS kind,
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
    WHEN kind IN ('samples', 'unsure') AND NOT late THEN TO_TIMESTAMP_LTZ(window_ms, 3)
    WHEN watermark_now IS NOT NULL AND counted_at <= watermark_now THEN watermark_now + INTERVAL '0.001' SECOND
    WHEN counted_at = TO_TIMESTAMP_LTZ(0, 3) THEN ts
    ELSE counted_at
  END AS rt
FROM (
  SELECT
    *,
{%- if from_capture %}
    kind = 'unsure' AS late
{%- else %}
    COALESCE(kind IN ('samples', 'unsure') AND TO_TIMESTAMP_LTZ(window_ms + {{ window_ms }} - 1, 3) <= watermark_now, FALSE) AS late
{%- endif %}
  FROM (SELECT *, CURRENT_WATERMARK(heard) AS watermark_now FROM decoded)
)
