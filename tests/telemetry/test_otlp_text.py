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
from afoot.telemetry.shapes import LEAST
from afoot.telemetry.wire.otlp_json import _decoded
from tests.telemetry.support import message
from tests.telemetry.test_shapes import POINT_HOSTILE, POINT_NUMBERS

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
        value = sent(scrape).replace(b"tm-0", b"tm-%d" % number)
        assert type(pieces.decode(value).rows) is Points
    assert pieces._bytes < 150_000
    assert len(pieces._heads) < 100
    assert max(len(pieces._known), len(pieces._last)) < 30


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


COUNTED = '"5","count":3,"sum":1.5,"bucketCounts":[1,2],"explicitBounds":[0.1]'
COUNTED_HOSTILE = [
    COUNTED.replace(*change)
    for change in [
        ('"count":3', '"count":"3"'),
        ('"count":3', '"count":0'),
        ('"count":3', '"count":1'),
        ('"count":3', '"count":-3'),
        ('"count":3', '"count":3.0'),
        ('"count":3', '"count":"3'),
        ('"count":3', '"count":03'),
        ('"count":3', '"count":999999999999999999'),
        ('"count":3', '"count":18446744073709551616'),
        ('"count":3', '"count":2,"count":4'),
        ('"count":3,', ""),
        ('"count":3', '"count": 3'),
        ('"sum":1.5', '"sum":-7'),
        ('"sum":1.5', '"sum":"1.5"'),
        ('"sum":1.5', '"sum":1e999'),
        ('"sum":1.5', '"sum":null'),
        ('"sum":1.5,', ""),
        ("[1,2]", '["1","2"]'),
        ("[1,2]", '["1",2]'),
        ("[1,2]", "[1,2,3]"),
        ("[1,2]", "[1]"),
        ("[1,2]", "[]"),
        ("[1,2]", "[1,-2]"),
        ("[1,2]", "[1.5,2]"),
        ("[1,2]", "[01,2]"),
        ("[1,2]", "[4,2]"),
        ("[0.1]", "[0.2]"),
        ("[0.1]", "[0.1,0.2]"),
        ("[0.1]", "[]"),
        ("[0.1]", '["0.1"]'),
        ("[0.1]", "[0.1],[0.1]"),
        ("[0.1]", "[0.1"),
        ("[0.1]", '[0.1],"min":1,"max":2'),
        ("[0.1]", '[0.1],"min":1e999'),
        ("[0.1]", '[0.1],"min":x'),
        ("[0.1]", '[0.1],"flags":1'),
        ("[0.1]", '[0.1],"count":9'),
        ('"5"', '"0"'),
        ('"5"', '"05"'),
        ('"5"', '"18446744073709551616"'),
        ('"5"', '"5","asInt":7'),
    ]
]
SAID = [*POINT_NUMBERS, COUNTED, *POINT_NUMBERS, COUNTED, COUNTED]
HOSTILE = ['"5","asDouble":7}', '"5","asDouble":7},{"timeUnixNano":"6","asDouble":8', *POINT_HOSTILE, *COUNTED_HOSTILE]


def told(said: list[str], own: str = "") -> bytes:
    """Resources of a gauge and a histogram each, whose points say these things from the quote before their times."""

    def metric(name: str, kind: str, said: list[str]) -> str:
        points = [
            f'{{"attributes":[],"startTimeUnixNano":"{n}",{own}"timeUnixNano":{one}}}' for n, one in enumerate(said)
        ]
        return f'{{"name":"{name}","{kind}":{{"dataPoints":[{",".join(points)}],"aggregationTemporality":2}}}}'

    def resource(pod: int, *metrics: str) -> str:
        attributes = f'"attributes":[{{"key":"pod","value":{{"stringValue":"{pod}"}}}}]'
        return f'{{"resource":{{{attributes}}},"scopeMetrics":[{{"metrics":[{",".join(metrics)}]}}]}}'

    plain = [metric(f"m{n}", "sum", [one]) for n, one in enumerate(said[:4])]
    resources = [
        resource(0, *plain, metric("h", "histogram", said[4:5])),
        resource(1, metric("n", "gauge", said[5:9]), metric("h", "histogram", said[9:])),
        resource(2, metric("o", "gauge", ['"5","asDouble":0.5'] * LEAST)),  # so that there are enough of them
    ]
    return f'{{"resourceMetrics":[{",".join(resources)}]}}'.encode()


class Told:
    """Pieces, and how often its format's decoder was asked for messages that are not of its own making."""

    def __init__(self) -> None:
        self.reader = otlp.Reader("otlp_json")
        self.pieces = otlp_text.Pieces(self.read)
        self.sent = b""
        self.in_full = 0

    def read(self, value: bytes) -> Decoded:
        self.in_full += value == self.sent
        return _decoded(value, "otlp_json", self.reader.metrics)

    def outcome(self, value: bytes) -> tuple[Counter[str], list[str]] | str:
        self.sent = value
        return outcome(lambda sent: self.pieces.decode(sent.value or b""), value)


@pytest.mark.parametrize("place", [1, 4, 5, 7, 9, 10])
def test_what_is_said_instead_of_numbers_is_read_as_in_full(place: int) -> None:
    decode = Told()
    for here in HOSTILE:
        for there in (None, *HOSTILE):
            said = list(SAID)
            said[place] = here
            if there is not None:
                said[place - 1] = there
            value = told(said)
            assert decode.outcome(value) == in_full(value), said
            decode.outcome(told(SAID))  # which is then what is expected
    decode.in_full = 0
    assert decode.outcome(told(SAID)) == in_full(told(SAID))
    assert not decode.in_full


def test_resources_that_come_again_are_read_without_looking_for_their_points(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = Told()
    decode.outcome(told(SAID))
    monkeypatch.setattr(otlp_text.Pieces, "_looked_for", None)
    said = [
        one.replace("7", "-12").replace('"count":3', '"count":"8"').replace("[1,2]", "[3,5]").replace('"5"', '"6"')
        for one in SAID
    ]
    assert decode.outcome(told(said)) == in_full(told(said))
    assert decode.in_full == 0


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        (('"5","count":3', '"6","count":"8"'), True),
        (("[1,2]", '["3","5"]'), True),
        (("[0.1]", '[0.1],"min":0.5,"max":1e3'), True),
        (('"count":3', '"count":0'), False),
    ],
    ids=["texts", "texts of buckets", "least and most", "more in buckets"],
)
def test_histograms_are_read_from_pieces(change: tuple[str, str], is_read: bool) -> None:
    decode = Told()
    value = told([one.replace(*change) for one in SAID])
    assert decode.outcome(value) == in_full(value)
    assert (decode.in_full == 0) is is_read


@pytest.mark.parametrize(
    "own",
    [
        *(f'"asDouble":{small}.0,' for small in range(3)),
        '"asDouble":99.5,',
        '"asInt":"42",',
        '"count":7,',
        '"sum":2,',
        '"flags":0,',
        '"min":1,',
    ],
)
def test_what_a_point_says_before_its_time_is_not_forgotten(own: str) -> None:
    decode = Told()
    for said in (SAID, [one.replace("7", "8") for one in SAID]):
        assert decode.outcome(told(said, own)) == in_full(told(said, own))


@pytest.mark.parametrize(
    "last", ["x", "", "{}", '{"scopeMetrics":[{"metrics":[{"name":"m"}', '{},"scopeMetrics":[{"metrics":[']
)
def test_a_last_resource_without_points_is_read_as_well(last: str) -> None:
    decode = Told()
    for _ in range(2):
        value = told(SAID)[: -len(b"]}]}]}")] + b']}]},{"resource":' + last.encode() + b"]}]}]}"
        assert decode.outcome(value) == in_full(value)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("before", [b"m0", b"n"])
def test_what_follows_a_metric_that_ends_more_than_itself_is_read_in_full(before: bytes, known: bool) -> None:
    """The rest of its resource stands in a list that no reader asks for."""
    metric = (
        b'{"name":"x","gauge":{"dataPoints":[%s]}}]}],"ignored":[{"metrics":[{"name":"y","gauge":{"dataPoints":[]}},'
    )
    one = b'{"timeUnixNano":"5","asDouble":1.5}' if known else b'{"timeUnixNano":"5","asDouble":"1.5"}'
    value = told(SAID)
    at = value.index(b'{"name":"%s"' % before)
    decode = Told()
    for _ in range(2):
        assert decode.outcome(value[:at] + metric % one + value[at:]) == in_full(value[:at] + metric % one + value[at:])


def test_where_a_point_is_missing_the_other_resources_are_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = Told()
    decode.outcome(told(SAID))
    looked_for: list[bytes] = []
    look_for = otlp_text.Pieces._looked_for

    def noted(pieces: otlp_text.Pieces, section: bytes, found: otlp_text.Found) -> bool:
        looked_for.append(section)
        return look_for(pieces, section, found)

    monkeypatch.setattr(otlp_text.Pieces, "_looked_for", noted)
    value = told(SAID).replace(b'"startTimeUnixNano":"2"', b'"startTimeUnixNano":"22"', 1)  # as after a restart
    assert decode.outcome(value) == in_full(value)
    assert len(looked_for) == 1


FILLER = (
    '{"resource":{"attributes":[]},"scopeMetrics":[{"metrics":[{"name":"o","gauge":{"dataPoints":['
    + ",".join(['{"timeUnixNano":"5","asDouble":0.5}'] * 2 * LEAST)
    + "]}}]}]}"
)


def with_filler(*resources: str) -> bytes:
    """A message of resources, and of enough points for pieces to be read."""
    return f'{{"resourceMetrics":[{",".join([*resources, FILLER])}]}}'.encode()


@pytest.mark.parametrize("time", ['"timeUnixNano": "7"', '"timeUnixNano":7', '"time_unix_nano":"7"'])
@pytest.mark.parametrize("value", ['"asDouble":0.5', '"asDouble":"0.5"'])
def test_a_metric_before_those_that_are_looked_for_is_read_once(time: str, value: str) -> None:
    hidden = f'{{"unit":"s","name":"first","gauge":{{"dataPoints":[{{{time},"asDouble":1.5}}]}}}}'
    point = f'{{"timeUnixNano":"5",{value}}}'
    metrics = ",".join(f'{{"name":"{name}","gauge":{{"dataPoints":[{point}]}}}}' for name in "xy")
    scopes = f'{{"metrics":[{hidden}]}},{{"metrics":[{metrics}]}}'
    value_of = with_filler(f'{{"resource":{{"attributes":[]}},"scopeMetrics":[{scopes}]}}')
    decode = Told()
    for _ in range(2):
        assert decode.outcome(value_of) == in_full(value_of)


@pytest.mark.parametrize("value", ['"asDouble":0.5', '"asDouble":"0.5"'])
@pytest.mark.parametrize("kind", ['"is_monotonic":true,"aggregation_temporality":2', '"isMonotonic":true'])
def test_a_key_in_snake_case_reads_the_same_beside_one_that_has_all_renamed(kind: str, value: str) -> None:
    point = f'{{"timeUnixNano":"5",{value}}}'
    label = '{"key":"a","value":{"string_value":"s"}}'
    first = (
        f'{{"resource":{{"attributes":[{label}]}},"scopeMetrics":[{{"metrics":'
        f'[{{"name":"x","gauge":{{"dataPoints":[{point}]}}}}]}}]}}'
    )
    second = (
        '{"resource":{"attributes":[]},"scopeMetrics":[{"metrics":'
        f'[{{"name":"y","sum":{{{kind},"dataPoints":[{point}]}}}}]}}]}}'
    )
    decode = Told()
    for value_of in (with_filler(second), with_filler(first, second), with_filler(second)):
        assert decode.outcome(value_of) == in_full(value_of)


@pytest.mark.parametrize("bounds", [0, 1, 10, 15, 30, 160])
def test_a_histogram_of_any_bounds_is_read_from_pieces(bounds: int) -> None:
    counts, said = ",".join(["1"] * (bounds + 1)), ",".join(map(str, range(bounds)))
    for number in range(20):
        point = (
            f'{{"startTimeUnixNano":"{number}","timeUnixNano":"5","count":{bounds + 1},"sum":1.5,'
            f'"bucketCounts":[{counts}],"explicitBounds":[{said}]}}'
        )
        metric = f'{{"name":"h{number}","histogram":{{"dataPoints":[{point}]}}}}'
        value = with_filler(f'{{"resource":{{}},"scopeMetrics":[{{"metrics":[{metric}]}}]}}')
        decode = Told()
        assert decode.outcome(value) == in_full(value)
        assert decode.in_full == 0 and len(decode.pieces._last) == 2  # so it is expected from now on


@pytest.mark.parametrize(
    "numbers", ['"timeUnixNano":"5","asDouble":0.5', '"timeUnixNano":"5","count":1,"sum":1.5'], ids=["points", "others"]
)
def test_a_long_text_around_many_points_is_not_tried_with_each(numbers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [f'{{"startTimeUnixNano":"{number}",{numbers}}}' for number in range(500)]
    kind = "gauge" if "asDouble" in numbers else "summary"
    metrics = [f'{{"name":"m","description":"","{kind}":{{"dataPoints":[{point}]}}}}' for point in points]
    if kind == "gauge":
        metrics = [f'{{"name":"m","description":"{"x" * 100_000}","gauge":{{"dataPoints":[{",".join(points)}]}}}}']
    label = f'{{"key":"k","value":{{"stringValue":"{"x" * 100_000}"}}}}'
    value = with_filler(
        f'{{"resource":{{"attributes":[{label}]}},"scopeMetrics":[{{"metrics":[{",".join(metrics)}]}}]}}'
    )
    decode = Told()
    read: list[int] = []
    read_of = decode.pieces._read

    def noted(text: bytes) -> Decoded:
        read.append(len(text))
        return read_of(text)

    monkeypatch.setattr(decode.pieces, "_read", noted)
    assert decode.outcome(value) == in_full(value)
    assert sum(read) < 20 * len(value)
    assert decode.pieces._bytes < 20 * len(value) + 1_000_000


def test_what_takes_the_place_of_a_section_is_counted_by_its_size() -> None:
    decode = Told()
    for number in range(5):
        for more in ("", f'"x":"{"y" * 100_000}",'):
            first = f'{{"startTimeUnixNano":"{number}","timeUnixNano":"5","asDouble":0.5}}'
            second = f'{{{more}"timeUnixNano":"6","asDouble":1.5}}'
            metric = f'{{"name":"m","gauge":{{"dataPoints":[{first},{second}]}}}}'
            decode.outcome(with_filler(f'{{"resource":{{}},"scopeMetrics":[{{"metrics":[{metric}]}}]}}'))
    held = sum(section.behind_bytes for section in decode.pieces._last.values())
    assert held > 500_000
    assert decode.pieces._bytes > held
