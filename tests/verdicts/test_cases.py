"""The life of a finding: opened, updated, closed, opened again, superseded; and what is worth an alert."""

from __future__ import annotations

import pytest

from afoot.verdicts.cases import Case, CaseBook, Identity, Run
from afoot.verdicts.recurrence import Recurrence
from afoot.verdicts.rules import shipped_rules
from tests.verdicts.world import (
    BACKUP,
    BURST,
    CATCH_UP,
    DEPLOYMENT,
    HOUR,
    JOB,
    LATE,
    LOAD,
    MINUTE,
    RECEIVERS,
    REPORT,
    VOLUME,
    World,
    at,
    silent,
)

RULES = shipped_rules()
SLIGHT = {JOB: {"write_lag": 19.0}}


def told(world: World) -> list[tuple[str, str, str]]:
    """Alerts as time, state, severity."""
    return [
        (f"{(a['as_of'] - at(0)) // HOUR}:{(a['as_of'] - at(0)) % HOUR // MINUTE:02}", a["state"], a["severity"])
        for a in world.alerts
    ]


def test_identity_alone_makes_the_id() -> None:
    one = Identity("shared_volume_contention", BACKUP, JOB, VOLUME)
    assert one.finding_id == "shared_volume_contention-53537f1819191d01"
    others = [one._replace(kind="x"), one._replace(culprit=REPORT), one._replace(victim=None), one._replace(via=None)]
    assert len({one.finding_id, *(other.finding_id for other in others)}) == 5
    assert Identity("k", "a", 'b","c', None).finding_id != Identity("k", "a", "b", "c").finding_id


def test_a_case_opens_updates_and_closes() -> None:
    world = World()
    world.until(0, 40)
    world.backup_run()
    world.until(1, 30)
    states = [(finding.revision, finding.state, (finding.as_of - at(0)) // MINUTE) for finding in world.findings]
    # effect from :41, judged with its second minute, over three minutes after its last one, closed fifteen after it
    assert states == [(1, "open", 43), (2, "open", 55), (3, "closed", 66)]
    assert [finding.window_end for finding in world.findings] == [at(0, 43), at(0, 51), at(0, 51)]
    assert told(world) == [("0:43", "open", "critical"), ("1:06", "closed", "critical")]
    assert {finding.window_start for finding in world.findings} == {at(0, 41)}


def test_an_effect_of_a_single_minute_is_judged_too() -> None:
    world = World()
    world.until(0, 40)
    world.minute(BURST, LATE)
    world.until(1)
    assert world.only("shared_volume_contention").window_end == at(0, 41)
    assert world.findings[0].as_of == at(0, 42)


def test_a_return_opens_the_same_finding_again() -> None:
    world = World(schedules={})
    for minute in (40, 127):
        world.until(0, minute)
        world.backup_run()
    world.until(3)
    assert [(finding.revision, finding.state) for finding in world.findings] == [
        (1, "open"),
        (2, "open"),
        (3, "closed"),
        (4, "open"),
        (5, "open"),
        (6, "closed"),
    ]
    assert len(world.latest()) == 1
    assert [state for _, state, _ in told(world)] == ["open", "closed", "open", "closed"]


def test_a_further_run_of_a_known_recurrence_is_a_revision_and_no_alert() -> None:
    world = World()
    for hour in range(6):
        world.until(hour, 40)
        world.backup_run()
    world.until(6, 30)
    known = [finding for finding in world.findings if finding.as_of > at(3)]
    assert [finding.state for finding in known] == ["open"] * 6
    assert not [alert for alert in world.alerts if alert["as_of"] > at(3)]


def test_a_recurring_case_waits_for_its_next_run() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.backup_run()
    world.until(4, 54)
    assert world.only("shared_volume_contention").state == "open"
    world.until(4, 55)
    found = world.only("shared_volume_contention")
    assert (found.state, found.runs_seen, found.runs_with_effect) == ("closed", 5, 4)
    assert "4 of 5 runs" in found.summary


@pytest.mark.parametrize(
    ("recurrence", "closes"),
    [
        (None, 50 + 15),
        (Recurrence(HOUR, at(0, 41) % HOUR, 3, 3), 41 + 60 + 15),
        (Recurrence(HOUR // 4, 10 * MINUTE, 3, 3), 40 + 15 + 15),
        (Recurrence(5 * MINUTE, 0, 3, 3), 50 + 15),
    ],
)
def test_when_a_case_closes(recurrence: Recurrence | None, closes: int) -> None:
    case = Case(Identity("k", "a", "b", None), at(0, 41), recurrence=recurrence)
    case.add_run(Run(at(0, 40), at(0, 41), at(0, 50)))
    assert case.closes_at(RULES) == at(0, closes)
    case.due_ms = at(3, 40)
    assert case.closes_at(RULES) == at(3, 55)


def test_severity_grows_and_is_told_once() -> None:
    world = World()
    world.until(1)
    world.minutes(6, BURST, SLIGHT)
    world.minutes(6, BURST, LATE)
    world.minutes(6, BURST, SLIGHT)
    assert told(world) == [("1:02", "open", "warning"), ("1:07", "open", "critical")]


@pytest.mark.parametrize(("minutes", "severity"), [(15, "warning"), (16, "critical")])
def test_an_effect_of_more_than_a_quarter_of_an_hour_is_critical(minutes: int, severity: str) -> None:
    world = World()
    world.until(1)
    world.minutes(minutes, BURST, SLIGHT)
    world.until(2)
    assert world.only("shared_volume_contention").severity == severity
    grown = ["critical"] if severity == "critical" else []
    assert [said for _, _, said in told(world)] == ["warning", *grown, severity]


def test_a_short_pause_does_not_part_an_effect_and_a_long_one_does() -> None:
    for pause, runs in ((2, 1), (3, 2)):
        world = World(schedules={})
        world.until(1)
        world.minutes(3, BURST, LATE)
        world.minutes(pause, BURST)
        world.minutes(3, BURST, LATE)
        world.until(1, 20)
        (case,) = world.book.cases.values()
        assert len(case.runs) == runs


def test_lag_that_flickers_while_its_cause_goes_on_is_one_run_of_that() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.minutes(4, BURST, LATE)
        world.minutes(3, BURST)  # as long as it takes to be another effect
        world.minutes(2, BURST, LATE)
        world.minutes(3, CATCH_UP)
    (case,) = world.book.cases.values()
    assert [(run.cause_ms - at(0)) // MINUTE % 60 for run in case.runs] == [40] * 8
    finding = world.only("shared_volume_contention")
    assert (finding.schedule_expression, finding.recurrence_period_s) == ("40 * * * *", 3600)


def test_what_was_under_way_when_there_was_a_history_is_not_judged() -> None:
    world = World(young=frozenset({JOB}))
    world.until(0, 38)
    world.minutes(3, BURST, LATE)
    world.young = frozenset()
    world.minutes(6, BURST, LATE)  # the first windows in which a lag is expected: nobody knows since when it is late
    world.until(1, 40)
    assert world.findings == []
    world.backup_run()
    assert world.only("shared_volume_contention").window_start == at(1, 41)


def test_what_began_a_window_after_there_was_a_history_is_judged() -> None:
    world = World(young=frozenset({JOB}))
    world.until(0, 39)
    world.young = frozenset()
    world.minute()
    world.minutes(6, BURST, LATE)
    world.until(1)
    assert world.only("shared_volume_contention").culprit_entity == BACKUP


def test_a_run_of_which_the_start_is_not_known_is_on_no_beat() -> None:
    world = World(young=frozenset({BACKUP}))
    world.until(0, 40)
    world.minutes(3, BURST)
    world.young = frozenset()
    world.minutes(5, BURST)
    assert world.book.bursts[BACKUP, VOLUME].starts() == []
    for hour in (1, 2, 3):
        world.until(hour, 40)
        world.backup_run()
    assert [(start - at(0)) // MINUTE for start in world.book.bursts[BACKUP, VOLUME].starts()] == [100, 160, 220]
    assert world.only("shared_volume_contention").schedule_expression == "40 * * * *"


def test_an_unexplained_finding_is_superseded_when_its_culprit_is_named() -> None:
    world = World()
    world.until(1)
    world.minutes(4, LATE, silent(VOLUME, BACKUP, REPORT))
    world.minutes(6, BURST, LATE)
    old, named = world.only("unexplained"), world.only("shared_volume_contention")
    assert (old.state, old.superseded_by) == ("superseded", named.finding_id)
    assert named.superseded_by is None and named.state == "open"
    assert [state for _, state, _ in told(world)] == ["open", "open", "superseded"]
    world.until(2)
    assert world.only("unexplained").revision == old.revision


def test_a_named_culprit_is_not_unnamed_by_a_window_without_data() -> None:
    world = World()
    world.until(1)
    world.minutes(3, BURST, LATE)
    world.minutes(5, LATE, silent(VOLUME, BACKUP, REPORT))
    assert not world.latest("unexplained")
    world.until(2)
    found = world.only("shared_volume_contention")
    assert (found.state, found.window_end) == ("closed", at(1, 8))


def test_a_new_culprit_is_a_new_finding() -> None:
    world = World(schedules={})
    world.until(1)
    world.minutes(4, BURST, LATE)
    world.until(1, 30)
    world.minutes(4, {**BURST, BACKUP: {}, REPORT: {"write_ops": 1_500}}, LATE)
    culprits = {finding.culprit_entity: finding for finding in world.latest()}
    assert culprits.keys() == {BACKUP, REPORT}
    assert culprits[BACKUP].state == "closed" and culprits[REPORT].state == "open"


def test_who_leads_by_a_little_does_not_take_over_within_an_effect() -> None:
    for lead, culprits in ((40, {BACKUP}), (180, {BACKUP}), (300, {BACKUP, REPORT})):
        world = World(schedules={})
        world.until(1)
        world.minutes(3, BURST, LATE)
        world.until(1, 10)
        report = 1_000 + lead
        pressed = {VOLUME: {"total_ops": 1_770 + report, "latency": 0.01}}
        world.minutes(5, LATE, pressed, {BACKUP: {"write_ops": 1_000}, REPORT: {"write_ops": report}})
        assert {finding.culprit_entity for finding in world.findings} == culprits


def test_a_case_stays_open_while_its_victim_sends_nothing() -> None:
    world = World(schedules={})
    world.until(1)
    world.minutes(4, BURST, LATE)
    world.minutes(60, {JOB: {"write_lag": None}})
    assert world.only("shared_volume_contention").state == "open"
    world.minute()
    assert world.only("shared_volume_contention").state == "closed"


def test_the_end_of_the_input_closes_nothing() -> None:
    world = World()
    world.until(1)
    world.minutes(4, BURST, LATE)
    assert [finding.state for finding in world.findings] == ["open"]


def test_closed_cases_and_bursts_are_forgotten_beyond_their_bound() -> None:
    book = CaseBook()
    for number in range(CaseBook.MOST_CLOSED + 5):
        case = book.case(Identity("k", f"vm:{number}", "job:j", None), 0)
        case.add_run(Run(number, number, number))
    book.forget(at(5), RULES)
    assert len(book.cases) == CaseBook.MOST_CLOSED
    kept = {case.identity.culprit for case in book.cases.values()}
    assert "vm:4" not in kept and "vm:5" in kept


def test_memory_stays_small_over_days_of_runs() -> None:
    world = World()
    for hour in range(12):
        world.until(hour, 40)
        world.backup_run()
    track = world.book.victims[JOB]
    assert len(track.recent) <= 10 and len(world.book.volumes[VOLUME].recent) <= 10
    assert all(not window.heard for window in track.recent) or world.now - track.recent[-1].end_ms == 0
    assert len(world.book.wanted) == 2


def test_an_effect_that_begins_as_the_last_one_ends_is_a_new_run() -> None:
    world = World(schedules={})
    world.until(1)
    world.minutes(2, BURST, LATE)
    world.minutes(3)
    world.minutes(2, BURST, LATE)
    world.minutes(3, CATCH_UP)
    (case,) = world.book.cases.values()
    assert [(run.onset_ms - at(1)) // MINUTE for run in case.runs] == [0, 5]


def test_what_raised_an_earlier_effect_is_no_cause_of_the_next() -> None:
    world = World()
    world.until(1)
    world.minutes(4, LOAD, LATE)
    world.minutes(4)
    world.minutes(4, LATE)
    assert len(world.latest("upstream_load")) == len(world.latest("unexplained")) == 1


def test_what_comes_after_the_peak_did_not_drive_the_lag() -> None:
    world = World(schedules={})
    world.until(1)
    world.minutes(4, BURST, LATE)
    for lag in (35, 30, 25):
        world.minute(
            {JOB: {"write_lag": lag}, REPORT: {"write_ops": 4_000}, VOLUME: {"total_ops": 4_800, "latency": 0.01}}
        )
    world.until(1, 20)
    found = world.only("shared_volume_contention")
    assert (found.culprit_entity, found.culprit_share) == (BACKUP, pytest.approx(1.0))
    assert world.verdicts(found)[REPORT] == "cleared"


def test_another_culprit_within_an_effect_needs_a_second_window() -> None:
    world = World(schedules={})
    world.until(1)
    world.minutes(2, BURST, LATE)
    heavy = {REPORT: {"write_ops": 9_000}, VOLUME: {"total_ops": 9_800, "latency": 0.02}}
    world.minute(LATE, heavy)
    assert {finding.culprit_entity for finding in world.latest()} == {BACKUP}
    world.minute(LATE, heavy)
    assert {finding.culprit_entity for finding in world.latest()} == {BACKUP, REPORT}


def test_severity_does_not_fall_while_a_case_is_open() -> None:
    world = World()
    for hour in range(5):
        world.until(hour, 40)
        world.minutes(5, BURST, SLIGHT if hour == 4 else LATE)
    world.until(5)
    assert world.only("shared_volume_contention").severity == "critical"


def test_a_tenant_silent_in_the_windows_of_pressure_is_unknown_however_calm_the_others() -> None:
    world = World()
    world.until(1)
    world.minutes(2, BURST, LATE, silent(REPORT))
    world.minutes(13, LATE)
    world.until(1, 30)
    assert world.verdicts(world.only("shared_volume_contention"))[REPORT] == "unknown"


@pytest.mark.parametrize(("missed", "verdict"), [(0, "cleared"), (1, "unknown")])
def test_a_tenant_must_be_heard_in_most_windows_of_pressure(missed: int, verdict: str) -> None:
    world = World()
    world.until(1)
    world.minutes(missed, BURST, LATE, silent(REPORT))
    world.minutes(2 - missed, BURST, LATE)
    assert world.verdicts(world.only("shared_volume_contention"))[REPORT] == verdict


def test_a_pod_that_takes_over_from_another_is_not_more_data() -> None:
    world = World()
    world.until(1)
    world.minutes(6, LATE, {RECEIVERS[0]: {"bytes_in": 1.6e6}, RECEIVERS[1]: {"bytes_in": 0.4e6}})
    found = world.only("unexplained")
    assert world.verdicts(found)[DEPLOYMENT] == "cleared"
