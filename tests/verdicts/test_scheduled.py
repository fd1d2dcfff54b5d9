"""Scheduled jobs: expected while they harm nobody, overdue when they do not keep to their schedule."""

from __future__ import annotations

import pytest

from afoot.verdicts.bursts import BurstTrack
from afoot.verdicts.rules import shipped_rules
from afoot.verdicts.volume import Io
from tests.verdicts.world import BACKUP, BURST, LATE, MINUTE, ROOM, VOLUME, World, at, silent


def quiet_runs(world: World, hours: range, minute: int = 40, length: int = 8) -> None:
    for hour in hours:
        world.until(hour, minute)
        world.minutes(length, ROOM)


def test_three_runs_make_an_expected_job_and_further_ones_keep_it_open() -> None:
    world = World()
    quiet_runs(world, range(2))
    world.until(2, 30)
    assert world.latest() == []
    quiet_runs(world, range(2, 5))
    world.until(5, 30)
    assert [(finding.revision, finding.state) for finding in world.findings] == [(1, "open"), (2, "open"), (3, "open")]
    assert len(world.alerts) == 1


@pytest.mark.parametrize("length", [4, 6, 9])
def test_runs_that_come_soon_after_one_another_are_expected_too(length: int) -> None:
    world = World(schedules={BACKUP: ("*/15 * * * *", "UTC")})
    world.until(1)
    for run in range(6):
        world.until(1, 15 * run)
        world.minutes(length, ROOM)
    world.until(2, 31)
    found = world.only("expected_job")
    assert (found.state, found.culprit_entity, found.schedule_expression) == ("open", BACKUP, "*/15 * * * *")
    assert (found.recurrence_period_s, found.runs_seen) == (900, 6)
    assert world.latest() == [found]


@pytest.mark.parametrize(("first", "began"), [(24, 1), (26, 0), (100, 0)])
def test_a_counters_first_trace_of_a_burst_is_not_its_start(first: float, began: int) -> None:
    track = BurstTrack()
    for minute, excess in enumerate((first, 100.0, 500.0)):
        start = at(0, minute)
        io = Io(1 + excess, 1.0, 1.0, excess, ("total_ops",))
        track.add(start, start + MINUTE, {"operations": io}, shipped_rules())
    assert track.starts() == [at(0, began)]


@pytest.mark.parametrize("lost", [set(), {40}, {100}, {40, 41, 42}])
def test_a_run_whose_operations_are_missing_is_not_weighed_by_its_bytes(lost: set[int]) -> None:
    """A counter that misses a sample leaves the other measure, whose numbers are a million times as large."""
    track = BurstTrack()
    for minute in range(180):
        more = 500.0 if minute % 60 in (40, 41, 42) else 0.0
        measures = {
            "operations": Io(10 + more, 10.0, 1.0, more, ("read_ops", "write_ops")),
            "bytes": Io(1e6 * (10 + more), 1e7, 1e6, more, ("read_bytes", "write_bytes")),
        }
        if minute in lost:
            del measures["operations"]
        track.add(at(0, minute), at(0, minute) + MINUTE, measures, shipped_rules())
    assert track.starts() == [at(0, minute) for minute in (40, 100, 160)]
    assert track.off_usual(track.bursts[-1], True, shipped_rules()) == ""


def test_without_a_schedule_nothing_is_expected() -> None:
    world = World(schedules={})
    quiet_runs(world, range(5))
    world.until(6)
    assert world.latest() == []


def test_off_its_schedule_nothing_is_expected_and_nothing_is_overdue() -> None:
    world = World()
    quiet_runs(world, range(6), minute=10)
    world.until(7)
    assert world.latest() == []


def test_a_volume_that_saturates_is_harm_even_if_nobody_is_late() -> None:
    world = World()
    for hour in range(5):
        world.until(hour, 40)
        world.minutes(8, BURST)  # nine times its latency, and the lag stays flat
    world.until(5, 30)
    assert world.latest() == []


def test_a_run_that_harms_ends_the_expectation() -> None:
    world = World()
    quiet_runs(world, range(4))
    world.until(4, 40)
    world.backup_run()
    world.until(5, 30)
    assert world.only("expected_job").state == "closed"
    assert world.only("shared_volume_contention").culprit_entity == BACKUP


def test_an_expected_job_that_stops_is_overdue_until_it_is_back() -> None:
    world = World()
    quiet_runs(world, range(4))
    world.until(4, 46)
    assert world.latest("overdue_job") == []
    world.until(7, 40)
    overdue = world.only("overdue_job")
    assert (overdue.state, overdue.severity, overdue.victim_entity) == ("open", "info", None)
    assert "its run did not come" in overdue.summary
    assert world.only("expected_job").state == "closed"
    assert [finding.as_of for finding in world.findings if finding.kind == "overdue_job"] == [
        at(4, 47),
        at(5, 47),
        at(6, 47),
    ]
    quiet_runs(world, range(7, 8))
    world.until(8, 30)
    assert world.only("overdue_job").state == "closed"
    assert len([alert for alert in world.alerts if alert["kind"] == "overdue_job"]) == 2


@pytest.mark.parametrize(("late", "overdue"), [(6, False), (7, True), (20, True)])
def test_a_run_that_comes_late(late: int, overdue: bool) -> None:
    world = World()
    quiet_runs(world, range(4))
    quiet_runs(world, range(4, 5), minute=40 + late)
    world.until(5, 30)
    assert bool(world.latest("overdue_job")) == overdue
    if late == 20:
        assert "its run came 20 min late" in world.only("overdue_job").summary


def test_a_schedule_never_seen_to_act_raises_nothing() -> None:
    world = World()
    world.until(12)
    assert world.latest() == []


def test_two_runs_are_too_few_to_miss_a_third() -> None:
    world = World()
    quiet_runs(world, range(2))
    world.until(5)
    assert world.latest() == []


def test_a_tenant_that_sends_nothing_is_not_overdue() -> None:
    world = World()
    quiet_runs(world, range(4))
    world.until(4, 30)
    world.minutes(30, silent(BACKUP))
    world.until(5, 30)
    assert not world.latest("overdue_job")


@pytest.mark.parametrize(("length", "overdue"), [(15, False), (16, True)])
def test_a_run_that_takes_twice_as_long(length: int, overdue: bool) -> None:
    world = World()
    quiet_runs(world, range(4))
    quiet_runs(world, range(4, 5), length=length)
    assert bool(world.latest("overdue_job")) == overdue
    if overdue:
        assert "longer than usual: 16 min so far against 8 min" in world.only("overdue_job").summary


@pytest.mark.parametrize(("peak", "overdue"), [(2_900, False), (3_000, True)])
def test_a_run_that_is_twice_as_heavy(peak: float, overdue: bool) -> None:
    world = World()
    quiet_runs(world, range(4))
    world.until(4, 40)
    world.minutes(8, ROOM, {BACKUP: {"write_ops": peak}, VOLUME: {"total_ops": 790 + peak}})
    world.until(5, 30)
    assert bool(world.latest("overdue_job")) == overdue
    if overdue:
        assert "heavier than usual" in world.only("overdue_job").summary


def test_a_small_burst_in_between_is_no_run() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 10)
        world.minutes(2, {BACKUP: {"write_ops": 60}})
        world.until(hour, 40)
        world.minutes(8, ROOM)
    world.until(5)
    assert world.only("expected_job").recurrence_period_s == 3600


def test_a_harmful_job_is_followed_as_well() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.backup_run()
    world.until(5, 30)
    assert world.only("overdue_job").window_start == at(4, 40)
    assert world.only("shared_volume_contention").state == "closed"


@pytest.mark.parametrize(("quiet", "doubt"), [(0, 1.0), (1, 1.0), (3, 0.75), (4, 0.7)])
def test_a_run_like_others_that_harmed_nobody_is_blamed_with_less_confidence(quiet: int, doubt: float) -> None:
    world = World()
    quiet_runs(world, range(quiet))
    world.until(quiet, 40)
    world.backup_run()
    world.until(quiet + 1)
    found = world.only("shared_volume_contention")
    assert (found.runs_seen, found.runs_with_effect) == (quiet + 1, 1)
    effect = 0.5 if quiet < 2 else 1 / (quiet + 1)
    assert found.confidence == pytest.approx((0.8 + 0.08 + 0.07 * effect) * doubt, abs=0.005)


def test_bursts_elsewhere_do_not_count_for_this_volume() -> None:
    world = World()
    quiet_runs(world, range(3))
    world.until(3)
    world.relate(BACKUP, "attached_to", VOLUME, world.now, "delete")
    world.until(5)
    assert not world.latest("overdue_job")
    assert world.only("expected_job").state == "closed"


def test_an_effect_for_another_reason_does_not_make_a_quiet_job_a_culprit() -> None:
    world = World()
    quiet_runs(world, range(3))
    world.until(3, 40)
    world.minutes(8, ROOM, LATE)
    assert {finding.culprit_entity for finding in world.latest("unexplained")} == {None}
    assert not world.latest("shared_volume_contention")
    assert MINUTE == 60_000


def test_a_job_is_not_called_harmless_while_somebody_suffers() -> None:
    world = World()
    for hour in range(5):
        world.until(hour, 40)
        world.minutes(8, ROOM, LATE)
    world.until(5, 30)
    assert not world.latest("expected_job")
