-- Step 8: the signals around cases. A request names a victim or a volume and a window of the last hour (and, while a case
-- lives, the windows to come); what was placed then is kept for as long as a request may ask for it.
-- Rows leave at once: a window behind this join would wait for that long, because the join's event time is that of the
-- oldest row that it may still give. What several requests ask for leaves once; what has left is remembered for some
-- hours of wall time (table.exec.state.ttl), longer than requests reach back.
{%- if not all_signals %}
CREATE TEMPORARY VIEW scope_windows AS
SELECT `scope`, window_end_ms, window_time AS rt, '[' || ARRAY_JOIN(ARRAY_SORT(ARRAY_AGG(payload)), ',') || ']' AS payloads
FROM TABLE(TUMBLE(TABLE placed, DESCRIPTOR(rt), {{ window }}))
WHERE `role` IN ('lag', 'chain', 'flow', 'io')
GROUP BY window_start, window_end, window_time, window_end_ms, `scope`;
{%- endif %}

CREATE TEMPORARY VIEW kept_signals AS
SELECT component, entity, signal, unit, `value`, expected, score, window_end_ms
FROM (
  SELECT
    *
{%- if not all_signals %},
    ROW_NUMBER() OVER (PARTITION BY entity, signal, window_end_ms ORDER BY asked_at) AS place
{%- endif %}
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
{%- if all_signals %}
        SELECT '[' || payload || ']' AS payloads, window_end_ms FROM placed WHERE `role` = 'all'
{%- else %}
        SELECT s.payloads, s.window_end_ms
        FROM requests AS r
        JOIN scope_windows AS s
          ON s.`scope` = r.`scope`
            AND s.window_end_ms = r.window_end_ms
            AND s.rt BETWEEN r.rt - {{ kept }} AND r.rt + {{ window }}
{%- endif %}
      ) CROSS JOIN UNNEST(JSON_QUERY(payloads, '$' RETURNING ARRAY<STRING>)) AS heard (payload)
    ) CROSS JOIN UNNEST(readings) AS spoken (reading)
  )
)
{%- if not all_signals %}
WHERE place = 1
{%- endif %};
