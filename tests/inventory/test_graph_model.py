"""Random histories against a model that rebuilds the inventory from scratch for each time asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from afoot.inventory.graph import KEY_COLUMNS, Graph
from afoot.inventory.placement import Placement
from afoot.inventory.resolve import Resolver, addresses_of, match_of
from afoot.inventory.versions import ALWAYS
from afoot.telemetry.rows import InventoryChange, Labels

IDS = ("job:j", "pod:a/p", "pod:a/q", "deployment:a/d", "topic:t", "volume:s/v", "claim:a/c", "vm:m", "node:n")
KINDS = ("reads", "writes", "part_of", "mounts", "backed_by", "attached_to", "runs_on", "sends_to")
COLUMNS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "entity": {
        "name": st.sampled_from(["a", "b"]),
        "component": st.sampled_from([None, "network", "storage"]),
        "attributes": st.sampled_from(
            [{}, {"match": [{"host": "a"}]}, {"match": [{"host": "b"}], "address": "10.0.0.1"}]
        ),
    },
    "relation": {},
    "schedule": {"entity_id": st.sampled_from(IDS), "expression": st.sampled_from(["1 * * * *", "bad"])},
}
KEYS = {
    "entity": st.tuples(st.sampled_from(IDS)),
    "relation": st.tuples(st.sampled_from(IDS), st.sampled_from(IDS), st.sampled_from(KINDS)),
    "schedule": st.tuples(st.sampled_from(["s1", "s2"])),
}
LABELS = [Labels.of({"host": name}) for name in "abm"] + [Labels.of({"address": "10.0.0.1"})]


@st.composite
def histories(draw: st.DrawFn) -> list[InventoryChange]:
    """A first snapshot, then a stream in commit order: times never fall, and often stay."""
    changes: list[InventoryChange] = []
    for table in KEYS:
        for key in draw(st.lists(KEYS[table], max_size=6, unique=True)):
            row = {name: draw(values) for name, values in COLUMNS[table].items()}
            changes.append(InventoryChange(table, "upsert", key, row, 0, True))
    time_ms = 1
    for _ in range(draw(st.integers(0, 20))):
        time_ms += draw(st.sampled_from([0, 0, 1, 2, 5]))
        table = draw(st.sampled_from(["entity", "relation", "relation", "schedule"]))
        op = draw(st.sampled_from(["upsert", "upsert", "upsert", "delete", "delete", "truncate", "heartbeat"]))
        if op == "truncate" and draw(st.booleans()):
            op = "upsert"
        key = () if op == "truncate" else draw(KEYS[table])
        absent = draw(st.sets(st.sampled_from(sorted(COLUMNS[table])))) if COLUMNS[table] else set()
        row = {name: draw(values) for name, values in COLUMNS[table].items() if name not in absent}
        if op == "heartbeat":
            changes.append(InventoryChange("heartbeat", "heartbeat", ("1",), None, time_ms))
        else:
            changes.append(InventoryChange(table, op, key, row if op == "upsert" else None, time_ms))  # type: ignore[arg-type]
    return changes


class Model:
    """All tables at the end of one millisecond, each change replayed; `since` is the first time without a break."""

    def __init__(self, changes: list[InventoryChange], at_ms: int) -> None:
        self.rows: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {table: {} for table in KEY_COLUMNS}
        self.since: dict[str, dict[tuple[str, ...], int]] = {table: {} for table in KEY_COLUMNS}
        self.known: set[str] = set()
        self.addressed: dict[str, tuple[Any, int]] = {}  # by entity: its addresses, and since when it has these
        moments = sorted({change.time_ms for change in changes if change.time_ms <= at_ms or change.snapshot})
        for moment in moments:
            for change in changes:
                if change.time_ms == moment and change.table in self.rows:
                    self._replay(change)
            from_ms = ALWAYS if moment == 0 else moment
            for table, rows in self.rows.items():
                self.since[table] = {key: self.since[table].get(key, from_ms) for key in rows}
            before, self.addressed = self.addressed, {}
            for entity_id, row in self.entities().items():
                addresses = row.get("addresses")
                held, since = before.get(entity_id, (None, from_ms))
                self.addressed[entity_id] = (addresses, since if held == addresses else from_ms)

    def _replay(self, change: InventoryChange) -> None:
        rows = self.rows[change.table]
        if change.op == "truncate":
            rows.clear()
            return
        if change.table == "entity":
            self.known.add(change.key[0])
        if change.row is None:
            rows.pop(change.key, None)
            return
        row = dict(change.row)
        if "attributes" in row:
            row["match"], row["addresses"] = match_of(row["attributes"])[0], addresses_of(row["attributes"])
        rows[change.key] = {**rows.get(change.key, {}), **row}

    def entities(self) -> dict[str, dict[str, Any]]:
        return {key[0]: row for key, row in self.rows["entity"].items()}

    def deleted(self) -> set[str]:
        return self.known - {key[0] for key in self.rows["entity"]}

    def placement(self) -> Placement:
        since = self.since["relation"]
        relations = [(from_id, to_id, kind, since[from_id, to_id, kind]) for from_id, to_id, kind in sorted(since)]
        by_snapshot = {key[0] for key, since in self.since["entity"].items() if since == ALWAYS}
        return Placement(self.entities(), relations, self.deleted(), by_snapshot)

    def parts_of(self, whole: str | None) -> set[str | None]:
        """An entity, with all that is part of it and of its parts."""
        found, gone = {whole}, self.deleted()
        if whole in gone:
            return found
        for _ in self.rows["relation"]:
            for part, of, kind in self.rows["relation"]:
                if kind == "part_of" and of in found and part not in gone:
                    found.add(part)
        return found

    def answers(self) -> tuple[Any, ...]:
        placement = self.placement()
        mentioned = {end for key in self.rows["relation"] for end in key[:2]} - self.deleted()
        resolver = Resolver(
            self.entities(), mentioned, Counter(), addressed_ms=lambda entity_id: self.addressed[entity_id][1]
        )
        schedules = {
            (key[0], entity_id, row.get("expression") or "")
            for key, row in self.rows["schedule"].items()
            for entity_id in self.parts_of(row.get("entity_id"))
        }
        return _answers(placement, [resolver.resolve(labels, ()) for labels in LABELS], schedules)


def answers(made: Graph, at_ms: int) -> tuple[Any, ...]:
    schedules = {(s.id, s.entity, s.expression) for entity_id in IDS for s in made.schedules(entity_id, at_ms)}
    return _answers(made.placement(at_ms), [made.resolution(labels, (), at_ms) for labels in LABELS], schedules)


def _answers(placement: Placement, resolved: list[Any], schedules: set[Any]) -> tuple[Any, ...]:
    chains = [
        (chain.victim, chain.hops, set(chain.edges), chain.volumes, chain.own)
        for chain in map(placement.chain, placement.victims())
    ]
    return (
        [placement.entity(entity_id) for entity_id in IDS],
        chains,
        [placement.tenants(entity_id) for entity_id in ("volume:s/v", "claim:a/c")],
        [placement.scopes(entity_id) for entity_id in IDS],
        resolved,
        {schedule for schedule in schedules if schedule[1] is not None},
    )


def times_of(changes: list[InventoryChange]) -> list[int]:
    last = max((change.time_ms for change in changes), default=0)
    return [-1, *range(0, last + 2)]


SAME_ADDRESS = {"name": "a", "component": None, "attributes": {"match": [{"host": "b"}], "address": "10.0.0.1"}}


@example(  # the address of a pod that has ended goes to another: chance gives two pods one address seldom
    [
        InventoryChange("entity", "upsert", ("pod:a/p",), SAME_ADDRESS, 0, True),
        InventoryChange("entity", "upsert", ("pod:a/q",), SAME_ADDRESS, 1),
    ]
)
@settings(max_examples=60, deadline=None)
@given(histories())
def test_any_time_is_answered_as_if_built_for_it(changes: list[InventoryChange]) -> None:
    made = Graph()
    for change in changes:
        made.apply(change)
    by_epoch: dict[int, tuple[Any, ...]] = {}
    for at_ms in times_of(changes):
        expected = Model(changes, at_ms).answers()
        assert answers(made, at_ms) == expected
        assert by_epoch.setdefault(made.epoch(at_ms), expected) == expected
    back = Graph.restore(made.state())
    assert [answers(back, at_ms) for at_ms in times_of(changes)] == [
        answers(made, at_ms) for at_ms in times_of(changes)
    ]


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_asking_while_changes_arrive_leaves_no_stale_answer(
    changes: list[InventoryChange], data: st.DataObject
) -> None:
    made = Graph()
    by_epoch: dict[int, tuple[Any, ...]] = {}
    for count, change in enumerate(changes, 1):
        made.apply(change)
        if data.draw(st.booleans()):
            at_ms = data.draw(st.sampled_from(times_of(changes)))
            known = changes[:count]
            expected = Model(known, at_ms).answers()
            assert answers(made, at_ms) == expected
            assert by_epoch.setdefault(made.epoch(at_ms), expected) == expected


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_changes_delivered_again_alter_nothing(changes: list[InventoryChange], data: st.DataObject) -> None:
    once, again = Graph(), Graph()
    for change in changes:
        once.apply(change)
    again_from = data.draw(st.integers(0, len(changes)))
    for change in [*changes, *changes[again_from:]]:
        again.apply(change)
    for at_ms in times_of(changes):
        assert answers(again, at_ms) == answers(once, at_ms)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(-1, 30))
def test_forgetting_leaves_all_from_the_horizon_on(changes: list[InventoryChange], horizon_ms: int) -> None:
    made, short = Graph(), Graph()
    for change in changes:
        made.apply(change)
        short.apply(change)
    short.forget(horizon_ms)
    for at_ms in (time_ms for time_ms in times_of(changes) if time_ms >= horizon_ms):
        # Placement only: since when a row holds, and whether a snapshot showed it, is not known beyond the horizon.
        full, kept = answers(made, at_ms), answers(short, at_ms)
        assert [e and e[:6] for e in kept[0]] == [e and e[:6] for e in full[0]]
        assert kept[1:] == full[1:]
