"""What a point costs on its way to a signal, in this process alone: `python -m benchmarks.signals`.

Sampling: messages of 100 points of 25 pods (and of one point each, in batches). Evaluation: 40,000 counter series of
10,000 pods with 6 samples a window over 32 shards, every pod heard as a tenant of one of ten volumes, or none.
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
import time

import numpy as np

from afoot.catalogue import load_catalogue
from afoot.inventory.graph import Graph
from afoot.signals import Frame, Sampler, Settings, ShardState, evaluate
from afoot.telemetry.rows import Decoded, InventoryChange, Labels, Message, MetricPoint

METRICS = (
    "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total",
    "container_fs_writes_total",
    "container_fs_writes_bytes_total",
)
START_MS = 1_800_000_000_000 // 3_600_000 * 3_600_000
STEP_MS = 10_000
SHARDS = 32


def pods(count: int) -> list[Labels]:
    """Label sets as a kubelet's scrape gives them."""
    return [
        Labels.of({"namespace": "streaming", "pod": f"worker-{i}", "container": "main", "node": f"node-{i // 30}"})
        for i in range(count)
    ]


def messages(labels: list[Labels], window: int, per_message: int) -> list[tuple[Message, Decoded]]:
    """A window of points, entity by entity within each step."""
    found: list[tuple[Message, Decoded]] = []
    for step in range(60_000 // STEP_MS):
        at_ms = START_MS + window * 60_000 + step * STEP_MS
        value = float(100 * (window * 6 + step))
        rows = [
            MetricPoint(name, "", "cumulative", label, at_ms * 1_000_000, value) for label in labels for name in METRICS
        ]
        for first in range(0, len(rows), per_message):
            message = Message("telemetry.metrics", 0, len(found) + window * 1_000_000, at_ms + 500, None, b"")
            found.append((message, Decoded(rows[first : first + per_message], [])))
    return found


def shard_bodies(frames: list[list[Frame]]) -> dict[int, str]:
    """Blocks by shard, as the window operator joins them."""
    by_shard: dict[int, list[str]] = {}
    for of_message in frames:
        for frame in of_message:
            if frame.kind == "samples":
                by_shard.setdefault(frame.shard, []).append(frame.body)
    return {shard: " ".join(bodies) for shard, bodies in by_shard.items()}


def inventory(entities: int, heard: int) -> Graph:
    """Ten volumes with pods attached to them, and one job that writes to the first."""
    graph = Graph()

    def put(table: str, key: tuple[str, ...], row: dict[str, object]) -> None:
        graph.apply(InventoryChange(table, "upsert", key, row, START_MS - 3_600_000, True))

    for i in range(10):
        put("entity", (f"volume:svm/vol{i}",), {"id": f"volume:svm/vol{i}", "type": "volume", "component": "storage"})
    put("entity", ("job:enricher",), {"id": "job:enricher", "type": "job", "component": "processor"})
    for i in range(entities):
        pod = f"pod:streaming/worker-{i}"
        put("entity", (pod,), {"id": pod, "type": "pod", "component": "compute"})
        if i < heard:
            volume = f"volume:svm/vol{i % 10}"
            put("relation", (pod, volume, "attached_to"), {"from_id": pod, "to_id": volume, "kind": "attached_to"})
    put("relation", ("pod:streaming/worker-0", "job:enricher", "part_of"), {})
    return graph


def sampling(labels: list[Labels], per_message: int, batch: int) -> float:
    """Microseconds a point, series known."""
    sampler = Sampler(load_catalogue(), SHARDS)
    run = messages(labels, 0, per_message)
    for pair in run:
        sampler.frames(*pair)
    run = messages(labels, 1, per_message)
    began = time.process_time()
    for first in range(0, len(run), batch):
        sampler.batch(run[first : first + batch])
    return (time.process_time() - began) / (len(labels) * len(METRICS) * 6) * 1e6


class Parts(dict[str, bytes]):
    """Where a shard's state is kept, as bytes, as an engine keeps it."""

    def put(self, name: str, value: object) -> None:
        self[name] = pickle.dumps(value, 5)


def evaluation(labels: list[Labels], graph: Graph, windows: int) -> dict[str, float]:
    """Milliseconds of all shards a window, once histories are full enough to score; and to save what it changed."""
    catalogue, settings = load_catalogue(), Settings()
    sampler = Sampler(catalogue, SHARDS)
    states = {shard: ShardState() for shard in range(SHARDS)}
    parts = {shard: Parts() for shard in range(SHARDS)}
    ahead = shard_bodies(sampler.batch(messages(labels, 0, 100)))
    took: list[float] = []
    saving: list[float] = []
    rows = 0
    for window in range(windows):
        bodies, ahead = ahead, shard_bodies(sampler.batch(messages(labels, window + 1, 100)))
        start_ms = START_MS + window * 60_000
        rows = 0
        began = time.process_time()
        for shard, body in bodies.items():
            placed, _ = evaluate(states[shard], start_ms, body, ahead.get(shard), graph, catalogue, settings)
            rows += len(placed)
        evaluated = time.process_time()
        for shard in bodies:
            states[shard].save(parts[shard])
        took.append((evaluated - began) * 1e3)
        saving.append((time.process_time() - evaluated) * 1e3)
    return {
        "first_window_ms": round(took[0], 1),
        "second_window_ms": round(took[1], 1),
        "window_ms": round(float(np.median(took[-6:])), 1),
        "saving_ms": round(float(np.median(saving[-6:])), 1),
        "placed_rows": rows,
        "state_mb": round(sum(len(value) for kept in parts.values() for value in kept.values()) / 1e6, 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--entities", type=int, default=10_000)
    arguments.add_argument("--windows", type=int, default=18)
    options = arguments.parse_args()
    labels = pods(options.entities)
    result: dict[str, object] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "entities": options.entities,
        "sampling_us_a_point": {
            "100 points a message": round(sampling(labels, 100, 1), 3),
            "100 points a message, 20 messages a batch": round(sampling(labels, 100, 20), 3),
            "1 point a message, 500 messages a batch": round(sampling(labels[:2_500], 1, 500), 3),
        },
        "evaluation, none heard": evaluation(labels, inventory(options.entities, 0), options.windows),
        "evaluation, all heard": evaluation(labels, inventory(options.entities, options.entities), options.windows),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
