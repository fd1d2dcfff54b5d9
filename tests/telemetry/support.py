"""What the tests of formats share: samples of real senders, messages, and decoding by a format's name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from afoot.errors import DecodeError
from afoot.telemetry import formats
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint

SAMPLES = Path(__file__).parents[3] / "shared" / "wire-samples"
steady = settings(deadline=None)  # for properties: the machine may be busy
RECORD_MS = 1_795_231_000_000  # the record's own time of messages made here: 2026-11-21T03:16:40Z


def sample(name: str) -> bytes:
    """A sample's bytes; the test is skipped where the samples are absent, and fails where CI is set."""
    path = SAMPLES / name
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{path} is absent")
    return path.read_bytes()


def sample_lines(name: str) -> list[bytes]:
    """The lines of a sample that hold a message each."""
    return [line for line in sample(name).splitlines() if line.strip()]


def message(value: bytes | None, key: bytes | None = None, topic: str = "topic") -> Message:
    """A message of those bytes."""
    return Message(topic, 0, 7, RECORD_MS, key, value)


def decode(format_name: str, value: bytes | None, kind: str | None = None, **options: str) -> Decoded:
    """What a fresh decoder makes of one message."""
    return formats.decoder(format_name, kind, options)(message(value))


def rows(format_name: str, value: bytes | None, kind: str | None = None, **options: str) -> list[Any]:
    """The rows of a message in which nothing is refused."""
    decoded = decode(format_name, value, kind, **options)
    assert decoded.refused == []
    return decoded.rows


def dead(format_name: str, value: bytes | None, kind: str | None = None, **options: str) -> str:
    """The reason why a message is unreadable as a whole, which names the format."""
    with pytest.raises(DecodeError) as caught:
        decode(format_name, value, kind, **options)
    assert str(caught.value).startswith(format_name)
    return str(caught.value)


def as_json(document: Any) -> bytes:
    """A document as a sender may write it."""
    return json.dumps(document).encode()


def labels(**names: str) -> Labels:
    """A label set; a double underscore stands for the dot that no Python name has."""
    return Labels.of({name.replace("__", "."): value for name, value in names.items()})


def values(points: list[Any]) -> dict[tuple[str, str], float]:
    """Points as their values by name and labels."""
    assert all(isinstance(point, MetricPoint) for point in points)
    return {(point.name, point.labels.text): point.value for point in points}


class Registry:
    """A registry that knows what a test puts into `schemas`; counts what it is asked."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.asked: list[str] = []
        self.authorization: str | None = None
        self.url = ""


def framed(number: int, value: bytes) -> bytes:
    """A message with a schema registry's header."""
    return b"\x00" + number.to_bytes(4, "big") + value
