"""Bad input among good: the finding stays what it is, each bad message meets its fate, and the books balance."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from afoot.casefile.case import load_case
from afoot.casefile.page import render_page
from afoot.errors import DecodeError
from afoot.lake.layout import TABLES
from afoot.lake.query import open_lake
from afoot.simulate.damage import DAMAGES, HOSTILE_ID, Damage, Injected, damage
from afoot.simulate.inventory import envelope
from afoot.simulate.world import relation
from afoot.telemetry.formats import decoder
from afoot.telemetry.rows import Decoded, Message
from tests.jobs.conftest import Incident
from tests.jobs.support import KINDS, Tables, balance, by_time, gauge, pushers, replay

pytestmark = pytest.mark.slow
SAID = {  # what a dead letter's reason says of each kind of bad message, to somebody who has to find its sender
    "truncated gzip": "gzip data ends after 13 bytes",
    "broken JSON": "not JSON: unexpected end of data: line 1 column",
    "not UTF-8": "byte 0xff at position 20 is not UTF-8",
    "another topic's message": "'resourceMetrics'|keys 'after', 'before'",
    "an array of numbers": "found an array; an object with 'resourceMetrics' is expected",
    "attributes that are no JSON": "entity.attributes is not JSON",
    "NaN": "metric 'write_lag_seconds' point 0: asDouble is 'NaN'; finite numbers only",
    "Infinity": "metric 'write_lag_seconds' point 0: asDouble is 'Infinity'; finite numbers only",
    "10^400": "metric 'write_lag_seconds' point 0: asDouble is inf; finite numbers only",
    "next year": "event time is more than 60 s after the record's own time",
    "the year 1970": "1 points late: their window, from 1970-01-02 00:00:00 UTC, had closed",
    "nothing": "the message is empty",
    "no value": r"the message has no value \(a tombstone\)",
    "more than a message may hold": "16777217 bytes; at most 16777216 are",
}
MORE = bytes(range(256)) * 65_536 + b"\x1f"
ODD_SIZES = (  # whose bytes, or none, have to come out as they were
    Damage("nothing", "telemetry.metrics", "dead", lambda at: (b"", b"")),
    Damage("no value", "telemetry.metrics", "dead", lambda at: (b"\x00\xff", None)),
    Damage("more than a message may hold", "telemetry.metrics", "dead", lambda at: (b"\x1f", MORE)),
)
REPEAT = 2


@dataclass(frozen=True)
class Damaged:
    """The incident with bad messages among its own, what they were, and what a replay made of them."""

    messages: list[Message]
    injected: list[Injected]
    pushed: int
    lake: Path
    tables: Tables
    alerts: list[Any]

    def at(self, one: Injected) -> Message:
        """The message that was injected."""
        return self.by_place[one.topic, one.partition, one.offset]

    @property
    def by_place(self) -> dict[tuple[str, int, int], Message]:
        return {(m.topic, m.partition, m.offset): m for m in self.messages}


@pytest.fixture(scope="module")
def damaged(incident: Incident, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """Every kind of damage, and a tenant of the victim's volume whose id is hostile: it is heard with all others."""
    attached = relation(HOSTILE_ID, incident.tables["findings"][0][17], "attached_to")
    tenant = Damage(
        "a hostile tenant", "inventory", "kept", lambda at: (None, envelope("relation", {**attached}, "c", at))
    )
    first_type = Damage(  # the series of "a changed type", as it is before and after
        "the type before",
        "telemetry.metrics",
        "kept",
        lambda at: (None, gauge("write_lag_seconds", at, 3.5, job_name="j")),
    )
    damages = (*DAMAGES, *ODD_SIZES, tenant, first_type)
    bad, injected = damage(by_time(incident.recorded), seed=3, repeat=REPEAT, damages=damages)
    pushed = pushers(bad)
    folder = tmp_path_factory.mktemp("damaged") / "with a space, é and %20"
    rows, alerts = replay(bad + pushed, folder)
    return Damaged(bad + pushed, injected, len(pushed), folder / "lake", rows, alerts)


def undamaged(damaged: Damaged, value: Any) -> Any:
    """Rows or alerts with the offsets of pointers as they were before; an injected one gets the one before."""
    injected = {(one.topic, one.partition, one.offset) for one in damaged.injected}
    before: dict[tuple[str, int, int], int] = {}
    counts: Counter[tuple[str, int]] = Counter()
    for place in sorted(damaged.by_place):
        counts[place[:2]] += place not in injected
        before[place] = max(0, counts[place[:2]] - 1)

    def back(value: Any) -> Any:
        if isinstance(value, dict) and "first_offset" in value:
            place = value["topic"], value["partition"]
            return {**value, **{name: before[*place, value[name]] for name in ("first_offset", "last_offset")}}
        if isinstance(value, dict):
            return {name: back(item) for name, item in value.items()}
        if isinstance(value, tuple) and value[:3] in before:
            topic, partition, first, last = value
            return topic, partition, before[topic, partition, first], before[topic, partition, last]
        return type(value)(map(back, value)) if isinstance(value, list | tuple) else value

    return back(value)


def test_the_finding_is_what_it_is_without_the_damage(incident: Incident, damaged: Damaged) -> None:
    assert damaged.tables["findings"] == incident.tables["findings"]
    assert damaged.tables["signals"] == incident.tables["signals"]
    entity = TABLES["evidence"].schema.names.index("entity")
    evidence = undamaged(damaged, [row for row in damaged.tables["evidence"] if row[entity] != HOSTILE_ID])
    assert evidence == incident.tables["evidence"]
    alerts = undamaged(damaged, damaged.alerts)
    for alert in alerts:
        alert["suspects"] = [suspect for suspect in alert["suspects"] if suspect["entity"] != HOSTILE_ID]
    assert alerts == incident.alerts


def test_a_tenant_without_data_is_heard_and_neither_accused_nor_cleared(damaged: Damaged) -> None:
    names = TABLES["evidence"].schema.names
    rows = [dict(zip(names, row, strict=True)) for row in damaged.tables["evidence"]]
    verdicts = {row["verdict"] for row in rows if row["entity"] == HOSTILE_ID}
    assert verdicts == {"unknown"}
    (heard,) = [suspect for suspect in damaged.alerts[0]["suspects"] if suspect["entity"] == HOSTILE_ID]
    assert heard["verdict"] == "unknown"


def test_what_cannot_be_taken_is_kept_whole_and_says_why(damaged: Damaged) -> None:
    rows = {row[:3]: row for row in damaged.tables["dead_letters"]}
    places = damaged.by_place
    wanted = [one for one in damaged.injected if one.name in SAID]
    assert len(wanted) >= REPEAT * len(SAID)
    for one in wanted:
        _, _, _, at, key, value, reason, _ = rows.pop((one.topic, one.partition, one.offset))
        message = places[one.topic, one.partition, one.offset]
        assert (round(at.timestamp() * 1000), key, value) == (message.timestamp_ms, message.key, message.value), one
        assert re.search(SAID[one.name], reason), (one, reason)
    # Nothing else is there but the records behind the end, some of which cannot be read.
    assert {places[place].value for place in rows} == {b"{}"}


def test_messages_in_are_decoded_or_dead_letters(damaged: Damaged) -> None:
    totals = balance(damaged.tables["books"])
    unreadable = sum(one.fate == "dead" for one in damaged.injected)
    assert totals["messages", "decoded"] + totals["messages", "dead_letters"] == len(damaged.messages)
    # A log record without its time is dead, a flow without its start is a row that is refused.
    logs = sum(message.value == b"{}" and "logs" in message.topic for message in damaged.messages)
    assert totals["messages", "dead_letters"] == unreadable + logs


def decoded(message: Message) -> Decoded:
    """The rows of a message, none where it cannot be read."""
    kind, form, _ = KINDS[message.topic]
    try:
        return decoder(form, kind)(message)
    except DecodeError:
        return Decoded([], [])


def points(messages: list[Message]) -> int:
    """The rows of messages, those included that have to be refused."""
    found = [decoded(message) for message in messages]
    return sum(len(one.rows) + len(one.refused) for one in found)


def test_points_in_are_in_one_account_each(incident: Incident, damaged: Damaged) -> None:
    for messages, books in (
        (incident.messages, incident.tables["books"]),
        (damaged.messages, damaged.tables["books"]),
    ):
        totals = Counter({account: n for (counted, account), n in balance(books).items() if counted == "points"})
        assert sum(totals[name] for name in ("windows", "unasked", "change", "refused", "late")) == points(messages)
        assert totals["windows"] == sum(totals[name] for name in ("signals", "duplicates", "undefined", "open"))


def test_each_bad_point_is_in_the_account_that_it_belongs_to(incident: Incident, damaged: Damaged) -> None:
    after, before = Counter(balance(damaged.tables["books"])), Counter(balance(incident.tables["books"]))
    named = Counter(one.name for one in damaged.injected)
    after.subtract(before)
    more = {account: n for (counted, account), n in after.items() if counted == "points" and n}
    twice = points([damaged.at(one) for one in damaged.injected if one.name == "a duplicate"])
    assert more.pop("windows") == more["signals"] + more["duplicates"]
    assert more.pop("refused") == sum(named[name] for name in ("NaN", "Infinity", "10^400", "next year"))
    assert more.pop("late") == named["the year 1970"]
    assert more.pop("signals") == sum(named[name] for name in ("a changed type", "the type before", "a hostile label"))
    assert more.pop("change") == sum(one.topic == "inventory" and one.fate == "kept" for one in damaged.injected)
    assert more.pop("duplicates") + more.pop("unasked") == twice
    assert not more


def test_the_page_of_the_case_shows_the_hostile_id_and_does_not_obey_it(damaged: Damaged) -> None:
    page = render_page(load_case(open_lake(str(damaged.lake)), damaged.tables["findings"][0][0]))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "\u202e" not in page and "\x00" not in page


def test_each_row_and_alert_with_the_hostile_id_is_one_line_of_json(damaged: Damaged) -> None:
    assert HOSTILE_ID in {suspect["entity"] for alert in damaged.alerts for suspect in alert["suspects"]}
    lines = (damaged.lake.parent / "alerts.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == damaged.alerts
