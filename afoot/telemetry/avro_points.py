"""Metric points in Avro, read by hand because series repeat.

The schema puts what names a series first, and senders send their series in the same order again and again. So each
series remembers its bytes and the series that came after it: where the next bytes are those of the expected series,
which one comparison tells, its name and labels need no reading. Otherwise they are read, at several times the cost.
A message that is like an earlier one in all but its numbers is read at once, as columns.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.avro_values import Broken, block, long, text
from afoot.telemetry.canonical import KINDS, check_stats
from afoot.telemetry.collected import Collected
from afoot.telemetry.labelsets import bounded
from afoot.telemetry.rows import Decoded, Labels, MetricKind, MetricPoint, Points, Stats
from afoot.telemetry.shapes import LEAST
from afoot.telemetry.values import Refused, checked_ns, name, number

_double = struct.Struct("<d").unpack_from
_stats = struct.Struct("<5d").unpack_from
_new_point = tuple.__new__  # the constructor of a NamedTuple without its Python frame: this runs once a point
_OVERHEAD = 400  # bytes of a remembered series beside its own, about
_NS_BYTES = 9  # of a time in nanoseconds, at most: 63 bits
_PLACES = 1 << 7 * np.arange(_NS_BYTES, dtype=np.int64)  # what a digit of a varint counts, by its place
_NO_MORE, _END = b"\x00", b"\x00\x00"  # no stats; and no other block of an array
_NO_STATS, _STATS = 0, 2  # the union's branch, as a varint
_NUMBERS = _NS_BYTES + 8 + 1  # bytes of a row behind its series: its time, its value, and that it has no stats
_ONE_BYTES = 2048  # of a message of one row that is remembered, at most
_MORE_BITS = int.from_bytes(b"\x80" * (_NS_BYTES - 1), "little")  # of a varint of nine bytes, those that say so ...
_ALL_BITS = int.from_bytes(b"\x80" * _NS_BYTES, "little")  # ... among these


class _Series:
    """A series by its bytes: what they mean, and the series that was last seen after it."""

    __slots__ = ("encoded", "following", "kind", "labels", "name", "reason", "unit")

    def __init__(
        self, encoded: bytes, metric_name: str, unit: str, kind: MetricKind, labels: Labels | None, reason: str
    ) -> None:
        self.encoded = encoded
        self.name = metric_name
        self.unit = unit
        self.kind = kind
        self.labels = labels
        self.reason = reason  # why points of it are refused, where labels is None
        self.following: _Series = self


@dataclass(slots=True)
class _Layout:
    """Where messages of one length have their numbers: all their other bytes are those of the first one."""

    heads: tuple[MetricPoint, ...]
    fixed: bytes  # what is left of a message behind the mask
    mask: NDArray[np.uint8]  # 255: must be as fixed; 128: a byte of a varint, whose first bit must be; 0: of a value
    times: NDArray[np.int64]  # positions, a row a point: of the bytes of its time ...
    values: NDArray[np.int64]  # ... and of its value
    following: _Layout | None = None  # of the message that was last seen after such a one

    @property
    def size(self) -> int:
        """Bytes, about."""
        return int(2 * len(self.fixed) + self.times.nbytes + self.values.nbytes + _OVERHEAD * len(self.heads))

    @classmethod
    def of(cls, value: bytes, decoded: Decoded) -> _Layout | None:
        """The layout of a message of many rows; None if its times are not of one length, or if it has stats."""
        rows = decoded.rows
        mask = np.full(len(value), 255, np.uint8)
        times, values = [], []
        left, position = block(value, 0)
        while left:
            for _ in range(left):
                position = _past_series(value, position)
                _, end = long(value, position)
                times.append(range(position, end))
                mask[position:end] = 128
                values.append(range(end, end + 8))
                mask[end : end + 8] = 0
                if value[end + 8] != _NO_STATS:
                    return None
                position = end + 9
            left, position = block(value, position)
        if len(set(map(len, times))) != 1 or len(times[0]) > _NS_BYTES or len(times) != len(rows):
            return None
        heads = tuple(row._replace(time_ns=0, value=0.0) for row in rows)
        fixed = (np.frombuffer(value, np.uint8) & mask).tobytes()
        return cls(heads, fixed, mask, np.array(times, np.int64), np.array(values, np.int64))

    def read(self, value: bytes) -> Points | None:
        """The points of a message; None if it is of another layout, or if one of them would be refused."""
        found = np.frombuffer(value, np.uint8)
        if (found & self.mask).tobytes() != self.fixed:
            return None
        digits = (found.take(self.times) & 127).astype(np.int64)
        folded = digits @ _PLACES[: digits.shape[1]]
        time_ns = (folded >> 1) ^ -(folded & 1)
        values = found.take(self.values).view("<f8")[:, 0]
        if time_ns.min() <= 0 or not np.isfinite(values).all():
            return None
        return Points(self.heads, time_ns, values)


class Reader:
    """Decodes the messages of one topic; what it remembers is bounded by limits.CACHE_BYTES."""

    def __init__(self, format_name: str) -> None:
        self._format = format_name
        self._known: dict[bytes, _Series] = {}
        self._bytes = 0
        self._layouts: dict[tuple[bytes, int], _Layout] = {}  # by the first series and the length of messages
        self._misses: dict[tuple[bytes, int], int] = {}
        self._layout_bytes = 0
        self._layout: _Layout | None = None  # of the last message that had one
        self._ones: dict[bytes, tuple[str, str, MetricKind, Labels]] = {}  # by what is before the numbers
        self._ones_bytes = 0
        self._first = self._unknown = _Series(b"", "", "", "unknown", None, "")

    def decode(self, value: bytes, many: bool) -> Decoded:
        """The points of an array of rows, or of one row."""
        small = len(value) <= _ONE_BYTES
        if small and (one := self._one(value, many)) is not None:
            return Decoded([one], [])
        if many and (points := self._laid_out(value)) is not None:
            return Decoded(points, [])
        try:
            decoded = self._points(value, many)
        except IndexError:
            raise DecodeError(f"{self._format}: the message ends inside a row, at byte {len(value)}") from None
        except Broken as error:
            raise DecodeError(f"{self._format}: {error}") from None
        if small and len(decoded.rows) == 1 and not decoded.refused:
            self._remember_one(value, many, decoded.rows[0])
        if many and len(decoded.rows) >= LEAST and not decoded.refused:
            self._lay_out(value, decoded)
        return decoded

    def _laid_out(self, value: bytes) -> Points | None:
        """The points of a message that is like an earlier one in all but its numbers."""
        before = self._layout
        layout = before and before.following
        if layout is None or len(layout.fixed) != len(value) or (points := layout.read(value)) is None:
            layout = self._layouts.get((_first_series(value), len(value)))
            if layout is None or (points := layout.read(value)) is None:
                return None
            if before is not None:
                before.following = layout
        self._layout = layout
        return points

    def _one(self, value: bytes, many: bool) -> MetricPoint | None:
        """The point of a message that is like an earlier one of one row in all but its time and value."""
        begin = len(value) - _NUMBERS - many
        head = self._ones.get(value[:begin])
        if head is None or not value.endswith(_END if many else _NO_MORE):
            return None
        time_ns = _nanoseconds(value[begin : begin + _NS_BYTES])
        sent: float = _double(value, begin + _NS_BYTES)[0]
        if time_ns is None or sent * 0.0 != 0.0:
            return None
        return _new_point(MetricPoint, (*head, time_ns, sent, None))

    def _remember_one(self, value: bytes, many: bool, row: MetricPoint) -> None:
        begin = len(value) - _NUMBERS - many
        if row.stats is None and begin > 0 and _nanoseconds(value[begin : begin + _NS_BYTES]) == row.time_ns:
            self._ones_bytes += begin + _OVERHEAD
            if self._ones_bytes > limits.CACHE_BYTES:
                self._ones.clear()
                self._ones_bytes = 0
            self._ones[value[:begin]] = row[:4]

    def _lay_out(self, value: bytes, decoded: Decoded) -> None:
        """Remember where such messages have their numbers: when another one comes, and ever less often after that."""
        key = (_first_series(value), len(value))
        if self._layout_bytes > limits.CACHE_BYTES:
            self._layouts.clear()
            self._misses.clear()
            self._layout_bytes = 0
        misses = self._misses.get(key, 0)
        self._misses[key] = misses + 1
        if not misses:
            self._layout_bytes += len(key[0]) + _OVERHEAD
            return
        often = misses & (misses - 1)  # 0 for powers of two: a series may be another now, or messages alternate
        layout = None if often else _Layout.of(value, decoded)
        if layout is not None:
            self._layouts[key] = layout
            self._layout_bytes += layout.size

    def _points(self, value: bytes, many: bool) -> Decoded:
        collected = Collected(self._format)
        append, begins = collected.rows.append, value.startswith
        size = len(value)
        position = 0
        left = 1
        if many:
            left, position = block(value, 0)
        expected = self._first
        series: _Series | None = None
        time_bytes, time_ns = b"", 0
        while left:
            collected.check(left)
            for _ in range(left):
                if expected is not self._unknown and begins(expected.encoded, position):
                    position += len(expected.encoded)
                    found = expected
                else:
                    found, position = self._read(value, position)
                if series is None:
                    self._first = found
                else:
                    series.following = found
                series = found
                expected = series.following
                if time_bytes and begins(time_bytes, position):  # points of one scrape share their time
                    position += len(time_bytes)
                else:
                    start = position
                    time_ns, position = long(value, position)
                    time_bytes = value[start:position]
                if position + 9 > size:
                    raise Broken(f"the message ends inside a row, at byte {size}")
                number_sent: float = _double(value, position)[0]
                branch = value[position + 8]
                position += 9
                stats = None
                if branch == _STATS:
                    if position + 40 > size:
                        raise Broken(f"the message ends inside a row, at byte {size}")
                    stats = Stats(*_stats(value, position))
                    position += 40
                elif branch != _NO_STATS:
                    raise Broken(f"stats have branch {branch >> 1} at byte {position - 1}; 0 and 1 are allowed")
                if series.labels is None or time_ns <= 0 or number_sent * 0.0 != 0.0 or stats is not None:
                    try:
                        _check(series, time_ns, number_sent, stats)
                    except Refused as error:
                        collected.refuse(f"row {len(collected.rows) + len(collected.refused)}", error)
                        continue
                append(
                    _new_point(
                        MetricPoint, (series.name, series.unit, series.kind, series.labels, time_ns, number_sent, stats)
                    )
                )
            left = 0
            if many:
                left, position = block(value, position)
        if position != size:
            raise Broken(f"{size - position} bytes follow the last row; is the schema another?")
        return collected.decoded()

    def _read(self, value: bytes, start: int) -> tuple[_Series, int]:
        metric_name, position = text(value, start)
        unit, position = text(value, position)
        kind_index, position = long(value, position)
        mapping: dict[str, str] = {}
        count, position = block(value, position)
        while count:
            if count > limits.LABELS or len(mapping) > limits.LABELS:
                raise Broken(f"over {limits.LABELS} labels in the row at byte {start}")
            for _ in range(count):
                label_name, position = text(value, position)
                mapping[label_name], position = text(value, position)
            count, position = block(value, position)
        encoded = value[start:position]
        series = self._known.get(encoded)
        if series is None:
            series = self._remember(encoded, metric_name, unit, kind_index, mapping)
        return series, position

    def _remember(
        self, encoded: bytes, metric_name: str, unit: str, kind_index: int, mapping: dict[str, str]
    ) -> _Series:
        kind: MetricKind = "unknown"
        labels: Labels | None = None
        reason = ""
        try:
            name(metric_name)
            name(unit or "-", "unit")
            if not 0 <= kind_index < len(KINDS):
                raise Refused(f"kind is number {kind_index}; 0 to {len(KINDS) - 1} are allowed")
            kind = KINDS[kind_index]
            labels = bounded(mapping)
        except Refused as error:
            reason = str(error)
        series = _Series(encoded, metric_name, unit, kind, labels, reason)
        self._bytes += 3 * len(encoded) + _OVERHEAD
        if self._bytes > limits.CACHE_BYTES:
            for old in self._known.values():
                old.following = old  # so that the old ones do not keep each other
            self._known.clear()
            self._bytes = 0
        self._known[encoded] = series
        return series


def _nanoseconds(encoded: bytes) -> int | None:
    """A time in nine bytes, as those of our age have; None if it is of fewer, or not positive."""
    digits = int.from_bytes(encoded, "little")
    if digits & _ALL_BITS != _MORE_BITS or digits & 1:
        return None
    # Groups of 7 bits in 8 become 14 in 16, then 28 in 32, then 56 in 64, and the ninth follows.
    digits = digits & 0x7F_007F_007F_007F_007F | (digits & 0x7F00_7F00_7F00_7F00) >> 1
    digits = digits & 0x7F_0000_3FFF_0000_3FFF | (digits & 0x3FFF_0000_3FFF_0000) >> 2
    digits = digits & 0x7F_0000_0000_0FFF_FFFF | (digits & 0x0FFF_FFFF_0000_0000) >> 4
    return (digits & 0xFF_FFFF_FFFF_FFFF | (digits >> 64) << 56) >> 1


def _first_series(value: bytes) -> bytes:
    """The bytes before an array's first number; none if there are no such."""
    try:
        count, position = block(value, 0)
        return value[: _past_series(value, position)] if count else b""
    except (IndexError, Broken):
        return b""


def _past_series(value: bytes, position: int) -> int:
    for _ in range(2):
        _, position = text(value, position)
    _, position = long(value, position)
    count, position = block(value, position)
    while count:
        for _ in range(2 * count):
            _, position = text(value, position)
        count, position = block(value, position)
    return position


def _check(series: _Series, time_ns: int, value: float, stats: Stats | None) -> None:
    if series.labels is None:
        raise Refused(series.reason)
    checked_ns(time_ns, "time_ns")
    number(value)
    if stats is not None:
        check_stats(stats)
