"""How many messages are decoded at a time: a call has a price of its own, and a batch is held in memory as a whole."""

from __future__ import annotations

MESSAGES = 500  # where nothing is known of their sizes
_LEAST, _MOST = 20, 4_000
_BYTES = 8 * 1024 * 1024  # of a batch, about: a tenth of a second's work or two


def fitting(message_bytes: float) -> int:
    """The number of messages for messages of so many bytes on average; of two significant digits at most."""
    count = int(_BYTES / max(message_bytes, 1.0))
    step = 10 if count < 1_000 else 100
    return max(_LEAST, min(_MOST, count // step * step))
