"""prometheus-kafka-adapter's JSON, by its serializer's own tests."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from afoot.telemetry.rows import Decoded, MetricPoint
from tests.telemetry import support
from tests.telemetry.support import as_json, labels, sample_lines

# The format has two kinds; this file is about the first.
rows = functools.partial(support.rows, kind="metrics")
dead = functools.partial(support.dead, kind="metrics")
decode = functools.partial(support.decode, kind="metrics")

FORMAT = "prometheus_kafka_adapter"
SAMPLE: dict[str, Any] = {
    "value": "456",
    "timestamp": "2026-11-21T03:00:01Z",
    "name": "container_fs_writes_total",
    "labels": {"__name__": "container_fs_writes_total", "pod": "a"},
}


def test_a_sample() -> None:
    assert rows(FORMAT, as_json(SAMPLE)) == [
        MetricPoint("container_fs_writes_total", "", "unknown", labels(pod="a"), 1_795_230_001_000_000_000, 456.0)
    ]


def test_the_samples_of_the_adapter() -> None:
    # One of the first second of 1970, which says nothing of a time, and one of an infinite value ten seconds later.
    found = [decode(FORMAT, line) for line in sample_lines("prometheus-kafka-adapter/json.ndjson")]
    assert found == [
        Decoded([], ["sample 0: timestamp is missing (0)"]),
        Decoded([], ["sample 0: value is '+Inf'; finite numbers only"]),
    ]


@pytest.mark.parametrize("value", ["NaN", "-Inf", "+Inf"])
def test_values_that_are_no_number(value: str) -> None:
    assert decode(FORMAT, as_json({**SAMPLE, "value": value})).refused == [
        f"sample 0: value is '{value}'; finite numbers only"
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": "many"}, "value is 'many', not a number"),
        ({"labels": []}, "labels are an array; an object is expected"),
        ({"labels": {"pod": 5}}, "label 'pod' is 5; text is expected"),
        ({"timestamp": 5}, "timestamp is 5"),
        ({"name": ""}, "name is ''"),
    ],
)
def test_other_samples_are_dead(change: dict[str, Any], reason: str) -> None:
    assert f"{FORMAT}: sample 0: {reason}" in dead(FORMAT, as_json({**SAMPLE, **change}))


def test_samples_of_one_series_share_their_labels() -> None:
    first, second = rows(FORMAT, as_json([SAMPLE, SAMPLE]))
    assert first.labels is second.labels
