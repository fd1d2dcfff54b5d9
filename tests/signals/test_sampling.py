"""Messages to frames: what each row becomes, and that nothing is lost on the way."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.inventory.graph import Graph
from afoot.signals import Frame, Sampler, blocks
from afoot.signals.blocks import CUMULATIVE, DELTA, GAUGE, unpack
from afoot.signals.settings import Settings
from afoot.signals.shard import ShardState
from afoot.signals.windows import evaluate
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    Message,
    MetricPoint,
    Points,
    Stats,
)
from tests.signals.helpers import CATALOGUE, MINUTE, T0, TENANT, S, point

RECEIVED = Message("telemetry.metrics", 3, 77, T0 + 30_000, None, b"")
ASKED = "container_memory_working_set_bytes"


def sampler(shards: int = 4, **more: Any) -> Sampler:
    return Sampler(CATALOGUE, shards, **more)


def test_one_block_a_shard_and_window() -> None:
    rows = [point(ASKED, {**TENANT, "pod": f"p{i}"}, second, 1.0) for i in range(20) for second in (-1, 0, 59, 60)]
    frames = sampler().frames(RECEIVED, Decoded(rows, []))
    places = [(frame.window_ms, frame.shard) for frame in frames]
    assert places == sorted(set(places))
    assert {window for window, _ in places} == {T0 - MINUTE, T0, T0 + MINUTE}
    assert {shard for _, shard in places} == {0, 1, 2, 3}
    assert [frame.messages for frame in frames] == [1] + [0] * (len(frames) - 1)
    assert sum(frame.points for frame in frames) == 80


def test_a_block_says_all_that_it_was_made_of() -> None:
    rows = [point(ASKED, TENANT, second, 1.5 * second) for second in (3, 1, 2)]
    body = sampler().frames(RECEIVED, Decoded(rows, []))[0].body
    assert body.isascii()
    assert not set(" \n") & set(body)
    samples = unpack(body)
    assert (samples.topics, samples.partition.tolist(), samples.offset.tolist()) == (("telemetry.metrics",), [3], [77])
    assert samples.time_ns.tolist() == [row.time_ns for row in rows]
    assert samples.value.tolist() == [4.5, 1.5, 3.0]
    series = blocks.read_definition(samples.definitions[0])
    assert (series.metric, series.mode, series.labels) == (ASKED, GAUGE, Labels.of(TENANT))
    assert set(samples.series.tolist()) == {series.id}
    assert blocks.series(GAUGE, ASKED, Labels.of(TENANT)) == series


def test_messages_are_numbered_in_their_order_whatever_that_of_the_blocks() -> None:
    bodies = []
    for topic, partition, offset in (("b", 0, 1), ("a", 10, 1), ("a", 9, 2), ("a", 9, 1), ("ä b:1", 0, 0)):
        message = RECEIVED._replace(topic=topic, partition=partition, offset=offset)
        bodies.append(sampler(1).frames(message, Decoded([point(ASKED, TENANT, 1, offset)], []))[0].body)
    samples = unpack(" ".join(bodies))
    assert samples.topics == ("a", "b", "ä b:1")
    found = zip(samples.topic.tolist(), samples.partition.tolist(), samples.offset.tolist(), strict=True)
    assert list(found) == [(0, 9, 1), (0, 9, 2), (0, 10, 1), (1, 0, 1), (2, 0, 0)]
    assert samples.message.tolist() == [3, 2, 1, 0, 4]


def test_a_block_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version '1'"):
        unpack("1:t:")


def test_a_series_is_defined_again_where_it_may_not_be_known_any_more_or_not_yet() -> None:
    held = sampler(1)
    received = RECEIVED._replace(timestamp_ms=RECEIVED.timestamp_ms + 3_600_000)
    seen = []
    for minute in (5, 5, 6, 14, 15, 24, 4, 5, 13, 14):
        frames = held.frames(
            received, Decoded([point(ASKED, TENANT, 60 * minute + second, 1.0) for second in (1, 2)], [])
        )
        seen.append((minute, len(unpack(frames[0].body).definitions)))
    # For ten minutes from the window that it was defined for; the window before that knew nothing of it.
    assert seen == [(5, 1), (5, 0), (6, 0), (14, 0), (15, 1), (24, 0), (4, 1), (5, 0), (13, 0), (14, 1)]


def test_a_block_that_may_be_late_defines_its_series_for_itself_alone() -> None:
    held = sampler(1)
    rows = Decoded([point(ASKED, TENANT, second, 1.0) for second in (1, 61)], [])
    end_ms = RECEIVED.timestamp_ms // 60_000 * 60_000 + 60_000

    def defined(*passed_ms: float) -> list[list[int]]:
        found = held.batch([(RECEIVED, rows)] * len(passed_ms), passed_ms)
        return [[len(unpack(frame.body).definitions) for frame in frames] for frames in found]

    assert defined(math.inf, math.inf) == [[1, 1], [1, 1]]
    # Of all that is certain the first message has a block a window; they define for the one that is not, too.
    assert defined(end_ms, end_ms - 1, end_ms - 1) == [[1, 0, 0], [], []]
    assert defined(math.inf) == [[0, 0]]


@given(data=st.data())
def test_whatever_is_late_all_that_is_not_is_defined(data: st.DataObject) -> None:
    """Two samplers, windows in any order: blocks that may be late are left out at will, and nothing is missed."""
    samplers = [sampler(1), sampler(1)]
    taken: dict[int, list[str]] = {}
    messages = data.draw(
        st.lists(
            st.tuples(st.integers(0, 1), st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 41)),
            min_size=1,
            max_size=20,
        )
    )
    received = RECEIVED._replace(timestamp_ms=T0 + 41 * MINUTE)
    for which, minutes, passed in messages:
        rows = [
            point(ASKED, TENANT | {"pod": f"p{minute % 3}"}, 60 * minute + place, 1.0)
            for place, minute in enumerate(minutes)
        ]
        (frames,) = samplers[which].batch([(received, Decoded(rows, []))], [T0 + float(passed * MINUTE)])
        for frame in frames:
            may_be_late = frame.window_ms + MINUTE <= T0 + passed * MINUTE
            if not may_be_late or data.draw(st.booleans()):
                taken.setdefault(frame.window_ms, []).append(frame.body)
    state, graph = ShardState(), Graph()
    for window in sorted(taken):
        _, books = evaluate(state, window, " ".join(taken[window]), None, graph, CATALOGUE, Settings())
        assert (books.undefined, books.in_signals + books.duplicates) == (0, books.points_in)
        assert books.points_in > 0


@pytest.mark.parametrize("cache_series", [400_000, 0])
def test_the_same_labels_under_several_metrics(cache_series: int) -> None:
    held = sampler(1, cache_series=cache_series)
    names = [ASKED, "container_cpu_usage_seconds_total", "nobody_asks", "container_fs_writes_total"]
    for _ in range(2):
        frames = held.frames(RECEIVED, Decoded([point(name, TENANT, 1, 1.0) for name in names], []))
        samples = unpack(frames[1].body)
        assert len(set(samples.series.tolist())) == 3
        assert frames[0].kind == "unasked"
        assert json.loads(frames[0].body) == {"nobody_asks": 1}


@pytest.mark.parametrize(
    ("metric", "kind", "mode"),
    [
        ("container_fs_writes_total", "cumulative", CUMULATIVE),
        ("container_fs_writes_total", "unknown", CUMULATIVE),
        ("container_fs_writes_total", "gauge", CUMULATIVE),
        ("container_fs_writes_total", "delta", DELTA),
        (ASKED, "unknown", GAUGE),
        (ASKED, "gauge", GAUGE),
    ],
)
def test_the_catalogue_says_how_to_read_a_metric_unless_it_is_a_delta(metric: str, kind: Any, mode: int) -> None:
    frames = sampler(1).frames(RECEIVED, Decoded([point(metric, TENANT, 1, 1.0, kind)], []))
    assert blocks.read_definition(unpack(frames[0].body).definitions[0]).mode == mode


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        ({"InstanceId": "i-1"}, True),
        ({"InstanceType": "m5"}, False),
        ({"AutoScalingGroupName": "g"}, False),
        ({}, False),
    ],
)
def test_cloudwatch_dimension_sets_that_name_no_entity_are_unasked(labels: dict[str, str], asked: bool) -> None:
    held = sampler(1)
    for _ in range(2):
        row = point("EBSWriteOps", labels, 1, 0.0, "gauge", Stats(1, 60, 0, 60, 60))
        frames = held.frames(RECEIVED, Decoded([row], []))
        assert [frame.kind for frame in frames] == ["samples" if asked else "unasked"]


@pytest.mark.parametrize(
    ("metric", "stats", "value"),
    [
        ("VolumeWriteOps", Stats(5, 300, 0, 99, 60), 5.0),
        ("VolumeWriteOps", Stats(5, 300, 0, 99, 300), 1.0),
        ("VolumeWriteOps", Stats(5, 300, 0, 99, 0), 300.0),  # nobody has said what to divide it by
        ("VolumeQueueLength", Stats(5, 300, 0, 99, 60), 60.0),
    ],
)
def test_pre_aggregated_points_become_rates_or_means(metric: str, stats: Stats, value: float) -> None:
    frames = sampler(1).frames(RECEIVED, Decoded([point(metric, {"VolumeId": "v"}, 1, 0.0, "gauge", stats)], []))
    assert unpack(frames[0].body).value.tolist() == [value]


def test_an_aggregate_is_no_counter_and_a_plain_value_no_aggregate() -> None:
    rows = [point("container_fs_writes_total", TENANT, 1, 0.0, "gauge", Stats(1, 1, 1, 1, 60))]
    rows += [point("VolumeWriteOps", {"VolumeId": "v"}, 1, 7.0, "gauge")]
    frames = sampler(1).frames(RECEIVED, Decoded(rows, []))
    assert [(frame.kind, frame.points) for frame in frames] == [("unasked", 2)]


@pytest.mark.parametrize(
    ("second", "value", "reason"),
    [
        pytest.param(90, 1.0, None, id="as far ahead as allowed"),
        pytest.param(90 + 1e-9, 1.0, "more than 60 s after the record's own time", id="a nanosecond further"),
        pytest.param(3600 * 24 * 365, 1.0, "after the record's own time", id="next year"),
        pytest.param(1e11, 1.0, "after the record's own time", id="beyond 64 bits"),
        pytest.param(-T0 / 1000, 1.0, None, id="1970"),
        pytest.param(-2e10, 1.0, "before what 64 bits", id="before all time"),
        pytest.param(1, math.nan, "not a finite number", id="not a number"),
        pytest.param(1, -math.inf, "not a finite number", id="infinite"),
        pytest.param(1, 10**400, "not a finite number", id="beyond floats"),
        pytest.param(1, 1.7e308, None, id="very large"),
    ],
)
def test_what_cannot_be_a_sample_is_refused_alone(second: float, value: Any, reason: str | None) -> None:
    rows = [point(ASKED, TENANT, 1, 1.7e308), point(ASKED, {**TENANT, "pod": "x"}, second, value)]
    frames = sampler(1).frames(RECEIVED, Decoded(rows, ["no time"]))
    assert [frame.messages for frame in frames] == [1] + [0] * (len(frames) - 1)
    assert sum(frame.points for frame in frames) == 3
    refused = {frame.reason: frame.points for frame in frames if frame.kind == "refused"}
    assert refused.pop("no time") == 1
    if reason is None:
        assert refused == {}
    else:
        assert list(refused.values()) == [1]
        assert reason in next(iter(refused))


def test_a_message_without_rows_is_counted() -> None:
    frames = sampler().frames(RECEIVED, Decoded([], []))
    assert [(frame.kind, frame.messages, frame.points, frame.body) for frame in frames] == [("unasked", 1, 0, "{}")]


def test_a_message_that_cannot_be_read_is_dead() -> None:
    def decode(message: Message) -> Decoded:
        raise DecodeError("no JSON")

    frames = sampler().read(RECEIVED, decode)
    assert [(frame.kind, frame.messages, frame.points, frame.reason) for frame in frames] == [("dead", 1, 0, "no JSON")]


def test_inventory_changes_travel_whole() -> None:
    change = InventoryChange("relation", "upsert", ("a", "b", 'quo"te\n'), {"from_id": "a"}, 5, True)
    frames = sampler().frames(RECEIVED, Decoded([change], []))
    found = [InventoryChange(**{**row, "key": tuple(row["key"])}) for row in json.loads(frames[0].body)]
    assert (frames[0].kind, frames[0].points, found) == ("change", 1, [change])


def test_changes_with_what_json_cannot_say_do_not_stop_the_job() -> None:
    change = InventoryChange("entity", "upsert", ("a",), {"attributes": {"n": 10**30, "d": date(2026, 1, 2)}}, 5)
    body = json.loads(sampler().frames(RECEIVED, Decoded([change], []))[0].body)
    assert body[0]["row"] == {"attributes": {"n": 10**30, "d": "2026-01-02"}}


def test_a_flow_and_a_log_are_one_point_each() -> None:
    end = T0 * 1_000_000
    flow = FlowRecord(end, end, "10.0.0.1", 1, "10.0.0.2", 2, "tcp", 9, 1, None, None, None, "r", Labels.of({}))
    log = LogRecord(end, "error", "429 Too Many Requests", Labels.of(TENANT))
    for row in (flow, log):
        frames = sampler(8).frames(RECEIVED, Decoded([row], []))
        assert sum(frame.points for frame in frames) == 1
        assert sum(len(unpack(frame.body).series) for frame in frames) > 1


def test_a_foreign_row_is_an_error() -> None:
    with pytest.raises(TypeError, match="decoder gives the row types"):
        sampler().frames(RECEIVED, Decoded([object()], []))


def test_all_series_of_an_entity_meet_in_one_shard() -> None:
    held = sampler(64)
    rows = [
        point(name, {"namespace": "n", "pod": "p", "container": c, "device": d}, 1, 1.0)
        for name in ("container_fs_writes_total", "container_cpu_usage_seconds_total", ASKED)
        for c in ("a", "b")
        for d in ("x", "y")
    ]
    rows += [point("k8s.pod.cpu.time", {"k8s.namespace.name": "n", "k8s.pod.name": "p"}, 1, 1.0)]
    frames = held.frames(RECEIVED, Decoded(rows, []))
    assert len(frames) == 1
    hosts = [point("node_load1", {"instance": i}, 1, 1.0) for i in ("h:9100", "h:9101", "h")]
    assert len(held.frames(RECEIVED, Decoded(hosts, []))) == 1


times = st.integers(-200, 200).map(lambda s: T0 * 1_000_000 + s * S)
points = st.builds(
    MetricPoint,
    name=st.sampled_from([ASKED, "container_fs_writes_total", "nobody_asks", "EBSWriteOps", "node_load1"]),
    unit=st.just(""),
    kind=st.sampled_from(["gauge", "cumulative", "delta", "unknown"]),
    labels=st.dictionaries(
        st.sampled_from(["namespace", "pod", "instance", "InstanceId"]), st.sampled_from("abc\nä")
    ).map(Labels.of),
    time_ns=times,
    value=st.floats(),
    stats=st.none() | st.just(Stats(2, 4, 1, 3, 60)),
)


sent = st.tuples(
    st.sampled_from(["t", "u"]),
    st.lists(points, max_size=12),
    st.none() | st.integers(-4, 4).map(lambda minutes: float(T0 + minutes * MINUTE)),
)


@given(st.lists(sent, min_size=1, max_size=5), st.integers(1, 5))
def test_nothing_is_lost_or_counted_twice(
    messages: list[tuple[str, list[MetricPoint], float | None]], shards: int
) -> None:
    pairs = [
        (RECEIVED._replace(topic=topic, partition=i % 2, offset=i), Decoded(rows, ["bad"] * (i % 3)))
        for i, (topic, rows, _) in enumerate(messages)
    ]
    passed_ms = [-math.inf if passed is None else passed for _, _, passed in messages]
    one, other = sampler(shards), sampler(shards)
    together = one.batch(pairs, passed_ms)
    apart = [other.batch([pair], [passed])[0] for pair, passed in zip(pairs, passed_ms, strict=True)]
    total = sum(len(decoded.rows) + len(decoded.refused) for _, decoded in pairs)
    assert sum(frame.points for frames in together for frame in frames) == total
    assert sum(frame.messages for frames in together for frame in frames) == len(messages)
    assert samples_of(together) == samples_of(apart)
    places = []
    for (message, _), frames, passed in zip(pairs, together, passed_ms, strict=True):
        for frame in frames:
            if frame.kind in ("samples", "unsure"):
                found = unpack(frame.body)
                assert found.topics == (message.topic,)
                assert len(found.series) == frame.points
                if frame.kind == "samples":
                    places.append((message.topic, frame.shard, frame.window_ms))
                else:  # it may become a dead letter, which has its message's bytes
                    assert (found.partition.tolist(), found.offset.tolist()) == ([message.partition], [message.offset])
                    assert frame.window_ms + MINUTE <= passed
    assert len(places) == len(set(places))
    samples = unpack(" ".join(f.body for frames in together for f in frames if f.kind in ("samples", "unsure")))
    defined = {blocks.defined_id(definition) for definition in samples.definitions}
    assert set(np.unique(samples.series).tolist()) <= defined


def samples_of(batch: list[list[Frame]]) -> Counter[tuple[Any, ...]]:
    """Every sample, and every other frame, by all that is said of it."""
    found: Counter[tuple[Any, ...]] = Counter()
    for frames in batch:
        for frame in frames:
            if frame.kind not in ("samples", "unsure"):
                found[frame._replace(messages=0) if frame.reason != "no rows" else None] += 1
                continue
            samples = unpack(frame.body)
            for series, time_ns, value, message in zip(
                samples.series.tolist(),
                samples.time_ns.tolist(),
                samples.value.tolist(),
                samples.message.tolist(),
                strict=True,
            ):
                place = (samples.partition[message], samples.offset[message])
                found[(frame.kind, frame.shard, frame.window_ms, *place, series, time_ns, value)] += 1
    return found


@given(
    st.lists(st.tuples(st.booleans(), st.lists(times, min_size=4, max_size=4)), min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_columns_give_the_frames_of_their_points(messages: list[tuple[bool, list[int]]], shards: int) -> None:
    names = [(ASKED, "a"), ("nobody_asks", "a"), ("container_fs_writes_total", "b"), (ASKED, "b")]
    heads = tuple(point(name, {"namespace": "n", "pod": pod}, 0, 0.0)._replace(time_ns=0) for name, pod in names)
    columns, rows = [], []
    for offset, (as_columns, time_ns) in enumerate(messages):
        found = Points(heads, np.array(time_ns, np.int64), np.arange(4) + 0.5)
        received = RECEIVED._replace(offset=offset)
        columns.append((received, Decoded(found if as_columns else list(found), [])))
        rows.append((received, Decoded(list(found), [])))
    # The order of series may differ, so definitions may: what is evaluated is what counts.
    together = sampler(shards).batch(columns)
    assert [[f[:6] for f in frames] for frames in together] == [
        [f[:6] for f in frames] for frames in sampler(shards).batch(rows)
    ]
    found_samples = [unpack(f.body) for frames in together for f in frames if f.kind == "samples"]
    expected = [unpack(f.body) for frames in sampler(shards).batch(rows) for f in frames if f.kind == "samples"]
    for got, wanted in zip(found_samples, expected, strict=True):
        assert got.series.tolist() == wanted.series.tolist()
        assert got.value.tolist() == wanted.value.tolist()


def test_shapes_do_not_pile_up() -> None:
    held = sampler(cache_series=100)
    for n in range(50):
        heads = tuple(point(ASKED, {"namespace": "n", "pod": f"p{n % 2}"}, 0, 0.0) for _ in range(20))
        times_ns = np.full(20, T0 * 1_000_000, np.int64)
        held.frames(RECEIVED, Decoded(Points(heads, times_ns, np.arange(20) + 0.5), []))
    assert len(held.known._shapes) <= 6
