"""The agents: they scrape what the model did at their own intervals, and a collector sends it as otlp_json batches."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from afoot.simulate.capture import Record
from afoot.simulate.physics import STEP_S, FloatArray

TOPIC = "telemetry.metrics"
BATCH_POINTS = 100
BATCH_MS = 4_000
LAST_MS = 2**62
MISSED_SCRAPES, MISSED_POINTS, DUPLICATES = 0.008, 0.004, 0.004
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

Kind = Literal["counter", "gauge", "mean", "histogram"]


@dataclass
class Series:
    """One series of a target.

    `values` by step: for a counter the increase in each step, for a gauge the level at its end, for a mean the level
    that the agent averages since its last scrape; for a histogram the observations in each step, and their mean in
    `level`.
    """

    name: str
    kind: Kind
    labels: Mapping[str, str]
    values: FloatArray
    unit: str = ""
    integer: bool = False
    start: float = 0.0
    noise: float = 0.0
    level: FloatArray | None = None
    resets: tuple[float, ...] = ()  # seconds at which the counter begins again from zero
    silent: tuple[tuple[float, float], ...] = ()  # (from, to) in seconds: not exported


@dataclass
class Target:
    """What is scraped at once: a resource and its series."""

    resource: Mapping[str, str]
    interval_s: int
    series: list[Series] = field(default_factory=list)


class _Column:
    """The points of one series at all scrapes of its target, rendered a stretch at a time: days fit in memory."""

    STRETCH = 512

    def __init__(self, series: Series, at_s: FloatArray, begun_s: int, as_text: bool, rng: np.random.Generator) -> None:
        self._head = f'{{"attributes":{attributes(series.labels)},'
        self._series, self._as_text = series, as_text
        self._values = _values(series, at_s, rng)
        self._seen = rng.random(len(at_s)) >= MISSED_POINTS
        for since, until in series.silent:
            self._seen &= (at_s < since) | (at_s >= until)
        begun_text = f'"startTimeUnixNano":"{begun_s - 86_400}000000000",'
        self._begun = [(0.0, begun_text if series.kind in ("counter", "histogram") else "")]
        self._begun += [(reset, f'"startTimeUnixNano":"{begun_s + int(reset)}000000000",') for reset in series.resets]
        self._at_s = at_s
        self._first = -1
        self._texts: list[str] = []

    def point(self, index: int, time: str) -> str | None:
        """The point of a scrape in JSON, or None where it is missing."""
        if not self._seen[index]:
            return None
        first = index - index % self.STRETCH
        if first != self._first:
            self._first = first
            self._texts = _rendered(self._series, self._values[..., first : first + self.STRETCH], self._as_text)
        start = self._begun[0][1]
        if len(self._begun) > 1:
            start = [text for since, text in self._begun if self._at_s[index] >= since][-1]
        return f"{self._head}{start}{time},{self._texts[index - first]}}}"


class _Scraped:
    """All scrapes of one target."""

    def __init__(self, target: Target, start_s: int, steps: int, as_text: bool, rng: np.random.Generator) -> None:
        seconds = steps * STEP_S
        phase = float(rng.uniform(0, target.interval_s))
        count = int((seconds - phase) // target.interval_s) + 1
        at_s = np.clip(phase + np.arange(count) * float(target.interval_s) + rng.normal(0, 0.002, count), 0, seconds)
        at_ms = start_s * 1000 + np.round(at_s * 1000).astype(np.int64)
        scraped = rng.random(count) >= MISSED_SCRAPES
        self.indexes = np.flatnonzero(scraped)
        self.times_ms = at_ms[self.indexes]
        groups: dict[str, list[Series]] = {}
        for series in target.series:
            groups.setdefault(series.name, []).append(series)
        self._groups = [
            (*_frame(members[0]), [_Column(series, at_s, start_s, as_text, rng) for series in members])
            for members in groups.values()
        ]
        scope = '{"name":"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver",'
        self._head = f'{{"resource":{{"attributes":{attributes(target.resource)}}},"scopeMetrics":[{{"scope":{scope}'
        self._head += '"version":"0.155.0"},"metrics":['

    def entry(self, at_ms: int, index: int) -> tuple[int, str]:
        """The number of points of a scrape, and its entry of resourceMetrics in JSON."""
        time = f'"timeUnixNano":"{at_ms}000000"'
        metrics, points = [], 0
        for head, tail, columns in self._groups:
            parts = [text for column in columns if (text := column.point(index, time)) is not None]
            if parts:
                metrics.append(f"{head}{','.join(parts)}{tail}")
                points += len(parts)
        return points, f"{self._head}{','.join(metrics)}]}}]}}"


def attributes(labels: Mapping[str, str]) -> str:
    """Labels as an OTLP attribute list in JSON."""
    return orjson.dumps([{"key": name, "value": {"stringValue": text}} for name, text in labels.items()]).decode()


def _frame(series: Series) -> tuple[str, str]:
    """What stands before and after the points of a metric."""
    unit = f'"unit":"{series.unit}",' if series.unit else ""
    kind = {"counter": "sum", "histogram": "histogram"}.get(series.kind, "gauge")
    tail = {"sum": ',"aggregationTemporality":2,"isMonotonic":true', "histogram": ',"aggregationTemporality":2'}
    return f'{{"name":"{series.name}",{unit}"{kind}":{{"dataPoints":[', f"]{tail.get(kind, '')}}}}}"


def _values(series: Series, at_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """What an agent sees of a series at each scrape; of a histogram, a row a bucket and then the sum."""
    steps = len(series.values)
    edges = np.arange(steps + 1) * float(STEP_S)
    total = np.concatenate([[0.0], np.cumsum(series.values)])
    if series.kind == "histogram":
        assert series.level is not None, "a histogram has the mean of its observations in level"
        below = 1 - np.exp(-np.array([*BOUNDS, np.inf])[:, None] / series.level)
        parts = np.diff(np.concatenate([np.zeros((1, steps)), below]), axis=0) * series.values
        rows = [*parts, series.values * series.level]  # times are spread exponentially about their mean
        return np.stack([np.interp(at_s, edges, np.concatenate([[0.0], np.cumsum(row)])) for row in rows])
    if series.kind == "counter":
        found = series.start + np.interp(at_s, edges, total)
        for reset in series.resets:
            after = at_s >= reset
            found[after] = np.interp(at_s[after], edges, total) - np.interp(reset, edges, total)
    elif series.kind == "mean":
        interval = float(at_s[1] - at_s[0]) if len(at_s) > 1 else float(STEP_S)
        back = np.maximum(at_s - interval, 0.0)
        span = np.maximum(at_s - back, 1e-3)
        found = (np.interp(at_s, edges, total * STEP_S) - np.interp(back, edges, total * STEP_S)) / span
    else:
        found = series.values[np.clip((at_s // STEP_S).astype(np.int64), 0, steps - 1)].copy()
    if series.noise:
        found = found * np.maximum(1 + rng.normal(0, series.noise, len(found)), 0.0)
    return np.asarray(found)


def _rendered(series: Series, values: FloatArray, as_text: bool) -> list[str]:
    """Values as the value fields of points, in JSON."""
    quote = '"' if as_text else ""
    if series.kind == "histogram":
        bounds = orjson.dumps(BOUNDS).decode()
        counts: NDArray[np.int64] = np.floor(values[:-1]).astype(np.int64)
        return [
            f'"count":{quote}{sum(row)}{quote},"sum":{total:.8g},'
            f'"bucketCounts":[{",".join(f"{quote}{number}{quote}" for number in row)}],"explicitBounds":{bounds}'
            for row, total in zip(counts.T.tolist(), values[-1].tolist(), strict=True)
        ]
    if series.integer:
        return [f'"asInt":{quote}{number}{quote}' for number in np.floor(values + 0.5).astype(np.int64).tolist()]
    digits = 10 if series.kind == "counter" else 5
    return [f'"asDouble":{number:.{digits}g}' for number in values.tolist()]


def records(
    targets: Sequence[Target],
    start_s: int,
    steps: int,
    *,
    integers_as_text: bool,
    collectors: int,
    partitions: int,
    rng: np.random.Generator,
) -> Iterator[Record]:
    """The collectors' messages in order of their oldest scrapes: about a hundred points or four seconds a batch."""
    scraped = [_Scraped(target, start_s, steps, integers_as_text, rng) for target in targets]
    sending = [rng.spawn(1)[0] for _ in range(collectors)]
    yield from heapq.merge(
        *(
            _collector(scraped[collector::collectors], collector if collectors > 1 else None, partitions, own)
            for collector, own in enumerate(sending)
        ),
        key=lambda record: record.oldest_ms,
    )


def _collector(
    scraped: Sequence[_Scraped],
    fixed: int | None,  # one of several collectors keeps to a partition of its own
    partitions: int,
    rng: np.random.Generator,
) -> Iterator[Record]:
    at_all = np.concatenate([target.times_ms for target in scraped] or [np.empty(0, dtype=np.int64)])
    numbers = np.repeat(np.arange(len(scraped)), [len(target.indexes) for target in scraped])
    indexes = np.concatenate([target.indexes for target in scraped] or [numbers])
    sent = points = 0
    entries: list[str] = []
    times: list[int] = []
    for place in [*np.argsort(at_all, kind="stable"), -1]:
        at_ms = int(at_all[place]) if place >= 0 else LAST_MS
        if entries and (points >= BATCH_POINTS or at_ms - times[0] > BATCH_MS):
            delay_ms = 50 + int(rng.exponential(400))
            if rng.random() < 0.01:
                delay_ms += int(rng.uniform(2_000, 12_000))  # a retry
            body = f'{{"resourceMetrics":[{",".join(entries)}]}}'.encode()
            partition = (sent if fixed is None else fixed) % partitions
            yield Record(TOPIC, partition, times[0], times[-1], times[-1] + delay_ms, None, body)
            sent, points, entries, times = sent + 1, 0, [], []
        if at_ms < LAST_MS:
            count, text = scraped[numbers[place]].entry(at_ms, int(indexes[place]))
            if count:
                points += count
                entries.append(text)
                times.append(at_ms)


def twice(records: Iterable[Record], rng: np.random.Generator) -> Iterator[Record]:
    """The records, some of them again a little later: a producer's retry after an acknowledgement that was lost."""
    for record in records:
        yield record
        if rng.random() < DUPLICATES:
            yield replace(record, sent_ms=record.sent_ms + int(rng.uniform(100, 2_000)))
