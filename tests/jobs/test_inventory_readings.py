"""Full polls in the job: kept once they have altered something, and not once a poll."""

from __future__ import annotations

import json

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from jobs.findings.inventory import SNAPSHOT, InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR
from tests.jobs.state import State

START_MS = 1_780_000_000_000


def poll(at_ms: int, *ids: str) -> list[InventoryChange]:
    marks = ["first", *["next"] * (len(ids) - 2), "last"][-len(ids) :]
    return [
        InventoryChange("entity", "upsert", (one,), {"id": one}, at_ms, True, mark, len(ids))  # type: ignore[arg-type]
        for one, mark in zip(ids, marks, strict=True)
    ]


def text(changes: list[InventoryChange], first: int = 0) -> str:
    """Changes as step 4 joins them, each from a message of its own, in no order."""
    return RECORD_SEPARATOR.join(
        SEPARATOR.join(("inventory", "0", str(first + number), json.dumps([one._asdict()])))
        for number, one in reversed(list(enumerate(changes)))
    )


def there(graph: Graph, at_ms: int) -> list[str]:
    return [one for one in ("vm:a", "vm:b", "vm:c") if graph.entity(one, at_ms) is not None]


def test_polls_that_repeat_what_is_known_are_not_kept() -> None:
    state, log = State(), InventoryLog()
    log.add(text(poll(START_MS, "vm:a", "vm:b", "vm:c")), state)
    log.add(text(poll(START_MS + 60_000, "vm:a", "vm:b", "vm:c"), 3), state)  # from here on rows are not the first ones
    kept = dict(state)
    assert list(kept) == [SNAPSHOT]
    for minute in range(2, 200):
        log.add(text(poll(START_MS + minute * 60_000, "vm:a", "vm:b", "vm:c"), minute * 3), state)
    assert state == kept
    assert there(InventoryLog().graph(state), START_MS + 200 * 60_000) == ["vm:a", "vm:b", "vm:c"]


def test_what_a_poll_lacks_stays_deleted_after_a_restart() -> None:
    state, log = State(), InventoryLog()
    log.add(text(poll(START_MS, "vm:a", "vm:b", "vm:c")), state)
    log.add(text(poll(START_MS + 1000, "vm:a", "vm:c"), 10), state)
    for graph in (log.graph(state), InventoryLog().graph(state)):
        assert there(graph, START_MS + 999) == ["vm:a", "vm:b", "vm:c"]
        assert there(graph, START_MS + 1000) == ["vm:a", "vm:c"]


def test_a_poll_that_lies_in_two_windows_is_one_across_a_restart() -> None:
    state, log = State(), InventoryLog()
    log.add(text(poll(START_MS, "vm:a", "vm:b")), state)
    changes = poll(START_MS + 1000, "vm:a", "vm:b", "vm:c")[1:] + poll(START_MS + 2000, "vm:a", "vm:c")
    log.add(text(changes[:3], 10), state)
    log = InventoryLog()
    log.add(text(changes[3:], 20), state)
    assert there(log.graph(state), START_MS + 2000) == ["vm:a", "vm:c"]
    assert there(InventoryLog().graph(state), START_MS + 2000) == ["vm:a", "vm:c"]


def test_the_beginning_of_a_poll_is_kept_though_it_repeats_what_is_known() -> None:
    state, log = State(), InventoryLog()
    log.add(text(poll(START_MS, "vm:a", "vm:b")), state)
    begun, ended = poll(START_MS + 1000, "vm:a", "vm:c")
    log.add(text([begun], 10), state)
    log = InventoryLog()
    log.add(text([ended], 11), state)
    assert there(log.graph(state), START_MS + 1000) == ["vm:a", "vm:c"]


def test_that_a_first_poll_found_nothing_is_kept() -> None:
    state, log = State(), InventoryLog()
    log.add(text([InventoryChange("entity", "upsert", (), None, START_MS, True, "last", 0)]), state)
    log = InventoryLog()
    log.add(text(poll(START_MS + 1000, "vm:a"), 1), state)
    assert [there(log.graph(state), START_MS + after) for after in (999, 1000)] == [[], ["vm:a"]]
