"""Logs as Fluent Bit sends them and flows as goflow2 does: few, and in step with what the model did."""

from __future__ import annotations

import numpy as np
import orjson

from afoot.simulate.capture import Record
from afoot.simulate.physics import STEP_S, FloatArray, Motion
from afoot.simulate.world import Pod, World

LOGS, FLOWS = "telemetry.logs", "telemetry.flows"
AGENT_SYSTEMS = (64_500, 64_511)  # numbers kept for documentation
SAMPLING_RATES = (0, 1, 100, 1000)


def _kubernetes(world: World, pod: Pod, container: str) -> dict[str, object]:
    return {
        "pod_name": pod.name,
        "namespace_name": pod.namespace,
        "host": world.nodes[pod.node][0],
        "pod_ip": pod.address,
        "container_name": container,
    }


def logs(world: World, motion: Motion) -> list[Record]:
    """A line a minute from a pod of each pipeline, checkpoints of its job, and cron's line where a command starts."""
    rng = world.rng("logs")
    lines: list[tuple[float, dict[str, object]]] = []
    for pipeline in world.pipelines:
        for minute_s in np.arange(rng.uniform(0, 60), world.seconds, 60.0).tolist():
            step = int(minute_s // STEP_S)
            pod = pipeline.receivers[rng.integers(len(pipeline.receivers))]
            count = int(motion.ingested[pipeline.flow, max(0, step - 12) : step + 1].sum())
            text = f'level=info msg="flushed batches" topic={pipeline.topic} records={count}\n'
            lines.append(
                (minute_s, {"log": text, "stream": "stderr", "kubernetes": _kubernetes(world, pod, "receiver")})
            )
        base = world.volumes[pipeline.claim.volume].disk.base_latency_s
        for number, at_s in enumerate(np.arange(rng.uniform(0, 180), world.seconds, 180.0).tolist()):
            slow = motion.latency_s[pipeline.claim.volume, int(at_s // STEP_S)] / base
            text = f"INFO  CheckpointCoordinator - Completed checkpoint {number + 1} ({int(400 * slow)} ms)\n"
            pod = pipeline.workers[0]
            lines.append((at_s, {"log": text, "stream": "stdout", "kubernetes": _kubernetes(world, pod, "jobmanager")}))
    entries = {schedule.entity: schedule for schedule in reversed(world.schedules)}
    for machine in world.machines:
        if machine.id in entries:
            for burst in world.loads[machine.load].bursts:
                text = f"CRON[{rng.integers(1000, 99999)}]: (root) CMD ({entries[machine.id].command})\n"
                at_s = burst.start_s // 60 * 60 + float(rng.uniform(0.2, 0.9))
                lines.append((at_s, {"log": text, "ident": "CRON", "host": machine.name}))
    found = []
    partitions = world.style.partitions[LOGS]
    for at_s, record in sorted(lines, key=lambda line: line[0]):
        at = world.start_s + at_s
        sent_ms = int(at * 1000) + int(rng.exponential(900))
        body = orjson.dumps({"@timestamp": round(at, 6), **record})
        at_ms = int(at * 1000)
        found.append(Record(LOGS, int(rng.integers(partitions)), at_ms, at_ms, sent_ms, None, body))
    return found


def flows(world: World, motion: Motion) -> list[Record]:
    """What routers and hosts exported each minute: agents to each ingress, and machines to where their volume is."""
    rng = world.rng("flows")
    rate = int(rng.choice(SAMPLING_RATES))
    shown = max(rate, 1)
    pairs: list[tuple[str, str, int, int, FloatArray]] = []
    for pipeline in world.pipelines:
        sent = motion.arrived[pipeline.flow] * pipeline.record_bytes * 1.05
        parts = rng.dirichlet(np.full(3, 20.0)).tolist()
        for part in parts:
            system = int(rng.integers(*AGENT_SYSTEMS))
            agent = f"203.0.113.{rng.integers(1, 255)}"
            pairs.append((agent, pipeline.address, 443, system, sent * part))
    for machine in world.machines:
        load = world.loads[machine.load]
        moved = motion.ops[machine.load] * load.op_bytes * (1 - load.read_part) * STEP_S
        for _, volume in load.homes:
            here = moved * (motion.home[machine.load] == volume)
            pairs.append((machine.address, world.volumes[volume].address, 2049, 0, here))
    found = []
    partitions = world.style.partitions[FLOWS]
    number = int(rng.integers(1000, 100_000))
    edges = np.arange(world.steps + 1) * float(STEP_S)
    for source, destination, port, system, moved in pairs:
        total = np.concatenate([[0.0], np.cumsum(moved)])
        ends = np.arange(rng.uniform(30, 60), world.seconds, 60.0)
        octets = np.interp(ends, edges, total) - np.interp(ends - 60, edges, total)
        source_port = int(rng.integers(32_768, 61_000))
        for end_s, count in zip(ends.tolist(), (octets / shown).tolist(), strict=True):
            packets = round(count / 1400)
            if packets == 0:
                continue
            end_ns = int((world.start_s + end_s) * 1000) * 1_000_000
            received_ns = end_ns + int(rng.uniform(0.2, 1.5) * 1000) * 1_000_000
            number += 1
            row = {
                "type": "NETFLOW_V9",
                "time_received_ns": received_ns,
                "sequence_num": number,
                "sampling_rate": rate,
                "sampler_address": world.sampler,
                "time_flow_start_ns": max(end_ns - 60_000_000_000, world.start_s * 1_000_000_000),
                "time_flow_end_ns": end_ns,
                "bytes": round(count),
                "packets": packets,
                "src_addr": source,
                "dst_addr": destination,
                "etype": "IPv4",
                "proto": "TCP",
                "src_port": source_port,
                "dst_port": port,
                "src_as": system,
                "dst_as": 0,
            }
            sent_ms = received_ns // 1_000_000 + int(rng.exponential(500))
            body = orjson.dumps(row)
            end_ms = end_ns // 1_000_000
            found.append(Record(FLOWS, int(rng.integers(partitions)), end_ms, end_ms, sent_ms, None, body))
    return found
