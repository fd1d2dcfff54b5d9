"""OTLP in Protocol Buffers: the rows of OTLP/JSON, from messages that OpenTelemetry's own code encodes."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from afoot.errors import DecodeError
from afoot.telemetry import formats, limits
from afoot.telemetry.rows import LogRecord, MetricPoint
from tests.telemetry.support import as_json, dead, decode, labels, message, rows, sample, steady

TIME = 1_544_712_660_300_000_000


def metrics(document: dict[str, Any]) -> bytes:
    """OTLP/JSON as OpenTelemetry's own code encodes it."""
    encoded: bytes = Parse(as_json(document), ExportMetricsServiceRequest()).SerializeToString()
    return encoded


def points(*data_points: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": [{"key": "host", "value": {"stringValue": "h"}}]},
                "scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": list(data_points)}}]}],
            }
        ]
    }


def test_the_metrics_example_of_the_specification() -> None:
    found = rows("otlp_proto", sample("otlp/metrics.derived.pb"), "metrics")
    assert found[0] == MetricPoint(
        "my.counter", "1", "delta", labels(service__name="my.service", my__counter__attr="some value"), TIME, 5.0
    )
    assert [(point.name, point.labels.mapping.get("le"), point.value) for point in found[1:]] == [
        ("my.gauge", None, 10.0),
        ("my.histogram_count", None, 2.0),
        ("my.histogram_sum", None, 2.0),
        ("my.histogram_bucket", "1", 1.0),
        ("my.histogram_bucket", "+Inf", 2.0),
        ("my.exponential.histogram_count", None, 3.0),
        ("my.exponential.histogram_sum", None, 10.0),
        ("my.exponential.histogram_bucket", "0", 1.0),
        ("my.exponential.histogram_bucket", "4", 1.0),
        ("my.exponential.histogram_bucket", "8", 3.0),
        ("my.exponential.histogram_bucket", "+Inf", 3.0),
    ]


def test_the_log_example_of_the_specification() -> None:
    assert rows("otlp_proto", sample("otlp/logs.derived.pb"), "logs") == [
        LogRecord(
            TIME,
            "Information",
            "Example log record",
            labels(
                service__name="my.service",
                string__attribute="some string",
                boolean__attribute="true",
                int__attribute="10",
                double__attribute="637.704",
                array__attribute='["many","values"]',
                map__attribute='{"some.map.key":"some value"}',
            ),
        )
    ]


def test_points_without_a_time_are_refused_one_by_one() -> None:
    # Three sums, a gauge, two summaries and two histograms; none of them has a time.
    decoded = decode("otlp_proto", sample("otlp/otlp_proto_metrics_cmetrics.bin"), "metrics")
    assert decoded.rows == []
    assert decoded.refused == [
        f"metric {name!r} point {index}: timeUnixNano is missing (0)"
        for name, count in (
            ("kubernetes_network_load_counter", 3),
            ("kubernetes_network_load_gauge", 1),
            ("k8s_disk_load_summary", 2),
            ("k8s_network_load_histogram", 2),
        )
        for index in range(count)
    ]


def test_the_fields_of_a_transition_in_2022() -> None:
    document = points({"timeUnixNano": "7", "asInt": "1"})
    request = ExportMetricsServiceRequest()
    request.ParseFromString(metrics(document))
    (scope,) = request.resource_metrics[0].scope_metrics
    inner = scope.SerializeToString()
    resource = request.resource_metrics[0].resource.SerializeToString()
    # instrumentation_library_metrics has the number 1000: the key 1000 << 3 | 2 is the varint c2 3e.
    old = b"\x0a%c" % len(resource) + resource + b"\xc2\x3e%c" % len(inner) + inner
    assert rows("otlp_proto", b"\x0a%c" % len(old) + old, "metrics") == rows("otlp_json", as_json(document), "metrics")


def test_flows() -> None:
    document = sample("otlp/netflowreceiver_flow_log.json")
    encoded = Parse(document, ExportLogsServiceRequest()).SerializeToString()
    assert rows("otlp_proto", encoded, "flows") == rows("otlp_json", document, "flows")


any_value = st.recursive(
    st.one_of(
        st.builds(lambda text: {"stringValue": text}, st.text(max_size=9)),
        st.builds(lambda truth: {"boolValue": truth}, st.booleans()),
        st.builds(lambda number: {"intValue": str(number)}, st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda number: {"doubleValue": number}, st.floats(allow_nan=False, allow_infinity=False)),
        st.builds(lambda text: {"bytesValue": text}, st.sampled_from(["", "AQID", "/w=="])),
    ),
    lambda inner: st.one_of(
        st.builds(lambda values: {"arrayValue": {"values": values}}, st.lists(inner, max_size=3)),
        st.builds(
            lambda pairs: {"kvlistValue": {"values": [{"key": k, "value": v} for k, v in pairs.items()]}},
            st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
        ),
    ),
    max_leaves=4,
)
any_attributes = st.builds(
    lambda pairs: [{"key": key, "value": value} for key, value in pairs.items()],
    st.dictionaries(st.text(min_size=1, max_size=5), any_value, max_size=4),
)
counts = st.integers(0, 2**53)


@st.composite
def any_metric(draw: st.DrawFn) -> dict[str, Any]:
    point: dict[str, Any] = {"timeUnixNano": str(draw(st.integers(1, 2**63 - 1))), "attributes": draw(any_attributes)}
    temporality = {"aggregationTemporality": draw(st.integers(0, 2))}
    kind = draw(st.sampled_from(["gauge", "sum", "histogram", "exponentialHistogram", "summary"]))
    if kind in ("gauge", "sum"):
        point |= draw(
            st.one_of(
                st.builds(lambda n: {"asInt": str(n)}, st.integers(-(2**63), 2**63 - 1)),
                st.builds(lambda n: {"asDouble": n}, st.floats(allow_nan=False, allow_infinity=False)),
            )
        )
    else:
        point["sum"] = draw(st.floats(0, 1e9))
    if kind == "histogram":
        buckets = draw(st.lists(counts, min_size=1, max_size=4))
        bounds = draw(st.lists(st.floats(-1e9, 1e9), min_size=len(buckets) - 1, max_size=len(buckets) - 1))
        point |= {"bucketCounts": [str(n) for n in buckets], "explicitBounds": bounds, "count": str(sum(buckets))}
    if kind == "exponentialHistogram":
        sides = draw(st.lists(st.lists(counts, max_size=4), min_size=2, max_size=2))
        zeros = draw(counts)
        point |= {
            "scale": draw(st.integers(-4, 20)),
            "zeroCount": str(zeros),
            "positive": {"offset": draw(st.integers(-9, 9)), "bucketCounts": [str(n) for n in sides[0]]},
            "negative": {"offset": draw(st.integers(-9, 9)), "bucketCounts": [str(n) for n in sides[1]]},
            "count": str(zeros + sum(map(sum, sides))),
        }
    if kind == "summary":
        quantile = {"quantile": draw(st.floats(0, 1)), "value": draw(st.floats(0, 1e9))}
        point |= {"count": str(draw(counts)), "quantileValues": [quantile]}
        temporality = {}
    if kind == "gauge":
        temporality = {}
    if kind == "sum":
        temporality["isMonotonic"] = draw(st.booleans())
    return {"name": draw(st.text(min_size=1, max_size=9)), "unit": "s", kind: {**temporality, "dataPoints": [point]}}


@steady
@given(any_attributes, st.lists(any_metric(), max_size=3))
def test_both_encodings_of_a_message_give_the_same_rows(
    resource: list[dict[str, Any]], sent: list[dict[str, Any]]
) -> None:
    document = {"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"metrics": sent}]}]}
    assert decode("otlp_proto", metrics(document), "metrics") == decode("otlp_json", as_json(document), "metrics")


def test_a_series_seen_before_has_the_same_labels() -> None:
    decode_one = formats.decoder("otlp_proto", "metrics")
    value = metrics(points({"timeUnixNano": "1", "asInt": "1", "attributes": [{"key": "k", "value": {"intValue": 1}}]}))
    first, second = decode_one(message(value)).rows[0], decode_one(message(value)).rows[0]
    assert first.labels is second.labels
    assert first.labels == labels(host="h", k="1")


def test_nan_is_refused() -> None:
    decoded = decode("otlp_proto", metrics(points({"timeUnixNano": "1", "asDouble": "NaN"})), "metrics")
    assert decoded.refused == ["metric 'm' point 0: asDouble is nan; finite numbers only"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "0 bytes without a resourceMetrics field"),
        (b"\x0a\x05\x12", "field 1 at byte 0 ends at 7, after its message at 3"),
        (b"\x0a", "the message ends inside a field, at byte 1"),
        (b"\x0a\x04\x12\x03\x12\x01\x0a\x00", "field 2 at byte 2 ends at 7, after its message at 6"),
        (b"\x0b", "wire type 3 at byte 0"),
        (b"\x08\x01", "field 1 at byte 0 has wire type 0, which no message has"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a number of over"),
        (b"\x0a\x09\x12\x07\x12\x05\x0a\x03\xff\xfe\xfd", "byte 0xff at 8 is not UTF-8"),
    ],
)
def test_broken_messages(value: bytes, reason: str) -> None:
    assert reason in dead("otlp_proto", value, "metrics")


def test_a_message_cut_anywhere_is_dead_or_whole_up_to_there() -> None:
    whole = metrics(points({"timeUnixNano": "1", "asInt": "5"}))
    for size in range(len(whole)):
        dead("otlp_proto", whole[:size], "metrics")


def test_nesting_bombs() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(40):
        value = {"arrayValue": {"values": [value]}}
    point = {"timeUnixNano": "1", "asInt": "5", "attributes": [{"key": "k", "value": value}]}
    assert "messages nested over 64 deep" in dead("otlp_proto", metrics(points(point)), "metrics")


def test_too_many_labels() -> None:
    many = [{"key": str(n), "value": {"intValue": "1"}} for n in range(limits.LABELS + 1)]
    decoded = decode("otlp_proto", metrics(points({"timeUnixNano": "1", "asInt": "5", "attributes": many})), "metrics")
    assert "257 attributes; at most 256 are allowed" in decoded.refused[0]


@steady
@given(st.data())
def test_changed_bytes_end_as_rows_or_reasons(data: st.DataObject) -> None:
    value = bytearray(
        metrics(points({"timeUnixNano": "1", "asInt": "5", "attributes": [{"key": "k", "value": {"intValue": 1}}]}))
    )
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode("otlp_proto", bytes(value), "metrics")
    except DecodeError as error:
        assert str(error).startswith("otlp_proto: ")


def test_too_many_of_anything_are_dead_before_they_fill_the_memory() -> None:
    assert "is repeated over 200000 times" in dead("otlp_proto", b"\x0a\x00" * (limits.ROWS + 2), "metrics")
