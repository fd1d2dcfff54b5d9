"""The inventory as Debezium sends it: a first snapshot, changes in commit order, heartbeats, tombstones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from afoot.simulate.capture import Record
from afoot.simulate.world import Change, World, entity, relation

TOPIC = "inventory"
KEYS = {"entity": ("id",), "relation": ("from_id", "to_id", "kind"), "schedule": ("id",), "heartbeat": ("id",)}
Table = str
Row = dict[str, Any]


def rows(world: World) -> list[tuple[Table, Row]]:
    """All rows of the inventory at the beginning, the chain of each pipeline among them."""
    entities: list[Row] = []
    relations: list[Row] = []
    attachments = {load.entity: load.homes[0][1] for load in world.loads}

    for name, address in world.nodes:
        entities.append(entity(f"node:{name}", "compute", {"address": address}))
    for broker in world.brokers:
        entities.append(entity(f"broker:{broker}", "broker"))
    for volume in world.volumes:
        entities.append(entity(volume.id, "storage", volume.attributes))
    for pipeline in world.pipelines:
        ingress = f"ingress:{'/'.join(pipeline.ingress)}"
        deployment = f"deployment:{'/'.join(pipeline.deployment)}"
        topic, job, group = f"topic:{pipeline.topic}", pipeline.victim, f"consumer_group:{pipeline.group}"
        entities += [
            entity(ingress, "router", {"address": pipeline.address}),
            entity(deployment, "ingestion"),
            entity(topic, "broker", {"partitions": pipeline.topic_partitions}),
            entity(group, "service"),
            entity(job, "processor", pipeline.job_attributes),
        ]
        relations += [
            relation(ingress, deployment, "sends_to"),
            relation(deployment, topic, "writes"),
            relation(job, topic, "reads"),
            relation(group, job, "part_of"),
        ]
        relations += [relation(f"broker:{broker}", topic, "owns") for broker in world.brokers]
        for pod in pipeline.receivers:
            entities.append(entity(pod.id, "ingestion", {"address": pod.address}))
            relations.append(relation(pod.id, deployment, "part_of"))
            relations.append(relation(pod.id, f"node:{world.nodes[pod.node][0]}", "runs_on"))
        for pod in pipeline.workers:
            entities.append(entity(pod.id, "processor", {"address": pod.address}))
            relations.append(relation(pod.id, job, "part_of"))
    for workload in world.workloads:
        deployment = f"deployment:{'/'.join(workload.deployment)}"
        entities.append(entity(deployment, "service"))
        for pod in workload.pods:
            entities.append(entity(pod.id, "service", {"address": pod.address}))
            relations.append(relation(pod.id, deployment, "part_of"))
    users = [(pipeline.claim, pipeline.workers) for pipeline in world.pipelines]
    users += [(workload.claim, workload.pods) for workload in world.workloads]
    for claim, pods in users:
        claim_id, backing_id = f"claim:{claim.namespace}/{claim.name}", f"persistent_volume:{claim.persistent_volume}"
        entities += [entity(claim_id, "storage"), entity(backing_id, "storage")]
        relations += [
            relation(claim_id, backing_id, "bound_to"),
            relation(backing_id, world.volumes[claim.volume].id, "backed_by"),
        ]
        for pod in pods:
            relations.append(relation(pod.id, f"node:{world.nodes[pod.node][0]}", "runs_on"))
            relations.append(relation(pod.id, claim_id, "mounts"))
    for machine in world.machines:
        entities.append(entity(machine.id, "compute", machine.attributes))
        relations.append(relation(machine.id, world.volumes[attachments[machine.id]].id, "attached_to"))
    schedules = [
        {
            "id": schedule.id,
            "entity_id": schedule.entity,
            "expression": schedule.expression,
            "timezone": schedule.timezone,
            "command": schedule.command,
        }
        for schedule in world.schedules
        if schedule.id not in world.late_schedules
    ]
    return (
        [("entity", row) for row in entities]
        + [("relation", row) for row in relations]
        + [("schedule", row) for row in schedules]
    )


def _text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def envelope(
    table: Table,
    after: Row | None,
    op: str,
    time_ms: int,
    *,
    before: Row | None = None,
    snapshot: str = "false",
    read_ms: int | None = None,
    lsn: int = 22_265_200,
    transaction: int = 758,
    microseconds: int = 0,
) -> bytes:
    """The value of a message, as Debezium writes it for a row of `table` committed at `time_ms`."""
    stamp_us = time_ms * 1000 + microseconds
    source = {
        "version": "3.7.0.Final",
        "connector": "postgresql",
        "name": "cmdb",
        "ts_ms": time_ms,
        "snapshot": snapshot,
        "db": "cmdb",
        "sequence": f'["{lsn - 56}","{lsn}"]',
        "ts_us": stamp_us,
        "ts_ns": stamp_us * 1000,
        "schema": "inventory",
        "table": table,
        "txId": transaction,
        "lsn": lsn,
        "xmin": None,
        "origin": None,
        "origin_lsn": None,
    }
    read_ms = time_ms + 180 if read_ms is None else read_ms
    found = {"before": before, "after": after, "source": source, "transaction": None, "op": op, "ts_ms": read_ms}
    return orjson.dumps(found)


class _Log:
    """Writes envelopes with growing positions, as the connector reads them from the database's log."""

    def __init__(self, world: World) -> None:
        self._rng = world.rng("inventory")
        self._pause = world.style.connector_pause_s
        self._lsn = int(self._rng.integers(10_000_000, 90_000_000))
        self._transaction = int(self._rng.integers(700, 90_000))
        self._sent_ms = 0
        self._held_until_ms = 0
        self.records: list[Record] = []

    def hold(self, from_ms: int) -> None:
        """Stops the connector for the seed's pause: what is committed meanwhile arrives after it, in order."""
        self._held_until_ms = from_ms + int(self._pause * 1000)

    def begin(self) -> None:
        """Starts a transaction."""
        self._transaction += 1

    def write(self, table: Table, key: Row, after: Row | None, op: str, time_ms: int, snapshot: str = "false") -> None:
        """Adds one envelope, and the tombstone after a delete."""
        self._lsn += int(self._rng.integers(48, 300))
        before = None
        if op == "d":  # the default replica identity: the key, and nothing of the other columns
            blank = {"entity": ["type", "name", "component", "attributes"], "relation": [], "schedule": ["entity_id"]}
            before = {**key, **dict.fromkeys(blank[table]), "updated_at": "1970-01-01T00:00:00.000000Z"}
        read_ms = time_ms + int(self._rng.integers(80, 900))
        body = envelope(
            table,
            after,
            op,
            time_ms,
            before=before,
            snapshot=snapshot,
            read_ms=read_ms,
            lsn=self._lsn,
            transaction=self._transaction,
            microseconds=int(self._rng.integers(1000)),
        )
        sent_ms = read_ms + int(self._rng.integers(50, 600))
        self._sent_ms = max(self._sent_ms, sent_ms, self._held_until_ms if time_ms < self._held_until_ms else 0)
        encoded = orjson.dumps(key)
        self.records.append(Record(TOPIC, 0, time_ms, time_ms, self._sent_ms, encoded, body))
        if op == "d":
            self.records.append(Record(TOPIC, 0, time_ms, time_ms, self._sent_ms, encoded, None))


def records(world: World) -> list[Record]:
    """All messages of the topic, in commit order."""
    log = _Log(world)
    start_ms = world.start_s * 1000
    snapshot_ms = start_ms + int(world.style.snapshot_after_start_s * 1000)
    first = rows(world)
    snapshot = [*first, ("heartbeat", {"id": 1})]
    log.begin()
    for number, (table, row) in enumerate(snapshot):
        stamp = "at" if table == "heartbeat" else "updated_at"
        after = {**row, stamp: _text(snapshot_ms - 86_400_000)}
        place = "first" if number == 0 else "last" if number == len(snapshot) - 1 else "true"
        log.write(table, {name: row[name] for name in KEYS[table]}, after, "r", snapshot_ms, place)

    events: list[tuple[int, Change | None]] = [
        (start_ms + round(change.at_s * 1000), change) for change in world.changes
    ]
    beat_ms = int(world.style.heartbeat_s * 1000)
    events += [(at, None) for at in range(snapshot_ms + beat_ms, start_ms + world.seconds * 1000, beat_ms)]
    known = {(table, tuple(row[name] for name in KEYS[table])) for table, row in first}
    for at, change in sorted(events, key=lambda event: (event[0], event[1] is None)):
        log.begin()
        if change is None:
            log.write("heartbeat", {"id": 1}, {"id": 1, "at": _text(at)}, "u", at)
            continue
        log.hold(at)
        for table, row in change.deletes:
            key = {name: row[name] for name in KEYS[table]}
            known.discard((table, tuple(key.values())))
            log.write(table, key, None, "d", at)
        for table, row in change.upserts:
            key = {name: row[name] for name in KEYS[table]}
            op = "u" if (table, tuple(key.values())) in known else "c"
            known.add((table, tuple(key.values())))
            log.write(table, key, {**row, "updated_at": _text(at)}, op, at)
    return log.records
