-- Step 3: the blocks of a shard and a window, joined into one row: the only thing that grows with the points, and it
-- stays in the JVM. Counts of metrics that no signal asks for ride along, in a shard of their own (-1).
-- A row is (key, data): keys spread the shards over the instances of step 5.
SELECT
  ARRAY[{{ keys | join(", ") }}][shard + 2] AS `key`,
  CAST(ROW(points, bodies, unasked) AS ROW<points BIGINT, bodies STRING, unasked STRING>) AS data,
  rt
FROM (
  SELECT
    shard,
    window_time AS rt,
    SUM(points) FILTER (WHERE kind = 'samples') AS points,
    ARRAY_JOIN(ARRAY_AGG(body) FILTER (WHERE kind = 'samples'), ' ') AS bodies,
    ARRAY_JOIN(ARRAY_AGG(topic || {{ separator }} || body) FILTER (WHERE kind = 'unasked'), {{ record_separator }}) AS unasked
  FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), {{ window }}))
  WHERE (kind = 'samples' AND NOT late) OR kind = 'unasked'
  GROUP BY shard, window_start, window_end, window_time
)
