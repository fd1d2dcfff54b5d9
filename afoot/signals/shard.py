"""What a shard remembers from window to window, and how it is kept as parts of which a window writes a few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from afoot.signals import counters, periods
from afoot.signals.baselines import History
from afoot.signals.blocks import (
    DERIVED,
    EVENT,
    PERIOD_MEAN,
    PERIOD_SUM,
    POLL_MEAN,
    Bools,
    Floats,
    Ints,
    Samples,
    Series,
    read_definition,
)
from afoot.signals.plan import Link, Plan
from afoot.signals.settings import Settings

NEVER = -(1 << 62)
HEAD, MARKS, SERIES, KEYS, COLUMN, HOURS = "head", "marks", "series", "keys", "column", "hours"


class Parts(Protocol):
    """Where a shard is kept: values that can be pickled, by name."""

    def put(self, name: str, value: Any) -> None: ...
    def clear(self) -> None: ...


class Unique(NamedTuple):
    """Samples, each series and time once: ordered by series id, then time."""

    series: Ints  # id
    time_ns: Ints
    value: Floats
    message: Ints
    samples: Samples
    dropped: Ints  # series ids of duplicates


class Heard(NamedTuple):
    """An entity that is heard: where, and by which rows of the plan."""

    entity: str
    head: str  # how its payloads begin
    may_suffer: bool  # a victim, or what may stand in for one
    places: list[tuple[str, str | None, str | None, list[int]]]  # role, victim, volume, rows of the plan


class ShardState:
    """What a shard remembers from window to window.

    Per series: its definition, last sample and how far apart the latest were (about 0.5 KB); per entity-signal its
    History (about 0.8 KB). Both are dropped two hours (settings) after they were last seen. `save` keeps it, `load` has
    it back.
    """

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.id: Ints = np.empty(0, np.int64)
        self.mode: Ints = np.empty(0, np.int64)
        self.seen_ms: Ints = np.empty(0, np.int64)  # start of the last window with samples, or that one covers
        self.last_ns: Ints = np.empty(0, np.int64)  # last sample
        self.last: Floats = np.empty(0, np.float64)
        self.gaps: counters.Distances = np.empty((0, counters.GAPS_KEPT), np.float32)
        self.keys: list[tuple[str, str]] = []  # entity-signals, as rows of the history
        self.key_seen_ms: Ints = np.empty(0, np.int64)
        self.history: History | None = None
        self.window_ms: int | None = None  # start of the last window evaluated
        self.made = Made()
        self._saved = _Saved()

    @property
    def means(self) -> Bools:
        """Of each series: whether its values are means since the sample before."""
        means: Bools = self.mode == POLL_MEAN
        return means

    @property
    def sums(self) -> Bools:
        """Of each series: whether its values are sums over a period that its samples do not tell."""
        sums: Bools = self.mode == PERIOD_SUM
        return sums

    @property
    def periodic(self) -> Bools:
        """Of each series: whether its values cover a period that begins at their time."""
        periodic: Bools = self.sums | (self.mode == PERIOD_MEAN)
        return periodic

    def reaches(self, start_ms: int) -> bool:
        """Whether what is known says something of the window that starts then, though no sample may be in it."""
        return periods.until_ns(self) > start_ms * 1_000_000

    def add(self, definitions: list[str]) -> None:
        """Series not known yet."""
        made = self.made
        for definition in definitions:
            series = read_definition(definition)
            made.rows[series.id] = len(made.series)
            made.series.append(series)
            self.definitions.append(definition)
        new = made.series[len(self.id) :]
        n = len(new)
        self.id = np.append(self.id, np.array([s.id for s in new], np.int64))
        self.mode = np.append(self.mode, np.array([s.mode for s in new], np.int64))
        self.seen_ms = np.append(self.seen_ms, np.full(n, NEVER))
        self.last_ns = np.append(self.last_ns, np.full(n, NEVER))
        self.last = np.append(self.last, np.full(n, np.nan))
        self.gaps = np.concatenate([self.gaps, np.full((n, counters.GAPS_KEPT), np.nan, np.float32)])

    def sweep(self, start_ms: int, settings: Settings) -> int:
        """Forget what was not seen for long; how many series that were."""
        # Of events and derived series all that pass by are met, as are addresses: most are heard nowhere.
        passing = (self.mode == EVENT) | (self.mode == DERIVED)
        if self.made.plan is not None:
            passing[self.made.plan.row] = False
        keep_ms = np.where(passing, settings.family_hold_ms, settings.series_retention_ms)
        keep = np.flatnonzero(self.seen_ms >= start_ms - keep_ms)
        if len(keep) > settings.max_series:
            latest = np.lexsort((self.id[keep], -self.seen_ms[keep]))[: settings.max_series]
            keep = np.sort(keep[latest])
        forgotten = len(self.id) - len(keep)
        if forgotten:
            self.definitions = [self.definitions[row] for row in keep.tolist()]
            for name in ("id", "mode", "seen_ms", "last_ns", "last", "gaps"):
                setattr(self, name, getattr(self, name)[keep])
            self.made.keep_series(keep.tolist(), self.id)
            self._saved = _Saved()
        if self.history is not None:
            keep = np.flatnonzero(self.key_seen_ms >= start_ms - settings.series_retention_ms)
            if len(keep) < len(self.keys):
                self.keys = [self.keys[row] for row in keep.tolist()]
                self.key_seen_ms = self.key_seen_ms[keep]
                self.history.keep(keep)
                self.made.keep_keys(self.keys)
                self._saved = _Saved()
        return forgotten

    def save(self, parts: Parts) -> None:
        """Writes what changed since the last save; everything where rows were numbered anew."""
        history, saved = self.history, self._saved
        assert history is not None and history.number is not None
        if saved.number is None:
            parts.clear()
        parts.put(HEAD, (self.window_ms, history.number, history.days, self.key_seen_ms))
        parts.put(MARKS, (self.seen_ms, self.last_ns, self.last, self.gaps))
        if len(self.definitions) > saved.series:
            parts.put(f"{SERIES} {saved.series:08d}", self.definitions[saved.series :])
        if len(self.keys) > saved.keys:
            parts.put(f"{KEYS} {saved.keys:08d}", self.keys[saved.keys :])
        for number, values in history.columns(saved.number):
            parts.put(f"{COLUMN} {number % history.settings.history_windows}", (number, values))
        if history.hours is not None and saved.folded != history.folded:
            parts.put(HOURS, history.hours)
        self._saved = _Saved(len(self.definitions), len(self.keys), history.number, history.folded)

    @classmethod
    def load(cls, parts: Iterable[tuple[str, Any]], settings: Settings) -> ShardState:
        """The shard as it was last saved to these parts; a new one if there are none."""
        state, held = cls(), dict(parts)
        if not held:
            return state
        for name in sorted(held):
            if name.startswith(SERIES):
                state.add(held[name])
            elif name.startswith(KEYS):
                state.keys += held[name]
        state.window_ms, number, days, state.key_seen_ms = held[HEAD]
        state.seen_ms, state.last_ns, state.last, state.gaps = held[MARKS]
        state.made.keys = {key: row for row, key in enumerate(state.keys)}
        columns = [held[name] for name in held if name.startswith(COLUMN)]
        state.history = History.restore(settings, len(state.keys), number, days, columns, held.get(HOURS))
        state._saved = _Saved(len(state.definitions), len(state.keys), number, state.history.folded)
        return state


class _Saved(NamedTuple):
    """How far a shard is kept."""

    series: int = 0
    keys: int = 0
    number: int | None = None  # of the last window; None: nothing is kept
    folded: int | None = None


class Made:
    """What a shard leads to, by the inventory and the catalogue: made again whenever it is not at hand."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}  # of series, by id
        self.series: list[Series] = []
        self.links: list[list[Link]] = []  # of the first series, as many as were resolved
        self.keys: dict[tuple[str, str], int] = {}
        self.basis: tuple[object, ...] = ()  # inventory, its epoch, catalogue and settings of links and plan
        self.plan: Plan | None = None
        self.key_of: Ints = np.empty(0, np.int64)  # history row of each signal of the plan
        self.floor: Floats = np.empty(0, np.float64)
        self.ends: Bools = np.empty(0, np.bool_)  # of each signal of the plan: of what is only there while it runs
        self.heard: list[Heard] = []
        self.is_heard: Bools = np.empty(0, np.bool_)  # of each signal of the plan
        self.unresolved: Bools = np.empty(0, np.bool_)
        self.ahead: tuple[str, Unique] | None = None  # the next window's blocks, unpacked

    def keep_series(self, kept: list[int], ids: Ints) -> None:
        """Forget all series but these, which have new numbers."""
        self.rows = {id_: row for row, id_ in enumerate(ids.tolist())}
        self.series = [self.series[row] for row in kept]
        known = len(self.links)
        self.links = [
            [link._replace(row=row) for link in self.links[old]] for row, old in enumerate(kept) if old < known
        ]
        self.plan = None

    def keep_keys(self, kept: list[tuple[str, str]]) -> None:
        """Forget all entity-signals but these, which have new numbers."""
        self.keys = {key: row for row, key in enumerate(kept)}
        self.plan = None
