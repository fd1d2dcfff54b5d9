"""Rows and reasons: redacted alike on both sides of every join, series kept apart, and at no cost where nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from afoot.errors import DecodeError
from afoot.inventory.graph import Graph
from afoot.privacy.policy import Policy
from afoot.privacy.rows import SERIES, Redactor
from afoot.privacy.text import TextRedactor
from afoot.telemetry.formats import decoder
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    Message,
    MetricPoint,
    Points,
    Row,
)

KEY = "a key that nobody can guess"
ADDRESSES = ("hash", "truncate")


def redactor(**more: Any) -> Redactor:
    return Redactor(Policy(KEY, **more))


def one(row: Row, **more: Any) -> Any:
    (found,) = redactor(**more).decoded(Decoded([row], [])).rows
    return found


def point(value: float = 1.0, name: str = "up", **labels: str) -> MetricPoint:
    return MetricPoint(name, "1", "gauge", Labels.of(labels), 1_000, value)


def flow(source: str, destination: str = "10.9.9.9", sampler: str = "10.8.8.8") -> FlowRecord:
    return FlowRecord(1, 2, source, 1234, destination, 443, "tcp", 10, 1, None, None, None, sampler, Labels.of({}))


def entity(entity_id: str, attributes: dict[str, Any], **more: Any) -> InventoryChange:
    row = {"id": entity_id, "type": entity_id.split(":")[0], "name": "n", "attributes": attributes, **more}
    return InventoryChange("entity", "upsert", (entity_id,), row, 1_000)


def test_a_point_s_name_and_labels_are_redacted() -> None:
    found = one(point(2.5, "count.10.0.0.1", user="bob@example.com", pod="tm-0"))
    shown = TextRedactor(Policy(KEY))
    assert found == MetricPoint(
        shown.text("count.10.0.0.1"),
        "1",
        "gauge",
        Labels.of({"user": shown.text("bob@example.com"), "pod": "tm-0"}),
        1_000,
        2.5,
    )


def test_rows_that_hold_nothing_of_it_are_the_same_objects() -> None:
    rows = [point(job_name="a"), point(job_name="b")]
    assert redactor().decoded(Decoded(rows, [])).rows is rows
    heads = tuple(rows)
    columns = Points(heads, np.array([1, 2]), np.array([1.0, 2.0]))
    assert redactor().decoded(Decoded(columns, [])).rows.heads is heads


def test_messages_of_one_shape_share_redacted_heads_and_give_the_rows_of_lists() -> None:
    heads = tuple(point(float("nan"), host=f"10.0.0.{n}") for n in range(20))
    ours = redactor()

    def read(first: int) -> Points:
        found = ours.decoded(Decoded(Points(heads, np.arange(first, first + 20), np.ones(20) * first), [])).rows
        assert type(found) is Points
        return found

    one, two = read(1), read(100)
    assert one.heads is two.heads and one.heads is not heads
    assert list(two) == redactor().decoded(Decoded(list(Points(heads, two.time_ns, two.value)), [])).rows


def test_shapes_that_never_come_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afoot.privacy.rows._MEMO_HEADS", 10)
    monkeypatch.setattr("afoot.privacy.rows._MEMO_CHARS", 1_000)
    ours = redactor()
    for n in range(100):
        heads = (point(host=f"10.0.0.{n}"), point(host=f"10.0.1.{n}"))
        rows = ours.decoded(Decoded(Points(heads, np.array([1, 2]), np.array([1.0, 2.0])), [])).rows
        assert (
            list(rows)
            == redactor()
            .decoded(Decoded([h._replace(time_ns=t, value=float(t)) for h, t in zip(heads, (1, 2), strict=True)], []))
            .rows
        )
        assert len(ours._shapes) <= 5 and len(ours._sets) <= 10 and len(ours._series) <= 10


def test_series_that_only_a_dropped_label_tells_apart_stay_apart() -> None:
    policy: dict[str, Any] = {"drop_labels": ("user", "client_*")}
    ann, bob = (one(point(user=name, client_id="7", pod="tm-0"), **policy) for name in ("ann", "bob"))
    assert {*ann.labels.mapping} == {"pod", SERIES}
    assert ann.labels != bob.labels
    assert one(point(user="ann", client_id="7", pod="tm-0"), **policy).labels == ann.labels
    bucket = one(point(user="ann", client_id="7", pod="tm-0", le="5"), **policy)
    assert bucket.labels.mapping == {**ann.labels.mapping, "le": "5"}  # a histogram's parts still belong together


def test_series_and_flows_that_only_truncation_makes_equal_stay_apart() -> None:
    a, b = (one(point(instance=f"10.0.0.{n}:9100"), addresses="truncate").labels for n in (1, 2))
    assert a.mapping["instance"] == b.mapping["instance"] == "10.0.0.0:9100"
    assert a != b
    flows = [one(flow(f"10.0.0.{n}"), addresses="truncate") for n in (1, 2)]
    assert [found.source_address for found in flows] == ["10.0.0.0", "10.0.0.0"]
    assert flows[0] != flows[1]


def test_a_hashed_label_is_equal_where_it_was() -> None:
    found = one(point(customer="acme"), hash_labels=("customer",)).labels.mapping["customer"]
    assert found.startswith("hash-")
    log = one(LogRecord(1, "info", "", Labels.of({"customer": "acme"})), hash_labels=("customer",))
    assert log.labels.mapping["customer"] == found


def test_a_log_record_is_redacted_in_all_of_its_texts() -> None:
    found = one(LogRecord(1, "bob@example.com", "from 10.0.0.1, card 4111111111111111", Labels.of({"ip": "10.0.0.1"})))
    assert "bob" not in found.severity
    assert "10.0.0.1" not in found.body + found.labels.text and "4111" not in found.body


def test_the_inventory_is_redacted_column_by_column() -> None:
    row = entity(
        "node:ip-10-0-0-1",
        {"owner": "bob@example.com", "card": 4111111111111111, "user": "bob", "nested": [{"ip": ["10.0.0.1"]}], "n": 7},
        comment="10.0.0.1",
    )
    found = one(row, drop_labels=("user",))
    text = json.dumps(found.row) + repr(found.key)
    assert not any(secret in text for secret in ("10.0.0.1", "10-0-0-1", "bob", "4111"))
    assert found.row["attributes"]["n"] == 7 and found.row["type"] == "node"
    assert found.key == (found.row["id"],)
    schedule = {"id": "s", "entity_id": "vm:10.0.0.1", "expression": "40 * * * *", "command": "b --password hunter2"}
    found = one(InventoryChange("schedule", "upsert", ("s",), schedule, 1))
    assert found.row["expression"] == "40 * * * *" and "hunter2" not in found.row["command"]
    assert found.row["entity_id"] == one(entity("vm:10.0.0.1", {})).key[0]


def test_deep_attributes_are_cut_and_do_not_end_the_job() -> None:
    deep: Any = "bob@example.com"
    for _ in range(5_000):
        deep = [deep]
    assert "bob" not in repr(one(entity("vm:a", {"deep": deep})).row)


# ---- joins -----------------------------------------------------------------------------------------------------------


JOINS: list[tuple[str, InventoryChange, dict[str, str], tuple[str, ...]]] = [
    ("attributes.address", entity("vm:a", {"address": "10.1.2.3"}), {"address": "10.1.2.3"}, ("address",)),
    ("a list of addresses", entity("vm:a", {"address": ["10.9.9.9", "10.1.2.3:80"]}), {"address": "10.1.2.3"}, ()),
    ("IPv6, written otherwise", entity("vm:a", {"address": "2001:DB8:0::1"}), {"address": "2001:db8::1"}, ("address",)),
    ("match by address", entity("vm:a", {"match": [{"instance": "10.1.2.3:9100"}]}), {"address": "10.1.2.3"}, ()),
    ("match by instance", entity("vm:a", {"match": {"instance": "10.1.2.3:9100"}}), {"instance": "10.1.2.3:9100"}, ()),
    ("match, hashed", entity("vm:a", {"match": [{"customer": "acme"}]}), {"customer": "acme", "x": "y"}, ()),
    ("match, one dropped", entity("vm:a", {"match": [{"user": "bob", "disk": "d"}]}), {"user": "bob", "disk": "d"}, ()),
    ("a host's name, with port", entity("node:ip-10-1-2-3", {}), {"instance": "ip-10-1-2-3:9100"}, ("node",)),
    ("a host that is an address", entity("vm:10.1.2.3", {}), {"instance": "10.1.2.3:9100"}, ("vm",)),
    ("and one of six", entity("vm:2001:db8::1", {}), {"instance": "[2001:db8::1]:9100"}, ("vm",)),
    ("a volume's mail", entity("volume:svm/bob@example.com", {}), {"svm": "svm", "volume": "bob@example.com"}, ()),
    ("nobody's address", entity("vm:a", {}), {"address": "10.1.2.3"}, ("address",)),
]


@pytest.mark.parametrize("addresses", ADDRESSES)
@pytest.mark.parametrize(("change", "labels", "types"), [join[1:] for join in JOINS], ids=[join[0] for join in JOINS])
def test_labels_mean_the_entity_that_they_meant(
    change: InventoryChange, labels: dict[str, str], types: tuple[str, ...], addresses: str
) -> None:
    policy: dict[str, Any] = {"addresses": addresses, "drop_labels": ("user",), "hash_labels": ("customer",)}
    before, after = Graph(), Graph()
    before.apply(change)
    after.apply(one(change, **policy))
    found = before.resolve(Labels.of(labels), types, 2_000)
    assert found is not None
    # What flows give as labels has the address alone.
    shown = one(flow(labels["address"]), **policy).source_address if "address" in labels else None
    asked = Labels.of({"address": shown}) if shown else one(point(**labels), **policy).labels
    assert after.resolve(asked, types, 2_000) == one(entity(found, {}), **policy).key[0]
    assert after.problems() == {}


def test_a_match_of_dropped_labels_only_means_nothing() -> None:
    graph = Graph()
    graph.apply(one(entity("vm:a", {"match": [{"user": "bob"}]}), drop_labels=("user",)))
    assert graph.problems() == {}
    assert graph.resolve(one(point(user="bob"), drop_labels=("user",)).labels, (), 2_000) is None


# ---- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("influx: line 3: field 'a=\"b\\'c' is odd", "influx: line 3: field *** is odd"),
        ("more than 60 s after the record's own time, 'x'", "more than 60 s after the record's own time, ***"),
        ("found \"it's\"; b'bytes' too", "found ***; *** too"),
        ("value is 'cut in the mid", "value is ***"),
        ("not JSON: line 1 column 5", "not JSON: line 1 column 5"),
    ],
)
def test_a_reason_keeps_its_words_and_loses_its_quotes(reason: str, shown: str) -> None:
    assert redactor().reason(reason) == shown


SECRET = "bob.planted@example.org"
BROKEN: list[tuple[str, str, bytes]] = [
    ("otlp_json", "metrics", b'{"resourceMetrics": "%s"}'),
    ("otlp_json", "metrics", b'{"%s": 1}'),
    ("influx", "metrics", b"cpu,host=%s value=abc 1"),
    ("influx", "metrics", b"%s"),
    ("influx", "metrics", b'cpu value="%s'),
    ("fluent_bit", "logs", b'{"date": "%s", "log": "x"}'),
    ("goflow2_json", "flows", b'{"type": "X", "src_addr": 5, "bytes": "%s"}'),
    ("goflow2_json", "flows", b'{"time_flow_start_ns": "%s"}'),
    ("debezium_json", "inventory", b'{"op": "%s", "source": {"table": "entity"}}'),
    ("debezium_json", "inventory", b'{"op": "c", "source": {"table": "%s", "ts_ms": 1}, "after": {}}'),
    ("json", "metrics", b'[{"name": "m", "labels": {"%s": 5}, "time_ns": 5, "value": 1, "kind": "%s"}]'),
    ("collectd_graphite", "metrics", b"%s x 2"),
    ("vpc_flow_log", "flows", b"2 %s a b c"),
]


@pytest.mark.parametrize(("name", "kind", "value"), BROKEN)
@pytest.mark.parametrize("secret", [SECRET, "x" * 30 + " " + SECRET])
def test_no_reason_quotes_a_message(name: str, kind: str, value: bytes, secret: str) -> None:
    message = Message("t", 0, 7, 1_795_231_000_000, None, value.replace(b"%s", secret.encode()))
    plain, ours = (reasons(make(decoder(name, kind)), message) for make in (lambda d: d, redactor().decoder))
    assert plain and len(ours) == len(plain)
    # A quoted text is cut where it is long: a part of what a pattern finds is no match of it.
    assert not any(part in reason for reason in ours for part in ("bob", "planted", "example"))


def reasons(decode: Callable[[Message], Decoded], message: Message) -> list[str]:
    try:
        return decode(message).refused
    except DecodeError as error:
        return [str(error)]


def test_a_decoder_that_fails_does_not_tell_what_it_read() -> None:
    def decode(message: Message) -> Decoded:
        raise KeyError(SECRET)

    with pytest.raises(RuntimeError) as caught:
        redactor().decoder(decode)(Message("t", 1, 7, 0, None, b""))
    assert "t, partition 1, offset 7" in str(caught.value) and "KeyError" in str(caught.value)
    assert SECRET not in str(caught.value) and caught.value.__suppress_context__
