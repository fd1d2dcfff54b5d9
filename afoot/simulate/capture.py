"""Records on their way to Kafka, and captures: what `kcat -C -J` prints, one line a message."""

from __future__ import annotations

import base64
import gzip
import heapq
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import orjson
import zstandard

from afoot.telemetry.rows import Message

LEVEL = 10  # of zstd: small, and still faster than the rendering of the messages


@dataclass
class Record:
    """A message before it has an offset. Times in ms: its oldest and newest event, and when its producer sends it."""

    topic: str
    partition: int
    oldest_ms: int
    newest_ms: int
    sent_ms: int
    key: bytes | None
    value: bytes | None


def arrive(records: Iterable[Record], rng: np.random.Generator) -> Iterator[Message]:
    """The messages as brokers number them: by time of sending, each partition from an offset of its own.

    `records` come in order of their oldest events, and none is sent before that.
    """
    offsets: dict[tuple[str, int], int] = {}
    waiting: list[tuple[int, int, Record]] = []

    def numbered(record: Record) -> Message:
        place = (record.topic, record.partition)
        offsets[place] = offsets[place] + 1 if place in offsets else int(rng.integers(0, 5_000_000))
        return Message(*place, offsets[place], record.sent_ms, record.key, record.value)

    for number, record in enumerate(records):
        while waiting and waiting[0][0] < record.oldest_ms:
            yield numbered(heapq.heappop(waiting)[2])
        heapq.heappush(waiting, (record.sent_ms, number, record))
    while waiting:
        yield numbered(heapq.heappop(waiting)[2])


def line(message: Message) -> bytes:
    """One line of a capture, its newline included. Bytes that are no text travel as base64."""
    found: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "tstype": "create",
        "ts": message.timestamp_ms,
        "broker": 1,
    }
    if message.headers:
        found["headers"] = [text for name, value in message.headers for text in (name, _text(value))]
    for name, value in (("key", message.key), ("payload", message.value)):
        text = _text(value)
        if value is not None and text is None:
            found[f"{name}_base64"] = base64.b64encode(value).decode()
        else:
            found[name] = text
    return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def write(messages: Iterable[Message], path: Path) -> None:
    """Writes a capture: zstd, gzip or plain, by the end of its name. The same messages give the same bytes."""
    with path.open("wb") as file:
        if path.suffix == ".zst":
            with zstandard.ZstdCompressor(level=LEVEL).stream_writer(file, closefd=False) as packed:
                for message in messages:
                    packed.write(line(message))
        elif path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed_gzip:
                for message in messages:
                    packed_gzip.write(line(message))
        else:
            file.writelines(line(message) for message in messages)


def read(path: Path) -> Iterator[Message]:
    """The messages of a capture that `write` wrote."""
    with path.open("rb") as file:
        plain: BinaryIO = file
        if path.suffix == ".zst":
            plain = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
        elif path.suffix == ".gz":
            plain = cast(BinaryIO, gzip.GzipFile(fileobj=file))
        for text in plain:
            yield _message(orjson.loads(text))


def _message(found: dict[str, Any]) -> Message:
    headers = found.get("headers", [])
    pairs = tuple(
        (name, None if value is None else value.encode())
        for name, value in zip(headers[::2], headers[1::2], strict=True)
    )
    key, value = _bytes(found, "key"), _bytes(found, "payload")
    return Message(found["topic"], found["partition"], found["offset"], found["ts"], key, value, pairs)


def _bytes(found: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in found:
        return base64.b64decode(found[f"{name}_base64"])
    text = found[name]
    return None if text is None else str(text).encode()
