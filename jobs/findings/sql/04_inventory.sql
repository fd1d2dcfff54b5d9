-- Step 4: the inventory's changes, a window at a time, for every instance of the stages that place and judge. Their event
-- time is their version time, so none is handed over after a window that it concerns.
SELECT
  window_time AS rt,
  ARRAY_JOIN(
    ARRAY_AGG(topic || {{ separator }} || CAST(`partition` AS STRING) || {{ separator }} || CAST(`offset` AS STRING) || {{ separator }} || body),
    {{ record_separator }}
  ) AS changes
FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), {{ window }}))
WHERE kind = 'change'
GROUP BY window_start, window_end, window_time
