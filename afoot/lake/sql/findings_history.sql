-- Every revision of every finding, in the order in which they were decided.
SELECT DISTINCT * EXCLUDE (component, dt)
FROM findings
ORDER BY as_of, finding_id, revision
