"""Filebeat's events, by the Elastic Common Schema."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry import limits
from afoot.telemetry.rows import LogRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows

FILEBEAT: dict[str, Any] = {
    "@timestamp": "2019-04-01T17:58:33.598Z",
    "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.15.0"},
    "message": "quota exceeded",
    "log": {"level": "error", "file": {"path": "/var/log/x.log"}, "offset": 7},
    "host": {"name": "filebeat-x7"},
    "ecs": {"version": "8.0.0"},
}


def test_filebeat() -> None:
    assert rows("filebeat", as_json(FILEBEAT)) == [
        LogRecord(1_554_141_513_598_000_000, "error", "quota exceeded", labels(host__name="filebeat-x7"))
    ]


def test_filebeat_in_kubernetes() -> None:
    kubernetes = {
        "namespace": "ingest",
        "pod": {"name": "receiver-1", "uid": "u-1"},
        "container": {"name": "app"},
        "node": {"name": "node-1"},
    }
    (found,) = rows("filebeat", as_json({**FILEBEAT, "kubernetes": kubernetes}))
    assert found.labels == labels(
        namespace="ingest", pod="receiver-1", container="app", k8s__pod__uid="u-1", host__name="node-1"
    )


def test_filebeat_before_6_3() -> None:
    # No host.name yet; beat.name is a name that the configuration may give.
    event = {
        "@timestamp": "2019-04-01T17:58:33.598Z",
        "beat": {"hostname": "node-1", "name": "shipper", "version": "6.2.4"},
        "message": "m",
        "source": "/var/log/x.log",
        "prospector": {"type": "log"},
    }
    (found,) = rows("filebeat", as_json(event))
    assert found.labels == labels(host__name="node-1")
    (found,) = rows("filebeat", as_json({**event, "kubernetes": {"node": {"name": "node-2"}}}))
    assert found.labels == labels(host__name="node-2")


def test_filebeat_with_dotted_keys() -> None:
    event = {"@timestamp": "2019-04-01T17:58:33Z", "message": "m", "log.level": "warn", "service.name": "s"}
    (found,) = rows("filebeat", as_json(event))
    assert (found.severity, found.labels) == ("warn", labels(service__name="s"))


@pytest.mark.parametrize(
    ("sent", "found"),
    [("1970-01-01T00:00:00Z", "missing (0)"), ("soon", "'soon'"), (None, "nothing"), ([], "an array")],
)
def test_a_record_without_a_usable_time_costs_no_other(sent: Any, found: str) -> None:
    decoded = decode("filebeat", as_json([FILEBEAT, {**FILEBEAT, "@timestamp": sent}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert found in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "@timestamp is missing" in dead("filebeat", b'{"unknown": 1}')
    assert "found 5; an object is expected" in dead("filebeat", b"5")
    assert "not JSON" in dead("filebeat", b"<34>Oct 11 22:14:15 mymachine su")


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("filebeat", as_json({**FILEBEAT, "message": "x" * (limits.BODY_CHARS + 1)}))
    assert decoded.rows == []
    assert "at most 1048576 are allowed" in decoded.refused[0]
