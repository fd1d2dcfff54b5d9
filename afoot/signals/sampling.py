"""Decoded messages to frames: sample blocks a (shard, window), and what has to be counted or kept beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from afoot.catalogue.model import Catalogue, How, Source
from afoot.errors import DecodeError
from afoot.signals import blocks
from afoot.signals.blocks import CUMULATIVE, DELTA, DERIVED, EVENT, GAUGE, Bools, Floats, Ints
from afoot.signals.identity import identity, shard_of
from afoot.signals.settings import DEFINED_MS
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    Message,
    MetricPoint,
    Points,
    Stats,
)

UNASKED = -1  # of a series that no signal asks for
UNKNOWN = -2  # of a series not met before
NOWHERE = -1  # shard of frames that are no samples
NS = 1_000_000  # in a millisecond
NEVER = -(1 << 62)  # no window, and before all


class Frame(NamedTuple):
    """What messages contribute, one frame a topic, shard and window, or a reason to keep or count one.

    kind: "samples" (body: a block, see blocks.py), "unsure" (one that may be late: of one message, which must be at
    hand if it is), "change" (body: JSON array of inventory changes), "unasked" (body: JSON object, points by metric
    name; also for a message without rows), "refused" (reason; the body is empty) or "dead" (the whole message is
    unreadable, reason). `window_ms` is the start of a block's window, else of the window of the record's time. Each
    message counts once, in the `messages` of one frame; `points` add up to the rows, refused ones included.
    """

    kind: str
    shard: int
    window_ms: int
    messages: int
    points: int
    reason: str
    body: str


class Sampler:
    """Turns decoded messages into frames, remembering each series' id, shard and definition.

    What it remembers is a cache: it starts anew beyond `cache_series` series (about 1 KB each), and a new sampler
    gives blocks that evaluate to the same.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        shards: int,
        window_ms: int = 60_000,
        max_skew_ms: int = 60_000,
        cache_series: int = 400_000,
    ) -> None:
        self.catalogue = catalogue
        self.shards = shards
        self.window_ms = window_ms
        self.max_skew_ms = max_skew_ms
        self.cache_series = cache_series
        self._forget()

    def _forget(self) -> None:
        # A key holds id(labels), which stays that object's as long as _labels or _unused holds on to it.
        self._index: dict[tuple[str, int, str], int] = {}
        self._labels: list[Labels] = []
        self._unused: list[Labels] = []
        self._definitions: list[str] = []
        self._hows: list[How] = []
        self._ids: Ints = np.empty(1024, np.int64)
        self._shard: Ints = np.empty(1024, np.int64)
        self._defined: Ints = np.empty(1024, np.int64)  # ms: the window that a series was last defined for, for certain
        self._events: dict[tuple[str, int, int], int] = {}
        self._shapes: dict[int, _Shape] = {}  # by id(heads), which _Shape holds on to
        self._shaped = 0  # series in these
        self._heads: dict[int, int] = {}  # index by id(head), which _held holds on to
        self._held: list[MetricPoint] = []

    def read(self, message: Message, decode: Callable[[Message], Decoded]) -> list[Frame]:
        """The frames of a message as received: decoded, or dead with the decoder's reason."""
        try:
            decoded = decode(message)
        except DecodeError as error:
            return [self.dead(message, str(error))]
        return self.frames(message, decoded)

    def dead(self, message: Message, reason: str) -> Frame:
        """The frame of a message that cannot be read."""
        return Frame("dead", NOWHERE, self._window(message), 1, 0, reason, "")

    def frames(self, message: Message, decoded: Decoded) -> list[Frame]:
        """The frames of one message; at least one."""
        return self.batch([(message, decoded)])[0]

    def batch(
        self, pairs: Sequence[tuple[Message, Decoded]], passed_ms: Sequence[float] | None = None
    ) -> list[list[Frame]]:
        """The frames of each message; those of a topic's blocks are with its first one.

        `passed_ms` says by message which of its windows may be late: those that end by this event time. None are if it
        is left out.
        """
        if max(len(self._labels) + len(self._unused), len(self._held)) > self.cache_series:
            self._forget()
        gathered = _Gathered()
        found: list[list[Frame]] = []
        for number, (message, decoded) in enumerate(pairs):
            frames = self._take(number, message, decoded, gathered)
            found.append([frames[0]._replace(messages=1), *frames[1:]] if frames else [])
        told = np.array([bool(frames) for frames in found], np.bool_)
        if gathered.index or gathered.columns:
            self._blocks(pairs, passed_ms or [-math.inf] * len(pairs), gathered, found, told)
        for number in np.flatnonzero(~told).tolist():
            found[number].insert(0, Frame("unasked", NOWHERE, self._window(pairs[number][0]), 1, 0, "no rows", "{}"))
        return found

    def _window(self, message: Message) -> int:
        return message.timestamp_ms // self.window_ms * self.window_ms

    def _take(self, number: int, message: Message, decoded: Decoded, gathered: _Gathered) -> list[Frame]:
        """Gather a message's samples; give the frames of its other rows."""
        rows = decoded.rows
        refused: dict[str, int] = {}
        for reason in decoded.refused:
            refused[reason] = refused.get(reason, 0) + 1
        unasked: dict[str, int] = {}
        frames: list[Frame] = []
        kinds = {MetricPoint} if type(rows) is Points else set(map(type, rows))
        for kind in sorted(kinds, key=lambda kind: kind.__name__):
            some: Sequence[Any] = rows if len(kinds) == 1 else [row for row in rows if type(row) is kind]
            if type(some) is Points and self._columns(number, message, some, gathered, unasked):
                pass
            elif kind is MetricPoint:
                self._points(message, some, gathered, refused, unasked)
            elif kind is LogRecord:
                self._logs(message, some, gathered, refused, unasked)
            elif kind is FlowRecord:
                self._flows(message, some, gathered, refused, unasked)
            elif kind is InventoryChange:
                body = json.dumps([row._asdict() for row in some], separators=(",", ":"), default=str)
                frames.append(Frame("change", NOWHERE, self._window(message), 0, len(some), "", body))
            else:
                raise TypeError(f"row of type {kind.__name__}: a decoder gives the row types of telemetry.rows only")
        gathered.ends.append(len(gathered.index))
        window = self._window(message)
        for reason, count in refused.items():
            frames.append(Frame("refused", NOWHERE, window, 0, count, reason, ""))
        if unasked:
            body = orjson.dumps(unasked, option=orjson.OPT_SORT_KEYS).decode()
            frames.append(Frame("unasked", NOWHERE, window, 0, sum(unasked.values()), "", body))
        return frames

    # ---- metric points ---------------------------------------------------------------------------------------------

    def _points(
        self,
        message: Message,
        rows: Sequence[MetricPoint],
        gathered: _Gathered,
        refused: dict[str, int],
        unasked: dict[str, int],
    ) -> None:
        known = self._index.get
        index = [known((row[0], id(row[3]), row[2]), UNKNOWN) for row in rows]
        times = [row[4] for row in rows]
        values = [row[5] for row in rows]
        if min(index) < 0:
            for i, at in enumerate(index):
                if at == UNKNOWN:
                    index[i] = at = self._meet(rows[i])
                if at == UNASKED:
                    unasked[rows[i].name] = unasked.get(rows[i].name, 0) + 1
        wrong = [i for i, at in enumerate(index) if at < 0] if unasked else []
        if any([row[6] for row in rows]):
            wrong += self._read_stats(rows, index, values, unasked)
        limit = (message.timestamp_ms + self.max_skew_ms) * NS
        if max(times) > limit or min(times) < -(1 << 63) or not _finite(values):
            bad = set(wrong)
            for i, time in enumerate(times):
                if i not in bad and (reason := self._refusal(time, values[i], limit)):
                    refused[reason] = refused.get(reason, 0) + 1
                    wrong.append(i)
        if wrong:
            bad = set(wrong)
            kept = [i for i in range(len(rows)) if i not in bad]
            index, times, values = [index[i] for i in kept], [times[i] for i in kept], [values[i] for i in kept]
        gathered.index += index
        gathered.times += times
        gathered.slots += times
        gathered.values += values

    def _columns(
        self, number: int, message: Message, points: Points, gathered: _Gathered, unasked: dict[str, int]
    ) -> bool:
        """Gather the points of a known shape; whether none of them is to be refused, which is told point by point."""
        if int(points.time_ns.max()) > (message.timestamp_ms + self.max_skew_ms) * NS:
            return False
        shape = self._shapes.get(id(points.heads)) if points.lasting else self._assembled(points.heads)
        if shape is None:
            if self._shaped > self.cache_series:
                self._shapes.clear()
                self._shaped = 0
            shape = self._shapes[id(points.heads)] = _shape(points.heads, list(map(self._meet, points.heads)))
            self._shaped += len(points.heads)
        unasked.update(shape.unasked)
        if len(shape.series):
            times, values = points.time_ns, points.value
            if shape.unasked:
                times, values = times[shape.kept], values[shape.kept]
            gathered.columns.append((number, shape.series, times, values))
        return True

    def _assembled(self, heads: tuple[MetricPoint, ...]) -> _Shape:
        """The shape of heads that come again each by itself."""
        known = self._heads
        index = [known.get(id(head), UNKNOWN) for head in heads]
        if UNKNOWN in index:
            for place, head in enumerate(heads):
                if index[place] == UNKNOWN:
                    known[id(head)] = index[place] = self._meet(head)
                    self._held.append(head)
        return _shape(heads, index)

    def _read_stats(
        self, rows: Sequence[MetricPoint], index: list[int], values: list[float], unasked: dict[str, int]
    ) -> list[int]:
        """Replace the values of points that were aggregated over a period; the points that have no use for that."""
        wrong = []
        for i, row in enumerate(rows):
            at = index[i]
            if row.stats is None or at < 0:
                continue
            value = _of_stats(self._hows[at], row.stats)
            if value is None:
                unasked[row.name] = unasked.get(row.name, 0) + 1
                wrong.append(i)
            else:
                values[i] = value
        return wrong

    def _refusal(self, time_ns: int, value: float, limit: int) -> str:
        if time_ns > limit:
            return f"event time is more than {self.max_skew_ms / 1000:g} s after the record's own time"
        if time_ns < -(1 << 63):
            return "event time is before what 64 bits of nanoseconds can say"
        return "" if _is_finite(value) else "value is not a finite number"

    def _meet(self, point: MetricPoint) -> int:
        """The index of a series not known when its message came, or UNASKED."""
        asked = self.catalogue.uses(point.name)
        if not asked:
            return UNASKED  # known by its name alone: nothing to remember
        key = (point.name, id(point.labels), point.kind)
        index = self._index.get(key, UNKNOWN)
        if index != UNKNOWN:
            return index  # met earlier in this message
        index = UNASKED
        uses = [use for use in asked if use.side or use.source.admits(point.labels.mapping)]
        mode = _mode(uses[0].source, point) if uses else None
        if mode is not None:
            index = self._series(mode, point.name, point.labels, uses[0].source)
        else:
            self._unused.append(point.labels)
        self._index[key] = index
        return index

    def _series(self, mode: int, metric: str, labels: Labels, source: Source) -> int:
        made = blocks.series(mode, metric, labels)
        index = len(self._labels)
        if index == len(self._ids):
            self._ids, self._shard, self._defined = (
                np.concatenate([held, held]) for held in (self._ids, self._shard, self._defined)
            )
        self._labels.append(labels)
        self._definitions.append(made.definition)
        self._hows.append(source.how)
        self._ids[index] = made.id
        self._shard[index] = shard_of(identity(labels, source.types, source.identity), self.shards)
        self._defined[index] = NEVER
        return index

    # ---- logs and flows --------------------------------------------------------------------------------------------

    def _logs(
        self,
        message: Message,
        rows: Sequence[LogRecord],
        gathered: _Gathered,
        refused: dict[str, int],
        unasked: dict[str, int],
    ) -> None:
        """One event a record and pattern, 1 where it matches and else 0: a source that logs is known to have none."""
        limit = (message.timestamp_ms + self.max_skew_ms) * NS
        for row in rows:
            if reason := self._refusal(row.time_ns, 0.0, limit):
                refused[reason] = refused.get(reason, 0) + 1
                continue
            if not self.catalogue.logs:
                unasked["log records"] = unasked.get("log records", 0) + 1
                continue
            content = blocks.content_hash(row.time_ns, row.severity, row.body)
            for place, source in enumerate(self.catalogue.logs):
                assert source.log is not None
                severity, body = source.log
                hit = (severity is None or severity.fullmatch(row.severity) is not None) and (
                    body is None or body.search(row.body) is not None
                )
                self._event(gathered, source, row.labels, row.time_ns, content, float(hit), place > 0)

    def _flows(
        self,
        message: Message,
        rows: Sequence[FlowRecord],
        gathered: _Gathered,
        refused: dict[str, int],
        unasked: dict[str, int],
    ) -> None:
        """Events at both ends of a flow, in the window that it ends in."""
        limit = (message.timestamp_ms + self.max_skew_ms) * NS
        for row in rows:
            if reason := self._refusal(row.end_ns, 0.0, limit):
                refused[reason] = refused.get(reason, 0) + 1
                continue
            if not self.catalogue.flows:
                unasked["flow records"] = unasked.get("flow records", 0) + 1
                continue
            content = blocks.content_hash(*row[:9], row.sampler)
            sampled = row.sampling_rate or 1  # None and 0: unknown, taken as unsampled
            ends = {
                "source": Labels.of({"address": row.source_address}),
                "destination": Labels.of({"address": row.destination_address}),
            }
            for place, source in enumerate(self.catalogue.flows):
                assert source.flow is not None
                address, measure = source.flow
                event, value = content, 1.0
                if measure == "sources":  # the same source again is the same event, so events count sources
                    event = blocks.content_hash(row.source_address)
                else:
                    value = float((row.bytes if measure == "bytes" else row.packets) * sampled)
                self._event(gathered, source, ends[address], row.end_ns, event, value, place > 0)

    def _event(
        self,
        gathered: _Gathered,
        source: Source,
        labels: Labels,
        time_ns: int,
        content: int,
        value: float,
        derived: bool,
    ) -> None:
        name = source.terms[0][0]
        mode = DERIVED if derived else EVENT
        key = (name, id(labels), mode)
        index = self._events.get(key)
        if index is None:
            index = self._events[key] = self._series(mode, name, labels, source)
        gathered.index.append(index)
        gathered.times.append(time_ns)
        gathered.slots.append(content)
        gathered.values.append(value)
        if derived:
            gathered.derived.append(len(gathered.index) - 1)

    # ---- blocks ----------------------------------------------------------------------------------------------------

    def _blocks(
        self,
        pairs: Sequence[tuple[Message, Decoded]],
        passed_ms: Sequence[float],
        gathered: _Gathered,
        found: list[list[Frame]],
        told: Bools,
    ) -> None:
        """Cut what was gathered into blocks: by topic, window and shard, but by message where it may be late.

        `told` says by message whether a frame counts it.
        """
        columns = gathered.columns
        index: Ints = np.concatenate([np.array(gathered.index, np.int64), *(found for _, found, _, _ in columns)])
        times: Ints = np.concatenate([np.array(gathered.times, np.int64), *(found for _, _, found, _ in columns)])
        slots: Ints = np.concatenate([np.array(gathered.slots, np.int64), *(found for _, _, found, _ in columns)])
        values = np.concatenate([np.array(gathered.values, np.float64), *(found for _, _, _, found in columns)])
        ends = np.array(gathered.ends, np.int64)
        message = np.concatenate(
            [
                np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0)),
                np.repeat([number for number, *_ in columns], [len(found) for _, found, _, _ in columns]),
            ]
        ).astype(np.int64)
        weight = np.ones(len(index), np.int64)
        weight[gathered.derived] = 0
        window = times // (self.window_ms * NS)
        certain = (window + 1) * self.window_ms > np.array(passed_ms)[message]
        home: dict[str, int] = {}  # the first message of a topic, which its blocks go with
        first = np.array([home.setdefault(pair[0].topic, number) for number, pair in enumerate(pairs)], np.int64)
        owner = np.where(certain, 2 * first[message], 2 * message + 1)
        earliest = int(window.min())
        place = (owner * (int(window.max()) - earliest + 1) + window - earliest) * self.shards + self._shard[index]
        order = np.argsort(place * len(pairs) + message, kind="stable")  # samples keep their order in the message
        index, window, place, message, weight = (a[order] for a in (index, window, place, message, weight))
        slots, values, certain = slots[order], values[order], certain[order]
        ids, window = self._ids[index], window * self.window_ms
        new_block = np.append(True, place[1:] != place[:-1])
        starts = np.flatnonzero(new_block)
        definitions = self._to_define(index, window, certain, starts)
        # A run is what a message has in a block.
        runs = np.flatnonzero(new_block | np.append(True, message[1:] != message[:-1]))
        numbers = message[runs]
        partitions = np.array([pair[0].partition for pair in pairs], np.int64)[numbers]
        offsets = np.array([pair[0].offset for pair in pairs], np.int64)[numbers]
        counts = np.diff(np.append(runs, len(index)))
        run = np.searchsorted(runs, starts)
        of_blocks = zip(
            starts.tolist(),
            np.append(starts[1:], len(index)).tolist(),
            run.tolist(),
            np.append(run[1:], len(runs)).tolist(),
            self._shard[index[starts]].tolist(),
            window[starts].tolist(),
            np.add.reduceat(weight, starts).tolist(),
            certain[starts].tolist(),
            strict=True,
        )
        packer = blocks.Packer()
        for at, (begin, end, run_begin, run_end, shard, start_ms, points, sure) in enumerate(of_blocks):
            of_block, own = slice(begin, end), slice(run_begin, run_end)
            topic = pairs[numbers[run_begin]][0].topic
            messages = (partitions[own], offsets[own], counts[own])
            defined = definitions.get(at, ())
            body = packer.pack(topic, messages, ids[of_block], slots[of_block], values[of_block], defined)
            untold = int(np.count_nonzero(~told[numbers[own]]))
            told[numbers[own]] = True
            kind, owner_of = ("samples", home[topic]) if sure else ("unsure", int(numbers[run_begin]))
            found[owner_of].append(Frame(kind, shard, start_ms, untold, points, "", body))

    def _to_define(self, index: Ints, window: Ints, certain: Bools, starts: Ints) -> dict[int, list[str]]:
        """The definitions that blocks have to carry, by the block's place: of series not defined lately.

        What was defined for a later window is not known in this one, and what a late block defined nowhere.
        """
        defined = self._defined[index]
        places = np.flatnonzero((window < defined) | (window - defined >= DEFINED_MS))
        found: dict[int, list[str]] = {}
        if len(places):
            blocks_of = np.searchsorted(starts, places, "right") - 1
            carried: set[tuple[int, int]] = set()
            for at, ms, sure, place in zip(
                index[places].tolist(),
                window[places].tolist(),
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


class _Shape(NamedTuple):
    """What is known of a message's series, by the points that stand for them."""

    heads: tuple[MetricPoint, ...]
    series: Ints  # indices of those that a signal asks for
    kept: Ints  # their places in the message
    unasked: dict[str, int]  # of the others by metric name


def _shape(heads: tuple[MetricPoint, ...], index: list[int]) -> _Shape:
    """The shape of heads with these indices of series."""
    series = np.array(index, np.int64)
    kept = np.flatnonzero(series >= 0)
    unasked: dict[str, int] = {}
    for place in np.flatnonzero(series < 0).tolist():
        unasked[heads[place].name] = unasked.get(heads[place].name, 0) + 1
    return _Shape(heads, series[kept], kept, unasked)


class _Gathered:
    """The samples of a batch: parallel lists, and where each message's end; and those of known shapes, as columns."""

    __slots__ = ("columns", "derived", "ends", "index", "slots", "times", "values")

    def __init__(self) -> None:
        self.index: list[int] = []
        self.times: list[int] = []
        self.slots: list[int] = []  # what stands for the time in a block
        self.values: list[float] = []
        self.derived: list[int] = []  # positions that the books count elsewhere
        self.ends: list[int] = []
        self.columns: list[tuple[int, Ints, Ints, Floats]] = []  # message, series, times, values


def _mode(source: Source, point: MetricPoint) -> int | None:
    """How a series' samples are to be read: as its source says, unless the point says that it is a delta."""
    if source.how in ("stat_sum", "stat_mean"):
        return GAUGE if point.stats is not None else None
    if source.how == "gauge":
        return GAUGE
    if point.stats is not None:
        return None
    return DELTA if point.kind == "delta" else CUMULATIVE


def _of_stats(how: How, stats: Stats) -> float | None:
    """A pre-aggregated point as one value: a rate for stat_sum, a mean else; NaN where it aggregates nothing."""
    if how == "stat_sum":
        return stats.sum / stats.period_s if stats.period_s > 0 else math.nan
    if how in ("stat_mean", "gauge"):
        return stats.sum / stats.count if stats.count > 0 else math.nan
    return None


def _finite(values: Sequence[float]) -> bool:
    """Whether all are finite; may say no where only their sum is not."""
    try:
        return math.isfinite(sum(values))
    except OverflowError:  # an int beyond floats
        return False


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
