"""Points on the edges of windows and of the skew, each just inside and outside; of the lateness: test_event_time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from afoot.telemetry.rows import Message
from tests.jobs.support import Tables, configure, gauge, replay

pytestmark = pytest.mark.slow
START = datetime(2026, 1, 15, tzinfo=UTC)
METRICS = "telemetry.metrics"
SKEW = 60.0  # seconds
# A day a case: for each record its time and its point's time, in seconds after midnight.
CASES = {
    "the window's last moment and the next one's first": [(60.0, 59.999), (60.0, 60.0)],
    "as far ahead as is allowed": [(10.0, 10.0 + SKEW)],
    "a millisecond further ahead": [(10.0, 10.001 + SKEW)],
}
DAYS = {name: day for day, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What a replay of all cases writes, with every signal kept."""
    folder = tmp_path_factory.mktemp("edges")
    messages = []
    for name, records in CASES.items():
        midnight_ms = round((START + timedelta(days=DAYS[name])).timestamp() * 1000)
        for sent, measured in records:
            value = gauge("write_lag_seconds", midnight_ms + round(measured * 1000), measured, job_name="j")
            sent_ms = midnight_ms + round(sent * 1000)
            messages.append(Message(METRICS, 0, len(messages), sent_ms, None, value))
    midnight_ms = round((START + timedelta(days=len(CASES))).timestamp() * 1000)
    messages.append(Message(METRICS, 0, len(messages), midnight_ms, None, gauge("nobody", midnight_ms, 1.0)))
    tombstone = Message("inventory", 0, 0, round(START.timestamp() * 1000) + 5_000, b'{"id":"vm:gone"}', None)
    messages.append(tombstone)
    config = configure(folder / "afoot.toml", topics=[METRICS, "inventory"], lake={"all_signals": True})
    rows, _ = replay(messages, folder, config)
    return rows


def booked(tables: Tables, name: str) -> dict[tuple[str, int], int]:
    """Points of a case by account and by the second of its day at which the window of the entry ends."""
    midnight = START + timedelta(days=DAYS[name])
    found: Counter[tuple[str, int]] = Counter()
    for as_of, _, counted, account, _, count, _ in tables["books"]:
        if counted == "points" and midnight <= as_of - timedelta(seconds=1) < midnight + timedelta(days=1):
            found[account, round((as_of - midnight).total_seconds())] += count
    return dict(found)


def letters(tables: Tables, name: str) -> list[str]:
    """The reasons of a case's dead letters."""
    day = (START + timedelta(days=DAYS[name])).strftime("%Y-%m-%d")
    return [row[6] for row in tables["dead_letters"] if row[-1] == day]


def test_a_window_ends_before_its_end(tables: Tables) -> None:
    found = booked(tables, "the window's last moment and the next one's first")
    assert {key: n for key, n in found.items() if key[0] == "signals"} == {("signals", 60): 1, ("signals", 120): 1}


def test_a_point_may_be_ahead_of_its_record_by_the_skew_and_no_more(tables: Tables) -> None:
    assert letters(tables, "as far ahead as is allowed") == []
    assert booked(tables, "as far ahead as is allowed")["signals", 120] == 1
    (reason,) = letters(tables, "a millisecond further ahead")
    assert "after the record's own time" in reason
    assert not [account for account, _ in booked(tables, "a millisecond further ahead") if account == "signals"]


def test_a_tombstone_that_comes_before_any_time_is_booked_by_its_record(tables: Tables) -> None:
    booked = [(row[0], row[2:6]) for row in tables["books"] if row[1] == "inventory"]
    assert booked == [(START + timedelta(minutes=1), ("messages", "decoded", None, 1))]
