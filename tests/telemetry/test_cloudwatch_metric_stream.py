"""CloudWatch metric streams: statistics a minute and set of dimensions, as AWS documents its JSON form."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from afoot.telemetry.rows import Labels, MetricPoint, Stats
from tests.telemetry.support import as_json, dead, decode, rows, sample

FORMAT = "cloudwatch_metric_stream"
RECORD: dict[str, Any] = {
    "metric_stream_name": "stream",
    "account_id": "549734399709",
    "region": "us-west-2",
    "namespace": "AWS/EBS",
    "metric_name": "VolumeWriteOps",
    "dimensions": {"VolumeId": "vol-1"},
    "timestamp": 1651679400000,
    "value": {"max": 371.0, "min": 267.0, "sum": 1491.0, "count": 5.0},
    "unit": "Count",
}


def place(**dimensions: str) -> Labels:
    return Labels.of(
        {
            "cloud.account.id": "549734399709",
            "cloud.region": "us-west-2",
            "cloudwatch.namespace": "AWS/EC2",
            **dimensions,
        }
    )


def test_a_real_stream() -> None:
    found = rows(FORMAT, sample("cloudwatch/metric_stream_ndjson.json"))
    assert len(found) == 1160
    assert found[:2] == [
        MetricPoint(
            "DiskReadBytes",
            "By",
            "gauge",
            place(InstanceType="m5ad.2xlarge"),
            1_651_679_640_000_000_000,
            0.0,
            Stats(3.0, 0.0, 0.0, 0.0, 0),
        ),
        MetricPoint(
            "StatusCheckFailed_Instance",
            "{count}",
            "gauge",
            place(InstanceId="i-0cbbc7e021a19be2e"),
            1_651_679_580_000_000_000,
            0.0,
            Stats(1.0, 0.0, 0.0, 0.0, 0),
        ),
    ]
    # 499 over 5 samples
    balance = next(row for row in found if row.name == "EBSIOBalance%" and row.stats.sum == 499.0)
    assert (balance.unit, balance.value, balance.stats) == ("%", 99.8, Stats(5.0, 499.0, 99.0, 100.0, 0))
    assert {row.unit for row in found} == {"s", "%", "By", "", "{count}"}


def test_the_same_value_for_several_sets_of_dimensions_is_a_row_each() -> None:
    found = rows(FORMAT, sample("cloudwatch/metric_stream_ndjson.json"))
    writes = {
        tuple(key for key in row.labels.mapping if key not in place().mapping): row.value
        for row in found
        if row.name == "EBSWriteOps" and row.stats == Stats(1.0, 286.0, 286.0, 286.0, 0)
    }
    assert writes == {("AutoScalingGroupName",): 286.0, ("InstanceId",): 286.0, ("InstanceType",): 286.0}
    totals = [row for row in found if row.name == "EBSWriteOps" and row.labels == place()]
    assert [row.stats.sum for row in totals] == [31981.0]


def test_several_dimensions_and_further_statistics() -> None:
    line = {
        "metric_stream_name": "all",
        "account_id": "123456789012",
        "region": "us-east-1",
        "namespace": "AWS/ApplicationELB",
        "metric_name": "TargetResponseTime",
        "dimensions": {"LoadBalancer": "app/web/50dc", "TargetGroup": "targetgroup/web/6d0e", "AvailabilityZone": "a"},
        "timestamp": 1_795_230_960_000,
        "value": {"max": 0.9, "min": 0.1, "sum": 6.0, "count": 12.0, "p50": 0.4, "p99.9": 0.9, "TM(2%:98%)": 0.45},
        "unit": "Seconds",
    }
    (found,) = rows(FORMAT, as_json(line) + b"\n")
    assert (found.name, found.unit, found.value, found.stats) == (
        "TargetResponseTime",
        "s",
        0.5,
        Stats(12.0, 6.0, 0.1, 0.9, 0),
    )
    assert found.labels.mapping == {
        "LoadBalancer": "app/web/50dc",
        "TargetGroup": "targetgroup/web/6d0e",
        "AvailabilityZone": "a",
        "cloud.account.id": "123456789012",
        "cloud.region": "us-east-1",
        "cloudwatch.namespace": "AWS/ApplicationELB",
    }


def test_rows_of_one_series_share_their_labels() -> None:
    first, second = rows(FORMAT, as_json(RECORD) + b"\n" + as_json({**RECORD, "metric_name": "VolumeReadOps"}))
    assert first.labels is second.labels


def test_a_gzipped_message() -> None:
    assert len(rows(FORMAT, gzip.compress(as_json(RECORD) + b"\n\n" + as_json(RECORD) + b"\n"))) == 2
    assert "gzip data ends" in dead(FORMAT, gzip.compress(as_json(RECORD))[:-9])


@pytest.mark.parametrize(
    ("unit", "ucum"),
    [
        ("Seconds", "s"),
        ("Microseconds", "us"),
        ("Kilobytes", "kBy"),
        ("Bytes/Second", "By/s"),
        ("Megabits/Second", "Mbit/s"),
        ("Terabytes", "TBy"),
        ("Count/Second", "{count}/s"),
        ("None", ""),
        ("Furlongs", ""),
        (None, ""),
    ],
)
def test_units(unit: str | None, ucum: str) -> None:
    assert rows(FORMAT, as_json({**RECORD, "unit": unit}))[0].unit == ucum


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": {**RECORD["value"], "count": 0}}, "line 2: count is 0.0; more than 0 is expected"),
        ({"value": {**RECORD["value"], "sum": float("nan")}}, "line 2: sum is nan; finite numbers only"),
        ({"value": {"sum": 1.0, "count": 1.0}}, "line 2: min is nothing, not a number"),
        ({"value": 5}, "line 2: value is 5; an object with count, sum, min and max is expected"),
        ({"timestamp": 0}, "line 2: timestamp is missing (0)"),
        ({"timestamp": None}, "line 2: timestamp is nothing; an epoch time is expected"),
        ({"dimensions": []}, "line 2: dimensions are an array; an object is expected"),
        ({"dimensions": {"VolumeId": 7}}, "line 2: 'VolumeId' is 7; text is expected"),
        ({"dimensions": {"VolumeId": []}}, "line 2: account_id, region, namespace and dimensions must be text"),
        ({"region": None}, "line 2: 'cloud.region' is nothing; text is expected"),
        ({"metric_name": ""}, "line 2: metric_name is ''; text is expected"),
    ],
)
def test_a_line_that_cannot_be_read_costs_no_other(change: dict[str, Any], reason: str) -> None:
    lines = [RECORD, {**RECORD, **change}, RECORD]
    decoded = decode(FORMAT, "\n".join(json.dumps(line) for line in lines).encode())
    assert len(decoded.rows) == 2
    assert decoded.refused == [reason]


def test_a_broken_line_costs_no_other() -> None:
    decoded = decode(FORMAT, as_json(RECORD)[:-5] + b"\n" + as_json(RECORD) + b"\n[]")
    assert len(decoded.rows) == 1
    assert decoded.refused[0].startswith("line 1: JSON: not JSON: ")
    assert decoded.refused[1] == "line 3: found an array; an object is expected"


@pytest.mark.parametrize("between", [b"", b" ", b"\n"])
def test_objects_that_are_not_a_line_each(between: bytes) -> None:
    # AWS writes a line each; what carries them may join the lines, or indent the objects.
    indented = json.dumps(RECORD, indent=2).encode()
    expected = rows(FORMAT, as_json(RECORD)) * 2
    assert rows(FORMAT, as_json(RECORD) + between + as_json(RECORD)) == expected
    assert rows(FORMAT, indented + between + indented) == expected
    assert rows(FORMAT, as_json(RECORD) + between + indented + b"\n") == expected
    decoded = decode(FORMAT, indented + between + as_json({**RECORD, "timestamp": 0}))
    assert (len(decoded.rows), decoded.refused) == (1, ["metric 1: timestamp is missing (0)"])
    cut = decode(FORMAT, as_json(RECORD) + b"\n" + as_json(RECORD) + between + indented[:-5])
    assert len(cut.rows) == (2 if between == b"\n" else 1)
    assert cut.refused


def test_other_lines_are_dead() -> None:
    assert "line 1: value is nothing" in dead(FORMAT, b'{"@timestamp": 1.5, "log": "x"}')
    assert "line 1" in dead(FORMAT, b"diskio,name=sda1 reads=1i 1")
