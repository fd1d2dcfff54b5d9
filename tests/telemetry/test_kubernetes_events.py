"""Kubernetes Events, by the API's description of core/v1 Event."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from afoot.telemetry import limits
from afoot.telemetry.rows import LogRecord
from tests.telemetry import support
from tests.telemetry.support import as_json, labels, sample

# The format has two kinds; this file is about the first.
rows = functools.partial(support.rows, kind="logs")
dead = functools.partial(support.dead, kind="logs")
decode = functools.partial(support.decode, kind="logs")

TIME = 1_554_141_513_598_656_000


def test_an_event_with_its_last_time() -> None:
    (found,) = rows("kubernetes_events", sample("k8s-events/eventlist_v1_with_lastTimestamp.json"))
    assert found == LogRecord(
        1_703_410_191_000_000_000,  # 2023-12-24T09:29:51Z
        "Normal",
        "minikube_31f5cdfb-29b0-4f84-9f9c-585088e9235f stopped leading",
        labels(k8s__object__kind="Endpoints", k8s__event__reason="LeaderElection"),
    )


def test_an_event_with_the_time_that_it_was_first_seen() -> None:
    (found,) = rows("kubernetes_events", sample("k8s-events/eventlist_v1_with_creationTimestamp.json"))
    pod = "fluent-bit-78945dccd8-2g7qg"
    assert found == LogRecord(
        1_703_425_036_335_172_000,  # eventTime 2023-12-24T13:37:16.335172Z
        "Warning",
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
        "1 No preemption victims found for incoming pod..",
        labels(
            namespace="default",
            pod=pod,
            k8s__object__kind="Pod",
            k8s__object__name=pod,
            k8s__event__reason="FailedScheduling",
        ),
    )


def test_an_event_of_a_watch() -> None:
    message = sample("k8s-events/watch_v1_with_lastTimestamp.json")
    (found,) = rows("kubernetes_events", message)
    pod = "fluent-bit-78945dccd8-hvr55"
    assert found == LogRecord(
        1_722_451_635_000_000_000,  # lastTimestamp 2024-07-31T18:47:15Z
        "Warning",
        'MountVolume.SetUp failed for volume "config-volume" : configmap "fluent-bit-config" not found',
        labels(
            namespace="default",
            pod=pod,
            k8s__object__kind="Pod",
            k8s__object__name=pod,
            k8s__event__reason="FailedMount",
            host__name="minikube",
        ),
    )
    expired = {**json.loads(message), "type": "DELETED"}
    assert rows("kubernetes_events", as_json(expired)) == []


def test_events_of_a_list_and_of_other_objects() -> None:
    def event(kind: str, **times: Any) -> dict[str, Any]:
        named = {"kind": kind, "name": "x", "namespace": "ns"}
        return {"involvedObject": named, "message": "m", "reason": "r", "type": "Normal", **times}

    listed = {
        "kind": "EventList",
        "items": [
            event("Deployment", lastTimestamp=None, series={"lastObservedTime": "2019-04-01T17:58:33.598656Z"}),
            event("Node", metadata={"creationTimestamp": "2019-04-01T17:58:33Z"}),
        ],
    }
    deployment, node = rows("kubernetes_events", as_json(listed))
    assert (deployment.time_ns, deployment.labels.mapping["deployment"]) == (TIME, "x")
    assert (node.time_ns, node.labels.mapping["host.name"]) == (1_554_141_513_000_000_000, "x")


OF_EVENTS_V1: dict[str, Any] = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "tm-0.17e", "namespace": "streaming", "creationTimestamp": "2019-04-01T17:50:00Z"},
    "eventTime": "2019-04-01T17:58:33.598656Z",
    "reportingController": "default-scheduler",
    "reportingInstance": "default-scheduler-master-0",
    "action": "Scheduling",
    "reason": "FailedScheduling",
    "regarding": {"kind": "Pod", "namespace": "streaming", "name": "tm-0", "apiVersion": "v1"},
    "note": "0/3 nodes are available",
    "type": "Warning",
    "deprecatedSource": {},
}
OF_TM_0 = {"namespace": "streaming", "pod": "tm-0", "k8s__object__kind": "Pod", "k8s__object__name": "tm-0"}


def test_an_event_of_the_newer_interface() -> None:
    expected = labels(**OF_TM_0, k8s__event__reason="FailedScheduling")
    assert rows("kubernetes_events", as_json(OF_EVENTS_V1)) == [
        LogRecord(TIME, "Warning", "0/3 nodes are available", expected)
    ]
    repeated = {**OF_EVENTS_V1, "series": {"count": 7, "lastObservedTime": "2019-04-01T18:00:00.000001Z"}}
    (found,) = rows("kubernetes_events", as_json({"type": "MODIFIED", "object": repeated}))
    assert found.time_ns == 1_554_141_600_000_001_000


def test_an_event_of_an_older_client_through_the_newer_interface() -> None:
    # The kubelet writes core/v1; asked for as events.k8s.io/v1, it has its times under deprecated names.
    event = {
        **OF_EVENTS_V1,
        "eventTime": None,
        "reason": "BackOff",
        "deprecatedSource": {"component": "kubelet", "host": "node-1"},
        "deprecatedFirstTimestamp": "2019-04-01T17:00:00Z",
        "deprecatedLastTimestamp": "2019-04-01T17:58:33Z",
        "deprecatedCount": 4,
    }
    (found,) = rows("kubernetes_events", as_json(event))
    assert found.time_ns == 1_554_141_513_000_000_000
    assert found.labels == labels(**OF_TM_0, k8s__event__reason="BackOff", host__name="node-1")


def test_an_event_without_a_text() -> None:
    # message and note are optional in the API: they are left out where they are empty.
    for event in ({**OF_EVENTS_V1, "note": ""}, {key: sent for key, sent in OF_EVENTS_V1.items() if key != "note"}):
        (found,) = rows("kubernetes_events", as_json(event))
        assert (found.body, found.labels) == ("", labels(**OF_TM_0, k8s__event__reason="FailedScheduling"))
    core = {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "r", "lastTimestamp": "2019-04-01T17:58:33Z"}
    (found,) = rows("kubernetes_events", as_json({"type": "ADDED", "object": core}))
    assert (found.body, found.labels.mapping["pod"]) == ("", "p")


def test_a_bookmark_of_a_watch_says_nothing() -> None:
    # As a watch with allowWatchBookmarks=true sends it: an object of the kind with nothing but its version.
    event = {"kind": "Event", "apiVersion": "v1", "metadata": {"resourceVersion": "12746", "creationTimestamp": None}}
    event |= {"involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None}
    assert rows("kubernetes_events", as_json({"type": "BOOKMARK", "object": event})) == []


def test_what_is_no_event() -> None:
    assert "involvedObject is missing; an Event of core/v1 or events.k8s.io/v1 is expected" in dead(
        "kubernetes_events", b'{"kind": "Pod"}'
    )
    assert "found 5" in dead("kubernetes_events", b"[5]")


GOOD: dict[str, Any] = {"involvedObject": {}, "message": "x", "lastTimestamp": "2019-04-01T17:58:33Z"}


@pytest.mark.parametrize(
    ("sent", "found"),
    [("1970-01-01T00:00:00Z", "missing (0)"), ("soon", "'soon'"), (None, "nothing"), ([], "an array")],
)
def test_a_record_without_a_usable_time_costs_no_other(sent: Any, found: str) -> None:
    decoded = decode("kubernetes_events", as_json([GOOD, {**GOOD, "lastTimestamp": sent}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert found in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "involvedObject is missing" in dead("kubernetes_events", b'{"unknown": 1}')
    assert "found 5; an object is expected" in dead("kubernetes_events", b"5")
    assert "not JSON" in dead("kubernetes_events", b"<34>Oct 11 22:14:15 mymachine su")


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("kubernetes_events", as_json({**GOOD, "message": "x" * (limits.BODY_CHARS + 1)}))
    assert decoded.rows == []
    assert "at most 1048576 are allowed" in decoded.refused[0]
