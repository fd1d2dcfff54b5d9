"""Means since the previous poll, as tables of samples: spread over the windows that they speak of."""

from __future__ import annotations

import math
from typing import Any

import pytest

from afoot.signals import Settings
from tests.signals.helpers import EVERYTHING, Run, by_window, message, point, signal, value

LABELS = {"svm": "svm1", "volume": "flexvol7"}
VOLUME = "volume:svm1/flexvol7"


def polls(samples: list[tuple[float, float]]) -> list[Any]:
    """Points of (second, mean since the sample before)."""
    return [point("volume_total_ops", LABELS, second, mean) for second, mean in samples]


def means(samples: list[tuple[float, float]], windows: int, settings: Settings = EVERYTHING) -> list[float | None]:
    """total_ops of the volume in the windows from the first on; what was before them is known."""
    placed = Run(settings).windows(range(-3, windows), polls(samples))
    return [value(rows, VOLUME, "total_ops") for rows in placed[3:]]


def polled(busy: tuple[float, float], at: list[float], ops: float = 600) -> list[tuple[float, float]]:
    """What polls at these seconds tell of `ops` a second from busy[0] to busy[1], and of nothing else."""
    return [
        (now, ops * max(0.0, min(now, busy[1]) - max(last, busy[0])) / (now - last))
        for last, now in zip([at[0] - 60, *at], at, strict=False)
    ]


@pytest.mark.parametrize(
    "at",
    [
        pytest.param([-60.2, 0.3, 59.8, 120.2, 179.7, 240.3, 299.9, 360.1], id="either side of a minute's edge"),
        pytest.param([-59.9, 0.1, 60.1, 120.1, 180.1, 240.1, 300.1, 360.1], id="just behind it"),
        pytest.param([-60.1, -0.1, 59.9, 119.9, 179.9, 239.9, 299.9, 359.9], id="just before it"),
    ],
)
def test_polls_at_a_minutes_edge_leave_no_window_out_and_book_none_a_minute_late(at: list[float]) -> None:
    found = means(polled((120, 240), at), 6)
    assert found == [pytest.approx(level, abs=6) for level in (0, 0, 600, 600, 0, 0)]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        # A load of the windows 2 and 3 alone: what a poll tells of is spread over both of its windows.
        pytest.param(6, [0, 54, 546, 546, 54, 0], id="behind the edge"),
        pytest.param(30, [0, 150, 450, 450, 150, 0], id="amid the window"),
        pytest.param(54, [0, 54, 546, 546, 54, 0], id="before the edge"),
    ],
)
def test_a_load_stays_in_its_place_wherever_the_polls_are(phase: float, expected: list[float]) -> None:
    at = [phase + 60.0 * n for n in range(-1, 8)]
    assert means(polled((120, 240), at), 6) == [pytest.approx(level) for level in expected]


def test_all_that_was_done_is_in_the_windows() -> None:
    at = [-40.0, 20.0, 81.5, 139.0, 202.0, 260.5, 317.0, 380.0, 441.0]
    found = means(polled((95, 233), at), 6)
    assert sum(level for level in found if level is not None) * 60 == pytest.approx(600 * 138)


def test_a_mean_that_falls_is_no_reset() -> None:
    assert means([(-30, 9.0), (30, 9.0), (90, 3.0), (150, 3.0)], 2) == [6.0, 3.0]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([(5, 4.0)], [4, None], id="one sample: nobody knows since when, so its own window's"),
        pytest.param([(5, 4.0), (65, 8.0)], [8, 8], id="the second tells of the first window too"),
        pytest.param([(5, 4.0), (40, 8.0)], [8, None], id="what is known of half of a window stands for it"),
        pytest.param([(5, 4.0), (30, 8.0)], [6, None], id="of less, samples are taken as a gauge's"),
    ],
)
def test_the_first_and_the_last_of_a_series(samples: list[tuple[float, float]], expected: list[float | None]) -> None:
    assert means(samples, 2) == expected


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        pytest.param([], [5, 5, 5, 5, 5, 5], id="none"),
        pytest.param([130], [5, 5, 5, 5, 5, 5], id="one poll: the next one tells of both minutes"),
        pytest.param([130, 190], [5, 5, None, None, 5, 5], id="two: what an agent says after so long is not believed"),
    ],
)
def test_a_gap_over_twice_the_poll_is_missing(missing: list[float], expected: list[float | None]) -> None:
    samples = [(60.0 * n + 10, 5.0) for n in range(-3, 8) if 60 * n + 10 not in missing]
    assert means(samples, 6) == expected


def test_settings_say_how_long_a_gap_may_be() -> None:
    samples = [(60.0 * n + 10, 5.0) for n in range(-3, 8) if n not in (2, 3)]
    assert means(samples, 6, Settings(all_signals=True, scrape_gap=3)) == [5, 5, None, 5, 5, 5]


def test_polls_closer_than_a_window_weigh_by_their_time() -> None:
    assert means([(-10, 0.0), (20, 30.0), (30, 90.0), (60, 10.0)], 1) == [pytest.approx(30)]


def test_a_latency_is_spread_and_scaled() -> None:
    rows = [point("volume_avg_latency", LABELS, second, 1000 + second) for second in (0, 20, 40, 60)]
    found = signal(Run().windows([0], rows)[0], VOLUME, "latency")
    assert found is not None
    assert (found["value"], found["unit"]) == (0.00104, "s")


def test_a_restored_state_goes_on_as_the_one_it_was_made_of() -> None:
    bodies = by_window(message(polls([(61.0 * n - 50, math.sin(n) + 2) for n in range(12)])))
    one, other = Run(), Run()
    for number in range(-1, 11):
        expected = one.window(number, bodies)
        other.restart()
        assert other.window(number, bodies) == expected


def test_the_books_balance() -> None:
    run = Run()
    run.windows(range(3), polls([(60.0 * n + 10, 5.0) for n in (0, 1, 1, 2)]))
    assert (run.books.points_in, run.books.in_signals, run.books.duplicates) == (4, 3, 1)
    assert run.books.uncovered == 0
