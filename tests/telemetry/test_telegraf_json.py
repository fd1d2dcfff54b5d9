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


@pytest.mark.parametrize(
    ("units", "sent"),
    [
        ("1s", 1_458_229_140),
        ("1ms", 1_458_229_140_000),
        ("1us", 1_458_229_140_000_000),
        ("1ns", 1_458_229_140_000_000_001),
    ],
)
def test_units(units: str, sent: int) -> None:
    (point,) = rows("telegraf_json", as_json({**METRIC, "timestamp": sent}), timestamp_units=units)
    assert point.time_ns == 1_458_229_140_000_000_000 + (1 if units == "1ns" else 0)
    with pytest.raises(UsageError, match="timestamp_units is '1h'; allowed are 1s, 1ms, 1us, 1ns"):
        formats.decoder("telegraf_json", "metrics", {"timestamp_units": "1h"})


def test_fields_of_other_kinds() -> None:
    metric = {**METRIC, "fields": {"up": True, "down": False, "state": "ok", "big": 2**62, "counter": 3}}
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


def test_a_missing_field_is_named() -> None:
    for field in ("name", "timestamp", "fields"):
        sent = {key: value for key, value in METRIC.items() if key != field}
        assert dead("telegraf_json", as_json(sent)) == f"telegraf_json: metric 0: {field} is missing"
