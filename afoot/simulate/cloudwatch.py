"""CloudWatch metric streams: one value a minute and dimension set, as JSON lines, minutes late and in no order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import orjson

from afoot.simulate.capture import Record
from afoot.simulate.measures import Meter
from afoot.simulate.physics import FloatArray, minutes
from afoot.simulate.world import World

TOPIC = "telemetry.cloudwatch"
MISSED = 0.008
LATE_S = (120.0, 450.0)  # after the end of the minute
LINES, BUFFER_MS = 40, 30_000  # what makes the stream send: so many lines, or so long since the first


class _Statistic(NamedTuple):
    """One metric of one dimension set, by minute; `silencer` is what is unmeasured while the world says so."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    unit: str
    total: FloatArray
    samples: FloatArray
    low: FloatArray
    high: FloatArray
    silencer: str


def _volumes(world: World, meter: Meter, rng: np.random.Generator) -> list[_Statistic]:
    """EBS volumes. On some hypervisors each operation is a sample, and extremes are zero; on others the minute is."""
    found = []
    for index, volume in enumerate(world.volumes):
        reads, writes, read_bytes, write_bytes = meter.on_volume(index)
        latency = meter.motion.latency_s[index]
        rows = (
            ("VolumeReadOps", "Count", 60 * reads, reads),
            ("VolumeWriteOps", "Count", 60 * writes, writes),
            ("VolumeReadBytes", "Bytes", 60 * read_bytes, reads),
            ("VolumeWriteBytes", "Bytes", 60 * write_bytes, writes),
            ("VolumeTotalReadTime", "Seconds", 60 * reads * latency, reads),
            ("VolumeTotalWriteTime", "Seconds", 60 * writes * latency, writes),
            ("VolumeQueueLength", "Count", (reads + writes) * latency, None),
        )
        for metric, unit, values, operations in rows:
            total = _noisy(minutes(values), rng)
            one, none = np.ones_like(total), np.zeros_like(total)
            if operations is not None and world.style.cloudwatch_counts_operations:
                count = np.maximum(np.floor(60 * minutes(operations)), 1)
                found.append(_Statistic("AWS/EBS", metric, volume.labels, unit, total, count, none, none, volume.id))
            else:
                found.append(_Statistic("AWS/EBS", metric, volume.labels, unit, total, one, total, total, volume.id))
    return found


def _machines(world: World, meter: Meter, rng: np.random.Generator) -> list[_Statistic]:
    """EC2 instances, and the same values once more by image and over all of them."""
    found = []
    for metric, unit, silencer in (
        ("EBSWriteOps", "Count", "tenants"),
        ("EBSWriteBytes", "Bytes", "tenants"),
        ("EBSReadOps", "Count", "tenants"),
        ("EBSReadBytes", "Bytes", "tenants"),
        ("CPUUtilization", "Percent", ""),
    ):
        values = []
        for machine in world.machines:
            work, size = meter.motion.ops[machine.load], world.loads[machine.load].op_bytes
            writes, reads = meter.ops(machine.load, "write"), meter.ops(machine.load, "read")
            by_metric = {
                "EBSWriteOps": 60 * (writes + machine.root_writes),
                "EBSWriteBytes": 60 * (writes * size + machine.root_writes * 8192),
                "EBSReadOps": 60 * reads,
                "EBSReadBytes": 60 * reads * size,
                "CPUUtilization": 4 + 40 * work / max(float(work.max()), 1.0),
            }
            total = _noisy(minutes(by_metric[metric]), rng)
            values.append(total)
            for dimensions in ({"InstanceId": machine.instance_id}, {"ImageId": machine.image}):
                one = np.ones_like(total)
                found.append(_Statistic("AWS/EC2", metric, dimensions, unit, total, one, total, total, silencer))
        if values:
            rows = np.stack(values)
            count = np.full(rows.shape[1], float(len(rows)))
            low, high = rows.min(axis=0), rows.max(axis=0)
            found.append(_Statistic("AWS/EC2", metric, {}, unit, rows.sum(axis=0), count, low, high, silencer))
    return found


def _noisy(values: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.asarray(values * np.maximum(1 + rng.normal(0, 0.01, len(values)), 0))


def records(world: World, meter: Meter) -> list[Record]:
    """All messages of the stream: lines that come in about the same moment share one."""
    rng = world.rng("cloudwatch")
    account = "".join(map(str, rng.integers(0, 10, 12).tolist()))
    lines: list[tuple[int, int, bytes]] = []
    statistics: list[_Statistic] = []
    if world.style.volume_family == "ebs":
        statistics += _volumes(world, meter, rng)
    if world.style.machine_family == "ec2":
        statistics += _machines(world, meter, rng)
    for statistic in statistics:
        late = rng.uniform(*LATE_S, len(statistic.total)).tolist()
        seen = rng.random(len(statistic.total)) >= MISSED
        fields = {"max": statistic.high, "min": statistic.low, "sum": statistic.total, "count": statistic.samples}
        for minute in np.flatnonzero(seen).tolist():
            if world.is_silent(statistic.silencer, minute * 60):
                continue
            stamp = (world.start_s + minute * 60) * 1000
            row = {
                "metric_stream_name": "all-metrics",
                "account_id": account,
                "region": "eu-central-1",
                "namespace": statistic.namespace,
                "metric_name": statistic.metric,
                "dimensions": statistic.dimensions,
                "timestamp": stamp,
                "value": {name: float(f"{values[minute]:.7g}") for name, values in fields.items()},
                "unit": statistic.unit,
            }
            lines.append((stamp + 60_000 + int(late[minute] * 1000), stamp, orjson.dumps(row)))
    lines.sort(key=lambda entry: entry[0])
    found = []
    partitions = world.style.partitions[TOPIC]
    for number, batch in enumerate(_batches(lines)):
        body = b"\n".join(text for _, _, text in batch) + b"\n"
        sent_ms = batch[-1][0] + int(rng.uniform(200, 3_000))
        stamps = [stamp for _, stamp, _ in batch]
        found.append(Record(TOPIC, number % partitions, min(stamps), max(stamps), sent_ms, None, body))
    return found


def _batches(lines: list[tuple[int, int, bytes]]) -> list[list[tuple[int, int, bytes]]]:
    batches: list[list[tuple[int, int, bytes]]] = []
    for entry in lines:
        if not batches or len(batches[-1]) >= LINES or entry[0] - batches[-1][0][0] > BUFFER_MS:
            batches.append([])
        batches[-1].append(entry)
    return batches
