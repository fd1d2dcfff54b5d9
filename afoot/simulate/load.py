"""Telemetry by the million for measuring throughput: a fleet of entities, four signals each, a point every ten seconds.

Messages are rendered once as templates, a hundred points each, and filled with times and values: a step costs little
more than copying its bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import fastavro
import numpy as np
import orjson
from numpy.typing import NDArray

import schemas
from afoot.simulate.agents import attributes
from afoot.simulate.inventory import KEYS, envelope
from afoot.simulate.world import entity, relation
from afoot.telemetry.rows import Message, MetricKind

Format = Literal["otlp_json", "json", "avro"]
FORMATS: tuple[Format, ...] = ("otlp_json", "json", "avro")
STEP_S = 10
POINTS = 100  # a message
MALFORMED_EVERY = 1_000  # messages
START_MS = 1_772_323_200_000  # 2026-03-01
BUSY_AFTER_S, BUSY_S, IDLE_S = 900, 420, 3600  # one machine works so long in each hour, and one job is late meanwhile
TOPIC, INVENTORY = "telemetry.metrics", "inventory"
MEMBERS = 20  # measured entities of a pipeline


class _Series(NamedTuple):
    name: str
    unit: str
    kind: MetricKind
    labels: dict[str, str]
    base: int  # the level of a gauge, or the increase of a counter in a step
    busy: int  # the same while the busy machine works


class Fleet:
    """`entities` measured entities: pipelines of twenty, and one volume that a tenth of the entities are tenants of.

    A pipeline has an ingress, four receivers, a topic, a job, four workers, a volume and eight machines on it. The
    crowd's volume is that of the first pipeline; its first machine works hard every hour, and that job is then late.
    """

    def __init__(self, entities: int) -> None:
        self.entities = entities
        crowd = entities // 10
        pipelines = max(1, (entities - crowd) // MEMBERS)
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self.series: list[_Series] = []
        machines = entities - pipelines * MEMBERS
        for number in range(pipelines):
            self._pipeline(number, machines if number == 0 else 0)
        for number in range(machines):
            self._machine(f"crowd-{number}", "volume:svm0/data0", busy=number == 0)
        schedule = {"id": "cron:0", "entity_id": "vm:crowd-0", "expression": "15 * * * *", "timezone": "UTC"}
        self._rows.append(("schedule", {**schedule, "command": "/opt/jobs/dump.sh"}))
        self.victim, self.culprit, self.volume = "job:job0", "vm:crowd-0", "volume:svm0/data0"

    @property
    def points_a_step(self) -> int:
        """Points that each step of ten seconds holds."""
        return len(self.series)

    def _add(self, identity: str, component: str, attributes: dict[str, Any] | None = None) -> None:
        self._rows.append(("entity", entity(identity, component, attributes)))

    def _relate(self, from_id: str, kind: str, to_id: str) -> None:
        self._rows.append(("relation", relation(from_id, to_id, kind)))

    def _measure(self, labels: dict[str, str], *signals: tuple[str, str, MetricKind, int, int]) -> None:
        self.series += [_Series(name, unit, kind, labels, base, busy) for name, unit, kind, base, busy in signals]

    def _machine(self, name: str, volume: str, *, busy: bool = False) -> None:
        self._add(f"vm:{name}", "compute")
        self._relate(f"vm:{name}", "attached_to", volume)
        more = 100 if busy else 1
        self._measure(
            {"instance": f"{name}:9100", "device": "nvme1n1", "service.name": "node-exporter"},
            ("node_disk_writes_completed_total", "", "cumulative", 100, 100 * more),
            ("node_disk_written_bytes_total", "By", "cumulative", 409_600, 409_600 * more),
            ("node_disk_reads_completed_total", "", "cumulative", 20, 20),
            ("node_load1", "", "gauge", 1, 1),
        )

    def _pipeline(self, number: int, crowd: int) -> None:
        late = crowd > 0
        space, job, topic, group = f"space{number}", f"job{number}", f"topic{number}", f"group{number}"
        deployment, ingress = f"deployment:{space}/receiver", f"ingress:{space}/web"
        volume, claim, backing = f"volume:svm0/data{number}", f"claim:{space}/data", f"persistent_volume:pv{number}"
        for identity, component in (
            (ingress, "router"),
            (deployment, "ingestion"),
            (f"topic:{topic}", "broker"),
            (f"consumer_group:{group}", "service"),
            (f"job:{job}", "processor"),
            (claim, "storage"),
            (backing, "storage"),
            (volume, "storage"),
        ):
            self._add(identity, component)
        self._relate(ingress, "sends_to", deployment)
        self._relate(deployment, "writes", f"topic:{topic}")
        self._relate(f"job:{job}", "reads", f"topic:{topic}")
        self._relate(f"consumer_group:{group}", "part_of", f"job:{job}")
        self._relate(claim, "bound_to", backing)
        self._relate(backing, "backed_by", volume)
        router = {"namespace": space, "ingress": "web", "service.name": "ingress-nginx"}
        name = "nginx_ingress_controller_request"
        self._measure({**router, "status": "200"}, (f"{name}s", "", "cumulative", 2_000, 2_000))
        self._measure({**router, "status": "503"}, (f"{name}s", "", "cumulative", 2, 2))
        self._measure(
            router,
            (f"{name}_duration_seconds_sum", "s", "cumulative", 80, 80),
            (f"{name}_duration_seconds_count", "", "cumulative", 2_000, 2_000),
        )
        for pod in (f"receiver-{index}" for index in range(4)):
            self._add(f"pod:{space}/{pod}", "ingestion")
            self._relate(f"pod:{space}/{pod}", "part_of", deployment)
            self._measure(
                {"namespace": space, "pod": pod, "container": "receiver", "service.name": "kubelet"},
                ("container_cpu_usage_seconds_total", "s", "cumulative", 4, 4),
                ("container_memory_working_set_bytes", "By", "gauge", 400_000_000, 400_000_000),
                ("container_network_receive_bytes_total", "By", "cumulative", 5_000_000, 5_000_000),
                ("container_network_transmit_bytes_total", "By", "cumulative", 3_000_000, 3_000_000),
            )
        broker = {"topic": topic, "service.name": "kafka"}
        self._measure(
            broker,
            ("kafka_server_brokertopicmetrics_bytesin_total", "By", "cumulative", 12_000_000, 12_000_000),
            (
                "kafka_server_brokertopicmetrics_bytesout_total",
                "By",
                "cumulative",
                12_000_000,
                7_000_000 + 5_000_000 * (not late),
            ),
        )
        self._measure(
            {**broker, "partition": "0", "consumergroup": group},
            ("kafka_consumergroup_lag", "", "gauge", 900, 90_000 if late else 900),
        )
        self._measure(broker, ("kafka_server_brokertopicmetrics_messagesin_total", "", "cumulative", 20_000, 20_000))
        self._measure(
            {
                "job_name": job,
                "task_name": "Sink",
                "operator_name": "Sink",
                "subtask_index": "0",
                "service.name": "flink",
            },
            ("write_lag_seconds", "s", "gauge", 2, 150 if late else 2),
            (
                "flink_taskmanager_job_task_operator_numRecordsOutPerSecond",
                "",
                "gauge",
                2_000,
                1_200 if late else 2_000,
            ),
            ("flink_taskmanager_job_task_busyTimeMsPerSecond", "", "gauge", 500, 900 if late else 500),
            ("flink_taskmanager_job_task_backPressuredTimeMsPerSecond", "", "gauge", 10, 400 if late else 10),
        )
        for pod in (f"taskmanager-{index}" for index in range(4)):
            self._add(f"pod:{space}/{pod}", "processor")
            self._relate(f"pod:{space}/{pod}", "part_of", f"job:{job}")
            self._relate(f"pod:{space}/{pod}", "mounts", claim)
            self._measure(
                {
                    "namespace": space,
                    "pod": pod,
                    "container": "flink",
                    "device": "/dev/nvme1n1",
                    "service.name": "kubelet",
                },
                ("container_fs_writes_total", "", "cumulative", 500, 300 if late else 500),
                ("container_fs_writes_bytes_total", "By", "cumulative", 4_000_000, 2_400_000 if late else 4_000_000),
                ("container_fs_reads_total", "", "cumulative", 20, 20),
                ("container_cpu_usage_seconds_total", "s", "cumulative", 8, 8),
            )
        machines = 8 + crowd
        writes, reads = 4 * 50 + machines * 10, 4 * 2 + machines * 2  # a second, as workers and machines count them
        more = 990 - 80 if late else 0  # the busy machine's, less what the workers no longer get
        self._measure(
            {"svm": "svm0", "volume": f"data{number}", "cluster": "cvo-1", "service.name": "harvest"},
            ("volume_write_ops", "", "gauge", writes, writes + more),
            ("volume_total_ops", "", "gauge", writes + reads, writes + reads + more),
            ("volume_write_data", "", "gauge", writes * 4096, (writes + more) * 4096),
            ("volume_avg_latency", "", "gauge", 900, 9_000 if late else 900),
        )
        for index in range(8):
            self._machine(f"vm{number}-{index}", volume)

    def inventory(self, steps: int = 0, start_ms: int = START_MS) -> Iterator[Message]:
        """The first snapshot in debezium_json, read ten minutes before the start, and a heartbeat a step."""
        read_ms = start_ms - 600_000
        offset = 0
        for offset, (table, row) in enumerate(self._rows):
            key = orjson.dumps({name: row[name] for name in KEYS[table]})
            value = envelope(table, {**row, "updated_at": "2026-01-01T00:00:00Z"}, "r", read_ms, snapshot="true")
            yield Message(INVENTORY, 0, offset, read_ms + 300, key, value)
        for step in range(steps):
            at_ms = start_ms + step * STEP_S * 1000
            value = envelope("heartbeat", {"id": 1, "at": "2026-01-01T00:00:00Z"}, "u", at_ms)
            yield Message(INVENTORY, 0, offset + 1 + step, at_ms + 300, b'{"id":1}', value)

    def messages(
        self,
        format_name: Format,
        steps: int,
        *,
        partitions: int = 4,
        start_ms: int = START_MS,
        points: int = POINTS,
    ) -> Iterator[Message]:
        """`steps` steps of telemetry, `points` a message, a thousandth of the messages malformed.

        Record times are 400 ms after event times.
        """
        groups = [self.series[first : first + points] for first in range(0, len(self.series), points)]
        fillers = [_FILLERS[format_name](group) for group in groups]
        bounds = np.cumsum([0, *(len(group) for group in groups)]).tolist()
        growing = np.array([series.kind == "cumulative" for series in self.series])
        base = np.array([series.base for series in self.series], dtype=np.int64)
        busy = np.array([series.busy for series in self.series], dtype=np.int64)
        rng = np.random.default_rng(self.entities)
        values = rng.integers(1, 10**9, len(base)) * growing
        offsets = [0] * partitions
        sent = 0
        for step in range(steps):
            at_ms = start_ms + step * STEP_S * 1000
            level = busy if (at_ms // 1000 - BUSY_AFTER_S) % IDLE_S < BUSY_S else base
            noisy = level * rng.integers(98, 103, len(base)) // 100
            values = np.where(growing, values + noisy, noisy)
            for slot, fill in enumerate(fillers):
                # Targets are scraped one after another: the times of a step are spread over it.
                seen_ms = at_ms + slot * STEP_S * 1000 // len(fillers)
                value = fill(seen_ms * 1_000_000, values[bounds[slot] : bounds[slot + 1]])
                sent += 1
                if sent % MALFORMED_EVERY == 0:
                    value = value[: len(value) * 2 // 3]
                partition = slot % partitions
                yield Message(TOPIC, partition, offsets[partition], seen_ms + 400, None, value)
                offsets[partition] += 1


Filler = Callable[[int, NDArray[np.int64]], bytes]


def _text_filler(template: str, points: int) -> Filler:
    """Fills a template of JSON with the time and value of each point. A half is added: most values are fractions."""
    encoded = template.encode()

    def fill(time_ns: int, values: NDArray[np.int64]) -> bytes:
        arguments = [time_ns] * (2 * points)
        arguments[1::2] = values.tolist()
        return encoded % tuple(arguments)

    return fill


def _otlp(group: list[_Series]) -> Filler:
    resources: dict[str, dict[str, list[_Series]]] = {}
    for series in group:  # neighbours of one service share a resource, as a collector batches them
        resources.setdefault(series.labels["service.name"], {}).setdefault(series.name, []).append(series)
    parts = []
    for service, metrics in resources.items():
        texts = []
        for name, members in metrics.items():
            points = [
                _escaped(f'{{"attributes":{attributes({k: v for k, v in s.labels.items() if k != "service.name"})},')
                + '"timeUnixNano":"%d","asDouble":%d.5}'
                for s in members
            ]
            counted = members[0].kind == "cumulative"
            tail = ',"aggregationTemporality":2,"isMonotonic":true' if counted else ""
            kind = "sum" if counted else "gauge"
            texts.append(_escaped(f'{{"name":"{name}","{kind}":{{"dataPoints":[') + ",".join(points) + f"]{tail}}}}}")
        head = f'{{"resource":{{"attributes":{attributes({"service.name": service})}}},'
        parts.append(_escaped(head) + '"scopeMetrics":[{"scope":{},"metrics":[' + ",".join(texts) + "]}]}")
    order = [group.index(s) for metrics in resources.values() for members in metrics.values() for s in members]
    fill = _text_filler('{"resourceMetrics":[' + ",".join(parts) + "]}", len(group))
    return lambda time_ns, values: fill(time_ns, values[order])


def _json(group: list[_Series]) -> Filler:
    rows = [
        _escaped(
            f'{{"name":"{series.name}","unit":"{series.unit}","kind":"{series.kind}","labels":{json.dumps(series.labels)}'
        )
        + ',"time_ns":%d,"value":%d.5}'
        for series in group
    ]
    return _text_filler("[" + ",".join(rows) + "]", len(group))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _avro(group: list[_Series]) -> Filler:
    """An array of rows; the time and value of each stand at fixed places before the row's last byte, a null."""
    schema = fastavro.parse_schema(schemas.load("metric_point.avsc"))
    body = bytearray(_varint(len(group)))
    ends = []
    for series in group:
        row = io.BytesIO()
        fields = {"name": series.name, "unit": series.unit, "kind": series.kind, "labels": series.labels}
        fastavro.schemaless_writer(
            row, schema, {**fields, "time_ns": START_MS * 1_000_000, "value": 0.0, "stats": None}
        )
        body += row.getvalue()
        ends.append(len(body))
    body.append(0)
    template = np.frombuffer(bytes(body), dtype=np.uint8)
    width = len(_varint(START_MS * 1_000_000))
    places = np.array(ends)[:, None]
    time_places, value_places = places - 9 - width + np.arange(width), places - 9 + np.arange(8)

    def fill(time_ns: int, values: NDArray[np.int64]) -> bytes:
        found = template.copy()
        found[time_places] = np.frombuffer(_varint(time_ns), dtype=np.uint8)
        found[value_places] = (values + 0.5).astype("<f8").view(np.uint8).reshape(-1, 8)
        return found.tobytes()

    return fill


def _varint(number: int) -> bytes:
    """A whole number that is not negative, as Avro writes a long."""
    left = number * 2
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


_FILLERS: dict[Format, Callable[[list[_Series]], Filler]] = {"otlp_json": _otlp, "json": _json, "avro": _avro}
