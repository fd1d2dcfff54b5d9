"""Incidents that last until they are what is expected: their cases go on as long as the victim is as badly off."""

from __future__ import annotations

import pytest

from afoot.verdicts.episodes import Episode
from afoot.verdicts.inputs import Reading
from afoot.verdicts.tally import Tally
from tests.verdicts.world import BACKUP, BURST, JOB, LATE, MINUTE, REPORT, USUAL, World

KIND = "shared_volume_contention"


def expect(lag_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USUAL, JOB, {**USUAL[JOB], "write_lag": (lag_s, "s")})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A backup of an hour, and a job that stays as late as it was; by now that is what is expected of it."""
    world = World()
    world.until(1)
    world.minute(BURST)
    world.minutes(60, BURST, LATE)
    expect(40, monkeypatch)
    return world


def test_a_case_is_open_while_its_victim_is_as_badly_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.minutes(120, LATE)
    lasted = world.now
    assert (world.only(KIND).state, world.only(KIND).culprit_entity) == ("open", BACKUP)
    world.minutes(14, {JOB: {"write_lag": 2}})
    expect(2, monkeypatch)
    assert world.only(KIND).state == "open"
    world.minutes(2)
    found = world.only(KIND)
    assert (found.state, found.window_end, found.culprit_entity) == ("closed", lasted, BACKUP)
    assert found.runs_seen == 1
    assert world.latest() == [found]


def test_a_case_closes_once_its_victim_is_less_badly_off(world: World) -> None:
    began = world.now
    world.minutes(20, {JOB: {"write_lag": 39}})
    assert (world.only(KIND).state, world.only(KIND).window_end) == ("closed", began)


def test_what_has_lasted_for_a_day_is_as_usual(world: World) -> None:
    began = world.now
    world.minutes(24 * 60, LATE)
    assert world.only(KIND).state == "open"
    world.minutes(20, LATE)
    assert (world.only(KIND).state, world.only(KIND).window_end) == ("closed", began + 24 * 60 * MINUTE)


def test_what_rises_over_a_lasting_effect_is_another_one(world: World) -> None:
    world.minutes(30, LATE)
    cause = world.now
    world.minutes(2, BURST, LATE)
    onset = world.now
    world.minutes(8, BURST, {JOB: {"write_lag": 200}})
    world.minutes(40, LATE)
    (case,) = world.book.open_cases()
    assert [(run.cause_ms, run.onset_ms) for run in case.runs][1:] == [(cause, onset)]
    assert case.runs[0].end_ms == onset
    assert world.only(KIND).culprit_entity == BACKUP


def test_what_was_loud_in_a_lasting_effect_is_not_heard_in_the_next(world: World) -> None:
    world.minutes(30, LATE)
    world.minutes(8, {**BURST, BACKUP: {}, REPORT: {"write_ops": 1_500}, JOB: {"write_lag": 200}})
    found = next(finding for finding in world.latest(KIND) if finding.culprit_entity == REPORT)
    heard = world.heard(found)
    assert (heard[REPORT, "write_ops"].observed, heard[BACKUP, "write_ops"].observed) == (1_500, 10)


def test_another_signal_says_nothing_of_how_badly_off_a_victim_is() -> None:
    episode = Episode(0, MINUTE, Tally("lag_records", "{record}"), 0.0, 0.0)
    episode.add_lag(Reading("lag_records", "{record}", 50_000, 100, 10, 4_990, []))
    episode.add_lag(Reading("write_lag", "s", 40, 2, 1, 38, []))
    assert episode.least == 50_000
