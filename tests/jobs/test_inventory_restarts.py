"""The inventory in the job, restarted at any place: what it holds is what it would hold without a restart."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from jobs.findings.inventory import InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR

IDS = ("a", "b", "c")
TABLES = ("entity", "schedule")

# What senders do, in words: a table, then ids that a reading shows, or an id that is changed or deleted. A reading
# that is broken off lacks its end.
_tables = st.sampled_from(TABLES)
_shown = st.lists(st.sampled_from(IDS), min_size=1, unique=True)
_acts = st.one_of(
    st.tuples(st.just("read"), _tables, _shown),
    st.tuples(st.just("break off"), _tables, _shown),
    st.tuples(st.just("poll"), _tables, _shown),
    st.tuples(st.just("change"), _tables, st.sampled_from(IDS)),
    st.tuples(st.just("delete"), _tables, st.sampled_from(IDS)),
    st.tuples(st.just("heartbeat")),
    st.tuples(st.just("end")),
)


class State(dict[str, Any]):
    """A map as Flink's broadcast state answers, as far as the log asks."""

    def put(self, name: str, value: Any) -> None:
        self[name] = value


def row(table: str, one: str) -> dict[str, Any]:
    return {"id": one, "name": one} if table == "entity" else {"id": one, "entity_id": "a", "expression": "1 * * * *"}


def changes_of(acts: list[tuple[Any, ...]]) -> list[InventoryChange]:
    """What the acts send, each at a time of its own."""
    found = []
    for number, (act, *details) in enumerate(acts):
        at_ms = 1_000 * (number + 1)
        if act in ("heartbeat", "end"):
            reading = "last" if act == "end" else ""
            found.append(InventoryChange("heartbeat", "heartbeat", ("1",), None, at_ms, reading=reading))
        elif act == "delete":
            found.append(InventoryChange(details[0], "delete", (details[1],), None, at_ms))
        elif act == "change":
            table, one = details
            found.append(InventoryChange(table, "upsert", (one,), row(table, one) | {"name": str(number)}, at_ms))
        else:
            table, shown = details
            marks = ["first", *["next"] * (len(shown) - 2), "last"][-len(shown) :]
            if act == "break off":
                marks[-1] = "first" if len(shown) == 1 else "next"
            rows = len(shown) if act == "poll" else None
            found += [
                InventoryChange(table, "upsert", (one,), row(table, one), at_ms, True, mark, rows)
                for one, mark in zip(shown, marks, strict=True)
            ]
    return found


def batches_of(changes: list[InventoryChange], cuts: list[int]) -> list[str]:
    """The changes as step 4 joins them, cut in batches of these sizes in turn."""
    texts, begin, turn = [], 0, 0
    while begin < len(changes):
        end = begin + cuts[turn % len(cuts)]
        texts.append(
            RECORD_SEPARATOR.join(
                SEPARATOR.join(("inventory", "0", str(begin + place), json.dumps([change._asdict()])))
                for place, change in enumerate(changes[begin:end])
            )
        )
        begin, turn = end, turn + 1
    return texts


def held(graph: Graph) -> dict[str, Any]:
    """Every row with its history, by whatever source."""
    return {
        table: sorted(rows)
        for source in graph.state()["sources"].values()
        for table, (_, rows) in source["tables"].items()
        if rows
    }


@given(acts=st.lists(_acts, min_size=1, max_size=14), cuts=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_a_restart_after_every_batch_alters_nothing(acts: list[tuple[Any, ...]], cuts: list[int]) -> None:
    state, whole = State(), Graph()
    changes = changes_of(acts)
    for change in changes:
        whole.apply(change)
    for text in batches_of(changes, cuts):
        InventoryLog().add(text, state)
    assert held(InventoryLog().graph(state)) == held(whole)
