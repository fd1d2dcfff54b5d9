-- The latest revision of each finding: open ones first, the gravest first, then the newest.
SELECT * EXCLUDE (component, dt)
FROM findings
QUALIFY row_number() OVER (PARTITION BY finding_id ORDER BY as_of DESC, revision DESC) = 1
ORDER BY
    state = 'open' DESC,
    list_position(['critical', 'warning', 'info'], severity),
    as_of DESC,
    finding_id
