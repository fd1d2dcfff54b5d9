"""An inventory as senders state it that say again and again what is there: entity events, series, Kubernetes' objects.

What such a sender cannot say (topics, jobs, machines) goes on as it was simulated, beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from afoot.telemetry.rows import InventoryChange

FORMATS = ("otlp_json", "otlp_proto", "prometheus_kafka_adapter", "kubernetes_events")
EVERY_MS = {  # how often a sender says all that it knows
    "otlp_json": 60_000,
    "otlp_proto": 60_000,
    "prometheus_kafka_adapter": 30_000,
    "kubernetes_events": 3_600_000,
}
_KINDS = {"pod": "Pod", "claim": "PersistentVolumeClaim", "persistent_volume": "PersistentVolume", "node": "Node"}
_OF_KUBERNETES = {  # relations by the types of their ends; of a pod's owners a deployment only
    ("pod", "runs_on", "node"),
    ("pod", "mounts", "claim"),
    ("pod", "part_of", "deployment"),
    ("claim", "bound_to", "persistent_volume"),
    ("persistent_volume", "backed_by", "volume"),
}


class Stated:
    """What a sender knows, kept as changes come; and its messages, as values, in one format."""

    def __init__(self, format_name: str) -> None:
        self._format = format_name
        self._entities: dict[str, dict[str, Any]] = {}
        self._relations: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        self._schedules: dict[str, dict[str, Any]] = {}
        self._said_ms: int | None = None

    def says(self, change: InventoryChange) -> bool:
        """Whether a change is this sender's to tell."""
        if self._format in ("otlp_json", "otlp_proto"):
            return change.table != "heartbeat"
        types = [end.partition(":")[0] for end in change.key]
        if change.table == "entity":
            return types[0] in _KINDS
        return change.table == "relation" and (types[0], change.key[2], types[1]) in _OF_KUBERNETES

    def take(self, change: InventoryChange) -> list[bytes]:
        """Keeps a change; the messages that tell it at once, once everything has been said."""
        first = change.key[0]
        gone = change.op == "delete"
        known = first in self._entities or bool(self._relations[first])
        if change.table == "relation":
            relations = self._relations[first]
            relations.pop(change.key[1:], None) if gone else relations.setdefault(change.key[1:])  # type: ignore[arg-type, call-overload]
        else:
            rows = self._entities if change.table == "entity" else self._schedules
            if gone:
                rows.pop(first, None)
            else:
                rows[first] = dict(change.row or {})
        if self._said_ms is None or self._format == "prometheus_kafka_adapter":
            return []
        if self._format == "kubernetes_events":
            if first not in self._entities and not gone:
                return []
            happened = "DELETED" if gone and change.table == "entity" else "MODIFIED" if known else "ADDED"
            return [orjson.dumps({"type": happened, "object": self._object(first, change.time_ms)})]
        if gone and change.table != "relation":
            return [self._logs([_event(change.table, first, change.time_ms, None)])]
        if change.table == "schedule":
            return [self._logs([_event("schedule", first, change.time_ms, self._schedules[first])])]
        return [self._logs([self._state(first, change.time_ms)])]

    def due(self, at_ms: int) -> list[bytes]:
        """All that is known, where it is time to say it."""
        if self._said_ms is not None and at_ms - self._said_ms < EVERY_MS[self._format]:
            return []
        self._said_ms = at_ms
        if self._format == "prometheus_kafka_adapter":
            return [orjson.dumps(list(self._series(at_ms)))]
        if self._format == "kubernetes_events":
            return [orjson.dumps([self._object(entity, at_ms) for entity in self._entities])]
        subjects = dict.fromkeys((*self._entities, *(name for name, some in self._relations.items() if some)))
        states = [self._state(entity, at_ms) for entity in subjects]
        runs = [_event("schedule", name, at_ms, row) for name, row in self._schedules.items()]
        return [self._logs([*states, *runs])]

    # ---- entity events ---------------------------------------------------------------------------------------------

    def _state(self, entity: str, at_ms: int) -> dict[str, Any]:
        row = self._entities.get(entity, {})
        described: dict[str, Any] = {key: row[key] for key in ("name", "component") if row.get(key)}
        attributes = _attributes(row)
        described |= {key: attributes[key] for key in ("match", "address") if key in attributes}
        return _event("entity", entity, at_ms, described, self._relations[entity])

    def _logs(self, records: Sequence[dict[str, Any]]) -> bytes:
        document = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]})
        if self._format == "otlp_json":
            return document
        return bytes(Parse(document, ExportLogsServiceRequest()).SerializeToString())

    # ---- kube-state-metrics ----------------------------------------------------------------------------------------

    def _series(self, at_ms: int) -> Iterable[dict[str, Any]]:
        def one(name: str, **labels: str) -> dict[str, Any]:
            sent = {"__name__": name, "job": "kube-state-metrics", **labels}
            return {"value": "1", "timestamp": _text(at_ms), "name": name, "labels": sent}

        replica_sets: dict[str, str] = {}
        for entity, row in self._entities.items():
            type_, namespace, name = _parts(entity)
            ends = {kind: _parts(end) for end, kind in self._relations[entity]}
            address = _attributes(row).get("address", "")
            if type_ == "pod":
                node = ends.get("runs_on", ("", "", ""))[2]
                uid = f"uid-{namespace}-{name}"
                yield one("kube_pod_info", namespace=namespace, pod=name, node=node, pod_ip=address, uid=uid)
                for end, kind in self._relations[entity]:
                    target = _parts(end)
                    if kind == "mounts":
                        mounted = "kube_pod_spec_volumes_persistentvolumeclaims_info"
                        yield one(mounted, namespace=namespace, pod=name, persistentvolumeclaim=target[2], uid=uid)
                    elif kind == "part_of":
                        replicas = f"{target[2]}-5d8f"
                        replica_sets[f"{target[1]}/{replicas}"] = target[2]
                        owner = {"owner_kind": "ReplicaSet", "owner_name": replicas}
                        yield one("kube_pod_owner", namespace=namespace, pod=name, **owner)
            elif type_ == "claim":
                volume = ends.get("bound_to", ("", "", ""))[2]
                labels = {"namespace": namespace, "persistentvolumeclaim": name, "volumename": volume}
                yield one("kube_persistentvolumeclaim_info", **labels)
            elif type_ == "persistent_volume":
                handle = _handle(self._relations[entity])
                yield one("kube_persistentvolume_info", persistentvolume=name, csi_volume_handle=handle)
            else:
                yield one("kube_node_info", node=name, internal_ip=address)
        for replicas, deployment in replica_sets.items():
            namespace, _, name = replicas.partition("/")
            owner = {"owner_kind": "Deployment", "owner_name": deployment}
            yield one("kube_replicaset_owner", namespace=namespace, replicaset=name, **owner)

    # ---- objects ---------------------------------------------------------------------------------------------------

    def _object(self, entity: str, at_ms: int) -> dict[str, Any]:
        type_, namespace, name = _parts(entity)
        row, relations = self._entities.get(entity, {}), self._relations[entity]
        meta: dict[str, Any] = {"name": name, "uid": f"uid-{namespace}-{name}", "creationTimestamp": _text(at_ms)}
        if namespace:
            meta["namespace"] = namespace
        spec: dict[str, Any] = {}
        status: dict[str, Any] = {}
        address = _attributes(row).get("address")
        for end, kind in relations:
            target = _parts(end)[2]
            if kind == "runs_on":
                spec["nodeName"] = target
            elif kind == "mounts":
                claimed = {"name": target, "persistentVolumeClaim": {"claimName": target}}
                spec.setdefault("volumes", []).append(claimed)
            elif kind == "part_of":
                meta.setdefault("ownerReferences", []).append({"kind": "Deployment", "name": target})
            elif kind == "bound_to":
                spec["volumeName"] = target
            elif kind == "backed_by":
                spec["csi"] = {"driver": "csi.example.org", "volumeHandle": _handle(relations)}
        if type_ == "pod" and address:
            status["podIP"] = address
        elif address:
            status["addresses"] = [{"type": "InternalIP", "address": address}]
        return {"kind": _KINDS[type_], "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}


def _event(
    table: str,
    entity: str,
    at_ms: int,
    described: dict[str, Any] | None,
    relations: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    type_, identity = ("schedule", entity) if table == "schedule" else (entity.partition(":")[0], entity)
    attributes: dict[str, Any] = {"entity.type": type_, "entity.id": {"id": identity.removeprefix(f"{type_}:")}}
    if described is not None:
        attributes |= {
            "entity.description": described,
            "entity.report.interval": EVERY_MS["otlp_json"] // 1_000,
            "entity.relationships": [
                {
                    "relationship.type": "scheduled_on" if kind == "runs_on" else kind,
                    "entity.type": end.partition(":")[0],
                    "entity.id": {"id": end.partition(":")[2]},
                }
                for end, kind in relations
            ],
        }
    return {
        "timeUnixNano": str(at_ms * 1_000_000),
        "eventName": "entity.delete" if described is None else "entity.state",
        "attributes": [{"key": key, "value": _value(found)} for key, found in attributes.items()],
    }


def _value(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": _value(one)} for key, one in found.items()]}}
    if isinstance(found, list):
        return {"arrayValue": {"values": [_value(one) for one in found]}}
    return {"intValue": str(found)} if isinstance(found, int) else {"stringValue": str(found)}


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    found = row.get("attributes") or {}
    parsed: dict[str, Any] = orjson.loads(found) if isinstance(found, str) else found
    return parsed


def _handle(relations: Iterable[tuple[str, str]]) -> str:
    return next((end.partition(":")[2] for end, kind in relations if kind == "backed_by"), "")


def _parts(entity: str) -> tuple[str, str, str]:
    type_, _, rest = entity.partition(":")
    namespace, _, name = rest.rpartition("/")
    return type_, namespace, name


def _text(time_ms: int) -> str:
    """RFC 3339 of whole seconds, as both the adapter and Kubernetes write it."""
    return datetime.fromtimestamp(time_ms // 1_000, UTC).isoformat().replace("+00:00", "Z")


def seeds(format_name: str, changes: Sequence[InventoryChange]) -> list[bytes]:
    """Messages of a format that say what some changes do."""
    stated = Stated(format_name)
    found: list[bytes] = []
    for change in changes:
        if stated.says(change):
            found += stated.take(change)
    found += stated.due(changes[-1].time_ms)
    for change in changes:
        if stated.says(change):
            found += stated.take(change)
    return found + stated.due(changes[-1].time_ms + max(EVERY_MS.values()))
