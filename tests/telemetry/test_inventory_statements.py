"""Kubernetes' state and entity events as inventory: series, objects, Events, OTLP, by their own documentation."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from afoot.doctor import sniff
from afoot.errors import DecodeError, UsageError
from afoot.inventory.graph import Graph
from afoot.inventory.sources import heard_in
from afoot.telemetry import formats, kubernetes
from afoot.telemetry.rows import Decoded, InventoryChange
from benchmarks.examples import PAGES
from tests.telemetry.support import RECORD_MS, as_json, decode, labels, message, rows, sample

TIME = "2026-11-21T03:16:30Z"
TIME_MS = 1_795_230_990_000
ADAPTER = "prometheus_kafka_adapter"
MOUNTS = "kube_pod_spec_volumes_persistentvolumeclaims"
Facts = set[tuple[Any, ...]]


def series(name: str, /, **labels: str) -> dict[str, Any]:
    """A sample of kube-state-metrics, as prometheus-kafka-adapter writes it."""
    return {"value": "1", "timestamp": TIME, "name": name, "labels": {"__name__": name, "job": "ksm", **labels}}


def scraped(*samples: dict[str, Any], **options: str) -> list[InventoryChange]:
    return rows(ADAPTER, as_json(list(samples)), "inventory", **options)


def facts(changes: list[InventoryChange]) -> Facts:
    """What rows say, short: keys, and for deletions the operation; relations of entities are relations."""
    found: Facts = set()
    for change in changes:
        found.add(change.key if change.op == "upsert" else (change.op, *change.key))
        found |= {(change.key[0], *one) for one in (change.row or {}).get("relations") or ()}
    return found


# ---- pages -----------------------------------------------------------------------------------------------------------


def page_examples() -> list[Any]:
    found = []
    for page in ("kubernetes_state", "entity_events"):
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```json (\w+)\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
        for (name, sent), (expected, shown) in zip(blocks[::2], blocks[1::2], strict=True):
            assert expected == "rows"
            found.append(pytest.param(name, sent.encode(), shown.encode(), id=f"{page}-{name}"))
    return found


@pytest.mark.parametrize(("name", "sent", "shown"), page_examples())
def test_the_pages_examples_are_what_they_say(name: str, sent: bytes, shown: bytes) -> None:
    assert rows(name, sent, "inventory") == rows("json", shown, "inventory")


def test_the_page_names_every_series_and_kind() -> None:
    text = (PAGES / "kubernetes_state.md").read_text(encoding="utf-8")
    for name in kubernetes.SERIES:
        assert name in text or re.sub("statefulset|daemonset", "deployment", name) in text
    assert [kind for kind in kubernetes.KINDS if kind not in text] == []


# ---- series, by the documentation of kube-state-metrics --------------------------------------------------------------


def test_the_samples_of_kube_state_metrics() -> None:
    text = sample("prometheus-text/kube_state_metrics_storage.txt").decode()
    found = []
    for line in text.splitlines():
        name, labels = re.fullmatch(r"(\w+)\{(.*)\} \S+", line).groups()  # type: ignore[union-attr]
        found.append(series(name, **dict(re.findall(r'(\w+)="(.*?)"', labels))))
    assert facts(scraped(*found)) == {
        ("persistent_volume:test-pv-available",),
        ("persistent_volume:test-pv-available", "volume:vol-012d34d567890123b", "backed_by"),
        ("persistent_volume:test-pv-available", "volume:test-volume-handle", "backed_by"),
        ("claim:default/mysql-data",),
        ("claim:default/mysql-data", "persistent_volume:pvc-mysql-data", "bound_to"),
        ("claim:default/prometheus-data",),
        ("claim:default/prometheus-data", "persistent_volume:pvc-prometheus-data", "bound_to"),
        ("claim:mongo-data",),
        ("pod:ns1/pod1",),
        ("pod:ns1/pod1", "node:node1", "runs_on"),
        ("pod:ns2/pod2",),
        ("pod:ns2/pod2", "node:node2", "runs_on"),
        ("pod:ns2/pod2", "replicaset:ns2/rs-name", "part_of"),
        ("pod:ns1/pod1", "claim:ns1/claim1", "mounts"),
        ("pod:ns1/pod1", "claim:ns1/claim2", "mounts"),
        ("pod:ns1/pod1", "claim:ns1/pod1-my-ephemeral-vol", "mounts"),
    }


def test_owners_nodes_services_and_what_is_there() -> None:
    found = scraped(
        series("kube_replicaset_owner", namespace="a", replicaset="d-1", owner_kind="Deployment", owner_name="d"),
        series("kube_job_owner", namespace="a", job_name="b-1", owner_kind="CronJob", owner_name="b"),
        series("kube_pod_owner", namespace="a", pod="b-1-x", owner_kind="Job", owner_name="b-1"),
        series("kube_pod_owner", namespace="a", pod="lone", owner_kind="", owner_name=""),
        series("kube_deployment_created", namespace="a", deployment="d"),
        series("kube_node_info", node="n1", provider_id="aws:///eu-west-1a/i-0abc", internal_ip="10.0.0.4"),
        series("kube_node_info", node="n2", provider_id="kind://docker/kind/n2"),
        series("kube_service_info", namespace="a", service="s", cluster_ip="10.96.0.1"),
        series("kube_service_info", namespace="a", service="headless", cluster_ip="None"),
        series("kube_pod_status_phase", namespace="a", pod="p", phase="Running"),
    )
    assert facts(found) == {
        ("replicaset:a/d-1", "deployment:a/d", "part_of"),
        ("batch_job:a/b-1", "cronjob:a/b", "part_of"),
        ("pod:a/b-1-x", "batch_job:a/b-1", "part_of"),
        ("deployment:a/d",),
        ("node:n1",),
        ("node:n2",),
        ("service:a/s",),
        ("service:a/headless",),
    }
    said = {change.key[0]: (change.row or {}).get("attributes") for change in found if change.table == "entity"}
    assert said["node:n1"] == {"match": [{"InstanceId": "i-0abc"}, {"host.id": "i-0abc"}], "address": ["10.0.0.4"]}
    assert said["node:n2"] is None
    assert said["service:a/s"] == {"address": ["10.96.0.1"]}
    assert said["service:a/headless"] is None
    assert {(change.time_ms, change.source, change.holds_ms) for change in found} == {(TIME_MS, "kubernetes", 300_000)}


def test_labels_that_prometheus_renamed_and_what_a_pod_on_the_host_s_network_has_not() -> None:
    (pod, on) = scraped(
        series(
            "kube_pod_info",
            **{"namespace": "monitoring", "pod": "ksm-0", "exported_namespace": "a", "exported_pod": "p"},
            node="n'1\"",
            pod_ip="10.0.0.4",
            host_network="true",
        )
    )
    assert (pod.key, (pod.row or {}).get("attributes")) == (("pod:a/p",), None)
    assert on.key == ("pod:a/p", "node:n'1\"", "runs_on")


def test_two_clusters_are_told_apart_where_a_label_names_them() -> None:
    info = {"namespace": "a", "pod": "p", "node": "n", "uid": "u"}
    found = scraped(
        series("kube_pod_info", cluster="east", **info),
        series("kube_pod_info", cluster="west", **info),
        cluster="cluster",
    )
    assert facts(found) == {
        ("pod:east/a/p",),
        ("pod:east/a/p", "node:east/n", "runs_on"),
        ("pod:west/a/p",),
        ("pod:west/a/p", "node:west/n", "runs_on"),
    }
    assert {change.source for change in found} == {"kubernetes east", "kubernetes west"}
    assert (found[0].row or {})["attributes"]["match"] == [
        {"k8s.pod.uid": "u"},
        {"cluster": "east", "namespace": "a", "pod": "p"},
        {"cluster": "east", "k8s.namespace.name": "a", "k8s.pod.name": "p"},
    ]
    decoded = decode(ADAPTER, as_json([series("kube_pod_info", **info)]), "inventory", cluster="cluster")
    assert decoded == Decoded(
        [], ["sample 0: no label 'cluster' names the cluster, which the option `cluster` asks for"]
    )


def test_the_volume_behind_a_persistent_volume_may_have_another_name() -> None:
    info = series("kube_persistentvolume_info", persistentvolume="pvc-1-2", csi_volume_handle="pvc-1-2")
    assert scraped(info, volume="svm1/trident_{handle_}")[1].key == (
        "persistent_volume:pvc-1-2",
        "volume:svm1/trident_pvc_1_2",
        "backed_by",
    )


def test_what_says_nothing_and_what_cannot_be_used() -> None:
    stale = {**series("kube_pod_info", namespace="a", pod="p"), "value": "NaN"}
    assert scraped(stale, series("up"), series("kube_pod_status_phase", pod="p")) == []
    bad = decode(
        ADAPTER, as_json([series("kube_pod_info", namespace="a"), series("kube_pod_info", pod="p")]), "inventory"
    )
    assert facts(list(bad.rows)) == {("pod:p",)}
    assert bad.refused == ["sample 0: label 'pod' is missing; it names the pod"]
    future = {**series("kube_node_info", node="n"), "timestamp": "2036-11-21T03:16:30Z"}
    assert scraped(future)[0].time_ms == RECORD_MS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"expires_s": "5 min"}, "expires_s is '5 min'; 1 to 2592000 seconds are allowed"),
        ({"expires_s": "0"}, "expires_s is '0'"),
        ({"volume": "svm1"}, "volume is 'svm1'; a name with {handle} or {handle_} is needed"),
        ({"volume": "{pv}-{handle}"}, "is needed"),
        ({"expire": "5"}, "did you mean 'expires_s'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        formats.decoder("otlp_json", "inventory", options)


def test_options_of_the_inventory_are_of_no_other_kind() -> None:
    with pytest.raises(UsageError, match="cluster is an option of kind inventory"):
        formats.decoder("otlp_proto", "metrics", {"cluster": "x"})
    assert scraped(series("kube_node_info", node="n"), expires_s="60")[0].holds_ms == 60_000


# ---- objects and Events, by the API's reference ----------------------------------------------------------------------

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "tm-0",
        "namespace": "streaming",
        "uid": "u-1",
        "creationTimestamp": "2026-11-21T02:00:00Z",
        "ownerReferences": [{"kind": "StatefulSet", "name": "tm", "uid": "s", "controller": True}],
    },
    "spec": {
        "nodeName": "node-1",
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-tm-0"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "config", "configMap": {"name": "c"}},
        ],
    },
    "status": {"phase": "Running", "podIP": "10.1.0.7"},
}
OF_POD = {
    ("pod:streaming/tm-0",),
    ("pod:streaming/tm-0", "statefulset:streaming/tm", "part_of"),
    ("pod:streaming/tm-0", "node:node-1", "runs_on"),
    ("pod:streaming/tm-0", "claim:streaming/data-tm-0", "mounts"),
    ("pod:streaming/tm-0", "claim:streaming/tm-0-scratch", "mounts"),
}


def observed(found: Any) -> list[InventoryChange]:
    return rows("kubernetes_events", as_json(found), "inventory")


def test_a_pod_as_it_is_pulled_watched_and_listed() -> None:
    (pulled,) = observed(POD)
    assert facts([pulled]) == OF_POD
    assert (pulled.time_ms, pulled.holds_ms, pulled.source) == (RECORD_MS, 10_800_000, "kubernetes")
    assert (pulled.row or {})["attributes"] == {"match": [{"k8s.pod.uid": "u-1"}], "address": ["10.1.0.7"]}
    added, there = observed({"type": "ADDED", "object": POD})
    assert (facts([added]), added.time_ms, added.holds_ms) == (OF_POD, 1_795_226_400_000, None)  # 02:00:00
    assert (there.row, there.time_ms) == (added.row, RECORD_MS)
    (modified,) = observed({"type": "MODIFIED", "object": POD})
    assert (facts([modified]), modified.time_ms) == (OF_POD, RECORD_MS)
    assert facts(observed({"type": "DELETED", "object": POD})) == {("delete", "pod:streaming/tm-0")}
    nameless = {key: value for key, value in POD.items() if key != "kind"}
    assert facts(observed({"kind": "PodList", "items": [nameless]})) == OF_POD


def test_a_cronjob_with_its_command_and_without_a_schedule_while_it_is_suspended() -> None:
    cronjob: dict[str, Any] = {
        "kind": "CronJob",
        "metadata": {"name": "backup", "namespace": "ops"},
        "spec": {
            "schedule": "40 2 * * *",
            "timeZone": "Europe/Berlin",
            "jobTemplate": {
                "spec": {"template": {"spec": {"containers": [{"command": ["tar"], "args": ["-c", "/data"]}]}}}
            },
        },
    }
    _, schedule = observed(cronjob)
    assert schedule.row == {
        "id": "cronjob:ops/backup",
        "entity_id": "cronjob:ops/backup",
        "expression": "40 2 * * *",
        "timezone": "Europe/Berlin",
        "command": "tar -c /data",
    }
    suspended = copy.deepcopy(cronjob)
    suspended["spec"]["suspend"] = True
    assert facts(observed(suspended)) == {("cronjob:ops/backup",), ("delete", "cronjob:ops/backup")}
    gone = observed({"type": "DELETED", "object": cronjob})
    assert [(change.table, change.op) for change in gone] == [("entity", "delete"), ("schedule", "delete")]


def test_storage_nodes_and_owners_as_objects() -> None:
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "a"}, "spec": {"volumeName": "pv"}}
    volume = {"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {"csi": {"volumeHandle": "vol-1"}}}
    old = {
        "kind": "PersistentVolume",
        "metadata": {"name": "old"},
        "spec": {"awsElasticBlockStore": {"volumeID": "aws://eu-west-1c/vol-2"}},
    }
    node = {
        "kind": "Node",
        "metadata": {"name": "n"},
        "spec": {"providerID": "aws:///eu-west-1a/i-0abc"},
        "status": {"addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.4"}]},
    }
    owner = {"ownerReferences": [{"kind": "Deployment", "name": "d"}]}
    replicas = {"kind": "ReplicaSet", "metadata": {"name": "d-1", "namespace": "a", **owner}}
    found = [row for one in (claim, volume, old, node, replicas) for row in observed(one)]
    assert facts(found) == {
        ("claim:a/c",),
        ("claim:a/c", "persistent_volume:pv", "bound_to"),
        ("persistent_volume:pv",),
        ("persistent_volume:pv", "volume:vol-1", "backed_by"),
        ("persistent_volume:old",),
        ("persistent_volume:old", "volume:vol-2", "backed_by"),
        ("node:n",),
        ("replicaset:a/d-1",),
        ("replicaset:a/d-1", "deployment:a/d", "part_of"),
    }
    assert (found[3].row or {})["attributes"]["address"] == ["10.0.0.4"]


def test_what_events_say() -> None:
    watched = rows("kubernetes_events", sample("k8s-events/watch_v1_with_lastTimestamp.json"), "inventory")
    assert facts(watched) == {("pod:default/fluent-bit-78945dccd8-hvr55", "node:minikube", "runs_on")}
    assert watched[0].time_ms == 1_722_451_635_000  # lastTimestamp 2024-07-31T18:47:15Z
    for name in ("eventlist_v1_with_lastTimestamp", "eventlist_v1_with_creationTimestamp"):
        assert rows("kubernetes_events", sample(f"k8s-events/{name}.json"), "inventory") == []

    def event(kind: str, name: str, reason: str, text: str) -> Facts:
        about = {"kind": kind, "namespace": "a", "name": name}
        return facts(observed({"kind": "Event", "involvedObject": about, "reason": reason, "message": text}))

    def made(one: str, owner: str) -> Facts:
        """It is there, as its owner's, and was not until now."""
        return {(*op, *key) for key in ((one,), (one, owner, "part_of")) for op in ((), ("delete",))}

    assert event("ReplicaSet", "d-1", "SuccessfulCreate", "Created pod: d-1-x") == made(
        "pod:a/d-1-x", "replicaset:a/d-1"
    )
    assert event("StatefulSet", "w", "SuccessfulCreate", "create Pod w-0 in StatefulSet w successful") == made(
        "pod:a/w-0", "statefulset:a/w"
    )
    assert event("CronJob", "b", "SuccessfulCreate", "Created job b-1") == made("batch_job:a/b-1", "cronjob:a/b")
    assert event("ReplicaSet", "d-1", "SuccessfulDelete", "Deleted pod: d-1-x") == {("delete", "pod:a/d-1-x")}
    assert event("ReplicaSet", "d-1", "FailedCreate", "Created pod: d-1-x") == set()


def test_what_an_event_says_was_made_was_not_there_before_though_it_is_the_first_event() -> None:
    about = {"kind": "Job", "namespace": "a", "name": "b-1"}
    made = Graph()
    for change in observed(
        {"kind": "Event", "involvedObject": about, "reason": "SuccessfulCreate", "message": "Created pod: b-1-x"}
    ):
        made.apply(change)
    assert made.expired() == []
    for at_ms, known in ((RECORD_MS - 1, False), (RECORD_MS, True), (RECORD_MS + 10**9, True)):
        found = made.entity("pod:a/b-1-x", at_ms)
        assert (found is not None and found.known) is known
    assert not made.entity("pod:a/b-1-x", RECORD_MS).known_by_snapshot  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"kind": "Secret", "metadata": {"name": "s"}}, "kind is 'Secret'; Pod, "),
        ({"kind": "Pod", "metadata": {}}, "name is nothing; text is expected"),
        ({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"volumes": 5}}, "volumes is 5; an array is expected"),
        ({"type": "REPLACED", "object": POD}, "type is 'REPLACED'; ADDED, MODIFIED and DELETED are known"),
    ],
)
def test_objects_that_cannot_be_used(found: Any, told: str) -> None:
    with pytest.raises(DecodeError, match=re.escape(told)):
        decode("kubernetes_events", as_json(found), "inventory")


# ---- OTLP ------------------------------------------------------------------------------------------------------------


def value(found: Any) -> dict[str, Any]:
    """A value as OTLP's AnyValue."""
    if isinstance(found, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": value(one)} for key, one in found.items()]}}
    if isinstance(found, list):
        return {"arrayValue": {"values": [value(one) for one in found]}}
    if isinstance(found, bool):
        return {"boolValue": found}
    return {"intValue": str(found)} if isinstance(found, int) else {"stringValue": found}


def pairs(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(one)} for key, one in found.items()]


def logged(resource: dict[str, Any] | None = None, **record: Any) -> bytes:
    sent = {"timeUnixNano": str(TIME_MS * 1_000_000), **record}
    groups = [{"logRecords": [sent]}]
    return as_json({"resourceLogs": [{"resource": {"attributes": pairs(resource or {})}, "scopeLogs": groups}]})


def state(type_: str, identity: dict[str, Any], described: dict[str, Any] | None = None, **more: Any) -> bytes:
    attributes = {"entity.type": type_, "entity.id": identity, "entity.description": described or {}, **more}
    return logged(eventName="entity.state", attributes=pairs(attributes))


def test_the_samples_of_the_collector_in_either_form() -> None:
    for name in ("spec", "legacy"):
        (found,) = rows("otlp_json", sample(f"otel-entities/pvc_entity_state_{name}.json"), "inventory")
        assert found == InventoryChange(
            "entity",
            "upsert",
            ("claim:uid/entity-id",),
            {
                "id": "claim:uid/entity-id",
                "type": "claim",
                "name": "test-entities-pvc",
                "known_as": "claim:default/test-entities-pvc",
                "attributes": {"match": [{"k8s.persistentvolumeclaim.uid": "entity-id"}]},
                "relations": [],
            },
            1_738_160_303_151,
            source="entities",
            holds_ms=900_000,  # three reports of 300 s, or of 300,000 ms
        )


def test_the_logical_examples_of_the_specification() -> None:
    for name in ("pod_with_relationships", "pod_entity_delete"):
        sent = json.loads(sample(f"otel-entities/{name}_logical.json"))
        document = logged(sent["Resource"], eventName=sent["EventName"], attributes=pairs(sent["Attributes"]))
        (found,) = rows("otlp_json", document, "inventory")
        if sent["EventName"] == "entity.delete":
            assert (found.op, found.key, found.holds_ms) == ("delete", ("pod:uid/abc-123-def-456",), None)
        else:
            assert facts([found]) == {
                ("pod:uid/abc-123-def-456",),
                ("pod:uid/abc-123-def-456", "node:uid/node-001", "runs_on"),
                ("pod:uid/abc-123-def-456", "replicaset:uid/rs-456", "part_of"),
            }
            assert "known_as" not in (found.row or {})  # its namespace is not told
            assert found.holds_ms == 180_000


def test_entities_of_other_types() -> None:
    (host,) = rows("otlp_json", state("host", {"host.id": "i-0abc"}, {"host.name": "backup"}), "inventory")
    assert (host.key, host.row and host.row["name"], host.holds_ms) == (("vm:i-0abc",), "backup", None)
    service = state("service", {"service.name": "pay", "service.namespace": "prod"})
    assert rows("otlp_json", service, "inventory")[0].key == ("service:prod/pay",)
    volume = state(
        "volume", {"volume": "v", "svm": "s"}, {"match": [{"svm": "s", "volume": "v"}], "component": "storage"}
    )
    (found,) = rows("otlp_json", volume, "inventory")
    assert found.key == ("volume:s/v",)
    assert found.row is not None
    assert (found.row["component"], found.row["attributes"]["match"]) == ("storage", [{"svm": "s", "volume": "v"}])
    run = {"entity_id": "vm:b", "expression": "40 * * * *", "timezone": "UTC", "command": "b"}
    (row,) = rows("otlp_json", state("schedule", {"id": "cron:b"}, run), "inventory")
    assert (row.table, row.key, row.row) == ("schedule", ("cron:b",), {"id": "cron:b", **run})


def test_a_type_and_a_relationship_that_have_no_word_are_kept_and_counted() -> None:
    sent = state(
        "process",
        {"process.pid": 7},
        **{
            "entity.relationships": [
                {"relationship.type": "watches", "entity.type": "host", "entity.id": {"host.id": "h"}}
            ]
        },
    )
    graph = Graph()
    for change in rows("otlp_json", sent, "inventory"):
        graph.apply(heard_in("t", change))
    found = graph.entity("process:7", TIME_MS)
    assert found is not None and found.type == "process"
    assert [problem.partition(",")[0] for problem in graph.problems()] == [
        "entity type 'process' is not known",
        "relation kind 'watches' is not known; allowed: sends_to",
    ]


def test_what_the_receiver_of_a_cluster_says_of_a_pod_and_of_a_cronjob() -> None:
    described = {
        "k8s.pod.name": "d-1-x",
        "k8s.namespace.name": "a",
        "k8s.node.name": "n",
        "k8s.deployment.name": "d",
        "k8s.replicaset.name": "d-1",
    }
    attributes = {
        "otel.entity.event.type": "entity_state",
        "otel.entity.type": "k8s.pod",
        "otel.entity.id": {"k8s.pod.uid": "u"},
        "otel.entity.attributes": described,
    }
    found = rows("otlp_json", logged(attributes=pairs(attributes)), "inventory")
    assert facts(found) == {
        ("pod:uid/u",),
        ("pod:uid/u", "node:n", "runs_on"),
        ("pod:uid/u", "deployment:a/d", "part_of"),
    }
    gone = {"otel.entity.event.type": "entity_delete", "otel.entity.id": {"k8s.pod.uid": "u"}}
    assert facts(rows("otlp_json", logged(attributes=pairs(gone)), "inventory")) == {("delete", "pod:uid/u")}
    cronjob = state(
        "k8s.cronjob",
        {"k8s.cronjob.uid": "c"},
        {"k8s.cronjob.name": "b", "k8s.namespace.name": "a", "schedule": "40 * * * *"},
    )
    made = Graph()
    for change in rows("otlp_json", cronjob, "inventory"):
        made.apply(change)
    assert [one.expression for one in made.schedules("cronjob:a/b", TIME_MS)] == ["40 * * * *"]


def test_objects_as_log_records_of_the_collector() -> None:
    watched = logged(
        {"k8s.namespace.name": "streaming"},
        timeUnixNano="0",
        observedTimeUnixNano=str(TIME_MS * 1_000_000),
        attributes=pairs({"k8s.resource.name": "pods", "event.domain": "k8s", "event.name": "tm-0"}),
        body=value({"type": "MODIFIED", "object": POD}),
    )
    found = rows("otlp_json", watched, "inventory")
    assert (facts(found), found[0].time_ms) == (OF_POD, TIME_MS)
    assert facts(rows("otlp_json", logged(body=value(POD)), "inventory")) == OF_POD
    assert rows("otlp_json", logged(body=value("plain text")), "inventory") == []
    encoded = Parse(watched, ExportLogsServiceRequest()).SerializeToString()
    assert rows("otlp_proto", encoded, "inventory") == found


def test_series_that_the_collector_scraped() -> None:
    def point(labels: dict[str, str], **more: Any) -> dict[str, Any]:
        return {"timeUnixNano": str(TIME_MS * 1_000_000), "asDouble": 1.0, "attributes": pairs(labels), **more}

    def metric(name: str, *points: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "gauge": {"dataPoints": list(points)}}

    info = {"namespace": "a", "pod": "p", "node": "n"}
    stale = {key: one for key, one in point({**info, "pod": "q"}, flags=1).items() if key != "asDouble"}
    metrics = [
        metric("kube_pod_info", point(info), stale),
        metric("up", point({})),
        {"name": "h", "histogram": {}},
    ]
    resource = {"attributes": pairs({"service.name": "ksm", "k8s.cluster.name": "east"})}
    document = as_json({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})
    found = rows("otlp_json", document, "inventory", cluster="k8s.cluster.name")
    assert facts(found) == {("pod:east/a/p",), ("pod:east/a/p", "node:east/n", "runs_on")}
    assert {(one.time_ms, one.source) for one in found} == {(TIME_MS, "kubernetes east")}
    encoded = Parse(document, ExportMetricsServiceRequest()).SerializeToString()
    assert rows("otlp_proto", encoded, "inventory", cluster="k8s.cluster.name") == found


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (state("k8s.pod", {}), "entity.id is missing"),
        (state("a:b", {"x": "y"}), "entity type 'a:b' has : or / in it"),
        (state("", {"x": "y"}), "entity.type is ''; text is expected"),
        (state("host", {"host.id": "h"}, **{"entity.report.interval": -1}), "entity.report.interval is -1"),
        (state("host", {"host.id": "h"}, **{"entity.relationships": [1]}), "a relationship is 1; a map is expected"),
        (logged(attributes=pairs({"otel.entity.event.type": "gone"})), "otel.entity.event.type is 'gone'"),
    ],
)
def test_entity_events_that_cannot_be_used(sent: bytes, told: str) -> None:
    try:
        decoded = decode("otlp_json", sent, "inventory")
    except DecodeError as error:
        reason = str(error)
    else:
        assert decoded.rows == []
        (reason,) = decoded.refused
    assert told in reason


# ---- from series to the graph ----------------------------------------------------------------------------------------


def test_a_pod_is_a_tenant_of_the_volume_behind_its_claim() -> None:
    graph = Graph()
    for change in scraped(
        series("kube_pod_info", namespace="a", pod="d-1-x", node="n", uid="u"),
        series("kube_pod_owner", namespace="a", pod="d-1-x", owner_kind="ReplicaSet", owner_name="d-1"),
        series("kube_replicaset_owner", namespace="a", replicaset="d-1", owner_kind="Deployment", owner_name="d"),
        series(
            "kube_pod_spec_volumes_persistentvolumeclaims_info", namespace="a", pod="d-1-x", persistentvolumeclaim="c"
        ),
        series("kube_persistentvolumeclaim_info", namespace="a", persistentvolumeclaim="c", volumename="pv"),
        series("kube_persistentvolume_info", persistentvolume="pv", csi_volume_handle="vol-1"),
    ):
        graph.apply(heard_in("t", change))
    (tenant,) = graph.tenants("volume:vol-1", TIME_MS - 3_600_000)
    assert (tenant.entity, tenant.known_by_snapshot) == ("pod:a/d-1-x", True)
    assert graph.chain("deployment:a/d", TIME_MS).volumes == ("volume:vol-1",)


def test_what_cannot_be_used_costs_nothing_beside_it() -> None:
    bad: dict[str, Any] = {"metadata": {"name": 5}}
    listed = {"kind": "PodList", "items": [bad, {key: one for key, one in POD.items() if key != "kind"}, bad]}
    found = decode("kubernetes_events", as_json(listed), "inventory")
    assert facts(list(found.rows)) == OF_POD
    assert found.refused == [f"object {place}: name is 5; text is expected" for place in (0, 2)]
    assert (
        observed([{"type": "BOOKMARK", "object": {"kind": "Pod"}}, {"type": "PullEnd", "object": {"kind": "x"}}]) == []
    )
    points = [
        {"timeUnixNano": str(TIME_MS * 1_000_000), "asDouble": 1.0, "attributes": pairs(labels)}
        for labels in ({"node": ""}, {"node": "n"}, {})
    ]
    metrics = [{"name": "kube_node_info", "gauge": {"dataPoints": points}}, {"name": "kube_node_info", "gauge": 5}]
    scrape = as_json({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})
    decoded = decode("otlp_json", scrape, "inventory")
    assert facts(list(decoded.rows)) == {("node:n",)}
    missing = "label 'node' is missing; it names the node"
    assert decoded.refused == [
        f"metric 'kube_node_info' point 0: {missing}",
        f"metric 'kube_node_info' point 2: {missing}",
        "metric 1: found 5; an object is expected",
    ]


def test_a_pod_that_is_made_again_in_the_second_of_its_end_is_there() -> None:
    def pod(uid: str, created: str) -> dict[str, Any]:
        return {**POD, "metadata": {**POD["metadata"], "uid": uid, "creationTimestamp": created}}

    graph = Graph()
    decoder = formats.decoder("kubernetes_events", "inventory")
    ended_ms = RECORD_MS + 700  # creationTimestamp has whole seconds
    acts = [("ADDED", "u-1", RECORD_MS), ("DELETED", "u-1", ended_ms), ("ADDED", "u-2", ended_ms + 50)]
    for happened, uid, at_ms in acts:
        created = "2026-11-21T02:00:00Z" if uid == "u-1" else "2026-11-21T03:16:40Z"
        sent = as_json({"type": happened, "object": pod(uid, created)})
        for change in decoder(message(sent)._replace(timestamp_ms=at_ms)).rows:
            graph.apply(heard_in("t", change))
    there = [graph.entity("pod:streaming/tm-0", ended_ms + after) is not None for after in (-1, 0, 49, 50)]
    assert there == [True, False, False, True]
    assert graph.resolve(labels(k8s__pod__uid="u-2"), ("pod",), ended_ms + 50) == "pod:streaming/tm-0"


def test_a_watched_deletion_ends_what_a_scrape_said() -> None:
    graph = Graph()
    for change in scraped(series("kube_pod_info", namespace="streaming", pod="tm-0", node="n")):
        graph.apply(heard_in("t", change))
    for change in observed({"type": "DELETED", "object": POD}):
        graph.apply(heard_in("t", change))
    assert [graph.entity("pod:streaming/tm-0", RECORD_MS + after) is not None for after in (-1, 0)] == [True, False]


@pytest.mark.parametrize(
    ("format_name", "sent"),
    [
        (ADAPTER, as_json(series("kube_node_info", node="n"))),
        ("kubernetes_events", as_json({"type": "ADDED", "object": POD})),
    ],
)
def test_sniffing_proposes_the_format(format_name: str, sent: bytes) -> None:
    assert sniff([message(sent)], "inventory") == [format_name]


HOSTILE: list[Any] = [None, True, -1, 2**70, 1.5, "", "x", "\x00", "NaN", [], {}, [[]], [{}], {"a": 1}, "y" * 2_000]
SENT: list[tuple[str, bytes]] = [
    (ADAPTER, as_json([series("kube_pod_info", namespace="a", pod="p", node="n"), series("kube_cronjob_info")])),
    ("kubernetes_events", as_json({"type": "ADDED", "object": POD})),
    ("otlp_json", state("k8s.pod", {"k8s.pod.uid": "u"}, {"k8s.pod.name": "p"}, **{"entity.report.interval": 5})),
    ("otlp_json", logged(body=value(POD))),
]


def spots(document: Any) -> list[tuple[Any, Any]]:
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    return [spot for key in keys for spot in [(document, key), *spots(document[key])]]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_other_values_end_as_rows_that_the_graph_takes_or_as_reasons(data: st.DataObject) -> None:
    name, sent = data.draw(st.sampled_from(SENT))
    document = json.loads(sent)
    for _ in range(data.draw(st.integers(1, 3))):
        parent, key = data.draw(st.sampled_from(spots(document)))
        parent[key] = copy.deepcopy(data.draw(st.sampled_from(HOSTILE)))
        if not spots(document):
            return
    try:
        found = formats.decoder(name, "inventory")(message(as_json(document)))
    except DecodeError as error:
        assert str(error).startswith(name)
        return
    graph = Graph()
    for change in found.rows:
        graph.apply(InventoryChange(**json.loads(json.dumps(change._asdict()))))
    graph.apply(InventoryChange("heartbeat", "heartbeat", (), None, RECORD_MS))
    graph.victims(RECORD_MS)
