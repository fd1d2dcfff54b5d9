"""What is expected: of little history, of bumps that come back, of daily curves, of lasting steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import UsageError
from afoot.signals import Settings
from afoot.signals.baselines import Expected, History, levels, medians

MINUTE = 60_000
DAY = 24 * 60
NONE = math.nan


class One:
    """The history of one row, window by window."""

    def __init__(self, settings: Settings | None = None, floor: float = 0.1, up: bool = False) -> None:
        self.history = History(settings or Settings())
        self.history.grow(1)
        self.history.up[:] = up
        self.floor = np.array([floor])

    def window(self, number: int, value: float) -> Expected:
        """Expected of `value` in the window of this number since the epoch; then it is history."""
        self.history.advance(number * MINUTE)
        values = np.array([value])
        expected = self.history.expect(np.array([0]), values, self.floor)
        self.history.record(values)
        return expected


def test_nothing_is_expected_without_enough_history() -> None:
    one = One()
    for number in range(10):
        expected = one.window(number, 5.0)
        assert math.isnan(expected.value[0])
        assert math.isnan(expected.spread[0])
        assert expected.windows[0] == number
    assert one.window(10, 5.0).value[0] == 5.0


def test_gaps_are_no_history() -> None:
    one = One()
    for number in range(0, 30, 3):
        one.window(number, 5.0 if number % 2 else NONE)
    assert one.window(30, 5.0).windows[0] == 5
    assert math.isnan(one.window(31, 5.0).value[0])


def test_a_gap_longer_than_the_history_empties_it() -> None:
    one = One()
    for number in range(120):
        one.window(number, 5.0)
    assert one.window(119 + 500, 5.0).windows[0] == 0


@pytest.mark.parametrize("minutes", [6, 12, 20])
def test_a_bump_in_each_hour_never_becomes_what_is_expected(minutes: int) -> None:
    one = One()
    for number in range(12 * 60):
        bump = 40 <= number % 60 < 40 + minutes
        expected = one.window(number, 100.0 if bump else 2.0 + 0.1 * (number % 3))
        if number >= 60:
            assert expected.value[0] == pytest.approx(2.1, abs=0.11)
            assert expected.spread[0] < 1


def raised(number: int, minutes: int) -> bool:
    """Whether a window is in a run of so many minutes in each hour."""
    return number % 60 >= 60 - minutes


@pytest.mark.parametrize("minutes", [25, 35, 48])
def test_what_strays_up_for_most_of_each_hour_is_not_expected(minutes: int) -> None:
    one, other = One(up=True), One()
    for number in range(6 * 60):
        value = 100.0 if raised(number, minutes) else 2.0 + 0.1 * (number % 3)
        expected, held = one.window(number, value), other.window(number, value)
        if number >= 60:
            assert expected.value[0] == pytest.approx(2.1, abs=0.11)
            assert expected.spread[0] < 1
        if number >= 120 and minutes > 30:
            assert held.value[0] == 100.0  # of what strays both ways, that is the level


def test_hours_are_remembered_without_what_strayed_up() -> None:
    one = One(up=True)
    for number in range(3 * DAY):
        expected = one.window(number, 100.0 if raised(number, 40) else 2.0)
        assert number < 60 or expected.value[0] == 2.0
    assert one.history.season()[0] == 2.0


def test_a_lasting_step_up_becomes_the_new_normal_in_a_hundred_minutes() -> None:
    one = One(up=True)
    for number in range(120):
        one.window(number, 10.0)
    found = [one.window(120 + i, 40.0).value[0] for i in range(105)]
    assert found[95] == 10.0
    assert found[-1] == 40.0


def test_a_fall_is_expected_as_soon_as_of_any_other_signal() -> None:
    one, other = One(up=True), One()
    for number in range(240):
        value = 40.0 if number < 120 else 10.0
        found, held = one.window(number, value).value[0], other.window(number, value).value[0]
        assert found <= held or math.isnan(found)


def test_a_few_windows_say_nothing_of_most_of_the_time() -> None:
    one = One(up=True)
    for number in range(59):
        one.window(number, 100.0 if number >= 20 else 2.0)
    assert one.window(59, 100.0).value[0] == 100.0
    assert one.window(60, 100.0).value[0] == 2.0


NOISE = {
    "normal": lambda rng, shape: rng.normal(5, 1, shape),
    "uniform": lambda rng, shape: rng.uniform(0, 10, shape),
    "exponential": lambda rng, shape: rng.exponential(5, shape),
    "lognormal": lambda rng, shape: np.exp(rng.normal(0, 1, shape)),
    "a sawtooth": lambda rng, shape: np.linspace(0, 7, shape[1]) % 1 + 0.05 * rng.random(shape),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(("windows", "few"), [(60, 0.015), (120, 0.001)])
def test_of_noise_the_median_is_expected_whichever_way_it_strays(noise: str, windows: int, few: float) -> None:
    values = NOISE[noise](np.random.default_rng(1), (2000, windows)).astype(np.float32)
    both, up = levels(values, np.zeros(2000, np.bool_)), levels(values, np.ones(2000, np.bool_))
    assert np.mean(both[0] != up[0]) <= few


def test_a_lasting_step_becomes_the_new_normal_in_an_hour_or_so() -> None:
    one = One()
    for number in range(120):
        one.window(number, 10.0)
    found = [one.window(120 + i, 20.0).value[0] for i in range(70)]
    assert found[30] == 10.0
    assert found[-1] == 20.0


def load(minute: int) -> float:
    """A day's load curve: between 100 at night and 300 by day."""
    return 200 - 100 * math.cos(2 * math.pi * (minute % DAY) / DAY)


@pytest.mark.parametrize(("ends", "level"), [(True, 0.0), (False, math.nan)])
def test_what_is_only_there_while_it_runs_did_nothing_before(ends: bool, level: float) -> None:
    history = History(Settings())
    history.grow(2)
    for number in range(12):
        history.advance(number * MINUTE)
        if number != 5:  # when nobody spoke, nothing is known of it either
            history.record(np.array([7.0, math.nan]))
    history.advance(12 * MINUTE)
    expected = history.expect(np.array([1]), np.array([900.0]), np.array([0.5]), np.array([ends]))
    np.testing.assert_array_equal(expected.value, [level])
    assert expected.windows[0] == (11 if ends else 0)


def test_a_daily_curve_is_expected_once_two_days_are_known() -> None:
    one = One(floor=1.0)
    errors: dict[int, list[float]] = {}
    for minute in range(4 * DAY):
        value = load(minute)
        expected = one.window(minute, value)
        if minute >= 60:
            errors.setdefault(minute // DAY, []).append(abs(value - expected.value[0]) / expected.spread[0])
    assert max(errors[3]) < 3
    assert max(errors[3]) < max(errors[1])


def test_an_hour_long_job_each_night_does_not_become_what_is_expected() -> None:
    one = One(floor=1.0)
    for minute in range(5 * DAY):
        at_night = 120 <= minute % DAY < 180
        expected = one.window(minute, 1000.0 if at_night else 100.0)
        if minute > 60 and minute % DAY < 175:
            assert expected.value[0] == pytest.approx(100)


def test_hours_of_long_ago_say_nothing() -> None:
    one = One()
    for minute in range(3 * DAY):
        one.window(minute, load(minute))
    assert not math.isnan(one.history.season()[0])
    one.window(30 * DAY, 5.0)
    assert math.isnan(one.history.season()[0])


@pytest.mark.parametrize(("present", "told"), [(29, False), (30, True)])
def test_an_hour_is_remembered_by_half_of_its_windows(present: int, told: bool) -> None:
    one = One()
    for minute in range(2 * DAY):
        one.window(minute, 5.0 if minute % 60 < present else NONE)
    one.window(2 * DAY, 5.0)
    assert math.isnan(one.history.season()[0]) is not told


def test_a_spread_has_floors() -> None:
    for value, floor, spread in ((0.0, 0.5, 0.5), (100.0, 0.5, 5.0), (-100.0, 0.5, 5.0)):
        one = One(floor=floor)
        for number in range(20):
            found = one.window(number, value)
        assert found.spread[0] == pytest.approx(spread)


def test_the_spread_is_the_usual_deviation() -> None:
    rng = np.random.default_rng(1)
    one = One(floor=1e-6)
    for number in range(121):
        found = one.window(number, rng.normal(50, 7))
    assert found.spread[0] == pytest.approx(7, rel=0.25)


def test_rows_grow_and_go() -> None:
    history = History(Settings(min_history=2))
    history.grow(2)
    for number in range(3):
        history.advance(number * MINUTE)
        history.record(np.array([1.0, 2.0]))
    history.grow(3)
    history.advance(3 * MINUTE)
    history.record(np.array([1.0, 2.0, 3.0]))
    history.keep(np.array([1, 2]))
    history.advance(4 * MINUTE)
    expected = history.expect(np.array([1, 0]), np.array([9.0, 9.0]), np.array([0.1, 0.1]))
    assert expected.windows.tolist() == [1, 4]
    assert expected.value[1] == 2.0


def test_a_restored_history_goes_on() -> None:
    one, other = One(), One()
    for minute in range(2 * DAY + 100):
        one.window(minute, load(minute))
        other.window(minute, load(minute))
    held = other.history
    assert held.number is not None
    other.history = History.restore(
        held.settings, len(held), held.number, held.days.copy(), list(held.columns(None)), held.hours
    )
    for minute in range(2 * DAY + 100, 2 * DAY + 170):
        assert one.window(minute, 7.0) == other.window(minute, 7.0)


def test_history_does_not_go_back() -> None:
    one = One()
    one.window(5, 1.0)
    with pytest.raises(ValueError, match="does not come after"):
        one.window(5, 1.0)


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32) | st.just(math.nan), min_size=5, max_size=5), min_size=1))
def test_medians_are_numpys(rows: list[list[float]]) -> None:
    values = np.array(rows, np.float32)
    found, count = medians(values)
    for row, median, n in zip(values, found, count, strict=True):
        there = row[~np.isnan(row)]
        assert n == len(there)
        assert (math.isnan(median) and not len(there)) or median == pytest.approx(np.median(there), rel=1e-5, abs=1e-3)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(UsageError, match="window_ms: found 0; at least 1000"):
        Settings(window_ms=0)
    with pytest.raises(UsageError, match="min_history: found 200"):
        Settings(min_history=200)
