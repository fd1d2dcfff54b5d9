"""One value at a time: numbers, times and label text, read exactly or refused with what was found."""

from __future__ import annotations

import datetime
import functools
import math
import re
from typing import Any

import orjson

from afoot.telemetry import limits
from afoot.telemetry.payload import shown

MAX_NS = 2**63 - 1
_MAX_INT64_DIGITS = 20
_SAFE_FLOAT_INT = 2**53
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_DECIMAL = re.compile(r"(\d{1,19})(?:\.(\d{1,9})\d{0,9})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Refused(ValueError):
    """One row that cannot be taken, such as a value of NaN or a missing time; its text is the reason in the books."""


class Malformed(Refused):
    """One row that is not as its format has rows: a field is missing or of another kind."""


def number(value: object, what: str = "value") -> float:
    """A finite number, sent as a number or as its decimal text."""
    if type(value) is float:
        result = value
    elif type(value) is int:
        try:
            result = float(value)
        except OverflowError:
            raise Refused(f"{what} is {shown(value)}, more than a double holds") from None
    elif type(value) is str:
        if len(value) > 400 or not _NUMBER.fullmatch(value):
            if value.strip("+-").lower() in ("nan", "inf", "infinity"):
                raise Refused(f"{what} is {shown(value)}; finite numbers only")
            raise Malformed(f"{what} is {shown(value)}, not a number")
        result = float(value)
    else:
        raise Malformed(f"{what} is {shown(value)}, not a number")
    if not math.isfinite(result):
        raise Refused(f"{what} is {result}; finite numbers only")
    return result


def integer(value: object, what: str) -> int:
    """An integer, sent as a number or its decimal text; a float counts where it holds a whole number exactly."""
    if type(value) is int:
        return value
    if type(value) is str and 0 < len(value) <= _MAX_INT64_DIGITS and value.isascii() and value.lstrip("-").isdigit():
        try:
            return int(value)
        except ValueError:
            pass
    if type(value) is float and value.is_integer() and abs(value) <= _SAFE_FLOAT_INT:
        return int(value)
    raise Malformed(f"{what} is {shown(value)}, not an integer")


def count(value: object, what: str) -> int:
    """An integer from 0 to 2^64 - 1."""
    found = integer(value, what)
    if not 0 <= found < 2**64:
        raise Refused(f"{what} is {shown(found)}; 0 to 2^64-1 is allowed")
    return found


def epoch_ns(value: object, per_second: int, what: str = "time") -> int:
    """An epoch time in units of which a second has `per_second`, as nanoseconds; floats are read to the microsecond.

    A double of the present holds a quarter of a microsecond, so the digits after that are not the sender's.
    """
    if type(value) is int:
        result = value * (1_000_000_000 // per_second)
    elif type(value) is float:
        if not math.isfinite(value) or abs(value) > 1e20:
            raise Refused(f"{what} is {value}; an epoch time is expected")
        if per_second <= 1_000_000:
            result = round(value * (1_000_000 // per_second)) * 1_000
        else:
            result = int(value) * (1_000_000_000 // per_second)
    elif type(value) is str and (match := _DECIMAL.fullmatch(value)):
        whole, fraction = match.groups()
        result = int(whole) * (1_000_000_000 // per_second)
        if fraction:
            result += int(fraction.ljust(9, "0")) // per_second
    else:
        raise Malformed(f"{what} is {shown(value)}; an epoch time is expected")
    return checked_ns(result, what)


def checked_ns(value: int, what: str = "time") -> int:
    """`value` itself if it is a time after 1970 that 63 bits hold; 0 stands for a missing time and is refused."""
    if 0 < value <= MAX_NS:
        return value
    if value == 0:
        raise Refused(f"{what} is missing (0)")
    raise Refused(f"{what} is {shown(value)} ns; 1 to 2^63-1 is allowed")


def rfc3339_ns(value: object, what: str = "time", zone: str | None = None) -> int:
    """An RFC 3339 time as nanoseconds, exact to nine digits; without an offset it is read in `zone` or refused."""
    if type(value) is not str:
        raise _no_time(value, what)
    return _rfc3339_ns(value, what, zone)


@functools.lru_cache(maxsize=256)  # the points of a scrape share their time
def _rfc3339_ns(value: str, what: str, zone: str | None) -> int:
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise _no_time(value, what)
    day, hour, minute, second, fraction, offset = match.groups()
    offset = offset or zone
    if offset is None:
        raise Refused(f"{what} is {shown(value)} without a time zone; Z or an offset such as +02:00 is expected")
    try:
        seconds = _day_seconds(day)
    except ValueError:
        raise Refused(f"{what} is {shown(value)}, a day that no calendar has") from None
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise Refused(f"{what} is {shown(value)}, an hour that no clock shows")
    seconds += int(hour) * 3600 + int(minute) * 60 + int(second) - _offset_seconds(offset)
    return checked_ns(seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0")), what)


def _no_time(value: object, what: str) -> Malformed:
    return Malformed(f"{what} is {shown(value)}; a time like 2026-01-31T23:59:59.123456789Z is expected")


def label(value: Any) -> str:
    """A label's value as text: booleans as true and false, nothing as "", lists and objects as JSON."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return ""
    if type(value) is int:
        if value.bit_length() > 64:
            raise Refused(f"a label's value is {shown(value)}; 64 bits are allowed")
        return str(value)
    if type(value) is float:
        return repr(value)
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        raise Refused("a label's value is nested too deeply to be written as text") from None


def name(value: object, what: str = "name") -> str:
    """A metric's name: text that is not empty and not over the limit."""
    if type(value) is not str or not value:
        raise Malformed(f"{what} is {shown(value)}; text is expected")
    if len(value) > limits.NAME_CHARS:
        raise Refused(f"{what} has {len(value)} characters; at most {limits.NAME_CHARS} are allowed")
    return value


def short(value: Any, what: str) -> str:
    """What is no label but as short as one, as text."""
    text = label(value)
    if len(text) > limits.NAME_CHARS:
        raise Refused(f"{what} has {len(text)} characters; at most {limits.NAME_CHARS} are allowed")
    return text


def body(value: str) -> str:
    """A log's body, if it is not over the limit."""
    if len(value) > limits.BODY_CHARS:
        raise Refused(f"the body has {len(value)} characters; at most {limits.BODY_CHARS} are allowed")
    return value


@functools.lru_cache(maxsize=1024)
def _day_seconds(day: str) -> int:
    return (datetime.date.fromisoformat(day).toordinal() - _EPOCH_DAY) * 86_400


@functools.lru_cache(maxsize=256)
def _offset_seconds(offset: str) -> int:
    if offset in ("Z", "z", "UTC"):
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if offset[0] == "-" else seconds
