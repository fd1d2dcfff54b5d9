"""What comes back of a batch of messages: frames, and the bytes of those that may become dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pandas as pd
import pytest
from cryptography.fernet import Fernet

from afoot.captures import packed
from afoot.config import Config, Topic
from afoot.privacy.policy import Policy
from jobs.findings.decode import DecodeMessages
from jobs.findings.render import SEPARATOR
from tests.jobs.support import gauge

AT_MS = 1_769_000_000_000
TOPIC = Topic("t", None, "metrics", "otlp_json")
SEAL = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
GOOD = gauge("write_lag_seconds", AT_MS, 3.5, job_name="j")

pytestmark = pytest.mark.usefixtures("as_was")


def of_many_refusals() -> bytes:
    """A message of points that are refused, each for a reason of its own, and one that is not."""
    message = orjson.loads(GOOD)
    points = message["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"]
    (good,) = points
    points += [
        {**good, "asDouble": "NaN", "attributes": [{"key": "job_name", "value": {"stringValue": f"j{n}"}}]}
        for n in range(9)
    ]
    return orjson.dumps(message)


def decoded(values: Sequence[bytes | None], config: Config, captured: bool) -> list[tuple[Any, Any, list[list[str]]]]:
    """Key, value, and frames as lists of fields, of messages with these values and the key "key"."""
    function = DecodeMessages(config, captured)
    function.open(None)
    held: Callable[[bytes | None], bytes | None] = packed if captured else lambda value: value
    count = len(values)
    found = function.eval(
        pd.Series([b"key"] * count, dtype=object),
        pd.Series(list(map(held, values)), dtype=object),
        pd.Series(["t"] * count, dtype=object),
        pd.Series([0] * count, dtype="int32"),
        pd.Series(range(count), dtype="int64"),
        pd.Series(pd.to_datetime([AT_MS] * count, unit="ms", utc=True)),
    )
    return [(k, v, [frame.split(SEPARATOR) for frame in frames]) for k, v, frames in found.itertuples(index=False)]


@pytest.mark.parametrize("captured", [False, True])
def test_a_message_comes_back_once_whatever_is_refused_of_it(captured: bool) -> None:
    value = of_many_refusals()
    ((k, v, frames),) = decoded([value], Config((TOPIC,)), captured)
    assert [frame[0] for frame in frames].count("refused") == 9
    assert (k, v) == (b"key", value)
    assert {len(frame) for frame in frames} == {7}
    assert max(len(field) for frame in frames for field in frame) < len(value) / 2


@pytest.mark.parametrize("captured", [False, True])
def test_a_message_that_is_read_does_not_come_back(captured: bool) -> None:
    (good, bad, nothing, none) = decoded([GOOD, b"{", b"", None], Config((TOPIC,)), captured)
    assert good[:2] == (None, None)
    assert [frame[0] for frame in good[2]] == ["samples"]
    assert [found[:2] for found in (bad, nothing, none)] == [(b"key", b"{"), (b"key", b""), (b"key", None)]


@pytest.mark.parametrize("captured", [False, True])
def test_no_bytes_come_back_that_are_to_be_dropped(captured: bool) -> None:
    found = decoded([GOOD, b"{"], Config((TOPIC,), privacy=Policy("k" * 16)), captured)
    assert [parts[:2] for parts in found] == [(None, None)] * 2
    assert [frame[0] for frame in found[1][2]] == ["dead"]


@pytest.mark.parametrize("captured", [False, True])
def test_bytes_come_back_encrypted(captured: bool) -> None:
    policy = Policy("k" * 16, dead_letters="encrypt", dead_letters_key=SEAL)
    good, bad = decoded([GOOD, b"{"], Config((TOPIC,), privacy=policy), captured)
    assert good[:2] == (None, None)
    assert [Fernet(SEAL).decrypt(part) for part in bad[:2]] == [b"key", b"{"]
