"""A small world for tests of signals: one job with a volume, and metric points by hand."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Sequence
from typing import Any

from afoot.catalogue import load_catalogue
from afoot.inventory.graph import Graph
from afoot.signals import Books, Frame, PlacedSignals, Sampler, Settings, ShardState, evaluate
from afoot.signals.windows import READING
from afoot.telemetry.rows import Decoded, InventoryChange, Labels, Message, MetricKind, MetricPoint, Stats

CATALOGUE = load_catalogue()
T0 = 1_800_000_000_000 // 3_600_000 * 3_600_000  # an hour's start, epoch ms
MINUTE = 60_000
S = 1_000_000_000  # ns in a second
EVERYTHING = Settings(all_signals=True)

RELATIONS = (
    ("ingress:edge/nginx", "sends_to", "deployment:ingest/receiver"),
    ("pod:ingest/receiver-1", "part_of", "deployment:ingest/receiver"),
    ("deployment:ingest/receiver", "writes", "topic:telemetry"),
    ("broker:kafka-0", "owns", "topic:telemetry"),
    ("job:enricher", "reads", "topic:telemetry"),
    ("consumer_group:enricher", "part_of", "job:enricher"),
    ("pod:streaming/tm-0", "part_of", "job:enricher"),
    ("pod:streaming/tm-0", "mounts", "claim:streaming/flink-data"),
    ("claim:streaming/flink-data", "bound_to", "persistent_volume:pv-1"),
    ("persistent_volume:pv-1", "backed_by", "volume:svm1/flexvol7"),
    ("vm:backup", "attached_to", "volume:svm1/flexvol7"),
)
TENANT = {"namespace": "streaming", "pod": "tm-0", "container": "main"}


def inventory() -> Graph:
    """The chain of RELATIONS; vm:backup is also known as instance i-1."""
    graph = Graph()
    ends = sorted({end for from_id, _, to_id in RELATIONS for end in (from_id, to_id)})
    for entity in ends:
        attributes = {"match": [{"InstanceId": "i-1"}]} if entity == "vm:backup" else {}
        row = {"id": entity, "type": entity.partition(":")[0], "attributes": attributes}
        graph.apply(InventoryChange("entity", "upsert", (entity,), row, T0, True))
    for from_id, kind, to_id in RELATIONS:
        row = {"from_id": from_id, "to_id": to_id, "kind": kind}
        graph.apply(InventoryChange("relation", "upsert", (from_id, to_id, kind), row, T0, True))
    return graph


def point(
    metric: str,
    labels: dict[str, str],
    second: float,
    value: float,
    kind: MetricKind = "unknown",
    stats: Stats | None = None,
) -> MetricPoint:
    """A point `second` seconds after T0."""
    return MetricPoint(metric, "", kind, Labels.of(labels), T0 * 1_000_000 + round(second * S), value, stats)


def message(
    rows: Sequence[Any],
    offset: int = 0,
    partition: int = 0,
    topic: str = "telemetry.metrics",
    window_ms: int = MINUTE,
) -> list[Frame]:
    """The frames of a message of these rows, in one shard; its record time is far enough for all of them."""
    sampler = Sampler(CATALOGUE, 1, window_ms)
    latest = max(
        (row.time_ns if hasattr(row, "time_ns") else row.end_ns for row in rows),
        default=T0 * 1_000_000,
    )
    received = Message(topic, partition, offset, latest // 1_000_000 + 1, None, b"")
    return sampler.frames(received, Decoded(list(rows), []))


def by_window(frames: Iterable[Frame]) -> dict[int, str]:
    """Blocks joined by window start."""
    found: dict[int, list[str]] = {}
    for frame in frames:
        if frame.kind == "samples":
            found.setdefault(frame.window_ms, []).append(frame.body)
    return {window: " ".join(bodies) for window, bodies in found.items()}


class Kept(dict[str, bytes]):
    """Parts of a shard as an engine keeps them: as bytes."""

    def put(self, name: str, value: object) -> None:
        self[name] = pickle.dumps(value)

    def load(self, settings: Settings = EVERYTHING) -> ShardState:
        """The shard as it was last saved."""
        return ShardState.load(((name, pickle.loads(value)) for name, value in self.items()), settings)


class Run:
    """Windows of one shard evaluated in order; they are of the settings' size."""

    def __init__(self, settings: Settings = EVERYTHING, graph: Graph | None = None) -> None:
        self.state = ShardState()
        self.kept = Kept()
        self.settings = settings
        self.graph = graph if graph is not None else inventory()
        self.books = Books()

    def window(self, number: int, bodies: dict[int, str]) -> list[PlacedSignals]:
        """Evaluate the window that starts `number` of its size after T0."""
        size = self.settings.window_ms
        start = T0 + number * size
        placed, books = evaluate(
            self.state, start, bodies.get(start, ""), bodies.get(start + size), self.graph, CATALOGUE, self.settings
        )
        self.books += books
        self.state.save(self.kept)
        return placed

    def restart(self) -> None:
        """Go on with what was kept alone."""
        self.state = self.kept.load(self.settings)

    def windows(self, numbers: Iterable[int], rows: Sequence[Any]) -> list[list[PlacedSignals]]:
        """Evaluate windows with the blocks of one message of all these rows."""
        bodies = by_window(message(rows, window_ms=self.settings.window_ms))
        return [self.window(number, bodies) for number in numbers]


def readings(placed: PlacedSignals) -> list[dict[str, Any]]:
    """The readings of a payload, with their names."""
    return [dict(zip(READING, reading, strict=True)) for reading in json.loads(placed.payload)["signals"]]


def signal(placed: Iterable[PlacedSignals], entity: str, name: str) -> dict[str, Any] | None:
    """What is said of an entity's signal, None if it is missing."""
    for row in placed:
        if row.entity == entity:
            for found in readings(row):
                if found["signal"] == name:
                    return found
    return None


def value(placed: Iterable[PlacedSignals], entity: str, name: str) -> float | None:
    """The value of an entity's signal, None if it is missing."""
    found = signal(placed, entity, name)
    return None if found is None else found["value"]
