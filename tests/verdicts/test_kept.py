"""The book of cases in state: of the version that it says, or refused."""

from __future__ import annotations

import hashlib
import pickle
import typing
from dataclasses import fields, is_dataclass

import pytest
import zstandard

from afoot.errors import AfootError
from afoot.verdicts import cases
from afoot.verdicts.cases import CaseBook
from tests.verdicts.world import LATE, World


def layout(kind: typing.Any, known: dict[str, list[str]]) -> dict[str, list[str]]:
    """The fields, in their order, of all classes of ours that a type can hold."""
    for part in typing.get_args(kind):
        layout(part, known)
    if isinstance(kind, type) and kind.__module__.startswith("afoot.") and kind.__qualname__ not in known:
        names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(getattr(kind, "_fields", ()))
        known[kind.__qualname__] = names
        hints = typing.get_type_hints(kind)
        for name in names:
            layout(hints[name], known)
    return known


def test_other_fields_have_another_version() -> None:
    """Fails where a kept class changed: raise VERSION then, and write down what it is of."""
    found = layout(CaseBook, {})
    assert {
        "Case",
        "VictimTrack",
        "Episode",
        "Pressure",
        "TenantIo",
        "BurstTrack",
        "Finding",
        "Reading",
    } <= found.keys()
    digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]
    assert (cases.VERSION, digest) == (4, "2678359c5be6c005")


def test_a_book_is_unpacked_as_it_was() -> None:
    world = World()
    world.until(1)
    world.minutes(3, LATE)
    assert any(track.episode for track in world.book.victims.values())
    assert CaseBook.unpacked(world.book.packed()) == world.book


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(zstandard.compress(pickle.dumps(CaseBook())), id="of before there were versions"),
        pytest.param(b"cases 2\n" + zstandard.compress(pickle.dumps(CaseBook())), id="of an earlier one"),
        pytest.param(b"cases 31\n" + zstandard.compress(pickle.dumps(CaseBook())), id="of a later one"),
    ],
)
def test_a_book_of_another_version_is_refused(packed: bytes) -> None:
    with pytest.raises(AfootError, match="another version's; this one reads version 4: start with --fresh"):
        CaseBook.unpacked(packed)
