"""What a sampler remembers of series: their index, id, shard, and the window that each was last defined in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from afoot.catalogue.model import Catalogue, How, Source
from afoot.signals import blocks
from afoot.signals.blocks import CUMULATIVE, DELTA, GAUGE, PERIOD_MEAN, PERIOD_SUM, POLL_MEAN, Bools, Ints
from afoot.signals.identity import identity, shard_of
from afoot.signals.settings import DEFINED_MS
from afoot.telemetry.rows import Labels, MetricKind, MetricPoint, Points

UNASKED = -1  # of a series that no signal asks for
_UNKNOWN = -2  # of a series not met before
_NEVER = -(1 << 62)  # before all windows

Key = tuple[str, int, MetricKind]  # metric name, id of its labels, kind


class Shape(NamedTuple):
    """What is known of a message's series, by the points that stand for them."""

    heads: tuple[MetricPoint, ...]
    series: Ints  # indices of those that a signal asks for
    kept: Ints  # their places in the message
    unasked: dict[str, int]  # of the others by metric name


class KnownSeries:
    """Series by index. A cache: beyond `most` series (about 1 KB each) it starts anew, which changes no row."""

    def __init__(self, catalogue: Catalogue, shards: int, most: int) -> None:
        self.catalogue = catalogue
        self.shards = shards
        self.most = most
        self._forget()

    def _forget(self) -> None:
        # A key holds id(labels), which stays that object's as long as _labels or _unused holds on to it.
        self._index: dict[Key, int] = {}
        self._labels: list[Labels] = []
        self._unused: list[Labels] = []
        self._definitions: list[str] = []
        self.hows: list[How] = []
        self.ids: Ints = np.empty(1024, np.int64)
        self.shard: Ints = np.empty(1024, np.int64)
        self._defined: Ints = np.empty(1024, np.int64)  # ms: the window that a series was last defined for, for certain
        self._events: dict[tuple[str, int, int], int] = {}
        self._shapes: dict[int, Shape] = {}  # by id(heads), which Shape holds on to
        self._shaped = 0  # series in these
        self._heads: dict[int, int] = {}  # index by id(head), which _held holds on to
        self._held: list[MetricPoint] = []

    def make_room(self) -> None:
        """Starts anew if there are too many; never while a batch holds indices."""
        if max(len(self._labels) + len(self._unused), len(self._held)) > self.most:
            self._forget()

    # ---- metric points ---------------------------------------------------------------------------------------------

    def of_points(self, keys: list[Key], points: list[MetricPoint]) -> list[int]:
        """The index of each point's series, or UNASKED; keys are those of the points."""
        found = list(map(self._index.get, keys))
        if None in found:
            return [self._meet(points[place]) if index is None else index for place, index in enumerate(found)]
        return found  # type: ignore[return-value]  # there is no None

    def of_columns(self, points: Points) -> Shape:
        """The series of a message that has them in a known order."""
        if not points.lasting:
            return self._assembled(points.heads)
        shape = self._shapes.get(id(points.heads))
        if shape is None:
            if self._shaped > self.most:
                self._shapes.clear()
                self._shaped = 0
            shape = self._shapes[id(points.heads)] = _shape(points.heads, list(map(self._meet, points.heads)))
            self._shaped += len(points.heads)
        return shape

    def _assembled(self, heads: tuple[MetricPoint, ...]) -> Shape:
        """The shape of heads that come again each by itself."""
        known = self._heads
        index = [known.get(id(head), _UNKNOWN) for head in heads]
        if _UNKNOWN in index:
            for place, head in enumerate(heads):
                if index[place] == _UNKNOWN:
                    known[id(head)] = index[place] = self._meet(head)
                    self._held.append(head)
        return _shape(heads, index)

    def _meet(self, point: MetricPoint) -> int:
        """The index of a series not known when its message came, or UNASKED."""
        asked = self.catalogue.uses(point.name)
        if not asked:
            return UNASKED  # known by its name alone: nothing to remember
        key = (point.name, id(point.labels), point.kind)
        index = self._index.get(key)
        if index is not None:
            return index  # met earlier in this batch
        index = UNASKED
        uses = [use for use in asked if use.side or use.source.admits(point.labels.mapping)]
        mode = _mode(uses[0].source, point) if uses else None
        if mode is not None:
            index = self._add(mode, point.name, point.labels, uses[0].source)
        else:
            self._unused.append(point.labels)
        self._index[key] = index
        return index

    # ---- events ----------------------------------------------------------------------------------------------------

    def of_event(self, mode: int, source: Source, labels: Labels) -> int:
        """The index of the events that a source makes of rows with such labels."""
        name = source.terms[0][0]
        key = (name, id(labels), mode)
        index = self._events.get(key)
        if index is None:
            index = self._events[key] = self._add(mode, name, labels, source)
        return index

    def _add(self, mode: int, metric: str, labels: Labels, source: Source) -> int:
        made = blocks.series(mode, metric, labels)
        index = len(self._labels)
        if index == len(self.ids):
            self.ids, self.shard, self._defined = (
                np.concatenate([held, held]) for held in (self.ids, self.shard, self._defined)
            )
        self._labels.append(labels)
        self._definitions.append(made.definition)
        self.hows.append(source.how)
        self.ids[index] = made.id
        self.shard[index] = shard_of(identity(labels, source.types, source.identity), self.shards)
        self._defined[index] = _NEVER
        return index

    # ---- definitions -----------------------------------------------------------------------------------------------

    def define(self, index: Ints, window_ms: Ints, certain: Bools, starts: Ints) -> dict[int, list[str]]:
        """The definitions that blocks have to carry, by the block's place: of series not defined lately.

        What was defined for a later window is not known in this one, and what a late block defined nowhere.
        `index`, `window_ms` and `certain` are of samples; blocks begin at `starts`.
        """
        defined = self._defined[index]
        places = np.flatnonzero((window_ms < defined) | (window_ms - defined >= DEFINED_MS))
        found: dict[int, list[str]] = {}
        if len(places):
            blocks_of = np.searchsorted(starts, places, "right") - 1
            _, firsts = np.unique(blocks_of * len(self._labels) + index[places], return_index=True)
            firsts.sort()  # of a series in a block, one is enough
            places, blocks_of = places[firsts], blocks_of[firsts]
            carried: set[tuple[int, int]] = set()
            for at, ms, sure, place in zip(
                index[places].tolist(),
                window_ms[places].tolist(),
                certain[places].tolist(),
                blocks_of.tolist(),
                strict=True,
            ):
                if 0 <= ms - self._defined[at] < DEFINED_MS or (at, place) in carried:
                    continue  # by an earlier block of the batch
                if sure:
                    self._defined[at] = ms
                else:
                    carried.add((at, place))
                found.setdefault(place, []).append(self._definitions[at])
        return found


def _shape(heads: tuple[MetricPoint, ...], index: list[int]) -> Shape:
    """The shape of heads with these indices of series."""
    series = np.array(index, np.int64)
    kept = np.flatnonzero(series >= 0)
    unasked: dict[str, int] = {}
    for place in np.flatnonzero(series < 0).tolist():
        unasked[heads[place].name] = unasked.get(heads[place].name, 0) + 1
    return Shape(heads, series[kept], kept, unasked)


def _mode(source: Source, point: MetricPoint) -> int | None:
    """How a series' samples are to be read: as its source says, unless the point says that it is a delta."""
    if source.how in ("stat_sum", "stat_mean"):
        if point.stats is None:
            return None
        return PERIOD_SUM if source.how == "stat_sum" and not point.stats.period_s else PERIOD_MEAN
    if source.how == "gauge":
        return GAUGE
    if source.how == "poll_mean":
        return POLL_MEAN
    if point.stats is not None:
        return None
    return DELTA if point.kind == "delta" else CUMULATIVE
