"""Dead letters' bytes: encrypted so that the key opens them, or gone."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet

from afoot.privacy.policy import Policy
from afoot.privacy.seal import Sealer

KEYS = ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", base64.b64encode(b"\xff" * 32).decode())  # both alphabets


def test_the_key_opens_what_was_sealed() -> None:
    for key in KEYS:
        sealed = Sealer(Policy("k" * 16, dead_letters="encrypt", dead_letters_key=key)).seal(b"\x00\xffbytes")
        assert sealed is not None
        assert b"bytes" not in sealed
        assert Fernet(key).decrypt(sealed) == b"\x00\xffbytes"


def test_no_bytes_stay_no_bytes() -> None:
    sealer = Sealer(Policy("k" * 16, dead_letters="encrypt", dead_letters_key=KEYS[0]))
    assert sealer.seal(None) is None
    sealed = sealer.seal(b"")
    assert sealed is not None
    assert Fernet(KEYS[0]).decrypt(sealed) == b""


def test_what_is_dropped_is_nothing() -> None:
    assert Sealer(Policy("k" * 16)).seal(b"bytes") is None
