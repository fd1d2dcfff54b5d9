"""Keyed hashes that stand for values: recognisable, and equal for equal values wherever the key is the same."""

from __future__ import annotations

import hmac
import re
from base64 import b32encode

ADDRESS = "addr"
# 16 characters of base32 in lower case: it has neither 0, 1, 8 nor 9, so nothing takes them for a number.
_HASH_BYTES = 10
_IS_ADDRESS = re.compile(rf"{ADDRESS}-[a-z2-7]{{16}}").fullmatch


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """`kind-` and 80 bits of HMAC-SHA-256 of kind and value."""
    digest = hmac.digest(key, f"{kind}\x00{value}".encode("utf-8", "surrogatepass"), "sha256")
    return f"{kind}-{b32encode(digest[:_HASH_BYTES]).decode().lower()}"


def is_address(text: str) -> bool:
    """Whether a text is the pseudonym of an address, and nothing else."""
    return _IS_ADDRESS(text) is not None
