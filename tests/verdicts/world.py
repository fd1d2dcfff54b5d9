"""A small world to build windows from: the main case's inventory, what is usual in it, and what is not in a minute."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange
from afoot.verdicts.cases import CaseBook
from afoot.verdicts.inputs import Window
from afoot.verdicts.records import Evidence, Finding, Output, SignalRequest
from afoot.verdicts.rules import Rules, shipped_rules
from afoot.verdicts.step import step

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)

RELATIONS = """
ingress:edge/nginx          sends_to     deployment:ingest/receiver
pod:ingest/receiver-1       part_of      deployment:ingest/receiver
pod:ingest/receiver-2       part_of      deployment:ingest/receiver
deployment:ingest/receiver  writes       topic:telemetry
broker:kafka-0              owns         topic:telemetry
job:enricher                reads        topic:telemetry
pod:streaming/tm-0          part_of      job:enricher
pod:streaming/tm-0          mounts       claim:streaming/data
claim:streaming/data        bound_to     persistent_volume:pv-1
persistent_volume:pv-1      backed_by    volume:svm1/main
vm:backup                   attached_to  volume:svm1/main
vm:report                   attached_to  volume:svm1/main
vm:busy                     attached_to  volume:svm1/other
"""
JOB, VOLUME, OTHER = "job:enricher", "volume:svm1/main", "volume:svm1/other"
POD, BACKUP, REPORT, BUSY = "pod:streaming/tm-0", "vm:backup", "vm:report", "vm:busy"
INGRESS, DEPLOYMENT, TOPIC, BROKER = (
    "ingress:edge/nginx",
    "deployment:ingest/receiver",
    "topic:telemetry",
    "broker:kafka-0",
)
GROUP = "consumer_group:enricher"  # in the inventory of tests that relate it to the job
RECEIVERS = ("pod:ingest/receiver-1", "pod:ingest/receiver-2")
COMPONENTS = {
    "ingress": "router",
    "deployment": "ingestion",
    "topic": "broker",
    "broker": "broker",
    "job": "processor",
    "consumer_group": "service",
    "volume": "storage",
    "vm": "compute",
}

USUAL: dict[str, dict[str, tuple[float, str]]] = {
    JOB: {"write_lag": (2.0, "s"), "records_out": (5_000.0, "{record}/s"), "busy": (0.5, "1")},
    GROUP: {"lag_seconds": (1.0, "s")},
    INGRESS: {"request_rate": (500.0, "{request}/s"), "request_latency": (0.02, "s")},
    DEPLOYMENT: {"ready_members": (2.0, "{member}"), "desired_members": (2.0, "{member}")},
    RECEIVERS[0]: {"bytes_in": (1e6, "By/s"), "cpu": (0.4, "1")},
    RECEIVERS[1]: {"bytes_in": (1e6, "By/s"), "cpu": (0.4, "1")},
    TOPIC: {"bytes_in": (2e6, "By/s"), "bytes_out": (2e6, "By/s")},
    BROKER: {"request_time": (0.005, "s"), "under_replicated": (0.0, "{partition}")},
    VOLUME: {"total_ops": (800.0, "{op}/s"), "latency": (0.001, "s")},
    OTHER: {"total_ops": (100.0, "{op}/s"), "latency": (0.001, "s")},
    POD: {"write_ops": (700.0, "{op}/s")},
    BACKUP: {"write_ops": (10.0, "{op}/s")},
    REPORT: {"write_ops": (20.0, "{op}/s")},
    BUSY: {"write_ops": (50.0, "{op}/s")},
}
FLOORS = {"write_lag": 0.5, "latency": 0.0002, "under_replicated": 0.5, "ready_members": 0.5, "restarts": 0.5}

BURST: dict[str, dict[str, float]] = {  # the backup runs, and the volume has no room
    BACKUP: {"write_ops": 1_500},
    POD: {"write_ops": 450},
    VOLUME: {"total_ops": 2_040, "latency": 0.009},
    TOPIC: {"bytes_out": 1.2e6},
    JOB: {"records_out": 3_000},
}
ROOM: dict[str, dict[str, float]] = {BACKUP: {"write_ops": 1_500}, VOLUME: {"total_ops": 2_290, "latency": 0.0012}}
LATE: dict[str, dict[str, float]] = {JOB: {"write_lag": 40}}
CATCH_UP: dict[str, dict[str, float]] = {
    JOB: {"write_lag": 20, "records_out": 8_000},
    POD: {"write_ops": 1_200},
    VOLUME: {"total_ops": 1_300, "latency": 0.002},
    TOPIC: {"bytes_out": 3.2e6},
}
LOAD: dict[str, dict[str, float]] = {  # half as much data again, which the pipeline cannot take
    INGRESS: {"request_rate": 800},
    RECEIVERS[0]: {"bytes_in": 1.6e6},
    RECEIVERS[1]: {"bytes_in": 1.6e6},
    TOPIC: {"bytes_in": 3.2e6, "bytes_out": 2.4e6},
    POD: {"write_ops": 900},
    VOLUME: {"total_ops": 1_000, "latency": 0.0018},
}


def both(*changes: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Several unusual things at once; None takes a signal away, and an entity without signals is silent."""
    found: dict[str, dict[str, float | None]] = {}
    for change in changes:
        for entity, signals in change.items():
            found.setdefault(entity, {}).update(signals)
    return found


def silent(*entities: str) -> dict[str, dict[str, float | None]]:
    """These entities send nothing."""
    return {entity: dict.fromkeys(USUAL[entity]) for entity in entities}


def is_late(changes: Mapping[str, float | None]) -> bool:
    """Whether a consumer group's changes make it suffer."""
    return (changes.get("lag_seconds") or 0) > 11


def payload(
    entity: str, changes: Mapping[str, float | None], affected: bool = False, young: bool = False
) -> dict[str, Any] | None:
    """An entity's signals in one window: what is usual, with changes; of a young one nothing is expected."""
    signals = []
    usual = USUAL.get(entity, {})
    for name in {**usual, **changes}:
        expected, unit = usual.get(name, (0.0, "1"))
        value = changes.get(name, expected)
        if value is None:
            continue
        spread = max(0.05 * expected, FLOORS.get(name, 0.01))
        signals.append(
            [
                name,
                unit,
                value,
                *([None] * 3 if young else [expected, spread, (value - expected) / spread]),
                60,
                "",
                0,
                [["telemetry.metrics", 0, 10, 12]],
            ]
        )
    kind = entity.partition(":")[0]
    component = COMPONENTS.get(kind, "ingestion" if "ingest/" in entity else "processor")
    if not signals:
        return None
    return {
        "entity": entity,
        "component": component,
        "type": kind,
        "affected": affected and not young,
        "signals": signals,
    }


@dataclass
class World:
    """Runs windows through `step` and keeps what comes out."""

    schedules: Mapping[str, tuple[str, str]] = field(default_factory=lambda: {BACKUP: ("40 * * * *", "UTC")})
    rules: Rules = field(default_factory=shipped_rules)
    now: int = DAY
    through_pickle: bool = False
    young: frozenset[str] = frozenset()  # entities of which there is not enough history

    def __post_init__(self) -> None:
        self.graph = Graph()
        self.book = CaseBook()
        self.findings: list[Finding] = []
        self.evidence: list[Evidence] = []
        self.alerts: list[dict[str, Any]] = []
        self.requests: list[SignalRequest] = []
        for line in RELATIONS.split("\n"):
            if line:
                source, kind, target = line.split()
                self.relate(source, kind, target, self.now - HOUR, snapshot=True)
        for entity, (expression, timezone) in self.schedules.items():
            row = {
                "id": f"cron-{entity}",
                "entity_id": entity,
                "expression": expression,
                "timezone": timezone,
                "command": "/opt/job.sh",
            }
            key = (row["id"],)
            self.graph.apply(InventoryChange("schedule", "upsert", key, row, self.now - HOUR, True))

    def relate(self, source: str, kind: str, target: str, at: int, op: Any = "upsert", snapshot: bool = False) -> None:
        """Changes a relation of the inventory."""
        row = {"from_id": source, "to_id": target, "kind": kind} if op == "upsert" else None
        self.graph.apply(InventoryChange("relation", op, (source, target, kind), row, at, snapshot))

    def text(self, changes: Mapping[str, Mapping[str, float | None]]) -> bytes:
        """A window's JSON, as the job gathers it."""
        at = self.now + MINUTE
        usual = USUAL[JOB]["write_lag"][0]
        lag = changes.get(JOB, {}).get("write_lag", usual)
        own = {name: changes.get(JOB, {}).get(name, of[0]) for name, of in USUAL[JOB].items()}
        late = payload(
            JOB,
            {**dict.fromkeys(own), "write_lag": lag},
            lag is not None and lag > max(3 * usual, usual + 10),
            JOB in self.young,
        )
        chain = [
            payload(hop.entity, {**changes.get(JOB, {}), "write_lag": None})
            if hop.entity == JOB
            else payload(hop.entity, changes.get(hop.entity, {}), is_late(changes.get(hop.entity, {})))
            for hop in self.graph.chain(JOB, at).hops
            if hop.type != "volume" and (hop.entity in USUAL or hop.entity in changes)
        ]
        victim = {"victim": JOB, "lag": [late] if late else [], "chain": [p for p in chain if p], "flow": []}
        groups = []
        for volume in (VOLUME, OTHER):
            entities = [volume, *(tenant.entity for tenant in self.graph.tenants(volume, at))]
            io = [payload(entity, changes.get(entity, {}), young=entity in self.young) for entity in entities]
            groups.append(
                {"volume": volume, "victims": [victim] if volume == VOLUME else [], "io": [p for p in io if p]}
            )
        return orjson.dumps({"groups": groups})

    def minute(self, *changes: Mapping[str, Mapping[str, float | None]]) -> Output:
        """One window in which some things are not as usual."""
        if self.through_pickle:
            self.book = pickle.loads(pickle.dumps(self.book))
        window = Window.from_json(self.now, self.now + MINUTE, self.text(both(*changes)))
        found = step(self.book, window, self.graph, self.rules)
        self.now += MINUTE
        self.findings += found.findings
        self.evidence += found.evidence
        self.alerts += found.alerts
        self.requests += found.requests
        return found

    def minutes(self, count: int, *changes: Mapping[str, Mapping[str, float | None]]) -> None:
        """The same for some windows."""
        for _ in range(count):
            self.minute(*changes)

    def until(self, hour: int, minute: int = 0) -> None:
        """Usual windows up to a time of the first day (hours go on after 24)."""
        while self.now < DAY + hour * HOUR + minute * MINUTE:
            self.minute()

    def backup_run(self) -> None:
        """A run of the backup that makes the job late: 8 minutes, felt from the second on, and 3 to catch up."""
        self.minute(BURST)
        self.minutes(7, BURST, LATE)
        self.minutes(3, CATCH_UP)

    def latest(self, kind: str | None = None) -> list[Finding]:
        """The latest revision of each finding, of one kind or of all."""
        last = {finding.finding_id: finding for finding in self.findings}
        return [finding for finding in last.values() if kind in (None, finding.kind)]

    def only(self, kind: str) -> Finding:
        """The one finding of that kind."""
        (found,) = self.latest(kind)
        return found

    def heard(self, finding: Finding) -> dict[tuple[str, str], Evidence]:
        """The evidence of the finding's latest revision, by entity and signal."""
        rows = [row for row in self.evidence if row.finding_id == finding.finding_id]
        last = max(row.revision for row in rows)
        return {(row.entity, row.signal): row for row in rows if row.revision == last}

    def verdicts(self, finding: Finding) -> dict[str, str]:
        """Verdict by entity."""
        return {entity: row.verdict for (entity, _), row in reversed(self.heard(finding).items())}


def at(hour: int, minute: int = 0) -> int:
    """A time of the first day in epoch ms."""
    return DAY + hour * HOUR + minute * MINUTE


def shares(rows: Iterable[Evidence]) -> dict[str, float]:
    """Shares by entity."""
    return {row.entity: row.share for row in rows if row.share is not None}
