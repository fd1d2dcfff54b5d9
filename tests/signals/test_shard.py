"""A shard kept as parts: what comes back goes on as what was kept, and a window writes little."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.signals import Settings
from tests.signals.helpers import MINUTE, T0, Run, by_window, message, point, signal

SHORT = Settings(all_signals=True, series_retention_ms=20 * MINUTE, history_windows=30, min_history=3)
HOURS = 3


def coming_and_going(seed: int) -> dict[int, str]:
    """Blocks of some hours in which volumes come, fall silent and come back, and nothing is sent for some minutes."""
    rng = random.Random(seed)
    spans = []
    for number in range(rng.randint(1, 6)):
        for _ in range(rng.randint(1, 3)):
            first = rng.randrange(HOURS * 60)
            spans.append((number, first, first + rng.choice([3, 30, 90])))
    rows: list[Any] = []
    quiet = rng.randrange(HOURS * 60)
    for number, first, last in spans:
        for minute in range(first, min(last, HOURS * 60)):
            if quiet <= minute < quiet + 4:
                continue
            labels = {"svm": "svm1", "volume": f"v{number}"}
            rows.append(point("volume_total_ops", labels, 60 * minute + 5, rng.randrange(1000)))
    return by_window(message(rows))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(0, HOURS * 60), max_size=8))
def test_a_shard_that_is_restarted_goes_on_as_one_that_is_not(seed: int, restarts: set[int]) -> None:
    bodies = coming_and_going(seed)
    straight, other = Run(SHORT), Run(SHORT)
    for number in range(HOURS * 60):
        if T0 + number * MINUTE not in bodies:
            continue  # a shard without samples is not evaluated
        if number in restarts:
            other.restart()
        assert other.window(number, bodies) == straight.window(number, bodies)
        assert other.books == straight.books


def test_what_past_days_were_like_is_kept() -> None:
    seasonal = Settings(all_signals=True, history_windows=30, min_history=3, min_season_days=1)
    numbers = [day * 24 * 60 + minute for day in range(3) for minute in range(61)]
    values = [100 if n > 1440 and n % 1440 < 4 else 5 for n in numbers]
    labels = {"svm": "s", "volume": "v"}
    bodies = by_window(
        message([point("volume_total_ops", labels, 60 * n + 5, v) for n, v in zip(numbers, values, strict=True)])
    )
    straight, other = Run(seasonal), Run(seasonal)
    found = []
    for number in numbers:
        if number % 1440 == 0:
            other.restart()
        found.append(straight.window(number, bodies))
        assert other.window(number, bodies) == found[-1]
    said = signal(found[61 + 5], "volume:s/v", "total_ops")
    assert said is not None and said["expected"] == 5  # as in this hour of the day before, not as a minute ago


def test_a_shard_is_forgotten_where_it_is_kept_too() -> None:
    run = Run(SHORT)
    many = [
        point("volume_total_ops", {"svm": "s", "volume": f"v{v}"}, 60 * m + 5, m) for m in range(3) for v in range(50)
    ]
    lasting = [point("volume_total_ops", {"svm": "s", "volume": "v0"}, 60 * m + 5, m) for m in range(3, 60)]
    run.windows(range(60), [*many, *lasting])
    run.restart()
    assert len(run.state.definitions) == len(run.state.keys) == 1


def test_a_window_writes_little_of_what_is_kept() -> None:
    run = Run()
    rows = [
        point("volume_total_ops", {"svm": "s", "volume": f"v{v}"}, 60 * m + 5, m) for m in range(90) for v in range(200)
    ]
    bodies = by_window(message(rows))
    for number in range(88):
        run.window(number, bodies)
    before = dict(run.kept)
    run.window(88, bodies)
    written = sum(len(value) for name, value in run.kept.items() if before.get(name) != value)
    assert written < 0.15 * sum(map(len, run.kept.values()))


def test_a_shard_of_which_nothing_is_kept_is_new() -> None:
    run = Run()
    run.restart()
    assert run.state.window_ms is None and not run.state.definitions
    with pytest.raises(AssertionError):
        run.state.save(run.kept)  # nothing was evaluated: there is nothing to keep
