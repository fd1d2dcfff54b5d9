-- Step 6: windowed joins. A victim's write lag, the signals of its chain and of its addresses' flows; grouped by the
-- volume that it writes to, with the I/O of that volume and of its tenants. All are LEFT joins of windows: a side that
-- is missing is seen as missing. Payloads are JSON already, so putting them together is putting texts together.
CREATE TEMPORARY VIEW lag_windows AS
SELECT window_start, window_end, window_time, victim, volume, ARRAY_JOIN(ARRAY_AGG(payload), ',') AS lags
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE `role` = 'lag'
GROUP BY window_start, window_end, window_time, victim, volume;

CREATE TEMPORARY VIEW chain_windows AS
SELECT window_start, window_end, window_time, victim, ARRAY_JOIN(ARRAY_AGG(payload), ',') AS chain
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE `role` = 'chain'
GROUP BY window_start, window_end, window_time, victim;

CREATE TEMPORARY VIEW flow_windows AS
SELECT window_start, window_end, window_time, victim, ARRAY_JOIN(ARRAY_AGG(payload), ',') AS flow
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE `role` = 'flow'
GROUP BY window_start, window_end, window_time, victim;

CREATE TEMPORARY VIEW io_windows AS
SELECT window_start, window_end, window_time, volume, ARRAY_JOIN(ARRAY_AGG(payload), ',') AS io
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE `role` = 'io'
GROUP BY window_start, window_end, window_time, volume;

-- Every window that was evaluated, with every volume that anything was heard of in it ('' for victims without one).
CREATE TEMPORARY VIEW heard_windows AS
SELECT window_start, window_end, window_time, volume
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE `role` IN ('lag', 'chain', 'io', 'tick')
GROUP BY window_start, window_end, window_time, volume;

CREATE TEMPORARY VIEW victim_windows AS
SELECT
  h.window_start, h.window_end, h.window_time, h.victim,
  COALESCE(l.volume, '') AS volume,
  '{"victim":' || JSON_STRING(h.victim) || ',"lag":[' || COALESCE(l.lags, '') || '],"chain":[' || COALESCE(c.chain, '')
    || '],"flow":[' || COALESCE(f.flow, '') || ']}' AS victim_json
FROM (
  SELECT window_start, window_end, window_time, victim
  FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
  WHERE `role` IN ('lag', 'chain')
  GROUP BY window_start, window_end, window_time, victim
) AS h
LEFT JOIN lag_windows AS l
  ON h.window_start = l.window_start AND h.window_end = l.window_end AND h.victim = l.victim
LEFT JOIN chain_windows AS c
  ON h.window_start = c.window_start AND h.window_end = c.window_end AND h.victim = c.victim
LEFT JOIN flow_windows AS f
  ON h.window_start = f.window_start AND h.window_end = f.window_end AND h.victim = f.victim;

CREATE TEMPORARY VIEW volume_victims AS
SELECT window_start, window_end, window_time, volume, ARRAY_JOIN(ARRAY_AGG(victim_json), ',') AS victims
FROM victim_windows
GROUP BY window_start, window_end, window_time, volume;

CREATE TEMPORARY VIEW volume_windows AS
SELECT
  h.window_start, h.window_end, h.window_time,
  '{"volume":' || JSON_STRING(h.volume) || ',"victims":[' || COALESCE(v.victims, '') || '],"io":[' || COALESCE(i.io, '')
    || ']}' AS group_json
FROM heard_windows AS h
LEFT JOIN volume_victims AS v
  ON h.window_start = v.window_start AND h.window_end = v.window_end AND h.volume = v.volume
LEFT JOIN io_windows AS i
  ON h.window_start = i.window_start AND h.window_end = i.window_end AND h.volume = i.volume;

CREATE TEMPORARY VIEW case_windows AS
SELECT window_time AS rt, '{"groups":[' || ARRAY_JOIN(ARRAY_AGG(group_json), ',') || ']}' AS heard
FROM volume_windows
GROUP BY window_start, window_end, window_time;
