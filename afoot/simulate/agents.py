"""The agents: they scrape what the model did at their own intervals, and a collector sends it as otlp_json batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from afoot.simulate.capture import Record
from afoot.simulate.physics import STEP_S, FloatArray

TOPIC = "telemetry.metrics"
BATCH_POINTS = 100
BATCH_S = 4.0
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


@dataclass
class _Scrape:
    """One scrape of one target as JSON of a resourceMetrics entry."""

    at_ms: int
    points: int
    text: str


def attributes(labels: Mapping[str, str]) -> str:
    """Labels as an OTLP attribute list in JSON."""
    return orjson.dumps([{"key": name, "value": {"stringValue": text}} for name, text in labels.items()]).decode()


def scrapes(
    target: Target, start_s: int, steps: int, integers_as_text: bool, rng: np.random.Generator
) -> list[_Scrape]:
    """Everything that scraping `target` gives over `steps` steps."""
    seconds = steps * STEP_S
    phase = float(rng.uniform(0, target.interval_s))
    count = int((seconds - phase) // target.interval_s) + 1
    at_s = phase + np.arange(count) * float(target.interval_s)
    at_s = np.clip(at_s + rng.normal(0, 0.002, count), 0, seconds)
    nanoseconds = (start_s * 1000 + np.round(at_s * 1000).astype(np.int64)) * 1_000_000
    times = [f'"timeUnixNano":"{at}"' for at in nanoseconds.tolist()]
    scraped = rng.random(count) >= MISSED_SCRAPES
    groups: dict[str, list[tuple[list[str | None], Series]]] = {}
    for series in target.series:
        values = _values(series, at_s, steps, integers_as_text, rng)
        begun = (start_s - 86_400) * 1_000_000_000
        head = f'{{"attributes":{attributes(series.labels)},'
        started = "" if series.kind in ("gauge", "mean") else f'"startTimeUnixNano":"{begun}",'
        seen = rng.random(count) >= MISSED_POINTS
        for since, until in series.silent:
            seen &= (at_s < since) | (at_s >= until)
        texts = [
            f"{head}{started}{time},{value}}}" if here else None
            for time, value, here in zip(times, values, seen.tolist(), strict=True)
        ]
        groups.setdefault(series.name, []).append((texts, series))
    heads = []
    for name, members in groups.items():
        first = members[0][1]
        unit = f'"unit":"{first.unit}",' if first.unit else ""
        kind = {"counter": "sum", "gauge": "gauge", "mean": "gauge", "histogram": "histogram"}[first.kind]
        tail = {"counter": ',"aggregationTemporality":2,"isMonotonic":true', "histogram": ',"aggregationTemporality":2'}
        heads.append(
            (f'{{"name":"{name}",{unit}"{kind}":{{"dataPoints":[', f"]{tail.get(first.kind, '')}}}}}", members)
        )
    resource = f'{{"resource":{{"attributes":{attributes(target.resource)}}},"scopeMetrics":[{{"scope":{{"name":'
    resource += (
        '"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver","version":"0.155.0"}'
    )
    found = []
    for index in np.flatnonzero(scraped).tolist():
        metrics, points = [], 0
        for head, tail_text, members in heads:
            parts = [text for texts, _ in members if (text := texts[index]) is not None]
            if parts:
                metrics.append(f"{head}{','.join(parts)}{tail_text}")
                points += len(parts)
        if metrics:
            text = f'{resource},"metrics":[{",".join(metrics)}]}}]}}'
            found.append(_Scrape(int(nanoseconds[index]) // 1_000_000, points, text))
    return found


def _values(series: Series, at_s: FloatArray, steps: int, as_text: bool, rng: np.random.Generator) -> list[str]:
    """The value fields of a series' points, as JSON."""
    edges = np.arange(steps + 1) * float(STEP_S)
    total = np.concatenate([[0.0], np.cumsum(series.values)])
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
    elif series.kind == "gauge":
        found = series.values[np.clip((at_s // STEP_S).astype(np.int64), 0, steps - 1)].copy()
    else:
        return _histograms(series, at_s, edges, as_text)
    if series.noise:
        found = found * np.maximum(1 + rng.normal(0, series.noise, len(found)), 0.0)
    if series.integer:
        numbers = np.floor(found + 0.5).astype(np.int64).tolist()
        return [f'"asInt":"{number}"' if as_text else f'"asInt":{number}' for number in numbers]
    return [f'"asDouble":{number:.{"10" if series.kind == "counter" else "5"}g}' for number in found.tolist()]


def _histograms(series: Series, at_s: FloatArray, edges: FloatArray, as_text: bool) -> list[str]:
    """Cumulative histograms of times that are spread exponentially about their mean at each step."""
    assert series.level is not None, "a histogram has the mean of its observations in level"
    below = 1 - np.exp(-np.array([*BOUNDS, np.inf])[:, None] / series.level[None, :])
    parts = np.diff(np.concatenate([np.zeros((1, below.shape[1])), below]), axis=0) * series.values
    totals = [np.interp(at_s, edges, np.concatenate([[0.0], np.cumsum(part)])) for part in parts]
    counts: NDArray[np.int64] = np.floor(np.array(totals)).astype(np.int64)
    sums = np.interp(at_s, edges, np.concatenate([[0.0], np.cumsum(series.values * series.level)]))
    quote = '"' if as_text else ""
    bounds = orjson.dumps(BOUNDS).decode()
    return [
        f'"count":{quote}{sum(row)}{quote},"sum":{total:.8g},'
        f'"bucketCounts":[{",".join(f"{quote}{number}{quote}" for number in row)}],"explicitBounds":{bounds}'
        for row, total in zip(counts.T.tolist(), sums.tolist(), strict=True)
    ]


def records(
    targets: Sequence[Target],
    start_s: int,
    steps: int,
    *,
    integers_as_text: bool,
    collectors: int,
    partitions: int,
    rng: np.random.Generator,
) -> list[Record]:
    """The collector's messages: scrapes in order of time, about a hundred points or four seconds a batch."""
    queues: list[list[_Scrape]] = [[] for _ in range(collectors)]
    for number, target in enumerate(targets):
        queues[number % collectors] += scrapes(target, start_s, steps, integers_as_text, rng)
    found = []
    for collector, queue in enumerate(queues):
        queue.sort(key=lambda scrape: scrape.at_ms)
        keyed = collectors > 1  # then a collector keeps to one partition
        for number, batch in enumerate(_batches(queue)):
            body = '{"resourceMetrics":[' + ",".join(scrape.text for scrape in batch) + "]}"
            sent_ms = batch[-1].at_ms + 50 + int(rng.exponential(400))
            if rng.random() < 0.01:
                sent_ms += int(rng.uniform(2_000, 12_000))  # a retry
            partition = (collector if keyed else number) % partitions
            found.append(Record(TOPIC, partition, batch[0].at_ms, batch[-1].at_ms, sent_ms, None, body.encode()))
    return found


def _batches(queue: Sequence[_Scrape]) -> list[list[_Scrape]]:
    batches: list[list[_Scrape]] = []
    points = 0
    for scrape in queue:
        if not batches or points >= BATCH_POINTS or scrape.at_ms - batches[-1][0].at_ms > BATCH_S * 1000:
            batches.append([])
            points = 0
        batches[-1].append(scrape)
        points += scrape.points
    return batches


def twice(records: Sequence[Record], rng: np.random.Generator) -> list[Record]:
    """Some records again, a little later: a producer's retry after an acknowledgement that was lost."""
    return [
        replace(record, sent_ms=record.sent_ms + int(rng.uniform(100, 2_000)))
        for record in records
        if rng.random() < DUPLICATES
    ]
