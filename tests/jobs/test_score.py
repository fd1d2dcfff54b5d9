"""Which windows of a shard are evaluated, and when."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from afoot.config import load_config
from afoot.telemetry.rows import Stats
from jobs.findings.score import ScoreAndPlace
from tests.jobs.state import State
from tests.signals.helpers import MINUTE, T0, by_window, message, point

KEY = 7


class Timers(set[int]):
    """Event-time timers of one key."""

    def __init__(self) -> None:
        super().__init__()
        self.watermark = 0

    def register_event_time_timer(self, at_ms: int) -> None:
        self.add(at_ms)

    def current_watermark(self) -> int:
        return self.watermark


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a shard through its blocks; the minutes of the windows that were evaluated. A restart may be in between."""
    monkeypatch.setattr("jobs.findings.score.prepare_worker", lambda: None)
    config = replace(load_config(None), all_signals=True)

    def run(rows: list[Any], until: int, restart: int | None = None) -> list[int]:
        bodies, timers, broadcast = by_window(message(rows)), Timers(), State()
        states: dict[str, State] = {"pending": State(), "shard": State()}
        for state in states.values():
            state.remove = state.pop  # type: ignore[attr-defined]

        def opened() -> ScoreAndPlace:
            scorer = ScoreAndPlace(config)
            scorer.open(SimpleNamespace(get_map_state=lambda descriptor: states[descriptor.name]))
            return scorer

        def context(at_ms: int) -> Any:
            return SimpleNamespace(
                timestamp=lambda: at_ms,
                timer_service=lambda: timers,
                get_current_key=lambda: KEY,
                get_broadcast_state=lambda _: broadcast,
            )

        scorer, found = opened(), []
        for minute in range(until):
            start = T0 + minute * MINUTE
            if minute == restart:
                scorer = opened()
            if start in bodies:
                value = {"points": 1, "bodies": bodies[start], "unasked": None}
                assert not list(scorer.process_element(value, context(start + MINUTE - 1)))
            timers.watermark = start + MINUTE - 1
            for at_ms in sorted(at_ms for at_ms in timers if at_ms <= timers.watermark):
                timers.remove(at_ms)
                for row in scorer.on_timer(at_ms, context(at_ms)):
                    found.append((row[0] - MINUTE - T0) // MINUTE)
        return found

    return run


def sums(minutes: list[int]) -> list[Any]:
    return [
        point("VolumeWriteOps", {"VolumeId": "v"}, 60 * minute, 9, "gauge", Stats(1, 9, 9, 9, 0)) for minute in minutes
    ]


def test_a_window_is_evaluated_with_the_next_one(evaluated: Any) -> None:
    rows = [point("write_lag_seconds", {"job_name": "j"}, 60 * minute + 5, 1.0) for minute in (0, 1, 5, 6)]
    assert evaluated(rows, 12) == [0, 1, 4, 5, 6]  # and what is right before samples, as these may close it


@pytest.mark.parametrize("restart", [None, 13])
def test_what_covers_five_minutes_is_evaluated_in_each(evaluated: Any, restart: int | None) -> None:
    found = evaluated(sums([0, 5, 10, 15]), 30, restart)
    # The period is known from the third value on; the last one reaches to minute 20.
    assert found == [0, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
