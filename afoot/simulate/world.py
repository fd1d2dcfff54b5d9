"""What a seed builds: volumes, pipelines, machines and other tenants, their names, rates and how they are measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np

from afoot.simulate.clock import run_times
from afoot.simulate.names import Names
from afoot.simulate.physics import STEP_S, Burst, Disk, FloatArray, Flow, Load, Motion, run

MATCH = "match"


@dataclass(frozen=True)
class Schedule:
    """A crontab entry of an entity."""

    id: str
    entity: str
    expression: str
    timezone: str
    command: str


@dataclass(frozen=True)
class Style:
    """How this seed's agents measure and spell: one choice for the whole capture."""

    scrape_s: int
    volume_family: str  # harvest or ebs
    machine_family: str  # ec2 or node
    write_lag: str  # metric name
    consumer_lag: str  # metric name
    host_label: str  # instance, host.name or host
    integers_as_text: bool
    pods_on_job_metrics: bool
    harvest_by_match: bool
    cloudwatch_counts_operations: bool
    snapshot_after_start_s: float
    heartbeat_s: float
    connector_pause_s: float
    collectors: int
    partitions: Mapping[str, int]


@dataclass(frozen=True)
class Size:
    """What a seed would otherwise choose: the number of pipelines, and the scrape interval whatever it costs."""

    pipelines: int
    scrape_s: int


@dataclass
class Volume:
    """A volume: its identity, the labels of its telemetry, and its limits."""

    id: str
    family: str
    labels: dict[str, str]
    attributes: dict[str, Any]
    aggregate: str
    address: str  # of the machine that serves it
    disk: Disk


@dataclass
class Pod:
    """A pod: where it lives, and where it runs."""

    namespace: str
    name: str
    node: int
    address: str

    @property
    def id(self) -> str:
        """The inventory id."""
        return f"pod:{self.namespace}/{self.name}"


@dataclass
class Claim:
    """The way from pods to a volume: claim and persistent volume."""

    namespace: str
    name: str
    persistent_volume: str
    volume: int


@dataclass
class Pipeline:
    """One chain from ingress to volume. Rates are records/s before the profile of the scenario."""

    ingress: tuple[str, str]
    address: str
    deployment: tuple[str, str]
    receivers: list[Pod]
    topic: str
    topic_partitions: int
    group: str
    job: str
    job_attributes: dict[str, Any]
    job_label: str
    workers: list[Pod]
    claim: Claim
    rate: float
    record_bytes: float
    records_per_request: float
    request_s: float
    flush_s: float
    flow: int
    load: int

    @property
    def victim(self) -> str:
        """The id of the job whose write lag it is."""
        return f"job:{self.job}"


@dataclass
class Workload:
    """Pods that use a volume for work of their own, steadily."""

    deployment: tuple[str, str]
    pods: list[Pod]
    claim: Claim
    load: int


@dataclass
class Machine:
    """A virtual machine outside Kubernetes with volumes attached."""

    id: str
    name: str
    instance_id: str
    instance_type: str
    image: str
    address: str
    attributes: dict[str, Any]
    host: str  # the value of its host label, without a port
    root_writes: float  # operations/s on its own disk
    load: int


@dataclass
class Change:
    """A change of the inventory, as one transaction at a time (seconds from the start): rows written, rows deleted."""

    at_s: float
    upserts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deletes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class World:
    """Everything a scenario plays on. `rng(aspect)` is independent for each aspect, so scenarios share their worlds."""

    def __init__(self, seed: int, start_s: int, seconds: int, size: Size | None = None) -> None:
        self.size = size
        self.seed, self.start_s, self.seconds = seed, start_s, seconds
        self.steps = seconds // STEP_S
        self.names = Names(self.rng("names"))
        self.style = self._style()
        self.volumes: list[Volume] = []
        self.pipelines: list[Pipeline] = []
        self.workloads: list[Workload] = []
        self.machines: list[Machine] = []
        self.schedules: list[Schedule] = []
        self.changes: list[Change] = []
        self.late_schedules: set[str] = set()
        self.loads: list[Load] = []
        self.flows: list[Flow] = []
        self.silent: list[tuple[str, float, float]] = []  # (volume id or `tenants`, from, to second): not measured
        self.slow: list[tuple[int, float, float, float]] = []  # (volume, from, to second, factor on service times)
        self.nodes: list[tuple[str, str]] = []  # name, address
        self.brokers: list[str] = []
        self._build()

    def rng(self, aspect: str) -> np.random.Generator:
        """The random numbers of one aspect of this seed."""
        return np.random.default_rng([self.seed, crc32(aspect.encode())])

    def is_silent(self, what: str, at_s: float) -> bool:
        """Whether a volume, or the tenants' I/O, is not measured at a time."""
        return any(name == what and since <= at_s < until for name, since, until in self.silent)

    # -- building ------------------------------------------------------------------------------------------------

    def _style(self) -> Style:
        rng = self.rng("style")
        published = self.seed == 0
        return Style(
            scrape_s=int(rng.choice([10, 15, 30, 60])),
            volume_family="harvest" if published else str(rng.choice(["harvest", "ebs"], p=[0.6, 0.4])),
            machine_family="ec2" if published else str(rng.choice(["ec2", "node"])),
            write_lag="write_lag_seconds"
            if published
            else str(
                rng.choice(
                    [
                        "write_lag_seconds",
                        "flink_taskmanager_job_task_operator_write_lag_seconds",
                        "flink_taskmanager_job_task_operator_currentEmitEventTimeLag",
                    ]
                )
            ),
            consumer_lag=str(
                rng.choice(
                    [
                        "kafka_consumergroup_lag",
                        "kminion_kafka_consumer_group_topic_partition_lag",
                        "kafka_consumergroup_group_lag",
                        "kafka.consumer_group.lag",
                    ]
                )
            ),
            host_label=str(rng.choice(["instance", "host.name", "host"])),
            integers_as_text=bool(rng.random() < 0.7),
            pods_on_job_metrics=bool(rng.random() < 0.25) and not published,
            harvest_by_match=bool(rng.random() < 0.4) and not published,
            cloudwatch_counts_operations=bool(rng.random() < 0.4),
            snapshot_after_start_s=float(rng.uniform(-600, 120)),
            heartbeat_s=float(rng.choice([10, 15, 20, 30])),
            connector_pause_s=float(rng.choice([0, 0, 60, 150])),
            collectors=int(rng.integers(1, 4)),
            partitions={
                "telemetry.metrics": int(rng.integers(2, 5)),
                "telemetry.cloudwatch": int(rng.integers(1, 3)),
                "telemetry.logs": int(rng.integers(1, 3)),
                "telemetry.flows": int(rng.integers(1, 3)),
                "inventory": 1,
            },
        )

    def _build(self) -> None:
        rng = self.rng("topology")
        self.nodes = [
            (f"ip-{a.replace('.', '-')}", a) for a in (self.names.address() for _ in range(rng.integers(2, 5)))
        ]
        self.sampler = self.names.address()  # of the router that exports flows
        self.brokers = [f"kafka-{number}" for number in range(rng.integers(1, 4))]
        pipelines = int(rng.choice([1, 2, 3, 4, 6], p=[0.2, 0.3, 0.25, 0.15, 0.1]))
        if self.seed == 0:  # the published case keeps its names
            for pool, word in (
                ("job", "enricher"),
                ("receiver", "receiver"),
                ("space", "ingest"),
                ("space", "streaming"),
            ):
                self.names.reserve(pool, word)
            pipelines = 3
        if self.size:
            pipelines = self.size.pipelines
        for number in range(pipelines):
            self._pipeline(number)
        # Where machines go that leave the victim's volume: about as fast, or their work would not end.
        first = self.volumes[0].disk
        self.spare = self._volume(self.rng("spare volume"), 0, first.ops_limit * float(rng.uniform(1.0, 1.6)))
        spare = self.volumes[self.spare]
        spare.disk = replace(spare.disk, bytes_limit=first.bytes_limit / first.ops_limit * spare.disk.ops_limit)
        for number in range(int(rng.integers(0, 3))):
            self._workload(0, self.rng(f"workload {number}"))

    def _volume(self, rng: np.random.Generator, number: int, ops: float) -> int:
        published = self.seed == 0 and not self.volumes
        svm = "svm1" if published else self.names.svm()
        name = (
            "flexvol7" if published else f"{self.names.owner()}_{rng.choice(['data', 'vol', 'flex', 'pv'])}{number + 1}"
        )
        by_bytes = rng.random() < 0.25
        disk = Disk(ops, ops * (56e3 if by_bytes else 400e3), float(rng.uniform(0.0004, 0.003)))
        family = self.style.volume_family
        attributes: dict[str, Any] = {"size_gb": int(rng.choice([500, 1000, 2000, 8000]))}
        if family == "ebs":
            volume_id = f"vol-0{self.names.hexadecimal(16)}"
            labels = {"VolumeId": volume_id}
            attributes[MATCH] = [labels]
            identity = f"volume:ebs/{name}"
        elif self.style.harvest_by_match:
            labels = {"svm": svm, "volume": f"trident_pvc_{self.names.hexadecimal(8)}_{self.names.hexadecimal(12)}"}
            attributes[MATCH] = [dict(labels)]
            identity = f"volume:{svm}/{name}"
        else:
            labels = {"svm": svm, "volume": name}
            identity = f"volume:{svm}/{name}"
        self.volumes.append(
            Volume(identity, family, labels, attributes, f"aggr{rng.integers(1, 5)}", self.names.address(), disk)
        )
        return len(self.volumes) - 1

    def _pods(self, namespace: str, name: str, count: int, rng: np.random.Generator, ordered: bool) -> list[Pod]:
        middle = self.names.suffix(9)
        return [
            Pod(
                namespace,
                f"{name}-{number}" if ordered else f"{name}-{middle}-{self.names.suffix()}",
                int(rng.integers(len(self.nodes))),
                self.names.address(),
            )
            for number in range(count)
        ]

    def _claim(self, namespace: str, name: str, volume: int) -> Claim:
        return Claim(namespace, name, f"pvc-{self.names.hexadecimal(8)}-{self.names.hexadecimal(12)}", volume)

    def _pipeline(self, number: int) -> None:
        rng = self.rng(f"pipeline {number}")
        published = self.seed == 0 and number == 0
        rate = float(np.exp(rng.uniform(np.log(40), np.log(12_000))))
        ops_limit = float(np.exp(rng.uniform(np.log(600), np.log(30_000))))
        headroom = float(rng.uniform(1.5, 2.2))
        volume = self._volume(rng, number, ops_limit)
        job_ops = ops_limit * float(rng.uniform(0.12, 0.24))
        disk = self.volumes[volume].disk
        op_bytes = float(rng.choice([4096, 8192, 16384]))
        while disk.cost_s(op_bytes) > 1.01 / ops_limit:
            op_bytes /= 2  # the job's small writes are limited by operations, not bytes
        crowded_s = disk.base_latency_s / (1 - 0.7)  # latency while it catches up
        depth = job_ops * headroom * crowded_s * float(rng.uniform(1.2, 2.0))
        load = self.add_load("", depth, op_bytes, float(rng.uniform(0, 0.1)), volume, 0.0)
        day = rate * (1 + rng.uniform(0.02, 0.12) * np.sin((self._clock() / 86_400 + rng.random()) * 2 * np.pi))
        arrivals = np.maximum(day * (1 + 0.04 * self._noise(self.rng(f"arrivals {number}"))), rate * 0.2)
        self.flows.append(Flow(arrivals, rate * 6, rate * headroom, job_ops / rate, load))
        streaming, ingest = ("streaming", "ingest") if published else (self.names.space(), self.names.space())
        job = "enricher" if published else self.names.job()
        receiver = "receiver" if published else self.names.receiver()
        topic = "telemetry" if published else self.names.stream()
        by_match = rng.random() < 0.2 and not published
        label = f"{job} ({rng.choice(['prod', 'blue', 'v2'])})" if by_match else job
        self.loads[load].entity = f"job:{job}"
        self.pipelines.append(
            Pipeline(
                ingress=("edge", "nginx")
                if published
                else (ingest, f"{receiver}-{rng.choice(['web', 'ingress', 'public'])}"),
                address=self.names.address(),
                deployment=(ingest, receiver),
                receivers=self._pods(ingest, receiver, int(rng.integers(1, 5)), rng, ordered=False),
                topic=topic,
                topic_partitions=int(rng.choice([1, 2, 3, 4])),
                group=job if rng.random() < 0.5 else f"{job}-consumer",
                job=job,
                job_attributes={MATCH: [{"job_name": label}]} if by_match else {},
                job_label=label,
                workers=self._pods(
                    streaming, f"{job.replace('_', '-')}-taskmanager-1", int(rng.integers(1, 4)), rng, True
                ),
                claim=self._claim(streaming, f"{job.replace('_', '-')}-data", volume),
                rate=rate,
                record_bytes=float(rng.uniform(150, 1800)),
                records_per_request=float(rng.uniform(4, 60)),
                request_s=float(rng.uniform(0.01, 0.12)),
                flush_s=float(rng.uniform(1.2, 3.2)),
                flow=len(self.flows) - 1,
                load=load,
            )
        )

    def _workload(self, volume: int, rng: np.random.Generator) -> None:
        namespace, name = self.names.space(), self.names.tenant()
        disk = self.volumes[volume].disk
        rate = disk.ops_limit * float(rng.uniform(0.015, 0.05))
        load = self.add_load("", rate * disk.base_latency_s * 200, 4096, float(rng.uniform(0.1, 0.5)), volume, rate)
        pods = self._pods(namespace, name, int(rng.integers(1, 3)), rng, ordered=False)
        self.loads[load].entity = f"deployment:{namespace}/{name}"
        self.workloads.append(Workload((namespace, name), pods, self._claim(namespace, f"{name}-files", volume), load))

    def _clock(self) -> FloatArray:
        return self.start_s + np.arange(self.steps) * float(STEP_S)

    def _noise(self, rng: np.random.Generator) -> FloatArray:
        """A wandering with memory of about a minute, standard deviation one."""
        memory = float(np.exp(-STEP_S / 60))
        shocks = rng.standard_normal(self.steps) * np.sqrt(1 - memory**2)
        found = np.empty(self.steps)
        value = rng.standard_normal()
        for step, shock in enumerate(shocks.tolist()):
            value = value * memory + shock
            found[step] = value
        return found

    # -- what scenarios add --------------------------------------------------------------------------------------

    def add_load(self, entity: str, depth: float, op_bytes: float, read_part: float, volume: int, rate: float) -> int:
        """Adds a tenant of a volume with a steady demand of about `rate` operations/s; returns its index."""
        rng = self.rng(f"load {len(self.loads)}")
        steady = np.maximum(rate * (1 + 0.05 * self._noise(rng)), 0.0)
        self.loads.append(Load(entity, depth, op_bytes, read_part, [(0.0, volume)], steady))
        return len(self.loads) - 1

    def add_machine(self, aspect: str, volume: int, *, rate: float = 0.0, name: str | None = None) -> Machine:
        """Adds a virtual machine attached to a volume, which it asks for `rate` operations/s all the time."""
        rng = self.rng(f"machine {aspect}")
        name = name or self.names.machine()
        host, address = name, self.names.address()
        instance_id = f"i-0{self.names.hexadecimal(16)}"
        attributes: dict[str, Any] = {"address": address}
        if self.style.machine_family == "ec2":
            attributes[MATCH] = [{"InstanceId": instance_id}]
        elif rng.random() < 0.4:
            host = address  # an exporter that is scraped by address: only attributes.match says whose it is
            attributes[MATCH] = [{self.style.host_label: f"{address}:9100"}]
        disk = self.volumes[volume].disk
        op_bytes = float(rng.choice([16_384, 65_536, 131_072]))
        read_part = float(rng.uniform(0, 0.25))
        load = self.add_load(f"vm:{name}", disk.ops_limit * 0.05, op_bytes, read_part, volume, rate)
        machine = Machine(
            id=f"vm:{name}",
            name=name,
            instance_id=instance_id,
            instance_type=str(rng.choice(["m5.xlarge", "c5.2xlarge", "t3.large", "r6i.large"])),
            image=f"ami-0{self.names.hexadecimal(16)}",
            address=address,
            attributes=attributes,
            host=host,
            root_writes=float(rng.uniform(0.5, 3)),
            load=load,
        )
        self.machines.append(machine)
        return machine

    def add_schedule(self, machine: Machine, expression: str, timezone: str, *, command: str | None = None) -> Schedule:
        """Gives a machine a crontab entry in the inventory. It runs nothing by itself."""
        if command is None:
            place = self.rng(f"command {machine.name}").choice(
                ["/opt/jobs", "/usr/local/bin", "/srv/scripts", "/etc/cron.scripts"]
            )
            command = f"{place}/{machine.name.partition('-')[2].replace('-', '_')}.sh"
        schedule = Schedule(f"cron:{machine.name}/{len(self.schedules) + 1}", machine.id, expression, timezone, command)
        self.schedules.append(schedule)
        return schedule

    def starts(self, schedule: Schedule) -> list[float]:
        """When cron starts the schedule's command, in seconds from the beginning."""
        end_s = self.start_s + self.seconds
        return [at - self.start_s for at in run_times(schedule.expression, schedule.timezone, self.start_s, end_s)]

    def pressure(self, machine: Machine, part: float, flow: int) -> tuple[float, float]:
        """How many outstanding operations of `machine` leave the job only `part` of its need; its own ops/s then."""
        victim = self.flows[flow]
        load = self.loads[victim.load]
        volume = load.homes[0][1]
        disk = self.volumes[volume].disk
        need = float(np.mean(victim.arrivals)) * victim.ops_per_record
        u = part * need / load.depth  # 1 / latency at which the job gets that part
        used = part * need * disk.cost_s(load.op_bytes) + u * disk.base_latency_s
        for other in self.loads:
            if other is not load and other.homes[0][1] == volume and other.entity != machine.id:
                used += min(float(np.mean(other.steady)), other.depth * u) * disk.cost_s(other.op_bytes)
        rate = (1.0 - used) / disk.cost_s(self.loads[machine.load].op_bytes)
        return rate / u, rate

    def add_bursts(self, machine: Machine, starts: list[float], ops: float, depth: float, rate_limit: float) -> None:
        """Lets a machine do about `ops` operations of work from each start, a few seconds after cron started it."""
        rng = self.rng(f"bursts {machine.name}")
        load = self.loads[machine.load]
        load.depth = depth
        for start in starts:
            work = ops * float(np.exp(rng.normal(0, 0.08)))
            load.bursts.append(Burst(start + float(rng.uniform(1, 16)), work, rate_limit))

    def move(self, machine: Machine, at_s: float, volume: int) -> Change:
        """Detaches a machine from its volume and attaches it to another; the inventory learns it at once."""
        load = self.loads[machine.load]
        old = self.volumes[load.homes[-1][1]].id
        load.homes.append((at_s, volume))
        return Change(
            at_s,
            [("relation", relation(machine.id, self.volumes[volume].id, "attached_to"))],
            [("relation", relation(machine.id, old, "attached_to"))],
        )

    def play(self) -> Motion:
        """Runs the model."""
        rng = self.rng("wobble")
        wobble = np.stack([1 + 0.02 * np.clip(self._noise(rng), -3, 3) for _ in self.volumes])
        for volume, since_s, until_s, factor in self.slow:
            wobble[volume, round(since_s / STEP_S) : round(until_s / STEP_S)] *= factor
        return run([volume.disk for volume in self.volumes], self.loads, self.flows, wobble)


def relation(from_id: str, to_id: str, kind: str) -> dict[str, Any]:
    """A row of inventory.relation, without its time."""
    return {"from_id": from_id, "to_id": to_id, "kind": kind}


def entity(identity: str, component: str | None, attributes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A row of inventory.entity, without its time; jsonb travels as text."""
    kind, _, name = identity.partition(":")
    return {
        "id": identity,
        "type": kind,
        "name": name.rpartition("/")[2],
        "component": component,
        "attributes": json.dumps(dict(attributes or {})),
    }
