"""CloudWatch metric streams: one value a minute and dimension set, as JSON lines, minutes late and in no order."""

from __future__ import annotations

import numpy as np
import orjson

from afoot.simulate.capture import Record
from afoot.simulate.measures import Meter
from afoot.simulate.physics import STEP_S, FloatArray
from afoot.simulate.world import World

TOPIC = "telemetry.cloudwatch"
MINUTE_STEPS = 60 // STEP_S
LATE_S = (120.0, 450.0)  # after the end of the minute
LINES, BUFFER_MS = 40, 30_000  # what makes the stream send: so many lines, or so long since the first


def _minutes(values: FloatArray) -> FloatArray:
    """Means over whole minutes."""
    whole = len(values) // MINUTE_STEPS
    return values[: whole * MINUTE_STEPS].reshape(whole, MINUTE_STEPS).mean(axis=1)


def _rows(world: World, meter: Meter) -> list[tuple[str, str, dict[str, str], str, FloatArray, FloatArray | None, str]]:
    """Namespace, metric, dimensions, unit, value a minute, operations behind it if counted, and what may silence it."""
    found: list[tuple[str, str, dict[str, str], str, FloatArray, FloatArray | None, str]] = []
    if world.style.volume_family == "ebs":
        for index, volume in enumerate(world.volumes):
            reads, writes, read_bytes, write_bytes = meter.on_volume(index)
            latency = meter.motion.latency_s[index]
            queue = (reads + writes) * latency
            counted = world.style.cloudwatch_counts_operations
            for metric, unit, rate, operations in (
                ("VolumeReadOps", "Count", reads, reads),
                ("VolumeWriteOps", "Count", writes, writes),
                ("VolumeReadBytes", "Bytes", read_bytes, reads),
                ("VolumeWriteBytes", "Bytes", write_bytes, writes),
                ("VolumeTotalReadTime", "Seconds", reads * latency, reads),
                ("VolumeTotalWriteTime", "Seconds", writes * latency, writes),
            ):
                number = np.floor(_minutes(operations) * 60) if counted else None
                found.append(("AWS/EBS", metric, volume.labels, unit, _minutes(rate) * 60, number, volume.id))
            found.append(("AWS/EBS", "VolumeQueueLength", volume.labels, "Count", _minutes(queue), None, volume.id))
    if world.style.machine_family == "ec2":
        for machine in world.machines:
            work = meter.motion.ops[machine.load]
            writes, reads = meter.ops(machine.load, "write"), meter.ops(machine.load, "read")
            size = world.loads[machine.load].op_bytes
            own = {"InstanceId": machine.instance_id}
            for metric, unit, rate in (
                ("EBSWriteOps", "Count", writes + machine.root_writes),
                ("EBSWriteBytes", "Bytes", writes * size + machine.root_writes * 8192),
                ("EBSReadOps", "Count", reads),
                ("EBSReadBytes", "Bytes", reads * size),
            ):
                found.append(("AWS/EC2", metric, own, unit, _minutes(rate) * 60, None, "tenants"))
            percent = 4 + 40 * work / max(float(work.max()), 1.0)
            found.append(("AWS/EC2", "CPUUtilization", own, "Percent", _minutes(percent), None, ""))
        singles = [row for row in found if row[0] == "AWS/EC2"]
        for metric in dict.fromkeys(row[1] for row in singles):  # the same once more, over all and by image
            members = [row for row in singles if row[1] == metric]
            total = np.sum([row[4] for row in members], axis=0)
            found.append(("AWS/EC2", metric, {}, members[0][3], total, None, members[0][6]))
            for machine in world.machines:
                own = next(row for row in members if row[2]["InstanceId"] == machine.instance_id)
                found.append(("AWS/EC2", metric, {"ImageId": machine.image}, own[3], own[4], None, own[6]))
    return found


def records(world: World, meter: Meter) -> list[Record]:
    """All messages of the stream: lines that came in about the same moment share one."""
    rng = world.rng("cloudwatch")
    account = "".join(map(str, rng.integers(0, 10, 12).tolist()))
    lines: list[tuple[int, int, bytes]] = []
    for namespace, metric, dimensions, unit, values, operations, silencer in _rows(world, meter):
        noisy = values * np.maximum(1 + rng.normal(0, 0.01, len(values)), 0)
        late = rng.uniform(*LATE_S, len(values))
        seen = rng.random(len(values)) >= 0.008
        for minute, (value, delay) in enumerate(zip(noisy.tolist(), late.tolist(), strict=True)):
            begin_s = minute * 60
            if not seen[minute] or any(
                what == silencer and since <= begin_s < until for what, since, until in world.silent
            ):
                continue
            total = float(f"{value:.7g}") if unit in ("Percent", "Seconds") else round(value, 1)
            count = 1.0 if operations is None else max(float(operations[minute]), 1.0)
            extreme = total if operations is None else 0.0
            stamp = (world.start_s + begin_s) * 1000
            row = {
                "metric_stream_name": "all-metrics",
                "account_id": account,
                "region": "eu-central-1",
                "namespace": namespace,
                "metric_name": metric,
                "dimensions": dimensions,
                "timestamp": stamp,
                "value": {"max": extreme, "min": extreme, "sum": total, "count": count},
                "unit": unit,
            }
            lines.append((stamp + 60_000 + int(delay * 1000), stamp, orjson.dumps(row)))
    lines.sort(key=lambda entry: entry[0])
    found = []
    partitions = world.style.partitions[TOPIC]
    for number, batch in enumerate(_batches(lines)):
        body = b"\n".join(text for _, _, text in batch) + b"\n"
        sent_ms = batch[-1][0] + int(rng.uniform(200, 3_000))
        found.append(Record(TOPIC, number % partitions, min(at for _, at, _ in batch), sent_ms, None, body))
    return found


def _batches(lines: list[tuple[int, int, bytes]]) -> list[list[tuple[int, int, bytes]]]:
    batches: list[list[tuple[int, int, bytes]]] = []
    for entry in lines:
        if not batches or len(batches[-1]) >= LINES or entry[0] - batches[-1][0][0] > BUFFER_MS:
            batches.append([])
        batches[-1].append(entry)
    return batches
