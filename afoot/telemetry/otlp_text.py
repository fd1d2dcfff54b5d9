"""OTLP/JSON metrics in the Collector's own spelling, read from the texts between their numbers.

Where a point or two of a scrape are missing, or where a batch ends, no message is like another; but each point is: what
is around its time and value is the same as in the last scrape. So a message is cut into resources, metrics and points
where the Collector puts its commas, and each point is known by its resource's, its metric's and its own text. A point
not met before is put into a message of its own, with numbers of our choice, which the format's decoder reads.

That this reads what a JSON parser would: a resource, a metric and a point that were met are each a JSON object by
themselves, so a message made of them, of commas and of what is around them can be read in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import orjson

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.rows import Decoded, MetricPoint, Points
from afoot.telemetry.shapes import LEAST, NUMBER, Heads, heads_of, points_of

_OPEN, _RESOURCE, _METRICS, _CLOSE, _END = b'{"resourceMetrics":[', b'{"resource":', b'"metrics":[', b"]}]}", b"]}"
_NAME, _POINTS, _TIME = b'{"name":', b'"dataPoints":[', b'"timeUnixNano":"'
_NEXT_METRIC, _NEXT_RESOURCE = b"," + _NAME, _CLOSE + b"," + _RESOURCE
# What stands between the quote before a point's time and the brace at its end, of each point a line.
_INT64 = rb"-?(?:0|[1-9][0-9]{0,17})"  # safely
_SAID = rb'[1-9][0-9]{0,18}","as(?>Double":%s|Int":(?>"%s"|%s))' % (NUMBER, _INT64, _INT64)
_NUMBERS = re.compile(rb"%s(?:\n%s)*+" % (_SAID, _SAID))
_TRIAL_NS, _TRIAL = 1_700_000_000_000_000_001, 1.5
_TRIED = b'"timeUnixNano":"1700000000000000001","asDouble":1.5}'
# By what is before and after a point's numbers; None: no such point.
Known = dict[tuple[bytes, ...], MetricPoint | None]
_OVERHEAD = 400  # bytes of a point that is remembered, beside its texts, about


class Pieces:
    """Reads messages of one topic; what it remembers is bounded by limits.CACHE_BYTES.

    `read` is the format's decoder of a message's bytes.
    """

    def __init__(self, read: Callable[[bytes], Decoded]) -> None:
        self._read = read
        self._known: dict[bytes, Known] = {}  # by the resource's text
        self._heads: dict[tuple[str, str, str, int], MetricPoint] = {}  # of others
        self._bytes = 0

    def decode(self, value: bytes) -> Decoded:
        """The points of a message: from its pieces, or by its format's decoder."""
        points = self._points(value)
        return self._read(value) if points is None or len(points) > limits.ROWS else Decoded(points, [])

    def _points(self, value: bytes) -> Points | None:
        """The points of a message; None where it is spelled in another way, or where one of them would be refused."""
        if not (value.startswith(_OPEN + _RESOURCE) and value.endswith(_CLOSE + _END)) or b"\n" in value:
            return None
        if self._bytes > limits.CACHE_BYTES:
            self._known.clear()
            self._heads.clear()
            self._bytes = 0
        heads: list[MetricPoint] = []
        numbers: list[bytes] = []
        others: list[bytes] = []  # sections of metrics that have no such points, as histograms
        # Only times are looked for in all of the message: what ends a metric is soon found behind one.
        first, *pieces = value[len(_OPEN + _RESOURCE) : -len(_END)].split(_TIME)
        resource, known, before = self._opened(first)
        held: list[bytes] = []  # of the open metric: what follows its earlier times
        for number, piece in enumerate(pieces, start=1):  # this runs once a point
            said, _, gap = piece.partition(b"}")
            after, ends, following = gap.partition(_NEXT_METRIC)
            if ends and not held:  # the usual metric has one point
                head = known.get((before, after))
                if head is not None:
                    heads.append(head)
                    numbers.append(said)
                    before = following
                    continue
            section = b""
            if not ends:
                after, ends, section = gap.partition(_NEXT_RESOURCE)
            if not ends and number < len(pieces):
                held.append(piece)
                continue
            metric = [before, *held, said + b"}" + (after if ends else after.removesuffix(_CLOSE))]
            if found := self._of_metric(resource, known, metric, numbers):
                heads += found
            else:
                text = _TIME.join(metric)
                other = b"".join((_RESOURCE, resource, _METRICS, _NAME, text, _CLOSE))
                if not (_is_object(other) and _is_object(_NAME + text)):
                    return None
                others.append(other)
            held.clear()
            before = following
            if section:
                resource, known, before = self._opened(section)
        if before:  # and no time behind it
            return None
        points = _read(tuple(heads), numbers)
        return self._with(points, others) if points is not None and others else points

    def _opened(self, section: bytes) -> tuple[bytes, Known, bytes]:
        """Of a resource's text up to its first time: the resource, its points, and its first metric up to there."""
        resource, _, metric = section.partition(_METRICS + _NAME)
        known = self._known.get(resource)
        if known is None:
            known = self._known[resource] = {}
            self._bytes += len(resource) + _OVERHEAD
        return resource, known, metric

    def _of_metric(self, resource: bytes, known: Known, pieces: list[bytes], numbers: list[bytes]) -> list[MetricPoint]:
        """The points of a metric that was cut at their times, if all are known; what is said of them to `numbers`."""
        if len(pieces) > 2:
            return self._several(resource, known, pieces, numbers)
        said, _, after = pieces[1].partition(b"}")
        key = (pieces[0], after)
        head = known[key] if key in known else self._meet(resource, known, key)
        if head is None:
            return []
        numbers.append(said)
        return [head]

    def _several(self, resource: bytes, known: Known, pieces: list[bytes], numbers: list[bytes]) -> list[MetricPoint]:
        metric, points, own = pieces[0].rpartition(_POINTS)
        after = pieces[-1].partition(b"}")[2]
        heads: list[MetricPoint] = []
        said: list[bytes] = []
        for number, piece in enumerate(pieces[1:], start=2):
            numbers_of, _, between = piece.partition(b"}")
            key = (metric + points, own, after)
            head = known[key] if key in known else self._meet(resource, known, key)
            if head is None or (number < len(pieces) and not between.startswith(b",")):
                return []
            heads.append(head)
            said.append(numbers_of)
            own = between[1:]
        numbers += said
        return heads

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

    def _meet(self, resource: bytes, known: Known, key: tuple[bytes, ...]) -> MetricPoint | None:
        """Remember a point by its texts: before it in its metric, its own before its time, and after it."""
        before, own, after = key if len(key) == 3 else (key[0], b"", key[1])
        point = own + _TRIED
        metric = _NAME + before + point + after
        section = _RESOURCE + resource + _METRICS + metric + _CLOSE
        head = None
        if all(map(_is_object, (section, metric, *([point] if own else [])))):
            try:
                heads = heads_of(self._read(_OPEN + section + _END), [_TRIAL_NS], [_TRIAL])
                head = heads[0] if heads else None
            except DecodeError:
                head = None  # no point of ours: messages with it are read in full, which says why
        known[key] = head
        self._bytes += len(section) + _OVERHEAD
        return head


def _read(heads: Heads, numbers: list[bytes]) -> Points | None:
    """The points of what is said of each; None where that is spelled in another way, or for too few to be worth it."""
    text = b"\n".join(numbers)
    if len(heads) < LEAST or not _NUMBERS.fullmatch(text):
        return None
    for said in (b'","asDouble":', b'","asInt":"', b'","asInt":', b'"\n', b"\n"):
        text = text.replace(said, b",")
    try:
        read = orjson.loads(b"[" + text.removesuffix(b'"') + b"]")
    except orjson.JSONDecodeError:
        return None
    return points_of(heads, read[::2], read[1::2], lasting=False)


def _is_object(text: bytes) -> bool:
    try:
        return type(orjson.loads(text)) is dict
    except orjson.JSONDecodeError:
        return False
