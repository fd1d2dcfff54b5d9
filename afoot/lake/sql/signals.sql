-- Signals of some entities between two times, in steps of $step_s seconds: the greatest value of each step, so that
-- a peak is never averaged away. A window that several cases had written counts once.
SELECT
    entity,
    signal,
    any_value(unit) AS unit,
    time_bucket(to_seconds($step_s), window_start) AS time,
    max(value) AS value,
    avg(expected) AS expected,
    max(score) AS score
FROM signals
WHERE entity IN (SELECT unnest($entities))
  AND dt BETWEEN $first_day AND $last_day
  AND window_start >= $start
  AND window_start < $end
GROUP BY entity, signal, time
ORDER BY entity, signal, time
