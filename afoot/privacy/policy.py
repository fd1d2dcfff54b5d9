"""The [privacy] table as data."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field

ADDRESSES = ("hash", "truncate", "keep")
DEAD_LETTERS = ("drop", "encrypt")
SHIPPED = ("token", "mail", "card")  # in the order in which they are looked for
RESERVED = (*SHIPPED, "addr", "hash", "series", "flow")  # what pseudonyms of other origin are called
KEY_CHARS = 16  # a shorter key could be guessed


@dataclass(frozen=True)
class Policy:
    """What is redacted, and how. The keys are secrets."""

    key: str = field(repr=False)
    addresses: str = "hash"
    ipv4_bits: int = 24  # that truncation keeps
    ipv6_bits: int = 48
    scrub: tuple[str, ...] = SHIPPED
    patterns: tuple[tuple[str, str], ...] = ()  # name and regular expression of one's own
    drop_labels: tuple[str, ...] = ()  # names, * for any characters
    hash_labels: tuple[str, ...] = ()
    dead_letters: str = "drop"
    dead_letters_key: str | None = field(default=None, repr=False)


def is_encryption_key(text: str) -> bool:
    """Whether a text is base64, either alphabet, of 32 bytes."""
    try:
        return len(b64decode(text.replace("-", "+").replace("_", "/"), validate=True)) == 32
    except ValueError:
        return False
