-- One finding from its first revision to its latest.
SELECT DISTINCT * EXCLUDE (component, dt)
FROM findings
WHERE finding_id = $finding_id
ORDER BY as_of, revision
