"""A shard's window: deduplication, order, sums, families, places and books, as tables of points."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.catalogue import load_catalogue
from afoot.inventory.graph import Graph
from afoot.signals import Books, Frame, Sampler, Settings, ShardState, evaluate
from afoot.signals.windows import SWEEP, learn, rounded
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, Labels, LogRecord, Message, Stats
from tests.signals.helpers import (
    CATALOGUE,
    EVERYTHING,
    MINUTE,
    T0,
    TENANT,
    Run,
    S,
    by_window,
    inventory,
    message,
    point,
    readings,
    signal,
    value,
)

HARVEST = {"svm": "svm1", "volume": "flexvol7"}
VOLUME = "volume:svm1/flexvol7"
POD = "pod:streaming/tm-0"


def one_window(rows: list[Any], entity: str, name: str) -> float | None:
    return value(Run().windows([0], rows)[0], entity, name)


# ---- gauges and pre-aggregated values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param([0], 5, id="at the window's start"),
        pytest.param([59.999999999], 5, id="a nanosecond before its end"),
        pytest.param([60], None, id="at its end"),
        pytest.param([-1e-9], None, id="a nanosecond before its start"),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(seconds: list[float], expected: float | None) -> None:
    assert one_window([point("volume_total_ops", HARVEST, s, 5) for s in seconds], VOLUME, "total_ops") == expected


def test_a_gauge_is_the_mean_over_time_in_si_units() -> None:
    metric = "flink_taskmanager_job_task_operator_currentEmitEventTimeLag"
    rows = [point(metric, {"job_name": "enricher"}, s, 1000 + s) for s in (0, 20, 40)]
    found = signal(Run().windows([0], rows)[0], "job:enricher", "write_lag")
    assert found is not None
    assert (found["value"], found["unit"]) == (1.02, "s")


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("volume_avg_latency", "latency"),
        ("volume_write_latency", "write_latency"),
        ("volume_read_latency", "read_latency"),
    ],
)
def test_flash_whose_latency_doubles_is_unusual(metric: str, name: str) -> None:
    usual_us = 400
    rows = [point(metric, HARVEST, 60 * n + 5, usual_us if n < 20 else 2 * usual_us) for n in range(21)]
    found = signal(Run().windows(range(21), rows)[20], VOLUME, name)
    assert found is not None
    assert found["expected"] == pytest.approx(usual_us * 1e-6)
    assert found["score"] > 3


def test_a_run_of_a_cronjob_is_unusual_though_it_has_no_past() -> None:
    graph = inventory()
    relations = (
        ("pod:ops/dump-1-x", "part_of", "batch_job:ops/dump-1"),
        ("batch_job:ops/dump-1", "part_of", "cronjob:ops/dump"),
        ("pod:ops/dump-1-x", "mounts", "claim:streaming/flink-data"),
    )
    for ends in relations:
        row = dict(zip(("from_id", "kind", "to_id"), ends, strict=True))
        graph.apply(InventoryChange("relation", "upsert", (ends[0], ends[2], ends[1]), row, T0, True))
    rows = [point("container_fs_writes_total", TENANT, 30 * n, 100 * n) for n in range(36)]
    labels = {"namespace": "ops", "pod": "dump-1-x", "container": "dump"}
    rows += [point("container_fs_writes_total", labels, 30 * n, 9_000 * n) for n in range(28, 36)]
    found = signal(Run(graph=graph).windows(range(16), rows)[15], "cronjob:ops/dump", "write_ops")
    assert found is not None
    assert (found["value"], found["expected"]) == (300, 0)
    assert found["score"] > 3


def test_the_last_value_counts_where_the_catalogue_says_so() -> None:
    rows = [point("flink_jobmanager_job_lastCheckpointDuration", {"job_name": "enricher"}, s, 1000 * s) for s in (9, 5)]
    assert one_window(rows, "job:enricher", "checkpoint_duration") == 9


def test_a_value_below_the_least_is_no_data() -> None:
    rows = [point("flink_jobmanager_job_lastCheckpointDuration", {"job_name": "enricher"}, 5, -1)]
    assert one_window(rows, "job:enricher", "checkpoint_duration") is None


def test_write_lag_is_the_largest_of_the_subtasks() -> None:
    rows = [point("write_lag_seconds", {"job_name": "enricher", "subtask": str(i)}, 5, i) for i in range(4)]
    assert one_window(rows, "job:enricher", "write_lag") == 3


@pytest.mark.parametrize(
    ("metric", "labels", "raw", "name", "expected"),
    [
        ("write_lag_seconds", {"job_name": "enricher"}, 3.0, "write_lag", 3.0),
        ("flink_taskmanager_job_task_operator_currentEmitEventTimeLag", {"job_name": "enricher"}, 3000.0,
         "write_lag", 3.0),
        ("kafka_consumergroup_lag", {"consumergroup": "enricher", "topic": "t"}, 9.0, "lag_records", 9.0),
        ("kminion_kafka_consumer_group_topic_partition_lag", {"group_id": "enricher", "topic_name": "t"}, 9.0,
         "lag_records", 9.0),
        ("kafka_consumergroup_group_lag", {"group": "enricher", "topic": "t"}, 9.0, "lag_records", 9.0),
        ("kafka.consumer_group.lag", {"group": "enricher", "topic": "t"}, 9.0, "lag_records", 9.0),
        ("kube_deployment_spec_replicas", {"namespace": "ingest", "deployment": "receiver"}, 3.0,
         "desired_members", 3.0),
    ],
)  # fmt: skip
def test_every_spelling_means_its_signal(
    metric: str, labels: dict[str, str], raw: float, name: str, expected: float
) -> None:
    placed = Run().windows([0], [point(metric, labels, 5, raw, "gauge")])[0]
    found = [s for row in placed for s in readings(row)]
    assert [(s["signal"], s["value"]) for s in found] == [(name, expected)]


def stats(total: float, count: float = 1, period_s: float = 60) -> Stats:
    return Stats(count, total, 0, total, period_s)


def test_cloudwatch_sums_become_rates_of_their_own_minute() -> None:
    ids = {"VolumeId": "vol-1"}
    rows = [
        point("VolumeReadOps", ids, 0, 0, "gauge", stats(60)),
        point("VolumeWriteOps", ids, 0, 0, "gauge", stats(240)),
        point("VolumeTotalReadTime", ids, 0, 0, "gauge", stats(0.6)),
        point("VolumeTotalWriteTime", ids, 0, 0, "gauge", stats(2.4)),
        point("VolumeQueueLength", ids, 0, 0, "gauge", stats(8, 4)),
    ]
    placed = Run().windows([0], rows)[0]
    found = {name: value(placed, "volume:vol-1", name) for name in ("total_ops", "write_ops", "latency", "queue")}
    assert found == {"total_ops": 5, "write_ops": 4, "latency": 0.01, "queue": 2}


def test_a_sum_with_a_part_missing_is_missing() -> None:
    rows = [point("VolumeWriteOps", {"VolumeId": "vol-1"}, 0, 0, "gauge", stats(240))]
    placed = Run().windows([0], rows)[0]
    assert value(placed, "volume:vol-1", "write_ops") == 4
    assert value(placed, "volume:vol-1", "total_ops") is None


def test_latency_without_operations_is_missing() -> None:
    ids = {"VolumeId": "vol-1"}
    rows = [
        point("VolumeWriteOps", ids, 0, 0, "gauge", stats(0)),
        point("VolumeTotalWriteTime", ids, 0, 0, "gauge", stats(0)),
    ]
    placed = Run().windows([0], rows)[0]
    assert value(placed, "volume:vol-1", "write_ops") == 0
    assert value(placed, "volume:vol-1", "write_latency") is None


def test_cloudwatch_repeats_for_one_entity_are_not_added_up() -> None:
    rows = [
        point("EBSWriteOps", {"InstanceId": "i-1"}, 0, 0, "gauge", stats(600)),
        point("EBSWriteOps", {"InstanceId": "i-1", "AutoScalingGroupName": "g"}, 0, 0, "gauge", stats(600)),
    ]
    assert one_window(rows, "vm:backup", "write_ops") == 10


# ---- deltas, ratios, quantiles --------------------------------------------------------------------------------------


def test_a_delta_counts_for_itself() -> None:
    rows = [point("container_fs_writes_total", TENANT, s, 30, "delta") for s in (0, 10)]
    assert one_window(rows, POD, "write_ops") == 1


def test_a_series_that_changes_type_is_two_series() -> None:
    rows = [point("container_fs_writes_total", TENANT, s, 600 + s, "cumulative") for s in range(-60, 20, 10)]
    rows += [point("container_fs_writes_total", TENANT, s, 30, "delta") for s in range(20, 180, 10)]
    found = [value(placed, POD, "write_ops") for placed in Run().windows([-1, 0, 1, 2], rows)]
    assert found == [1, None, None, 3]  # until the counter is taken to be gone, its part is missing


def test_a_ratio_is_scaled_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "signals: {wait: {unit: s, sources: {mine: {component: compute, entity: [vm], metrics: [wait_ms_total], "
        "over: [[waits_total]], how: rate, scale: 0.001}}}}"
    )
    catalogue = load_catalogue([file])
    host = {"instance": "backup"}
    rows = [point("wait_ms_total", host, 5, 6000, "delta"), point("waits_total", host, 5, 3, "delta")]
    frames = Sampler(catalogue, 1).frames(Message("m", 0, 0, T0 + MINUTE, None, b""), Decoded(rows, []))
    placed, _ = evaluate(ShardState(), T0, frames[0].body, None, inventory(), catalogue, EVERYTHING)
    assert value(placed, "vm:backup", "wait") == 2


def test_processor_use_is_a_part_of_all_modes() -> None:
    rows = [
        point("node_cpu_seconds_total", {"instance": "backup:9100", "cpu": cpu, "mode": mode}, t, t * share)
        for cpu in "01"
        for mode, share in (("idle", 0.5), ("iowait", 0.2), ("user", 0.2), ("system", 0.1))
        for t in range(0, 70, 10)
    ]
    placed = Run().windows([0], rows)[0]
    assert value(placed, "vm:backup", "cpu") == pytest.approx(0.3)
    assert value(placed, "vm:backup", "io_wait") == pytest.approx(0.2)


def test_the_router_by_status() -> None:
    rows = [
        point(
            "nginx_ingress_controller_requests", {"namespace": "edge", "ingress": "nginx", "status": code}, t, t * rate
        )
        for code, rate in (("200", 8), ("404", 1), ("503", 3))
        for t in range(0, 70, 10)
    ]
    placed = Run().windows([0], rows)[0]
    assert value(placed, "ingress:edge/nginx", "request_rate") == pytest.approx(12)
    assert value(placed, "ingress:edge/nginx", "error_rate") == pytest.approx(3)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"0.1": 90, "0.2": 100, "+Inf": 100}, 0.15, id="within a bucket"),
        pytest.param({"0.1": 95, "0.2": 100, "+Inf": 100}, 0.1, id="at a bound"),
        pytest.param({"0.1": 10, "0.2": 20, "+Inf": 100}, 0.2, id="beyond the last bound"),
        pytest.param({"0.1": 0, "0.2": 0, "+Inf": 0}, None, id="nothing counted"),
        pytest.param({"0.1": 90, "0.2": 100}, None, id="no upper end"),
    ],
)
def test_quantiles_of_buckets(counts: dict[str, float], expected: float | None) -> None:
    graph = inventory()
    labels = {"service.name": "query", "le": ""}
    row = {"id": "service:query", "type": "service", "attributes": {"match": [{"service.name": "query"}]}}
    graph.apply(InventoryChange("entity", "upsert", ("service:query",), row, T0, True))
    rows = [
        point("http.server.request.duration_bucket", {**labels, "le": le}, 10, count, "delta")
        for le, count in counts.items()
    ]
    found = value(Run(graph=graph).windows([0], rows)[0], "service:query", "latency_p95")
    assert found == (pytest.approx(expected) if expected is not None else None)


# ---- sums over series, families -------------------------------------------------------------------------------------


def test_a_sum_without_one_of_its_series_is_missing_and_not_smaller() -> None:
    def lag(partition: int, second: float) -> Any:
        return point(
            "kafka_consumergroup_lag", {"consumergroup": "g", "topic": "t", "partition": str(partition)}, second, 10
        )

    rows = [lag(p, 60 * w + 5) for p in range(3) for w in range(5) if (p, w) != (1, 2)]
    found = [value(placed, "consumer_group:g", "lag_records") for placed in Run().windows(range(5), rows)]
    assert found == [30, 30, None, 30, 30]


def test_a_series_that_is_gone_for_good_is_no_longer_waited_for() -> None:
    def lag(partition: int, second: float) -> Any:
        return point(
            "kafka_consumergroup_lag", {"consumergroup": "g", "topic": "t", "partition": str(partition)}, second, 10
        )

    rows = [lag(p, 60 * w + 5) for p in range(3) for w in range(6) if p != 1 or w < 2]
    found = [value(placed, "consumer_group:g", "lag_records") for placed in Run().windows(range(6), rows)]
    assert found == [30, 30, None, 20, 20, 20]


def test_a_new_counter_does_not_hide_the_others() -> None:
    def requests(status: str, second: float) -> Any:
        labels = {"namespace": "edge", "ingress": "nginx", "status": status}
        return point("nginx_ingress_controller_requests", labels, second, second)

    rows = [requests("200", t) for t in range(0, 190, 10)] + [requests("503", t) for t in range(75, 195, 10)]
    found = [value(placed, "ingress:edge/nginx", "request_rate") for placed in Run().windows(range(3), rows)]
    assert found == [1, 1, 2]


def test_a_series_that_comes_back_in_mid_window_is_waited_for() -> None:
    def requests(status: str, second: float) -> Any:
        labels = {"namespace": "edge", "ingress": "nginx", "status": status}
        return point("nginx_ingress_controller_requests", labels, second, second)

    rows = [requests("200", t) for t in range(0, 430, 10)]
    rows += [requests("503", t) for t in (*range(0, 70, 10), *range(275, 435, 10))]
    found = [value(placed, "ingress:edge/nginx", "request_rate") for placed in Run().windows(range(7), rows)]
    assert found == [2, None, None, 1, None, 2, 2]


def test_deltas_and_logs_need_not_come_in_each_window() -> None:
    rows = [
        point("container_fs_writes_total", {**TENANT, "container": c}, 60 * w + 5, 60, "delta")
        for w in range(3)
        for c in ("a", "b")
        if (w, c) != (1, "a")
    ]
    found = [value(placed, POD, "write_ops") for placed in Run().windows(range(3), rows)]
    assert found == [2, 1, 2]


def test_two_families_of_one_entity_are_never_added_up() -> None:
    harvest = [point("volume_write_ops", HARVEST, 60 * w + 5, 100) for w in (0, 3, 4)]
    graph = inventory()
    row = {"id": VOLUME, "type": "volume", "attributes": {"match": [HARVEST, {"VolumeId": "vol-1"}]}}
    graph.apply(InventoryChange("entity", "upsert", (VOLUME,), row, T0, True))
    ebs = [point("VolumeWriteOps", {"VolumeId": "vol-1"}, 60 * w, 0, "gauge", stats(60 * 7)) for w in range(4)]
    both = Run(graph=graph).windows(range(4), harvest + ebs)
    assert [value(placed, VOLUME, "write_ops") for placed in both] == [100, None, 100, 100]
    alone = Run(graph=graph).windows(range(4), ebs)
    assert [value(placed, VOLUME, "write_ops") for placed in alone] == [7, 7, 7, 7]


def test_a_family_that_fell_silent_is_given_up_after_a_while() -> None:
    harvest = [point("volume_write_ops", HARVEST, 5, 100)]
    graph = inventory()
    row = {"id": VOLUME, "type": "volume", "attributes": {"match": [HARVEST, {"VolumeId": "vol-1"}]}}
    graph.apply(InventoryChange("entity", "upsert", (VOLUME,), row, T0, True))
    ebs = [point("VolumeWriteOps", {"VolumeId": "vol-1"}, 60 * w, 0, "gauge", stats(60 * 7)) for w in range(13)]
    found = [value(p, VOLUME, "write_ops") for p in Run(graph=graph).windows(range(13), harvest + ebs)]
    assert found == [100, *[None] * 10, 7, 7]


def test_two_spellings_of_one_metric_are_never_added_up() -> None:
    rows = [point("system.disk.operations", {"host.name": "backup", "direction": "write"}, 5, 60, "delta")]
    rows += [point("system_disk_operations_total", {"instance": "backup", "direction": "write"}, 5, 90, "delta")]
    assert one_window(rows, "vm:backup", "write_ops") == 1


# ---- duplicates and order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(("a", 0, 1), ("a", 0, 2), id="by offset"),
        pytest.param(("a", 0, 9), ("a", 1, 1), id="by partition"),
        pytest.param(("a", 9, 9), ("b", 0, 1), id="by topic"),
        pytest.param(("a", 0, 9), ("a", 0, 10), id="as numbers"),
    ],
)
def test_the_same_series_and_time_counts_once(
    low: tuple[str, int, int], high: tuple[str, int, int], turned: bool
) -> None:
    def frames(at: tuple[str, int, int], ops: float) -> list[Frame]:
        return message([point("volume_total_ops", HARVEST, 5, ops)], topic=at[0], partition=at[1], offset=at[2])

    found = frames(low, 111) + frames(high, 222)
    run = Run()
    placed = run.window(0, by_window(reversed(found) if turned else found))
    assert value(placed, VOLUME, "total_ops") == 222
    assert (run.books.points_in, run.books.in_signals, run.books.duplicates) == (2, 1, 1)


def test_of_two_points_in_one_message_the_later_counts() -> None:
    run = Run()
    placed = run.windows([0], [point("volume_total_ops", HARVEST, 5, 1), point("volume_total_ops", HARVEST, 5, 2)])[0]
    assert value(placed, VOLUME, "total_ops") == 2
    assert run.books.duplicates == 1


def world(seed: int) -> list[list[Any]]:
    """Messages of ten minutes: counters with gaps and resets, gauges, duplicates with other values, logs and flows."""
    rng = random.Random(seed)
    rows: list[Any] = []
    for entity in range(4):
        labels = {"namespace": "n", "pod": f"p{entity}"}
        count = 0.0
        for step in range(-6, 66):
            count = 0.0 if rng.random() < 0.02 else count + 50 * rng.random()
            if rng.random() > 0.1:
                rows.append(point("container_fs_writes_total", labels, 10 * step + rng.random(), count, "cumulative"))
            if rows and rng.random() < 0.1:
                rows.append(rows[-1]._replace(value=rng.random()))
            rows.append(point("container_memory_working_set_bytes", labels, 10 * step, rng.random() * 1e9, "gauge"))
            if step % 6 == 0 and step >= 0 and rng.random() > 0.1:  # polls either side of a minute's edge
                volume = {"svm": "svm1", "volume": f"v{entity}"}
                rows.append(point("volume_total_ops", volume, 10 * step + rng.gauss(0, 0.3), 100 * rng.random()))
    rng.shuffle(rows)
    found = [rows[i : i + 20] for i in range(0, len(rows), 20)]
    found.append([LogRecord(T0 * 1_000_000 + i * S, "error", f"m{i}", Labels.of(labels)) for i in range(100)])
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_order_of_arrival_changes_nothing(seed: int, rng: random.Random, samplers: int) -> None:
    numbered = list(enumerate(world(seed)))

    def outcome(order: list[tuple[int, list[Any]]], samplers: int) -> tuple[list[Any], Books]:
        each = [Sampler(CATALOGUE, 1) for _ in range(samplers)]
        frames: list[Frame] = []
        for offset, rows in order:
            received = Message("m", 0, offset, T0 + 60 * MINUTE, None, b"")
            frames += each[rng.randrange(samplers)].frames(received, Decoded(rows, []))
        run = Run()
        rng.shuffle(frames)
        bodies = by_window(frames)
        return [run.window(number, bodies) for number in range(-1, 11)], run.books

    straight = outcome(numbered, 1)
    shuffled = numbered.copy()
    rng.shuffle(shuffled)
    assert outcome(shuffled, samplers) == straight


def test_shards_do_not_change_values() -> None:
    rows = [row for part in world(3) for row in part]
    received = Message("m", 0, 0, T0 + 60 * MINUTE, None, b"")

    def outcome(shards: int) -> list[Any]:
        frames = Sampler(CATALOGUE, shards).frames(received, Decoded(rows, []))
        found = []
        for shard in range(shards):
            state = ShardState()
            bodies = by_window(frame for frame in frames if frame.shard == shard)
            for start in range(T0, T0 + 10 * MINUTE, MINUTE):
                placed, _ = evaluate(
                    state, start, bodies.get(start, ""), bodies.get(start + MINUTE), inventory(), CATALOGUE, EVERYTHING
                )
                found += [(start, *row) for row in placed]
        return sorted(found, key=str)

    assert outcome(1) == outcome(7)


# ---- books, pointers, memory ----------------------------------------------------------------------------------------


def test_the_books_balance() -> None:
    run = Run()
    rows = [row for part in world(1) for row in part if 0 <= row.time_ns - T0 * 1_000_000 < 60 * S]
    run.windows([0], rows)
    assert run.books.points_in == len(rows)
    assert run.books.points_in == run.books.in_signals + run.books.duplicates + run.books.undefined
    assert run.books.undefined == 0


def test_points_of_no_entity_are_counted() -> None:
    run = Run()
    run.windows(
        [0], [point("node_load1", {"instance": "nobody:9100"}, 5, 1), point("node_load1", {"instance": "backup"}, 5, 1)]
    )
    assert (run.books.in_signals, run.books.unresolved) == (2, 1)


def test_a_series_without_its_definition_is_counted_and_no_more() -> None:
    first, again = Sampler(CATALOGUE, 1).batch(
        [
            (Message("telemetry.metrics", 0, offset, T0 + 60_000, None, b""), Decoded(rows, []))
            for offset, rows in enumerate([[point("volume_total_ops", HARVEST, second, 1)] for second in (5, 65)])
        ]
    )[0]
    assert again.window_ms == T0 + MINUTE  # the first block alone defines the series, and does not come
    run = Run()
    assert run.window(1, {again.window_ms: again.body}) == []
    assert first.body != again.body
    assert (run.books.points_in, run.books.undefined, run.books.in_signals) == (1, 1, 0)


def test_pointers_are_the_ranges_of_a_signals_own_messages() -> None:
    frames: list[Frame] = []
    for partition, offset, second in ((0, 7, 5), (0, 4, 15), (1, 900, 25), (0, 5, 65)):
        frames += message([point("volume_total_ops", HARVEST, second, 1)], offset, partition)
    frames += message([point("volume_total_ops", {"svm": "s", "volume": "other"}, 35, 1)], 99)
    frames += message([point("volume_total_ops", HARVEST, 35, 1)], 3, topic="another")
    found = signal(Run().window(0, by_window(frames)), VOLUME, "total_ops")
    assert found is not None
    assert found["pointers"] == [
        ["another", 0, 3, 3],
        ["telemetry.metrics", 0, 4, 7],
        ["telemetry.metrics", 1, 900, 900],
    ]


def test_windows_come_in_order() -> None:
    run = Run()
    run.windows([1], [point("volume_total_ops", HARVEST, 65, 1)])
    with pytest.raises(ValueError, match="does not come after"):
        run.window(1, {})


def test_a_shard_without_samples_is_quiet() -> None:
    run = Run()
    assert run.windows([0, 1], []) == [[], []]
    assert run.books == Books()


def test_what_is_unseen_for_long_is_forgotten() -> None:
    run = Run()
    rows = [point("volume_total_ops", HARVEST, 5, 1)]
    rows += [point("node_load1", {"instance": "backup"}, 60 * m, 1) for m in range(160)]
    run.windows(range(160), rows)
    assert run.state.keys == [("vm:backup", "load")]
    assert len(run.state.id) == len(run.state.definitions) == 1
    assert run.books.forgotten == 1


def test_a_shard_keeps_no_more_series_than_it_may() -> None:
    run = Run(Settings(all_signals=True, max_series=3))
    rows = [point("node_load1", {"instance": f"h{i}"}, 60 * i + 5, 1) for i in range(6)]
    run.windows(range(6), rows)
    assert len(run.state.id) == 3


def test_forgetting_changes_no_other_series() -> None:
    rows = [
        point("volume_total_ops", {"svm": "s", "volume": f"v{v}"}, 60 * m + 5, m + v)
        for m in range(40)
        for v in range(5)
        if v < 3 or m < 2
    ]
    one, other = Run(), Run(Settings(all_signals=True, series_retention_ms=10 * MINUTE, family_hold_ms=10 * MINUTE))
    assert one.windows(range(40), rows) == other.windows(range(40), rows)
    assert (one.books.forgotten, other.books.forgotten) == (0, 2)


def test_an_entity_that_appears_in_the_inventory_is_placed_from_then_on() -> None:
    run = Run()
    bodies = by_window(message([point("node_load1", {"instance": "later"}, 60 * m + 5, 1) for m in range(3)]))
    assert run.window(0, bodies) == []
    row = {"id": "vm:later", "type": "vm"}
    run.graph.apply(InventoryChange("entity", "upsert", ("vm:later",), row, T0 + MINUTE, False))
    assert [row.entity for row in run.window(1, bodies)] == ["vm:later"]


# ---- logs and flows -------------------------------------------------------------------------------------------------


def log(second: float, severity: str, body: str) -> LogRecord:
    return LogRecord(
        T0 * 1_000_000 + round(second * S), severity, body, Labels.of({"namespace": "streaming", "pod": "tm-0"})
    )


def test_logs_count_by_pattern_and_a_quiet_source_has_none() -> None:
    run = Run()
    rows = [
        log(1, "ERROR", "a"),
        log(1, "error3", "b"),
        log(1, "ERROR", "a"),
        log(2, "info", "HTTP 429 Too Many Requests"),
    ]
    rows += [log(61, "info", "fine")]
    placed = run.windows([0, 1], rows)
    assert value(placed[0], POD, "errors") == pytest.approx(2 / 60)
    assert value(placed[0], POD, "throttled") == pytest.approx(1 / 60)
    assert value(placed[1], POD, "errors") == 0
    assert (run.books.points_in, run.books.duplicates) == (5, 1)


def flow(source: str, destination: str, size: int, second: float = 5, rate: int | None = None) -> FlowRecord:
    end = T0 * 1_000_000 + round(second * S)
    return FlowRecord(
        end - S, end, source, 1000, destination, 443, "tcp", size, 10, rate, None, None, "r1", Labels.of({})
    )


def test_flows_count_at_both_ends_once() -> None:
    run = Run()
    rows = [
        flow("10.0.0.1", "10.0.0.9", 600),
        flow("10.0.0.1", "10.0.0.9", 1200),
        flow("10.0.0.2", "10.0.0.9", 600, rate=10),
    ]
    rows += [flow("10.0.0.2", "10.0.0.9", 600, rate=10)]  # the same flow again
    placed = run.windows([0], rows)[0]
    assert value(placed, "address:10.0.0.9", "flow_bytes_in") == pytest.approx((600 + 1200 + 6000) / 60)
    assert value(placed, "address:10.0.0.9", "flow_sources") == 2
    assert value(placed, "address:10.0.0.1", "flow_bytes_out") == pytest.approx(1800 / 60)
    assert (run.books.points_in, run.books.in_signals, run.books.duplicates) == (4, 3, 1)


def test_addresses_outside_every_chain_get_no_history() -> None:
    run = Run(Settings())
    assert run.windows([0], [flow("10.0.0.1", "10.0.0.9", 600)]) == [[]]
    assert run.state.keys == []


# ---- places and effects ---------------------------------------------------------------------------------------------


def lag(second: float, seconds_late: float) -> Any:
    return point("write_lag_seconds", {"job_name": "enricher"}, second, seconds_late)


def with_ingress() -> Graph:
    graph = inventory()
    row = {"id": "ingress:edge/nginx", "type": "ingress", "attributes": {"address": "10.0.0.9"}}
    graph.apply(InventoryChange("entity", "upsert", ("ingress:edge/nginx",), row, T0, True))
    return graph


def test_what_passes_by_is_soon_forgotten_and_costs_what_is_heard_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: Counter[str] = Counter()
    resolve = Graph.resolve

    def counted(graph: Graph, labels: Labels, types: tuple[str, ...], at_ms: int) -> str | None:
        resolved[labels.text] += 1
        return resolve(graph, labels, types, at_ms)

    monkeypatch.setattr(Graph, "resolve", counted)
    run = Run(Settings(), with_ingress())
    rows = [log(5, "error", "x"), *(lag(60 * m + 5, 2) for m in range(100))]
    rows += [flow(f"198.51.100.{m}", "10.0.0.9", 600, 60 * m + 5) for m in range(100)]
    bodies = by_window(message(rows))
    plans = set()
    for number in range(100):
        placed = run.window(number, bodies)
        assert value(placed, "job:enricher", "write_lag") == 2
        assert value(placed, "ingress:edge/nginx", "flow_sources") == 1
        plans.add(run.state.made.plan)
    assert len(plans - {None}) <= 1 + 100 // SWEEP  # the first, and one after each look for what to forget
    assert resolved[Labels.of({"job_name": "enricher"}).text] == 1
    assert any("log:errors/" in definition for definition in run.state.definitions)  # heard, so it may well come again
    outside = sum("198.51.100." in definition for definition in run.state.definitions)
    assert 0 < outside < run.books.forgotten


def test_each_role_has_its_rows() -> None:
    graph = with_ingress()
    rows = [
        lag(5, 2),
        point("flink_taskmanager_job_task_busyTimeMsPerSecond", {"job_name": "enricher"}, 5, 400),
        point("volume_total_ops", HARVEST, 5, 1),
        point("container_fs_writes_total", TENANT, 5, 60, "delta"),
        point("container_memory_working_set_bytes", TENANT, 5, 1e9),
        point("container_fs_writes_total", {"namespace": "ingest", "pod": "receiver-1"}, 5, 60, "delta"),
        point("EBSWriteOps", {"InstanceId": "i-1"}, 5, 0, "gauge", stats(60)),
        point("volume_total_ops", {"svm": "s", "volume": "unrelated"}, 5, 1),
        flow("10.0.0.1", "10.0.0.9", 600),
        point("kafka_consumergroup_group_lag_seconds", {"group": "enricher", "topic": "telemetry"}, 5, 3),
    ]
    placed = Run(Settings(), graph).windows([0], rows)[0]
    found = sorted(
        (p.role, p.victim or "", p.volume or "", p.entity, *[s["signal"] for s in readings(p)]) for p in placed
    )
    assert found == [
        ("chain", "job:enricher", "", "consumer_group:enricher", "lag_seconds"),
        ("chain", "job:enricher", "", "job:enricher", "busy"),
        ("chain", "job:enricher", "", "pod:ingest/receiver-1", "write_ops"),
        ("chain", "job:enricher", "", POD, "memory"),
        ("flow", "job:enricher", "", "ingress:edge/nginx", "flow_bytes_in", "flow_packets_in", "flow_sources"),
        ("io", "", VOLUME, POD, "write_ops"),
        ("io", "", VOLUME, "vm:backup", "write_ops"),
        ("io", "", VOLUME, VOLUME, "total_ops"),
        ("lag", "job:enricher", VOLUME, "job:enricher", "write_lag"),
    ]


def test_a_payload_says_who_and_what() -> None:
    placed = Run(Settings()).windows([0], [lag(5, 2)])[0]
    payload = json.loads(placed[0].payload)
    assert (payload["entity"], payload["component"], payload["type"]) == ("job:enricher", "processor", "job")
    assert payload["affected"] is False
    assert readings(placed[0]) == [
        {
            "signal": "write_lag",
            "unit": "s",
            "value": 2.0,
            "expected": None,
            "spread": None,
            "score": None,
            "history": 0,
            "family": "custom",
            "rank": 0,
            "pointers": [["telemetry.metrics", 0, 0, 0]],
        }
    ]


def test_io_that_had_to_be_there_is_named() -> None:
    reads, writes = "node_disk_reads_completed_total", "node_disk_writes_completed_total"
    labels = {"instance": "backup:9100", "device": "sda"}
    rows = [
        point(name, labels, second, 10 * second, "cumulative")
        for name in (reads, writes)
        for second in range(0, 60 * 6 + 1, 15)
        if name == reads or not 60 < second < 240
    ]
    rows += [
        point("qos_ops", {"host": "backup"}, second, 5) for second in range(5, 60 * 15, 10) if not 60 <= second < 120
    ]
    placed = Run(Settings()).windows(range(15), rows)
    told = [{json.loads(p.payload)["entity"]: json.loads(p.payload) for p in window} for window in placed]
    found = [
        ([s[0] for s in window["vm:backup"]["signals"]], window["vm:backup"].get("missing", [])) for window in told
    ]
    assert found[0] == (["read_ops", "total_ops", "write_ops"], [])
    assert found[1] == (["read_ops"], ["total_ops", "write_ops"])
    assert found[2] == (["read_ops", "total_ops"], ["write_ops"])
    assert found[5] == (["read_ops", "total_ops", "write_ops"], [])
    assert found[7] == (["total_ops"], ["read_ops", "write_ops"])  # both fell silent


@pytest.mark.parametrize(
    ("usual", "now", "affected"),
    [
        pytest.param(2, 12.1, True, id="over both"),
        pytest.param(2, 12, False, id="just ten seconds over"),
        pytest.param(8, 24.1, True, id="over three times"),
        pytest.param(8, 24, False, id="just three times"),
        pytest.param(2, 7, False, id="over three times, not ten seconds"),
        pytest.param(0, 10.1, True, id="nothing was late before"),
    ],
)
def test_a_victim_suffers_by_the_effect_settings(usual: float, now: float, affected: bool) -> None:
    placed = Run(Settings()).windows(range(11), [lag(60 * m + 5, usual if m < 10 else now) for m in range(11)])
    assert json.loads(placed[10][0].payload)["affected"] is affected


def test_a_victim_suffers_in_each_run_of_a_job_that_takes_most_of_each_hour() -> None:
    minutes = range(4 * 60)
    late = [minute % 60 >= 15 for minute in minutes]
    bodies = by_window(message([lag(60 * m + 5, 300 if late[m] else 2) for m in minutes]))
    run = Run(Settings())
    for minute in minutes:
        if minute in (150, 180):
            run.restart()
        affected = json.loads(run.window(minute, bodies)[0].payload)["affected"]
        assert minute < 60 or affected is late[minute]


def test_a_consumer_group_of_a_job_suffers_by_them_too() -> None:
    """It may be all that is heard of how late the job is."""

    def behind(second: float, seconds_late: float) -> Any:
        labels = {"consumergroup": "enricher", "topic": "t"}
        return point("kafka_consumergroup_lag_seconds", labels, second, seconds_late)

    rows = [behind(60 * minute + 5, 2 if minute < 10 else now) for minute, now in enumerate([2] * 10 + [12.1, 12])]
    placed = Run(Settings()).windows(range(12), rows)
    told = [[(p.role, p.victim, json.loads(p.payload)["affected"]) for p in window] for window in placed[9:]]
    assert told == [[("chain", "job:enricher", affected)] for affected in (False, True, False)]


def test_without_enough_history_nobody_suffers() -> None:
    placed = Run(Settings()).windows(range(10), [lag(60 * m + 5, 2 if m < 9 else 500) for m in range(10)])
    (reading,) = readings(placed[9][0])
    assert (reading["expected"], reading["history"]) == (None, 9)
    assert json.loads(placed[9][0].payload)["affected"] is False


def test_numbers_have_nine_significant_digits() -> None:
    placed = Run().windows([0], [point("volume_total_ops", HARVEST, 5, 1234567.891234)])[0]
    assert value(placed, VOLUME, "total_ops") == 1234567.89


@given(st.lists(st.floats() | st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12).map(float)))
def test_rounding_many_is_rounding_each(values: list[float]) -> None:
    found = rounded(np.array(values, np.float64)).tolist()
    for given_value, got in zip(values, found, strict=True):
        exact = float(f"{given_value:.9g}")
        if math.isnan(exact):
            assert math.isnan(got)
            continue
        assert got == float(f"{got:.9g}")
        # A value half way between two may go either way.
        assert got == exact or abs(abs(got - given_value) - abs(exact - given_value)) <= 1e-14 * abs(given_value)


def test_two_states_of_one_origin_do_not_mix() -> None:
    rows = [
        point("volume_total_ops", {"svm": "s", "volume": f"v{v}"}, 60 * m + 5, m) for m in range(6) for v in range(m)
    ]
    bodies = by_window(message(rows))
    straight, one = Run(), Run()
    for number in range(3):
        straight.window(number, bodies)
        one.window(number, bodies)
    other = Run()
    other.state = one.kept.load()
    for number in range(3, 6):
        expected = straight.window(number, bodies)
        assert one.window(number, bodies) == expected
        assert other.window(number, {T0 + number * MINUTE: ""}) == []


def test_what_a_block_defines_is_known_though_its_samples_came_too_late() -> None:
    run, held = Run(), Sampler(CATALOGUE, 1)
    received = Message("telemetry.metrics", 0, 0, T0 + 3 * MINUTE, None, b"")
    labels = {"instance": "h"}
    late, later = (
        by_window(held.frames(received, Decoded([point("node_load1", labels, second, 1)], []))) for second in (5, 65)
    )
    run.window(0, {})
    learn(run.state, T0, late[T0])
    learn(run.state, T0, late[T0])
    run.window(1, later)
    assert (run.books.in_signals, run.books.undefined) == (1, 0)
    assert len(run.state.id) == 1
