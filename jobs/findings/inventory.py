"""Step 4: the inventory's graph in every instance of a stage that needs it, kept in broadcast state."""

from __future__ import annotations

import pickle
from typing import Any

import orjson
from pyflink.common import Types
from pyflink.datastream.state import MapStateDescriptor

from afoot.inventory.graph import Graph
from afoot.inventory.sources import heard_in
from afoot.telemetry.rows import InventoryChange
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR

CHANGES = MapStateDescriptor("inventory-changes", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
SNAPSHOT = "00000000"
COMPACT_AFTER = 64  # batches of changes held before they become one snapshot of the graph
APPLIED = "~"  # in place of a topic: changes as the graph took them, its own deletions among them


class InventoryLog:
    """The graph, and in broadcast state the batches of changes that it can be built from again.

    State: SNAPSHOT, a graph's state pickled, then batches of changes by number. It is bounded by the graph, which drops
    versions two days after they ended, and by COMPACT_AFTER batches. A batch that alters nothing is not kept, and one
    with the rows of a whole table is kept as what came of it.

    Sources that say all again and again say mostly what is known: a batch is kept without that, or each would be as
    large as a cluster. So after a restart rows that hold for a time have their whole time anew. Those that their
    sources no longer say are deleted a window at a time, and the deletions kept with its batch.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._next = 1

    def graph(self, state: Any) -> Graph:
        """The graph as of all changes so far; built from `state` after a restart."""
        if self._graph is None:
            entries = dict(state.items())
            snapshot = entries.pop(SNAPSHOT, None)
            self._graph = Graph() if snapshot is None else Graph.restore(pickle.loads(snapshot))
            for name in sorted(entries):
                _apply(self._graph, read_changes(entries[name]))
                self._next = int(name) + 1
            self._graph.renew()
        return self._graph

    def add(self, text: str, state: Any) -> None:
        """Applies the changes of a window, as step 4 joined them, and keeps them."""
        graph = self.graph(state)
        before = graph.revision, graph.under_way
        changes = read_changes(text)
        told = _apply(graph, changes)
        expired = graph.expired()
        _apply(graph, expired)
        if (graph.revision, graph.under_way) == before:
            return  # heartbeats, and rows that repeat what is known
        if self._next > COMPACT_AFTER or any(change.reading for change in changes):
            state.clear()
            state.put(SNAPSHOT, pickle.dumps(graph.state()))
            self._next = 1
        else:
            body = orjson.dumps([change._asdict() for change in told + expired]).decode()
            state.put(f"{self._next:08d}", SEPARATOR.join((APPLIED, "0", "0", body)))
            self._next += 1


def read_changes(text: str) -> list[InventoryChange]:
    """The changes that step 4 joined, in the order of their topics: commits, where a snapshot's times need not be."""
    found = []
    for record in text.split(RECORD_SEPARATOR):
        topic, partition, offset, body = record.split(SEPARATOR, 3)
        for place, columns in enumerate(orjson.loads(body)):
            columns["key"] = tuple(columns["key"])
            change = InventoryChange(**columns)
            if topic != APPLIED:
                change = heard_in(topic, change)
            found.append(((topic, int(partition), int(offset), place), change))
    return [change for _, change in sorted(found, key=lambda item: item[0])]


def _apply(graph: Graph, changes: list[InventoryChange]) -> list[InventoryChange]:
    """Applies changes. Those that count: without the others, which say again what is known, the graph is the same."""
    told = []
    for change in changes:
        before = graph.revision
        graph.apply(change)
        if change.holds_ms is None or graph.revision != before:
            told.append(change)
    return told
