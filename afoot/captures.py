"""Captures: recorded Kafka messages in files, one JSON object a line, as `kcat -C -J` prints them.

A line has topic, partition, offset, tstype, ts (ms), key, payload and headers if any; `payload_base64` and
`key_base64` hold bytes that are no text. Files may be plain, .gz or .zst; lines may be in any order.
"""

from __future__ import annotations

import base64
import gzip
import heapq
import marshal
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import zstandard
from fastavro.write import Writer

from afoot.errors import AfootError, UsageError
from afoot.telemetry.rows import Message

SORT_BYTES = 256 * 1024 * 1024  # of messages held in memory while sorting; more spill to disk
# A prepared file's rows, named as Flink names them: it reads bytes from Avro as they are, and from JSON as base64.
# `v` is packed: it is read, dealt out and handed to Python at a tenth of its size, and unpacked where it is decoded.
# `ms` is a record's time, `before_ms` the greatest of the records before it in the file: what these promised decides
# what of a record is late, in any run the same.
PREPARED = {
    "type": "record",
    "name": "org.apache.flink.avro.generated.record",
    "fields": [
        {"name": "k", "type": ["null", "bytes"]},
        {"name": "v", "type": ["null", "bytes"]},
        {"name": "topic", "type": "string"},
        {"name": "partition", "type": "int"},
        {"name": "offset", "type": "long"},
        {"name": "ms", "type": "long"},
        {"name": "before_ms", "type": ["null", "long"]},
    ],
}
PREPARED_BLOCK = 256 * 1024  # bytes that are compressed together
# Six tenths of the time of Zstandard's quickest level; telemetry repeats so much that it does.
_PACKING = pa.Codec("lz4_raw")
_LENGTH_BYTES = 4  # which say how long a packed value was
THOROUGH, QUICK = 10, 3  # levels of Zstandard
_OVERHEAD = 400  # bytes of a message held beside its own, about
_COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_READ = 128 * 1024  # bytes of content at a time


_Row = tuple[int, str, int, int, int, bytes | None, bytes | None]  # place, and what a prepared row has


class Prepared(NamedTuple):
    """A capture made ready for the job: telemetry and inventory, each in the order in which the job reads it."""

    telemetry: Path
    inventory: Path
    heard: Path  # a file with the time of the last record that is telemetry, in ms; 0 if none is
    messages: int
    topics: dict[str, int]  # messages by topic
    payload_bytes: int


def read_captures(files: Sequence[Path], progress: Callable[[int], None] = lambda _: None) -> Iterator[Message]:
    """The messages of `files`, in the order of their lines.

    Raises UsageError for a file that is not there, AfootError naming file and line for one that cannot be read.
    """
    done = 0
    for path in files:
        number = 0
        try:
            with _opened(path) as stream:
                for number, line in enumerate(stream, start=1):
                    if not line.isspace():
                        yield _message(line, path, number)
                        done += 1
                        if done % 10_000 == 0:
                            progress(done)
        except FileNotFoundError as error:
            raise UsageError(
                f"{path}: no such capture; give files that afoot capture, simulate or kcat -C -J wrote"
            ) from error
        except OSError as error:
            raise AfootError(f"{path}: cannot be read after line {number}: {error}; nothing was replayed") from error
    progress(done)


def write_captures(path: Path, messages: Iterable[Message]) -> int:
    """Writes `messages` as a capture; the ending of `path` says how it is compressed. Returns how many."""
    count = 0
    with _created(path) as stream:
        for message in messages:
            stream.write(_line(message) + b"\n")
            count += 1
    return count


class CaptureFile:
    """A capture that grows message by message; the ending of `path` says how it is compressed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._stream = self._stack.enter_context(_created(path, QUICK))

    def write(self, message: Message) -> None:
        """Append a message."""
        self._stream.write(_line(message) + b"\n")

    def close(self) -> None:
        """Have all of it in the file; a second time does nothing."""
        self._stack.close()


def prepare(
    files: Sequence[Path],
    folder: Path,
    is_inventory: Callable[[str], bool],
    progress: Callable[[Prepared], None] = lambda _: None,
    sort_bytes: int = SORT_BYTES,
) -> Prepared:
    """Sorts captures into `folder` in bounded memory: offsets order a partition, record times merge partitions.

    A message that several files hold (same topic, partition and offset) is kept once. Files that are nearly in order
    are read once; others first for the places of their messages in that order, then for what these hold. `progress` is
    told what is there so far, each 10,000 messages.
    """
    files = [_spooled(path, folder / f"spooled-{n}") if path.is_fifo() else path for n, path in enumerate(files)]
    with ExitStack() as stack:
        try:
            rows = _nearly_in_order(read_captures(files), sort_bytes // 4)
            found = _write(rows, folder, is_inventory, progress)
        except _Disorder:
            places = _places(read_captures(files))
            placed = ((place, m) for place, m in zip(places, read_captures(files), strict=True) if place >= 0)
            found = _write(_in_order(placed, sort_bytes, stack), folder, is_inventory, progress)
    if found.messages == 0:
        raise UsageError(f"{', '.join(map(str, files))}: no messages in this capture; there is nothing to replay")
    return found


def packed(value: bytes | None) -> bytes | None:
    """A message's value as prepared files have it; None for None."""
    if value is None:
        return None
    content: bytes = _PACKING.compress(value, asbytes=True)
    return len(value).to_bytes(_LENGTH_BYTES) + content


def unpacked(value: bytes | None) -> bytes | None:
    """The value that `packed` was given."""
    if value is None:
        return None
    length = int.from_bytes(value[:_LENGTH_BYTES])
    content: bytes = _PACKING.decompress(memoryview(value)[_LENGTH_BYTES:], length, asbytes=True)
    return content


def _write(
    rows: Iterable[_Row], folder: Path, is_inventory: Callable[[str], bool], progress: Callable[[Prepared], None]
) -> Prepared:
    """Rows in their order as the two files of a prepared capture."""
    topics: dict[str, int] = {}
    heard_ms: int | None = None
    payload_bytes = 0
    telemetry, inventory, heard = folder / "telemetry.avro", folder / "inventory.avro", folder / "heard"
    with _prepared_file(telemetry) as data, _prepared_file(inventory) as changes:
        for number, (_, topic, partition, offset, timestamp, key, value) in enumerate(rows, start=1):
            topics[topic] = topics.get(topic, 0) + 1
            payload_bytes += len(value or b"")
            row = {
                "k": key,
                "v": packed(value),
                "topic": topic,
                "partition": partition,
                "offset": offset,
                "ms": timestamp,
            }
            if is_inventory(topic):
                changes.write(row)
            else:
                data.write(row | {"before_ms": heard_ms})
                heard_ms = timestamp if heard_ms is None else max(heard_ms, timestamp)
            if number % 10_000 == 0:
                progress(Prepared(telemetry, inventory, heard, number, dict(topics), payload_bytes))
    heard.write_text(str(heard_ms or 0))
    return Prepared(telemetry, inventory, heard, sum(topics.values()), topics, payload_bytes)


@contextmanager
def _prepared_file(path: Path) -> Iterator[Writer]:
    with path.open("wb") as stream:
        writer = Writer(stream, PREPARED, codec="zstandard", compression_level=1, sync_interval=PREPARED_BLOCK)
        yield writer
        writer.flush()


def _spooled(path: Path, copy: Path) -> Path:
    """A pipe's content as a file, which can be read twice."""
    with path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def _nearly_in_order(messages: Iterable[Message], most_bytes: int) -> Iterator[_Row]:
    """Messages in the order that `_places` gives them, where none is in the wrong place by more than `most_bytes`.

    Raises _Disorder where one is, or where a partition's offsets do not go up.
    """
    newest: dict[tuple[str, int], tuple[int, int]] = {}  # by partition: offset, and greatest record time so far
    waiting: list[tuple[tuple[int, str, int, int], _Row]] = []
    waiting_bytes = 0
    left = (-1 << 63, "", 0, 0)
    for m in messages:
        offset, seen_ms = newest.get(m[:2], (-1 << 63, m.timestamp_ms))
        seen_ms = max(seen_ms, m.timestamp_ms)
        place = (seen_ms, m.topic, m.partition, m.offset)
        if m.offset <= offset or place < left:
            raise _Disorder
        newest[m[:2]] = (m.offset, seen_ms)
        row = (0, m.topic, m.partition, m.offset, m.timestamp_ms, m.key, m.value)
        heapq.heappush(waiting, (place, row))
        waiting_bytes += _size(row)
        while waiting_bytes > most_bytes:
            left, row = heapq.heappop(waiting)
            waiting_bytes -= _size(row)
            yield row
    while waiting:
        yield heapq.heappop(waiting)[1]


class _Disorder(Exception):
    """Messages are further from their places than is worth waiting for."""


def _places(messages: Iterable[Message]) -> array[int]:
    """The place of each message in the order in which the job reads them; -1 for one that came before.

    Within a partition that is the order of offsets. Partitions are merged by the greatest record time so far.
    """
    names: dict[str, int] = {}
    columns = [array("q") for _ in range(4)]
    for m in messages:
        for column, number in zip(
            columns, (names.setdefault(m.topic, len(names)), m.partition, m.offset, m.timestamp_ms), strict=True
        ):
            column.append(number)
    if not names:
        return array("q")
    topic, partition, offset, time_ms = (np.frombuffer(column, np.int64) for column in columns)
    rank = np.empty(len(names), np.int64)
    rank[[names[name] for name in sorted(names)]] = np.arange(len(names))
    topic = rank[topic]
    order = np.lexsort((time_ms, offset, partition, topic))
    sorted_columns = np.stack([column[order] for column in (topic, partition, offset)])
    other = np.append(True, (sorted_columns[:, 1:] != sorted_columns[:, :-1]).any(axis=0))
    begins = np.append(True, (sorted_columns[:2, 1:] != sorted_columns[:2, :-1]).any(axis=0))
    kept = order[other]
    seen_ms = np.concatenate(
        [np.maximum.accumulate(part) for part in np.split(time_ms[kept], np.flatnonzero(begins[other])[1:])]
    )
    by_time = np.lexsort((offset[kept], partition[kept], topic[kept], seen_ms))
    places = np.full(len(order), -1, np.int64)
    places[kept[by_time]] = np.arange(len(kept))
    return array("q", places.tobytes())


def _in_order(placed: Iterable[tuple[int, Message]], most_bytes: int, spills: ExitStack) -> Iterator[_Row]:
    """Messages by their places 0, 1, ...: most come nearly in order, so that few wait; too many are sorted."""
    rows = ((place, m.topic, m.partition, m.offset, m.timestamp_ms, m.key, m.value) for place, m in placed)
    waiting: dict[int, Any] = {}
    waiting_bytes = turn = 0
    for row in rows:
        waiting[row[0]] = row
        waiting_bytes += _size(row)
        while turn in waiting:
            waiting_bytes -= _size(waiting[turn])
            yield waiting.pop(turn)
            turn += 1
        if waiting_bytes > most_bytes:
            break
    yield from external_sort(chain(waiting.values(), rows), most_bytes, spills, key=1)


def _size(row: tuple[Any, ...]) -> int:
    return len(row[-2] or b"") + len(row[-1] or b"") + _OVERHEAD


def external_sort(
    rows: Iterable[tuple[Any, ...]], most_bytes: int, spills: ExitStack, key: int
) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of their first `key` fields; more than `most_bytes` go to unnamed temporary files in runs.

    The last two fields of a row are bytes or None.
    """

    def order(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return row[:key]

    runs: list[IO[bytes]] = []
    held: list[tuple[Any, ...]] = []
    held_bytes = 0
    for row in rows:
        held.append(row)
        held_bytes += _size(row)
        if held_bytes >= most_bytes:
            held.sort(key=order)
            runs.append(_spilled(held, spills))
            held, held_bytes = [], 0
    held.sort(key=order)
    if not runs:
        return iter(held)
    return heapq.merge(*(_unspilled(run) for run in runs), held, key=order)


def _spilled(rows: Iterable[tuple[Any, ...]], spills: ExitStack) -> IO[bytes]:
    run = spills.enter_context(tempfile.TemporaryFile(prefix="afoot-sort-"))  # noqa: SIM115 - the stack closes it
    for row in rows:
        marshal.dump(row, run)
    run.seek(0)
    return run


def _unspilled(run: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    while True:
        try:
            yield marshal.load(run)
        except EOFError:
            return


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    # Arrow's reader says when a file was cut off; the one of zstandard does not.
    with (
        pa.input_stream(path, compression=_COMPRESSED.get(path.suffix)) as content,
        BufferedReader(content, _READ) as lines,
    ):
        yield lines


@contextmanager
def _created(path: Path, level: int = THOROUGH) -> Iterator[Any]:
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("wb"))
        if path.suffix == ".gz":
            yield stack.enter_context(gzip.GzipFile(fileobj=raw, mode="wb", mtime=0))
        elif path.suffix == ".zst":
            yield stack.enter_context(zstandard.ZstdCompressor(level=level).stream_writer(raw, closefd=False))
        else:
            yield raw


def _message(line: bytes, path: Path, number: int) -> Message:
    where = f"{path}:{number}"
    try:
        record = orjson.loads(line)
        headers = record.get("headers") or []
        return Message(
            topic=_typed(record["topic"], str, where, "topic"),
            partition=_typed(record["partition"], int, where, "partition", bits=32),
            offset=_typed(record["offset"], int, where, "offset"),
            timestamp_ms=_typed(record["ts"], int, where, "ts"),
            key=_bytes(record, "key"),
            value=_bytes(record, "payload"),
            headers=tuple((str(n), str(v).encode()) for n, v in zip(headers[::2], headers[1::2], strict=False)),
        )
    except (orjson.JSONDecodeError, ValueError, AttributeError) as error:
        raise AfootError(
            f"{where}: not a captured message: {error}; a line is one JSON object, as kcat -C -J prints"
        ) from error
    except KeyError as error:
        raise AfootError(
            f"{where}: not a captured message: {error} is missing; needed are topic, partition, offset, ts"
        ) from error


def _typed(value: Any, kind: type, where: str, name: str, bits: int = 64) -> Any:
    beyond = isinstance(value, int) and value.bit_length() >= bits
    if not isinstance(value, kind) or isinstance(value, bool) or beyond:
        raise AfootError(f"{where}: not a captured message: {name} is {value!r}, allowed is {kind.__name__}")
    return value


def _bytes(record: dict[str, Any], name: str) -> bytes | None:
    if record.get(f"{name}_base64") is not None:
        return base64.b64decode(record[f"{name}_base64"], validate=True)
    value = record.get(name)
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def _line(message: Message) -> bytes:
    record: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "tstype": "create",
        "ts": message.timestamp_ms,
    }
    if message.headers:
        record["headers"] = [
            text for n, v in message.headers for text in (n, "" if v is None else v.decode("utf-8", "replace"))
        ]
    for name, data in (("key", message.key), ("payload", message.value)):
        if data is None:
            record[name] = None
        else:
            try:
                record[name] = data.decode()
            except UnicodeDecodeError:
                record[f"{name}_base64"] = base64.b64encode(data).decode()
    return orjson.dumps(record)
