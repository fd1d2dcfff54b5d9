"""What the encodings write is read again, by each format's decoder, as what it was."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry import formats
from afoot.telemetry.rows import FlowRecord, InventoryChange, Labels, LogRecord, Message, MetricPoint
from benchmarks import encodings

TIME = 1_795_231_028_961_102_154
POD = Labels.of({"namespace": "streaming", "pod": "tm-0", "container": "flink"})
POINTS = [
    MetricPoint("container_fs_writes_total", "", "cumulative", POD, TIME, 41.0),
    MetricPoint("write_lag_seconds", "s", "gauge", Labels.of({"job_name": "a b,c=d"}), TIME + 10, 2.5),
]
DISK = MetricPoint(
    "node_disk_written_bytes_total",
    "By",
    "cumulative",
    Labels.of({"instance": "db-1:9100", "device": "nvme1n1"}),
    TIME,
    4096.0,
)
RECORDS = [
    LogRecord(TIME, "error", "429 Quota Exceeded", POD),
    LogRecord(TIME, "", "CRON (root) CMD (x)", Labels.of({"host.name": "vm-1"})),
]
FLOW = FlowRecord(
    *(TIME - 60_000_000_000, TIME, "203.0.113.7", 40_000, "10.0.0.8", 443, "tcp", 90_000, 64),
    *(100, 64_500, None, "192.0.2.1", Labels.of({})),
)
ROW: dict[str, Any] = {"id": "vm:a", "type": "vm", "name": "a", "attributes": {"match": [{"InstanceId": "i-1"}]}}
CHANGES = [
    InventoryChange("entity", "upsert", ("vm:a",), {**ROW}, 1_795_231_028_961, True, "first"),
    InventoryChange("entity", "delete", ("vm:a",), None, 1_795_231_028_961),
    InventoryChange("heartbeat", "heartbeat", (), None, 1_795_231_028_961),
]


def decode(format_name: str, kind: str, value: bytes | None, key: bytes | None = None, topic: str = "t") -> list[Any]:
    decoder = formats.decoder(format_name, kind, encodings.OPTIONS.get(format_name, {}))
    decoded = decoder(Message(topic, 0, 0, TIME // 1_000_000 + 5_000, key, value))
    assert decoded.refused == []
    return list(decoded.rows)


def test_every_format_has_an_encoding() -> None:
    for name in formats.names():
        for kind in formats.kinds(name):
            if kind != "inventory":
                assert name in encodings.ENCODERS[kind]


@pytest.mark.parametrize("name", encodings.METRICS)
def test_metrics(name: str) -> None:
    found = decode(name, "metrics", encodings.METRICS[name](POINTS))
    assert [point.value for point in found] == [41.0, 2.5]
    exact = {"prometheus_kafka_adapter": 10**9, "collectd_graphite": 10**9}.get(name, 10**6)
    if name not in ("otlp_json", "otlp_proto", "influx", "json", "avro"):
        assert [point.time_ns for point in found] == [point.time_ns // exact * exact for point in POINTS]
    else:
        assert [point.time_ns for point in found] == [TIME, TIME + 10]
    if not name.startswith("collectd"):
        assert [point.name for point in found] == [point.name for point in POINTS]
        assert set(POD.items) <= set(found[0].labels.items)
        assert found[1].labels.mapping["job_name"] == "a b,c=d"
    if name in ("otlp_json", "otlp_proto", "json", "avro"):
        assert found == POINTS


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("collectd_json", "collectd_disk_disk_octets_write_total"),
        ("collectd_graphite", "collectd_disk_disk_octets_write_total"),
    ],
)
def test_disks_as_collectd_names_them(name: str, metric: str) -> None:
    (found,) = decode(name, "metrics", encodings.METRICS[name]([DISK]))
    assert (found.name, found.labels.mapping) == (metric, {"host": "db-1", "plugin_instance": "nvme1n1"})


@pytest.mark.parametrize("name", encodings.LOGS)
def test_logs(name: str) -> None:
    found = decode(name, "logs", encodings.LOGS[name](RECORDS))
    assert [record.body for record in found] == [record.body for record in RECORDS]
    assert all(abs(record.time_ns - TIME) < 1_000_000 for record in found)
    if name != "rsyslog_json":
        assert (found[0].labels.mapping["namespace"], found[0].labels.mapping["pod"]) == ("streaming", "tm-0")
    assert "vm-1" in found[1].labels.mapping.values()


@pytest.mark.parametrize("name", encodings.FLOWS)
def test_flows(name: str) -> None:
    (found,) = decode(name, "flows", encodings.FLOWS[name]([FLOW]))
    assert found[2:7] == FLOW[2:7]
    assert found.bytes * (found.sampling_rate or 1) == 9_000_000
    assert found.packets * (found.sampling_rate or 1) == 6_400
    assert 0 <= FLOW.end_ns - found.end_ns < 10**9
    assert 0 <= FLOW.start_ns - found.start_ns < 10**9
    if name not in ("vpc_flow_log", "netobserv_json"):
        assert (found.source_as, found.sampler) == (64_500, "192.0.2.1")


@pytest.mark.parametrize("name", encodings.INVENTORY)
def test_canonical_changes(name: str) -> None:
    assert decode(name, "inventory", encodings.INVENTORY[name](CHANGES)) == CHANGES


@pytest.mark.parametrize("schema", [False, True])
@pytest.mark.parametrize("unwrapped", [False, True])
def test_debezium(schema: bool, unwrapped: bool) -> None:
    found = []
    for change in CHANGES:
        value = encodings.debezium_value(change, schema=schema, unwrapped=unwrapped)
        key = encodings.debezium_key(change, schema=schema) if change.op != "heartbeat" else None
        found += decode("debezium_json", "inventory", value, key, "inventory")
    assert found == CHANGES


def test_polls() -> None:
    whole = decode("jdbc_json", "inventory", encodings.jdbc_value(CHANGES[0], 2, 1), topic="jdbc.entity")
    stamp = CHANGES[0].time_ms
    assert whole == [CHANGES[0]._replace(row={**ROW, "updated_at": stamp}, reading_rows=2)]
    (beat,) = decode("jdbc_json", "inventory", encodings.jdbc_value(CHANGES[2]), topic="jdbc.heartbeat")
    assert beat == CHANGES[2]
