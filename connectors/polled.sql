-- The inventory as a JDBC source connector sends it, a row a record, for `afoot poll` (docs/connect.md):
--   psql -XqAt -f connectors/polled.sql
-- polled_at is one for all rows of a poll, and polled_rows tells how many there are: so a reader knows when it has the
-- whole table, and that what is not in it was deleted. A table without rows has one record, row 0 of 0.
-- Each inner SELECT is also a `query` for a JDBC source connector, with mode=bulk.
\set ON_ERROR_STOP on
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT row_to_json(record) FROM (
    SELECT 'entity' AS polled_table,
           (extract(epoch FROM now()) * 1000)::bigint AS polled_at,
           CASE WHEN id IS NULL THEN 0 ELSE row_number() OVER (ORDER BY id) END AS polled_row,
           count(id) OVER () AS polled_rows,
           id, type, name, component, attributes::text AS attributes,
           (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
    FROM (SELECT) AS always LEFT JOIN inventory.entity ON true
    ORDER BY polled_row
) AS record;

SELECT row_to_json(record) FROM (
    SELECT 'relation' AS polled_table,
           (extract(epoch FROM now()) * 1000)::bigint AS polled_at,
           CASE WHEN from_id IS NULL THEN 0 ELSE row_number() OVER (ORDER BY from_id, to_id, kind) END AS polled_row,
           count(from_id) OVER () AS polled_rows,
           from_id, to_id, kind,
           (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
    FROM (SELECT) AS always LEFT JOIN inventory.relation ON true
    ORDER BY polled_row
) AS record;

SELECT row_to_json(record) FROM (
    SELECT 'schedule' AS polled_table,
           (extract(epoch FROM now()) * 1000)::bigint AS polled_at,
           CASE WHEN id IS NULL THEN 0 ELSE row_number() OVER (ORDER BY id) END AS polled_row,
           count(id) OVER () AS polled_rows,
           id, entity_id, expression, timezone, command,
           (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
    FROM (SELECT) AS always LEFT JOIN inventory.schedule ON true
    ORDER BY polled_row
) AS record;

COMMIT;
