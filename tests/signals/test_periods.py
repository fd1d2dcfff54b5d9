"""Pre-aggregated values whose period no message tells, as tables of points: each covers its own, whatever it is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.signals import Settings
from afoot.telemetry.rows import Labels, Stats
from tests.signals.helpers import EVERYTHING, MINUTE, T0, Run, by_window, message, point, signal, value

VOLUME, LABELS = "volume:vol-1", {"VolumeId": "vol-1"}
RATE = 10.0  # a second, at all times


def counted(minute: int, period: int, metric: str = "VolumeWriteOps") -> Any:
    """A point as CloudWatch sends it: what was counted in the period, in minutes, that begins at the minute."""
    total = RATE * 60 * period
    return point(metric, LABELS, 60 * minute, total / 5, "gauge", Stats(5, total, 0, total, 0))


def every(period: int, first: int, end: int, without: Iterable[int] = ()) -> list[Any]:
    """The points of the periods that begin in these minutes."""
    return [counted(minute, period) for minute in range(first, end, period) if minute not in without]


def rates(rows: list[Any], windows: Iterable[int], settings: Settings = EVERYTHING) -> list[float | None]:
    """write_ops of the volume in these windows."""
    return [value(placed, VOLUME, "write_ops") for placed in Run(settings).windows(windows, rows)]


def shown(found: list[float | None]) -> str:
    """A character a window: R for the rate, _ for missing, and what must never be for anything else."""
    return "".join("_" if rate is None else "R" if rate == pytest.approx(RATE) else "!" for rate in found)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(every(1, 0, 9), "RRRRRRRRR", id="a minute, from the first one on"),
        pytest.param(every(1, 0, 9, {1}), "__RRRRRRR", id="the second is missing: of the first nobody knows"),
        pytest.param(every(1, 0, 9, {4}), "RRRR_RRRR", id="one is missing"),
        pytest.param(every(1, 0, 12, {4, 5, 6, 7}), "RRRR____RRRR", id="so many that five minutes are between two"),
        pytest.param(every(1, 0, 12, {3, 4, 5, 6, 8}), "RRR______RRR", id="one is alone, as of five minutes"),
        pytest.param(
            every(1, 0, 17, {3, 4, 6, 7, 8, 10, 11, 13, 14}),
            "RRR_________R__RR",
            id="two or three apart: no longer period",
        ),
        pytest.param([counted(0, 1)], "____", id="one, whatever its period"),
        pytest.param(every(5, 0, 20), "_________RRRRRRRRRRR", id="five minutes, once two distances tell it"),
        pytest.param(every(5, 0, 30, {15}), "_________RRRRRR_____RRRRRRRRRR", id="a missing one is not spread"),
        pytest.param(
            every(5, 0, 25, {5}), "______________RRRRRRRRRRR", id="of one with a missing one it is told as well"
        ),
        pytest.param(every(2, 0, 10), "___RRRRRRR", id="two minutes"),
        pytest.param(every(6, 0, 30), "_" * 30, id="longer than any that is looked for"),
        pytest.param(every(60, 0, 180), "_" * 180, id="an hour"),
        pytest.param(every(5, 0, 20) + every(1, 20, 24), "_________RRRRRRRRRRRRRRR", id="from five minutes to one"),
        pytest.param(every(5, 0, 16) + every(1, 18, 24), "_________RRRRRRRR_RRRRRR", id="in the middle of a period"),
        pytest.param(
            every(1, 0, 4) + every(5, 5, 45),
            "RRRR_" + 24 * "_" + 16 * "R",
            id="from a minute to five, with one missing",
        ),
    ],
)
def test_a_sum_covers_its_period(rows: list[Any], expected: str) -> None:
    assert shown(rates(rows, range(len(expected)))) == expected


def test_a_change_to_five_minutes_is_known_behind_its_first_value() -> None:
    found = rates(every(1, 0, 5) + every(5, 5, 40), range(40))
    # The value in the sixth minute follows a minute's distance, and is taken for a minute's.
    assert [rate for rate in found if rate is not None and rate != RATE] == [5 * RATE]
    assert found.index(5 * RATE) == 5 and shown(found[6:]) == 23 * "_" + 11 * "R"


def test_a_mean_needs_no_period_to_be_right_for_a_minute() -> None:
    rows = [point("VolumeQueueLength", LABELS, 60 * at, 3, "gauge", Stats(5, 15, 3, 3, 0)) for at in (0, 5, 10)]
    found = [value(placed, VOLUME, "queue") for placed in Run().windows(range(16), rows)]
    assert found == [3, None, None, None, None, 3, None, None, None, 3, 3, 3, 3, 3, 3, None]


@pytest.mark.parametrize(
    ("period", "seconds", "expected"),
    [
        pytest.param(1, 30, "_RRRRR", id="of half a minute: what follows the first is behind the next"),
        pytest.param(1, 300, "RRR", id="of five minutes"),
        pytest.param(5, 300, "_RR", id="of five minutes, as the period"),
        pytest.param(5, 600, "RRR", id="of ten minutes"),
    ],
)
def test_windows_of_another_size(period: int, seconds: int, expected: str) -> None:
    settings = Settings(window_ms=1000 * seconds, all_signals=True)
    found = rates(every(period, 0, 40), range(len(expected)), settings)
    assert shown(found) == expected


def test_a_stated_period_is_divided_by_from_the_first_value_on() -> None:
    rows = [point("VolumeWriteOps", LABELS, 60 * at, 0, "gauge", Stats(5, 3000, 0, 9, 300)) for at in (0, 5, 10)]
    assert shown(rates(rows, range(16))) == "R____R___RRRRRR_"


def test_what_is_alone_in_a_minute_is_no_unusual_rate() -> None:
    rows = every(5, 0, 120)
    found = [signal(placed, VOLUME, "write_ops") for placed in Run().windows(range(120), rows)]
    assert {reading["value"] for reading in found if reading} == {RATE}
    assert found[-1] is not None and (found[-1]["expected"], found[-1]["history"]) == (RATE, 110)


def test_a_sum_of_metrics_is_missing_where_one_of_them_missed_its_period() -> None:
    rows = every(5, 0, 40) + [counted(minute, 5, "VolumeReadOps") for minute in range(0, 40, 5) if minute != 20]
    found = [value(placed, VOLUME, "total_ops") for placed in Run().windows(range(40), rows)]
    assert found == 9 * [None] + 11 * [2 * RATE] + 5 * [None] + 15 * [2 * RATE]


def test_each_volume_has_a_period_of_its_own() -> None:
    other = [row._replace(labels=Labels.of({"VolumeId": "vol-2"})) for row in every(1, 0, 20)]
    placed = Run().windows(range(20), every(5, 0, 20) + other)
    assert shown([value(rows, VOLUME, "write_ops") for rows in placed]) == "_________RRRRRRRRRRR"
    assert shown([value(rows, "volume:vol-2", "write_ops") for rows in placed]) == 20 * "R"


def test_a_shard_tells_how_far_its_values_reach() -> None:
    run = Run()
    run.windows(range(20), every(5, 0, 20))
    # Windows without a sample in the shard are evaluated as far as what is known reaches.
    assert [run.state.reaches(T0 + minute * MINUTE) for minute in (19, 20)] == [True, False]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(3, 59)))
def test_whatever_is_missing_a_minutes_sum_is_never_spread(missing: set[int]) -> None:
    # Of any five distances one is a minute: of every other, or of every fifth, nobody could tell it.
    kept = {minute for minute in range(60) if minute not in missing or minute % 8 < 2}
    rows = [counted(minute, 1) for minute in sorted(kept)]
    found = shown(rates(rows, range(60)))
    assert "!" not in found
    assert {minute for minute, rate in enumerate(found) if rate == "R"} <= kept
    assert all(found[minute] == "R" for minute in kept if minute - 1 in kept or minute + 1 in kept)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(4, 20)), st.integers(0, 4))
def test_whatever_is_missing_a_sum_of_five_minutes_is_its_own(missing: set[int], begins: int) -> None:
    kept = [begins + 5 * number for number in range(24) if number not in missing]
    found = shown(rates([counted(minute, 5) for minute in kept], range(begins + 120)))
    assert "!" not in found
    covered = {minute + step for minute in kept for step in range(5)}
    assert {minute for minute, rate in enumerate(found) if rate == "R"} <= covered
    assert set(range(begins + 9, begins + 20)) <= {minute for minute, rate in enumerate(found) if rate == "R"}


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 39), max_size=6))
def test_neither_the_order_of_arrival_nor_restarts_change_anything(rng: random.Random, restarts: set[int]) -> None:
    rows = every(5, 0, 18) + every(1, 18, 30, {22, 23}) + every(5, 30, 40)
    rows += [counted(minute, 5, "VolumeReadOps") for minute in range(2, 40, 5)]
    numbered = [(offset, [row]) for offset, row in enumerate(rows)]

    def outcome(order: list[tuple[int, list[Any]]], restarts: set[int]) -> list[Any]:
        frames = [frame for offset, some in order for frame in message(some, offset)]
        run, bodies, found = Run(), by_window(frames), []
        for number in range(40):
            if number in restarts and number:
                run.restart()
            found.append(run.window(number, bodies))
        return found

    straight = outcome(numbered, set())
    rng.shuffle(numbered)
    assert outcome(numbered, restarts) == straight


def test_the_books_balance() -> None:
    run = Run()
    run.windows(range(6), [*every(5, 0, 10), *every(5, 0, 5)])
    assert (run.books.points_in, run.books.in_signals, run.books.duplicates) == (3, 2, 1)
    assert run.books.uncovered == 2  # of which the period is not known yet
