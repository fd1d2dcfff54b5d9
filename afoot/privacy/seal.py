"""The bytes of dead letters: encrypted (Fernet: AES-128-CBC and HMAC-SHA-256), or nothing, by policy."""

from __future__ import annotations

from cryptography.fernet import Fernet

from afoot.privacy.policy import Policy


class Sealer:
    """Seals the keys and values of messages."""

    def __init__(self, policy: Policy) -> None:
        self._fernet = Fernet(policy.dead_letters_key) if policy.dead_letters_key is not None else None

    def seal(self, value: bytes | None) -> bytes | None:
        """A Fernet token of the bytes; None where there are none or they are dropped."""
        if value is None or self._fernet is None:
            return None
        return self._fernet.encrypt(value)
