-- What the latest heard revision of a finding rests on: a row for each entity and signal.
SELECT DISTINCT * EXCLUDE (dt)
FROM evidence
WHERE finding_id = $finding_id
QUALIFY dense_rank() OVER (ORDER BY as_of DESC, revision DESC) = 1
ORDER BY entity, signal
