"""What of a connector's configuration may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "(hidden)"
_SECRET = re.compile(r"password|passwd|passphrase|secret|token|credential|jaas|private|api[._-]?key", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{[^{}]+\}")  # to a value that a config provider of the worker has


class Secrets:
    """Hides the values of secret keys, wherever they stand. References to secrets are none."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]], *configs: Mapping[str, str] | None) -> None:
        self._keys = {d["definition"]["name"] for d in definitions if d["definition"].get("type") == "PASSWORD"}
        found = {
            part
            for config in configs
            for key, value in (config or {}).items()
            if self.is_secret(key)
            for part in (value, *_REFERENCE.split(value))
            if part and not _REFERENCE.fullmatch(part)
        }
        self._values = sorted(found, key=len, reverse=True)

    def is_secret(self, key: str) -> bool:
        """Whether a key's value is a secret: its plugin says so, or its name does."""
        return key in self._keys or bool(_SECRET.search(key))

    def value(self, key: str, value: str) -> str:
        """A value as it may be shown."""
        if self.is_secret(key) and not _REFERENCE.fullmatch(value):
            return HIDDEN
        return self.text(value)

    def text(self, text: str) -> str:
        """A text of Connect's, without the secrets that it may repeat."""
        for value in self._values:
            if len(value) > 3 or text == value:
                text = text.replace(value, HIDDEN)
        return text
