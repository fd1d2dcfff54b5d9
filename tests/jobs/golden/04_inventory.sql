-- Step 4: the inventory's changes, a window at a time, for every instance of the stages that place and judge. Their event
-- time is their version time, so none is handed over after a window that it concerns.
SELECT
  window_time AS rt,
  ARRAY_JOIN(
    ARRAY_AGG(topic || u&'\001f' || CAST(`partition` AS STRING) || u&'\001f' || CAST(`offset` AS STRING) || u&'\001f' || body),
    u&'\001e'
  ) AS changes
FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE kind = 'change'
GROUP BY window_start, window_end, window_time
