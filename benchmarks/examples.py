"""The messages that the pages of docs/formats show, and the rows that they say these are."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from afoot.errors import DecodeError
from afoot.telemetry import formats
from afoot.telemetry.registry import Entry, Registry

PAGES = Path(__file__).parents[1] / "docs" / "formats"
REGISTRY = "http://registry"


class Example(NamedTuple):
    """A message of a format's page, and the rows that the page says it is, as the format json has them.

    A page whose format has a registry's schemas shows these, by id, and the message's key in bytes.
    """

    name: str
    kind: str
    value: bytes
    rows: bytes
    key: bytes | None
    schemas: dict[int, str]

    @property
    def options(self) -> dict[str, str]:
        """The options without which the format has no decoder."""
        return {"registry": REGISTRY} if self.schemas else {}


def example(name: str) -> Example:
    """The example of a format's page."""
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(json|text|hex) (\w+)\n(.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    (syntax, kind, sent), (_, expected_kind, expected) = blocks
    assert expected_kind == "rows", f"{name}: the second example must be the rows"
    key = re.search(r"^```hex-key\n(.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    schemas = re.findall(r"^```json-schema-(\d+)\n(.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    return Example(
        name,
        kind,
        bytes.fromhex(sent) if syntax == "hex" else sent.encode(),
        expected.encode(),
        bytes.fromhex(key[1]) if key else None,
        {int(number): text for number, text in schemas},
    )


def examples() -> dict[str, Example]:
    """The example of every format, by its name."""
    return {name: example(name) for name in formats.names()}


@contextlib.contextmanager
def registry(more: Mapping[int, str] | None = None) -> Iterator[None]:
    """A registry at REGISTRY that has the schemas of the pages, and more."""
    known = {number: text for page in examples().values() for number, text in page.schemas.items()} | dict(more or {})

    def schema(self: Registry, number: int) -> Entry:
        if number not in known:
            raise DecodeError(f"schema {number} is not in the registry {REGISTRY}")
        return Entry(known[number], {})

    with mock.patch.object(Registry, "schema", schema):
        yield
