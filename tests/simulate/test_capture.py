"""Captures: what they hold, that a seed gives the same bytes, and that disorder stays within the lateness."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zstandard

from afoot.simulate import SCENARIOS, Truth, simulate
from afoot.simulate.capture import Record, arrive, line, read, write
from afoot.telemetry.rows import FlowRecord, LogRecord, Message, MetricPoint
from tests.simulate.support import DECODERS, LATENESS_MS, Capture


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for scenario in ("hourly_backup", "out_of_order"):
        names = []
        for folder in ("once", "again"):
            simulate(scenario, 7, 0.7, tmp_path / scenario / folder)
            names.append({
                str(path.relative_to(tmp_path / scenario / folder)): path.read_bytes()
                for path in sorted((tmp_path / scenario / folder).rglob("*"))
                if path.is_file()
            })  # fmt: skip
        assert names[0] == names[1]


def test_another_seed_gives_another_capture(tmp_path: Path) -> None:
    truths = [simulate("steady", seed, 0.5, tmp_path / str(seed)) for seed in (3, 4)]
    assert truths[0].pipelines != truths[1].pipelines


def test_lines_are_as_kcat_prints_them(harvest: Capture) -> None:
    with (harvest.folder / "capture.jsonl.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    found = [json.loads(one) for one in text.splitlines()]
    assert all({"topic", "partition", "offset", "tstype", "ts", "key", "payload"} <= one.keys() for one in found)
    assert {one["tstype"] for one in found} == {"create"}
    assert {one["topic"] for one in found} == set(DECODERS)
    assert any(one["payload"] is None for one in found)  # tombstones


def test_offsets_count_each_partition_in_order_of_record_times(harvest: Capture) -> None:
    last: dict[tuple[str, int], Message] = {}
    for message in harvest.messages:
        before = last.get(message[:2])
        if before:
            assert message.offset == before.offset + 1
            assert message.timestamp_ms >= before.timestamp_ms
        last[message[:2]] = message
    assert {topic: len([1 for name, _ in last if name == topic]) for topic in DECODERS} == harvest.truth.style[
        "partitions"
    ]


@pytest.mark.parametrize("name", ["capture", "moved"])
def test_no_record_is_later_than_the_lateness_and_none_comes_before_its_events(
    name: str, harvest: Capture, moved: Capture
) -> None:
    capture = harvest if name == "capture" else moved
    watermark: dict[tuple[str, int], int] = {}
    for message in capture.messages:
        reached = watermark[message[:2]] = max(watermark.get(message[:2], 0), message.timestamp_ms)
        if message.topic == "inventory":
            continue
        for time_ms in _event_times(message):
            assert time_ms <= message.timestamp_ms
            assert time_ms >= reached - LATENESS_MS.get(message.topic, 30_000)


def _event_times(message: Message) -> list[int]:
    decoded = DECODERS[message.topic](message)
    assert not decoded.refused
    found = []
    for row in decoded.rows:
        if isinstance(row, MetricPoint | LogRecord):
            found.append(row.time_ns // 1_000_000)
        elif isinstance(row, FlowRecord):
            found.append(row.end_ns // 1_000_000)
    return found


def test_disorder_keeps_to_the_lateness_and_its_twin_holds_the_same_messages_in_order(tmp_path: Path) -> None:
    truth = simulate("out_of_order", 3, 1.5, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("capture*")) == ["capture.jsonl.zst"]
    mixed, ordered = read(tmp_path / "capture.jsonl.zst"), read(tmp_path / "ordered" / "ordered.jsonl.zst")
    sets, backwards, oldest = [], [], 0
    for messages in (mixed, ordered):
        held: Counter[tuple[str, int, bytes | None]] = Counter()
        back = 0
        newest: dict[tuple[str, int], int] = {}
        for message in messages:
            held[message.topic, message.partition, message.value] += 1
            if message.topic in ("inventory", "telemetry.cloudwatch"):
                continue
            times = _event_times(message)
            back += min(times) < newest.get(message[:2], 0)
            newest[message[:2]] = max(newest.get(message[:2], 0), min(times))
            oldest = max(oldest, message.timestamp_ms - min(times))
            assert min(times) >= message.timestamp_ms - 30_000
        sets.append(held)
        backwards.append(back)
    assert sets[0] == sets[1]
    assert backwards[0] > 100
    assert backwards[1] == 0
    assert oldest > 25_000
    assert truth.seed == 3


def test_the_disordered_scenario_has_the_truth_of_the_ordered_one(tmp_path: Path) -> None:
    mixed = simulate("out_of_order", 4, 1.5, tmp_path / "mixed")
    plain = simulate("hourly_backup", 4, 1.5, tmp_path / "plain")
    mixed.scenario = plain.scenario
    assert mixed == plain


def test_truth_survives_its_file(harvest: Capture) -> None:
    assert Truth.read(harvest.folder / "truth.json") == harvest.truth


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    simulate("out_of_order", 3, 0.7, tmp_path, lambda word, part: told.append((word, part)))
    parts = [part for _, part in told]
    assert parts == sorted(parts)
    assert told[-1] == ("done", 1.0)
    assert len(told) > 4


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.jsonl.zst"])
def test_a_capture_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    messages = [
        Message("t", 0, 7, 1000, b"key", b'{"a": "\xc3\xa9\\n"}'),
        Message("t", 1, 0, 1001, None, None),
        Message("t", 0, 8, 1002, b"\xff\xfe", b"\x1f\x8b\x00", (("h", b"v"), ("empty", None))),
    ]
    write(messages, tmp_path / name)
    assert list(read(tmp_path / name)) == messages


def test_bytes_that_are_no_text_travel_as_base64() -> None:
    found = json.loads(line(Message("t", 0, 0, 0, None, b"\xff\x00")))
    assert base64.b64decode(found["payload_base64"]) == b"\xff\x00"
    assert "payload" not in found


def test_messages_are_numbered_in_the_order_of_sending() -> None:
    sent = {"a": (0, 10), "b": (1, 3), "c": (2, 3), "d": (5, 6), "e": (11, 11)}
    records = [Record("t", 0, oldest, oldest, at, name.encode(), None) for name, (oldest, at) in sent.items()]
    found = list(arrive(records, np.random.default_rng(0)))
    assert [message.key for message in found] == [b"b", b"c", b"d", b"a", b"e"]
    assert [message.offset - found[0].offset for message in found] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_every_scenario_can_be_written(scenario: str, tmp_path: Path) -> None:
    truth = simulate(scenario, 4, 0.5, tmp_path)
    assert truth.end_ms - truth.start_ms == 1_800_000
    assert all(DECODERS[message.topic](message).refused == [] for message in read(tmp_path / "capture.jsonl.zst"))
