"""Messages like an earlier one are read by their numbers alone, and hold what the format's decoder finds in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.telemetry import avro_points, formats, limits, shapes
from afoot.telemetry.rows import Decoded, MetricPoint, Points
from afoot.telemetry.shapes import LEAST
from tests.telemetry.support import message
from tests.telemetry.test_canonical import array, avro

TIME = 1_795_231_028_961_102_154
Series = list[tuple[str, dict[str, str]]]
Numbers = list[tuple[int, Any]]

POD = [(f"metric.{i % 3}", {"pod": "tm-0", "device": f"sd{i}"}) for i in range(LEAST + 4)]


def as_avro(series: Series, numbers: Numbers) -> bytes:
    rows = [
        {"name": name, "unit": "", "kind": "gauge", "labels": labels, "time_ns": time_ns, "value": float(value)}
        for (name, labels), (time_ns, value) in zip(series, numbers, strict=True)
    ]
    return avro(array("metric_point"), rows)


def as_rows(series: Series, numbers: Numbers) -> bytes:
    rows = [
        {"name": name, "labels": labels, "time_ns": time_ns, "value": value}
        for (name, labels), (time_ns, value) in zip(series, numbers, strict=True)
    ]
    return json.dumps(rows).encode()


def as_otlp(series: Series, numbers: Numbers) -> bytes:
    metrics = []
    for (name, labels), (time_ns, value) in zip(series, numbers, strict=True):
        attributes = [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()]
        sent = {"asInt": str(value)} if type(value) is int else {"asDouble": value}
        point = {"attributes": attributes, "timeUnixNano": str(time_ns), **sent}
        metrics.append({"name": name, "gauge": {"dataPoints": [point]}})
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}, separators=(",", ":")).encode()


FORMATS: dict[str, Callable[[Series, Numbers], bytes]] = {"avro": as_avro, "json": as_rows, "otlp_json": as_otlp}
every_format = pytest.mark.parametrize("format_name", FORMATS)


def outcome(decode: formats.Decoder, value: bytes) -> tuple[list[Any], list[str]] | str:
    """Rows as tuples (a float by its text, so that NaN equals itself) and refusals; or why it is unreadable."""
    try:
        decoded = decode(message(value))
    except DecodeError as error:
        return str(error)
    return [(row, repr(row.value + 0.0)) for row in decoded.rows], decoded.refused


def fresh(format_name: str, value: bytes) -> tuple[list[Any], list[str]] | str:
    return outcome(formats.decoder(format_name, "metrics", {}), value)


def steadily(series: Series, count: int, start: float = 0.5) -> list[Numbers]:
    """Numbers of that many scrapes; every value has a text of the same form."""
    return [[(TIME + n * 10**10, start + n + i) for i in range(len(series))] for n in range(count)]


@every_format
def test_what_comes_again_is_columns(format_name: str) -> None:
    decode = formats.decoder(format_name, "metrics", {})
    found = [decode(message(FORMATS[format_name](POD, numbers))) for numbers in steadily(POD, 4)]
    assert [type(decoded.rows) for decoded in found] == [list, list, Points, Points]
    assert found[2].rows.heads is found[3].rows.heads  # type: ignore[attr-defined]
    for decoded, numbers in zip(found, steadily(POD, 4), strict=True):
        assert [(row.name, row.labels.mapping, row.time_ns, row.value) for row in decoded.rows] == [
            (name, labels, *number) for (name, labels), number in zip(POD, numbers, strict=True)
        ]
        assert decoded.refused == []


def test_columns_are_a_sequence_of_points() -> None:
    decode = formats.decoder("json", "metrics", {})
    found = [decode(message(as_rows(POD, numbers))) for numbers in steadily(POD, 3)][2].rows
    expected = formats.decoder("json", "metrics", {})(message(as_rows(POD, steadily(POD, 3)[2]))).rows
    assert isinstance(found, Points)
    assert isinstance(expected, list)
    assert found == expected
    assert found != expected[1:]
    assert len(found) == len(expected)
    assert found[3] == expected[3]
    assert type(found[3]) is MetricPoint
    assert found[-2:] == expected[-2:]


texts = st.sampled_from(
    ["a", "b", 'q"', "\\", "ä\n", '"time_ns": 1, "value": 2', '"timeUnixNano":"1","asInt":"2', "{", ""]
)
one_series = st.tuples(
    st.sampled_from(["m", "n.o", 'm"', "time_ns"]), st.dictionaries(st.sampled_from("xyz"), texts, max_size=2)
)
times = st.sampled_from([TIME, TIME + 1, TIME + 10**10, 1, 0, -1, 2**63 - 1, 10**18 - 1])
values = st.sampled_from([0, 1, -7, 2**53 + 1, 10**18 - 1, -(2**63), 0.0, -0.5, 1.5, 1e-300, 1e300, 5e22, 123456.789])
fragments = st.sampled_from(
    [
        b"",
        b"0",
        b"9",
        b"-",
        b".5",
        b"e5",
        b"E400",
        b" ",
        b'"',
        b",",
        b"]",
        b"1e999",
        b"\x00",
        b"\x80",
        b"\xff",
        b"NaN",
        b"x",
    ]
)


@st.composite
def conversations(
    draw: st.DrawFn, write: Callable[[Series, Numbers], bytes], least: int = LEAST, most: int = LEAST + 3
) -> list[bytes]:
    """Messages of one sender: the same series again and again, and some of them damaged."""
    series = draw(st.lists(one_series, min_size=least, max_size=most))
    found = []
    alike = draw(st.booleans())
    for n in range(draw(st.integers(3, 6))):
        numbers = [(TIME + n * 10**10, n + 0.25)] * len(series)
        for place in draw(st.lists(st.integers(0, len(series) - 1), max_size=0 if alike else 3)):
            numbers[place] = draw(times), draw(values)
        value = write(series, numbers)
        if n > 1 and draw(st.booleans()):
            at = draw(st.integers(0, len(value)))
            value = value[:at] + draw(fragments) + value[at + draw(st.integers(0, 2)) :]
        found.append(value)
    return found


@every_format
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_message_holds_the_same_whatever_came_before(format_name: str, data: st.DataObject) -> None:
    decode = formats.decoder(format_name, "metrics", {})
    for value in data.draw(conversations(FORMATS[format_name])):
        assert outcome(decode, value) == fresh(format_name, value)


def as_row(series: Series, numbers: Numbers) -> bytes:
    """The first of them by itself, as Avro."""
    return as_avro(series[:1], numbers[:1])[1:-1]  # without the array's length and end


@pytest.mark.parametrize(
    ("format_name", "holds", "write"),
    [
        pytest.param("avro", {}, as_avro, id="avro, arrays"),
        pytest.param("avro", {"message": "row"}, as_row, id="avro, a row"),
        pytest.param("json", {}, as_rows, id="json"),
    ],
)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_small_message_holds_the_same_whatever_came_before(
    format_name: str, holds: dict[str, str], write: Callable[[Series, Numbers], bytes], data: st.DataObject
) -> None:
    decode = formats.decoder(format_name, "metrics", holds)
    for value in data.draw(conversations(write, 1, 2)):
        assert outcome(decode, value) == outcome(formats.decoder(format_name, "metrics", holds), value)


@pytest.mark.parametrize("holds", ["rows", "row"])
def test_a_row_that_comes_again_by_itself_is_read_by_its_numbers(holds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = formats.decoder("avro", "metrics", {"message": holds})
    write = as_avro if holds == "rows" else as_row
    first, again = (write(POD[:1], [(TIME + n, n + 0.5)]) for n in range(2))
    assert decode(message(first)).rows[0].value == 0.5
    monkeypatch.setattr(avro_points.Reader, "_points", None)  # what reads a message in full
    assert decode(message(again)).rows == [decode(message(first)).rows[0]._replace(time_ns=TIME + 1, value=1.5)]


@pytest.mark.parametrize(("holds", "write"), [("rows", as_avro), ("row", as_row)])
def test_a_row_by_itself_with_any_byte_changed_holds_what_it_would_alone(
    holds: str, write: Callable[[Series, Numbers], bytes]
) -> None:
    decode = formats.decoder("avro", "metrics", {"message": holds})
    value = write(POD[:1], [(TIME, 0.5)])
    assert decode(message(value)).refused == []
    others = [write(POD[:1], [(TIME, float(number))]) for number in ("nan", "inf", "-inf", "-0.0")]
    for place in range(len(value)):
        for byte in (0, 1, 2, 0x7F, 0x80, 0xFF):
            others.append(value[:place] + bytes([byte]) + value[place + 1 :])
    for other in others:
        alone = formats.decoder("avro", "metrics", {"message": holds})
        assert outcome(decode, other) == outcome(alone, other)


def test_rows_by_themselves_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 20_000)
    reader = avro_points.Reader("avro")
    for n in range(200):
        reader.decode(as_avro([("m", {"pod": f"p{n}"})], [(TIME, 0.5)]), True)
    assert 0 < len(reader._ones) < 50


def test_a_first_message_is_not_taken_for_a_known_one() -> None:
    # Bytes that no text begins with were once those of the series that nothing is known of.
    with pytest.raises(DecodeError, match="a text of -192 bytes"):
        formats.decoder("avro", "metrics", {})(message(b"\x02\xff\x02" + as_avro(POD, steadily(POD, 1)[0])))


NEARLY: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("json", lambda value: value.replace(b'"value": 6.5', b'"value": 06.5')),
    ("json", lambda value: value.replace(b'"value": 6.5', b'"value": 1e400')),
    ("json", lambda value: value.replace(b'"value": 6.5', b'"value": "6.5"')),
    ("json", lambda value: value.replace(str(TIME + 2 * 10**10).encode(), b"0", 1)),
    ("json", lambda value: value.replace(str(TIME + 2 * 10**10).encode(), b"9999999999999999999", 1)),
    ("json", lambda value: value[:-1]),
    ("json", lambda value: value[:-2]),
    ("json", lambda value: value[:-2] + b",1}]"),
    ("json", lambda value: value[:-2] + b"}],1"),
    ("otlp_json", lambda value: value.replace(b'"asDouble":6.5', b'"asInt":6.5')),
    ("otlp_json", lambda value: value.replace(b'"asDouble":6.5', b'"asInt":"6.5"')),
    ("otlp_json", lambda value: value.replace(b'"asDouble":6.5', b'"asDouble":-')),
    ("avro", lambda value: value.replace(struct.pack("<d", 6.5), struct.pack("<d", float("nan")))),
    ("avro", lambda value: as_avro(POD, [(-TIME, 6.5)] * len(POD))),
    ("avro", lambda value: value.replace(struct.pack("<d", 6.5) + b"\x00", struct.pack("<d", 6.5) + b"\x04")),
]


@pytest.mark.parametrize("known", [2, 4])
@pytest.mark.parametrize(("format_name", "change"), NEARLY)
def test_nearly_a_known_shape(format_name: str, change: Callable[[bytes], bytes], known: int) -> None:
    decode = formats.decoder(format_name, "metrics", {})
    last = FORMATS[format_name](POD, steadily(POD, 3)[-1])
    for numbers in steadily(POD, known):
        decode(message(FORMATS[format_name](POD, numbers)))
    changed = change(last)
    assert changed != last
    assert outcome(decode, changed) == fresh(format_name, changed)
    assert outcome(decode, last) == fresh(format_name, last)


ROW = '{"name":"m","labels":{"n":"%d"},"time_ns":%s}'
ROW_NUMBERS = ['1,"value":2', '2,"value":7', '3,"value":0.5', '4,"value":1']  # as the shape is met
ROW_HOSTILE = [
    "5",
    "5,7",
    "5,null,7",
    '5,"value":null',
    '5,"value":true',
    '5,"value":"7"',
    '5,"value":"7',
    '5,"value":[7',
    '7],"value":5',
    '5,"value": 7',
    '5,"value":7 ',
    ' 5,"value":7',
    '5 ,"value":7',
    '5,"value":7,"value":8',
    '5,"value":7,8',
    '5,"value":',
    ',"value":7',
    '0,"value":7',
    '-0,"value":7',
    '-5,"value":7',
    '5.0,"value":7',
    '1e18,"value":7',
    'true,"value":7',
    'null,"value":7',
    '05,"value":7',
    '5,"value":07',
    '5,"value":-0',
    '5,"value":1e999',
    '5,"value":NaN',
    '9223372036854775807,"value":9223372036854775808',
    '9223372036854775808,"value":7',
    '18446744073709551616,"value":7',
    '5,"value":7}',
    '5,"value":7},{"name":"m","labels":{},"time_ns":6,"value":8',
]
POINTS = '{"name":"m","gauge":{"dataPoints":[{"attributes":[%s],"timeUnixNano":%s}]}}'
POINT_NUMBERS = ['"1","asDouble":2', '"2","asInt":"7"', '"3","asInt":7', '"4","asDouble":0.5']
POINT_HOSTILE = [
    '"5"',
    '"5","asDouble":"7"',
    '"5","asInt":"7"',
    '"5","asInt":"-0"',
    '"5","asInt":-0',
    '"5","asInt":" 7"',
    '" 5","asInt":"7"',
    '"5","asInt":7',
    '"5","asInt":7"',
    '"5","asInt":"7',
    '"5","asInt":"7.0"',
    '"5","asInt":7.0',
    '"5","asInt":"1e3"',
    '"5","asInt":1e3',
    '"5","asInt":"999999999999999999"',
    '"5","asInt":"9223372036854775807"',
    '"5","asInt":"9223372036854775808"',
    '"5","asInt":"18446744073709551616"',
    '"5","asDouble":7,"asInt":"8"',
    '"5","asDouble":null',
    '"5","asDouble":true',
    '"05","asDouble":7',
    '"0","asDouble":7',
    '"5,7"',
    '"5,null,7"',
    '"5,true,7"',
    '5,"asDouble":7',
]
TOLD = {"json": (ROW, ROW_NUMBERS, ROW_HOSTILE), "otlp_json": (POINTS, POINT_NUMBERS, POINT_HOSTILE)}


def told(format_name: str, numbers: list[str]) -> bytes:
    """A message whose points say these things behind the beginning of their times."""
    template = TOLD[format_name][0]
    if format_name == "json":
        return f"[{','.join(template % (i, said) for i, said in enumerate(numbers))}]".encode()
    attribute = '{"key":"n","value":{"stringValue":"%d"}}'
    metrics = ",".join(template % (attribute % i, said) for i, said in enumerate(numbers))
    return f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}'.encode()


def test_spellings_do_not_mix() -> None:
    """Two ways to write a time are known, the second behind the first: neither is taken for a half of the other."""
    ways = ['1,"asDouble":2', '"1","asDouble":2', '1","asDouble":2', '"1,"asDouble":2']
    usual = [ways[0], *[ways[1]] * LEAST]
    decode = formats.decoder("otlp_json", "metrics", {})
    for numbers in (usual, usual, usual, *([ways[0], *[way] * LEAST] for way in ways)):
        assert outcome(decode, told("otlp_json", numbers)) == fresh("otlp_json", told("otlp_json", numbers))


@pytest.mark.parametrize("format_name", TOLD)
def test_what_is_expected_is_read_without_looking_for_it(format_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = formats.decoder(format_name, "metrics", {})
    numbers = TOLD[format_name][1] * (LEAST // 4 + 1)
    for _ in range(3):
        decode(message(told(format_name, numbers)))
    monkeypatch.setattr(shapes.TextShapes, "_looked_for", None)
    changed = [said.replace("7", "-12").replace("0.5", "1e-7") for said in numbers]
    found = decode(message(told(format_name, changed)))
    assert [(row.time_ns, row.value) for row in found.rows] == [
        (i % 4 + 1, [2, -12, 1e-7, 1][i % 4] if format_name == "json" else [2, -12, -12, 1e-7][i % 4])
        for i in range(len(numbers))
    ]


@pytest.mark.parametrize("format_name", TOLD)
@pytest.mark.parametrize("uniform", [True, False])
def test_what_is_said_instead_of_numbers_is_read_as_it_would_be_alone(format_name: str, uniform: bool) -> None:
    _, usual, hostile = TOLD[format_name]
    numbers = (usual[:1] * 4 if uniform else usual) * (LEAST // 4 + 1)
    decode = formats.decoder(format_name, "metrics", {})
    for _ in range(3):
        decode(message(told(format_name, numbers)))
    for place in range(len(numbers) - 4, len(numbers)):
        for here in hostile:
            for there in (None, *hostile):
                changed = list(numbers)
                changed[place] = here
                if there is not None:
                    changed[place - 1] = there
                value = told(format_name, changed)
                assert outcome(decode, value) == fresh(format_name, value), changed[place - 1 : place + 1]
                decode(message(told(format_name, numbers)))  # which is then what is expected


def test_numbers_that_only_look_like_a_points_are_no_shape() -> None:
    """A key that is sent twice counts by its last value; the first may look like a point that another row is not."""
    twice = '{"name":"m","labels":{},"time_ns":%d,"value":%d,"time_ns":%d,"value":%d}'
    other = '{"name":"n","labels":{},"time_ns" :%d,"value":%d}'
    plain = '{"name":"o","labels":{},"time_ns":%d,"value":%d}'

    def sent(value: int) -> bytes:
        rows = [twice % (TIME, value, TIME, value), other % (TIME, 5), *[plain % (TIME, 5)] * LEAST]
        return f"[{','.join(rows)}]".encode()

    decode = formats.decoder("json", "metrics", {})
    for value in (5, 5, 5, 8):
        assert outcome(decode, sent(value)) == fresh("json", sent(value))


@pytest.mark.parametrize("own", range(LEAST + 1))
def test_a_number_of_a_messages_own_is_not_taken_for_one_that_was_tried(own: int) -> None:
    """The last of two values counts: it stays, and whatever shapes are tried with, it may be that."""
    decode = formats.decoder("json", "metrics", {})
    for value in (1, 2, 3, 4):
        numbers = [f'{TIME},"value":{value}'] * LEAST
        numbers[max(own - 1, 0)] += f',"value":{own}'
        assert outcome(decode, told("json", numbers)) == fresh("json", told("json", numbers))


def test_a_layout_changes_with_its_sender() -> None:
    """A pod is replaced by one whose name is as long; it is not the first of the message."""
    reader = avro_points.Reader("avro")
    replaced = [(name, {**labels, "pod": "tm-1"} if i else labels) for i, (name, labels) in enumerate(POD)]
    for series in (POD, replaced):
        found = [reader.decode(as_avro(series, numbers), many=True) for numbers in steadily(series, 3)]
        assert isinstance(found[2].rows, Points)
        assert [row.labels.mapping for row in found[2].rows] == [labels for _, labels in series]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 20_000)
    reader = avro_points.Reader("avro")
    text = shapes.TextShapes(rb'("time_ns": ?)([0-9]+)(, ?"value": ?)([0-9.]+)', lambda value: Decoded([], []))
    for host in range(300):
        series = [(name, {**labels, "host": str(host)}) for name, labels in POD]
        for numbers in steadily(series, 2):
            reader.decode(as_avro(series, numbers), many=True)
            text.decode(as_rows(series, numbers))
    assert sum(layout.size for layout in reader._layouts.values()) < 2 * 20_000
    assert len(reader._misses) < 100
    assert len(text._known) < 20
    assert len(text._begun) < 300
    assert len(text._seen) < 300


def test_what_is_expected_is_forgotten_with_the_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 30_000)
    monkeypatch.setattr(shapes, "_STRETCH", 50)
    read = formats.decoder("json", "metrics", {})
    text = shapes.TextShapes(POINT, lambda value: Decoded(list(read(message(value)).rows), []))
    sizes = []
    for host in range(300):
        series = of_host(host)
        for numbers in steadily(series, 3):
            text.decode(as_rows(series, numbers))
            sizes.append((len(text._last), len(text._known)))
    assert max(last for last, _ in sizes) > 1
    assert all(last <= known for last, known in sizes)


POINT = rb'("time_ns": ?)([0-9]+)(, ?"value": ?)([0-9.]+)'


def of_host(host: int) -> Series:
    return [(name, {**labels, "host": str(host)}) for name, labels in POD]


class Tried:
    """Counts the messages that shapes were looked for in."""

    def __init__(self, text: shapes.TextShapes) -> None:
        self.count = 0
        self._split, text._split = text._split, self  # type: ignore[assignment]

    def __call__(self, value: bytes) -> list[bytes]:
        self.count += 1
        return self._split(value)


def test_shapes_are_given_up_for_a_while_where_each_message_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_STRETCH", 100)
    monkeypatch.setattr(shapes, "_REST", 3)
    read: list[bytes] = []

    def slowly(value: bytes) -> Decoded:
        read.append(value)
        return Decoded([], [])

    text = shapes.TextShapes(POINT, slowly)
    tried = Tried(text)
    for host in range(1000):
        text.decode(as_rows(of_host(host), steadily(of_host(host), 1)[0]))
    assert len(read) == 1000
    assert tried.count == 300  # of 1000: 100, and 100 more after each rest of 300


def test_shapes_are_given_up_soon_where_a_senders_messages_have_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_MISSED", 20)
    text = shapes.TextShapes(POINT, lambda value: Decoded([], []))
    tried = Tried(text)
    for number in range(100):  # the last points of each are others'
        series = [*POD, *of_host(number)]
        text.decode(as_rows(series, steadily(series, 1)[0]))
    assert tried.count == 22  # the first two might have had one sender's next shapes


@pytest.mark.parametrize("numbers_first", [True, False])
def test_many_senders_are_not_given_up_before_they_have_come_again(
    numbers_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where numbers stand first in a row, all messages begin alike."""
    monkeypatch.setattr(shapes, "_MISSED", 20)
    decode = formats.decoder("json", "metrics", {})
    known = []
    for number in range(5):
        known.append(0)
        for sender in range(100):
            rows = []
            for place in range(LEAST):
                series = f'"name":"m","labels":{{"n":"{place * 1000 + sender}"}}'
                numbers = f'"time_ns":{TIME + number},"value":7'
                rows.append(f"{{{numbers},{series}}}" if numbers_first else f"{{{series},{numbers}}}")
            known[-1] += type(decode(message(f"[{','.join(rows)}]".encode())).rows) is Points
    assert known == [0, 0, 100, 100, 100]


def test_many_senders_are_known_once_they_have_come_twice() -> None:
    decode = formats.decoder("json", "metrics", {})
    known = 0
    for number in range(4):
        for host in range(400):
            known += type(decode(message(as_rows(of_host(host), steadily(POD, 4)[number]))).rows) is Points
    assert known == 2 * 400


def test_where_the_memory_is_full_those_that_are_known_stay_until_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_STRETCH", 1_000)
    decode = formats.decoder("json", "metrics", {})

    def known(hosts: range, times: int) -> int:
        found = 0
        for _ in range(times):
            for host in hosts:
                found += type(decode(message(as_rows(of_host(host), steadily(POD, 1)[0]))).rows) is Points
        return found

    known(range(20), 2)
    monkeypatch.setattr(limits, "CACHE_BYTES", 1)
    assert known(range(40), 4) == 4 * 20
    known(range(20, 40), 41)  # the rest of that stretch, in which none was known
    monkeypatch.setattr(limits, "CACHE_BYTES", 10**9)
    known(range(20, 40), 2)
    assert known(range(20, 40), 1) == 20
