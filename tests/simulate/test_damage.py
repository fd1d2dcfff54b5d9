"""Bad input: each kind is what it claims to be, and the good messages beside it are untouched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from afoot.errors import DecodeError
from afoot.simulate.capture import read, write
from afoot.simulate.damage import DAMAGES, HOSTILE_ID, damage
from afoot.telemetry.rows import Message
from tests.simulate.support import DECODERS, Capture


def _fate(message: Message) -> str:
    try:
        decoded = DECODERS[message.topic](message)
    except DecodeError:
        return "dead"
    return "kept" if decoded.rows else "refused"


def test_each_kind_meets_the_fate_that_it_names(harvest: Capture, tmp_path: Path) -> None:
    bad, injected = damage(harvest.messages, seed=3, repeat=2)
    write(bad, tmp_path / "bad.jsonl.gz")
    found = {message[:3]: message for message in read(tmp_path / "bad.jsonl.gz")}
    assert {one.name for one in injected} >= {one.name for one in DAMAGES} | {"a duplicate"}
    for one in injected:
        assert _fate(found[one.topic, one.partition, one.offset]) == one.fate, one.name


def test_nothing_that_was_there_is_changed_or_lost(harvest: Capture) -> None:
    bad, injected = damage(harvest.messages, seed=3)
    places = {(one.topic, one.partition, one.offset) for one in injected}
    kept = [message._replace(offset=0) for message in bad if message[:3] not in places]
    assert kept == [message._replace(offset=0) for message in harvest.messages]
    assert len(bad) == len(harvest.messages) + len(injected)
    assert len({message[:3] for message in bad}) == len(bad)
    assert damage(harvest.messages, seed=3) == (bad, injected)


def test_there_are_as_many_as_were_asked_for(harvest: Capture) -> None:
    _, injected = damage(harvest.messages, seed=3, repeat=5)
    counts = Counter((one.name, one.topic) for one in injected)
    wanted = Counter((one.name, one.topic) for one in DAMAGES)
    assert all(counts[kind] == 5 * number for kind, number in wanted.items())


@pytest.mark.parametrize("part", ['"', "\n", "<script>", "'"])
def test_the_hostile_id_is_hostile(part: str) -> None:
    assert part in HOSTILE_ID
