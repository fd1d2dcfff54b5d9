"""Messages of a known shape, of which only the numbers have to be read.

Agents send the same series in the same order at every scrape: two messages of one sender differ in times and values.
What stands between these numbers is the shape. A shape that comes again is tried once: the format's own decoder reads
it with numbers of our choice, and where each comes out in the row that it was put into, messages of that shape are read
by their numbers alone, as columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.rows import Decoded, MetricPoint, Points

LEAST = 16  # points: below it a shape costs more than it saves
NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"  # as JSON has them
TIME_NS = rb"[1-9][0-9]{0,18}"
_STRETCH = 16_384  # messages, after which shapes are given up if not half of these had a known one ...
_REST = 31  # ... for so many stretches, as senders may change
_TRIAL_NS = 1_700_000_000_000_000_000
_OVERHEAD = 70  # bytes of a piece beside its own, about

Shape = tuple[bytes, ...]
Heads = tuple[MetricPoint, ...]


class TextShapes:
    """The shapes of one topic's messages in a text format; what it remembers is bounded by limits.CACHE_BYTES.

    No more are learnt when that is full, so that a part of many senders' messages is known; it starts anew where that
    part has become small.

    `point` finds a point's numbers by four groups: what is before its time, the time, what is between, and the value.
    `read` is the format's decoder of a message's bytes, `unlike` another one for messages of no known shape.
    """

    def __init__(
        self,
        point: bytes,
        read: Callable[[bytes], Decoded],
        unlike: Callable[[bytes], Decoded] | None = None,
    ) -> None:
        self._split = re.compile(point).split
        self._read = read
        self._unlike = unlike or read
        self._heads: dict[Shape, Heads | None] = {}
        self._seen: set[int] = set()  # hashes of the shapes that came once
        self._bytes = 0
        self._met = self._known = self._rest = 0

    def decode(self, value: bytes) -> Decoded:
        """The points of a message: from its numbers, or by its format's decoder."""
        if self._met == _STRETCH:
            self._look_back()
        if self._rest:
            self._rest -= 1
            return self._unlike(value)
        self._met += 1
        parts = self._split(value)
        if len(parts) < 5 * LEAST:
            return self._unlike(value)
        shape = tuple(parts[0::5] + parts[1::5] + parts[3::5])
        heads = self._heads.get(shape)
        if heads is not None:
            self._known += 1
            points = columns(heads, parts[2::5], parts[4::5])
            if points is not None:
                return Decoded(points, [])
        elif shape not in self._heads and self._bytes < limits.CACHE_BYTES:
            self._meet(shape, parts)
        return self._unlike(value)

    def _look_back(self) -> None:
        """A stretch is over: go on, or start anew, or leave it for a while."""
        if self._known * 2 < self._met:
            if self._bytes >= limits.CACHE_BYTES:
                self._heads.clear()
                self._seen.clear()
                self._bytes = 0
            else:
                self._rest = _REST * _STRETCH
        self._met = self._known = 0

    def _meet(self, shape: Shape, parts: list[bytes]) -> None:
        """Remember a shape; what its messages hold once it comes again, as most never do where each is unlike."""
        key = hash(shape)
        if key not in self._seen:
            self._seen.add(key)
            self._bytes += _OVERHEAD
        else:
            self._heads[shape] = self._try(parts)
            self._bytes += sum(map(len, shape)) + _OVERHEAD * len(shape)

    def _try(self, parts: list[bytes]) -> Heads | None:
        """The series of a shape; None where a number is not the time or the value of the row at its place."""
        trial = list(parts)
        count = len(parts) // 5
        trial[2::5] = [b"%d" % (_TRIAL_NS + i) for i in range(count)]
        trial[4::5] = [b"%d" % i for i in range(count)]
        try:
            decoded = self._read(b"".join(trial))
        except DecodeError:
            return None
        return heads_of(decoded, [_TRIAL_NS + i for i in range(count)], [float(i) for i in range(count)])


def heads_of(decoded: Decoded, times: Sequence[int], values: Sequence[float]) -> Heads | None:
    """The points of a message without their numbers; None if these are not those of its rows, in order."""
    rows = decoded.rows
    if decoded.refused or len(rows) != len(times):
        return None
    for row, time, value in zip(rows, times, values, strict=True):
        if type(row) is not MetricPoint or row.stats is not None or row.time_ns != time or row.value != value:
            return None
    return tuple(row._replace(time_ns=0, value=0.0) for row in rows)


def columns(heads: Heads, times: list[bytes], values: list[bytes], lasting: bool = True) -> Points | None:
    """The points of these numbers; None where one would be refused, which the format's decoder words."""
    try:
        # Points of one scrape share their time.
        time_ns = [int(times[0])] * len(times) if times.count(times[0]) == len(times) else _numbers(times)
        return points_of(heads, time_ns, _numbers(values), lasting)
    except orjson.JSONDecodeError:
        return None


def points_of(heads: Heads, times: list[Any], values: list[Any], lasting: bool) -> Points | None:
    """The points of these numbers; None where a time or a value is beyond what a point may have."""
    try:
        time_ns, value = np.array(times, np.int64), np.array(values, np.float64)
    except OverflowError:
        return None
    return Points(heads, time_ns, value, lasting) if np.isfinite(value).all() else None


def _numbers(texts: list[bytes]) -> list[Any]:
    """Numbers as JSON has them; its parser takes a third of the time that Python's int and float do."""
    numbers: list[Any] = orjson.loads(b"[" + b",".join(texts) + b"]")
    return numbers
