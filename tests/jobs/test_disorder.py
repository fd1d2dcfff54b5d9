"""Order of arrival within the lateness changes no row: the same messages, shuffled, give what they gave in order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from afoot.errors import DecodeError
from afoot.lake.layout import TABLES
from afoot.telemetry.formats import decoder
from afoot.telemetry.rows import FlowRecord, Message
from tests.jobs.conftest import Incident
from tests.jobs.support import KINDS, Tables, balance, by_time, replay

pytestmark = pytest.mark.slow
LATENESS_MS = 30_000  # of each topic of the incident
ROOM_MS = LATENESS_MS - 1_000


def oldest_ms(message: Message) -> float:
    """The oldest event time in a message; its own time where it holds none."""
    kind, form, _ = KINDS[message.topic]
    try:
        rows = decoder(form, kind)(message).rows
    except DecodeError:
        rows = []
    times = [row.end_ns if isinstance(row, FlowRecord) else row.time_ns for row in rows]
    return min([message.timestamp_ms, *(time / 1e6 for time in times)])


def shuffled(messages: list[Message], rng: random.Random) -> list[Message]:
    """The messages as they would have arrived with delays of their own, each still on time; keys keep their partitions.

    A log of commits has one order: the inventory keeps it.
    """
    arrivals: dict[tuple[str, int], list[tuple[float, Message]]] = {}
    for message in messages:
        room_ms = 0.0
        if message.topic != "inventory":
            room_ms = max(0.0, oldest_ms(message) + ROOM_MS - message.timestamp_ms)
        at = message.timestamp_ms + rng.uniform(0, room_ms)
        arrivals.setdefault(message[:2], []).append((at, message))
    return [
        message._replace(offset=offset)
        for partition in arrivals.values()
        for offset, (_, message) in enumerate(sorted(partition, key=lambda pair: pair[0]))
    ]


@pytest.fixture(scope="module")
def arrived(incident: Incident) -> list[Message]:
    """The incident's messages in another order."""
    return shuffled(by_time(incident.messages), random.Random(7))


@pytest.fixture(scope="module")
def disorder(arrived: list[Message], tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, list[Any]]:
    """What a replay makes of them."""
    return replay(arrived, tmp_path_factory.mktemp("disorder"))


def unnumbered(value: Any) -> Any:
    """Rows or alerts without the offsets of pointers, which number the order of arrival; what they point into stays."""
    if isinstance(value, dict):
        return {name: unnumbered(item) for name, item in value.items() if not name.endswith("_offset")}
    if isinstance(value, tuple) and len(value) == 4 and value[0] in KINDS:
        return value[:2]
    return type(value)(map(unnumbered, value)) if isinstance(value, list | tuple) else value


def test_the_order_is_another_one(incident: Incident, arrived: list[Message]) -> None:
    before = [message.value for message in sorted(incident.messages) if message.topic != "inventory"]
    after = [message.value for message in sorted(arrived) if message.topic != "inventory"]
    assert sorted(before, key=repr) == sorted(after, key=repr)
    assert sum(one != other for one, other in zip(before, after, strict=True)) > len(before) / 3


@pytest.mark.parametrize("table", ["findings", "evidence", "signals"])
def test_rows_are_equal(incident: Incident, disorder: tuple[Tables, list[Any]], table: str) -> None:
    found, wanted = disorder[0][table], incident.tables[table]
    assert len(wanted) > 10
    assert sorted(unnumbered(found), key=repr) == sorted(unnumbered(wanted), key=repr)


def test_alerts_are_equal(incident: Incident, disorder: tuple[Tables, list[Any]]) -> None:
    assert unnumbered(disorder[1]) == unnumbered(incident.alerts)


def test_nothing_is_late_and_the_books_agree(incident: Incident, disorder: tuple[Tables, list[Any]]) -> None:
    books = balance(disorder[0]["books"])
    assert ("points", "late") not in books
    assert books == balance(incident.tables["books"])


def test_evidence_points_at_the_same_messages(
    incident: Incident, arrived: list[Message], disorder: tuple[Tables, list[Any]]
) -> None:
    values = {message[:3]: message.value for message in incident.messages}
    offsets: dict[tuple[str, int, bytes | None], list[int]] = {}  # of a message that was sent twice, both
    for message in arrived:
        offsets.setdefault((message.topic, message.partition, message.value), []).append(message.offset)
    place = TABLES["evidence"].schema.names.index("pointers")
    found, wanted = (
        sorted(rows, key=lambda row: repr(unnumbered(row)))
        for rows in (disorder[0]["evidence"], incident.tables["evidence"])
    )
    checked = 0
    for row, other in zip(found, wanted, strict=True):
        for (topic, partition, first, last), (_, _, *ends) in zip(row[place], other[place], strict=True):
            for end in ends:
                there = offsets[topic, partition, values[topic, partition, end]]
                assert any(first <= offset <= last for offset in there), row
                checked += 1
    assert checked > 100
