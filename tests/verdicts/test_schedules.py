"""Runs and cron entries: each boundary of a match just inside and just outside, and what runs are counted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from afoot.inventory.graph import Schedule
from afoot.verdicts.episodes import Spans
from afoot.verdicts.rules import shipped_rules
from afoot.verdicts.schedules import Counterfactual, ScheduleMatch, count_runs, due_after, match_schedule, next_run
from afoot.verdicts.words import by_schedule
from tests.verdicts.world import DAY, HOUR, MINUTE

RULES = shipped_rules()
NOW = DAY + 24 * HOUR


def schedule(expression: str, id: str = "cron", timezone: str = "UTC") -> Schedule:
    return Schedule(id, "vm:backup", expression, timezone, "/opt/job.sh", None)


def match(
    starts: list[int], *schedules: Schedule, attached: int | None = None, beat: int | None = None, now: int = NOW
) -> ScheduleMatch | None:
    return match_schedule(schedules, sorted(starts), attached, beat, now, MINUTE, RULES)


def hourly(offset_s: float, hours: range = range(5)) -> list[int]:
    """Runs so many seconds after :40."""
    return [DAY + hour * HOUR + 40 * MINUTE + int(offset_s * 1000) for hour in hours]


@pytest.mark.parametrize(
    ("offset_s", "matched"),
    [(-60, True), (-61, False), (0, True), (359, True), (360, True), (361, False), (1800, False)],
)
def test_a_run_lies_between_a_window_before_and_a_tenth_of_the_period_after(offset_s: float, matched: bool) -> None:
    assert (match(hourly(offset_s), schedule("40 * * * *")) is not None) == matched


def test_the_tenth_is_ten_minutes_at_most() -> None:
    daily = [DAY + day * 24 * HOUR + 2 * HOUR for day in range(4)]
    now = DAY + 4 * 24 * HOUR
    assert match([start + 10 * MINUTE for start in daily], schedule("0 2 * * *"), now=now)
    assert not match([start + 11 * MINUTE for start in daily], schedule("0 2 * * *"), now=now)


@pytest.mark.parametrize(("on", "off", "matched"), [(8, 2, True), (7, 2, False), (3, 0, True), (2, 0, False)])
def test_four_of_five_runs_must_follow_and_three_at_least(on: int, off: int, matched: bool) -> None:
    starts = hourly(0, range(on)) + [DAY + (hour * 60 + 10) * MINUTE for hour in range(off)]
    assert (match(starts, schedule("40 * * * *"), now=DAY + 10 * HOUR) is not None) == matched


@pytest.mark.parametrize(
    ("changed", "after", "matched"),
    [
        pytest.param(True, 3, 3, id="three runs since it was changed"),
        pytest.param(True, 2, None, id="two are too few"),
        pytest.param(False, 3, None, id="never changed: runs that it does not explain are its own"),
    ],
)
def test_runs_from_before_a_change_of_the_entry_are_not_held_against_it(
    changed: bool, after: int, matched: int | None
) -> None:
    before = [DAY + (hour * 60 + 10) * MINUTE for hour in range(5)]
    since = DAY + 5 * HOUR if changed else None
    entry = schedule("40 * * * *")._replace(since_ms=since)
    found = match(before + hourly(0, range(5, 5 + after)), entry, now=DAY + 10 * HOUR)
    assert (found.runs if found else None) == matched
    if found:
        assert found.times[0] == DAY + 5 * HOUR + 40 * MINUTE


def test_an_entry_that_was_written_down_late_has_its_earlier_runs() -> None:
    entry = schedule("40 * * * *")._replace(since_ms=DAY + 3 * HOUR)
    found = match(hourly(0, range(6)), entry, now=DAY + 10 * HOUR)
    assert found is not None
    assert found.runs == 6


@pytest.mark.parametrize(("offset_s", "matched"), [(90, True), (91, False)])
def test_the_tenth_is_of_the_shorter_period(offset_s: int, matched: bool) -> None:
    assert (match(hourly(offset_s), schedule("40 * * * *"), beat=15 * MINUTE) is not None) == matched


def test_runs_before_the_attachment_do_not_count() -> None:
    elsewhere = [DAY + (hour * 60 + 10) * MINUTE for hour in range(3)]
    starts = elsewhere + hourly(0, range(3, 7))
    assert match(starts, schedule("40 * * * *")) is None
    found = match(starts, schedule("40 * * * *"), attached=DAY + 3 * HOUR)
    assert found is not None and found.times[0] == DAY + 3 * HOUR + 40 * MINUTE


def test_an_entry_that_is_half_an_hour_off_is_no_match() -> None:
    assert match([start - 30 * MINUTE for start in hourly(0)], schedule("40 * * * *")) is None


def test_an_entry_that_names_every_minute_explains_nothing() -> None:
    assert match(hourly(0), schedule("* * * * *")) is None
    assert match(hourly(0), schedule("*/5 * * * *"), now=DAY + 5 * HOUR) is None
    assert match(hourly(0), schedule("*/20 * * * *"), now=DAY + 5 * HOUR) is not None
    found = match(hourly(0), schedule("*/5 * * * *", "often"), schedule("40 * * * *", "right"), now=DAY + 5 * HOUR)
    assert found is not None and found.schedule.id == "right"


@pytest.mark.parametrize(("runs", "entries", "matched"), [(3, 1, True), (3, 2, False), (4, 2, True)])
def test_runs_must_not_follow_one_of_many_entries_by_chance(runs: int, entries: int, matched: bool) -> None:
    # Every ten minutes, three of ten windows follow: 0.3 ** 3 = 0.027, and twice that with another entry.
    starts = [DAY + (10 * number + 1) * MINUTE for number in range(runs)]
    often = [schedule("*/10 * * * *"), schedule("17 4 1 1 *", "rare")][:entries]
    assert (match(starts, *often, now=DAY + HOUR) is not None) == matched


def test_the_entry_with_fewer_empty_times_wins_then_the_first_by_id() -> None:
    entries = schedule("*/20 * * * *", "a"), schedule("40 * * * *", "c"), schedule("40 * * * *", "b")
    found = match(hourly(0), *entries, now=DAY + 5 * HOUR)
    assert found is not None and found.schedule.id == "b"


@pytest.mark.parametrize("offset_s", [-60, 0, 60])
def test_of_entries_that_all_runs_follow_the_nearest_wins(offset_s: int) -> None:
    entries = schedule("37 * * * *", "a"), schedule("40 * * * *", "b"), schedule("34 * * * *", "c")
    found = match(hourly(offset_s), *entries, now=DAY + 5 * HOUR)
    assert found is not None and found.schedule.id == "b"


@pytest.mark.parametrize("expression", ["nonsense", "", "@reboot", "61 * * * *"])
def test_an_entry_that_cron_would_not_take_is_no_match(expression: str) -> None:
    unusable = schedule(expression)._replace(unusable="not accepted by cron")
    assert match(hourly(0), unusable) is None
    assert next_run(unusable, DAY) is None


@pytest.mark.parametrize(
    ("timezone", "said"),
    [("UTC", " (40 * * * * /opt/job.sh)"), ("Asia/Kathmandu", " (40 * * * * Asia/Kathmandu /opt/job.sh)")],
)
def test_an_entry_is_told_with_its_zone_where_that_is_not_the_beats(timezone: str, said: str) -> None:
    assert by_schedule(schedule("40 * * * *", timezone=timezone)) == said
    assert by_schedule(None) == ""


def test_a_daily_job_in_its_time_zone_across_the_end_of_summer_time() -> None:
    zone = ZoneInfo("Europe/Berlin")
    starts = [int(datetime(2026, 10, day, 2, 30, tzinfo=zone).timestamp() * 1000) for day in (22, 23, 24, 26, 27, 28)]
    assert (starts[3] - starts[2]) / HOUR == 49  # summer time ended in between
    now = starts[-1] + HOUR
    assert match(starts, schedule("30 2 * * *", timezone="Europe/Berlin"), now=now) is not None
    assert match(starts, schedule("30 2 * * *", timezone="UTC"), now=now) is None
    assert match(starts, schedule("30 0 * * *", timezone="UTC"), now=now) is None


def heard(*spans: tuple[int, int]) -> Spans:
    found = Spans()
    for start, end in spans:
        found.add(DAY + start * MINUTE, DAY + end * MINUTE, 3 * MINUTE)
    return found


def count(times: list[int], effects: list[tuple[int, int]], spans: Spans, now: int = 600) -> Counterfactual:
    return count_runs(
        [DAY + time * MINUTE for time in times],
        [(DAY + onset * MINUTE, DAY + end * MINUTE) for onset, end in effects],
        spans,
        15 * MINUTE,
        MINUTE,
        DAY + now * MINUTE,
    )


def test_a_run_without_an_effect_is_evidence() -> None:
    assert count([40, 100, 160], [(42, 50), (162, 170)], heard((0, 600))) == (3, 2)


def test_a_run_while_the_victim_was_silent_is_not_seen() -> None:
    assert count([40, 100, 160], [(42, 50)], heard((0, 80), (120, 600))) == (2, 1)


def test_a_run_whose_outcome_is_open_is_not_seen_unless_its_effect_came() -> None:
    assert count([40, 590], [(42, 50)], heard((0, 600))) == (1, 1)
    assert count([40, 590], [(42, 50), (591, 595)], heard((0, 600))) == (2, 2)


@pytest.mark.parametrize(("onset", "with_effect"), [(39, 1), (40, 1), (55, 1), (56, 0)])
def test_an_effect_follows_within_a_quarter_of_an_hour(onset: int, with_effect: int) -> None:
    assert count([40], [(onset, onset + 1)], heard((0, 600))).with_effect == with_effect


def test_short_breaks_are_none() -> None:
    spans = heard((0, 10), (13, 20), (24, 30))
    assert [[(a - DAY) // MINUTE, (b - DAY) // MINUTE] for a, b in spans.spans] == [[0, 20], [24, 30]]
    assert spans.covers(DAY, DAY + 20 * MINUTE) and not spans.covers(DAY, DAY + 25 * MINUTE)


def test_the_next_run() -> None:
    assert next_run(schedule("40 * * * *"), DAY + 40 * MINUTE) == DAY + 100 * MINUTE
    leap_day = datetime(2028, 2, 29, 2, tzinfo=ZoneInfo("UTC"))
    assert next_run(schedule("0 2 29 2 *"), DAY) == int(leap_day.timestamp() * 1000)


def test_the_next_run_of_a_zone_whose_clock_is_put_back_is_later_than_the_beat() -> None:
    # Berlin, the night to 2024-10-27: from 01:10 to 03:10 local time it is three hours.
    zone = ZoneInfo("Europe/Berlin")
    run, following = (int(datetime(2024, 10, 27, hour, 10, tzinfo=zone).timestamp() * 1000) for hour in (1, 3))
    assert following - run == 3 * HOUR
    assert due_after(schedule("10 1-23/2 * * *", timezone="Europe/Berlin"), run, MINUTE) == following
    assert due_after(schedule("10 1-23/2 * * *", timezone="Europe/Berlin"), run - MINUTE, MINUTE) == following


def test_a_schedule_that_rests_for_days_is_not_waited_for() -> None:
    friday = int(datetime(2024, 5, 3, 2, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
    assert due_after(schedule("0 2 * * 1-5"), friday - 24 * HOUR, MINUTE) == friday
    assert due_after(schedule("0 2 * * 1-5"), friday, MINUTE) is None
