"""Messages of a known shape, of which only the numbers have to be read.

Agents send the same series in the same order at every scrape: two messages of one sender differ in times and values.
What stands between these numbers is the shape. A shape that comes again is tried once: the format's own decoder reads
it with numbers of our choice, and where each comes out in the row that it was put into, messages of that shape are read
by their numbers alone, as columns.

Of the next message of a sender that shape is expected: it is cut at its times, and what has to stand behind a value is
taken off. Only where that leaves anything but numbers is each of them looked for.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.rows import Decoded, MetricPoint, Points

LEAST = 16  # points: below it a shape costs more than it saves
NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"  # as JSON has them
TIME_NS = rb"[1-9][0-9]{0,18}"
_STRETCH = 16_384  # messages, after which shapes are given up if not half of these had a known one ...
_MISSED = 1_024  # ... or so many had none, and began as two had before, if they outnumber those that had one ...
_REST = 31  # ... for so many stretches, as senders may change
TRIAL_NS = 1_700_000_000_000_000_000
_TRIAL_BITS = 50  # so that values are floats as well
_OVERHEAD = 70  # bytes of a piece beside its own, about

_BLANK = b" \t\n\r"
MARKS = {b",null,": None, b",true,": True, b",false,": False}  # for texts between numbers, and how they are read

Shape = tuple[bytes, ...]
Heads = tuple[MetricPoint, ...]


class Layout(NamedTuple):
    """Where the numbers of a known shape stand, for messages that are expected to have it."""

    heads: Heads
    behind: list[bytes]  # each value, up to the next time
    behind_bytes: int
    marks: dict[bytes, bytes]  # a mark for each text that stands between a time and its value, the longest text first
    marked: list[bool | None]  # those marks, as read
    growth: int  # in bytes, of a message's numbers by their marks
    whole: list[int]  # places of points whose values have to be integers

    @classmethod
    def of(cls, heads: Heads, parts: list[bytes], whole: bytes | None) -> Layout | None:
        """The layout of a message's parts; None with unlike texts before times, or too many or short ones behind."""
        before, between, behind = set(parts[1::5]), parts[3::5], parts[5::5]
        texts = sorted(set(between), key=len, reverse=True)
        if len(before) > 1 or len(texts) > len(MARKS) or len(texts[-1]) <= max(map(len, MARKS)):
            return None
        marks, read = dict(zip(texts, MARKS, strict=False)), dict(zip(texts, MARKS.values(), strict=False))
        return cls(
            heads,
            behind,
            sum(map(len, behind)),
            marks,
            [read[text] for text in between],
            sum([len(marks[text]) - len(text) for text in between]),
            [] if whole is None else [place for place, text in enumerate(between) if whole in text],
        )

    def read(self, pieces: list[bytes], size: int) -> Points | None:
        """The points of a message of `size` bytes that was cut before its times; None if that is unlike this shape."""
        text = b",".join(map(bytes.removesuffix, pieces, self.behind))
        if len(text) - len(pieces) + 1 + self.behind_bytes != size:
            return None  # some end in another way
        read = marked(text, self.marks, self.marked, self.growth)
        if read is None:
            return None
        times, values = read
        if not all([type(values[place]) is int for place in self.whole]):
            return None
        return points_of(self.heads, times, values, True)


class Known(NamedTuple):
    """What the messages of a shape hold."""

    heads: Heads
    layout: Layout | None


class TextShapes:
    """The shapes of one topic's messages in a text format; what it remembers is bounded by limits.CACHE_BYTES.

    No more are learnt when that is full, so that a part of many senders' messages is known; it starts anew where that
    part has become small.

    `point` finds a point's numbers by four groups: what is before its time, the time, what is between, and the value;
    this has to be an integer where `whole` stands between.
    `read` is the format's decoder of a message's bytes, `unlike` another one for messages of no known shape.
    """

    def __init__(
        self,
        point: bytes,
        read: Callable[[bytes], Decoded],
        unlike: Callable[[bytes], Decoded] | None = None,
        whole: bytes | None = None,
    ) -> None:
        found = re.compile(point)
        self._first, self._split = found.search, found.split
        self._read = read
        self._unlike = unlike or read
        self._whole = whole
        self._known: dict[Shape, Known | None] = {}
        self._last: dict[tuple[bytes, int], Layout] = {}  # by how a message begins, and its number of points
        self._seen: set[int] = set()  # hashes of the shapes that came once
        self._begun: dict[int, int] = {}  # messages of unknown shapes, by a hash of how they begin
        self._bytes = 0
        # By chance, as a message may hold numbers of its own beside those, and one that equals ours would pass for it.
        self._trial_ns, self._trial = TRIAL_NS + secrets.randbits(_TRIAL_BITS), secrets.randbits(_TRIAL_BITS)
        self._met = self._hits = self._missed = self._rest = 0

    def decode(self, value: bytes) -> Decoded:
        """The points of a message: from its numbers, or by its format's decoder."""
        if self._met == _STRETCH or self._missed == _MISSED:
            self._look_back()
        if self._rest:
            self._rest -= 1
            return self._unlike(value)
        self._met += 1
        # Looking for the numbers is not much dearer than expecting them in vain.
        points = self._expected(value) if 4 * self._hits >= self._met else None
        points = self._looked_for(value) if points is None else points
        return self._unlike(value) if points is None else Decoded(points, [])

    def _expected(self, value: bytes) -> Points | None:
        """The points of a message that has the shape of the last one that began as it does, and had as many."""
        first = self._first(value)
        if first is None:
            return None
        rest = value[first.end(1) :]
        pieces = rest.split(first[1])
        layout = self._last.get((value[: first.end(1)], len(pieces)))
        if layout is None:
            return None
        points = layout.read(pieces, len(rest) - len(first[1]) * (len(pieces) - 1))
        self._hits += points is not None
        return points

    def _looked_for(self, value: bytes) -> Points | None:
        """The points of a message of a known shape; one that is not known is met."""
        parts = self._split(value)
        if len(parts) < 5 * LEAST:
            return None
        shape = tuple(parts[0::5] + parts[1::5] + parts[3::5])
        known = self._known.get(shape)
        if known is None:
            if self._bytes < limits.CACHE_BYTES:
                self._meet(shape, parts)
            return None
        self._hits += 1
        if known.layout is not None:
            self._last[parts[0] + parts[1], len(known.heads)] = known.layout
        return columns(known.heads, parts[2::5], parts[4::5])

    def _look_back(self) -> None:
        """A stretch is over: go on, or start anew, or leave it for a while."""
        if self._hits < (self._missed if self._missed == _MISSED else self._met - self._hits):
            if self._bytes >= limits.CACHE_BYTES:
                self._known.clear()
                self._last.clear()
                self._seen.clear()
                self._begun.clear()
                self._bytes = 0
            else:
                self._rest = _REST * _STRETCH
        self._met = self._hits = self._missed = 0

    def _meet(self, shape: Shape, parts: list[bytes]) -> None:
        """Remember a shape; what its messages hold once it comes again, as most never do where each is unlike."""
        key, beginning = hash(shape), hash((parts[0], parts[5]))  # whose series may stand behind its first numbers
        before = self._begun.get(beginning, 0)
        self._begun[beginning] = before + 1
        self._missed += before >= 2
        self._bytes += 0 if before else _OVERHEAD
        if key not in self._seen:
            self._seen.add(key)
            self._bytes += _OVERHEAD
        elif shape not in self._known:
            self._known[shape] = self._try(parts)
            self._bytes += sum(map(len, shape)) + _OVERHEAD * len(shape)

    def _try(self, parts: list[bytes]) -> Known | None:
        """What a shape holds; None where a number is not the time or the value of the row at its place."""
        count = len(parts) // 5
        times, values = range(self._trial_ns, self._trial_ns + count), range(self._trial, self._trial + count)
        trial = list(parts)
        trial[2::5] = [b"%d" % time for time in times]
        trial[4::5] = [b"%d" % value for value in values]
        try:
            heads = heads_of(self._read(b"".join(trial)), times, values)
        except DecodeError:
            return None
        return None if heads is None else Known(heads, Layout.of(heads, parts, self._whole))


def marked(
    text: bytes, marks: dict[bytes, bytes], expected: list[bool | None], growth: int
) -> tuple[list[int], list[int | float]] | None:
    """The times and values of points that are joined by commas, of a text that stands between time and value of each.

    `marks` has the mark of each such text, those first that others begin with; `expected` are the marks of the points,
    as read, and `growth` is how much longer they make the text, in bytes. None where it is anything but that.
    """
    size = len(text) + growth
    for between, mark in marks.items():
        text = text.replace(between, mark)
    if len(text) != size or len(text.translate(None, _BLANK)) != size:
        return None
    try:
        read: list[Any] = orjson.loads(b"[" + text + b"]")
    except orjson.JSONDecodeError:
        return None
    # As many marks and commas as there have to be, so these are one each, with nothing but numbers around them.
    times, values = read[::3], read[2::3]
    if len(read) != 3 * len(expected) or read[1::3] != expected:
        return None
    if set(map(type, times)) != {int} or not set(map(type, values)) <= {int, float} or min(times) <= 0:
        return None
    return times, values


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
