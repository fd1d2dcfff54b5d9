-- Signals of some entities between two times, in steps of $step_s seconds. A step has the value that is furthest from
-- what was expected, so that no peak and no dip is averaged away; a window that several cases wrote counts once.
SELECT
    entity,
    signal,
    any_value(unit) AS unit,
    time_bucket(to_seconds($step_s), window_start) AS time,
    arg_max(value, coalesce(abs(value - expected), value)) AS value,
    avg(expected) AS expected
FROM signals
WHERE entity IN (SELECT unnest($entities))
  AND dt BETWEEN $first_day AND $last_day
  AND window_start >= $start
  AND window_start < $end
GROUP BY entity, signal, time
ORDER BY entity, signal, time
