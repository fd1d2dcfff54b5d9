-- Step 8: the signals around cases. A request names a victim or a volume and a window of the last hour (and, while a case
-- lives, the windows to come); the rows that were placed then are kept for as long as a request may ask for them.
CREATE TEMPORARY VIEW kept_signals AS
SELECT
  component,
  entity,
  JSON_VALUE(reading, '$.signal') AS signal,
  JSON_VALUE(reading, '$.unit') AS unit,
  CAST(JSON_VALUE(reading, '$.value') AS DOUBLE) AS `value`,
  CAST(JSON_VALUE(reading, '$.expected') AS DOUBLE) AS expected,
  CAST(JSON_VALUE(reading, '$.score') AS DOUBLE) AS score,
  window_end_ms,
  rt
FROM (
  SELECT JSON_VALUE(p.payload, '$.component') AS component, p.entity, p.window_end_ms, p.payload,
{%- if all_signals %}
    p.rt
  FROM placed AS p
  WHERE p.home
{%- else %}
    r.rt
  FROM requests AS r
  JOIN placed AS p
    ON p.`scope` = r.`scope`
      AND p.window_end_ms = r.window_end_ms
      AND p.rt BETWEEN r.rt - {{ kept }} AND r.rt + {{ window }}
{%- endif %}
) CROSS JOIN UNNEST(JSON_QUERY(payload, '$.signals' RETURNING ARRAY<STRING>)) AS spoken (reading)
