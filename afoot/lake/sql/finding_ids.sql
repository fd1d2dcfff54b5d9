-- The findings whose id begins with a prefix.
SELECT DISTINCT finding_id
FROM findings
WHERE starts_with(finding_id, $prefix)
ORDER BY finding_id
LIMIT 20
