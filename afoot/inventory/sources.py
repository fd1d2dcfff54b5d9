"""What one source says of the inventory: its tables, the readings that are under way, and how long its word holds."""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from afoot.inventory.versions import Key, Table
from afoot.telemetry.rows import InventoryChange

What = tuple[str, Key]  # a table and a row's key

PARTS = 3  # the most that a silence adds to a source's clock is this part of the time that its word holds
FIRST = 10  # what a source says in this part of that time, from its first word on, may be older than that


def heard_in(topic: str, change: InventoryChange) -> InventoryChange:
    """A change as the graph takes it: its source is the topic, and whom the topic tells apart in it."""
    return change._replace(source=f"{topic} {change.source}" if change.source else topic)


class Reading(NamedTuple):
    """A whole table's reading that has not ended: the keys that it showed, and whether its first row is among them."""

    keys: set[Key]
    from_first: bool


class _Round:
    """Rows that hold equally long. Their clock goes on as the source speaks, however long it was silent before."""

    __slots__ = ("alive_ms", "began_ms", "heard_ms", "holds_ms", "said")

    def __init__(self, holds_ms: int, began_ms: int) -> None:
        self.holds_ms = holds_ms
        self.began_ms = self.heard_ms = began_ms
        self.alive_ms = 0
        self.said: OrderedDict[What, int] = OrderedDict()  # when, by the clock

    def say(self, what: What, time_ms: int) -> None:
        if time_ms > self.heard_ms:
            self.alive_ms += min(time_ms - self.heard_ms, max(self.holds_ms // PARTS, 1))
            self.heard_ms = time_ms
        self.said.pop(what, None)
        self.said[what] = self.alive_ms

    def over(self) -> Iterator[What]:
        while self.said:
            what, alive_ms = next(iter(self.said.items()))
            if self.alive_ms - alive_ms < self.holds_ms:
                return
            del self.said[what]
            yield what


class Leases:
    """Rows that hold for a time only, unless their source says them again.

    Time is the source's own: while it is silent nothing runs out, and one silence, however long, counts for a third of
    a row's time at most. So rows go that their source goes on without, and none goes because the source was away.
    """

    def __init__(self) -> None:
        self.terms = 0  # how often a row's holding time became another
        self._rounds: dict[int, _Round] = {}
        self._of: dict[What, int] = {}

    def __bool__(self) -> bool:
        return bool(self._rounds)

    def say(self, table: str, key: Key, time_ms: int, holds_ms: int) -> bool:
        """A row is said. Returns whether that is among its source's first words: then it may be older than that."""
        # Rounded up to three digits, so that no sender can make more clocks than a few thousand.
        step = 10 ** max(len(str(holds_ms)) - 3, 0)
        holds_ms = -(-holds_ms // step) * step
        what = (table, key)
        before = self._of.get(what)
        if before != holds_ms:
            self.terms += 1
            if before is not None:
                self._rounds[before].said.pop(what, None)
        found = self._rounds.get(holds_ms)
        if found is None:
            found = self._rounds[holds_ms] = _Round(holds_ms, time_ms)
        self._of[what] = holds_ms
        found.say(what, time_ms)
        return time_ms - found.began_ms < holds_ms // FIRST

    def drop(self, table: str, key: Key) -> None:
        """A row was deleted."""
        holds_ms = self._of.pop((table, key), None)
        if holds_ms is not None:
            self._rounds[holds_ms].said.pop((table, key), None)

    def over(self) -> list[tuple[What, int]]:
        """The rows whose time has run out, each with the time of its end; they are forgotten."""
        found = []
        for one in self._rounds.values():
            for what in one.over():
                del self._of[what]
                found.append((what, one.heard_ms))
        return found

    def renew(self) -> None:
        """Give every row its whole time anew: what was said last may not be known."""
        for one in self._rounds.values():
            for what in one.said:
                one.said[what] = one.alive_ms

    def began(self) -> tuple[tuple[int, int], ...]:
        """When each holding time was first heard of."""
        return tuple(sorted((holds_ms, one.began_ms) for holds_ms, one in self._rounds.items()))

    def state(self) -> list[tuple[int, int, int, int, list[tuple[What, int]]]]:
        """As plain data."""
        return [
            (one.holds_ms, one.began_ms, one.heard_ms, one.alive_ms, list(one.said.items()))
            for one in self._rounds.values()
        ]

    def restore(self, state: Sequence[Any]) -> None:
        """Take back what `state` gave."""
        for holds_ms, began_ms, heard_ms, alive_ms, said in state:
            one = self._rounds[holds_ms] = _Round(holds_ms, began_ms)
            one.heard_ms, one.alive_ms = heard_ms, alive_ms
            for what, said_ms in said:
                one.said[what] = said_ms
                self._of[what] = holds_ms


class Runs:
    """The pods that are, or were, runs of a cronjob of Kubernetes: part of it, or of a job of it.

    Each run is a pod of its own name, and all of them are what the cronjob does.
    """

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}  # of pods and jobs

    def add(self, relation: Key) -> bool:
        """Notes a relation that says so; whether it does."""
        from_id, to_id, kind = relation
        types = from_id.partition(":")[0], to_id.partition(":")[0]
        if kind != "part_of" or types not in (("pod", "batch_job"), ("pod", "cronjob"), ("batch_job", "cronjob")):
            return False
        if types != ("pod", "batch_job") or from_id not in self._owner:
            self._owner[from_id] = to_id
        return True

    def owner(self, entity_id: str) -> list[str]:
        """The cronjob that a pod or a job is a run of, if it is one."""
        owner = self._owner.get(entity_id)
        if owner is not None:
            owner = self._owner.get(owner, owner)
        return [owner] if owner is not None and owner.startswith("cronjob:") else []

    def items(self) -> Iterator[tuple[str, str]]:
        """Pods and jobs that are runs, each with its cronjob."""
        for run in self._owner:
            for cronjob in self.owner(run):
                yield run, cronjob


class Source:
    """The tables as one source has them. What it deletes, or no longer shows, is its own word only."""

    def __init__(self, columns: Mapping[str, Sequence[str]]) -> None:
        self.tables = {name: Table(names) for name, names in columns.items()}
        self.readings: dict[str, Reading] = {}  # tables that are being read whole
        self.read_ms: dict[str, int] = {}  # table -> time of its last whole reading
        self.shown: set[str] = set()  # tables that the snapshot, which may be under way, showed rows of
        self.logged_ms: int | None = None  # the latest time of the log since a snapshot began, if it has not ended
        self.leases = Leases()
        self.states = False  # whether it states entities, by rows that tables do not have, and keeps none
        self.relations_of: dict[str, dict[Key, None]] = defaultdict(dict)  # entity -> relations that ever began at it
        self._open: dict[str, dict[Key, None]] = defaultdict(dict)  # those of them that have no end yet
        self._ended: dict[str, list[tuple[int, Key]]] = defaultdict(list)  # when the others ended, in order

    def standing(self, from_id: str, at_ms: int) -> list[Key]:
        """The relations that begin at an entity. What ended before costs nothing: an entity may have had very many."""
        found = dict.fromkeys(self._open.get(from_id, ()))
        for ended_ms, key in reversed(self._ended.get(from_id, ())):
            if ended_ms <= at_ms:
                break
            found[key] = None
        table = self.tables["relation"]
        return [key for key in found if table.at(key, at_ms) is not None]

    def related(self, key: Key) -> None:
        """A relation was altered."""
        self.relations_of[key[0]][key] = None
        history = self.tables["relation"].rows[key]
        if history.rows[-1] is not None:
            self._open[key[0]][key] = None
        else:
            self._open[key[0]].pop(key, None)
            insort(self._ended[key[0]], (history.times[-1], key))

    def index(self) -> None:
        """Find anew which relations begin where."""
        for index in (self.relations_of, self._open, self._ended):
            index.clear()
        for key in self.tables["relation"].rows:
            self.related(key)

    def under_way(self) -> tuple[Hashable, ...]:
        """What the effect of later changes hangs on besides the tables."""
        readings = frozenset((name, frozenset(keys), first) for name, (keys, first) in self.readings.items())
        streaming = tuple((name, t.streaming_ms) for name, t in self.tables.items() if t.streaming_ms is not None)
        return readings, frozenset(self.shown), self.logged_ms, self.leases.began(), streaming, self.states

    def state(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "tables": {name: table.state() for name, table in self.tables.items()},
            "readings": {name: (set(r.keys), r.from_first) for name, r in self.readings.items()},
            "read_ms": dict(self.read_ms),
            "shown": set(self.shown),
            "logged_ms": self.logged_ms,
            "leases": self.leases.state(),
            "states": self.states,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        for name, table in self.tables.items():
            table.restore(state["tables"][name])
        self.readings = {name: Reading(*parts) for name, parts in state["readings"].items()}
        self.read_ms.update(state["read_ms"])
        self.shown.update(state["shown"])
        self.logged_ms = state["logged_ms"]
        self.leases.restore(state["leases"])
        self.states = state["states"]
        self.index()
