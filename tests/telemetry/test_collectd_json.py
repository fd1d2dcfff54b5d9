"""collectd's write_kafka in Format JSON, by its manual page and by what a real collectd sent."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.errors import UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import MetricPoint
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample_lines

VALUES: dict[str, Any] = {
    "values": [100, 200],
    "dstypes": ["derive", "derive"],
    "dsnames": ["read", "write"],
    "time": 1444745144.824,
    "interval": 10.0,
    "host": "node-1",
    "plugin": "disk",
    "plugin_instance": "sda",
    "type": "disk_ops",
    "type_instance": "",
}
TIME = 1_444_745_144_824_000_000
SDA = labels(host="node-1", plugin_instance="sda")


def test_older_samples() -> None:
    lines = sample_lines("collectd/write_kafka_json.ndjson")
    assert [rows("collectd_json", line) for line in lines[:6]] == [
        [MetricPoint("collectd_cpu_percent", "", "gauge", place, time_ns, value)]
        for place, time_ns, value in (
            (labels(host="xx.example.internal", plugin_instance="1", type_instance="system"), TIME, 0.6),
            (labels(host="example.com", plugin_instance="1", type_instance="user"), TIME, 0.7),
            (labels(host="myhost", plugin_instance="0", type_instance="nice"), TIME, 37.7),
            (labels(host="myhost", plugin_instance="0", type_instance="interrupt"), TIME + 1_000_000_000, 0.0),
        )
    ] + [
        [
            MetricPoint(
                "collectd_memory_percent",
                "",
                "gauge",
                labels(host="myhost", type_instance="slab_recl"),
                1_444_745_136_182_000_000,
                1.1,
            )
        ],
        [
            MetricPoint(
                "collectd_cpu",
                "",
                "gauge",
                labels(host="26f2fc918f50", plugin_instance="1", type_instance="interrupt"),
                1_436_372_292_412_000_000,
                0.0,
            )
        ],
    ]
    # Two values of which only one has a type: which one, nothing says.
    assert dead("collectd_json", lines[6]) == (
        "collectd_json: value list 0: 2 values, 1 dstypes and 2 dsnames; as many are expected"
    )


def test_what_a_real_collectd_sent() -> None:
    lines = sample_lines("recorded/collectd.jsonl")
    assert len(lines) == 40
    decoded = [decode("collectd_json", line) for line in lines]
    without_rate = [one.refused for one in decoded if not one.rows]
    assert without_rate == [
        [f"value list 0: '{way}' is null; collectd had no value" for way in ("rx", "tx")] for _ in range(16)
    ]
    by_name: dict[str, list[MetricPoint]] = {}
    for one in decoded:
        for row in one.rows:
            by_name.setdefault(row.name, []).append(row)
    time_ns = 1_795_230_254_582_000_000
    assert by_name["collectd_memory"][0] == MetricPoint(
        "collectd_memory", "", "gauge", labels(host="node-1", type_instance="buffered"), time_ns, 34574336.0
    )
    load = [by_name[f"collectd_load_{term}"][0].value for term in ("shortterm", "midterm", "longterm")]
    assert load == [2.53271484375, 1.96875, 1.3349609375]
    root = labels(host="node-1", plugin_instance="root", type_instance="free")
    assert [row.value for row in by_name["collectd_df_df_complex"] if row.labels == root] == [80352296960.0]
    assert by_name["collectd_interface_if_octets_rx"] == [
        MetricPoint(
            "collectd_interface_if_octets_rx",
            "",
            "gauge",
            labels(host="node-1", plugin_instance="lo"),
            1_795_230_259_577_000_000,
            10920.3494722056,
        )
    ]


@pytest.mark.parametrize(
    ("source_type", "store_rates", "kind", "suffix"),
    [
        ("derive", "true", "gauge", ""),
        ("derive", "false", "cumulative", "_total"),
        ("counter", "false", "cumulative", "_total"),
        ("absolute", "false", "delta", ""),
        ("gauge", "false", "gauge", ""),
    ],
)
def test_what_is_a_counter_depends_on_store_rates(source_type: str, store_rates: str, kind: str, suffix: str) -> None:
    values = {**VALUES, "dstypes": [source_type] * 2}
    assert rows("collectd_json", as_json([values]), store_rates=store_rates) == [
        MetricPoint(f"collectd_disk_disk_ops_read{suffix}", "", kind, SDA, TIME, 100.0),  # type: ignore[arg-type]
        MetricPoint(f"collectd_disk_disk_ops_write{suffix}", "", kind, SDA, TIME, 200.0),  # type: ignore[arg-type]
    ]


def test_store_rates_is_true_or_false() -> None:
    with pytest.raises(UsageError, match="store_rates is 'yes'; allowed are true, false"):
        formats.decoder("collectd_json", "metrics", {"store_rates": "yes"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": [1, float("nan")]}, "value list 0: value is nan; finite numbers only"),
        (
            {"dstypes": ["derive", "rate"]},
            "value list 0: dstype is 'rate'; gauge, counter, derive and absolute are known",
        ),
        ({"dsnames": ["read", ""]}, "value list 0: a dsname is ''; text is expected"),
    ],
)
def test_a_value_that_cannot_be_read_costs_no_other(change: dict[str, Any], reason: str) -> None:
    decoded = decode("collectd_json", as_json([{**VALUES, **change}]))
    assert [row.name for row in decoded.rows] == ["collectd_disk_disk_ops_read"]
    assert decoded.refused == [reason]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": 5}, "values is 5; an array is expected"),
        ({"plugin": None}, "plugin is nothing; text is expected"),
        ({"time": "now"}, "time is 'now'; an epoch time is expected"),
    ],
)
def test_a_broken_value_list_is_dead(change: dict[str, Any], reason: str) -> None:
    assert dead("collectd_json", as_json([{**VALUES, **change}])) == f"collectd_json: value list 0: {reason}"


def test_a_missing_time_is_refused() -> None:
    assert decode("collectd_json", as_json([{**VALUES, "time": 0}])).refused == ["value list 0: time is missing (0)"]
