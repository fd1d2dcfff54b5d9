"""The inventory with its history: apply changes in commit order, ask as of any time."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from afoot.errors import DecodeError, UsageError
from afoot.inventory import cron
from afoot.inventory.placement import (
    COMPONENTS,
    KINDS,
    TYPES,
    Chain,
    Entity,
    Placement,
    Scopes,
    Tenant,
    derived_type,
)
from afoot.inventory.resolve import HOST_TYPES, INSTANCE_ID, VOLUME_ID, Resolution, Resolver, addresses_of, match_of
from afoot.inventory.sources import Reading, Runs, Source
from afoot.inventory.versions import ALWAYS, Clock, History, Key, Row
from afoot.telemetry.rows import InventoryChange, Labels

DAY_MS = 24 * 3600 * 1000
KEY_COLUMNS = {"entity": ("id",), "relation": ("from_id", "to_id", "kind"), "schedule": ("id",)}
COLUMNS = {
    "entity": ("type", "name", "component", "attributes", "known_as", "match", "addresses"),
    "relation": (),
    "schedule": ("entity_id", "expression", "timezone", "command"),
}
PLACING = ("type", "name", "component", "attributes", "known_as")  # entity columns that placement answers with
LABELLING = ("type", "name", "known_as", "match", "addresses")  # entity columns that labels are resolved by
STATED = frozenset(("known_as", "relations", "only"))  # columns of sources that state entities, and keep no tables
INSTANTS_KEPT = 4  # windows are asked for in order, shard by shard: a few instants at a time
PROBLEMS_KEPT = 1_000
TURNS = 6  # versions by which more than one object of an id is told from one that is made again

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


class _There(NamedTuple):
    """The entities of one instant, as all sources have them, by the names that they go by."""

    entities: dict[str, Row]
    rows: dict[str, Row]  # the same, as sources call them
    by_snapshot: set[str]
    deleted: set[str]  # entities that were there: no relation of theirs counts, whoever states it
    names: dict[str, str]  # those that go by another name than some source has for them


class Graph:
    """Entities, relations and schedules, each version from its own time on.

    A change holds from its time (from_ms <= at_ms); within one millisecond the later in commit order wins. Rows of a
    first snapshot hold for earlier times too. Changes may be applied long before windows ask for older times; versions
    that ended more than `retain_ms` before the latest time asked for are dropped by `state`, or by `forget`.

    Several sources may speak of the same rows: a row is there while one of them has it. No source deletes another's, be
    it by a deletion, by a reading of a whole table, or by no longer saying it (`expired`).
    """

    def __init__(self, retain_ms: int = 2 * DAY_MS) -> None:
        self.retain_ms = retain_ms
        self.heard_ms: int | None = None  # the latest time that the inventory spoke of, heartbeats included
        self.unresolved: Counter[str] = Counter()  # label sets without an entity, by reason
        self.revision = 0  # greater after each change that alters what is known, or what later ones amount to
        self._sources: dict[str, Source] = {}
        self._schedules_of: dict[str, dict[str, None]] = defaultdict(dict)  # entity -> schedules that ever were its
        self._known_as: dict[str, dict[str, None]] = defaultdict(dict)  # entity -> ids that ever were known as it
        self._runs = Runs()
        self._problems: dict[str, int] = {}
        self._clock = Clock()
        self._horizon_ms = ALWAYS
        self._placements = _Instants(self._placement)
        self._resolvers = _Instants(self._resolver)

    # Changes

    def apply(self, change: InventoryChange) -> None:
        """Take in one change, in commit order. What cannot be used is in `problems`, and changes nothing else."""
        source = self._source(change.source)
        if change.holds_ms is not None or (change.row is not None and not STATED.isdisjoint(change.row)):
            source.states = True
        ended, said = self._further(source, change)
        self._apply(source, change, instead=bool(ended))
        for further in [*ended, *said]:
            self._apply(source, further, instead=bool(ended))

    def _source(self, name: str) -> Source:
        found = self._sources.get(name)
        if found is None:
            found = self._sources[name] = Source(COLUMNS)
        return found

    def _further(self, source: Source, change: InventoryChange) -> tuple[list[InventoryChange], list[InventoryChange]]:
        """The relations that end, and those that hold, by a row that says more than itself.

        An entity's `relations` are all that it has by its source; a relation may be the `only` one of its kind.
        """
        own = change.key[0] if change.key else None
        if change.op != "upsert" or change.row is None or not isinstance(own, str):
            return [], []
        said: list[Key] = []
        if change.table == "entity" and change.row.get("relations") is not None:
            stated = change.row["relations"]
            try:
                said = [(own, to_id, kind) for to_id, kind in (orjson.loads(stated) if type(stated) is str else stated)]
                kept = frozenset(said)
            except (TypeError, ValueError):
                self._report(f"entity {own!r:.80}: relations are {stated!r:.60}, allowed: [to_id, kind] each")
                return [], []
            over = [key for key in source.standing(own, change.time_ms) if key not in kept]
        elif change.table == "relation" and change.row.get("only") in (True, "true"):
            key = tuple(change.key)
            over = [k for k in source.standing(own, change.time_ms) if k[2:] == key[2:] and k != key]
        else:
            return [], []
        plain = change._replace(table="relation")
        ended = [plain._replace(op="delete", key=key, row=None, holds_ms=None) for key in over]
        rows = [dict(zip(KEY_COLUMNS["relation"], key, strict=True)) for key in said]
        return ended, [plain._replace(key=key, row=row) for key, row in zip(said, rows, strict=True)]

    def _apply(self, source: Source, change: InventoryChange, instead: bool = False) -> None:
        """One row of one source; `instead`: of others that end with it, so that it cannot have been there before."""
        table_name, op, _, columns, time_ms, snapshot, reading, _, _, holds_ms = change
        key = tuple(change.key)  # a list where the change came by JSON
        if self.heard_ms is None or time_ms > self.heard_ms:
            self.heard_ms = time_ms
        if not reading and not snapshot and source.shown:
            self.revision += 1
            source.logged_ms = max(time_ms, source.logged_ms or time_ms)
        if op == "heartbeat" or table_name == "heartbeat":
            if reading == "last":
                self._end_snapshot(source, change)
            return
        table = source.tables.get(table_name)
        if table is None:
            self._report(f"{table_name!r} is no inventory table; allowed: {', '.join(COLUMNS)}; the change is ignored")
        elif op == "truncate":
            if table.truncate(time_ms):
                self._note(time_ms, placing=table_name != "schedule", labelling=table_name != "schedule")
        elif reading and change.reading_rows == 0:
            source.shown.add(table_name)
            self._end_reading(source, change, set())
        elif len(key) != len(KEY_COLUMNS[table_name]) or not all(isinstance(part, str) and part for part in key):
            names = ", ".join(KEY_COLUMNS[table_name])
            self._report(f"a row of {table_name} has key {key!r:.80}, needed: {names}; the change is ignored")
        else:
            patch = None if op == "delete" or columns is None else self._patch(table_name, key, columns)
            if table_name in source.read_ms:
                snapshot = False  # the first snapshot is over
                if reading and columns is not None:
                    time_ms = self._updated_ms(source, table_name, columns, time_ms)
            if patch is None:
                source.leases.drop(table_name, key)
            elif holds_ms:
                terms = source.leases.terms
                first = source.leases.say(table_name, key, time_ms, holds_ms)
                self.revision += source.leases.terms - terms
                if first and key not in table.rows and not instead:
                    time_ms, snapshot = ALWAYS, True  # all that its source has said so far may have been there before
            before, streaming_ms = table.at(key, time_ms), table.streaming_ms
            from_ms = table.put(key, time_ms, patch, snapshot)
            self.revision += table.streaming_ms != streaming_ms and table_name not in source.read_ms
            if from_ms is not None:
                self._altered(source, table_name, key, from_ms, before)
            if reading:
                self._read_on(source, change, key)

    def _altered(self, source: Source, table_name: str, key: Key, from_ms: int, before: Row | None) -> None:
        table = source.tables[table_name]
        after = table.at(key, from_ms)
        if table_name == "entity":
            amends = table.rows[key].times[-1] > from_ms  # then newer versions may differ by it too
            self._note(
                from_ms,
                placing=amends or _differ(before, after, PLACING),
                labelling=amends or _differ(before, after, LABELLING),
            )
            if after is not None and after.get("known_as"):
                self._known_as[after["known_as"]][key[0]] = None
            if source.states and _by_turns(table.rows[key], from_ms):
                self._report(
                    f"entity {key[0]!r:.80} is two by turns, and neither's relations hold: where several clusters send "
                    "to one topic, its option cluster tells them apart"
                )
        elif table_name == "relation":
            source.related(key)
            is_run = self._runs.add(key)
            # Whom labels mean hangs on the names that relations mention; on all ends, where sources differ in names.
            states = any(other.states for other in self._sources.values())
            names_host = states or is_run or any(derived_type(end) in HOST_TYPES for end in key[:2])
            self._note(from_ms, placing=True, labelling=names_host)
        else:
            self._note(from_ms, placing=False, labelling=False)
            if after is not None and after.get("entity_id"):
                self._schedules_of[after["entity_id"]][key[0]] = None

    def expired(self) -> list[InventoryChange]:
        """The deletions, not yet applied, of rows that their sources go on without (see Leases)."""
        return [
            InventoryChange(table, "delete", key, None, ended_ms, source=name)
            for name, source in self._sources.items()
            for (table, key), ended_ms in source.leases.over()
        ]

    def renew(self) -> None:
        """Let no row run out for what may have been said since: for a graph that was built from some of its changes."""
        for source in self._sources.values():
            source.leases.renew()

    def _updated_ms(self, source: Source, table: str, columns: Row, read_ms: int) -> int:
        """When a row came that a reading shows: when it says so, if that is since the reading before."""
        stated = columns.get("updated_at")
        return stated if type(stated) is int and source.read_ms[table] < stated < read_ms else read_ms

    def _read_on(self, source: Source, change: InventoryChange, key: Key) -> None:
        """Follow a whole table's reading. What it has not shown at its end is deleted, if nothing of it was missed."""
        table, at_ms = change.table, change.time_ms
        if source.logged_ms is not None and at_ms > source.logged_ms and table not in source.readings:
            # The log went on, so the snapshot before was broken off. Changes that others send in between are older
            # than none of what it shows.
            source.shown.clear()
            source.logged_ms = None
        source.shown.add(table)
        if at_ms <= source.read_ms.get(table, ALWAYS):
            return  # delivered again
        if change.reading == "first" or table not in source.readings:
            # A table of one row has a last one only.
            source.readings[table] = Reading(set(), change.reading != "next")
        reading = source.readings[table]
        reading.keys.add(key)
        if change.reading == "last":
            del source.readings[table]
            rows = change.reading_rows
            if not reading.from_first or rows not in (None, len(reading.keys)):
                found = f"{len(reading.keys)} rows" if rows is None else f"{len(reading.keys)} of {rows} rows"
                self._report(f"a reading of {table} is incomplete: it has {found}; it deletes nothing")
                return
            self._end_reading(source, change, reading.keys)

    def _end_reading(self, source: Source, change: InventoryChange, keys: AbstractSet[Key]) -> None:
        """The end of a reading of the change's table, at its time: what was not among `keys` is deleted."""
        table, at_ms = change.table, change.time_ms
        if at_ms <= source.read_ms.get(table, ALWAYS):
            return
        self.revision += table not in source.read_ms
        source.read_ms[table] = at_ms
        shown = [dict(zip(KEY_COLUMNS[table], key, strict=True)) for key in keys]
        for reconciled in self.reconcile(table, shown, at_ms, change.source):
            self._apply(source, reconciled)

    def _end_snapshot(self, source: Source, change: InventoryChange) -> None:
        """The end of a snapshot of all tables: one that it showed no row of is empty."""
        for table in COLUMNS:
            if table not in source.shown:
                self._end_reading(source, change._replace(table=table), set())
        source.shown.clear()
        source.logged_ms = None
        source.readings.clear()

    @property
    def reading(self) -> bool:
        """Whether a reading of a table has begun and not ended."""
        return any(source.readings for source in self._sources.values())

    @property
    def under_way(self) -> tuple[Hashable, ...]:
        """What the effect of later changes hangs on besides the tables, of each source."""
        return tuple((name, source.under_way()) for name, source in self._sources.items() if any(source.under_way()))

    def reconcile(
        self, table: str, rows: Iterable[Mapping[str, Any]], at_ms: int, source: str = ""
    ) -> list[InventoryChange]:
        """The changes, not yet applied, that make a source's table what its full poll at `at_ms` showed.

        A poll never shows a deletion: what it lacks is deleted. The first poll of a table is its first snapshot. A row
        without its key raises DecodeError, since a poll that is half read would delete what it did not read.
        """
        if table not in COLUMNS:
            raise UsageError(f"table {table!r} is no inventory table; allowed: {', '.join(COLUMNS)}")
        known = self._source(source).tables[table]
        snapshot = not known.rows and table not in self._source(source).read_ms
        polled: dict[Key, Row] = {}
        for row in rows:
            key = tuple(row.get(column) for column in KEY_COLUMNS[table])
            if not all(isinstance(part, str) and part for part in key):
                names = ", ".join(KEY_COLUMNS[table])
                raise DecodeError(f"a polled row of {table} has key {key!r:.80}, needed: {names}; none is reconciled")
            polled[tuple(str(part) for part in key)] = dict(row)
        changes = [
            InventoryChange(table, "upsert", key, row, at_ms, snapshot, source=source)
            for key, row in polled.items()
            if self._differs(known.at(key, at_ms), table, key, row)
        ]
        gone = [key for key, _, _ in known.as_of(at_ms) if key not in polled]
        return changes + [InventoryChange(table, "delete", key, None, at_ms, source=source) for key in gone]

    def _differs(self, held: Row | None, table: str, key: Key, row: Row) -> bool:
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
        """The cron entries of an entity, by id; those that cron would not take are among them, with the reason.

        A pod has those of the cronjob that it is a run of, and all have those of what they are part of.
        """
        at_ms = max(at_ms, self._horizon_ms)
        found: dict[str, Schedule] = {}
        for owner in self._scheduled(entity_id, at_ms):
            for schedule_id in self._schedules_of.get(owner, ()):
                for source in self._ranked():
                    history = source.tables["schedule"].rows.get((schedule_id,))
                    row = history.at(at_ms) if history is not None else None
                    if schedule_id in found or history is None or row is None or row.get("entity_id") != owner:
                        continue
                    since = history.since(at_ms, COLUMNS["schedule"])
                    expression, timezone = row.get("expression") or "", row.get("timezone") or "UTC"
                    found[schedule_id] = Schedule(
                        schedule_id,
                        entity_id,
                        expression,
                        timezone,
                        row.get("command") or "",
                        None if since == ALWAYS else since,
                        cron.unusable_reason(expression, timezone),
                    )
        return tuple(found[schedule_id] for schedule_id in sorted(found))

    def _scheduled(self, entity_id: str, at_ms: int) -> list[str]:
        """Whose schedules an entity's are: by all names of its own, of its cronjob, and of what it is part of."""
        owners = [entity_id, *self._runs.owner(entity_id), *self.placement(at_ms).wholes_of(entity_id)]
        names = dict.fromkeys(owners)
        for owner in owners:
            for raw in self._known_as.get(owner, ()):
                rows = (source.tables["entity"].at((raw,), at_ms) for source in self._sources.values())
                if any(row is not None and row.get("known_as") == owner for row in rows):
                    names[raw] = None
        return list(names)

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
        there = self._there(at_ms)
        return Placement(there.entities, self._relations(at_ms, there), there.deleted, there.by_snapshot, self._report)

    def _resolver(self, at_ms: int) -> Resolver:
        there = self._there(at_ms)
        mentioned = {
            end
            for source in self._sources.values()
            for key, _, _ in source.tables["relation"].as_of(at_ms)
            for end in key[:2]
        } - there.deleted
        return Resolver(
            there.rows, mentioned, self.unresolved, there.names, lambda entity_id: self._addressed_ms(entity_id, at_ms)
        )

    def _addressed_ms(self, entity_id: str, at_ms: int) -> int:
        histories = (source.tables["entity"].rows.get((entity_id,)) for source in self._sources.values())
        told = [one for one in histories if one is not None and (one.at(at_ms) or {}).get("addresses")]
        return min((one.since(at_ms, ("addresses",)) for one in told), default=ALWAYS)

    def _relations(self, at_ms: int, there: _There) -> Iterable[tuple[str, str, str, int]]:
        """The relations that place, and since when: those of several sources with the first of them."""
        sources = [source.tables["relation"] for source in self._sources.values()]
        if not there.names and len(sources) == 1:
            return (
                (key[0], key[1], key[2], history.since(at_ms))
                for key, _, history in sources[0].as_of(at_ms)
                if key[2] in KINDS
            )
        names, deleted = there.names, there.deleted
        found: dict[Key, int] = {}
        for table in sources:
            for (from_id, to_id, kind), _, history in table.as_of(at_ms):
                # Deleted, as its source calls them.
                if kind in KINDS and from_id not in deleted and to_id not in deleted:
                    key, since = (names.get(from_id, from_id), names.get(to_id, to_id), kind), history.since(at_ms)
                    found[key] = min(since, found.get(key, since))
        # A cronjob has what a run of it has since the first run that is known to have had it.
        for run, _ in self._runs.items():
            for source in self._sources.values():
                for from_id, to_id, kind in source.relations_of.get(run, ()):
                    key = (names.get(from_id, from_id), names.get(to_id, to_id), kind)
                    first = source.tables["relation"].rows.get((from_id, to_id, kind))
                    if key in found and first is not None:
                        found[key] = min(found[key], first.times[0])
        return ((key[0], key[1], key[2], since) for key, since in found.items())

    def _ranked(self) -> list[Source]:
        """The sources, those first that keep tables: where several state a column, the first says what it is."""
        return [source for _, source in sorted(self._sources.items(), key=lambda item: (item[1].states, item[0]))]

    def _there(self, at_ms: int) -> _There:
        raw: dict[str, Row] = {}
        by_snapshot: set[str] = set()
        kept: set[str] = set()
        again: list[tuple[str, Row]] = []
        known_as: dict[str, str] = {}
        for source in self._ranked():
            for (entity_id,), row, history in source.tables["entity"].as_of(at_ms):
                if entity_id in raw:
                    again.append((entity_id, row))
                else:
                    raw[entity_id] = row
                if history.since(at_ms) == ALWAYS:
                    by_snapshot.add(entity_id)
                if source.states and row.get("known_as"):
                    known_as[entity_id] = row["known_as"]
                if not source.states:
                    kept.add(entity_id)
        deleted = self._deleted(at_ms, raw.keys())
        for entity_id, row in again:
            raw[entity_id] = _united(raw[entity_id], row)
        names = known_as
        if any(source.states for source in self._sources.values()):
            by_cloud_id = _by_cloud_id({entity_id: raw[entity_id] for entity_id in kept})
            names = {entity_id: by_cloud_id.get(name, name) for entity_id, name in known_as.items()}
            names |= {name: owner for name, owner in by_cloud_id.items() if name not in kept and name not in names}
        for run, cronjob in self._runs.items():
            names[run] = names.get(cronjob, cronjob)
        for entity_id, name in known_as.items():
            names[entity_id] = names.get(name, names[entity_id])
        if not names:
            return _There(raw, raw, by_snapshot, deleted, names)
        entities = {entity_id: row for entity_id, row in raw.items() if entity_id not in names}
        for entity_id, name in names.items():
            if entity_id in raw:
                entities[name] = _united(entities[name], raw[entity_id]) if name in entities else raw[entity_id]
        return _There(entities, raw, {names.get(one, one) for one in by_snapshot}, deleted, names)

    def _deleted(self, at_ms: int, there: AbstractSet[str]) -> set[str]:
        """The entities that were there, and are not at that time: their relations do not count, by any source."""
        found: set[str] = set()
        for source in self._sources.values():
            for (raw,), history in source.tables["entity"].rows.items():
                if raw not in there and history.known_at(at_ms):
                    found.add(raw)
                    last = history.last(at_ms)
                    if last is not None and last.get("known_as"):
                        found.add(last["known_as"])
        if self._known_as:
            found -= {name for name, raws in self._known_as.items() if name in there or raws.keys() & there}
        return found

    # Memory

    def forget(self, horizon_ms: int) -> None:
        """Drop what ended by `horizon_ms`; earlier times are from then on answered as of it."""
        if horizon_ms <= self._horizon_ms:
            return
        self._horizon_ms = horizon_ms
        for source in self._sources.values():
            for name in ("relation", "schedule"):
                source.tables[name].forget(horizon_ms)
            source.index()
        # An entity must stay known as deleted while relations name it: those of an unknown one would count.
        ends = {
            (name,)
            for source in self._sources.values()
            for key in source.tables["relation"].rows
            for end in key[:2]
            for name in (end, *self._known_as.get(end, ()))
        }
        for source in self._sources.values():
            source.tables["entity"].forget(horizon_ms, keep=ends)
        for clock in self._clocks():
            clock.forget(horizon_ms)
        self._index()

    def state(self) -> dict[str, Any]:
        """The graph as plain data that pickles, versions that ended long before the latest time asked for left out."""
        asked_ms = max(clock.asked_ms for clock in self._clocks())
        self.forget(asked_ms - self.retain_ms)
        return {
            "version": 2,
            "retain_ms": self.retain_ms,
            "heard_ms": self.heard_ms,
            "horizon_ms": self._horizon_ms,
            "sources": {name: source.state() for name, source in self._sources.items()},
            "clocks": [clock.state() for clock in self._clocks()],
            "problems": dict(self._problems),
            "unresolved": dict(self.unresolved),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Graph:
        """The graph that `state` was taken of."""
        if state.get("version") != 2:
            raise UsageError(f"inventory state has version {state.get('version')!r}, allowed: 2; start anew")
        graph = cls(state["retain_ms"])
        graph.heard_ms = state["heard_ms"]
        graph._horizon_ms = state["horizon_ms"]
        for name, source_state in state["sources"].items():
            graph._source(name).restore(source_state)
        for clock, clock_state in zip(graph._clocks(), state["clocks"], strict=True):
            clock.restore(clock_state)
        graph._problems.update(state["problems"])
        graph.unresolved.update(state["unresolved"])
        graph._index()
        return graph

    def _clocks(self) -> tuple[Clock, Clock, Clock]:
        return self._clock, self._placements.clock, self._resolvers.clock

    def _index(self) -> None:
        self._schedules_of.clear()
        self._known_as.clear()
        self._runs = Runs()
        for source in self._sources.values():
            for key in source.tables["relation"].rows:
                self._runs.add(key)
            for table, column, index in (
                ("schedule", "entity_id", self._schedules_of),
                ("entity", "known_as", self._known_as),
            ):
                for key, history in source.tables[table].rows.items():
                    for row in history.rows:
                        if row is not None and row.get(column):
                            index[row[column]][key[0]] = None


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


def _by_turns(history: History, at_ms: int) -> bool:
    """Whether uids, which never come back, have taken turns in the latest versions: it is more than one object."""
    end = bisect_right(history.times, at_ms)
    uids = [_uid(row) for row in history.rows[max(end - TURNS, 0) : end]]
    return len(uids) == TURNS and len(set(uids)) <= TURNS // 2 and all(a and a != b for a, b in pairwise(uids))


def _uid(row: Row | None) -> str:
    pairs = (pair for pairs in (row or {}).get("match") or () for pair in pairs)
    return next((str(value) for name, value in pairs if name.endswith(".uid")), "")


def _united(first: Row, other: Row) -> Row:
    """What two sources say of one entity: the first decides, the other adds; labels and addresses of either mean it."""
    found = {column: value for column, value in other.items() if value is not None}
    found |= {column: value for column, value in first.items() if value is not None}
    for column in ("match", "addresses"):
        found[column] = tuple(dict.fromkeys((*(first.get(column) or ()), *(other.get(column) or ()))))
    found["attributes"] = {**(other.get("attributes") or {}), **(first.get("attributes") or {})}
    return found


def _by_cloud_id(kept: Mapping[str, Row]) -> dict[str, str]:
    """The ids that the rules of labels would make of a cloud's ids, by the entity whose match has these."""
    found: dict[str, set[str]] = defaultdict(set)
    for entity_id, row in kept.items():
        type_ = row.get("type") or derived_type(entity_id)
        for pairs in row.get("match") or ():
            for name, value in pairs:
                if type_ == "volume" and name in VOLUME_ID:
                    found[f"volume:{value}"].add(entity_id)
                elif type_ in ("vm", "node") and name in INSTANCE_ID:
                    found[f"vm:{value}"].add(entity_id)
    return {name: next(iter(owners)) for name, owners in found.items() if len(owners) == 1}
