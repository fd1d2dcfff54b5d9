"""What counters grow by, as tables of samples: boundaries, resets, gaps, closing samples."""

from __future__ import annotations

import pytest

from afoot.signals import Settings
from tests.signals.helpers import TENANT, Run, by_window, message, point, value

COUNTER = "container_fs_writes_total"
NS = 1e-9


def rates(samples: list[tuple[float, float]], numbers: list[int]) -> list[float | None]:
    """write_ops of the pod in these windows, for samples of (second, value)."""
    run = Run()
    rows = [point(COUNTER, TENANT, second, count) for second, count in samples]
    return [value(placed, "pod:streaming/tm-0", "write_ops") for placed in run.windows(numbers, rows)]


def every(step: float, start: float, stop: float, rate: float = 2.0) -> list[tuple[float, float]]:
    """Samples of a counter that grows by `rate` a second."""
    return [(start + i * step, rate * (start + i * step)) for i in range(int((stop - start) / step) + 1)]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(every(10, 0, 120), [2, 2], id="samples on both boundaries"),
        pytest.param(every(10, 5, 125), [None, 2], id="none before the first window"),
        pytest.param(every(10, -5, 125), [2, 2], id="bracketed from outside"),
        pytest.param(every(10, NS, 110 + NS), [None, None], id="opened a nanosecond late, never closed"),
        pytest.param(every(10, 0, 60 - NS), [None, None], id="closed a nanosecond early"),
        pytest.param(every(10, 0, 60), [2, None], id="closed by a sample at the very end"),
        pytest.param(every(60, -30, 150), [2, 2], id="one sample a window"),
    ],
)
def test_a_window_is_covered_when_samples_bracket_it(
    samples: list[tuple[float, float]], expected: list[float | None]
) -> None:
    assert rates(samples, [-1, 0, 1])[1:] == [pytest.approx(e) if e is not None else None for e in expected]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        pytest.param([], [2, 2, 2], id="none missing"),
        pytest.param([70], [2, 2, 2], id="one missing: twice the scrape"),
        pytest.param([70, 80], [2, None, 2], id="two missing: three times the scrape"),
        pytest.param([60, 50], [None, None, 2], id="a gap over a boundary spoils both"),
        pytest.param(range(60, 120, 10), [None, None, 2], id="a whole window"),
    ],
)
def test_a_gap_over_twice_the_scrape_is_missing_and_not_zero(missing: list[int], expected: list[float | None]) -> None:
    samples = [s for s in every(10, -60, 185) if s[0] not in missing]
    assert rates(samples, [-1, 0, 1, 2])[1:] == [pytest.approx(e) if e is not None else None for e in expected]


def test_rare_scrapes_are_known_in_the_window_before_each_and_in_all_of_their_size() -> None:
    rare = every(300, 10, 3100)
    assert rates(rare, list(range(15))) == 3 * [None, None, None, None, 2]
    bodies = by_window(message([point(COUNTER, TENANT, *sample) for sample in rare], window_ms=300_000))
    run = Run(Settings(window_ms=300_000, all_signals=True))
    assert [value(run.window(number, bodies), "pod:streaming/tm-0", "write_ops") for number in range(4)] == [
        None,  # since when the first counted is nobody's
        2,
        2,
        2,
    ]


@pytest.mark.parametrize(
    ("gap", "covered"),
    [pytest.param(20.0, True, id="exactly twice"), pytest.param(20.5, True, id="within the slack of a scrape"),
     pytest.param(20.5 + 1e-6, False, id="just over")],
)  # fmt: skip
def test_the_limit_of_a_gap(gap: float, covered: bool) -> None:
    samples = [(float(t), 2.0 * t) for t in range(-60, 21, 10)]
    samples += [(20 + gap + 10 * i, 2 * (20 + gap + 10 * i)) for i in range(10)]
    found = rates(samples, [-1, 0])[1]
    assert (found is not None) == covered


def test_a_reset_is_an_increase_from_zero() -> None:
    samples = [(t, 1000.0 + t) for t in range(0, 31, 10)] + [(40, 5.0), (50, 15.0), (60, 25.0), (70, 35.0)]
    # 30 until the reset, then 5, 10 and 10.
    assert rates(samples, [0]) == [pytest.approx((30 + 5 + 10 + 10) / 60)]


def test_an_increase_is_spread_between_samples() -> None:
    # 100 between 55 s and 65 s: half of it is each window's.
    samples = [(float(t), 0.0) for t in range(-5, 56, 10)] + [(float(t), 100.0) for t in range(65, 136, 10)]
    assert rates(samples, [-1, 0, 1])[1:] == [pytest.approx(50 / 60), pytest.approx(50 / 60)]


def test_a_counter_that_stands_still_is_zero() -> None:
    assert rates([(float(t), 7.0) for t in range(0, 71, 10)], [0]) == [0.0]


def test_the_closing_sample_comes_from_the_next_window_alone() -> None:
    samples = every(40, -20, 220)
    assert rates(samples, [-1, 0, 1, 2])[1:] == [pytest.approx(2)] * 3


def test_a_restored_state_goes_on_as_the_one_it_was_made_of() -> None:
    rows = [point(COUNTER, TENANT, s, v) for s, v in every(10, -5, 305)]
    bodies = by_window(message(rows))
    one, other = Run(), Run()
    for number in range(-1, 5):
        expected = one.window(number, bodies)
        other.restart()
        assert other.window(number, bodies) == expected


def test_a_scrape_that_slows_down_is_learned() -> None:
    samples = every(10, -300, 0) + every(30, 30, 900)
    found = rates(samples, list(range(-5, 14)))
    # Of five windows three are slow by then.
    assert [number - 5 for number, rate in enumerate(found) if rate is None] == [0, 1]
    assert found[-1] == pytest.approx(2)


def test_settings_say_how_long_a_gap_may_be() -> None:
    run = Run(Settings(all_signals=True, scrape_gap=4))
    samples = [s for s in every(10, -60, 125) if s[0] not in (70, 80)]
    placed = run.windows([-1, 0, 1], [point(COUNTER, TENANT, t, v) for t, v in samples])
    assert value(placed[2], "pod:streaming/tm-0", "write_ops") == pytest.approx(2)
