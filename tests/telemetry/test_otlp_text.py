"""OTLP/JSON read from its pieces holds what the format's decoder finds in it, whatever is missing or wrong."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.privacy.policy import Policy
from afoot.privacy.rows import Redactor
from afoot.telemetry import formats, limits, otlp, otlp_text
from afoot.telemetry.rows import Decoded, Points
from afoot.telemetry.wire.otlp_json import _decoded
from tests.telemetry.support import message

TIME = 1_795_231_028_961_102_154
Json = dict[str, Any]


def attributes(**labels: str) -> list[Json]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]


def point(number: int, value: Json | None = None, **labels: str) -> Json:
    sent = value if value is not None else {"asDouble": number + 0.5} if number % 2 else {"asInt": str(number)}
    started = {} if number % 3 else {"startTimeUnixNano": str(TIME - 10**12)}
    return {"attributes": attributes(**labels), **started, "timeUnixNano": str(TIME + number * 10**9), **sent}


def histogram(number: int) -> Json:
    counted = {"count": "3", "sum": 1.5, "bucketCounts": ["1", "2"], "explicitBounds": [0.1]}
    points = [{"timeUnixNano": str(TIME + number), **counted}]
    return {"name": "seconds", "unit": "s", "histogram": {"dataPoints": points, "aggregationTemporality": 2}}


def metrics(first: int, present: list[bool]) -> list[Json]:
    """A scrape of a pod: gauges, sums, and a metric of several points; only those that are present."""
    there = [number for number, is_there in enumerate(present) if is_there]
    found: list[Json] = []
    for number in there:
        kind: Json = {"dataPoints": [point(first + number, container="main")]}
        if number % 2:
            kind |= {"aggregationTemporality": 2, "isMonotonic": True}
        found.append({"name": f"metric.{number}", "unit": "By", ("sum" if number % 2 else "gauge"): kind})
    several = [point(first + number, device=f"sd{number}") for number in there]
    return [*found, {"name": "several", "gauge": {"dataPoints": several}}, histogram(first)]


def sent(*pods: list[Json]) -> bytes:
    """As the Collector spells it."""
    resources = [
        {
            "resource": {"attributes": attributes(pod=f"tm-{number}", node="ä\"{'")},
            "scopeMetrics": [{"scope": {"name": "prometheusreceiver", "version": "0.155.0"}, "metrics": metrics}],
        }
        for number, metrics in enumerate(pods)
    ]
    return json.dumps({"resourceMetrics": resources}, separators=(",", ":"), ensure_ascii=False).encode()


def outcome(decode: formats.Decoder, value: bytes) -> tuple[Counter[str], list[str]] | str:
    """Rows in any order and refusals; or why it is unreadable."""
    try:
        decoded = decode(message(value))
    except DecodeError as error:
        return str(error)
    return Counter(map(repr, decoded.rows)), decoded.refused


def decoder() -> formats.Decoder:
    return formats.decoder("otlp_json", "metrics", {})


def in_full(value: bytes) -> tuple[Counter[str], list[str]] | str:
    """The outcome by JSON's own parser, of whole messages."""
    reader = otlp.Reader("otlp_json")
    return outcome(lambda sent: _decoded(sent.value or b"", "otlp_json", reader.metrics), value)


def trained() -> formats.Decoder:
    decode = decoder()
    for number in range(3):
        decode(message(sent(metrics(number, [True] * 12), metrics(number, [True] * 12))))
    return decode


scrapes = st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=4)


@given(scrapes, st.integers(0, 10**6))
def test_what_is_missing_makes_no_message_unknown(present: list[list[bool]], first: int) -> None:
    decode = trained()
    value = sent(*(metrics(first, some) for some in present))
    assert outcome(decode, value) == in_full(value)
    if sum(map(sum, present)) * 2 >= 16 and all(map(any, present)):
        assert type(decode(message(value)).rows) is Points


fragments = st.sampled_from(
    [
        b"",
        b"x",
        b" ",
        b"0",
        b'1700000000000000000","asDouble":1\n',
        b'},"timeUnixNano":"1700000000000000000","asDouble":1,"a":{"b":1',
        b"-",
        b'"',
        b",",
        b"}",
        b"]",
        b"{",
        b"\\",
        b"\n",
        b"\xff",
        b"]}]}",
        b'{"name":',
        b',{"name":"x"}',
        b'{"resource":',
        b',{"resource":{}}',
        b'"metrics":[',
        b'"timeUnixNano":"',
        b'"timeUnixNano":"1700000000000000000","asDouble":1}',
        b',"asDouble":7',
        b'"asInt":"1_0"',
        b"1e999",
        b"NaN",
        b'"flags":1,',
        b'"schemaUrl":"",',
        b'"dataPoints":[',
        b',{"attributes":[]',
    ]
)


tokens = st.sampled_from(
    [
        b'"timeUnixNano":"',
        b'","asDouble":',
        b'"asInt":"',
        b'"asInt":',
        b"}",
        b"},{",
        b",{",
        b"]",
        b"]}]}",
        b'{"name":',
        b'"histogram":',
        b'"dataPoints":[',
        b'{"resource":',
        b'"metrics":[',
    ]
)
edits_of = st.lists(
    st.tuples(tokens, st.integers(0, 60), st.booleans(), st.sampled_from([0, 0, 0, 1, 2, 7]), fragments),
    min_size=1,
    max_size=2,
)


def edited(value: bytes, token: bytes, number: int, after: bool, cut: int, fragment: bytes) -> bytes:
    """A message with a fragment put in at one of the places of a token, in place of some bytes."""
    places = [at for at in range(len(value)) if value.startswith(token, at)] or [0]
    at = places[number % len(places)] + (len(token) if after else 0)
    return value[:at] + fragment + value[at + cut :]


@settings(max_examples=600)
@given(edits_of, st.booleans())
def test_whatever_is_sent_is_read_as_the_format_has_it(
    edits: list[tuple[bytes, int, bool, int, bytes]], whole: bool
) -> None:
    decode = trained()
    present = [True] * 12 if whole else [True, False] * 6
    value = sent(metrics(7, present), metrics(7, [True] * 12))
    for edit in edits:
        value = edited(value, *edit)
    assert outcome(decode, value) == in_full(value)
    assert outcome(decode, value) == in_full(value)


@pytest.mark.parametrize(
    "edits",
    [
        [(b'"timeUnixNano":"', 0, True, 0, b"x")],
        [(b'},{"attributes":[{"key":"device"', 3, False, 3, b"} {")],
        [(b'"asDouble":', 0, True, 0, b'1\n1700000000000000000","asDouble":'), (b'"asDouble":', 3, True, 0, b"+")],
        [(b'"metrics":[', 0, True, 0, b'{"unit":"s","name":"first","gauge":{"dataPoints":[]}},')],
        [(b'"histogram":', 0, False, 0, b'"x":[1,{"name":"y"}],')],
    ],
    ids=["no time", "no comma", "two lines for one", "another order", "a name within"],
)
def test_what_looks_like_a_message_of_the_collector_is_read_in_full(edits: list[Any]) -> None:
    decode = trained()
    value = sent(metrics(7, [True] * 12), metrics(7, [True] * 12))
    for edit in edits:
        value = edited(value, *edit)
    assert outcome(decode, value) == in_full(value)


@pytest.mark.parametrize("pod", [0, 1])
@pytest.mark.parametrize("place", [0, 7, 12, 14])
@pytest.mark.parametrize(
    "empty", [{"gauge": {"dataPoints": []}}, {"gauge": "none"}, None], ids=["empty", "bad", "both"]
)
def test_metrics_without_a_time_are_missed_nowhere(pod: int, place: int, empty: Json | None) -> None:
    decode = trained()
    pods = [metrics(7, [True] * 12), metrics(8, [True] * 12)]
    pods[pod][place:place] = [{"name": "none", **(empty or {"unit": "1"})}, *([] if empty else [{"name": "nor this"}])]
    assert outcome(decode, sent(*pods)) == in_full(sent(*pods))


def test_resources_without_metrics_are_missed_nowhere() -> None:
    decode = trained()
    for pods in (
        [[], metrics(7, [True] * 12)],
        [metrics(7, [True] * 12), []],
        [metrics(7, [True] * 12), [], [histogram(7)]],
    ):
        assert outcome(decode, sent(*pods)) == in_full(sent(*pods))


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"asDouble": "NaN"}, 1),
        ({"asInt": "9223372036854775807"}, 0),
        ({"asDouble": 1e300, "flags": 1}, 1),
        ({"asDouble": 2, "exemplars": [{"asDouble": 1.0, "timeUnixNano": "5"}]}, 0),
        ({"asInt": 7}, 0),
        ({"asInt": "7"}, 0),
    ],
)
def test_numbers_that_are_not_plain_are_read_in_full(said: Json, refused: int) -> None:
    decode = trained()
    scrape = metrics(5, [True] * 12)
    scrape[3]["sum"]["dataPoints"][0] = point(5, said, container="main")
    value = sent(metrics(5, [True] * 12), scrape)
    found = outcome(decode, value)
    assert found == in_full(value)
    assert len(found[1]) == refused


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 50_000)
    plain = formats.decoder("otlp_json", "metrics", {})
    pieces = otlp_text.Pieces(lambda value: plain(message(value)))
    for number in range(60):
        scrape = metrics(number, [True] * 12)
        for metric in scrape:
            metric["name"] += str(number)
        assert type(pieces.decode(sent(scrape)).rows) is Points
    assert pieces._bytes < 150_000
    assert len(pieces._heads) < 100


def test_resources_without_any_point_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES", 50_000)
    pieces = otlp_text.Pieces(lambda value: Decoded([], []))
    for number in range(1_000):
        value = sent([{"name": "m", "gauge": {"dataPoints": []}}]).replace(b"tm-0", b"tm-%d" % number)
        pieces.decode(value)
    assert len(pieces._known) < 200


def test_what_is_redacted_in_full_is_redacted_in_pieces() -> None:
    policy = Policy("a key that nobody can guess", hash_labels=("pod",), drop_labels=("node",))
    decode = Redactor(policy).decoder(trained())
    value = sent(metrics(7, [True, False] * 6), metrics(7, [True] * 12))
    found = outcome(decode, value)
    reader = otlp.Reader("otlp_json")
    full = Redactor(policy).decoder(lambda sent: _decoded(sent.value or b"", "otlp_json", reader.metrics))
    assert found == outcome(full, value)
    assert "tm-1" not in str(found) and "node" not in str(found)


def test_a_histogram_that_is_refused_has_its_reason() -> None:
    decode = trained()
    scrape = metrics(5, [True] * 12)
    scrape[-1]["histogram"]["dataPoints"].append({"timeUnixNano": "0", "count": "1"})
    value = sent(metrics(5, [True] * 12), scrape)
    found = outcome(decode, value)
    assert found == in_full(value)
    assert len(found[1]) == 1
