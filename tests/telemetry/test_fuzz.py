"""Some thousands of the fuzzer's messages, and that it tells what goes wrong; `python -m benchmarks.fuzz` has more."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from afoot.errors import DecodeError
from afoot.telemetry import formats
from afoot.telemetry.rows import Decoded, Message
from benchmarks import fuzz


def test_mutated_messages_end_as_rows_or_reasons() -> None:
    tallies = fuzz.run(12_000, seed=1, samples=None, with_bombs=False)
    assert [failure for tally in tallies for failure in tally.failures] == []
    assert sum(tally.messages for tally in tallies) == 12_000
    assert [tally.case for tally in tallies if not tally.rows or not tally.dead] == []


def test_every_format_and_kind_is_fuzzed() -> None:
    cases = fuzz.cases(None)
    assert {(case.format, case.kind) for case in cases} == {
        (name, kind) for name in formats.names() for kind in formats.kinds(name)
    }
    assert [case.name for case in cases if not case.seeds] == []


def test_a_decoder_that_remembers_too_much_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("vector")

    def make(kind: str, options: dict[str, str]) -> formats.Decoder:
        seen: list[str] = []

        def decode(message: Message) -> Decoded:
            seen.append("again")
            return Decoded([], list(seen))

        return decode

    monkeypatch.setattr(broken, "KINDS", ("logs",), raising=False)
    monkeypatch.setattr(broken, "make", make, raising=False)
    found = formats._module
    monkeypatch.setattr(formats, "_module", lambda name: broken if name == "vector" else found(name))
    (tally,) = fuzz.run(fuzz.AFRESH + 1, only=["vector"], samples=None, with_bombs=False)
    assert (
        "has 0 rows and 9 refused; read by a decoder that met nothing before, 0 rows and 1 refused"
        in tally.failures[-1]
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (KeyError("x"), "KeyError: 'x' at test_fuzz.py"),
        (RecursionError("deep"), "RecursionError: deep"),
        (DecodeError("no name"), "has the reason 'no name'"),
        (DecodeError("vector: two\nlines"), "has the reason 'vector: two\\nlines'"),
        (DecodeError("vector: " + "x" * 5_000), "has the reason 'vector: xxx"),
        (Decoded([], ["\x1b[31m"]), "has the reason '\\x1b[31m'"),
        (fuzz.Stuck(), "did not end"),
    ],
)
def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, outcome: Any, told: str) -> None:
    def decode(message: Message) -> Decoded:
        if isinstance(outcome, BaseException):
            raise outcome
        found: Decoded = outcome
        return found

    broken = ModuleType("vector")
    monkeypatch.setattr(broken, "KINDS", ("logs",), raising=False)
    monkeypatch.setattr(broken, "decode", decode, raising=False)
    found = formats._module
    monkeypatch.setattr(formats, "_module", lambda name: broken if name == "vector" else found(name))
    (tally,) = fuzz.run(20, only=["vector"], samples=None, with_bombs=False)
    assert len(tally.failures) == 20
    assert told in tally.failures[0]


def test_bombs_are_what_they_are_called() -> None:
    made = fuzz.bombs()
    assert len(made["100 MB"]()) > 100_000_000
    assert made["a million labels"]().count(b'":"v"') == 1_000_000
    assert made["nested messages with lengths"]().startswith(b"\x0a")
