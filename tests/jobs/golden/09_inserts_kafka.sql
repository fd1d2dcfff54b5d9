-- Step 9, what goes into the sinks. All inserts are one statement set: one job, each source read once.
INSERT INTO lake_findings
SELECT
  finding_id, revision, CAST(TO_TIMESTAMP_LTZ(as_of, 3) AS TIMESTAMP(6)), state, superseded_by, kind, severity,
  CAST(TO_TIMESTAMP_LTZ(window_start, 3) AS TIMESTAMP(6)), CAST(TO_TIMESTAMP_LTZ(window_end, 3) AS TIMESTAMP(6)),
  victim_entity, victim_component, victim_signal, victim_observed, victim_expected, victim_unit,
  culprit_entity, culprit_component, culprit_via, culprit_share, confidence,
  schedule_id, schedule_expression, schedule_command, recurrence_period_s, recurrence_phase_s, runs_seen, runs_with_effect,
  summary, remedy, rule, component, DATE_FORMAT(TO_TIMESTAMP_LTZ(as_of, 3), 'yyyy-MM-dd')
FROM judged WHERE row_kind = 'finding';

INSERT INTO lake_evidence
SELECT
  finding_id, revision, entity, verdict, share, reason, signal, observed, expected, unit, score,
  CAST(TO_TIMESTAMP_LTZ(window_start, 3) AS TIMESTAMP(6)), CAST(TO_TIMESTAMP_LTZ(window_end, 3) AS TIMESTAMP(6)),
  CAST(TO_TIMESTAMP_LTZ(as_of, 3) AS TIMESTAMP(6)), pointers, component, DATE_FORMAT(TO_TIMESTAMP_LTZ(as_of, 3), 'yyyy-MM-dd')
FROM judged WHERE row_kind = 'evidence';

INSERT INTO lake_signals
SELECT
  CAST(TO_TIMESTAMP_LTZ(window_end_ms - 60000, 3) AS TIMESTAMP(6)), CAST(TO_TIMESTAMP_LTZ(window_end_ms, 3) AS TIMESTAMP(6)),
  entity, signal, unit, `value`, expected, score, component, DATE_FORMAT(TO_TIMESTAMP_LTZ(window_end_ms - 60000, 3), 'yyyy-MM-dd')
FROM kept_signals;

INSERT INTO lake_books
SELECT CAST(window_end AS TIMESTAMP(6)), topic, 'messages', CASE kind WHEN 'dead' THEN 'dead_letters' ELSE 'decoded' END, CAST(NULL AS STRING), SUM(messages), DATE_FORMAT(window_start, 'yyyy-MM-dd')
FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE messages > 0
GROUP BY window_start, window_end, topic, kind = 'dead', CASE kind WHEN 'dead' THEN 'dead_letters' ELSE 'decoded' END;

INSERT INTO lake_books
SELECT CAST(window_end AS TIMESTAMP(6)), topic, 'points', CASE WHEN late THEN 'late' WHEN kind = 'samples' THEN 'windows' ELSE kind END, CAST(NULL AS STRING), SUM(points), DATE_FORMAT(window_start, 'yyyy-MM-dd')
FROM TABLE(TUMBLE(TABLE frames, DESCRIPTOR(rt), INTERVAL '0 00:01:00.000' DAY TO SECOND))
WHERE points > 0 AND kind <> 'unasked'
GROUP BY window_start, window_end, topic, CASE WHEN late THEN 'late' WHEN kind = 'samples' THEN 'windows' ELSE kind END;

INSERT INTO lake_books
SELECT CAST(TO_TIMESTAMP_LTZ(window_end_ms, 3) AS TIMESTAMP(6)), `scope`, 'points', `account`, victim, CAST(payload AS BIGINT), DATE_FORMAT(TO_TIMESTAMP_LTZ(window_end_ms - 60000, 3), 'yyyy-MM-dd')
FROM placed WHERE `role` = 'book';

INSERT INTO alerts_out
SELECT
  finding_id,
  summary,
  MAP[
    'ce_specversion', ENCODE('1.0', 'UTF-8'),
    'ce_id', ENCODE(finding_id || '/' || CAST(revision AS STRING), 'UTF-8'),
    'ce_source', ENCODE('/afoot', 'UTF-8'),
    'ce_type', ENCODE('afoot.finding.' || state, 'UTF-8'),
    'ce_subject', ENCODE(finding_id, 'UTF-8'),
    'ce_time', ENCODE(DATE_FORMAT(TO_TIMESTAMP_LTZ(as_of, 3), 'yyyy-MM-dd''T''HH:mm:ss''Z'''), 'UTF-8'),
    'content-type', ENCODE('application/json', 'UTF-8')
  ]
FROM judged WHERE row_kind = 'alert';

INSERT INTO dead_letters_out
SELECT
  k,
  v,
  MAP[
    'afoot.topic', ENCODE(topic, 'UTF-8'),
    'afoot.partition', ENCODE(CAST(`partition` AS STRING), 'UTF-8'),
    'afoot.offset', ENCODE(CAST(`offset` AS STRING), 'UTF-8'),
    'afoot.timestamp', ENCODE(DATE_FORMAT(ts, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
    'afoot.reason', ENCODE(why, 'UTF-8')
  ]
FROM (
  SELECT *, CASE WHEN late THEN CAST(points AS STRING) || ' points late: their window, from ' || DATE_FORMAT(TO_TIMESTAMP_LTZ(window_ms, 3), 'yyyy-MM-dd HH:mm:ss') || ' UTC, had closed' ELSE reason END AS why
  FROM frames
)
WHERE late OR kind IN ('dead', 'refused');
