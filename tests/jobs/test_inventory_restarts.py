"""The inventory in the job, restarted at any place: what it holds is what it would hold without a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from jobs.findings.inventory import InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR
from tests.jobs.state import State

IDS = ("pod:a", "pod:b", "pod:c")
TABLES = ("entity", "schedule")
SHORT, LONG = 6_000, 10**9  # ms that rows hold: a few acts, or longer than a test

Act = tuple[Any, ...]
Sent = tuple[str, InventoryChange]  # a change, and the topic that it is in

# What senders do, in words: the topic, a table, then ids that a reading shows, or an id that is changed or deleted. A
# reading that is broken off lacks its end. Those that repeat themselves say who they are, and how long it holds.
_topics = st.sampled_from(("cmdb", "kubernetes"))
_tables = st.sampled_from(TABLES)
_ids = st.sampled_from(IDS)
_shown = st.lists(_ids, min_size=1, unique=True)
_senders = st.sampled_from(("", "one", "other"))
_others = st.none() | st.lists(_ids, max_size=2, unique=True)
_holds = st.sampled_from((None, SHORT, LONG))
_acts = st.one_of(
    st.tuples(st.just("read"), _topics, _tables, _shown),
    st.tuples(st.just("break off"), _topics, _tables, _shown),
    st.tuples(st.just("poll"), _topics, _tables, _shown),
    st.tuples(st.just("change"), _topics, _tables, _ids),
    st.tuples(st.just("repeat"), _topics, _tables, _ids),
    st.tuples(st.just("delete"), _topics, _tables, _ids),
    st.tuples(st.just("truncate"), _topics, _tables),
    st.tuples(st.just("heartbeat"), _topics),
    st.tuples(st.just("end"), _topics),
    st.tuples(st.just("say"), _topics, _senders, _holds, _ids, _others, st.none() | _ids),
    st.tuples(st.just("relate"), _topics, _senders, _holds, _ids, _ids, st.booleans()),
)
_many = st.lists(_acts, min_size=1, max_size=14)
_cuts = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def row(table: str, one: str) -> dict[str, Any]:
    return {"id": one, "name": one} if table == "entity" else {"id": one, "entity_id": "a", "expression": "1 * * * *"}


def changes_of(acts: list[Act], short_ms: int = SHORT) -> list[Sent]:
    """What the acts send, each at a time of its own."""
    found = []
    for number, (act, topic, *details) in enumerate(acts):
        at_ms = 1_000 * (number + 1)
        found += [(topic, change) for change in _changes(act, details, at_ms, str(number), short_ms)]
    return found


def _changes(act: str, details: list[Any], at_ms: int, word: str, short_ms: int) -> list[InventoryChange]:
    if act in ("heartbeat", "end"):
        return [InventoryChange("heartbeat", "heartbeat", ("1",), None, at_ms, reading="last" if act == "end" else "")]
    if act == "truncate":
        return [InventoryChange(details[0], "truncate", (), None, at_ms)]
    if act == "delete":
        return [InventoryChange(details[0], "delete", (details[1],), None, at_ms)]
    if act in ("change", "repeat"):
        table, one = details
        found = row(table, one) | ({"name": word} if act == "change" else {})
        return [InventoryChange(table, "upsert", (one,), found, at_ms)]
    if act in ("say", "relate"):
        source, holds_ms, one, *rest = details
        holds_ms = short_ms if holds_ms == SHORT else holds_ms
        if act == "say":
            found = row("entity", one)
            if rest[0] is not None:
                found["relations"] = [[other, "part_of"] for other in rest[0]]
            if rest[1] is not None:
                found["known_as"] = rest[1]
            return [InventoryChange("entity", "upsert", (one,), found, at_ms, source=source, holds_ms=holds_ms)]
        key = (one, rest[0], "part_of")
        found = dict(zip(("from_id", "to_id", "kind"), key, strict=True)) | ({"only": True} if rest[1] else {})
        return [InventoryChange("relation", "upsert", key, found, at_ms, source=source, holds_ms=holds_ms)]
    table, shown = details
    marks = ["first", *["next"] * (len(shown) - 2), "last"][-len(shown) :]
    if act == "break off":
        marks[-1] = "first" if len(shown) == 1 else "next"
    rows = len(shown) if act == "poll" else None
    return [
        InventoryChange(table, "upsert", (one,), row(table, one), at_ms, True, mark, rows)
        for one, mark in zip(shown, marks, strict=True)
    ]


def batches_of(sent: list[Sent], cuts: list[int]) -> list[str]:
    """The changes as step 4 joins them, cut in batches of these sizes in turn."""
    texts, begin, turn = [], 0, 0
    while begin < len(sent):
        end = begin + cuts[turn % len(cuts)]
        texts.append(
            RECORD_SEPARATOR.join(
                SEPARATOR.join((topic, "0", str(begin + place), json.dumps([change._asdict()])))
                for place, (topic, change) in enumerate(sent[begin:end])
            )
        )
        begin, turn = end, turn + 1
    return texts


def held(graph: Graph) -> dict[str, Any]:
    """Every row with its history, by source."""
    return {
        name: {table: sorted(rows, key=lambda row: row[0]) for table, (_, rows) in source["tables"].items() if rows}
        for name, source in graph.state()["sources"].items()
        if any(rows for _, rows in source["tables"].values())
    }


def answered(graph: Graph, until_ms: int) -> list[Any]:
    """What the graph answers of each id, every half second."""
    return [
        [(one, now.entity(one), graph.scopes(one, at_ms), graph.schedules(one, at_ms)) for one in IDS]
        for at_ms in range(0, until_ms, 500)
        for now in [graph.placement(at_ms)]
    ]


@pytest.fixture(autouse=True)
def _compacts_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.findings.inventory.COMPACT_AFTER", 4)


ANY_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


# Nothing is deleted, and yet it is over that the first rows of the table are of any time.
EMPTIED: list[Act] = [("heartbeat", "cmdb"), ("truncate", "cmdb", "entity"), ("read", "cmdb", "entity", [IDS[0]])]
# What says again what is known may still be the first that comes after a snapshot, or while one is under way.
_again = ("say", "cmdb", "", LONG, IDS[0], None, None)
REPEATED: list[Act] = [_again, _again, ("read", "cmdb", "entity", list(IDS[:2]))]
BETWEEN: list[Act] = [
    *(_again, _again, ("read", "cmdb", "schedule", list(IDS[:1])), _again),
    *(("read", "cmdb", "entity", list(IDS[1:2])), ("end", "cmdb")),
]
# The third time that a is said alters nothing; while b alters at every time, a runs out.
_b = [("say", "kubernetes", "one", SHORT, IDS[1], [IDS[number % 2]], None) for number in range(5)]
OUTLASTED: list[Act] = [*[("say", "kubernetes", "one", SHORT, IDS[0], None, None)] * 3, *_b]


@ANY_FIXTURE
@example(acts=EMPTIED, cuts=[1])
@example(acts=REPEATED, cuts=[1])
@example(acts=BETWEEN, cuts=[1])
@given(acts=_many, cuts=_cuts)
def test_a_restart_after_every_batch_alters_nothing(acts: list[Act], cuts: list[int]) -> None:
    state, unbroken, whole = State(), InventoryLog(), State()
    for text in batches_of(changes_of(acts, short_ms=LONG), cuts):
        InventoryLog().add(text, state)
        unbroken.add(text, whole)
    restarted, graph = InventoryLog().graph(state), unbroken.graph(whole)
    assert held(restarted) == held(graph)
    until_ms = 1_000 * (len(acts) + 2)
    assert answered(restarted, until_ms) == answered(graph, until_ms)


@ANY_FIXTURE
@example(acts=[*OUTLASTED, *_b, *_b], cuts=[1])
@given(acts=_many, cuts=_cuts)
def test_what_is_kept_is_what_is_known_though_rows_run_out(acts: list[Act], cuts: list[int]) -> None:
    state, log = State(), InventoryLog()
    for text in batches_of(changes_of(acts), cuts):
        log.add(text, state)
        assert held(InventoryLog().graph(state)) == held(log.graph(state))


@ANY_FIXTURE
@example(acts=OUTLASTED, cuts=[1])
@given(acts=_many, cuts=_cuts)
def test_no_restart_makes_a_row_run_out_sooner(acts: list[Act], cuts: list[int]) -> None:
    state, unbroken, whole = State(), InventoryLog(), State()
    for text in batches_of(changes_of(acts), cuts):
        InventoryLog().add(text, state)
        unbroken.add(text, whole)
    end_ms = 1_000 * (len(acts) + 2)
    assert standing(unbroken.graph(whole), end_ms) <= standing(InventoryLog().graph(state), end_ms)


def standing(graph: Graph, at_ms: int) -> set[Any]:
    """The rows that are there, by source and table."""
    found = set()
    for name, tables in held(graph).items():
        for table, rows in tables.items():
            for key, times, _, versions in rows:
                last = [version for ms, version in zip(times, versions, strict=True) if ms <= at_ms][-1:]
                if last and last[0] is not None:
                    found.add((name, table, key))
    return found
