"""OTLP/JSON metrics in the Collector's own spelling, read from the texts between their numbers.

Where a point or two of a scrape are missing, or where a batch ends, no message is like another; but most of its
resources are as they were in the last scrape, and of the others each point is: what is around its numbers is the same.
So a message is cut into resources where the Collector puts its commas. One that begins as one before, and has as many
points, is expected to be like that one. Of another, each point is known by its resource's, its metric's and its own
text. A point not met before is put into a message of its own, with numbers of our choice, which the format's decoder
reads.

That this reads what a JSON parser would: a resource, a metric and a point that were met are each a JSON object by
themselves, so a message made of them, of commas and of what is around them can be read in one way only.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from itertools import accumulate, chain, compress
from typing import NamedTuple

import numpy as np
import orjson

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.otlp import renamed
from afoot.telemetry.rows import Decoded, MetricPoint, Points
from afoot.telemetry.shapes import LEAST, MARKS, NUMBER, TIME_NS, TRIAL_NS, Heads, heads_of, marked, points_of
from afoot.telemetry.values import Refused

_OPEN, _RESOURCE, _METRICS, _CLOSE, _END = b'{"resourceMetrics":[', b'{"resource":', b'"metrics":[', b"]}]}", b"]}"
_NAME, _POINTS, _TIME = b'{"name":', b'"dataPoints":[', b'"timeUnixNano":"'
_NEXT_METRIC, _NEXT_RESOURCE = b"," + _NAME, _CLOSE + b"," + _RESOURCE
# What a point says: all from the quote before its time to the brace at its end.
_INT64, _COUNT = rb"-?(?:0|[1-9][0-9]{0,17})", rb"(?:0|[1-9][0-9]{0,17})"  # safely
_PLAIN = re.compile(rb'(%s)(","asDouble":)(%s)|(%s)(","asInt":"?)(%s)("?)' % (TIME_NS, NUMBER, TIME_NS, _INT64))
_COUNTS = rb'%s(?:,%s)*|"%s"(?:,"%s")*' % ((_COUNT,) * 4)
_HISTOGRAM = re.compile(
    rb'(%s)","count":(?:"%s"|%s),"sum":%s,"bucketCounts":\[(?:%s)\],"explicitBounds":(\[[^]"]*\])(?:,"m(?:in|ax)":%s)*'
    % (TIME_NS, _COUNT, _COUNT, NUMBER, _COUNTS, NUMBER)
)
_DOUBLE = b'","asDouble":'
_MARKED = dict(zip((_DOUBLE, b'","asInt":"', b'","asInt":'), MARKS, strict=True))  # the longest first
_READ = {text: MARKS[mark] for text, mark in _MARKED.items()}
_GROWTH = {text: len(mark) - len(text) for text, mark in _MARKED.items()}
_BITS = 50  # of numbers of our choice, so that they are floats as well
# By the texts around a point's numbers; None: no such point.
Known = dict[tuple[bytes, ...], Heads | None]
_OVERHEAD = 400  # bytes of a point that is remembered, beside its texts, about
_PLACE = 100  # the same of one in a section
_TRIED = 16  # times a message's own bytes, for its texts with what is around them: one long text may be around many


class Point(NamedTuple):
    """A point of a message: its rows without numbers, and what it says, from its time to the last of its numbers."""

    heads: Heads
    said: bytes
    between: bytes  # its time and its value; none in a histogram
    bounds: bytes  # of a histogram


class Section(NamedTuple):
    """A resource as it was last met, for the next one that begins so and has as many points."""

    behind: list[bytes]  # what each point says, up to the next time
    behind_bytes: int
    plain: list[bool]  # by point: it is no histogram
    heads: Heads  # of plain points
    marks: list[bool | None]  # between their times and values
    whole: list[bool]  # their values have to be integers
    growth: int  # of their texts by these marks, in bytes
    histograms: list[tuple[int, bytes, Heads]]  # by place among all points, with their bounds

    @classmethod
    def of(cls, points: list[Point], behind: list[bytes]) -> Section:
        """The section of these points."""
        plain = [point for point in points if point.between]
        return cls(
            behind,
            sum(map(len, behind)),
            [bool(point.between) for point in points],
            tuple([point.heads[0] for point in plain]),
            [_READ[point.between] for point in plain],
            [point.between != _DOUBLE for point in plain],
            sum([_GROWTH[point.between] for point in plain]),
            [(place, point.bounds, point.heads) for place, point in enumerate(points) if point.bounds],
        )


class Found:
    """What the points of a message say, section by section."""

    def __init__(self) -> None:
        self.others: list[bytes] = []  # resources with a metric that has no such points, as summaries
        self._heads: list[MetricPoint] = []
        self._said: list[bytes] = []
        self._marks: list[bool | None] = []
        self._whole: list[bool] = []
        self._growth = 0
        self._counted: list[tuple[Heads, int, list[float]]] = []  # histograms: their rows, time and values

    def add(self, section: Section, said: list[bytes]) -> bool:
        """Adds a section of which the points say this; False, with nothing added, where a histogram is another."""
        if section.histograms:
            counted = [_counted(said[place], bounds, heads) for place, bounds, heads in section.histograms]
            if None in counted:
                return False
            self._counted += counted  # type: ignore[arg-type]  # there is no None
            said = list(compress(said, section.plain))
        self._heads += section.heads
        self._said += said
        self._marks += section.marks
        self._whole += section.whole
        self._growth += section.growth
        return True

    def points(self) -> Points | None:
        """The points; None for too few to be worth it, or where one says what it may not."""
        heads = (*self._heads, *chain.from_iterable([heads for heads, _, _ in self._counted]))
        if len(heads) < LEAST:
            return None
        times: list[int] = []
        values: list[float] = []
        if self._said:
            read = marked(b",".join(self._said), _MARKED, self._marks, self._growth)
            if read is None:
                return None
            times, values = read
            if not set(map(type, compress(values, self._whole))) <= {int}:
                return None
        for rows, time, counts in self._counted:
            times += [time] * len(rows)
            values += counts
        return points_of(heads, times, values, lasting=False)


class Pieces:
    """Reads messages of one topic; what it remembers is bounded by limits.CACHE_BYTES.

    `read` is the format's decoder of a message's bytes.
    """

    def __init__(self, read: Callable[[bytes], Decoded]) -> None:
        self._read = read
        self._known: dict[bytes, Known | None] = {}  # by the resource's text; None: it holds more than a resource
        self._last: dict[tuple[bytes, int], Section] = {}  # by a section's text up to its first time, and its points
        self._heads: dict[tuple[str, str, str, int], MetricPoint] = {}  # of others
        self._bytes = 0
        self._left = 0  # of what may be tried for a message, in bytes

    def decode(self, value: bytes) -> Decoded:
        """The points of a message: from its pieces, or by its format's decoder."""
        points = self._points(value)
        return self._read(value) if points is None or len(points) > limits.ROWS else Decoded(points, [])

    def _points(self, value: bytes) -> Points | None:
        """The points of a message; None where it is spelled in another way, or where one of them would be refused."""
        if not (value.startswith(_OPEN + _RESOURCE) and value.endswith(_CLOSE + _END)):
            return None
        if self._bytes > limits.CACHE_BYTES:
            self._known.clear()
            self._last.clear()
            self._heads.clear()
            self._bytes = 0
        self._left = min(_TRIED * len(value), limits.CACHE_BYTES)
        sections = value[len(_OPEN + _RESOURCE) : -len(_CLOSE + _END)].split(_NEXT_RESOURCE)
        points = None
        # What is expected may turn out to be said in another way only when all is read.
        for ways in ((self._expected, self._looked_for), (self._looked_for,)):
            found = Found()
            if not all(any(way(section, found) for way in ways) for section in sections):
                return None
            points = found.points()
            if points is not None:
                break
        return self._with(points, found.others) if points is not None and found.others else points

    def _expected(self, text: bytes, found: Found) -> bool:
        """Adds a resource if it is like the last one that began so and had as many points."""
        first, *pieces = text.split(_TIME)
        section = self._last.get((first, len(pieces)))
        if section is None:
            return False
        said = list(map(bytes.removesuffix, pieces, section.behind))
        if len(first) + len(_TIME) * len(pieces) + sum(map(len, said)) + section.behind_bytes != len(text):
            return False  # some end in another way
        return found.add(section, said)

    def _looked_for(self, text: bytes, found: Found) -> bool:
        """Adds a resource, each of its points looked for; False where it is spelled in another way."""
        first, *pieces = text.split(_TIME)
        resource, _, before = first.partition(_METRICS + _NAME)
        known = self._opened(resource)
        if known is None:
            return False
        points: list[Point] = []
        metric: list[bytes] = []  # from each of its times up to the next
        ends = _NAME  # without a time in all of the section
        for number, piece in enumerate(pieces, start=1):
            rest, ends, following = piece.partition(_NEXT_METRIC)
            metric.append(rest)
            if not ends and number < len(pieces):
                continue
            if some := self._of_metric(resource, known, before, metric):
                points += some
            else:
                own = _NAME + _TIME.join([before, *metric])
                other = b"".join((_RESOURCE, resource, _METRICS, own, _CLOSE))
                found.others.append(other)
                self._left -= len(other)
                if self._left < 0 or not (_is_object(own) and _is_object(other)):
                    return False
            metric.clear()
            before = following
        if ends:  # of a metric, and no time behind it
            return False
        if len(points) == len(pieces):  # so each piece is a point's
            behind = [piece[len(point.said) :] for piece, point in zip(pieces, points, strict=True)]
            section = Section.of(points, behind)
            key = (first, len(pieces))
            held = self._last[key].behind_bytes if key in self._last else -len(first) - _PLACE * len(pieces)
            self._bytes += section.behind_bytes - held
            self._last[key] = section
        else:
            section = Section.of(points, [])
        return found.add(section, [point.said for point in points])

    def _of_metric(self, resource: bytes, known: Known, before: bytes, metric: list[bytes]) -> list[Point]:
        """The points of a metric, if all are known."""
        name, opens, own = before.rpartition(_POINTS)
        name += opens
        after = metric[-1].partition(b"}")[2]
        points: list[Point] = []
        for number, piece in enumerate(metric, start=1):
            said, _, gap = piece.partition(b"}")
            key: tuple[bytes, ...]
            if plain := _PLAIN.fullmatch(said):
                between, bounds = plain[2] or plain[5], b""
                said, quote = (said[:-1], b'"') if plain[7] else (said, b"")
                key = (name, own, between, quote + b"}", after)
            elif histogram := _HISTOGRAM.fullmatch(said):
                between, bounds = b"", histogram[2]
                key = (name, own, bounds, after)
            else:
                return []
            heads = known[key] if key in known else self._meet(resource, known, key)
            if heads is None or (number < len(metric) and not gap.startswith(b",")):
                return []
            points.append(Point(heads, said, between, bounds))
            own = gap[1:]
        return points

    def _with(self, points: Points, sections: list[bytes]) -> Points | None:
        """The points, and those that the format's decoder finds in the sections; None if it refuses one of these."""
        try:
            more = self._read(_OPEN + b",".join(sections) + _END)
        except DecodeError:
            return None
        if more.refused or not more.rows or any([type(row) is not MetricPoint for row in more.rows]):
            return None
        rows: list[MetricPoint] = list(more.rows)
        heads = [self._head(row) for row in rows]
        time_ns = np.append(points.time_ns, np.array([row.time_ns for row in rows], np.int64))
        value = np.append(points.value, np.array([row.value for row in rows], np.float64))
        return Points((*points.heads, *heads), time_ns, value, lasting=False)

    def _head(self, row: MetricPoint) -> MetricPoint:
        key = (row.name, row.unit, row.kind, id(row.labels))  # its head holds on to the labels
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = row._replace(time_ns=0, value=0.0)
            self._bytes += len(row.labels.text) + _OVERHEAD
        return head

    def _opened(self, resource: bytes) -> Known | None:
        """The points that are known of a resource; None where there is more to its text than whose they are."""
        if resource not in self._known:
            section = _RESOURCE + resource + _METRICS + _CLOSE
            try:
                alone = self._read(_OPEN + section + _END) if _is_object(section) else None
            except DecodeError:
                alone = None
            self._known[resource] = None if alone is None or alone.rows or alone.refused else {}
            self._bytes += len(resource) + _OVERHEAD
        return self._known[resource]

    def _meet(self, resource: bytes, known: Known, key: tuple[bytes, ...]) -> Heads | None:
        """Remember a point by its texts: its metric's before it, its own around its numbers, and what is after it."""
        name, own, *_, after = key
        trial, time_ns, values = _tried_plain(*key[2:4]) if len(key) == 5 else _tried_histogram(key[2])
        point = own + _TIME + trial
        metric = _NAME + name + point + after
        section = _RESOURCE + resource + _METRICS + metric + _CLOSE
        self._left -= len(section)
        if self._left < 0:
            return None
        heads = None
        if all(map(_is_object, (section, metric, point))):
            try:
                heads = heads_of(self._read(_OPEN + section + _END), [time_ns] * len(values), values)
            except DecodeError:
                heads = None  # no point of ours: messages with it are read in full, which says why
        known[key] = heads
        self._bytes += len(section) + _OVERHEAD * (2 * len(heads) - 1 if heads else 1)
        return heads


# Numbers of our choice are drawn by chance, as a point may hold others beside those that are looked for.


def _tried_plain(between: bytes, behind: bytes) -> tuple[bytes, int, list[int]]:
    """What a plain point says with numbers of our choice: the text to its end, its time, and its row's value."""
    time_ns, value = TRIAL_NS + secrets.randbits(_BITS), secrets.randbits(_BITS)
    return b"%d%s%d%s" % (time_ns, between, value, behind), time_ns, [value]


def _tried_histogram(bounds: bytes) -> tuple[bytes, int, list[int]]:
    """The same of a histogram: its rows are those that `_counted` gives."""
    time_ns = TRIAL_NS + secrets.randbits(_BITS)
    buckets = bounds.count(b",") + 2 if len(bounds) > 2 else 1
    bits = _BITS - buckets.bit_length()  # as rows are sums of them
    counts = [1 + secrets.randbits(bits) for _ in range(buckets)]
    total, summed = sum(counts) + secrets.randbits(_BITS), secrets.randbits(_BITS)
    text = b'%d","count":%d,"sum":%d,"bucketCounts":[%s],"explicitBounds":%s}'
    said = text % (time_ns, total, summed, b",".join([b"%d" % count for count in counts]), bounds)
    return said, time_ns, [total, summed, *accumulate(counts[:-1]), total]


def _counted(said: bytes, bounds: bytes, heads: Heads) -> tuple[Heads, int, list[float]] | None:
    """The rows, time and values of a histogram; None where it has other bounds, or buckets that it may not have."""
    histogram = _HISTOGRAM.fullmatch(said)
    if histogram is None or histogram[2] != bounds:
        return None
    try:
        read = orjson.loads(b'{"time":"' + said + b"}")
    except orjson.JSONDecodeError:
        return None
    total, counts = int(read["count"]), list(map(int, read["bucketCounts"]))
    below = list(accumulate(counts[:-1]))
    if len(below) + 3 != len(heads) or (below and below[-1] > total):
        return None
    return heads, int(histogram[1]), [total, read["sum"], *below, total]


def _is_object(text: bytes) -> bool:
    """Whether this is an object, and one whose keys read the same in whatever message they are."""
    try:
        read = orjson.loads(text)
        return type(read) is dict and bool(renamed(read) == read)
    except (orjson.JSONDecodeError, Refused):
        return False
