-- Step 3: the blocks of a shard and a window, joined into one row: the only thing that grows with the points, and it
-- stays in the JVM. Counts of metrics that no signal asks for ride along.
SELECT
  shard,
  window_time AS rt,
  SUM(points) FILTER (WHERE kind = 'samples') AS points,
  ARRAY_JOIN(ARRAY_AGG(body) FILTER (WHERE kind = 'samples'), ' ') AS bodies,
  ARRAY_JOIN(ARRAY_AGG(topic || {{ separator }} || body) FILTER (WHERE kind = 'unasked'), {{ record_separator }}) AS unasked
FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), {{ window }}))
WHERE (kind = 'samples' AND NOT late) OR kind = 'unasked'
GROUP BY shard, window_start, window_end, window_time
