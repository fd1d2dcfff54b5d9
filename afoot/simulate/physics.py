"""The model behind every scenario: volumes that serve their tenants, and pipelines that are queues in front of them.

A volume is a queue with a limited service rate. Each tenant keeps at most `depth` operations outstanding, so that it
gets min(what it wants, depth / latency), and latency is base / (1 - utilisation). Shares under overload, the latency
bump and the tenants that do not notice all follow from this one equation; no curve is drawn.

A pipeline passes records: source -> ingestion queue -> topic -> job. The job writes what its processor and its share
of the volume allow; the rest waits in the topic. Write lag is the age of the oldest record that is not yet written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STEP_S = 5


@dataclass(frozen=True)
class Disk:
    """A volume's limits: operations/s, bytes/s, and the seconds an operation takes when nothing else is going on."""

    ops_limit: float
    bytes_limit: float
    base_latency_s: float

    def cost_s(self, op_bytes: float) -> float:
        """Service seconds that one operation of `op_bytes` takes up."""
        return max(1.0 / self.ops_limit, op_bytes / self.bytes_limit)


@dataclass(frozen=True)
class Burst:
    """A fixed amount of work that starts at `start_s` (seconds from the beginning) and ends when it is done."""

    start_s: float
    ops: float
    rate_limit: float  # operations/s that the tenant asks for at most while it works


@dataclass
class Load:
    """What one tenant does to its volume: a steady demand (ops/s a step), and bursts on top."""

    entity: str
    depth: float
    op_bytes: float
    read_part: float
    homes: list[tuple[float, int]]  # (from second, index of the volume), in order of time
    steady: FloatArray
    bursts: list[Burst] = field(default_factory=list)


@dataclass
class Flow:
    """The records of one pipeline: arrivals (records/s a step), limits, and the load its job puts on the volume."""

    arrivals: FloatArray
    ingestion_limit: float  # records/s
    processor_limit: float  # records/s
    ops_per_record: float
    load: int  # index of the job's Load
    stops: list[tuple[float, float]] = field(default_factory=list)  # (from, to) second: its job stands still by itself


@dataclass
class Motion:
    """What happened, by step: ops/s and bytes/s of loads and volumes, latency, and the records of each pipeline."""

    ops: FloatArray  # [load, step]
    latency_s: FloatArray  # [volume, step]
    utilisation: FloatArray  # [volume, step]
    home: NDArray[np.int64]  # [load, step] the volume that the load is on
    arrived: FloatArray  # [flow, step] records into ingestion
    ingested: FloatArray  # [flow, step] records from ingestion into the topic
    written: FloatArray  # [flow, step] records the job wrote
    waiting: FloatArray  # [flow, step] records in front of ingestion at the end of the step
    backlog: FloatArray  # [flow, step] records in the topic at the end of the step
    lag_s: FloatArray  # [flow, step] age of the oldest unwritten record at the end of the step
    burst_ends: list[list[float]]  # [load][burst] when its work was done; infinity if it was not


def serve(
    wants: Sequence[float], depths: Sequence[float], costs: Sequence[float], base_latency_s: float
) -> tuple[list[float], float]:
    """What each tenant gets (ops/s) and the latency (s) of a volume asked for `wants` (ops/s).

    With u = 1 / latency, u * base + sum(min(want, depth * u) * cost) = 1. The left side grows with u and has a corner
    where each tenant's wish is met, so the solution is found by passing the corners in order.
    """
    slope = base_latency_s + sum(depth * cost for depth, cost in zip(depths, costs, strict=True))
    met = 0.0
    for corner, want, depth, cost in sorted(
        (want / depth, want, depth, cost) for want, depth, cost in zip(wants, depths, costs, strict=True)
    ):
        if (1.0 - met) / slope <= corner:
            break
        met += want * cost
        slope -= depth * cost
    u = (1.0 - met) / max(slope, base_latency_s)
    return [min(want, depth * u) for want, depth in zip(wants, depths, strict=True)], 1.0 / u


def run(disks: Sequence[Disk], loads: Sequence[Load], flows: Sequence[Flow], wobble: FloatArray) -> Motion:
    """Moves the model through all steps of `wobble` [volume, step], the factor on each volume's service times."""
    steps = wobble.shape[1]
    ops = np.zeros((len(loads), steps))
    latency = np.zeros((len(disks), steps))
    utilisation = np.zeros((len(disks), steps))
    home = np.zeros((len(loads), steps), dtype=np.int64)
    ingested, written, waiting, backlog = (np.zeros((len(flows), steps)) for _ in range(4))
    for index, load in enumerate(loads):
        for since_s, volume in load.homes:
            home[index, max(0, round(since_s / STEP_S)) :] = volume
    costs = [[disk.cost_s(load.op_bytes) for load in loads] for disk in disks]
    flow_of = {flow.load: index for index, flow in enumerate(flows)}
    left = [[burst.ops for burst in load.bursts] for load in loads]
    ends = [[float("inf")] * len(load.bursts) for load in loads]
    queue, topic = [0.0] * len(flows), [0.0] * len(flows)
    homes = home.T.tolist()
    steady = np.stack([load.steady for load in loads]).T.tolist() if loads else []
    arrivals = np.stack([flow.arrivals for flow in flows]).T.tolist() if flows else [[]] * steps

    for step in range(steps):
        now = step * STEP_S
        for index, flow in enumerate(flows):
            offered = queue[index] + arrivals[step][index] * STEP_S
            passed = min(offered, flow.ingestion_limit * STEP_S)
            queue[index] = offered - passed
            topic[index] += passed
            ingested[index, step] = passed
        members: list[list[int]] = [[] for _ in disks]
        wants = []
        for index, load in enumerate(loads):
            want = steady[step][index]
            if index in flow_of:
                flow = flows[flow_of[index]]
                limit = 0.0 if any(since <= now < until for since, until in flow.stops) else flow.processor_limit
                want += min(topic[flow_of[index]] / STEP_S, limit) * flow.ops_per_record
            for number, burst in enumerate(load.bursts):
                if burst.start_s < now + STEP_S and left[index][number] > 0:
                    active = min(1.0, (now + STEP_S - burst.start_s) / STEP_S)
                    want += min(burst.rate_limit * active, left[index][number] / STEP_S)
            wants.append(want)
            members[homes[step][index]].append(index)
        for volume, tenants in enumerate(members):
            factor = wobble[volume, step]
            cost = [costs[volume][index] * factor for index in tenants]
            got, latency[volume, step] = serve(
                [wants[index] for index in tenants],
                [loads[index].depth for index in tenants],
                cost,
                disks[volume].base_latency_s * factor,
            )
            utilisation[volume, step] = sum(rate * seconds for rate, seconds in zip(got, cost, strict=True))
            for index, rate in zip(tenants, got, strict=True):
                ops[index, step] = rate
                own = rate - steady[step][index]  # a burst, or the job's writes: what is above the steady demand
                for number, burst in enumerate(loads[index].bursts):
                    if own > 0 and burst.start_s < now + STEP_S and left[index][number] > 0:
                        done = min(left[index][number], own * STEP_S)
                        left[index][number] -= done
                        own -= done / STEP_S
                        if left[index][number] <= 1e-9 * burst.ops:
                            left[index][number] = 0.0
                            ends[index][number] = now + STEP_S
        for index, flow in enumerate(flows):
            done = min(topic[index], ops[flow.load, step] / flow.ops_per_record * STEP_S)
            topic[index] -= done
            written[index, step] = done
        waiting[:, step] = queue
        backlog[:, step] = topic

    arrived = np.stack([flow.arrivals for flow in flows]) * STEP_S if flows else np.zeros((0, steps))
    return Motion(
        ops, latency, utilisation, home, arrived, ingested, written, waiting, backlog, _age(arrived, written), ends
    )


def _age(arrived: FloatArray, written: FloatArray) -> FloatArray:
    """How long ago (s) the oldest record that is unwritten at the end of each step arrived, first in first out."""
    edges = np.arange(arrived.shape[1] + 1) * float(STEP_S)
    ages = np.zeros_like(arrived)
    for index in range(len(arrived)):
        came = np.concatenate([[0.0], np.cumsum(arrived[index])])
        ages[index] = edges[1:] - np.interp(np.cumsum(written[index]), came, edges)
    return np.maximum(ages, 0.0)


def minutes(values: FloatArray) -> FloatArray:
    """Means over whole minutes of a series by step."""
    width = 60 // STEP_S
    whole = len(values) // width
    return np.asarray(values[: whole * width].reshape(whole, width).mean(axis=1))
