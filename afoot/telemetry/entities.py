"""OpenTelemetry's entity events as rows of the inventory: entity.state and entity.delete, and their older form.

An entity's id is made of what its event identifies it by. Of Kubernetes' that is a uid, which no other source knows:
such an entity is `known_as` the id that its names give, where its description has them. Types and relationships that
afoot has no word for are kept by their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afoot.telemetry.payload import shown
from afoot.telemetry.rows import InventoryChange
from afoot.telemetry.statements import Settings, Statement
from afoot.telemetry.values import Malformed, Refused, integer, label, name

STATE, DELETE = "entity.state", "entity.delete"
MISSED = 3  # reports that may fail to come before an entity is taken to be gone
_LEGACY = {"entity_state": STATE, "entity_delete": DELETE}
_TYPES = {
    "host": "vm",
    "k8s.pod": "pod",
    "k8s.node": "node",
    "k8s.deployment": "deployment",
    "k8s.replicaset": "replicaset",
    "k8s.statefulset": "statefulset",
    "k8s.daemonset": "daemonset",
    "k8s.job": "batch_job",
    "k8s.cronjob": "cronjob",
    "k8s.service": "service",
    "k8s.persistentvolumeclaim": "claim",
    "k8s.persistentvolume": "persistent_volume",
}
_KINDS = {"scheduled_on": "runs_on"}  # relationships by afoot's words; others as they are
_CLUSTER_WIDE = ("k8s.node", "k8s.persistentvolume")  # types without a namespace
_NAMESPACES = ("namespace", "k8s.namespace.name", "service.namespace")
# What the Collector's k8s_cluster receiver says of a pod among its description: its node, and what it is part of.
_OWNED_BY = {
    f"k8s.{kind}.name": type_
    for kind, type_ in (
        ("deployment", "deployment"),
        ("statefulset", "statefulset"),
        ("daemonset", "daemonset"),
        ("cronjob", "cronjob"),
        ("job", "batch_job"),
    )
}


def is_event(event_name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a log record is an entity event."""
    return event_name in (STATE, DELETE) or "otel.entity.event.type" in attributes


def changes(
    event_name: str, attributes: Mapping[str, Any], resource: Mapping[str, Any], time_ms: int, settings: Settings
) -> list[InventoryChange]:
    """The rows of one entity event; Refused if it does not say which entity it is of."""
    prefix = "entity" if event_name in (STATE, DELETE) else "otel.entity"
    happened = event_name
    if prefix == "otel.entity":
        sent = attributes.get("otel.entity.event.type")
        happened = _LEGACY.get(sent, "") if type(sent) is str else ""
        if not happened:
            raise Malformed(f"otel.entity.event.type is {shown(sent)}; {' and '.join(_LEGACY)} are known")
    identity = _map(attributes, f"{prefix}.id")
    if not identity:
        raise Malformed(f"{prefix}.id is missing; it tells which entity it is")
    type_ = attributes.get(f"{prefix}.type")
    if type_ is None and len(identity) == 1:  # older deletions have an id only
        type_ = next(iter(identity)).rpartition(".")[0]
    type_ = name(type_, f"{prefix}.type")
    described = _map(attributes, f"{prefix}.{'description' if prefix == 'entity' else 'attributes'}")
    cluster = settings.cluster_of({**resource, **described})
    holds_ms = None if happened == DELETE else settings.expires_ms or _holds_ms(attributes, prefix)
    said = Statement(time_ms, " ".join(part for part in ("entities", cluster) if part), holds_ms, cluster)
    own = _id(said, type_, identity)
    if type_ == "schedule":
        _schedule(said, happened, own, described)
    elif happened == DELETE:
        said.gone("entity", id=own)
    else:
        _state(said, own, type_, identity, described, {**resource, **described}, attributes)
    return said.rows


def _state(
    said: Statement,
    own: str,
    type_: str,
    identity: dict[str, str],
    described: dict[str, Any],
    around: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> None:
    relations = []
    for sent in _list(attributes, "entity.relationships"):
        if not isinstance(sent, dict):
            raise Malformed(f"a relationship is {shown(sent)}; a map is expected")
        kind = name(sent.get("relationship.type", sent.get("type")), "relationship.type")
        target = _id(said, name(sent.get("entity.type"), "a relationship's entity.type"), _map(sent, "entity.id"))
        relations.append((target, _KINDS.get(kind, kind)))
    columns: dict[str, str] = {}
    if type_.startswith("k8s."):
        called = described.get(f"{type_}.name", identity.get(f"{type_}.name"))
        namespace = "" if type_ in _CLUSTER_WIDE else label(_first(around, _NAMESPACES))
        if type(called) is str and called and (namespace or type_ in _CLUSTER_WIDE):
            columns["known_as"] = said.id(own.partition(":")[0], namespace, called)
        if type_ == "k8s.pod":
            relations += _of_pod(said, namespace, described)
        own_name = called if type(called) is str and called else own.rpartition("/")[2]
        match = [identity]
        if type_ == "k8s.cronjob" and described.get("schedule"):
            said.schedule(own, label(described["schedule"]), "UTC")
    else:
        named = described.get("name", described.get(f"{type_}.name", identity.get(f"{type_}.name")))
        own_name = named if type(named) is str and named else own.partition(":")[2].rpartition("/")[2]
        stated = described.get("match")
        match = stated if isinstance(stated, list) else [identity]
        component = described.get("component")
        if type(component) is str:
            columns["component"] = component
    found: dict[str, Any] = {"match": match}
    for key in ("address", "addresses"):
        if key in described:
            found["address"] = described[key]
    said.entity(own, own_name, found, relations, **columns)


def _of_pod(said: Statement, namespace: str, described: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    node = described.get("k8s.node.name")
    if type(node) is str and node:
        found.append((said.id("node", node), "runs_on"))
    for key, owner in _OWNED_BY.items():
        called = described.get(key)
        if namespace and type(called) is str and called:
            found.append((said.id(owner, namespace, called), "part_of"))
    return found


def _schedule(said: Statement, happened: str, own: str, described: Mapping[str, Any]) -> None:
    """A row of the table of schedules, for senders that have no other way to say it; its id is without the type."""
    schedule = own.partition(":")[2]
    if happened == DELETE:
        said.gone("schedule", id=schedule)
        return
    said.schedule(
        label(described.get("entity_id")),
        label(described.get("expression")),
        label(described.get("timezone")),
        label(described.get("command")),
        schedule,
    )


def _id(said: Statement, type_: str, identity: Mapping[str, str]) -> str:
    """The id of what an event identifies: by the namespace, then the other values in the order of their names."""
    if not identity:
        raise Malformed(f"the entity.id of a {type_} is empty; it must have an attribute")
    if ":" in type_ or "/" in type_:
        raise Refused(f"entity type {shown(type_)} has : or / in it, which part an id")
    own = _TYPES.get(type_, type_)
    if type_.startswith("k8s.") and f"{type_}.uid" in identity:
        return f"{own}:uid/{identity[f'{type_}.uid']}"
    parts = [identity[key] for key in sorted(identity, key=lambda key: (key not in _NAMESPACES, key))]
    return said.id(own, *parts)


def _holds_ms(attributes: Mapping[str, Any], prefix: str) -> int | None:
    """How long an entity's state holds: some reports, of which seconds or, in the older form, milliseconds are told."""
    key, unit = ("entity.report.interval", 1_000) if prefix == "entity" else ("otel.entity.interval", 1)
    sent = attributes.get(key)
    interval = 0 if sent is None else integer(sent, key)
    if interval < 0 or interval > 366 * 86_400_000:
        raise Refused(f"{key} is {interval}; 0 up to a year is allowed")
    return interval * unit * MISSED or None


def _map(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    sent = found.get(key)
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise Malformed(f"{key} is {shown(sent)}; a map is expected")
    if key.endswith(".id"):
        return {attribute: name(label(value), f"{key}'s {attribute}") for attribute, value in sent.items()}
    return sent


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    sent = found.get(key)
    if sent is None:
        return []
    if not isinstance(sent, list):
        raise Malformed(f"{key} is {shown(sent)}; an array is expected")
    return sent


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((found[key] for key in names if found.get(key)), "")
