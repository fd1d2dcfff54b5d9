"""Decoded messages to frames: samples of what a signal asks for, and what has to be counted or kept beside them.

A batch of messages is taken at once, so that one with a row each costs hardly more than one with the rows of all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from afoot.catalogue.model import Catalogue, How, Source
from afoot.errors import DecodeError
from afoot.signals import blocks
from afoot.signals.blocks import DERIVED, EVENT, Floats, Ints
from afoot.signals.frames import NOWHERE, NS, Frame, Gathered, cut, window_of, without_rows
from afoot.signals.series import UNASKED, KnownSeries
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    Message,
    MetricPoint,
    Points,
    Row,
    Stats,
)

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1  # of 64 bits


class Sampler:
    """Turns decoded messages into frames; what it remembers of series changes no row, see KnownSeries."""

    def __init__(
        self,
        catalogue: Catalogue,
        shards: int,
        window_ms: int = 60_000,
        max_skew_ms: int = 60_000,
        cache_series: int = 400_000,
    ) -> None:
        self.catalogue = catalogue
        self.window_ms = window_ms
        self.max_skew_ms = max_skew_ms
        self.known = KnownSeries(catalogue, shards, cache_series)

    def read(self, message: Message, decode: Callable[[Message], Decoded]) -> list[Frame]:
        """The frames of a message as received: decoded, or dead with the decoder's reason."""
        try:
            decoded = decode(message)
        except DecodeError as error:
            return [self.dead(message, str(error))]
        return self.frames(message, decoded)

    def dead(self, message: Message, reason: str) -> Frame:
        """The frame of a message that cannot be read."""
        return Frame("dead", NOWHERE, window_of(message, self.window_ms), 1, 0, reason, "")

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
        self.known.make_room()
        messages = [message for message, _ in pairs]
        batch = _Batch(messages, self.max_skew_ms)
        rows: list[Row] = []
        of: list[int] = []  # the message of each row
        for number, (_, (some, refused)) in enumerate(pairs):
            if refused:
                batch.refuse(number, refused)
            if type(some) is Points:
                if self._columns(number, some, batch):
                    continue
                some = list(some)
            rows += some
            of += [number] if len(some) == 1 else [number] * len(some)
        found = self._rows(rows, of, batch)
        batch.tell(found, self.window_ms)
        if batch.gathered.series:
            limits = passed_ms or [-math.inf] * len(pairs)
            cut(messages, batch.gathered, self.known, limits, self.window_ms, found)
        else:
            for number, frames in enumerate(found):
                if not frames:
                    frames.append(without_rows(messages[number], self.window_ms))
        return found

    def _rows(self, rows: list[Row], of: list[int], batch: _Batch) -> list[list[Frame]]:
        """Gathers the samples of rows of all kinds; the frames of inventory changes, by message."""
        found: list[list[Frame]] = [[] for _ in batch.messages]
        kinds = set(map(type, rows))
        for kind in sorted(kinds, key=lambda kind: kind.__name__):
            some: list[Any] = rows
            owner = np.array(of, np.int64)
            if len(kinds) > 1:
                places = [place for place, row in enumerate(rows) if type(row) is kind]
                some, owner = [rows[place] for place in places], owner[places]
            if kind is MetricPoint:
                self._points(some, owner, batch)
            elif kind is LogRecord:
                self._logs(some, owner, batch)
            elif kind is FlowRecord:
                self._flows(some, owner, batch)
            elif kind is InventoryChange:
                self._changes(some, owner, batch, found)
            else:
                raise TypeError(f"row of type {kind.__name__}: a decoder gives the row types of telemetry.rows only")
        return found

    def _changes(self, rows: list[InventoryChange], of: Ints, batch: _Batch, found: list[list[Frame]]) -> None:
        starts = np.flatnonzero(np.append(True, of[1:] != of[:-1])).tolist()
        for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            number = int(of[begin])
            body = json.dumps([row._asdict() for row in rows[begin:end]], separators=(",", ":"), default=str)
            window = window_of(batch.messages[number], self.window_ms)
            found[number].append(Frame("change", NOWHERE, window, 0, end - begin, "", body))

    # ---- metric points ---------------------------------------------------------------------------------------------

    def _points(self, rows: list[MetricPoint], of: Ints, batch: _Batch) -> None:
        names, _, kinds, labels, times, values, stats = zip(*rows, strict=True)
        keys = list(zip(names, map(id, labels), kinds, strict=True))
        series = np.array(self.known.of_points(keys, rows), np.int64)
        time_ns, value = _times(times), _values(values)
        for place, one in enumerate(stats) if any(stats) else ():
            if one is not None and series[place] >= 0:
                read = _of_stats(self.known.hows[series[place]], one)
                if read is None:
                    series[place] = UNASKED
                else:
                    value[place] = read
        for place in np.flatnonzero(series < 0).tolist():
            batch.leave(of[place], names[place])
        kept = batch.in_time(of, time_ns, (series >= 0).nonzero()[0])
        finite = np.isfinite(value[kept])
        if not finite.all():
            for place in kept[~finite].tolist():
                batch.refuse(of[place], ["value is not a finite number"])
            kept = kept[finite]
        if len(kept) == len(rows):
            batch.gathered.add(of, series, time_ns, value)
        elif len(kept):
            batch.gathered.add(of[kept], series[kept], time_ns[kept], value[kept])

    def _columns(self, number: int, points: Points, batch: _Batch) -> bool:
        """Gathers the points of a known shape; whether none of them is to be refused, which is told point by point."""
        if int(points.time_ns.max()) > batch.latest_ns[number]:
            return False
        shape = self.known.of_columns(points)
        for name, count in shape.unasked.items():
            batch.leave(number, name, count)
        if len(shape.series):
            time_ns, value = points.time_ns, points.value
            if shape.unasked:
                time_ns, value = time_ns[shape.kept], value[shape.kept]
            batch.gathered.add(np.full(len(time_ns), number, np.int64), shape.series, time_ns, value)
        return True

    # ---- logs and flows --------------------------------------------------------------------------------------------

    def _logs(self, rows: list[LogRecord], of: Ints, batch: _Batch) -> None:
        """One event a record and pattern, 1 where it matches and else 0: a source that logs is known to have none."""
        events = _Events(self.known)
        times = _times([row.time_ns for row in rows])
        for place in batch.in_time(of, times, np.arange(len(rows))).tolist():
            row = rows[place]
            if not self.catalogue.logs:
                batch.leave(of[place], "log records")
                continue
            content = blocks.content_hash(row.time_ns, row.severity, row.body)
            for rank, source in enumerate(self.catalogue.logs):
                assert source.log is not None
                severity, body = source.log
                hit = (severity is None or severity.fullmatch(row.severity) is not None) and (
                    body is None or body.search(row.body) is not None
                )
                events.add(of[place], source, row.labels, row.time_ns, content, float(hit), rank > 0)
        events.gather(batch.gathered)

    def _flows(self, rows: list[FlowRecord], of: Ints, batch: _Batch) -> None:
        """Events at both ends of a flow, in the window that it ends in."""
        events = _Events(self.known)
        times = _times([row.end_ns for row in rows])
        for place in batch.in_time(of, times, np.arange(len(rows))).tolist():
            row = rows[place]
            if not self.catalogue.flows:
                batch.leave(of[place], "flow records")
                continue
            content = blocks.content_hash(*row[:9], row.sampler)
            sampled = row.sampling_rate or 1  # None and 0: unknown, taken as unsampled
            ends = {
                "source": Labels.of({"address": row.source_address}),
                "destination": Labels.of({"address": row.destination_address}),
            }
            for rank, source in enumerate(self.catalogue.flows):
                assert source.flow is not None
                address, measure = source.flow
                event, value = content, 1.0
                if measure == "sources":  # the same source again is the same event, so events count sources
                    event = blocks.content_hash(row.source_address)
                else:
                    value = float((row.bytes if measure == "bytes" else row.packets) * sampled)
                events.add(of[place], source, ends[address], row.end_ns, event, value, rank > 0)
        events.gather(batch.gathered)


class _Batch:
    """A batch of messages in the making: its samples, and by message what was refused and what nobody asked for."""

    def __init__(self, messages: list[Message], max_skew_ms: int) -> None:
        self.messages = messages
        self.max_skew_ms = max_skew_ms
        self.gathered = Gathered()
        self.latest_ns = [
            min(max((message.timestamp_ms + max_skew_ms) * NS, _LEAST), _MOST - 1) for message in messages
        ]
        self._latest: Ints = np.array(self.latest_ns, np.int64)
        self._refused: dict[int, dict[str, int]] = {}
        self._unasked: dict[int, dict[str, int]] = {}

    def refuse(self, number: int, reasons: Sequence[str]) -> None:
        """Counts rows of a message that are refused."""
        counts = self._refused.setdefault(int(number), {})
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1

    def leave(self, number: int, name: str, count: int = 1) -> None:
        """Counts rows of a message that no signal asks for."""
        counts = self._unasked.setdefault(int(number), {})
        counts[name] = counts.get(name, 0) + count

    def in_time(self, of: Ints, time_ns: Ints, places: Ints) -> Ints:
        """Of rows at `places` those with a time that can be; the others are refused. `of` and `time_ns` are of all."""
        times = time_ns[places]
        late = times > self._latest[of[places]]
        wrong = late | (times == _LEAST)
        if not wrong.any():
            return places
        for place, is_late in zip(places[wrong].tolist(), late[wrong].tolist(), strict=True):
            reason = f"event time is more than {self.max_skew_ms / 1000:g} s after the record's own time"
            self.refuse(of[place], [reason if is_late else "event time is before what 64 bits of nanoseconds can say"])
        kept: Ints = places[~wrong]
        return kept

    def tell(self, found: list[list[Frame]], window_ms: int) -> None:
        """Adds the frames of what was refused and of what nobody asked for; the first of a message's counts it."""
        for number, counts in sorted(self._refused.items()):
            window = window_of(self.messages[number], window_ms)
            found[number] += [Frame("refused", NOWHERE, window, 0, n, reason, "") for reason, n in counts.items()]
        for number, counts in sorted(self._unasked.items()):
            body = orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode()
            window = window_of(self.messages[number], window_ms)
            found[number].append(Frame("unasked", NOWHERE, window, 0, sum(counts.values()), "", body))
        for frames in found:
            if frames:
                frames[0] = frames[0]._replace(messages=1)


class _Events:
    """Events in the making, as lists."""

    def __init__(self, known: KnownSeries) -> None:
        self._known = known
        self._of: list[int] = []
        self._series: list[int] = []
        self._times: list[int] = []
        self._slots: list[int] = []
        self._values: list[float] = []
        self._weights: list[int] = []

    def add(
        self, of: int, source: Source, labels: Labels, time_ns: int, content: int, value: float, derived: bool
    ) -> None:
        """Adds one; a derived one is of a row that another stands for in the books."""
        self._of.append(of)
        self._series.append(self._known.of_event(DERIVED if derived else EVENT, source, labels))
        self._times.append(time_ns)
        self._slots.append(content)
        self._values.append(value)
        self._weights.append(0 if derived else 1)

    def gather(self, gathered: Gathered) -> None:
        """Adds them to a batch's samples."""
        if self._series:
            of, series, times, slots, weights = (
                np.array(column, np.int64)
                for column in (self._of, self._series, self._times, self._slots, self._weights)
            )
            gathered.add(of, series, times, np.array(self._values, np.float64), slots, weights)


def _times(times: Sequence[int]) -> Ints:
    """Nanoseconds as an array; what 64 bits cannot say becomes their ends, which are refused."""
    try:
        return np.array(times, np.int64)
    except OverflowError:
        return np.array([min(max(time, _LEAST), _MOST) for time in times], np.int64)


def _values(values: Sequence[float]) -> Floats:
    """Values as an array; an integer that no double holds becomes infinite."""
    try:
        return np.array(values, np.float64)
    except OverflowError:
        return np.array([_double(value) for value in values], np.float64)


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _of_stats(how: How, stats: Stats) -> float | None:
    """A pre-aggregated point as one value: of a stat_sum a rate, or the sum where no period is told; a mean else.

    NaN where it aggregates nothing.
    """
    if how == "stat_sum":
        return stats.sum / stats.period_s if stats.period_s else stats.sum
    if how in ("stat_mean", "gauge", "poll_mean"):
        return stats.sum / stats.count if stats.count > 0 else math.nan
    return None
