"""Whole readings of tables, snapshots and full polls: what they do not show is not there, and only then."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from tests.inventory.changes import deleted, entity, graph, relation

X, Y, Z = "vm:x", "vm:y", "vm:z"


def poll(time_ms: int, *ids: str, table: str = "entity", **columns: Any) -> list[InventoryChange]:
    """A poll that tells how many rows it has, as jdbc_json has it."""
    if not ids:
        return [InventoryChange(table, "upsert", (), None, time_ms, True, "last", 0)]
    return [change._replace(reading_rows=len(ids)) for change in snapshot(time_ms, *ids, table=table, **columns)]


def snapshot(time_ms: int, *ids: str, table: str = "entity", **columns: Any) -> list[InventoryChange]:
    """A snapshot of a table, as debezium_json has it: a table of one row has no first one."""
    marks = ["first", *["next"] * (len(ids) - 2), "last"][-len(ids) :]
    return [
        InventoryChange(table, "upsert", (one,), {"id": one, **columns}, time_ms, True, mark)  # type: ignore[arg-type]
        for one, mark in zip(ids, marks, strict=True)
    ]


def end_of_all(time_ms: int) -> InventoryChange:
    return InventoryChange("heartbeat", "heartbeat", (), None, time_ms, reading="last")


def there(made: Graph, at_ms: int) -> list[str]:
    return [one for one in (X, Y, Z) if made.entity(one, at_ms) is not None]


@pytest.mark.parametrize("read", [poll, snapshot])
def test_what_a_reading_lacks_is_deleted_at_its_time(read: Any) -> None:
    made = graph(*read(100, X, Y), *read(200, X, Y), *read(300, Y, Z), *read(400, Z))
    seen = {at_ms: there(made, at_ms) for at_ms in (0, 100, 299, 300, 399, 400)}
    assert seen == {0: [X, Y], 100: [X, Y], 299: [X, Y], 300: [Y, Z], 399: [Y, Z], 400: [Z]}
    assert made.problems() == {}
    again = graph(*read(100, X, Y), *read(300, Y, Z), *read(100, X, Y), *read(400, Z), *read(300, Y, Z))
    assert {at_ms: there(again, at_ms) for at_ms in seen} == seen  # delivered twice


def test_the_first_reading_holds_before_it_and_no_later_one_does() -> None:
    made = graph(*poll(100, X), *poll(200, X, Y))
    known = {one: made.entity(one, 200).known_by_snapshot for one in (X, Y)}  # type: ignore[union-attr]
    assert known == {X: True, Y: False}
    nothing_at_first = graph(*poll(100), *poll(200, X))
    assert (there(nothing_at_first, 199), there(nothing_at_first, 200)) == ([], [X])


def test_a_poll_that_finds_nothing_deletes_everything_of_its_table() -> None:
    made = graph(*poll(100, X, Y), relation(X, "attached_to", "volume:s/v"), *poll(200))
    assert (there(made, 199), there(made, 200)) == ([X, Y], [])
    made.apply(entity("volume:s/v", 300))
    assert made.entity("volume:s/v", 300) is not None


def test_a_change_between_polls_has_the_time_that_it_states() -> None:
    def name(made: Graph, at_ms: int) -> str:
        found = made.entity(X, at_ms)
        return found.name if found else "none"

    made = graph(*poll(100, X, name="a", updated_at=50), *poll(200, X, name="b", updated_at=150))
    assert [name(made, at_ms) for at_ms in (0, 149, 150)] == ["a", "a", "b"]
    # A time that the poll before had seen, or one from the future, is not when the change came.
    for stated in (100, 99, 200, 201, "150", None):
        made = graph(*poll(100, X, name="a", updated_at=50), *poll(200, X, name="b", updated_at=stated))
        assert [name(made, at_ms) for at_ms in (199, 200)] == ["a", "b"]


INCOMPLETE = [
    ("a lost row", [poll(200, X, Y, Z)[0], poll(200, X, Y, Z)[2]]),
    ("a lost first row", poll(200, X, Y)[1:]),
    ("a poll that broke off", poll(200, X, Y)[:1]),
    ("a snapshot without its beginning", snapshot(200, X, Y, Z)[1:]),
    ("a snapshot that broke off", snapshot(200, X, Y)[:1]),
    ("the last row of an old snapshot, delivered again", snapshot(100, X, Z)[1:]),
]


@pytest.mark.parametrize(("what", "changes"), INCOMPLETE, ids=[what for what, _ in INCOMPLETE])
def test_an_incomplete_reading_deletes_nothing(what: str, changes: list[InventoryChange]) -> None:
    made = graph(*snapshot(100, X, Y, Z), *changes)
    assert there(made, 200) == [X, Y, Z]
    for change in snapshot(300, X, Y):
        made.apply(change)
    assert there(made, 300) == [X, Y]


def test_an_incomplete_reading_is_told() -> None:
    made = graph(*poll(100, X, Y, Z), *poll(200, X, Y, Z)[:1], *poll(200, X, Y, Z)[2:])
    assert list(made.problems()) == ["a reading of entity is incomplete: it has 2 of 3 rows; it deletes nothing"]


def test_a_snapshot_that_began_anew_is_the_first() -> None:
    made = graph(*snapshot(100, X, Y)[:1], *snapshot(200, Y, Z))
    assert there(made, 0) == [X, Y, Z]
    assert there(made, 200) == [Y, Z]


def test_what_was_streamed_after_a_snapshot_stays_though_its_time_is_a_little_earlier() -> None:
    made = graph(*snapshot(100, X, Y), *snapshot(200, X, Y), entity(Z, 199))
    assert there(made, 300) == [X, Y, Z]


def test_a_snapshot_of_all_tables_shows_which_are_empty() -> None:
    run = ("streaming", "s1", "1 * * * *")
    first = [
        *snapshot(100, X, Y),
        *snapshot(100, "s1", table="schedule", entity_id=X, expression=run[2], timezone="UTC"),
    ]
    made = graph(*first, end_of_all(100))
    assert [schedule.id for schedule in made.schedules(X, 100)] == ["s1"]
    for change in (*snapshot(200, X, Y), end_of_all(200)):
        made.apply(change)
    assert [len(made.schedules(X, at_ms)) for at_ms in (199, 200)] == [1, 0]
    assert there(made, 200) == [X, Y]
    # One that was broken off, or of some tables only, says nothing of the next: the log went on in between.
    for change in (
        *snapshot(300, "s1", table="schedule", entity_id=X),
        entity(X, 350),
        *snapshot(400, X),
        end_of_all(400),
    ):
        made.apply(change)
    assert [len(made.schedules(X, at_ms)) for at_ms in (399, 400)] == [1, 0]
    # Of some tables only: no such end, and nothing is said of the others.
    partial = graph(*first, end_of_all(100), *snapshot(200, X, Y))
    assert len(partial.schedules(X, 200)) == 1


def test_what_others_send_while_a_snapshot_is_read_ends_it_for_no_table() -> None:
    schedule = {"entity_id": X, "expression": "1 * * * *", "timezone": "UTC"}
    rows = [*snapshot(100, X, Y, Z), *snapshot(100, "s1", "s2", table="schedule", **schedule), end_of_all(100)]
    for place in range(1, len(rows)):
        made = graph(*rows[:place], entity("vm:foreign", 350), *rows[place:])
        assert there(made, 400) == [X, Y, Z]
        assert [found.id for found in made.schedules(X, 400)] == ["s1", "s2"]


def test_a_simulated_snapshot_whose_tables_have_no_ends_deletes_nothing() -> None:
    marked = [change._replace(reading="next") for change in snapshot(200, X)]
    made = graph(*snapshot(100, X, Y), *marked, end_of_all(200), deleted("entity", X, at=300))
    assert (there(made, 200), there(made, 300), made.reading) == ([X, Y], [Y], False)


def test_a_reading_goes_on_after_a_restart() -> None:
    first, second = poll(100, X, Y), poll(200, Y, Z)
    made = graph(*first, *second[:1])
    assert made.reading
    made = Graph.restore(pickle.loads(pickle.dumps(made.state())))
    made.apply(second[1])
    assert not made.reading
    assert (there(made, 199), there(made, 200)) == ([X, Y], [Y, Z])
    made = Graph.restore(pickle.loads(pickle.dumps(made.state())))
    for change in poll(300, X, Y, Z):
        made.apply(change)
    assert there(made, 299) == [Y, Z]


def test_a_poll_that_repeats_what_is_known_alters_nothing() -> None:
    made = graph(*poll(100, X, Y), *poll(100, table="relation"))
    before, epoch = made.revision, made.epoch(1_000)
    for change in (*poll(200, X, Y, updated_at=120), *poll(200, table="relation")):
        made.apply(change)
    assert (made.revision, made.epoch(1_000)) == (before, epoch)
    made.apply(entity(X, 300, name="b"))
    assert made.revision > before
