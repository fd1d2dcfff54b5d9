"""What a decoder gathers from one message: rows, and reasons for what it had to refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.payload import shown
from afoot.telemetry.rows import Decoded, Row
from afoot.telemetry.values import Malformed, Refused

# What reading a field of a wrong kind raises, beside Refused: a missing key, no text, no object.
UNREADABLE = (Refused, LookupError, TypeError, AttributeError)
_MORE = f"refused after {limits.REASONS} others of its message"  # one text, so that the books add them up


class Collected:
    """Rows and refusals of one message in the making; append to `rows` directly."""

    __slots__ = ("_format", "_usable", "refused", "rows")

    def __init__(self, format_name: str) -> None:
        self.rows: list[Row] = []
        self.refused: list[str] = []
        self._format = format_name
        self._usable = False

    def refuse(self, where: str, error: Exception, item: object = None) -> None:
        """Note why something at `where` was not read: one of UNREADABLE, raised while reading `item`."""
        if len(self.refused) >= limits.REASONS:
            self._usable = self._usable or type(error) is Refused
            self.refused.append(_MORE)
            self.check()
            return
        if isinstance(error, Refused):
            reason = str(error)
            self._usable = self._usable or not isinstance(error, Malformed)
        elif not isinstance(item, dict):
            reason = f"found {shown(item)}; an object is expected"
        elif isinstance(error, KeyError):
            reason = f"{error.args[0]} is missing"
        else:
            reason = f"a field is of the wrong kind: {error}"
        self.refused.append(f"{where}: {reason}"[: limits.REASON_CHARS])
        self.check()

    def check(self, more: int = 0) -> None:
        """DecodeError if the message holds more rows than are read, with `more` to come."""
        count = len(self.rows) + len(self.refused) + more
        if count > limits.ROWS:
            raise DecodeError(f"{self._format}: {count} rows or more; at most {limits.ROWS} a message are read")

    def decoded(self) -> Decoded:
        """The result; DecodeError where nothing in the message is of the format: it is then kept as a dead letter."""
        if self.refused and not self.rows and not self._usable:
            more = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            raise DecodeError(f"{self._format}: {self.refused[0]}{more}")
        return Decoded(self.rows, self.refused)


def each(items: Sequence[Any], format_name: str, what: str, read: Callable[[dict[str, Any]], Row | None]) -> Decoded:
    """One row at most of each item of a message; `read` returns None for an item that says nothing."""
    collected = Collected(format_name)
    collected.check(len(items))
    for index, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise Malformed(f"found {shown(item)}; an object is expected")
            row = read(item)
            if row is not None:
                collected.rows.append(row)
        except UNREADABLE as error:
            collected.refuse(f"{what} {index}", error, item)
    return collected.decoded()
