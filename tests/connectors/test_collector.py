"""The OpenTelemetry Collector with the files shipped for it: what it sends of hosts and of clusters is read."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, LogRecord, Message, MetricPoint
from tests.connectors.inventory import CONNECTORS
from tests.servers.collector import collector, running
from tests.servers.kafka import Kafka
from tests.servers.kubernetes import kubernetes
from tests.servers.process import free_port

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.collector]
AGENTS = CONNECTORS / "agents"
PATIENCE_S = 60.0
UID = "5d1e0000-0000-0000-0000-000000000001"
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "tm-0",
        "namespace": "streaming",
        "uid": UID,
        "resourceVersion": "5",
        "creationTimestamp": "2026-11-21T02:00:00Z",
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "tm", "uid": "s", "controller": True}
        ],
    },
    "spec": {
        "nodeName": "node-1",
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-tm-0"}}],
    },
    "status": {"phase": "Running", "podIP": "10.1.0.7"},
}
METRICS = """\
# TYPE kube_node_info gauge
kube_node_info{node="node-1",internal_ip="10.0.0.4",provider_id="aws:///eu-west-1a/i-0abc"} 1
# TYPE kube_deployment_spec_replicas gauge
kube_deployment_spec_replicas{namespace="streaming",deployment="router"} 3
"""


def found(kafka: Kafka, topic: str, kind: Any, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The rows of a topic, once there are enough; none of them may be refused."""
    decode = formats.decoder("otlp_json", kind, {})
    deadline = time.monotonic() + PATIENCE_S
    rows: list[Any] = []
    while time.monotonic() < deadline:
        rows = []
        for record in kafka.messages(topic):
            decoded = decode(Message(topic, 0, record.offset(), record.timestamp()[1], record.key(), record.value()))
            assert decoded.refused == []
            rows += decoded.rows
        if enough(rows):
            return rows
        time.sleep(0.5)
    raise AssertionError(f"{topic} has {len(rows)} rows after {PATIENCE_S} s: {rows[:20]}")


def shipped(name: str, folder: Path, replaced: dict[str, str]) -> Path:
    """A file with a few texts replaced, each of which must be there."""
    text = (AGENTS / name).read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", ["otel-collector.yaml", "otel-collector-inventory.yaml"])
def test_the_collector_takes_the_file_as_it_is_shipped(name: str) -> None:
    checked = subprocess.run(
        [collector(), "validate", f"--config={AGENTS / name}"],
        env={"KAFKA_BOOTSTRAP": "kafka:9092"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_host_and_whoever_sends_otlp(kafka_server: Kafka, tmp_path: Path) -> None:
    topics = {name: f"collector.{name}" for name in ("metrics", "logs")}
    for topic in topics.values():
        kafka_server.create(topic)
    grpc, http = free_port(), free_port()
    replaced = {
        **{f"topic: telemetry.{name},": f"topic: {topic}," for name, topic in topics.items()},
        ":4317": f":{grpc}",
        ":4318": f":{http}",
        "collection_interval: 15s": "collection_interval: 1s",
    }
    file = shipped("otel-collector.yaml", tmp_path, replaced)
    now_ns = time.time_ns()
    said = {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "router"}}]},
        "scopeLogs": [{"logRecords": [{"timeUnixNano": str(now_ns), "body": {"stringValue": "late again"}}]}],
    }
    with running([file], tmp_path, {"KAFKA_BOOTSTRAP": kafka_server.bootstrap}):
        request = urllib.request.Request(
            f"http://127.0.0.1:{http}/v1/logs",
            orjson.dumps({"resourceLogs": [said]}),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        wanted = {"system.disk.io", "system.disk.operations", "system.network.io", "system.memory.usage"}
        rows = found(kafka_server, topics["metrics"], "metrics", lambda rows: wanted <= {row.name for row in rows})
        logs = found(kafka_server, topics["logs"], "logs", bool)
    assert all(type(row) is MetricPoint and row.labels.mapping["host.name"] for row in rows)
    assert {row.unit for row in rows if row.name == "system.disk.io"} == {"By"}
    (log,) = logs
    assert type(log) is LogRecord
    assert (log.body, log.labels.mapping["service.name"], log.time_ns) == ("late again", "router", now_ns)


def test_a_cluster_tells_what_it_is_and_what_goes(kafka_server: Kafka, tmp_path: Path) -> None:
    inventory, metrics = "collector.kubernetes", "collector.state"
    kafka_server.create(inventory)
    kafka_server.create(metrics)
    with kubernetes({"pods": [POD]}, METRICS) as cluster:
        replaced = {
            "topic: inventory.kubernetes,": f"topic: {inventory},",
            "topic: telemetry.metrics,": f"topic: {metrics},",
            "kube-state-metrics.kube-system.svc:8080": cluster.url.removeprefix("http://"),
            "scrape_interval: 30s": "scrape_interval: 1s",
            "auth_type: serviceAccount": "auth_type: kubeConfig",
        }
        file = shipped("otel-collector-inventory.yaml", tmp_path, replaced)
        environment = {"KAFKA_BOOTSTRAP": kafka_server.bootstrap, "KUBECONFIG": str(cluster.kubeconfig(tmp_path))}
        with running([file], tmp_path, environment):

            def changes(op: str, *ids: str) -> Callable[[list[Any]], bool]:
                return lambda rows: set(ids) <= {row.key[0] for row in rows if (row.table, row.op) == ("entity", op)}

            found(kafka_server, inventory, "inventory", changes("upsert", "pod:streaming/tm-0", "node:node-1"))
            deadline = time.monotonic() + PATIENCE_S
            while "pods" not in cluster.watched() and time.monotonic() < deadline:
                time.sleep(0.1)
            cluster.happen("pods", "DELETED", POD)
            rows = found(kafka_server, inventory, "inventory", changes("delete", "pod:streaming/tm-0"))
            state = found(kafka_server, metrics, "metrics", bool)
    assert all(type(row) is InventoryChange for row in rows)
    assert all(type(row) is MetricPoint for row in state)
    assert "kube_deployment_spec_replicas" in {row.name for row in state}
