"""The inventory with its history: apply changes in commit order, ask as of any time."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from afoot.errors import DecodeError, UsageError
from afoot.inventory import cron
from afoot.inventory.placement import COMPONENTS, KINDS, TYPES, Chain, Entity, Placement, Scopes, Tenant, derived_type
from afoot.inventory.resolve import HOST_TYPES, Resolution, Resolver, addresses_of, match_of
from afoot.inventory.versions import ALWAYS, Clock, Key, Row, Table
from afoot.telemetry.rows import InventoryChange, Labels

DAY_MS = 24 * 3600 * 1000
KEY_COLUMNS = {"entity": ("id",), "relation": ("from_id", "to_id", "kind"), "schedule": ("id",)}
COLUMNS = {
    "entity": ("type", "name", "component", "attributes", "match", "addresses"),
    "relation": (),
    "schedule": ("entity_id", "expression", "timezone", "command"),
}
PLACING = ("type", "name", "component", "attributes")  # entity columns that placement answers with
LABELLING = ("type", "name", "match", "addresses")  # entity columns that labels are resolved by
INSTANTS_KEPT = 4  # windows are asked for in order, shard by shard: a few instants at a time
PROBLEMS_KEPT = 1_000

Answer = TypeVar("Answer")


class Schedule(NamedTuple):
    """A cron entry of an entity. `since_ms` is when it took this form, None if the first snapshot showed it so."""

    id: str
    entity: str
    expression: str
    timezone: str
    command: str
    since_ms: int | None
    unusable: str = ""  # why no run times can be told; the schedule is kept

    def run_times(self, from_ms: int, to_ms: int) -> list[int]:
        """Run times in from_ms <= t < to_ms, epoch ms; [] while unusable."""
        return cron.run_times(self.expression, self.timezone, from_ms, to_ms)


class _Reading(NamedTuple):
    """A whole table's reading that has not ended: the keys that it showed, and whether its first row is among them."""

    keys: set[Key]
    from_first: bool


class Graph:
    """Entities, relations and schedules, each version from its own time on.

    A change holds from its time (from_ms <= at_ms); within one millisecond the later in commit order wins. Rows of a
    first snapshot hold for earlier times too. Changes may be applied long before windows ask for older times; versions
    that ended more than `retain_ms` before the latest time asked for are dropped by `state`, or by `forget`.
    """

    def __init__(self, retain_ms: int = 2 * DAY_MS) -> None:
        self.retain_ms = retain_ms
        self.heard_ms: int | None = None  # the latest time that the inventory spoke of, heartbeats included
        self.unresolved: Counter[str] = Counter()  # label sets without an entity, by reason
        self.revision = 0  # greater after each change that alters what is known
        self._tables = {name: Table(columns) for name, columns in COLUMNS.items()}
        self._readings: dict[str, _Reading] = {}  # tables that are being read whole
        self._read_ms: dict[str, int] = {}  # table -> time of its last whole reading
        self._shown: set[str] = set()  # tables that the snapshot, which may be under way, showed rows of
        self._logged_ms: int | None = None  # the latest time of the log since a snapshot began, if it has not ended
        self._schedules_of: dict[str, dict[str, None]] = defaultdict(dict)  # entity -> schedules that ever were its
        self._problems: dict[str, int] = {}
        self._clock = Clock()
        self._horizon_ms = ALWAYS
        self._placements = _Instants(self._placement)
        self._resolvers = _Instants(self._resolver)

    # Changes

    def apply(self, change: InventoryChange) -> None:
        """Take in one change, in commit order. What cannot be used is in `problems`, and changes nothing else."""
        table_name, op, _, columns, time_ms, snapshot, reading, _ = change
        key = tuple(change.key)  # a list where the change came by JSON
        if self.heard_ms is None or time_ms > self.heard_ms:
            self.heard_ms = time_ms
        if not reading and not snapshot and self._shown:
            self._logged_ms = max(time_ms, self._logged_ms or time_ms)
        if op == "heartbeat" or table_name == "heartbeat":
            if reading == "last":
                self._end_snapshot(time_ms)
            return
        table = self._tables.get(table_name)
        if table is None:
            self._report(f"{table_name!r} is no inventory table; allowed: {', '.join(COLUMNS)}; the change is ignored")
        elif op == "truncate":
            if table.truncate(time_ms):
                self._note(time_ms, placing=table_name != "schedule", labelling=table_name != "schedule")
        elif reading and change.reading_rows == 0:
            self._shown.add(table_name)
            self._end_reading(table_name, set(), time_ms)
        elif len(key) != len(KEY_COLUMNS[table_name]) or not all(isinstance(part, str) and part for part in key):
            names = ", ".join(KEY_COLUMNS[table_name])
            self._report(f"a row of {table_name} has key {key!r:.80}, needed: {names}; the change is ignored")
        else:
            patch = None if op == "delete" or columns is None else self._patch(table_name, key, columns)
            if table_name in self._read_ms:
                snapshot = False  # the first snapshot is over
                if reading and columns is not None:
                    time_ms = self._updated_ms(table_name, columns, time_ms)
            before = table.at(key, time_ms)
            from_ms = table.put(key, time_ms, patch, snapshot)
            if from_ms is not None:
                after = table.at(key, from_ms)
                if table_name == "entity":
                    amends = table.rows[key].times[-1] > from_ms  # then newer versions may differ by it too
                    self._note(
                        from_ms,
                        placing=amends or _differ(before, after, PLACING),
                        labelling=amends or _differ(before, after, LABELLING),
                    )
                elif table_name == "relation":
                    names_host = any(derived_type(end) in HOST_TYPES for end in key[:2])
                    self._note(from_ms, placing=True, labelling=names_host)
                else:
                    self._note(from_ms, placing=False, labelling=False)
                    if after is not None and after.get("entity_id"):
                        self._schedules_of[after["entity_id"]][key[0]] = None
            if reading:
                self._read_on(change, key)

    def _updated_ms(self, table: str, columns: Row, read_ms: int) -> int:
        """When a row came that a reading shows: when it says so, if that is since the reading before."""
        stated = columns.get("updated_at")
        return stated if type(stated) is int and self._read_ms[table] < stated < read_ms else read_ms

    def _read_on(self, change: InventoryChange, key: Key) -> None:
        """Follow a whole table's reading. What it has not shown at its end is deleted, if nothing of it was missed."""
        table, at_ms = change.table, change.time_ms
        if self._logged_ms is not None and at_ms > self._logged_ms and table not in self._readings:
            # The log went on, so the snapshot before was broken off. Changes that others send in between are older
            # than none of what it shows.
            self._shown.clear()
            self._logged_ms = None
        self._shown.add(table)
        if at_ms <= self._read_ms.get(table, ALWAYS):
            return  # delivered again
        if change.reading == "first" or table not in self._readings:
            # A table of one row has a last one only.
            self._readings[table] = _Reading(set(), change.reading != "next")
        reading = self._readings[table]
        reading.keys.add(key)
        if change.reading == "last":
            del self._readings[table]
            rows = change.reading_rows
            if not reading.from_first or rows not in (None, len(reading.keys)):
                found = f"{len(reading.keys)} rows" if rows is None else f"{len(reading.keys)} of {rows} rows"
                self._report(f"a reading of {table} is incomplete: it has {found}; it deletes nothing")
                return
            self._end_reading(table, reading.keys, at_ms)

    def _end_reading(self, table: str, keys: AbstractSet[Key], at_ms: int) -> None:
        if at_ms <= self._read_ms.get(table, ALWAYS):
            return
        self.revision += table not in self._read_ms
        self._read_ms[table] = at_ms
        shown = [dict(zip(KEY_COLUMNS[table], key, strict=True)) for key in keys]
        for change in self.reconcile(table, shown, at_ms):
            self.apply(change)

    def _end_snapshot(self, at_ms: int) -> None:
        """The end of a snapshot of all tables: one that it showed no row of is empty."""
        for table in COLUMNS:
            if table not in self._shown:
                self._end_reading(table, set(), at_ms)
        self._shown.clear()
        self._logged_ms = None
        self._readings.clear()

    @property
    def reading(self) -> bool:
        """Whether a reading of a table has begun and not ended."""
        return bool(self._readings)

    @property
    def under_way(self) -> tuple[Hashable, ...]:
        """What the effect of later changes hangs on besides the tables: readings, and the snapshot they are part of."""
        readings = frozenset((name, frozenset(keys), first) for name, (keys, first) in self._readings.items())
        return readings, frozenset(self._shown), self._logged_ms

    def reconcile(self, table: str, rows: Iterable[Mapping[str, Any]], at_ms: int) -> list[InventoryChange]:
        """The changes, not yet applied, that make a table what a full poll at `at_ms` showed.

        A poll never shows a deletion: what it lacks is deleted. The first poll of a table is its first snapshot. A row
        without its key raises DecodeError, since a poll that is half read would delete what it did not read.
        """
        if table not in COLUMNS:
            raise UsageError(f"table {table!r} is no inventory table; allowed: {', '.join(COLUMNS)}")
        known = self._tables[table]
        snapshot = not known.rows and table not in self._read_ms
        polled: dict[Key, Row] = {}
        for row in rows:
            key = tuple(row.get(column) for column in KEY_COLUMNS[table])
            if not all(isinstance(part, str) and part for part in key):
                names = ", ".join(KEY_COLUMNS[table])
                raise DecodeError(f"a polled row of {table} has key {key!r:.80}, needed: {names}; none is reconciled")
            polled[tuple(str(part) for part in key)] = dict(row)
        changes = [
            InventoryChange(table, "upsert", key, row, at_ms, snapshot)
            for key, row in polled.items()
            if self._differs(table, key, row, at_ms)
        ]
        gone = [key for key, _, _ in known.as_of(at_ms) if key not in polled]
        return changes + [InventoryChange(table, "delete", key, None, at_ms) for key in gone]

    def _differs(self, table: str, key: Key, row: Row, at_ms: int) -> bool:
        held = self._tables[table].at(key, at_ms)
        return held is None or {**held, **self._patch(table, key, row)} != held

    def _patch(self, table: str, key: Key, columns: Row) -> Row:
        """The columns that matter, in the form that rooms rely on; updated_at says nothing that the time does not."""
        patch: Row = {}
        for column in COLUMNS[table]:
            if column in columns and column != "attributes":
                value = columns[column]
                patch[column] = value if value is None or isinstance(value, str) else str(value)
        if table == "entity":
            patch.pop("match", None)
            patch.pop("addresses", None)
            if "attributes" in columns:
                attributes = self._attributes(key[0], columns["attributes"])
                match, problems = match_of(attributes)
                for problem in problems:
                    self._report(f"entity {key[0]!r:.80}: attributes.{problem}")
                patch |= {"attributes": attributes, "match": match, "addresses": addresses_of(attributes)}
            self._check_words(key[0], patch)
        elif table == "relation" and key[2] not in KINDS:
            self._report(f"relation kind {key[2]!r:.80} is not known; allowed: {', '.join(KINDS)}; it places nothing")
        elif table == "schedule":
            unusable = cron.unusable_reason(patch.get("expression") or "", patch.get("timezone") or "")
            if unusable and "expression" in patch:
                self._report(f"schedule {key[0]!r:.80} explains nothing: {unusable}")
        return patch

    def _attributes(self, entity_id: str, stated: Any) -> dict[str, Any]:
        if isinstance(stated, str | bytes):
            try:
                stated = orjson.loads(stated) if stated.strip() else None
            except ValueError as error:
                self._report(f"entity {entity_id!r:.80}: attributes are no JSON ({error}); taken as {{}}")
                return {}
        if stated is None:
            return {}
        if not isinstance(stated, dict):
            self._report(f"entity {entity_id!r:.80}: attributes are {type(stated).__name__}, no object; taken as {{}}")
            return {}
        return stated

    def _check_words(self, entity_id: str, patch: Row) -> None:
        type_ = patch.get("type") or derived_type(entity_id)
        if type_ not in TYPES:
            self._report(
                f"entity type {type_!r:.80} is not known, so its component is service; known: {', '.join(TYPES)}"
            )
        component = patch.get("component")
        if component and component not in COMPONENTS:
            patch["component"] = None
            allowed = ", ".join(COMPONENTS)
            self._report(f"component {component!r:.80} is not known; allowed: {allowed}; the type's is taken")

    def _note(self, ms: int, placing: bool, labelling: bool) -> None:
        self.revision += 1
        self._clock.note(ms)
        if placing:
            self._placements.clock.note(ms)
        if labelling:
            self._resolvers.clock.note(ms)

    def _report(self, problem: str) -> None:
        if problem in self._problems or len(self._problems) < PROBLEMS_KEPT:
            self._problems[problem] = self._problems.get(problem, 0) + 1
        else:
            further = f"further problems, after the first {PROBLEMS_KEPT} kinds"
            self._problems[further] = self._problems.get(further, 0) + 1

    def problems(self) -> dict[str, int]:
        """What could not be used as it stands, in words, with how often it was met."""
        return dict(self._problems)

    # Answers as of a time

    def epoch(self, at_ms: int) -> int:
        """A number for the answers at a time: equal numbers, equal answers. Heartbeats do not alter it."""
        return self._clock.epoch(max(at_ms, self._horizon_ms))

    def placement(self, at_ms: int) -> Placement:
        """The graph of that instant; it stays as it is when later changes arrive."""
        return self._placements.at(max(at_ms, self._horizon_ms))

    def entity(self, entity_id: str, at_ms: int) -> Entity | None:
        """The entity, derived from its id where only relations mention it; None if nothing does."""
        return self.placement(at_ms).entity(entity_id)

    def victims(self, at_ms: int) -> tuple[str, ...]:
        """Whose lateness is asked for: the jobs; consumer groups, then deployments and services, in no such chain."""
        return self.placement(at_ms).victims()

    def chain(self, victim: str, at_ms: int) -> Chain:
        """The victim's way from router to storage."""
        return self.placement(at_ms).chain(victim)

    def tenants(self, volume: str, at_ms: int) -> tuple[Tenant, ...]:
        """All that do I/O on a volume, by id."""
        return self.placement(at_ms).tenants(volume)

    def attached_since(self, entity_id: str, volume: str, at_ms: int) -> int | None:
        """When the entity became a tenant of the volume, epoch ms; None if by the first snapshot, or if it is none."""
        tenant = self.placement(at_ms).tenant(entity_id, volume)
        return tenant.since_ms if tenant is not None else None

    def scopes(self, entity_id: str, at_ms: int) -> Scopes:
        """The victims whose chains an entity is in, and the volumes that it is or is a tenant of."""
        return self.placement(at_ms).scopes(entity_id)

    def schedules(self, entity_id: str, at_ms: int) -> tuple[Schedule, ...]:
        """The cron entries of an entity, by id; those that cron would not take are among them, with the reason."""
        at_ms = max(at_ms, self._horizon_ms)
        table = self._tables["schedule"]
        found = []
        for schedule_id in sorted(self._schedules_of.get(entity_id, ())):
            history = table.rows.get((schedule_id,))
            row = history.at(at_ms) if history is not None else None
            if history is not None and row is not None and row.get("entity_id") == entity_id:
                since = history.since(at_ms, COLUMNS["schedule"])
                expression, timezone = row.get("expression") or "", row.get("timezone") or "UTC"
                found.append(
                    Schedule(
                        schedule_id,
                        entity_id,
                        expression,
                        timezone,
                        row.get("command") or "",
                        None if since == ALWAYS else since,
                        cron.unusable_reason(expression, timezone),
                    )
                )
        return tuple(found)

    def resolve(self, labels: Labels, types: Sequence[str], at_ms: int) -> str | None:
        """The entity that a label set means, among `types` in their order (empty: any), None if `unresolved`."""
        return self.resolution(labels, types, at_ms).entity

    def resolution(self, labels: Labels, types: Sequence[str], at_ms: int) -> Resolution:
        """As `resolve`, with the rule that found it or the reason why none did."""
        resolver = self._resolvers.at(at_ms if at_ms > self._horizon_ms else self._horizon_ms)
        return resolver.resolve(labels, types if type(types) is tuple else tuple(types))

    def unresolved_reason(self, labels: Labels, types: Sequence[str], at_ms: int) -> str:
        """Why a label set means no entity, "" if it means one."""
        return self.resolution(labels, types, at_ms).reason

    def _placement(self, at_ms: int) -> Placement:
        entities: dict[str, Row] = {}
        by_snapshot: set[str] = set()
        for key, row, history in self._tables["entity"].as_of(at_ms):
            entities[key[0]] = row
            if history.since(at_ms) == ALWAYS:
                by_snapshot.add(key[0])
        relations = (
            (key[0], key[1], key[2], history.since(at_ms))
            for key, _, history in self._tables["relation"].as_of(at_ms)
            if key[2] in KINDS
        )
        return Placement(entities, relations, self._deleted(at_ms, entities), by_snapshot, self._report)

    def _resolver(self, at_ms: int) -> Resolver:
        entities = {key[0]: row for key, row, _ in self._tables["entity"].as_of(at_ms)}
        mentioned = {end for key, _, _ in self._tables["relation"].as_of(at_ms) for end in key[:2]}
        return Resolver(entities, mentioned - self._deleted(at_ms, entities), self.unresolved)

    def _deleted(self, at_ms: int, entities: Mapping[str, Row]) -> set[str]:
        """The entities that were there, and are not at that time: their relations do not count."""
        histories = self._tables["entity"].rows.items()
        return {key[0] for key, history in histories if key[0] not in entities and history.known_at(at_ms)}

    # Memory

    def forget(self, horizon_ms: int) -> None:
        """Drop what ended by `horizon_ms`; earlier times are from then on answered as of it."""
        if horizon_ms <= self._horizon_ms:
            return
        self._horizon_ms = horizon_ms
        for name in ("relation", "schedule"):
            self._tables[name].forget(horizon_ms)
        # An entity must stay known as deleted while relations name it: those of an unknown one would count.
        ends = {(end,) for key in self._tables["relation"].rows for end in key[:2]}
        self._tables["entity"].forget(horizon_ms, keep=ends)
        for clock in self._clocks():
            clock.forget(horizon_ms)
        self._index_schedules()

    def state(self) -> dict[str, Any]:
        """The graph as plain data that pickles, versions that ended long before the latest time asked for left out."""
        asked_ms = max(clock.asked_ms for clock in self._clocks())
        self.forget(asked_ms - self.retain_ms)
        return {
            "version": 1,
            "retain_ms": self.retain_ms,
            "heard_ms": self.heard_ms,
            "horizon_ms": self._horizon_ms,
            "tables": {name: table.state() for name, table in self._tables.items()},
            "clocks": [clock.state() for clock in self._clocks()],
            "readings": {name: (set(r.keys), r.from_first) for name, r in self._readings.items()},
            "read_ms": dict(self._read_ms),
            "shown": set(self._shown),
            "logged_ms": self._logged_ms,
            "problems": dict(self._problems),
            "unresolved": dict(self.unresolved),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Graph:
        """The graph that `state` was taken of."""
        if state.get("version") != 1:
            raise UsageError(f"inventory state has version {state.get('version')!r}, allowed: 1; start anew")
        graph = cls(state["retain_ms"])
        graph.heard_ms = state["heard_ms"]
        graph._horizon_ms = state["horizon_ms"]
        for name, table in graph._tables.items():
            table.restore(state["tables"][name])
        for clock, clock_state in zip(graph._clocks(), state["clocks"], strict=True):
            clock.restore(clock_state)
        graph._readings = {name: _Reading(*parts) for name, parts in state.get("readings", {}).items()}
        graph._read_ms.update(state.get("read_ms", {}))
        graph._shown.update(state.get("shown", ()))
        graph._logged_ms = state.get("logged_ms")
        graph._problems.update(state["problems"])
        graph.unresolved.update(state["unresolved"])
        graph._index_schedules()
        return graph

    def _clocks(self) -> tuple[Clock, Clock, Clock]:
        return self._clock, self._placements.clock, self._resolvers.clock

    def _index_schedules(self) -> None:
        self._schedules_of.clear()
        for key, history in self._tables["schedule"].rows.items():
            for row in history.rows:
                if row is not None and row.get("entity_id"):
                    self._schedules_of[row["entity_id"]][key[0]] = None


class _Instants(Generic[Answer]):
    """The few instants asked for last, each built once."""

    def __init__(self, build: Callable[[int], Answer]) -> None:
        self.clock = Clock()
        self._build = build
        self._kept: OrderedDict[int, Answer] = OrderedDict()

    def at(self, ms: int) -> Answer:
        epoch = self.clock.epoch(ms)
        found = self._kept.get(epoch)
        if found is None:
            found = self._kept[epoch] = self._build(ms)
            if len(self._kept) > INSTANTS_KEPT:
                self._kept.popitem(last=False)
        return found


def _differ(before: Row | None, after: Row | None, columns: Sequence[str]) -> bool:
    if before is None or after is None:
        return True
    return any(before.get(column) != after.get(column) for column in columns)
