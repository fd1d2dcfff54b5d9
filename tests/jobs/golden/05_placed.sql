-- Step 5, behind score and place: what a shard's window gave, a row each. They cross as one, because a row that crosses
-- by itself costs more than what it carries.
SELECT `role`, victim, volume, `scope`, `account`, window_end_ms, payload, rt
FROM scored CROSS JOIN UNNEST(placed) AS heard (`role`, victim, volume, `scope`, `account`, payload)
