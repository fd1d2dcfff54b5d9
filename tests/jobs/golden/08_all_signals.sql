-- Step 8: the signals around cases. A request names a victim or a volume and a window of the last hour (and, while a case
-- lives, the windows to come); what was placed then is kept for as long as a request may ask for it.
-- Rows leave at once: a window behind this join would wait for that long, because the join's event time is that of the
-- oldest row that it may still give. What several requests ask for leaves once; what has left is remembered for some
-- hours of wall time (table.exec.state.ttl), longer than requests reach back.

CREATE TEMPORARY VIEW kept_signals AS
SELECT component, entity, signal, unit, `value`, expected, score, window_end_ms
FROM (
  SELECT
    *
  FROM (
    SELECT
      component,
      entity,
      JSON_VALUE(reading, '$[0]') AS signal,
      JSON_VALUE(reading, '$[1]') AS unit,
      CAST(JSON_VALUE(reading, '$[2]') AS DOUBLE) AS `value`,
      CAST(JSON_VALUE(reading, '$[3]') AS DOUBLE) AS expected,
      CAST(JSON_VALUE(reading, '$[5]') AS DOUBLE) AS score,
      window_end_ms,
      PROCTIME() AS asked_at
    FROM (
      -- Of an entity once, and not of each of its readings: a JSON function parses all of its text.
      SELECT
        JSON_VALUE(payload, '$.component') AS component,
        JSON_VALUE(payload, '$.entity') AS entity,
        JSON_QUERY(payload, '$.signals' RETURNING ARRAY<STRING>) AS readings,
        window_end_ms
      FROM (
        SELECT '[' || payload || ']' AS payloads, window_end_ms FROM placed WHERE `role` = 'all'
      ) CROSS JOIN UNNEST(JSON_QUERY(payloads, '$' RETURNING ARRAY<STRING>)) AS heard (payload)
    ) CROSS JOIN UNNEST(readings) AS spoken (reading)
  )
);
