"""What agents send is what the model did: rates, sums over tenants, lag after runs, resets, what is not measured."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from afoot.simulate.physics import STEP_S
from afoot.simulate.run import write_lag
from afoot.telemetry.rows import FlowRecord, LogRecord, MetricPoint
from tests.simulate.support import Capture


def _rate(points: list[MetricPoint]) -> float:
    """The mean increase a second of a counter."""
    return (points[-1].value - points[0].value) / ((points[-1].time_ns - points[0].time_ns) / 1e9)


def _of(capture: Capture, name: str, **labels: str) -> list[list[MetricPoint]]:
    found = []
    for topic in ("telemetry.metrics", "telemetry.cloudwatch"):
        for (metric, text), points in capture.points(topic).items():
            if metric == name and labels.items() <= json.loads(text).items():
                found.append(points)
    return found


def test_the_chain_passes_on_what_it_takes(harvest: Capture) -> None:
    pipeline = harvest.played.world.pipelines[0]
    arrived = harvest.played.motion.arrived[pipeline.flow].mean() / STEP_S
    requests = sum(map(_rate, _of(harvest, "nginx_ingress_controller_requests", ingress=pipeline.ingress[1])))
    assert requests * pipeline.records_per_request == pytest.approx(arrived, rel=0.02)
    bytes_in = sum(map(_rate, _of(harvest, "kafka_server_brokertopicmetrics_bytesin_total", topic=pipeline.topic)))
    bytes_out = sum(map(_rate, _of(harvest, "kafka_server_brokertopicmetrics_bytesout_total", topic=pipeline.topic)))
    assert bytes_out == pytest.approx(bytes_in, rel=0.03)  # what was late is written by the end


def test_tenants_add_up_to_the_volume(harvest: Capture) -> None:
    world, truth = harvest.played.world, harvest.truth
    volume = world.volumes[0]
    (total,) = _of(harvest, "volume_total_ops", **volume.labels)
    seen = float(np.mean([point.value for point in total]))
    pods = {pod.name for pod in world.pipelines[0].workers}
    pods |= {pod.name for work in world.workloads if work.claim.volume == 0 for pod in work.pods}
    parts = [
        _rate(points)
        for name in ("container_fs_writes_total", "container_fs_reads_total")
        for pod in pods
        for points in _of(harvest, name, pod=pod)
    ]
    machines = [machine for machine in world.machines if world.loads[machine.load].homes[0][1] == 0]
    for machine in machines:
        for name in ("EBSWriteOps", "EBSReadOps"):
            (points,) = _of(harvest, name, InstanceId=machine.instance_id)
            sums = [point.stats.sum / 60 for point in points if point.stats]
            parts.append(float(np.mean(sums)) - machine.root_writes * (name == "EBSWriteOps"))
    assert sum(parts) == pytest.approx(seen, rel=0.03)
    assert truth.culprit in {machine.id for machine in machines}


def test_write_lag_rises_after_the_runs_only(harvest: Capture) -> None:
    pipeline = harvest.played.world.pipelines[0]
    series = _of(harvest, harvest.truth.style["write_lag"], job_name=pipeline.job_label)
    assert len(series) == len(pipeline.workers)
    spans = [(run["start"], run["end"] + 20 * 60_000) for run in harvest.truth.runs]
    assert len(spans) >= 2
    for points in series:
        high = [point.time_ns // 1_000_000 for point in points if point.value > 15]
        assert high
        assert all(any(start < at < end for start, end in spans) for at in high)
        for start, end in spans:
            assert max(point.value for point in points if start < point.time_ns // 1_000_000 < end) > 30
    assert max(point.value for points in series for point in points) == pytest.approx(
        write_lag(harvest.played).max(), rel=0.2
    )


def test_counters_never_fall_but_where_a_pod_begins_again(harvest: Capture) -> None:
    falls = [
        json.loads(text).get("pod")
        for (_, text), points in harvest.points().items()
        if points[0].kind == "cumulative"
        for earlier, later in itertools.pairwise(points)
        if later.value < earlier.value
    ]
    restarted = {
        json.loads(text)["pod"]
        for (name, text), points in harvest.points().items()
        if name == "kube_pod_container_status_restarts_total" and points[-1].value > points[0].value
    }
    assert len(restarted) == 1
    assert set(falls) == restarted
    assert len(falls) == 3  # processor time, bytes in and out: once each


def test_some_points_are_missing_and_some_messages_come_twice(harvest: Capture) -> None:
    times = {len(points) for (name, _), points in harvest.points().items() if name.startswith("container_")}
    assert len(times) > 1
    values = [message.value for message in harvest.messages if message.topic == "telemetry.metrics"]
    assert 0.001 < 1 - len(set(values)) / len(values) < 0.02


def test_cloudwatch_repeats_a_value_for_each_dimension_set(harvest: Capture) -> None:
    machine = harvest.played.world.machines[0]
    (own,) = _of(harvest, "EBSWriteOps", InstanceId=machine.instance_id)
    (by_image,) = _of(harvest, "EBSWriteOps", ImageId=machine.image)
    by_time = {point.time_ns: point.value for point in own}
    common = [point for point in by_image if point.time_ns in by_time]
    assert len(common) > 100
    assert all(point.value == by_time[point.time_ns] for point in common)


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_measures_what_is_silent(seed: int, tmp_path: Path) -> None:
    capture = Capture("no_storage_data", seed, 1.5, tmp_path)
    volume = capture.played.world.volumes[0]
    since_ms = next(since for what, since, _ in capture.played.world.silent if what == volume.id) * 1000
    last = max(
        (points[-1].time_ns for topic in ("telemetry.metrics", "telemetry.cloudwatch")
         for (_, text), points in capture.points(topic).items() if volume.labels.items() <= json.loads(text).items()),
        default=0,
    )  # fmt: skip
    assert last / 1e6 < capture.truth.start_ms + since_ms
    tenants = [
        points[-1].time_ns / 1e6
        for topic in ("telemetry.metrics", "telemetry.cloudwatch")
        for (name, _), points in capture.points(topic).items()
        if name.startswith(("container_fs_", "node_disk_", "EBS"))
    ]
    assert (max(tenants) > capture.truth.start_ms + since_ms + 120_000) == (seed % 2 == 1)


def test_logs_and_flows_fit_what_happened(harvest: Capture) -> None:
    schedule = harvest.truth.schedule
    assert schedule is not None
    logs = [row for row in harvest.rows("telemetry.logs") if isinstance(row, LogRecord)]
    started = [row.time_ns // 60_000_000_000 * 60_000 for row in logs if schedule["command"] in row.body]
    assert sorted(set(started)) == [run["start"] for run in harvest.truth.runs]
    pipeline = harvest.played.world.pipelines[0]
    flows = [row for row in harvest.rows("telemetry.flows") if isinstance(row, FlowRecord)]
    taken = {
        (row.source_address, row.end_ns): row.bytes * (row.sampling_rate or 1)
        for row in flows
        if row.destination_address == pipeline.address
    }
    arrived = harvest.played.motion.arrived[pipeline.flow].sum() * pipeline.record_bytes
    assert sum(taken.values()) == pytest.approx(arrived, rel=0.1)
