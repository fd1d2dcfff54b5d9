"""The inventory as every instance keeps it: changes in commit order, and the same graph again from its state."""

from __future__ import annotations

import json
import random

import pytest

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from jobs.findings.inventory import COMPACT_AFTER, SNAPSHOT, InventoryLog, read_changes
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR
from tests.jobs.state import State

START_MS = 1_780_000_000_000


def change(at_ms: int, entity: str, name: str | None = "n") -> InventoryChange:
    """An entity that comes, is renamed or (name None) goes."""
    if name is None:
        return InventoryChange("entity", "delete", (entity,), None, at_ms)
    row = {"id": entity, "type": "vm", "name": name, "component": "compute", "attributes": {}}
    return InventoryChange("entity", "upsert", (entity,), row, at_ms)


def read(*changes: InventoryChange, topic: str = "inventory") -> list[InventoryChange]:
    """Changes as they are read again: the topic is their source."""
    return [one._replace(source=topic) for one in changes]


def heartbeat(at_ms: int) -> InventoryChange:
    return InventoryChange("heartbeat", "heartbeat", ("1",), None, at_ms)


def text(*changes: InventoryChange, topic: str = "inventory", first: int = 0) -> str:
    """Changes as step 4 joins them, each from a message of its own."""
    return RECORD_SEPARATOR.join(
        SEPARATOR.join((topic, "0", str(first + number), json.dumps([one._asdict()])))
        for number, one in enumerate(changes)
    )


def known(graph: Graph, at_ms: int = START_MS + 10**9) -> dict[str, str]:
    """Names by id, of the entities that there are at a time."""
    found = {entity: graph.entity(entity, at_ms) for entity in ("vm:a", "vm:b")}
    return {entity: row.name for entity, row in found.items() if row is not None}


def test_changes_are_read_in_commit_order_whatever_order_they_came_in() -> None:
    ordered = [change(START_MS + n // 3, f"vm:{n}") for n in range(12)]
    records = text(*ordered).split(RECORD_SEPARATOR)
    random.Random(1).shuffle(records)
    assert read_changes(RECORD_SEPARATOR.join(records)) == read(*ordered)


def test_offsets_are_numbers_and_the_place_in_a_message_counts() -> None:
    last, first = change(START_MS, "vm:a", "last"), change(START_MS, "vm:a", "first")
    assert read_changes(RECORD_SEPARATOR.join([text(last, first=10), text(first, first=9)])) == read(first, last)
    both = SEPARATOR.join(("inventory", "0", "5", json.dumps([first._asdict(), last._asdict()])))
    assert read_changes(both) == read(first, last)


def test_an_id_may_hold_whatever_separates_changes() -> None:
    odd = change(START_MS, f"vm:{SEPARATOR}{RECORD_SEPARATOR}\n'\"\x00\u202e")
    assert read_changes(text(odd, change(START_MS + 1, "vm:b"))) == read(odd, change(START_MS + 1, "vm:b"))


@pytest.mark.parametrize("batches", [1, COMPACT_AFTER, COMPACT_AFTER + 1, 3 * COMPACT_AFTER + 5])
def test_a_restart_gives_the_same_graph(batches: int) -> None:
    state, log = State(), InventoryLog()
    for number in range(batches):
        log.add(text(change(START_MS + number, "vm:a", f"c{number}"), change(START_MS + number, f"vm:{number}")), state)
    log.add(text(change(START_MS + batches, f"vm:{batches - 1}", None)), state)
    again = InventoryLog().graph(State(state))
    assert again.state() == log.graph(state).state()
    for at in range(batches):
        assert known(again, START_MS + at)["vm:a"] == f"c{at}"


def test_a_job_that_was_restarted_goes_on_where_the_state_ends() -> None:
    state, log = State(), InventoryLog()
    for number in range(COMPACT_AFTER + 10):
        log.add(text(change(START_MS + number, "vm:a", f"c{number}")), state)
        log = InventoryLog()  # as if it was restarted after every batch
    assert known(InventoryLog().graph(state)) == {"vm:a": f"c{COMPACT_AFTER + 9}"}
    at_ms = START_MS + 5
    assert known(InventoryLog().graph(state), at_ms) == {"vm:a": "c5"}


def test_state_is_bounded() -> None:
    state, log = State(), InventoryLog()
    held = []
    for number in range(5 * COMPACT_AFTER):
        log.add(text(change(START_MS + number, "vm:a", f"c{number}")), state)
        held.append(len(state))
    assert max(held) <= COMPACT_AFTER + 1
    assert SNAPSHOT in state
    assert held.count(1) >= 4  # a snapshot takes the place of what it was made of


def test_heartbeats_alone_are_not_kept() -> None:
    state, log = State(), InventoryLog()
    log.add(text(heartbeat(START_MS), heartbeat(START_MS + 30_000)), state)
    assert state == {}
    log.add(text(heartbeat(START_MS + 60_000), change(START_MS + 60_000, "vm:a")), state)
    assert len(state) == 1
    assert known(InventoryLog().graph(state)) == {"vm:a": "n"}


def test_a_delete_ends_what_was_and_keeps_what_had_been() -> None:
    state, log = State(), InventoryLog()
    log.add(text(change(START_MS, "vm:a"), change(START_MS, "vm:b")), state)
    log.add(text(change(START_MS + 1000, "vm:a", None)), state)
    for graph in (log.graph(state), InventoryLog().graph(state)):
        assert known(graph) == {"vm:b": "n"}
        assert known(graph, START_MS + 500) == {"vm:a": "n", "vm:b": "n"}


def held(at_ms: int, *names: str) -> str:
    """What a source says again and again, in a window."""
    changes = [change(at_ms, name)._replace(holds_ms=300_000) for name in names]
    return text(*changes, topic="kube", first=at_ms)


def test_rows_that_a_source_goes_on_without_go_and_stay_gone_after_a_restart() -> None:
    state, log = State(), InventoryLog()
    log.add(text(change(START_MS, "vm:b")), state)
    for minute in range(6):
        log.add(held(START_MS + minute * 60_000, "vm:a") if minute else held(START_MS, "vm:a", "vm:b"), state)
    ended = START_MS + 5 * 60_000
    log.add(text(change(ended + 1, "vm:b", None)), state)  # the other source has it until here
    for graph in (log.graph(state), InventoryLog().graph(state)):
        assert known(graph, ended) == {"vm:a": "n", "vm:b": "n"}
        assert known(graph, ended + 1) == {"vm:a": "n"}


def test_of_what_is_said_again_and_again_a_batch_keeps_what_is_new() -> None:
    state, log = State(), InventoryLog()
    pods = [f"vm:{number}" for number in range(300)]
    log.add(held(START_MS, *pods), state)
    whole = len(state["00000001"])
    for number in range(1, 5):
        log.add(held(START_MS + number * 30_000, *pods, f"vm:new-{number}"), state)
    assert sorted(state) == [f"{number:08d}" for number in range(1, 6)]
    assert all(len(state[name]) < whole / 100 for name in sorted(state)[2:])  # the first repetition ends a snapshot
    # Nor is it forgotten that a row holds for a time now, though nothing else of it is new.
    log.add(text(change(START_MS + 150_000, "vm:a"), first=9, topic="kube"), state)
    log.add(held(START_MS + 150_001, "vm:a"), state)
    again = InventoryLog()
    for late in range(1, 6):
        again.add(held(START_MS + 150_000 + late * 100_000, "vm:b"), state)
    assert known(again.graph(state), START_MS + 10**9).keys() == {"vm:b"}


def test_what_is_said_in_windows_that_are_not_kept_does_not_run_out_by_a_restart() -> None:
    state, log = State(), InventoryLog()
    for minute in range(60):
        log.add(held(START_MS + minute * 60_000, "vm:a", "vm:b"), state)
        log.add(held(START_MS + minute * 60_000 + 30_000, f"vm:{minute}"), state)  # each kept, without the two
        if minute % 7 == 0:
            log = InventoryLog()
    assert known(InventoryLog().graph(state)) == {"vm:a": "n", "vm:b": "n"}
    log = InventoryLog()
    log.add(held(START_MS + 60 * 60_000, "vm:c"), state)
    assert known(log.graph(state)) == {"vm:a": "n", "vm:b": "n"}


def test_two_topics_are_two_sources() -> None:
    state, log = State(), InventoryLog()
    log.add(text(change(START_MS, "vm:a"), topic="one") + RECORD_SEPARATOR + text(change(START_MS, "vm:a")), state)
    log.add(text(change(START_MS + 1, "vm:a", None), topic="one"), state)
    assert known(log.graph(state)) == {"vm:a": "n"}
    log.add(text(change(START_MS + 2, "vm:a", None)), state)
    assert known(log.graph(state)) == {}
