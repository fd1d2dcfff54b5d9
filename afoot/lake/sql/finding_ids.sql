-- The findings whose id, or the last part of it, begins with a prefix.
SELECT DISTINCT finding_id
FROM findings
WHERE starts_with(finding_id, $prefix)
   OR starts_with(split_part(finding_id, '-', -1), $prefix)
ORDER BY finding_id
LIMIT 20
