"""Captures: what is written is read, in any compression; what is prepared is in order, in bounded memory."""

import os
import random
import threading
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.captures import Prepared, packed, prepare, read_captures, unpacked, write_captures
from afoot.errors import AfootError, UsageError
from afoot.telemetry.rows import Message

BYTES = st.one_of(st.none(), st.binary(max_size=20), st.text(max_size=20).map(str.encode))


def message(topic: str, partition: int, offset: int, ms: int, value: bytes | None = b"{}") -> Message:
    return Message(topic, partition, offset, ms, None, value)


def prepared(
    messages: list[Message], folder: Path, sort_bytes: int = 1 << 20
) -> tuple[Prepared, list[tuple[str, int, int]]]:
    write_captures(folder / "c.jsonl", messages)
    found = prepare([folder / "c.jsonl"], folder, lambda topic: topic == "inventory", sort_bytes=sort_bytes)
    with found.telemetry.open("rb") as stream:
        rows: list[Any] = list(fastavro.reader(stream))
    return found, [(row["topic"], row["partition"], row["offset"]) for row in rows]


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.jsonl.zst"])
@given(key=BYTES, value=BYTES)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, name: str, key: bytes, value: bytes) -> None:
    path = tmp_path_factory.mktemp("captures") / name
    written = Message("t", 3, 7, 1_700_000_000_123, key, value, (("h", b"x"),))
    assert write_captures(path, [written]) == 1
    assert list(read_captures([path])) == [written]


@given(value=st.none() | st.binary() | st.binary(max_size=20).map(lambda some: some * 10_000))
def test_what_is_packed_is_unpacked(value: bytes | None) -> None:
    assert unpacked(packed(value)) == value


def test_kcat_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    line = (
        '{"topic":"t","partition":0,"offset":5,"tstype":"create","ts":12,"broker":1,"headers":["a","b"],'
        '"key":"k","payload":"{\\"a\\": 1}"}\n\n'
        '{"topic":"t","partition":0,"offset":6,"ts":13,"key":"k","payload":null}\n'
    )
    path.write_text(line, "utf-8")
    assert list(read_captures([path])) == [
        Message("t", 0, 5, 12, b"k", b'{"a": 1}', (("a", b"b"),)),
        Message("t", 0, 6, 13, b"k", None),
    ]


def test_record_times_merge_partitions_and_offsets_order_them(tmp_path: Path) -> None:
    # Partition 1 has a record (offset 1) whose own time is older than the one before: it must not overtake it.
    messages = [
        message("t", 0, 0, 100),
        message("t", 0, 1, 300),
        message("t", 1, 0, 200),
        message("t", 1, 1, 50),
        message("t", 1, 2, 400),
    ]
    random.Random(5).shuffle(messages)
    _, order = prepared(messages, tmp_path)
    assert order == [("t", 0, 0), ("t", 1, 0), ("t", 1, 1), ("t", 0, 1), ("t", 1, 2)]


def test_the_inventory_is_kept_apart_and_a_record_is_kept_once(tmp_path: Path) -> None:
    messages = [message("t", 0, 0, 5), message("inventory", 0, 0, 30), message("t", 0, 0, 5), message("t", 0, 1, 9)]
    found, order = prepared(messages, tmp_path)
    assert order == [("t", 0, 0), ("t", 0, 1)]
    assert (found.messages, found.topics, found.heard.read_text()) == (3, {"t": 2, "inventory": 1}, "9")


@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
def test_spilling_gives_the_same_order(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    rng = random.Random(seed)
    messages = [message("t", n % 3, n // 3, rng.randrange(1000)) for n in range(count)]
    rng.shuffle(messages)
    folder = tmp_path_factory.mktemp("sort")
    _, in_memory = prepared(messages, folder)
    _, spilled = prepared(messages, folder, sort_bytes=1_700)
    assert spilled == in_memory


@given(seed=st.integers(0, 10_000), count=st.integers(1, 60), room=st.sampled_from([3_000, 8_000, 1 << 20]))
def test_once_through_or_twice_the_order_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, room: int
) -> None:
    """Lines out of place by as much as fits are sorted while they are read; shuffled offsets need a second reading."""
    rng = random.Random(seed)
    messages = [message("tu"[n % 2], n % 3, n // 6, 10 * n + rng.randrange(30)) for n in range(count)]
    arrived = sorted(messages, key=lambda m: (m.offset + rng.random() * 0.9, m.partition))
    folder = tmp_path_factory.mktemp("sort")
    _, once = prepared(arrived, folder, sort_bytes=room)
    rng.shuffle(messages)
    _, twice = prepared(messages, folder, sort_bytes=1 << 20)
    assert once == twice


def test_a_capture_nearly_in_order_is_read_once(tmp_path: Path) -> None:
    messages = [message("t", n % 2, n // 2, 10 * n - 25 * (n % 2)) for n in range(50_000)]
    told: list[Prepared] = []
    write_captures(tmp_path / "c.jsonl", messages)
    found = prepare([tmp_path / "c.jsonl"], tmp_path, lambda topic: False, told.append, sort_bytes=400_000)
    assert [part.messages for part in told] == [10_000, 20_000, 30_000, 40_000, 50_000]
    assert told[-1] == found
    assert found.heard.read_text() == str(messages[-2].timestamp_ms)
    prepare([tmp_path / "c.jsonl"] * 2, tmp_path, lambda topic: False, told.append, sort_bytes=400_000)
    assert len(told) > 10


def test_a_row_has_the_greatest_record_time_before_it(tmp_path: Path) -> None:
    messages = [message("t", 0, 0, 5), message("u", 0, 0, 9), message("t", 0, 1, 7), message("inventory", 0, 0, 99)]
    found, order = prepared([*messages, message("u", 0, 1, 11)], tmp_path)
    with found.telemetry.open("rb") as stream:
        rows: list[Any] = list(fastavro.reader(stream))
    assert order == [("t", 0, 0), ("t", 0, 1), ("u", 0, 0), ("u", 0, 1)]
    assert [row["before_ms"] for row in rows] == [None, 5, 7, 9]


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    messages = [message("t", 0, n, 100 - n) for n in range(20)]
    write_captures(tmp_path / "c.jsonl", messages)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "c.jsonl").read_bytes()))
    writer.start()
    found = prepare([tmp_path / "pipe"], tmp_path, lambda topic: False)
    writer.join()
    assert found.messages == 20


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", ["c.jsonl:1", "not a captured message"]),
        ('{"partition":0,"offset":0,"ts":1}', ["c.jsonl:1", "'topic' is missing"]),
        ('{"topic":"t","partition":0,"offset":"0","ts":1}', ["c.jsonl:1", "offset is '0'", "int"]),
        (
            '{"topic":"t","partition":0,"offset":9223372036854775808,"ts":1}',
            ["c.jsonl:1", "offset is 9223372036854775808"],
        ),
        ('{"topic":"t","partition":0,"offset":0,"ts":1,"payload_base64":"*"}', ["c.jsonl:1"]),
        ("[]", ["c.jsonl:1"]),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, words: list[str]) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(AfootError) as error:
        list(read_captures([path]))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_file_that_was_cut_off_is_an_error_and_not_a_shorter_capture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"c.jsonl{ending}"
    rng = random.Random(1)
    write_captures(path, (message("t", 0, n, n, rng.randbytes(200)) for n in range(2000)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AfootError, match=r"cannot be read after line \d+"):
        list(read_captures([path]))


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such capture"):
        list(read_captures([tmp_path / "c.jsonl"]))


def test_an_empty_capture_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text("\n", "utf-8")
    with pytest.raises(UsageError, match="nothing to replay"):
        prepare([tmp_path / "c.jsonl"], tmp_path, lambda topic: False)
