"""Durations and times as people write them: "30 s", "1 min", "2 h", "500 ms", "2 d"; 2026-05-09T01:30Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from afoot.errors import UsageError

_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_PATTERN = re.compile(r"\s*(\d+)\s*([a-z]+)\s*")


def parse_duration_ms(text: object, where: str) -> int:
    """Milliseconds of `text`; raises UsageError that names `where` and what is allowed."""
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS_MS:
        raise UsageError(f'{where}: {text!r} is no duration; write a whole number and ms, s, min, h or d, e.g. "30 s"')
    return int(match[1]) * _UNITS_MS[match[2]]


def parse_moment_ms(text: str) -> int | None:
    """Epoch ms of an ISO 8601 time (UTC where it names no offset) or of a number of ms; None of anything else."""
    if text.isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
