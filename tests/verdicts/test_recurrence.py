"""Period and phase: found in the data, whatever jitter, skipped runs and noise there are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.verdicts.recurrence import Recurrence, find_recurrence
from afoot.verdicts.rules import shipped_rules
from afoot.verdicts.words import beat
from tests.verdicts.world import DAY, HOUR, MINUTE

RULE = shipped_rules().recurrence


def minutes(*onsets: int) -> list[int]:
    return [DAY + onset * MINUTE for onset in onsets]


def find(*onsets: int) -> Recurrence | None:
    return find_recurrence(minutes(*onsets), MINUTE, RULE)


def period_and_phase(found: Recurrence | None) -> tuple[float, float] | None:
    return (found.period_ms / MINUTE, found.phase_ms / MINUTE) if found else None


@pytest.mark.parametrize(
    ("onsets", "expected"),
    [
        pytest.param((40, 100, 160), (60, 40), id="three hourly runs"),
        pytest.param((40, 100), None, id="two are no recurrence"),
        pytest.param((), None, id="none"),
        pytest.param((40, 100, 220, 280, 400), (60, 40), id="two skipped"),
        pytest.param((40, 100, 100, 160, 220, 280), (60, 40), id="two at once"),
        pytest.param((40, 55, 100, 160, 171, 220, 280), (60, 40), id="two that do not belong"),
        pytest.param((10, 25, 40, 55, 70), (15, 10), id="every quarter of an hour"),
        pytest.param((120, 120 + 1440, 120 + 2880), (1440, 120), id="daily"),
        pytest.param((0, 47, 94, 141, 188), (47, None), id="a period that no cron would have"),
        pytest.param((3, 90, 101, 290, 340, 700), None, id="no beat at all"),
        pytest.param(
            (0, 120, 240, 360, 480, 540, 660, 780, 900), (120, 60), id="every two hours, and a clock put forward"
        ),
        pytest.param((0, 60, 120, 180, 240, 360, 480), (60, 0), id="two skipped in a row of late"),
        pytest.param((0, 50, 105, 157, 209, 255, 303, 343, 408), None, id="about every fifty minutes, by no clock"),
        pytest.param((0, 30, 77), None, id="three at unequal distances"),
        pytest.param((0, 30, 90), None, id="three, one of them skipped or not: chance would do as well"),
        pytest.param((0, 30, 90, 120), (30, 0), id="four with one skipped"),
    ],
)
def test_found(onsets: tuple[int, ...], expected: tuple[int, int | None] | None) -> None:
    found = period_and_phase(find(*onsets))
    if expected is None or found is None:
        assert found == expected
    else:
        assert found[0] == expected[0]
        assert expected[1] is None or found[1] == expected[1]


@pytest.mark.parametrize(("odd", "is_found"), [(6, True), (7, False)])
def test_three_fifths_of_the_runs_must_be_on_the_beat(odd: int, is_found: bool) -> None:
    beat_of_ten = range(0, 600, 60)
    off = (13, 85, 146, 218, 263, 341, 385)[:odd]
    found = find(*sorted((*beat_of_ten, *off)))
    assert (found is not None and found.period_ms == HOUR) == is_found


@pytest.mark.parametrize("seed", range(4))
def test_runs_at_random_hardly_ever_have_a_beat_however_often_one_looks(seed: int) -> None:
    rnd = random.Random(seed)
    claimed = 0
    for _ in range(30):
        onsets = [DAY]
        while len(onsets) < 10:
            onsets.append(onsets[-1] + round(12 + rnd.expovariate(1 / 60)) * MINUTE)
        claimed += any(find_recurrence(onsets[:count], MINUTE, RULE) for count in range(3, 11))
    assert claimed <= 30 * 2 / RULE.odds  # twice what is allowed of 30


def test_phase_is_utc_epoch_modulo_the_period() -> None:
    found = find(40, 100, 160)
    assert found is not None and found.phase_ms == (DAY + 40 * MINUTE) % HOUR
    assert found.next_after(DAY + 160 * MINUTE) == DAY + 220 * MINUTE
    assert found.nearest(DAY + 183 * MINUTE) == DAY + 160 * MINUTE
    assert found.nearest(DAY + 195 * MINUTE) == DAY + 220 * MINUTE


@settings(max_examples=60, deadline=None)
@given(
    period=st.sampled_from([15, 20, 30, 60, 90, 120, 360, 1440]),
    runs=st.integers(6, 30),
    seed=st.integers(0, 10_000),
)
def test_found_through_jitter_and_skipped_runs(period: int, runs: int, seed: int) -> None:
    rnd = random.Random(seed)
    phase, jitter = rnd.randrange(period), min(3, period // 20)
    numbers = sorted({0, runs - 1, *rnd.sample(range(runs), max(4, runs - runs // 5))})
    onsets = [DAY + (phase + number * period + rnd.randint(0, jitter)) * MINUTE for number in numbers]
    found = find_recurrence(onsets, MINUTE, RULE)
    assert found is not None
    assert found.period_ms / MINUTE == pytest.approx(period, abs=max(1, 2 * jitter) / (runs - 1) * 2)
    last = onsets[-1]
    assert abs(found.nearest(last) - last) <= (jitter + 1) * MINUTE


@settings(max_examples=40, deadline=None)
@given(runs=st.integers(12, 30), seed=st.integers(0, 10_000))
def test_found_among_runs_that_do_not_belong(runs: int, seed: int) -> None:
    rnd = random.Random(seed)
    onsets = {DAY + (40 + number * 60 + rnd.randint(0, 2)) * MINUTE for number in range(runs)}
    onsets |= {DAY + rnd.randrange(40, 60 * runs) * MINUTE for _ in range(runs // 5)}
    found = find_recurrence(sorted(onsets), MINUTE, RULE)
    assert found is not None
    assert found.period_ms == pytest.approx(HOUR, rel=0.01)
    assert min(abs(found.phase_ms - 41 * MINUTE), HOUR - abs(found.phase_ms - 41 * MINUTE)) <= 4 * MINUTE


def test_order_of_the_same_onsets_does_not_matter_and_old_ones_are_dropped() -> None:
    onsets = minutes(*range(40, 40 + 60 * 300, 60))
    found = find_recurrence(onsets, MINUTE, RULE)
    assert found is not None and found.runs == RULE.onsets
    assert found.period_ms == HOUR


@pytest.mark.parametrize(
    ("period", "phase", "said"),
    [
        (60, 40, "hourly at :40"),
        (1440, 125, "daily at 02:05 UTC"),
        (10080, 4 * 1440 + 60, "weekly on Monday at 01:00 UTC"),
        (15, 5, "every 15 min from :05"),
        (240, 30, "every 4 h from 00:30 UTC"),
        (47, 3, "every 47 min"),
    ],
)
def test_said(period: int, phase: int, said: str) -> None:
    assert beat(Recurrence(period * MINUTE, phase * MINUTE, 3, 3)) == said
