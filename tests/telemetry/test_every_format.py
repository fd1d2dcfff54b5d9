"""What holds for every format that there is: its page's example, and hostile messages made of the examples.

A format that is added is tested here without an edit: by its module's name, and its page under docs/formats.
"""

from __future__ import annotations

import copy
import gzip
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.telemetry import formats, limits
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, LogRecord, Message, MetricPoint
from benchmarks import examples
from tests.telemetry.support import RECORD_MS, rows

ROW_TYPES: dict[str, Any] = {
    "metrics": MetricPoint,
    "logs": LogRecord,
    "flows": FlowRecord,
    "inventory": InventoryChange,
}


EXAMPLES = examples.examples()
TOPICS = {"jdbc_json": "jdbc.entity"}


@pytest.fixture(autouse=True, scope="module")
def registry() -> Iterator[None]:
    with examples.registry():
        yield


def message(name: str, value: bytes | None) -> Message:
    key = b'{"id": "vm:backup"}' if name == "debezium_json" else EXAMPLES[name].key
    return Message(TOPICS.get(name, "topic"), 0, 7, RECORD_MS, key, value)


def decoded(name: str, value: bytes | None, kind: str | None = None) -> Decoded | DecodeError:
    """What a fresh decoder makes of a message: rows and reasons, or the reason why there are none."""
    try:
        return formats.decoder(name, kind or EXAMPLES[name].kind, EXAMPLES[name].options)(message(name, value))
    except DecodeError as error:
        return error


def check(name: str, found: Decoded | DecodeError) -> None:
    """Rows are as the rooms after this one rely on; reasons are for people."""
    if isinstance(found, DecodeError):
        assert str(found).startswith(name)
        assert len(str(found)) < 2_000
        return
    for reason in found.refused:
        assert 3 < len(reason) < 2_000
    for row in found.rows:
        if isinstance(row, MetricPoint):
            assert type(row.value) is float
            assert math.isfinite(row.value)
            assert 0 < row.time_ns < 2**63
            assert row.name
            assert row.kind in ("unknown", "gauge", "cumulative", "delta")
        elif isinstance(row, LogRecord):
            assert 0 < row.time_ns < 2**63
            row.body.encode()
        elif isinstance(row, FlowRecord):
            assert 0 < row.start_ns <= row.end_ns < 2**63
            assert 0 <= row.bytes < 2**64
            assert 0 <= row.packets < 2**64
            assert row.source_address and row.destination_address
        else:
            assert isinstance(row, InventoryChange)
            assert row.table in ("entity", "relation", "schedule", "heartbeat")
            json.dumps(row.row)
        if not isinstance(row, InventoryChange):
            assert all(type(text) is str for pair in row.labels.items for text in pair)
            row.labels.text.encode()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_s_example_is_what_the_page_says(name: str) -> None:
    page = EXAMPLES[name]
    assert page.kind in formats.kinds(name)
    found = decoded(name, page.value)
    assert found == Decoded(rows("json", page.rows, page.kind), [])
    check(name, found)


@pytest.mark.parametrize("name", EXAMPLES)
def test_options_stand_on_the_page(name: str) -> None:
    page = (examples.PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert [option for option in formats.options(name) if option not in page] == []


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("other", EXAMPLES)
def test_another_format_s_message_gives_no_row(name: str, other: str) -> None:
    if name == other or not set(formats.kinds(name)) & set(formats.kinds(other)):
        return
    found = decoded(name, EXAMPLES[other].value, EXAMPLES[other].kind if name in ("json", "avro") else None)
    check(name, found)
    compatible = {
        ("otlp_json", "otlp_logs"),  # the same, but for the kind
        ("otlp_logs", "otlp_json"),
        ("fluent_bit", "filebeat"),  # "@timestamp" and "message" are words of both
        ("jdbc_json", "json"),
        ("jdbc_json", "debezium_json"),
    }
    if isinstance(found, Decoded) and (name, other) not in compatible:
        assert found.rows == []


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\x00",
        b"\n",
        b"null",
        b"{}",
        b"[]",
        b"[[]]",
        b'""',
        b"0",
        b"NaN",
        b"1" + b"0" * 400,
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'[{"a":' * 50_000,
        b"\x0a" * 200_000,
        b"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        b"\xff" * 1_000,
        b"\x1f\x8b\x08\x00",
        b"\x28\xb5\x2f\xfd\x00",
        gzip.compress(b"{}"),
        b'{"\\ud800": 1}',
        b'{"a": 1e400}',
        b"a=" * 100_000,
        b"a,b=c " * 20_000,
        b'"' * 100_001,
        b"\\" * 100_001,
        b"@timestamp",
        b'{"@timestamp": 1e300, "log": "x"}',
    ],
    ids=lambda value: repr(value[:12]) if value is not None else "tombstone",
)
def test_hostile_messages_end_as_rows_or_reasons(name: str, value: bytes | None) -> None:
    for kind in formats.kinds(name):
        check(name, decoded(name, value, kind))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_over_the_limit_is_refused_unread(name: str) -> None:
    found = decoded(name, b"{" + bytes(limits.MESSAGE_BYTES))
    assert isinstance(found, DecodeError)
    assert f"{limits.MESSAGE_BYTES + 1} bytes; at most {limits.MESSAGE_BYTES} are read" in str(found)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_cut_anywhere_ends_as_rows_or_reasons(name: str) -> None:
    value = EXAMPLES[name].value
    for size in range(len(value)):
        check(name, decoded(name, value[:size]))


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    2**70,
    "",
    "x",
    "-",
    "0",
    "NaN",
    "\x00",
    [],
    {},
    [[]],
    [{}],
    {"a": 1},
]


def spots(document: Any) -> list[tuple[Any, Any]]:
    """Each place of a document where a value stands."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    return [spot for key in keys for spot in [(document, key), *spots(document[key])]]


JSON_FORMATS = [name for name, page in EXAMPLES.items() if page.value[:1] in b"{["]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_json_with_other_values_ends_as_rows_or_reasons(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(JSON_FORMATS))
    document = json.loads(EXAMPLES[name].value)
    for _ in range(data.draw(st.integers(1, 3))):
        places = spots(document)
        if places:
            parent, key = data.draw(st.sampled_from(places))
            parent[key] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    check(name, decoded(name, json.dumps(document).encode()))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_changed_bytes_end_as_rows_or_reasons(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(EXAMPLES)))
    value = bytearray(EXAMPLES[name].value)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        if data.draw(st.booleans()):
            value[at] = data.draw(st.integers(0, 255))
        else:
            size = data.draw(st.integers(1, 20))
            value[at : at + size] = data.draw(st.binary(max_size=20))
        if not value:
            break
    check(name, decoded(name, bytes(value)))
