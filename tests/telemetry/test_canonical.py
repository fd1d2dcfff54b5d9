"""The rows of schemas/ in JSON and Avro, plain and with a schema registry."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from afoot.errors import AfootError, DecodeError, UsageError
from afoot.telemetry import avro_points, formats, limits
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, Labels, LogRecord, MetricPoint, Stats
from tests.telemetry.support import Registry, as_json, dead, decode, framed, labels, message, rows, steady

TIME = 1_795_231_028_961_102_154
POINT = {
    "name": "container_fs_writes_total",
    "unit": "1",
    "kind": "cumulative",
    "labels": {"namespace": "streaming", "pod": "tm-0"},
    "time_ns": TIME,
    "value": 41.5,
}
POINT_ROW = MetricPoint(
    "container_fs_writes_total", "1", "cumulative", labels(namespace="streaming", pod="tm-0"), TIME, 41.5
)
STATS = {"count": 5.0, "sum": 50.0, "min": 1.0, "max": 30.0, "period_s": 60.0}
LOG = {"time_ns": TIME, "severity": "error", "body": "429 Quota Exceeded", "labels": {"host": "k122"}}
LOG_ROW = LogRecord(TIME, "error", "429 Quota Exceeded", labels(host="k122"))
FLOW = {
    "start_ns": TIME,
    "end_ns": TIME + 5,
    "source_address": "10.0.0.1",
    "source_port": 443,
    "destination_address": "fd00::1",
    "destination_port": 50_000,
    "transport": "tcp",
    "bytes": 1500,
    "packets": 3,
    "sampling_rate": 100,
    "source_as": 64500,
    "destination_as": None,
    "sampler": "192.0.2.1",
    "labels": {},
}
FLOW_ROW = FlowRecord(
    TIME, TIME + 5, "10.0.0.1", 443, "fd00::1", 50_000, "tcp", 1500, 3, 100, 64500, None, "192.0.2.1", labels()
)
CHANGE = {
    "table": "entity",
    "op": "upsert",
    "key": ["vm:backup"],
    "row": {"id": "vm:backup", "type": "vm", "name": None, "attributes": '{"zone":"a"}'},
    "time_ms": TIME // 1_000_000,
    "snapshot": True,
}
CHANGE_ROW = InventoryChange(
    "entity",
    "upsert",
    ("vm:backup",),
    {"id": "vm:backup", "type": "vm", "name": None, "attributes": {"zone": "a"}},
    TIME // 1_000_000,
    True,
)
KINDS = [
    ("metrics", "metric_point", POINT, POINT_ROW),
    ("logs", "log_record", LOG, LOG_ROW),
    ("flows", "flow_record", FLOW, FLOW_ROW),
    ("inventory", "inventory_change", CHANGE, CHANGE_ROW),
]


def avro(schema: Any, datum: Any) -> bytes:
    """A datum as fastavro writes it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), datum)
    return stream.getvalue()


def array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": schemas.load(f"{name}.avsc")}


def points(*changes: dict[str, Any]) -> bytes:
    return avro(array("metric_point"), [{**POINT, **change} for change in changes])


@pytest.mark.parametrize(("kind", "name", "sent", "row"), KINDS)
def test_a_message_is_one_row_or_an_array(kind: str, name: str, sent: dict[str, Any], row: Any) -> None:
    assert rows("json", as_json(sent), kind) == [row]
    assert rows("json", as_json([sent, sent]), kind) == [row, row]
    assert rows("json", b"[]", kind) == []
    assert rows("avro", avro(schemas.load(f"{name}.avsc"), sent), kind, message="row") == [row]
    assert rows("avro", avro(array(name), [sent, sent]), kind) == [row, row]
    assert rows("avro", avro(array(name), []), kind) == []


def test_stats() -> None:
    expected = POINT_ROW._replace(stats=Stats(5.0, 50.0, 1.0, 30.0, 60.0))
    assert rows("json", as_json({**POINT, "stats": STATS}), "metrics") == [expected]
    assert rows("avro", points({"stats": STATS}, {}), "metrics") == [expected, POINT_ROW]


@pytest.mark.parametrize(("period_s", "taken"), [(0, True), (300, True), (-1, False)])
def test_a_period_that_is_not_known_is_0(period_s: float, taken: bool) -> None:
    stats = {**STATS, "period_s": float(period_s)}
    for found in (
        decode("json", as_json([{**POINT, "stats": stats}, POINT]), "metrics"),
        decode("avro", points({"stats": stats}, {}), "metrics"),
    ):
        assert [row.stats.period_s for row in found.rows if row.stats] == ([period_s] if taken else [])
        assert len(found.refused) == (not taken)


def test_what_json_may_leave_out() -> None:
    sent = {"name": "m", "labels": {}, "time_ns": TIME, "value": 7}
    assert rows("json", as_json(sent), "metrics") == [MetricPoint("m", "", "unknown", labels(), TIME, 7.0)]
    assert rows("json", as_json({"time_ns": TIME, "body": "b", "labels": {}}), "logs") == [
        LogRecord(TIME, "", "b", labels())
    ]
    flow = {
        key: FLOW[key] for key in ("start_ns", "end_ns", "source_address", "destination_address", "bytes", "packets")
    }
    assert rows("json", as_json({**flow, "sampling_rate": 0, "transport": 17}), "flows") == [
        FlowRecord(TIME, TIME + 5, "10.0.0.1", 0, "fd00::1", 0, "udp", 1500, 3, None, None, None, "", labels())
    ]


def test_inventory_operations() -> None:
    ms = 1_795_231_028_961
    sent = [
        {"table": "relation", "op": "delete", "key": ["a", "b", "writes"], "time_ms": ms},
        {"table": "schedule", "op": "truncate", "time_ms": ms},
        {"op": "heartbeat", "time_ms": ms},
    ]
    expected = [
        InventoryChange("relation", "delete", ("a", "b", "writes"), None, ms),
        InventoryChange("schedule", "truncate", (), None, ms),
        InventoryChange("heartbeat", "heartbeat", (), None, ms),
    ]
    assert rows("json", as_json(sent), "inventory") == expected
    full = [{"key": [], "row": None, "table": "heartbeat", "snapshot": False, **change} for change in sent]
    assert rows("avro", avro(array("inventory_change"), full), "inventory") == expected


def test_readings_of_whole_tables() -> None:
    ms = 1_795_231_028_961
    sent = [
        {**CHANGE, "reading": "first"},
        {**CHANGE, "reading": "last", "reading_rows": 2},
        {"table": "schedule", "op": "upsert", "time_ms": ms, "snapshot": True, "reading": "last", "reading_rows": 0},
        {"op": "heartbeat", "time_ms": ms, "reading": "last"},
    ]
    expected = [
        CHANGE_ROW._replace(reading="first"),
        CHANGE_ROW._replace(reading="last", reading_rows=2),
        InventoryChange("schedule", "upsert", (), None, ms, True, "last", 0),
        InventoryChange("heartbeat", "heartbeat", (), None, ms, reading="last"),
    ]
    assert rows("json", as_json(sent), "inventory") == expected
    full = [{"key": [], "row": None, "table": "heartbeat", "snapshot": False, **change} for change in sent]
    assert rows("avro", avro(array("inventory_change"), full), "inventory") == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": math.nan}, "value is nan; finite numbers only"),
        ({"value": math.inf}, "value is inf; finite numbers only"),
        ({"time_ns": 0}, "time_ns is missing (0)"),
        ({"time_ns": -5}, "time_ns is -5 ns"),
        ({"stats": {**STATS, "count": 0.0}}, "stats have count 0.0"),
        ({"stats": {**STATS, "max": math.nan}}, "stats.max is nan"),
        ({"labels": {str(n): "x" * 100 for n in range(170)}}, "at most 16384 a row are allowed"),
        ({"name": ""}, "name is ''; text is expected"),
        ({"name": "x" * 1_025}, "name has 1025 characters"),
        ({"unit": "x" * 1_025}, "unit"),
    ],
)
def test_a_point_that_cannot_be_taken_is_refused(change: dict[str, Any], reason: str) -> None:
    for decoded in (
        decode("avro", points({}, change, {}), "metrics"),
        decode("json", as_json([POINT, {**POINT, **change}, POINT]), "metrics"),
    ):
        assert decoded.rows == [POINT_ROW, POINT_ROW]
        assert len(decoded.refused) == 1
        assert decoded.refused[0].startswith("row 1: ")
        assert reason in decoded.refused[0]


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("metrics", {"value": 10**400}, "row 1: value is inf"),
        ("metrics", {"value": None}, "row 1: value is nothing, not a number"),
        ("metrics", {"time_ns": 2**63}, "row 1: time_ns is 9223372036854775808 ns; 1 to 2^63-1 is allowed"),
        ("metrics", {"value": True}, "row 1: value is True, not a number"),
        ("metrics", {"kind": "counter"}, "row 1: kind is 'counter'; allowed are unknown, gauge, cumulative, delta"),
        ("metrics", {"kind": []}, "row 1: kind is an array"),
        ("metrics", {"labels": {"a": 1}}, "row 1: label 'a' is 1; text is expected"),
        ("metrics", {"labels": {"a": []}}, "row 1: "),
        ("metrics", {"labels": "a"}, "row 1: "),
        ("metrics", {"time_ns": 1.5}, "row 1: time_ns is 1.5, not an integer"),
        ("metrics", {"unit": 5}, "row 1: unit is 5; text is expected"),
        ("metrics", {"stats": 5}, "row 1: stats are 5"),
        ("logs", {"body": None}, "row 1: body is nothing; text is expected"),
        ("logs", {"labels": []}, "row 1: "),
        ("flows", {"end_ns": 5}, "row 1: end_ns 5 is before start_ns"),
        ("flows", {"bytes": -1}, "row 1: bytes is -1; 0 to 2^64-1 is allowed"),
        ("inventory", {"op": "replace"}, "row 1: op is 'replace'; allowed are upsert, delete, truncate, heartbeat"),
        ("inventory", {"table": "pods"}, "row 1: table 'pods' is none of the inventory's"),
        ("inventory", {"row": None}, "row 1: row is nothing"),
        ("inventory", {"row": {"id": ""}}, "row 1: entity.id, of the primary key, is ''"),
        ("inventory", {"row": {"id": "x", "attributes": "{"}}, "row 1: entity.attributes is not JSON"),
        ("inventory", {"op": "delete", "key": ["a", "b"]}, "row 1: key is an array; an array of id is expected"),
    ],
)
def test_a_wrong_field_of_json_costs_its_row_alone(kind: str, change: dict[str, Any], reason: str) -> None:
    good = {"metrics": POINT, "logs": LOG, "flows": FLOW, "inventory": CHANGE}[kind]
    decoded = decode("json", as_json([good, {**good, **change}, "row", good]), kind)
    assert len(decoded.rows) == 2
    assert decoded.refused[0].startswith(reason)
    assert decoded.refused[1] == "row 2: found 'row'; an object is expected"


def test_a_missing_field_is_named() -> None:
    for field in ("name", "labels", "time_ns", "value"):
        sent = {key: value for key, value in POINT.items() if key != field}
        assert dead("json", as_json(sent), "metrics") == f"json: row 0: {field} is missing"


def test_json_that_is_no_row_is_dead() -> None:
    assert "found 'x'; an object is expected (and 1 more)" in dead("json", b'["x", 5]', "metrics")
    assert "not JSON" in dead("json", b"{", "metrics")


# ---- Avro by hand --------------------------------------------------------------------------------------------------


def test_series_that_repeat_in_another_order_and_among_new_ones() -> None:
    reader = avro_points.Reader("avro")
    orders = [[1, 2, 3], [1, 2, 3], [3, 1, 2], [1, 9, 2, 2, 3], [7], [1, 2, 3], []]
    for turn, order in enumerate(orders, start=1):
        sent = [
            {**POINT, "labels": {"pod": f"p{n}"}, "time_ns": TIME + turn * (n % 2), "value": float(n)} for n in order
        ]
        expected = [
            POINT_ROW._replace(labels=labels(pod=f"p{n}"), time_ns=TIME + turn * (n % 2), value=float(n)) for n in order
        ]
        assert reader.decode(avro(array("metric_point"), sent), many=True) == Decoded(expected, [])


def test_what_the_reader_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 5_000)
    reader = avro_points.Reader("avro")
    for turn in range(50):
        sent = [{**POINT, "labels": {"pod": f"p{turn}-{n}"}} for n in range(7)]
        found = reader.decode(avro(array("metric_point"), sent), many=True)
        assert [row.labels.mapping["pod"] for row in found.rows] == [f"p{turn}-{n}" for n in range(7)]
        assert len(reader._known) < 20


def test_blocks_with_sizes_as_java_writes_them() -> None:
    one = points({})[1:-1]  # without the array's count and end
    size = len(one)
    negative = bytes([0b11])  # -2 in zigzag: two items, and the block's size follows
    varint = bytes([(2 * size * 2 & 0x7F) | 0x80, 2 * size * 2 >> 7])
    value = negative + varint + one + one + bytes([2]) + one + bytes([0])
    assert rows("avro", value, "metrics") == [POINT_ROW] * 3


@pytest.mark.parametrize(("kind", "name", "sent", "row"), KINDS)
def test_a_message_cut_anywhere_is_dead(kind: str, name: str, sent: dict[str, Any], row: Any) -> None:
    value = avro(array(name), [sent, sent])
    for size in range(len(value)):
        dead("avro", value[:size], kind)
    assert "1 bytes follow the last row" in dead("avro", value + b"\x00", kind)
    dead("avro", value, kind, message="row")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "ends inside a row, at byte 0"),
        (b"\xff" * 20, "a number of over 64 bits at byte 0"),
        (b"\x02\x05", "a text of -3 bytes at byte 1"),
        (b"\x02\xfe\xff\xff\xff\x0f", "a text of 2147483647 bytes"),
        (b"\x02\x02\xff", "byte 0xff at 2 is not UTF-8"),
        (b"\x02\x02a\x00\x00\xfe\xff\xff\xff\x0f", "over 256 labels in the row at byte 1"),
        (b"\x02\x02a\x00\x00\x00\x02" + b"\x00" * 8 + b"\x08", "stats have branch 4"),
        (b"\xfe\xff\xff\xff\x0f", "2147483647 rows or more; at most 200000"),
    ],
)
def test_broken_points(value: bytes, reason: str) -> None:
    assert reason in dead("avro", value, "metrics")


def test_an_unknown_kind_of_metric_is_refused() -> None:
    decoded = decode("avro", b"\x02\x02a\x00\x08\x00\x02" + b"\x00" * 9 + b"\x00", "metrics")
    assert decoded == Decoded([], ["row 0: kind is number 4; 0 to 3 are allowed"])


def test_too_many_rows_are_dead_before_they_fill_the_memory() -> None:
    tiny = b"\x02" + b"\x02a\x00\x00\x00\x02" + b"\x00" * 9  # a block of one small row
    assert "at most 200000 a message" in dead("avro", tiny * (limits.ROWS + 1) + b"\x00", "metrics")
    log = b"\x02" + b"\x02\x00\x02a\x00"
    assert "at most 200000 a message" in dead("avro", log * (limits.ROWS + 1) + b"\x00", "logs")


def test_an_unknown_option_value() -> None:
    with pytest.raises(UsageError, match="message is 'many'; allowed are rows, row"):
        formats.decoder("avro", "metrics", {"message": "many"})
    with pytest.raises(UsageError, match="an http:// or https:// URL is expected"):
        formats.decoder("avro", "metrics", {"registry": "file:///etc"})


any_text = st.text(max_size=6)
any_point = st.fixed_dictionaries(
    {
        "name": st.text(min_size=1, max_size=6),
        "unit": any_text,
        "kind": st.sampled_from(["unknown", "gauge", "cumulative", "delta"]),
        "labels": st.dictionaries(any_text, any_text, max_size=3),
        "time_ns": st.integers(1, 2**63 - 1),
        "value": st.floats(allow_nan=False, allow_infinity=False),
        "stats": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {
                    "count": st.floats(1, 9),
                    "sum": st.floats(-9, 9),
                    "min": st.floats(-9, 9),
                    "max": st.floats(-9, 9),
                    "period_s": st.floats(1, 9),
                }
            ),
        ),
    }
)


def as_row(point: dict[str, Any]) -> MetricPoint:
    found = point["stats"]
    return MetricPoint(
        point["name"],
        point["unit"],
        point["kind"],
        Labels.of(point["labels"]),
        point["time_ns"],
        point["value"],
        None if found is None else Stats(**found),
    )


@steady
@given(st.lists(st.lists(any_point, max_size=4), max_size=4))
def test_what_was_sent_is_what_arrives_in_both_encodings(batches: list[list[dict[str, Any]]]) -> None:
    by_avro, by_json = formats.decoder("avro", "metrics"), formats.decoder("json", "metrics")
    for batch in batches:
        expected = Decoded([as_row(point) for point in batch], [])
        assert by_avro(message(avro(array("metric_point"), batch))) == expected
        assert by_json(message(as_json(batch))) == expected


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_end_as_rows_or_reasons(data: st.DataObject) -> None:
    kind, name, sent, _ = data.draw(st.sampled_from(KINDS))
    value = bytearray(avro(array(name), [sent, sent]))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode("avro", bytes(value), kind)
    except DecodeError as error:
        assert str(error).startswith("avro: ")
    else:
        assert all(decoded.refused)


# ---- with a schema registry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name", "sent", "row"), KINDS)
def test_the_message_names_its_schema(registry: Registry, kind: str, name: str, sent: dict[str, Any], row: Any) -> None:
    registry.schemas = {7: json.dumps(schemas.load(f"{name}.avsc")), 8: json.dumps(array(name))}
    decode_one = formats.decoder("avro", kind, {"registry": registry.url})
    for _ in range(2):
        one = decode_one(message(framed(7, avro(schemas.load(f"{name}.avsc"), sent))))
        many = decode_one(message(framed(8, avro(array(name), [sent, sent]))))
        assert (one, many) == (Decoded([row], []), Decoded([row, row], []))
    assert registry.asked == ["/apis/ccompat/v7/schemas/ids/7", "/apis/ccompat/v7/schemas/ids/8"]


def test_a_writer_may_leave_out_and_add_fields(registry: Registry) -> None:
    schema = schemas.load("metric_point.avsc")
    schema["fields"] = [field for field in schema["fields"] if field["name"] in ("name", "labels", "time_ns", "value")]
    schema["fields"][:0] = [{"name": "tenant", "type": "string"}, {"name": "unit", "type": ["null", "string"]}]
    schema["name"] = "record"  # as Flink names them
    registry.schemas = {1: json.dumps(schema)}
    sent = {"tenant": "t", "unit": None, "name": "m", "labels": {}, "time_ns": TIME, "value": 2.0}
    found = rows("avro", framed(1, avro(schema, sent)), "metrics", registry=registry.url)
    assert found == [MetricPoint("m", "", "unknown", labels(), TIME, 2.0)]


def test_credentials_come_from_the_environment(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO", "user:pass")
    with pytest.raises(DecodeError):
        decode("avro", framed(1, b""), "metrics", registry=registry.url)
    assert registry.authorization == "Basic dXNlcjpwYXNz"


def test_a_schema_that_is_not_known_is_a_dead_letter(registry: Registry) -> None:
    with pytest.raises(DecodeError, match="schema 9 is not in the registry"):
        decode("avro", framed(9, b""), "metrics", registry=registry.url)
    registry.schemas = {9: '{"type": "recrd"}', 10: '"string"'}
    assert "schema 9 of the registry is not an Avro schema" in dead(
        "avro", framed(9, b""), "metrics", registry=registry.url
    )
    assert "found 'a'; an object is expected" in dead("avro", framed(10, b"\x02a"), "metrics", registry=registry.url)


def test_a_message_without_the_header_is_a_dead_letter(registry: Registry) -> None:
    assert "begins with 0x02" in dead("avro", points({}), "metrics", registry=registry.url)
    assert "the message is empty" in dead("avro", b"", "metrics", registry=registry.url)


def test_a_registry_that_does_not_answer_is_no_dead_letter(registry: Registry) -> None:
    def attempt(url: str) -> Callable[[], Decoded]:
        return lambda: decode("avro", framed(503, b""), "metrics", registry=url)

    for url, reason in ((registry.url, "status 503"), ("http://127.0.0.1:9", "gave no schema 503")):
        with pytest.raises(AfootError, match=reason) as caught:
            attempt(url)()
        assert not isinstance(caught.value, DecodeError)
