"""Fluent Bit's JSON; the samples are records before the output adds its time, so that is done here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afoot.telemetry import limits
from afoot.telemetry.rows import LogRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample


def framed(name: str) -> bytes:
    time, record = json.loads(sample(name))
    return as_json({"@timestamp": time, **record})


TIME = 1_554_141_513_598_656_000
NODE = "ip-10-49-18-80.eu-west-1.compute.internal"


@pytest.mark.parametrize(
    ("name", "pod"),
    [("core_base", "base"), ("core_base-with-owner-references", "base-with-owner-references")],
)
def test_fluent_bit_with_kubernetes_metadata(name: str, pod: str) -> None:
    assert rows("fluent_bit", framed(f"fluent-bit/{name}_fluent-bit.json")) == [
        LogRecord(
            TIME,
            "",
            "Fluent Bit is logging",
            labels(
                namespace="core",
                pod=pod,
                container="fluent-bit",
                host__name=NODE,
                k8s__pod__uid="e9f2963f-55f2-11e9-84c5-02e422b8a84a",
            ),
        )
    ]


def test_fluent_bit_with_merged_and_escaped_texts() -> None:
    (merged,) = rows("fluent_bit", framed("fluent-bit/options_merge-log-enabled_json.json"))
    assert merged == LogRecord(
        TIME, "", '{"text":"Simple text"}', labels(namespace="options", pod="merge-log-enabled", container="json")
    )
    (escaped,) = rows("fluent_bit", framed("fluent-bit/core_unescaping_json.json"))
    inner = json.loads(escaped.body)
    assert inner["text"] == 'quoted "text with embedded quoted \\"text\\""'
    assert json.loads(inner["stringified-json"]) == {"stringified-json": '{"stringified-json":""}'}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"@timestamp": 1554141513.5, "log": "a\nb\n\n", "level": "warn", "host": "h"},
            LogRecord(1_554_141_513_500_000_000, "warn", "a\nb\n", labels(host__name="h")),
        ),
        (
            {"@timestamp": "2019-04-01T17:58:33.598656444Z", "MESSAGE": "m", "PRIORITY": "3", "_HOSTNAME": "h"},
            LogRecord(TIME + 444, "err", "m", labels(host__name="h")),
        ),
        # The systemd input with Strip_Underscores On, with Lowercase On, and with both.
        (
            {"@timestamp": 1554141513.5, "MESSAGE": "m", "PRIORITY": "3", "HOSTNAME": "h", "SYSTEMD_UNIT": "u"},
            LogRecord(1_554_141_513_500_000_000, "err", "m", labels(host__name="h")),
        ),
        (
            {"@timestamp": 1554141513.5, "message": "m", "priority": "3", "_hostname": "h", "_systemd_unit": "u"},
            LogRecord(1_554_141_513_500_000_000, "err", "m", labels(host__name="h")),
        ),
        (
            {"@timestamp": 1554141513.5, "message": "m", "priority": "6", "hostname": "h", "systemd_unit": "u"},
            LogRecord(1_554_141_513_500_000_000, "info", "m", labels(host__name="h")),
        ),
        (
            {"@timestamp": "2019-04-01T17:58:33.598656", "message": "m", "severity": "ERROR"},
            LogRecord(TIME, "ERROR", "m", labels()),
        ),
        (
            {"@timestamp": 1, "status": 429, "kubernetes": {"pod_name": "p"}},
            LogRecord(1_000_000_000, "", '{"status":429}', labels(pod="p")),
        ),
        ({"@timestamp": 1, "log": ""}, LogRecord(1_000_000_000, "", "", labels())),
    ],
)
def test_fluent_bit_records(record: dict[str, Any], expected: LogRecord) -> None:
    assert rows("fluent_bit", as_json(record)) == [expected]


def test_fluent_bit_with_another_time_key() -> None:
    (found,) = rows("fluent_bit", as_json({"time": 5, "log": "x"}), timestamp_key="time")
    assert found.time_ns == 5_000_000_000


GOOD: dict[str, Any] = {"@timestamp": 1554141513.5, "log": "x"}


@pytest.mark.parametrize(
    ("sent", "found"),
    [("1970-01-01T00:00:00Z", "missing (0)"), ("soon", "'soon'"), (None, "nothing"), ([], "an array")],
)
def test_a_record_without_a_usable_time_costs_no_other(sent: Any, found: str) -> None:
    decoded = decode("fluent_bit", as_json([GOOD, {**GOOD, "@timestamp": sent}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert found in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "@timestamp is missing" in dead("fluent_bit", b'{"unknown": 1}')
    assert "found 5; an object is expected" in dead("fluent_bit", b"5")
    assert "not JSON" in dead("fluent_bit", b"<34>Oct 11 22:14:15 mymachine su")


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("fluent_bit", as_json({**GOOD, "log": "x" * (limits.BODY_CHARS + 1)}))
    assert decoded.rows == []
    assert "at most 1048576 are allowed" in decoded.refused[0]
