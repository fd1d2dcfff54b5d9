"""Label sets remembered by what the sender wrote, so that a series seen before costs one look-up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from afoot.telemetry import limits
from afoot.telemetry.rows import Labels
from afoot.telemetry.values import Refused

_OVERHEAD = 200  # bytes of an entry beside its characters, about


class LabelCache:
    """A dict from whatever a decoder takes as a key to Labels; read `known` directly, and add by `add`.

    It forgets everything when what it was given exceeds limits.CACHE_BYTES: a cache only, so memory is bounded
    whatever is sent.
    """

    __slots__ = ("_bytes", "known")

    def __init__(self) -> None:
        self.known: dict[Hashable, Labels] = {}
        self._bytes = 0

    def add(self, key: Hashable, mapping: Mapping[str, str]) -> Labels:
        """The labels of `mapping`, remembered under `key`; Refused if they are too many or too long."""
        labels = bounded(mapping)
        self._bytes += 2 * len(labels.text) + _OVERHEAD  # the key holds the same text, about
        if self._bytes > limits.CACHE_BYTES:
            self.known.clear()
            self._bytes = 0
        self.known[key] = labels
        return labels


def bounded(mapping: Mapping[str, str]) -> Labels:
    """The labels of `mapping`, if they are not too many or too long."""
    if len(mapping) > limits.LABELS:
        raise Refused(f"{len(mapping)} labels; at most {limits.LABELS} a row are allowed")
    size = 0
    for name, value in mapping.items():
        size += len(name) + len(value)
    if size > limits.LABEL_CHARS:
        raise Refused(f"labels of {size} characters; at most {limits.LABEL_CHARS} a row are allowed")
    return Labels.of(mapping)
