"""OTLP/JSON, by the data model and the samples of its own repository."""

from __future__ import annotations

import copy
import gzip
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.telemetry import formats, limits
from afoot.telemetry.rows import FlowRecord, LogRecord, MetricPoint
from tests.telemetry.support import as_json, dead, decode, labels, message, rows, sample, sample_lines, steady, values

TIME = 1_544_712_660_300_000_000


def attributes(**pairs: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


def request(*metrics: dict[str, Any], **resource: str) -> bytes:
    resource_attributes = attributes(**{key: {"stringValue": value} for key, value in resource.items()})
    return as_json(
        {
            "resourceMetrics": [
                {"resource": {"attributes": resource_attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}
            ]
        }
    )


def gauge(**point: Any) -> bytes:
    return request({"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": str(TIME), **point}]}})


def test_the_example_of_the_specification() -> None:
    found = rows("otlp_json", sample("otlp/metrics.json"), "metrics")
    counter = labels(service__name="my.service", my__counter__attr="some value")
    level = labels(service__name="my.service", my__gauge__attr="some value")
    assert found[:2] == [
        MetricPoint("my.counter", "1", "delta", counter, TIME, 5.0),
        MetricPoint("my.gauge", "1", "gauge", level, TIME, 10.0),
    ]
    plain = {"service.name": "my.service", "my.histogram.attr": "some value"}
    histogram = [point for point in found if point.name.startswith("my.histogram")]
    assert [(point.name, point.unit, point.labels.mapping, point.value) for point in histogram] == [
        ("my.histogram_count", "1", plain, 2.0),
        ("my.histogram_sum", "1", plain, 2.0),
        ("my.histogram_bucket", "1", {**plain, "le": "1"}, 1.0),
        ("my.histogram_bucket", "1", {**plain, "le": "+Inf"}, 2.0),
    ]
    # Scale 0: bucket i holds (2^i, 2^(i+1)]; offset 1, counts 0 and 2: none in (2, 4], two in (4, 8]; one zero.
    exponential = [point for point in found if point.name.startswith("my.exponential")]
    assert [(point.name[24:], point.labels.mapping.get("le"), point.value) for point in exponential] == [
        ("_count", None, 3.0),
        ("_sum", None, 10.0),
        ("_bucket", "0", 1.0),
        ("_bucket", "4", 1.0),
        ("_bucket", "8", 3.0),
        ("_bucket", "+Inf", 3.0),
    ]
    assert {point.kind for point in histogram + exponential} == {"delta"}
    assert {point.time_ns for point in found} == {TIME}


def test_snake_case_keys() -> None:
    assert rows("otlp_json", sample("otlp/snake_case_test_metrics_001.json"), "metrics") == [
        MetricPoint(
            "requests_total",
            "",
            "cumulative",
            labels(service__instance__id="instance-1", service__name="checkout"),
            1_650_917_400_000_000_000,
            42.0,
        )
    ]


@pytest.mark.parametrize("inner", ["instrumentationLibraryMetrics", "instrumentation_library_metrics"])
def test_metrics_of_before_2022(inner: str) -> None:
    metric = {"name": "m", "gauge": {"dataPoints": [{"time_unix_nano": str(TIME), "asInt": "1"}]}}
    old = [{"instrumentationLibrary": {"name": "x"}, "metrics": [metric]}]
    document = {"resourceMetrics": [{"resource": {"attributes": attributes(host={"stringValue": "h"})}, inner: old}]}
    expected = [MetricPoint("m", "", "gauge", labels(host="h"), TIME, 1.0)]
    assert rows("otlp_json", as_json(document), "metrics") == expected
    # During a transition senders told the same twice.
    document["resourceMetrics"][0]["scopeMetrics"] = [{"scope": {"name": "x"}, "metrics": [metric]}]  # type: ignore[index]
    assert rows("otlp_json", as_json(document), "metrics") == expected


@pytest.mark.parametrize("records", ["logs", "logRecords"])
def test_log_records_of_before_2022(records: str) -> None:
    record = {"timeUnixNano": str(TIME), "body": {"stringValue": "x"}}
    document = {"resourceLogs": [{"instrumentationLibraryLogs": [{records: [record]}]}]}
    assert [found.body for found in rows("otlp_json", as_json(document), "logs")] == ["x"]


def test_snake_case_in_a_compressed_message() -> None:
    packed = gzip.compress(sample("otlp/snake_case_test_metrics_001.json"))
    assert [point.value for point in rows("otlp_json", packed, "metrics")] == [42.0]


def test_what_the_collector_sent_to_a_real_broker() -> None:
    first = rows("otlp_json", sample_lines("recorded/otlp_metrics.jsonl")[0], "metrics")
    resource = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
        "service.instance.id": "e60c0a58-86ce-4579-b454-d4d0ec39221f",
        "service.name": "storaged",
        "host.name": "node-1",
        "volume.id": "vol-1",
    }
    assert first[0].labels.mapping == {**resource, "op": "write"}
    assert first[0][:3] == ("volume.io.bytes", "By", "cumulative")
    assert (first[0].time_ns, first[0].value) == (1_795_231_028_961_102_154, 4096.0)
    assert first[2][:3] == ("volume.io.latency_sum", "ms", "cumulative")
    assert (first[2].labels.mapping, first[2].value) == (resource, 1.5)
    # 1.5 ms: nothing up to 0, one up to each greater bound.
    buckets = {point.labels.mapping["le"]: point.value for point in first[3:]}
    assert buckets == {
        **{"0": 0.0, "5": 1.0, "10": 1.0, "25": 1.0, "50": 1.0, "75": 1.0, "100": 1.0, "250": 1.0, "500": 1.0},
        **{"750": 1.0, "1000": 1.0, "2500": 1.0, "5000": 1.0, "7500": 1.0, "10000": 1.0, "+Inf": 1.0},
    }


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"sum": {"aggregationTemporality": 2, "isMonotonic": True}}, "cumulative"),
        ({"sum": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "isMonotonic": True}}, "cumulative"),
        ({"sum": {"aggregationTemporality": 2}}, "gauge"),  # goes up and down: a level
        ({"sum": {"aggregationTemporality": 1, "isMonotonic": True}}, "delta"),
        ({"sum": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA"}}, "delta"),
        ({"sum": {"isMonotonic": True}}, "unknown"),
        ({"gauge": {}}, "gauge"),
    ],
)
def test_kinds(data: dict[str, Any], kind: str) -> None:
    ((name, body),) = data.items()
    metric = {"name": "m", name: {**body, "dataPoints": [{"timeUnixNano": TIME, "asInt": 3}]}}
    (point,) = rows("otlp_json", request(metric), "metrics")
    assert (point.kind, point.value, point.time_ns) == (kind, 3.0, TIME)


@pytest.mark.parametrize(
    ("point", "value"),
    [
        ({"asInt": "42"}, 42.0),
        ({"asInt": 42}, 42.0),
        ({"asInt": "-42"}, -42.0),
        ({"asInt": "9223372036854775807"}, 2.0**63),
        ({"asDouble": 1.25}, 1.25),
        ({"asDouble": 5}, 5.0),
        ({"asDouble": "1.5e3"}, 1500.0),
        ({"asDouble": 0.0}, 0.0),
    ],
)
def test_numbers(point: dict[str, Any], value: float) -> None:
    assert rows("otlp_json", gauge(**point), "metrics")[0].value == value


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"asDouble": "NaN"}, "asDouble is 'NaN'; finite numbers only"),
        ({"asDouble": math.nan}, "asDouble is nan; finite numbers only"),
        ({"asDouble": math.inf}, "asDouble is inf; finite numbers only"),
        ({"asDouble": 10**400}, "asDouble is inf; finite numbers only"),
        ({"asInt": 10**330}, "asInt is an integer of 1097 bits, more than a double holds"),
        ({"asDouble": 1.0, "timeUnixNano": "0"}, "timeUnixNano is missing"),
        ({"asDouble": 1.0, "timeUnixNano": str(2**63)}, "1 to 2\\^63-1 is allowed"),
        ({"flags": 1}, "no value was recorded"),
        ({"asDouble": 1.0, "flags": 1}, "no value was recorded"),
        ({"asDouble": 1.0, "attributes": attributes(k={"stringValue": "x" * 20_000})}, "labels of 20001 characters"),
        ({"asDouble": 1.0, "attributes": attributes(k={"stringValue": "x"}) * 257}, "257 attributes; at most 256"),
    ],
)
def test_a_point_that_cannot_be_taken_is_refused(point: dict[str, Any], reason: str) -> None:
    decoded = decode("otlp_json", gauge(**point), "metrics")
    assert decoded.rows == []
    assert len(decoded.refused) == 1
    assert re.search("metric 'm' point 0: .*" + reason, decoded.refused[0])


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({}, "neither asDouble nor asInt"),
        ({"asInt": "4_2"}, "asInt is '4_2', not an integer"),
        ({"asInt": 4.5}, "asInt is 4.5, not an integer"),
        ({"asDouble": True}, "asDouble is True, not a number"),
        ({"asDouble": 1.0, "timeUnixNano": "now"}, "timeUnixNano is 'now', not an integer"),
        (
            {"asDouble": 1.0, "attributes": {"k": "v"}},
            "attributes are an object; an array of key and value is expected",
        ),
        ({"asDouble": 1.0, "attributes": [{"key": "k", "value": {"x": 1}}]}, "an AnyValue such as stringValue"),
        ({"asDouble": 1.0, "attributes": [{"value": {"intValue": 1}}]}, "an attribute's key is nothing"),
    ],
)
def test_a_message_without_a_point_of_the_format_is_dead(point: dict[str, Any], reason: str) -> None:
    assert reason in dead("otlp_json", gauge(**point), "metrics")


def test_one_bad_point_costs_no_other() -> None:
    points = [{"timeUnixNano": TIME, "asDouble": number} for number in (1.0, "NaN", 3.0)]
    points.insert(1, "point")  # type: ignore[arg-type]
    metrics = [{"name": "m", "gauge": {"dataPoints": points}}, {"name": "n", "trend": {}}, 7, {"gauge": {}}]
    decoded = decode("otlp_json", request(*metrics), "metrics")  # type: ignore[arg-type]
    assert [point.value for point in decoded.rows] == [1.0, 3.0]
    assert decoded.refused == [
        "metric 'm' point 1: found 'point'; an object is expected",
        "metric 'm' point 2: asDouble is 'NaN'; finite numbers only",
        "metric 1: it has keys 'name', 'trend'; gauge, sum, histogram, exponentialHistogram or summary is expected",
        "metric 2: found 7; an object is expected",
        "metric 3: name is nothing; text is expected",
    ]


def test_many_bad_points_are_counted_under_one_reason() -> None:
    points = [{"timeUnixNano": TIME, "asDouble": "NaN"}] * 500
    decoded = decode("otlp_json", request({"name": "m", "gauge": {"dataPoints": points}}), "metrics")
    assert len(decoded.refused) == 500
    assert len(set(decoded.refused)) == limits.REASONS + 1


def test_attributes_of_the_point_win_over_those_of_the_resource() -> None:
    point = {
        "timeUnixNano": TIME,
        "asInt": "1",
        "attributes": attributes(
            host={"stringValue": "point"},
            up={"boolValue": True},
            port={"intValue": "8080"},
            ratio={"doubleValue": 0.5},
            list={"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 2}]}},
            map={"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}},
            bytes={"bytesValue": "AQID"},
            empty={},
            none=None,
        ),
    }
    (found,) = rows("otlp_json", request({"name": "m", "gauge": {"dataPoints": [point]}}, host="resource"), "metrics")
    assert found.labels.mapping == {
        "host": "point",
        "up": "true",
        "port": "8080",
        "ratio": "0.5",
        "list": '["a",2]',
        "map": '{"k":false}',
        "bytes": "AQID",
        "empty": "",
        "none": "",
    }


def test_a_series_seen_before_has_the_same_labels() -> None:
    decode_one = formats.decoder("otlp_json", "metrics")
    value = gauge(asDouble=1.0, attributes=attributes(k={"stringValue": "v"}))
    assert decode_one(message(value)).rows[0].labels is decode_one(message(value)).rows[0].labels


def test_histograms_without_buckets_have_the_infinite_one() -> None:
    metric = {
        "name": "h",
        "unit": "s",
        "histogram": {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": TIME, "count": 4, "sum": 2.5}]},
    }
    assert values(rows("otlp_json", request(metric), "metrics")) == {
        ("h_count", "{}"): 4.0,
        ("h_sum", "{}"): 2.5,
        ("h_bucket", '{"le":"+Inf"}'): 4.0,
    }


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"count": 2, "bucketCounts": [1, 1], "explicitBounds": [1, 2]}, "2 bounds and 2 bucket counts"),
        ({"count": 2, "bucketCounts": [1, 2, 3], "explicitBounds": [1, 2]}, "hold 3 values, but count is 2"),
        ({"count": -2}, "count is -2"),
    ],
)
def test_histograms_that_contradict_themselves(point: dict[str, Any], reason: str) -> None:
    good = {"timeUnixNano": TIME, "count": 1}
    metric = {"name": "h", "histogram": {"dataPoints": [{"timeUnixNano": TIME, **point}, good]}}
    decoded = decode("otlp_json", request(metric), "metrics")
    assert [row.name for row in decoded.rows] == ["h_count", "h_bucket"]
    assert reason in decoded.refused[0]


@pytest.mark.parametrize("total", ["NaN", "Infinity", math.nan, -math.inf])
@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
def test_a_histogram_s_sum_that_is_not_finite_costs_no_other_row(kind: str, total: Any) -> None:
    buckets = {"bucketCounts": ["1", "2"], "explicitBounds": [1]} if kind == "histogram" else {"zeroCount": 1}
    point = {"timeUnixNano": TIME, "count": "3", "sum": total, **buckets}
    decoded = decode("otlp_json", request({"name": "h", kind: {"dataPoints": [point]}}), "metrics")
    assert values(decoded.rows) == {
        ("h_count", "{}"): 3.0,
        ("h_bucket", '{"le":"1"}' if kind == "histogram" else '{"le":"0"}'): 1.0,
        ("h_bucket", '{"le":"+Inf"}'): 3.0,
    }
    assert decoded.refused == [f"metric 'h' point 0: sum is {total!r}; finite numbers only"]


def exponential(**point: Any) -> list[tuple[str, float]]:
    metric = {"name": "e", "exponentialHistogram": {"dataPoints": [{"timeUnixNano": TIME, **point}]}}
    return [
        (found.labels.mapping["le"], found.value)
        for found in rows("otlp_json", request(metric), "metrics")
        if found.name == "e_bucket"
    ]


def test_exponential_histograms_of_both_signs() -> None:
    # Scale 1: the base is the root of 2, so bucket 1 holds (1.41, 2] and bucket 2 (2, 2.83]; below zero it is mirrored.
    found = exponential(
        count=15,
        scale=1,
        zeroCount=2,
        zeroThreshold=0.5,
        positive={"offset": 1, "bucketCounts": [1, 4]},
        negative={"offset": 1, "bucketCounts": ["3", 5]},
    )
    assert [(round(float(bound), 3), value) for bound, value in found[:-1]] == [
        (-2.0, 5.0),
        (-1.414, 8.0),
        (0.5, 10.0),
        (2.0, 11.0),
        (2.828, 15.0),
    ]
    assert found[-1] == ("+Inf", 15.0)


def test_exponential_histograms_at_the_edges_of_a_double() -> None:
    assert exponential(count=3, scale=-10, positive={"offset": 0, "bucketCounts": [3]}) == [("+Inf", 3.0)]
    assert exponential(count=1, scale=20, positive={"offset": 0, "bucketCounts": [1]})[0][0].startswith("1.00000066")
    decoded = decode(
        "otlp_json",
        request(
            {
                "name": "e",
                "exponentialHistogram": {
                    "dataPoints": [{"timeUnixNano": TIME, "count": 1, "scale": 2**31}, {"timeUnixNano": TIME}]
                },
            }
        ),
        "metrics",
    )
    assert "scale is 2147483648; -32 to 32 is allowed" in decoded.refused[0]


def test_bounds_below_the_smallest_double_are_one() -> None:
    # At scale 0 bucket i ends at 2^(i+1); the smallest double is 2^-1074, so of these four the first three end at 0.
    positive = {"offset": -1078, "bucketCounts": [1, 2, 4, 8]}
    assert exponential(count=15, positive=positive) == [("0", 7.0), ("5e-324", 15.0), ("+Inf", 15.0)]
    # Below zero bucket i ends at -2^i: the first at 0 from below, the second at -2^-1074.
    negative = {"offset": -1075, "bucketCounts": [1, 2]}
    assert exponential(count=19, zeroCount=1, positive=positive, negative=negative) == [
        ("-5e-324", 2.0),
        ("0", 11.0),
        ("5e-324", 19.0),
        ("+Inf", 19.0),
    ]


def test_summaries() -> None:
    metric = {
        "name": "s",
        "unit": "ms",
        "summary": {
            "dataPoints": [
                {
                    "timeUnixNano": TIME,
                    "count": "5",
                    "sum": 50.0,
                    "quantileValues": [{"quantile": 0.5, "value": 9.0}, {"quantile": 1, "value": 20}, {"value": 1.0}],
                }
            ]
        },
    }
    found = rows("otlp_json", request(metric), "metrics")
    assert [(point.name, point.unit, point.kind) for point in found[:3]] == [
        ("s_count", "1", "cumulative"),
        ("s_sum", "ms", "cumulative"),
        ("s", "ms", "gauge"),
    ]
    assert values(found) == {
        ("s_count", "{}"): 5.0,
        ("s_sum", "{}"): 50.0,
        ("s", '{"quantile":"0.5"}'): 9.0,
        ("s", '{"quantile":"1"}'): 20.0,
        ("s", '{"quantile":"0"}'): 1.0,
    }


def test_a_part_of_a_summary_that_is_not_finite_costs_no_other_row() -> None:
    # As the Collector sends what it scraped from a Go program that answered no request for a while.
    quantiles: list[Any] = [{"quantile": 0.5, "value": "NaN"}, {"quantile": 0.99, "value": 0.4}, 7]
    quantiles.append({"quantile": "NaN", "value": 1.0})
    point = {"timeUnixNano": TIME, "count": "10", "sum": "Infinity", "quantileValues": quantiles}
    decoded = decode("otlp_json", request({"name": "rpc", "summary": {"dataPoints": [point]}}), "metrics")
    assert values(decoded.rows) == {("rpc_count", "{}"): 10.0, ("rpc", '{"quantile":"0.99"}'): 0.4}
    assert decoded.refused == [
        "metric 'rpc' point 0: sum is 'Infinity'; finite numbers only",
        "metric 'rpc' point 0: quantile 0.5 is 'NaN'; finite numbers only",
        "metric 'rpc' point 0: found 7; an object is expected",
        "metric 'rpc' point 0: quantile is 'NaN'; finite numbers only",
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "found keys none; an object with 'resourceMetrics' is expected"),
        (b'{"resourceLogs": []}', "found keys 'resourceLogs'; an"),
        (b"[]", "found an array"),
        (b'{"resourceMetrics": {}}', "resourceMetrics is an object; an array is expected"),
        (b'{"resourceMetrics": [7]}', "found 7; an object is expected"),
        (b'{"resourceMetrics": [{"scopeMetrics": "x"}]}', "scopeMetrics is 'x'; an array is expected"),
        (b'{"resourceMetrics": [{"scopeMetrics": ["x"]}]}', "found 'x'; an object is expected"),
        (
            b'{"resourceMetrics": [{"resource": {"attributes": 7}, "scopeMetrics": [{"metrics": [{"name": "m", '
            b'"gauge": {"dataPoints": [{"timeUnixNano": "1", "asInt": 1}]}}]}]}]}',
            "attributes are 7",
        ),
    ],
)
def test_another_shape_is_dead(value: bytes, reason: str) -> None:
    assert reason in dead("otlp_json", value, "metrics")


def test_nesting_bombs_are_dead_or_refused() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(limits.DEPTH + 1):
        value = {"arrayValue": {"values": [value]}}
    decoded = decode("otlp_json", gauge(asDouble=1.0, attributes=attributes(k=value)), "metrics")
    assert "nested over 64 deep" in decoded.refused[0]
    deep = b'{"arrayValue":{"values":[' * 300 + b'{"stringValue":"x"}' + b"]}}" * 300
    shallow = gauge(asDouble=1.0, attributes=attributes(k={"stringValue": "HERE"}))
    dead("otlp_json", shallow.replace(b'{"stringValue": "HERE"}', deep), "metrics")


def test_a_million_labels_are_refused() -> None:
    point = {"timeUnixNano": TIME, "asInt": "1", "attributes": [{"key": str(n), "value": {}} for n in range(100_000)]}
    decoded = decode("otlp_json", gauge(**point), "metrics")
    assert "100000 attributes; at most 256 are allowed" in decoded.refused[0]


def test_the_log_example_of_the_specification() -> None:
    assert rows("otlp_json", sample("otlp/logs.json"), "logs") == [
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


def test_events_have_their_name_as_a_label_and_their_body_as_json() -> None:
    (event,) = rows("otlp_logs", sample("otlp/events.json"))
    assert event.labels == labels(
        service__name="my.service", event__name="browser.page_view", event__attribute="some event attribute"
    )
    assert event.body == (
        '{"type":0,"url":"https://www.guidgenerator.com/online-guid-generator.aspx",'
        '"referrer":"https://wwww.google.com","title":"Free Online GUID Generator"}'
    )


def test_a_body_may_have_an_empty_key() -> None:
    pairs = [{"key": "", "value": {"intValue": "1"}}, {"value": {"intValue": "2"}}, {"key": "a", "value": {}}]
    (found,) = rows("otlp_logs", log(timeUnixNano=str(TIME), body={"kvlistValue": {"values": pairs[::2]}}))
    assert found.body == '{"":1,"a":null}'
    (found,) = rows("otlp_logs", log(timeUnixNano=str(TIME), body={"kvlistValue": {"values": pairs[1:]}}))
    assert found.body == '{"":2,"a":null}'
    reason = dead("otlp_logs", log(timeUnixNano=str(TIME), attributes=pairs))
    assert "an attribute's key is ''; text is expected" in reason


def test_log_records_of_several_scopes_and_resources() -> None:
    found = rows("otlp_logs", sample("otlp/snake_case_test_logs_001.json"))
    expected = labels(service__name="example-service", example_key="example_value")
    assert [(log.time_ns, log.severity, log.labels) for log in found] == [
        (1_650_917_400_000_000_000, "INFO", expected)
    ] * 4
    assert [log.body for log in found] == [
        "This is an example log message.",
        "This is another example log message.",
    ] * 2


@pytest.mark.parametrize(
    "name", ["otel-entities/pvc_entity_state_spec.json", "otel-entities/pvc_entity_state_legacy.json"]
)
def test_entity_events_are_log_records_without_text(name: str) -> None:
    (event,) = rows("otlp_logs", sample(name))
    assert (event.time_ns, event.severity, event.body) == (1_738_160_303_151_735_394, "", "")
    described = [value for key, value in event.labels.items if key in ("entity.description", "otel.entity.attributes")]
    assert described == [
        '{"k8s.persistentvolumeclaim.name":"test-entities-pvc","k8s.namespace.name":"default",'
        '"k8s.persistentvolumeclaim.creation_timestamp":"2025-01-01T00:00:00Z"}'
    ]


def log(**record: Any) -> bytes:
    return as_json({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({"severityNumber": 1}, "TRACE"),
        ({"severityNumber": 12}, "INFO"),
        ({"severityNumber": 13}, "WARN"),
        ({"severityNumber": 24}, "FATAL"),
        ({"severityNumber": 0}, ""),
        ({"severityNumber": 99}, ""),
        ({"severityNumber": "SEVERITY_NUMBER_ERROR2"}, "ERROR2"),
        ({"severityNumber": 9, "severityText": "Notice"}, "Notice"),
        ({}, ""),
    ],
)
def test_severities(severity: dict[str, Any], expected: str) -> None:
    (found,) = rows("otlp_logs", log(timeUnixNano=str(TIME), **severity))
    assert found.severity == expected


def test_a_record_without_its_own_time_has_that_of_its_observation() -> None:
    (found,) = rows("otlp_logs", log(timeUnixNano="0", observedTimeUnixNano=str(TIME), body={"intValue": "3"}))
    assert (found.time_ns, found.body) == (TIME, "3")
    decoded = decode("otlp_logs", log(body={"stringValue": "x"}))
    assert decoded.refused == ["log record 0: timeUnixNano is missing (0)"]


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("otlp_logs", log(timeUnixNano=str(TIME), body={"stringValue": "x" * (limits.BODY_CHARS + 1)}))
    assert "the body has 1048577 characters; at most 1048576 are allowed" in decoded.refused[0]


def test_flows_of_the_netflow_receiver() -> None:
    assert rows("otlp_json", sample("otlp/netflowreceiver_flow_log.json"), "flows") == [
        FlowRecord(
            start_ns=1_736_309_689_830_846_400,
            end_ns=1_736_309_689_871_846_400,
            source_address="132.189.238.100",
            source_port=1255,
            destination_address="241.171.33.110",
            destination_port=64744,
            transport="tcp",
            bytes=853,
            packets=83,
            sampling_rate=None,
            source_as=None,
            destination_as=None,
            sampler="172.28.176.1",
            labels=labels(),
        )
    ]


RELEASED: dict[str, Any] = {  # the attributes that the receiver's parser.go sets, and some of those of later releases
    "source.address": {"stringValue": "132.189.238.100"},
    "source.port": {"intValue": "1255"},
    "destination.address": {"stringValue": "241.171.33.110"},
    "destination.port": {"intValue": "64744"},
    "network.transport": {"stringValue": "tcp"},
    "network.type": {"stringValue": "ipv4"},
    "flow.io.bytes": {"intValue": "853"},
    "flow.io.packets": {"intValue": "83"},
    "flow.type": {"stringValue": "netflow_v5"},
    "flow.sequence_num": {"intValue": "191"},
    "flow.time_received": {"intValue": "1736309689918929427"},
    "flow.start": {"intValue": "1736309689830846400"},
    "flow.end": {"intValue": "1736309689871846400"},
    "flow.sampling_rate": {"intValue": "100"},
    "flow.sampler_address": {"stringValue": "172.28.176.1"},
    "flow.tcp_flags": {"intValue": "16"},
    "flow.src_as": {"intValue": "64500"},
    "flow.dst_as": {"intValue": "0"},
    "flow.in_if": {"intValue": "3"},
}


def netflow(**changed: Any) -> bytes:
    """A flow as released versions send it; a double underscore stands for a dot, None for an attribute left out."""
    found = {**RELEASED, **{key.replace("__", "."): value for key, value in changed.items()}}
    record = {
        "timeUnixNano": "1736309689830846400",
        "observedTimeUnixNano": "1736309689918929427",
        "body": {},
        "attributes": attributes(**{key: value for key, value in found.items() if value is not None}),
    }
    return as_json({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]})


def test_flows_of_the_released_netflow_receiver() -> None:
    assert rows("otlp_json", netflow(), "flows") == [
        FlowRecord(
            start_ns=1_736_309_689_830_846_400,
            end_ns=1_736_309_689_871_846_400,
            source_address="132.189.238.100",
            source_port=1255,
            destination_address="241.171.33.110",
            destination_port=64744,
            transport="tcp",
            bytes=853,
            packets=83,
            sampling_rate=100,
            source_as=64500,
            destination_as=None,
            sampler="172.28.176.1",
            labels=labels(),
        )
    ]


@pytest.mark.parametrize("received", [RELEASED["flow.time_received"], None, {"intValue": "0"}])
def test_a_flow_without_an_end_ends_when_it_was_received(received: Any) -> None:
    (flow,) = rows("otlp_json", netflow(flow__end={"intValue": "0"}, flow__time_received=received), "flows")
    # The record's own time is that of the flow's start; it is observed when it is received.
    assert (flow.start_ns, flow.end_ns) == (1_736_309_689_830_846_400, 1_736_309_689_918_929_427)


def test_a_flow_without_a_start_starts_when_it_ends() -> None:
    (flow,) = rows("otlp_json", netflow(flow__start={"intValue": "0"}), "flows")
    assert (flow.start_ns, flow.end_ns) == (1_736_309_689_871_846_400, 1_736_309_689_871_846_400)


def test_a_flow_may_have_its_record_s_time_alone() -> None:
    times = ("flow.start", "flow.end", "flow.time_received")
    sent = attributes(**{key: value for key, value in RELEASED.items() if key not in times})
    (flow,) = rows("otlp_json", log(timeUnixNano=str(TIME), attributes=sent), "flows")
    assert (flow.start_ns, flow.end_ns) == (TIME, TIME)


@pytest.mark.parametrize("address", ["source", "destination"])
def test_what_is_not_ip_is_no_flow(address: str) -> None:
    decoded = decode("otlp_json", netflow(**{f"{address}__address": {"stringValue": "invalid IP"}}), "flows")
    assert decoded.rows == []
    assert decoded.refused == [f"log record 0: {address}.address is 'invalid IP': what was counted is not IP"]


def test_a_sampler_without_an_address_is_unknown() -> None:
    (flow,) = rows("otlp_json", netflow(flow__sampler_address={"stringValue": "invalid IP"}), "flows")
    assert flow.sampler == ""


def test_a_flow_does_not_end_before_it_starts() -> None:
    decoded = decode("otlp_json", netflow(flow__end={"intValue": "1736309689830846399"}), "flows")
    assert decoded.rows == []
    assert decoded.refused == [
        "log record 0: the flow ends at 1736309689830846399 ns, before it starts at 1736309689830846400 ns"
    ]


BASE: dict[str, Any] = {
    "resourceMetrics": [
        {
            "resource": {"attributes": attributes(host={"stringValue": "h"})},
            "scopeMetrics": [
                {
                    "metrics": [
                        {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": str(TIME), "asInt": "7"}]}},
                        {"name": "h", "histogram": {"dataPoints": [{"timeUnixNano": TIME, "count": 1}]}},
                    ]
                }
            ],
        }
    ]
}


@steady
@given(st.data())
def test_any_change_of_a_value_ends_as_rows_or_reasons(data: st.DataObject) -> None:
    document = copy.deepcopy(BASE)
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(document)
    node, key = data.draw(st.sampled_from(spots))
    node[key] = data.draw(st.sampled_from([None, 0, -1, 1.5, True, "", "x", [], {}, [[]], [{}], {"a": []}, "1", 2**70]))
    try:
        decoded = decode("otlp_json", as_json(document), "metrics")
    except DecodeError as error:
        assert str(error)
    else:
        assert all(math.isfinite(point.value) and point.time_ns > 0 for point in decoded.rows)
        assert all(decoded.refused)


def test_points_of_several_times_and_resources() -> None:
    def of(host: str, *times: int) -> dict[str, Any]:
        points = [{"timeUnixNano": str(time), "asInt": "1"} for time in times]
        return {
            "resource": {"attributes": attributes(host={"stringValue": host})},
            "scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": points}}]}],
        }

    found = rows("otlp_json", as_json({"resourceMetrics": [of("a", 5, 5, 7, 5), of("b", 7)]}), "metrics")
    assert [(point.labels.mapping["host"], point.time_ns) for point in found] == [
        ("a", 5),
        ("a", 5),
        ("a", 7),
        ("a", 5),
        ("b", 7),
    ]
