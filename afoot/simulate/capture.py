"""Records on their way to Kafka, and captures: what `kcat -C -J` prints, one line a message."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from afoot.telemetry.rows import Message


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


def arrive(records: Iterable[Record], rng: np.random.Generator) -> list[Message]:
    """The messages as brokers number them: by time of sending, each partition from an offset of its own."""
    offsets: dict[tuple[str, int], int] = {}
    messages = []
    for record in sorted(records, key=lambda record: record.sent_ms):
        place = (record.topic, record.partition)
        if place not in offsets:
            offsets[place] = int(rng.integers(0, 5_000_000))
        messages.append(Message(*place, offsets[place], record.sent_ms, record.key, record.value))
        offsets[place] += 1
    return messages


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
    body = b"".join(line(message) for message in messages)
    if path.suffix == ".zst":
        body = zstandard.ZstdCompressor(level=10).compress(body)
    elif path.suffix == ".gz":
        body = gzip.compress(body, compresslevel=6, mtime=0)
    path.write_bytes(body)


def read(path: Path) -> Iterator[Message]:
    """The messages of a capture that `write` wrote."""
    body = path.read_bytes()
    if path.suffix == ".zst":
        body = zstandard.ZstdDecompressor().decompress(body)
    elif path.suffix == ".gz":
        body = gzip.decompress(body)
    for text in body.splitlines():
        found = orjson.loads(text)
        key, value = _bytes(found, "key"), _bytes(found, "payload")
        headers = found.get("headers", [])
        pairs = tuple(
            (name, None if value is None else value.encode())
            for name, value in zip(headers[::2], headers[1::2], strict=True)
        )
        yield Message(found["topic"], found["partition"], found["offset"], found["ts"], key, value, pairs)


def _bytes(found: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in found:
        return base64.b64decode(found[f"{name}_base64"])
    text = found[name]
    return None if text is None else str(text).encode()
