"""Event time: what may be late and what is, who holds whom back, and what a topic that stops may cost."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afoot.telemetry.rows import Message
from tests.jobs.support import OnKafka, Tables, balance, configure, gauge, replay, running, unasked_point, wait_for
from tests.servers.kafka import Kafka

START = datetime(2026, 1, 15, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
METRICS = "telemetry.metrics"
LATENESS_S = 30.0
YEAR_S = 365 * 86_400.0


def lag(offset: int, sent_s: float, measured_s: float, partition: int = 0, job: str = "j") -> Message:
    """A record sent at one time with a point of another, in seconds after the start."""
    value = gauge("write_lag_seconds", START_MS + round(measured_s * 1000), measured_s, job_name=job)
    return Message(METRICS, partition, offset, START_MS + round(sent_s * 1000), b"k", value)


def windows(tables: Tables) -> set[tuple[str, int]]:
    """The windows that have a signal: whose, and the second after the start at which they end."""
    return {(row[2], round((row[1] - START).total_seconds())) for row in tables["signals"]}


# A day a case: for each record its time and its point's time, in seconds after midnight. The first window ends at 60.
CASES = {
    "its window is about to close": [(0.0, 30.0), (59.999 + LATENESS_S, 59.0), (59.999 + LATENESS_S, 59.5)],
    "its window has closed": [(0.0, 30.0), (60.0 + LATENESS_S, 61.0), (60.0 + LATENESS_S, 59.5)],
    "its record was sent before others": [(0.0, 30.0), (600.0, 600.0), (50.0, 50.0)],
    "a point from next year": [(0.0, 30.0), (1.0, YEAR_S), (30.0, 31.0), (89.9, 65.0), (89.9, 59.5)],
    "a point from 1970": [(0.0, 30.0), (1.0, -START.timestamp()), (30.0, 31.0)],
}
DAYS = {name: number for number, name in enumerate(CASES)}
LATE = {  # the places in their cases of what is late
    "its window has closed": [2],
    "its record was sent before others": [2],
    "a point from 1970": [1],
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, int], Message], Tables]:
    """The records of all cases by case and place, and what a replay of them writes."""
    folder = tmp_path_factory.mktemp("event-time")
    sent = {}
    for name, records in CASES.items():
        midnight_s = DAYS[name] * 86_400.0
        for place, (at_s, measured_s) in enumerate(records):
            sent[name, place] = lag(len(sent), midnight_s + at_s, midnight_s + measured_s)
    end_ms = START_MS + len(CASES) * 86_400_000
    pusher = Message(METRICS, 0, len(sent), end_ms, None, unasked_point(end_ms))
    rows, _ = replay([*sent.values(), pusher], folder, configure(folder / "afoot.toml", topics=[METRICS]))
    return sent, rows


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_late_is_a_dead_letter_with_its_bytes_and_reason(
    cases: tuple[dict[tuple[str, int], Message], Tables], name: str
) -> None:
    sent, tables = cases
    day = (START + timedelta(days=DAYS[name])).strftime("%Y-%m-%d")
    letters = {row[2]: row for row in tables["dead_letters"] if row[-1] == day and "late" in row[6]}
    assert set(letters) == {sent[name, place].offset for place in LATE.get(name, [])}
    for place in LATE.get(name, []):
        message = sent[name, place]
        topic, partition, _, at, key, value, reason, _ = letters[message.offset]
        assert (topic, partition, key, value) == (METRICS, 0, b"k", message.value)
        assert round(at.timestamp() * 1000) == message.timestamp_ms
        begin = START + timedelta(days=DAYS[name], seconds=CASES[name][place][1] // 60 * 60)
        assert reason == f"1 points late: their window, from {begin:%Y-%m-%d %H:%M:%S} UTC, had closed"


@pytest.mark.slow
def test_a_point_from_next_year_is_refused_and_moves_no_time(
    cases: tuple[dict[tuple[str, int], Message], Tables],
) -> None:
    sent, tables = cases
    name = "a point from next year"
    (letter,) = [row for row in tables["dead_letters"] if row[2] == sent[name, 1].offset]
    assert letter[5] == sent[name, 1].value
    assert letter[6] == "event time is more than 60 s after the record's own time"
    # What was sent behind it is not late: there is no other dead letter of that day.
    assert [row[2] for row in tables["dead_letters"] if row[-1] == letter[-1]] == [letter[2]]


@pytest.mark.slow
def test_no_point_is_lost_at_a_window_s_edge(cases: tuple[dict[tuple[str, int], Message], Tables]) -> None:
    sent, tables = cases
    books = balance(tables["books"])
    late = sum(map(len, LATE.values()))
    assert {account: n for (counted, account), n in books.items() if counted == "points"} == {
        "windows": len(sent) - late - 1,
        "signals": len(sent) - late - 1,
        "late": late,
        "refused": 1,  # the point from next year
        "unasked": 1,  # the pusher's
    }


@pytest.mark.slow
def test_a_replay_finds_late_what_the_records_before_had_promised(tmp_path: Path) -> None:
    """Minutes pass in a batch of records, and both instances decode: neither has a say in it."""
    rng = random.Random(5)
    sent, expected, promised_s = [], [], 0.0
    for number in range(4_000):
        at_s = 2.0 * number
        measured_s = at_s - rng.choice([0.0, 0.0, 0.0, 20.0, 100.0, 600.0]) * rng.random()
        message = lag(number, at_s, max(0.0, round(measured_s, 3)), number % 4, f"j{number % 7}")
        if max(0.0, round(measured_s, 3)) // 60 * 60 + 60 <= promised_s:
            expected.append(message.value)
        promised_s = at_s - LATENESS_S
        sent.append(message)
    end_ms = START_MS + 86_400_000
    rows, _ = replay(
        [*sent, Message(METRICS, 0, len(sent), end_ms, None, unasked_point(end_ms))],
        tmp_path,
        configure(tmp_path / "afoot.toml", topics=[METRICS]),
    )
    assert 400 < len(expected) < 2_000
    assert sorted(row[5] for row in rows["dead_letters"]) == sorted(expected)
    books = balance(rows["books"])
    assert (books["points", "late"], books["points", "windows"]) == (len(expected), len(sent) - len(expected))


# ---- partitions, on Kafka -------------------------------------------------------------------------------------------

IDLE_S = 12
LAST_MIN = 60  # that the first partition has come to


def minutes(partition: int, first: int, last: int, offset: int = 0) -> list[Message]:
    """Two points a minute of a partition's own job, from the minute `first` to, and without, `last`."""
    times = [60.0 * minute + second for minute in range(first, last) for second in (5, 35)]
    return [lag(offset + n, at, at, partition, f"j{partition}") for n, at in enumerate(times)]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_slow_partition_holds_back_until_it_stops(kafka_server: Kafka, tmp_path: Path) -> None:
    job = OnKafka("slow", kafka_server, tmp_path, str(tmp_path), idle_after=f"{IDLE_S} s", topics=[METRICS])
    text = job.config.read_text("utf-8").replace("[lake]", "[lake]\nall_signals = true")
    job.config.write_text(text, "utf-8")
    unreadable = Message(METRICS, 0, 0, START_MS + LAST_MIN * 60_000, None, b"the end of the first partition")
    beat = Message(METRICS, 1, 0, START_MS + 5 * 60_000, None, unasked_point(START_MS + 5 * 60_000))
    job.send([*minutes(0, 0, LAST_MIN), unreadable, *minutes(1, 0, 5)])
    with running(job, tmp_path / "log") as process:

        def ended() -> bool:
            return process.poll() is not None

        # The first partition is read to its end, and the second one, which goes on at its fifth minute, holds it back.
        def heard() -> bool:
            job.send([beat])
            return ended() or bool(job.rows()["dead_letters"])

        wait_for("the first partition's end", heard)
        assert process.poll() is None, (tmp_path / "log").read_text()
        rows = job.rows()
        assert [row[5] for row in rows["dead_letters"]] == [unreadable.value]
        assert max((end_s for _, end_s in windows(rows)), default=0) <= 5 * 60

        # It catches up by half an hour: nothing is late.
        job.send(minutes(1, 5, 30))

        def caught_up() -> bool:
            return ended() or ("job:j1", 28 * 60) in windows(job.rows())

        wait_for("the second partition's minutes", caught_up)
        rows = job.rows()
        assert len(rows["dead_letters"]) == 1
        assert {end_s for entity, end_s in windows(rows) if entity == "job:j1"} >= {60 * n for n in range(1, 29)}

        # It stops. Time goes on without it, and what it sends then is too late, unless it is behind the others' time.
        wait_for("time that goes on", lambda: ended() or ("job:j0", (LAST_MIN - 3) * 60) in windows(job.rows()))
        too_late, in_time = minutes(1, 30, 32), minutes(1, LAST_MIN, LAST_MIN + 3)
        job.send([*too_late, *in_time])
        # As partitions do, it goes on. Where all were idle, event time may come back instance by instance: what the
        # last one has to say would come behind a watermark of the first, and wait for the next. A window that waits is
        # not told from one that was in time by this test; one that was dropped is.
        after_s = itertools.count((LAST_MIN + 3) * 60)

        def go_on() -> None:
            at_ms = START_MS + 1000 * next(after_s)
            job.send([Message(METRICS, 1, 0, at_ms, None, unasked_point(at_ms))])

        def in_time_heard() -> bool:
            go_on()
            return ended() or ("job:j1", (LAST_MIN + 1) * 60) in windows(job.rows())

        wait_for("what is in time", in_time_heard)

        # A dead letter comes at once and is booked when the window in which it came closes; and sinks do not commit a
        # checkpoint in one moment.
        def late_told() -> Tables | None:
            go_on()
            rows = job.rows()
            booked = balance(rows["books"]).get(("points", "late"), 0)
            return rows if ended() or (len(rows["dead_letters"]) >= 5 and booked >= len(too_late)) else None

        rows = wait_for("the late ones, and their books", late_told)
    late = [row for row in rows["dead_letters"] if "late" in row[6]]
    assert Counter(row[5] for row in late) == Counter(message.value for message in too_late)
    assert {row[1] for row in late} == {1}
    assert balance(rows["books"])["points", "late"] == len(too_late)
    assert not {30 * 60 + 60, 31 * 60 + 60} & {end_s for entity, end_s in windows(rows) if entity == "job:j1"}
