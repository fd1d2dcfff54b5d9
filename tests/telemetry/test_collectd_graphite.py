"""collectd's write_kafka in Format Graphite, which names metrics as its JSON form does."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry.rows import MetricPoint
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample, sample_lines

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


def test_graphite() -> None:
    lines = sample_lines("collectd/write_kafka_graphite.txt")
    assert rows("collectd_graphite", lines[0]) == [
        MetricPoint("collectd_load_shortterm", "", "unknown", labels(host="myhost"), 1_436_357_630_000_000_000, 0.05)
    ]
    assert rows("collectd_graphite", lines[1], prefix="mydatacenter.") == [
        MetricPoint("collectd_load_shortterm", "", "unknown", labels(host="myhost"), 1_436_357_630_000_000_000, 0.45)
    ]
    decoded = decode("collectd_graphite", sample("collectd/write_kafka_graphite.txt"))
    assert len(decoded.rows) == 2
    assert decoded.refused == [
        "line 2: path 'mydatacenter.myhost.load.load.shortterm' has 5 parts; host.plugin.type[.source] is expected"
    ]


def test_graphite_that_always_names_the_source() -> None:
    # GraphiteAlwaysAppendDS: types with one source have it too; an instance follows a hyphen.
    lines = b"node-1.disk-sda.disk_ops.write 7 1795230254\nnode-1.df-root.df_complex-free.value 3 1795230254\r\n"
    writes, free = rows("collectd_graphite", lines)
    assert (writes.name, writes.labels) == (
        "collectd_disk_disk_ops_write",
        labels(host="node-1", plugin_instance="sda"),
    )
    root = labels(host="node-1", plugin_instance="root", type_instance="free")
    assert (free.name, free.labels, free.value, free.time_ns) == (
        "collectd_df_df_complex",
        root,
        3.0,
        1_795_230_254_000_000_000,
    )


def test_both_forms_name_a_metric_alike() -> None:
    by_json = rows("collectd_json", as_json([VALUES]))
    path = "node-1.disk-sda.disk_ops"
    by_graphite = rows("collectd_graphite", f"{path}.read 100 1444745144\r\n{path}.write 200 1444745144\r\n".encode())
    assert [point[:2] + point[3:4] + point[5:] for point in by_json] == [
        point[:2] + point[3:4] + point[5:] for point in by_graphite
    ]
    (point,) = rows("collectd_graphite", b"h.cpu-0.cpu-user 5 1444745144")
    assert (point.name, point.labels) == ("collectd_cpu", labels(host="h", plugin_instance="0", type_instance="user"))


@pytest.mark.parametrize("postfix", [".collectd", "_x", ".a.b", "-1"])
def test_graphite_with_a_postfix(postfix: str) -> None:
    # gr_format_name in utils/format_graphite: prefix, host and postfix, and then a dot.
    line = f"site1.node-1{postfix}.disk-sda.disk_ops.write 7 1444745144".encode()
    (found,) = rows("collectd_graphite", line, prefix="site1.", postfix=postfix)
    assert (found.name, found.labels) == ("collectd_disk_disk_ops_write", SDA)
    other = decode("collectd_graphite", b"site1.node-1.disk-sda.disk_ops.write 7 1444745144", postfix=".other")
    assert "does not have the postfix '.other' after the host" in other.refused[0]


def test_tags_are_not_taken_for_parts_of_a_path() -> None:
    # GraphiteUseTags: gr_format_name_tagged.
    line = b"disk.disk_ops.read;host=node-1;plugin=disk;plugin_instance=sda;type=disk_ops;ds_name=read 7 1444745144"
    assert "has tags; GraphiteUseTags must be false" in dead("collectd_graphite", line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a.b.c nan 1444745144", "value is 'nan'; finite numbers only"),
        (b"a.b.c 1 0", "time is missing (0)"),
        (b"other.b.c 1 5", "does not begin with the prefix 'a'"),
    ],
)
def test_graphite_lines_that_cannot_be_taken(line: bytes, reason: str) -> None:
    assert reason in decode("collectd_graphite", line, prefix="a" if b"other" in line else "").refused[0]


@pytest.mark.parametrize("line", [b"a.b.c 1", b"a.b 1 5", b"a..c 1 5", b"a.b.c one 5", b"a.b.c 1 soon", b"{}"])
def test_other_lines_are_dead(line: bytes) -> None:
    assert "line 1: " in dead("collectd_graphite", line)


def test_graphite_of_counts() -> None:
    lines = b"node-1.disk-sda.disk_ops.write 40 1795231028\nnode-1.load.load.shortterm 0.5 1795231028\n"
    found = rows("collectd_graphite", lines, store_rates="false")
    assert [(point.name, point.kind) for point in found] == [
        ("collectd_disk_disk_ops_write_total", "cumulative"),
        ("collectd_load_shortterm", "unknown"),
    ]
