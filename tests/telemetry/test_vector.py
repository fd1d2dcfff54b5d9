"""Vector's log events, by the fields of its kubernetes_logs and opentelemetry sources."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.errors import UsageError
from afoot.telemetry import formats, limits
from afoot.telemetry.rows import LogRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows

TIME = 1_554_141_513_598_656_000

VECTOR: dict[str, Any] = {
    "file": "/var/log/pods/x.log",
    "kubernetes": {
        "container_name": "app",
        "pod_name": "receiver-1",
        "pod_namespace": "ingest",
        "pod_node_name": "node-1",
        "pod_uid": "u-1",
        "pod_labels": {"app": "receiver"},
    },
    "message": "GET /v2/ 429",
    "source_type": "kubernetes_logs",
    "stream": "stderr",
    "timestamp": "2019-04-01T17:58:33.598656444Z",
}


def test_vector() -> None:
    assert rows("vector", as_json(VECTOR)) == [
        LogRecord(
            TIME + 444,
            "",
            "GET /v2/ 429",
            labels(namespace="ingest", pod="receiver-1", container="app", host__name="node-1", k8s__pod__uid="u-1"),
        )
    ]


def test_vector_without_kubernetes_and_with_other_keys() -> None:
    event = {"@timestamp": "2019-04-01T17:58:33Z", "msg": "m\n", "host": "h", "severity": 4}
    assert rows("vector", as_json(event), timestamp_key="@timestamp", message_key="msg") == [
        LogRecord(1_554_141_513_000_000_000, "warning", "m", labels(host="h"))
    ]


# As lib/opentelemetry-proto/src/logs.rs makes them; the resource's attributes stay flat, by names with dots.
OF_OTLP: dict[str, Any] = {
    "attributes": {"http.response.status_code": 429},
    "dropped_attributes_count": 1,
    "message": "429 Quota Exceeded",
    "observed_timestamp": "2019-04-01T17:58:34Z",
    "resources": {
        "host.name": "node-1",
        "k8s.container.name": "app",
        "k8s.namespace.name": "ingest",
        "k8s.pod.name": "receiver-1",
        "k8s.pod.uid": "u-1",
        "service.name": "receiver",
        "telemetry.sdk.language": "java",
    },
    "scope": {"name": "logback"},
    "severity_number": 17,
    "severity_text": "Error",
    "source_type": "opentelemetry",
    "timestamp": "2019-04-01T17:58:33.598656444Z",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
OF_RECEIVER = labels(
    namespace="ingest",
    pod="receiver-1",
    container="app",
    k8s__pod__uid="u-1",
    service__name="receiver",
    host__name="node-1",
)


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({"severity_text": "Error", "severity_number": 17}, "Error"),
        ({"severity_number": 17}, "ERROR"),
        ({"severity_number": 5}, "DEBUG"),  # syslog's 5 is another
        ({}, ""),
    ],
)
def test_what_came_by_otlp(severity: dict[str, Any], expected: str) -> None:
    event = {key: value for key, value in OF_OTLP.items() if not key.startswith("severity")}
    assert rows("vector", as_json({**event, **severity})) == [
        LogRecord(TIME + 444, expected, "429 Quota Exceeded", OF_RECEIVER)
    ]


def test_an_event_without_a_message_is_kept_whole() -> None:
    # As remap leaves it with `. = parse_nginx_log!(...)`.
    parsed = {"client": "192.0.2.1", "status": 429, "timestamp": "2019-04-01T17:58:33.598656444Z"}
    assert rows("vector", as_json(parsed)) == [
        LogRecord(TIME + 444, "", '{"client":"192.0.2.1","status":429}', labels())
    ]
    (found,) = rows("vector", as_json({**parsed, "kubernetes": VECTOR["kubernetes"], "level": "error"}))
    assert (found.severity, found.body) == ("error", '{"client":"192.0.2.1","status":429,"level":"error"}')
    assert found.labels.mapping["pod"] == "receiver-1"
    # An OTLP record without a body.
    event = {"attributes": {"a": "b"}, "resources": {"k8s.pod.name": "p"}, "timestamp": "2019-04-01T17:58:33Z"}
    assert rows("vector", as_json(event)) == [
        LogRecord(1_554_141_513_000_000_000, "", '{"attributes":{"a":"b"}}', labels(pod="p"))
    ]


def test_a_metric_is_no_log() -> None:
    metric = {"name": "requests", "timestamp": "2019-04-01T17:58:33Z", "kind": "incremental", "counter": {"value": 1.0}}
    assert "kind is 'incremental': a metric; a log event is expected" in dead("vector", as_json(metric))


@pytest.mark.parametrize(
    ("time_format", "sent", "time_ns"),
    [
        ("unix", 1554141513, 1_554_141_513_000_000_000),
        ("unix_float", 1554141513.5, 1_554_141_513_500_000_000),
        ("unix_ms", 1554141513598, 1_554_141_513_598_000_000),
        ("unix_us", 1554141513598656, TIME),
        ("unix_ns", 1554141513598656444, TIME + 444),
    ],
)
def test_vector_with_times_as_numbers(time_format: str, sent: float, time_ns: int) -> None:
    (found,) = rows("vector", as_json({**VECTOR, "timestamp": sent}), timestamp_format=time_format)
    assert found.time_ns == time_ns


def test_an_unknown_time_format() -> None:
    with pytest.raises(UsageError, match="timestamp_format is 'iso'; allowed are rfc3339, unix, unix_float"):
        formats.decoder("vector", "logs", {"timestamp_format": "iso"})


@pytest.mark.parametrize(
    ("sent", "found"),
    [("1970-01-01T00:00:00Z", "missing (0)"), ("soon", "'soon'"), (None, "nothing"), ([], "an array")],
)
def test_a_record_without_a_usable_time_costs_no_other(sent: Any, found: str) -> None:
    decoded = decode("vector", as_json([VECTOR, {**VECTOR, "timestamp": sent}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert found in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "timestamp is missing" in dead("vector", b'{"unknown": 1}')
    assert "found 5; an object is expected" in dead("vector", b"5")
    assert "not JSON" in dead("vector", b"<34>Oct 11 22:14:15 mymachine su")


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("vector", as_json({**VECTOR, "message": "x" * (limits.BODY_CHARS + 1)}))
    assert decoded.rows == []
    assert "at most 1048576 are allowed" in decoded.refused[0]
