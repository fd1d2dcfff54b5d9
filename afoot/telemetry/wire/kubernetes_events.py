"""Kubernetes Events as log records: bare, as a list, as a watch's {"type", "object"}, or as Fluent Bit sends them.

They are of core/v1 or of events.k8s.io/v1, which names some fields otherwise. The time is lastTimestamp
(deprecatedLastTimestamp), else series.lastObservedTime, else eventTime, else metadata.creationTimestamp. An event that
was DELETED has only expired, so it gives no row; each other change of an event is a record. A watch's BOOKMARK says
only how far it has come. The text may be left out, and is then empty.

Kind inventory reads other objects as well: pods, claims, volumes, nodes, and what pods are made by.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry import kubernetes, logs, statements
from afoot.telemetry.collected import UNREADABLE, Collected, each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import Malformed, body, label, rfc3339_ns, short

KINDS = ("logs", "inventory")
OPTIONS = statements.OPTIONS
_FORMAT = "kubernetes_events"
_TIMES = (
    ("lastTimestamp",),
    ("deprecatedLastTimestamp",),
    ("series", "lastObservedTime"),
    ("eventTime",),
    ("metadata", "creationTimestamp"),
)
_OBJECTS = "involvedObject", "regarding"  # what an event is about, in core/v1 and in events.k8s.io/v1
_BY_KIND = {"Pod": "pod", "Deployment": "deployment", "Node": "host.name", "Ingress": "ingress"}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of Kubernetes Events."""
    cache = LabelCache()
    settings = statements.Settings(_FORMAT, kind, options)
    if kind == "inventory":
        return lambda message: _inventory(message, settings)

    def read(sent: dict[str, Any]) -> LogRecord | None:
        event = sent
        if isinstance(sent.get("object"), dict):
            event = sent["object"]
            if sent.get("type") in ("DELETED", "BOOKMARK"):
                return None
        about = next((name for name in _OBJECTS if isinstance(event.get(name), dict)), None)
        if about is None:
            raise Malformed(f"{_OBJECTS[0]} is missing; an Event of core/v1 or events.k8s.io/v1 is expected")
        text = event.get("note" if about == "regarding" else "message")
        return LogRecord(
            rfc3339_ns(logs.first(event, *_TIMES), "lastTimestamp"),
            short(event.get("type"), "type"),
            body(label(text)),
            logs.labels(event, _paths(event, about), cache),
        )

    def decode(message: Message) -> Decoded:
        return each(_events(documents(message, _FORMAT)), _FORMAT, "event", read)

    return decode


def _inventory(message: Message, settings: statements.Settings) -> Decoded:
    """Statements of the message's own time, where the object does not tell a better one."""
    collected = Collected(_FORMAT)
    found = _events(documents(message, _FORMAT), lists=False)
    collected.check(len(found))
    for index, one in enumerate(found):
        listed = kubernetes.objects(one) if isinstance(one, dict) else iter([("", one)])
        for place, (happened, item) in enumerate(listed):
            try:
                labels = one if isinstance(one, dict) else {}
                collected.rows += kubernetes.object_changes(happened, item, message.timestamp_ms, settings, labels)
                collected.check()
            except UNREADABLE as error:
                collected.refuse(f"object {index + place}", error, item)
    return collected.decoded()


def _paths(event: dict[str, Any], about: str) -> dict[str, logs.Path]:
    own = _BY_KIND.get(label(event[about].get("kind")))
    paths: dict[str, logs.Path] = {
        "namespace": (about, "namespace"),
        "k8s.object.kind": (about, "kind"),
        "k8s.object.name": (about, "name"),
        "k8s.event.reason": ("reason",),
        "host.name": ("source" if about == "involvedObject" else "deprecatedSource", "host"),
    }
    return {**paths, own: (about, "name")} if own else paths


def _events(found: list[Any], lists: bool = True) -> list[Any]:
    if (
        len(found) == 2 and isinstance(found[0], float | int) and isinstance(found[1], dict)
    ):  # Fluent Bit's [time, event]
        return found[1:]
    if lists and len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("items"), list):
        items: list[Any] = found[0]["items"]
        return items
    return found
