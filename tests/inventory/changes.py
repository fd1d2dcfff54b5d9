"""Short ways to write inventory changes."""

from __future__ import annotations

from typing import Any

from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange

MINUTE = 60_000

MAIN_CASE = """
ingress:edge/nginx          sends_to     deployment:ingest/receiver
pod:ingest/receiver-1       part_of      deployment:ingest/receiver
deployment:ingest/receiver  writes       topic:telemetry
broker:kafka-0              owns         topic:telemetry
job:enricher                reads        topic:telemetry
consumer_group:enricher     part_of      job:enricher
pod:streaming/tm-0          part_of      job:enricher
pod:streaming/tm-0          runs_on      node:ip-10-0-0-12
pod:streaming/tm-0          mounts       claim:streaming/flink-data
claim:streaming/flink-data  bound_to     persistent_volume:pv-1
persistent_volume:pv-1      backed_by    volume:svm1/flexvol7
vm:frosa-system-backup      attached_to  volume:svm1/flexvol7
"""
VOLUME = "volume:svm1/flexvol7"
BACKUP = "vm:frosa-system-backup"
JOB = "job:enricher"


def entity(entity_id: str, time_ms: int = 0, *, snapshot: bool = False, **columns: Any) -> InventoryChange:
    return InventoryChange("entity", "upsert", (entity_id,), {"id": entity_id, **columns}, time_ms, snapshot)


def relation(
    from_id: str, kind: str, to_id: str, time_ms: int = 0, *, snapshot: bool = False, op: Any = "upsert"
) -> InventoryChange:
    row = {"from_id": from_id, "to_id": to_id, "kind": kind} if op == "upsert" else None
    return InventoryChange("relation", op, (from_id, to_id, kind), row, time_ms, snapshot)


def schedule(
    schedule_id: str, entity_id: str, expression: str, time_ms: int = 0, *, snapshot: bool = False, **columns: Any
) -> InventoryChange:
    row = {"id": schedule_id, "entity_id": entity_id, "expression": expression, "timezone": "UTC", **columns}
    return InventoryChange("schedule", "upsert", (schedule_id,), row, time_ms, snapshot)


def deleted(table: str, *key: str, at: int) -> InventoryChange:
    return InventoryChange(table, "delete", key, None, at)


def heartbeat(time_ms: int) -> InventoryChange:
    return InventoryChange("heartbeat", "heartbeat", ("1",), {"id": "1"}, time_ms)


def truncate(table: str, time_ms: int) -> InventoryChange:
    return InventoryChange(table, "truncate", (), None, time_ms)


def relations(text: str, time_ms: int = 0, *, snapshot: bool = True) -> list[InventoryChange]:
    """A line each: from, kind, to."""
    words = [line.split() for line in text.strip().splitlines()]
    return [relation(from_id, kind, to_id, time_ms, snapshot=snapshot) for from_id, kind, to_id in words]


def graph(*changes: InventoryChange) -> Graph:
    made = Graph()
    for change in changes:
        made.apply(change)
    return made


def main_case(*changes: InventoryChange) -> Graph:
    """The main case as a first snapshot, then the changes."""
    return graph(*relations(MAIN_CASE), *changes)


def tenant_ids(made: Graph, volume: str, at_ms: int) -> list[str]:
    return [tenant.entity for tenant in made.tenants(volume, at_ms)]
