"""The rows of schemas/ as decoders return them: metric points, log records, flow records, inventory changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

MetricKind = Literal["gauge", "cumulative", "delta", "unknown"]
Reading = Literal["", "first", "next", "last"]


class Labels:
    """A label set, resource and point attributes merged; equal sets share one object within a process.

    `items` is sorted by name, `text` is its canonical JSON, and `mapping` must not be changed.
    Make one by `Labels.of`, which interns: a series' labels are then compared and cached by identity.
    """

    __slots__ = ("_hash", "items", "mapping", "text")
    _interned: ClassVar[dict[tuple[tuple[str, str], ...], Labels]] = {}
    _interned_chars: ClassVar[int] = 0
    INTERN_CHARS: ClassVar[int] = 64 * 1024 * 1024  # of the interned sets' texts: about 400 MB at most

    def __init__(self, items: tuple[tuple[str, str], ...]) -> None:
        self.items = items
        self._hash = hash(items)
        self.mapping = dict(items)
        self.text = json.dumps(self.mapping, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> Labels:
        """The label set of `mapping`, interned."""
        items = tuple(sorted(mapping.items()))
        found = cls._interned.get(items)
        if found is None:
            found = cls(items)
            cls._interned_chars += len(found.text)
            if cls._interned_chars > cls.INTERN_CHARS:
                cls._interned.clear()  # a cache only: identity is an optimisation, equality is by `items`
                cls._interned_chars = len(found.text)
            cls._interned[items] = found
        return found

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Labels) and self.items == other.items)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Labels({self.text})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Labels.of, (self.mapping,))


class Stats(NamedTuple):
    """A value that was already aggregated over its period, which begins at the point's time, as CloudWatch sends it."""

    count: float  # type: ignore[assignment]  # hides tuple.count, which nobody asks of these
    sum: float
    min: float
    max: float
    period_s: float  # 0: not told


class MetricPoint(NamedTuple):
    """One value of one series. Histograms arrive here as their Prometheus parts: _count, _sum, _bucket (label le)."""

    name: str
    unit: str  # UCUM where the format says it, else ""
    kind: MetricKind
    labels: Labels
    time_ns: int  # event time, Unix epoch
    value: float
    stats: Stats | None = None


class Points(Sequence[MetricPoint]):
    """The points of a message as columns, where many messages hold the same series in the same order.

    `heads` are points of those series, of no time and value; messages of one shape share it, the very same object, if
    it is `lasting`. Else they share each head only. `time_ns` int64 and `value` float64 are of its length; times are
    above 0, and values are finite.
    """

    __slots__ = ("heads", "lasting", "time_ns", "value")

    def __init__(
        self,
        heads: tuple[MetricPoint, ...],
        time_ns: NDArray[np.int64],
        value: NDArray[np.float64],
        lasting: bool = True,
    ) -> None:
        self.heads = heads
        self.time_ns = time_ns
        self.value = value
        self.lasting = lasting

    def __len__(self) -> int:
        return len(self.heads)

    @overload
    def __getitem__(self, place: int) -> MetricPoint: ...
    @overload
    def __getitem__(self, place: slice) -> list[MetricPoint]: ...
    def __getitem__(self, place: int | slice) -> MetricPoint | list[MetricPoint]:
        if isinstance(place, slice):
            return list(self)[place]
        return self.heads[place]._replace(time_ns=int(self.time_ns[place]), value=float(self.value[place]))

    def __iter__(self) -> Iterator[MetricPoint]:
        for head, time_ns, value in zip(self.heads, self.time_ns.tolist(), self.value.tolist(), strict=True):
            yield head._replace(time_ns=time_ns, value=value)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Points | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class LogRecord(NamedTuple):
    """One log record; `labels` hold what identifies its source (namespace, pod, host.name, ...)."""

    time_ns: int
    severity: str
    body: str
    labels: Labels


class FlowRecord(NamedTuple):
    """One flow as its exporter counted it: bytes and packets are not multiplied by the sampling rate."""

    start_ns: int
    end_ns: int
    source_address: str
    source_port: int
    destination_address: str
    destination_port: int
    transport: str  # tcp, udp, icmp, ... or the number as text
    bytes: int
    packets: int
    sampling_rate: int | None  # None: unknown
    source_as: int | None
    destination_as: int | None
    sampler: str
    labels: Labels


class InventoryChange(NamedTuple):
    """One change of an inventory table, in commit order.

    `table` is entity, relation, schedule or heartbeat; `key` is its primary key; `row` holds the columns after
    the change (None for a delete), where a column that the source could not say is absent and keeps its old value.

    A source that reads a whole table, a snapshot or a full poll, marks its rows: `reading` is first, next or last, and
    `reading_rows` how many there are, where it tells. The last of a table without rows has 0 and no row. What a reading
    does not show is not there. Of a heartbeat, last ends a snapshot of all tables.

    A source that says again and again what is there, and may not say what has gone, says how long its word holds:
    `holds_ms`. `source` tells the sources of one topic apart; rows of different sources never delete one another.
    """

    table: str
    op: Literal["upsert", "delete", "truncate", "heartbeat"]
    key: tuple[str, ...]
    row: dict[str, Any] | None
    time_ms: int  # version time: source.ts_ms
    snapshot: bool = False  # read by a first snapshot: holds for earlier windows too
    reading: Reading = ""
    reading_rows: int | None = None
    source: str = ""
    holds_ms: int | None = None


Row = MetricPoint | LogRecord | FlowRecord | InventoryChange


class Message(NamedTuple):
    """A Kafka record as it was received."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None  # None: a tombstone
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Decoded(NamedTuple):
    """What a message held: its rows, and the reason for each row in it that had to be refused."""

    rows: Sequence[Any]
    refused: list[str]
