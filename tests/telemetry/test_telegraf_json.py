"""Telegraf's JSON serializer, by its README."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.errors import UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import MetricPoint
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample

METRIC: dict[str, Any] = {"fields": {"f": 1}, "name": "m", "tags": {"host": "h"}, "timestamp": 1_458_229_140}
OF_THE_README = [
    MetricPoint(f"docker_{field}", "", "unknown", labels(host="raynor"), 1_458_229_140_000_000_000, value)
    for field, value in (("field_1", 30.0), ("field_2", 4.0), ("field_N", 59.0), ("n_images", 660.0))
]


def test_one_metric() -> None:
    assert rows("telegraf_json", sample("telegraf/json_standard.json")) == OF_THE_README


def test_a_batch() -> None:
    assert rows("telegraf_json", sample("telegraf/json_batch.json")) == OF_THE_README * 2


# By json_test.go of Telegraf's serializer: 1525478795.123456789 s in a unit is the power of ten in it.
@pytest.mark.parametrize(
    ("units", "sent", "time_ns"),
    [
        ("1s", 1_525_478_795, 1_525_478_795_000_000_000),
        ("1ms", 1_525_478_795_123, 1_525_478_795_123_000_000),
        ("1us", 1_525_478_795_123_456, 1_525_478_795_123_456_000),
        ("1µs", 1_525_478_795_123_456, 1_525_478_795_123_456_000),
        ("1ns", 1_525_478_795_123_456_789, 1_525_478_795_123_456_789),
        ("10ms", 152_547_879_512, 1_525_478_795_120_000_000),
        ("15ms", 152_547_879_512, 1_525_478_795_120_000_000),
        ("65ms", 152_547_879_512, 1_525_478_795_120_000_000),
        ("0.5s", 15_254_787_951, 1_525_478_795_100_000_000),
        ("10ns", 152_547_879_512_345_678, 1_525_478_795_123_456_780),
        ("10ns", 152_547_879_512_345_678.0, 1_525_478_795_123_456_640),  # what a double holds of it
        ("1m30s", 152_547_879, 1_525_478_790_000_000_000),
        ("1h", 1_525_478, 1_525_478_000_000_000_000),
    ],
)
def test_units(units: str, sent: int, time_ns: int) -> None:
    (point,) = rows("telegraf_json", as_json({**METRIC, "timestamp": sent}), timestamp_units=units)
    assert point.time_ns == time_ns


@pytest.mark.parametrize("units", ["", "0s", "10", "ms", "1 s", "1s,", "-1s", "1M", "1.s", "1.5.2s"])
def test_units_that_are_no_duration(units: str) -> None:
    with pytest.raises(UsageError, match="a duration such as 1s, 10ms, 1us or 1ns is expected"):
        formats.decoder("telegraf_json", "metrics", {"timestamp_units": units})


@pytest.mark.parametrize(
    ("sent", "time_ns"),
    [
        ("2018-05-05T00:06:35Z", 1_525_478_795_000_000_000),  # of the same test, by 2006-01-02T15:04:05Z07:00
        ("2018-05-05T00:06:35.123456789Z", 1_525_478_795_123_456_789),
        ("2018-05-05 00:06:35", 1_525_478_795_000_000_000),  # Telegraf formats in UTC
        ("1525478795", 1_525_478_795_000_000_000),  # a number that something on the way has made a text
    ],
)
def test_times_that_are_texts(sent: str, time_ns: int) -> None:
    (point,) = rows("telegraf_json", as_json({**METRIC, "timestamp": sent}))
    assert point.time_ns == time_ns


@pytest.mark.parametrize("measurement", ["prometheus", "prometheus_remote_write", "openmetric"])
def test_what_comes_from_prometheus_keeps_its_name(measurement: str) -> None:
    (point,) = rows("telegraf_json", as_json({**METRIC, "name": measurement, "fields": {"go_goroutines": 69}}))
    assert (point.name, point.kind, point.value) == ("go_goroutines", "unknown", 69.0)


def test_fields_of_other_kinds() -> None:
    metric = {**METRIC, "fields": {"up": True, "down": False, "state": "ok", "big": 2**62, "counter": 3}}
    metric["fields"].update(nested={"address": "AB1A", "hops": 10}, list=[1, 2])  # by json_nested_fields_include
    found = rows("telegraf_json", as_json(metric))
    assert {(point.name, point.kind): point.value for point in found} == {
        ("m_up", "unknown"): 1.0,
        ("m_down", "unknown"): 0.0,
        ("m_big", "unknown"): 2.0**62,
        ("m", "cumulative"): 3.0,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": 0}, "metric 1: time"),
        ({"timestamp": "05 May 18 00:06 UTC"}, "metric 1: timestamp is '05 May 18 00:06 UTC'; a time like 2026-01-31T"),
        ({"timestamp": "20180505000635"}, "metric 1: timestamp is 20180505000635000000000 ns; 1 to 2^63-1 is allowed"),
        ({"timestamp": None}, "metric 1: timestamp is nothing; an epoch time is expected"),
        ({"tags": 5}, "metric 1: tags are 5; an object is expected"),
        ({"fields": 5}, "metric 1: a field is of the wrong kind"),
        ({"fields": {"f": None}}, "metric 1: 'f' is nothing, not a number"),
        ({"fields": {"f": float("nan")}}, "metric 1: 'f' is nan; finite numbers only"),
        ({"name": 5}, "metric 1: name is 5; text is expected"),
    ],
)
def test_a_metric_that_cannot_be_read_costs_no_other(change: dict[str, Any], reason: str) -> None:
    decoded = decode("telegraf_json", as_json({"metrics": [METRIC, {**METRIC, **change}, METRIC]}))
    assert len(decoded.rows) == 2
    assert len(decoded.refused) == 1
    assert decoded.refused[0].startswith(reason)


@pytest.mark.parametrize("sent", [None, 1.5, True, {}])
def test_a_time_in_units_of_hours_is_an_integer(sent: Any) -> None:
    reason = dead("telegraf_json", as_json({**METRIC, "timestamp": sent}), timestamp_units="1h")
    assert reason.endswith(", not an integer")


def test_a_missing_field_is_named() -> None:
    for field in ("name", "timestamp", "fields"):
        sent = {key: value for key, value in METRIC.items() if key != field}
        assert dead("telegraf_json", as_json(sent)) == f"telegraf_json: metric 0: {field} is missing"
