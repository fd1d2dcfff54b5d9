"""Numbers, times and schedules as people say them. Everything is UTC; units are UCUM."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86400, 604800


def number(value: float | None) -> str:
    """Three significant digits, with k, M, G beyond thousands; "no data" for None."""
    if value is None:
        return "no data"
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{_digits(value / (1e3 if suffix == 'k' else limit))} {suffix}"
    return _digits(value)


def quantity(value: float | None, unit: str | None) -> str:
    """A value with its unit: `9.2 ms`, `4.1 k op/s`, `87 %`."""
    if value is None:
        return "no data"
    if unit == "s":
        return duration(value)
    if unit == "ms":
        return duration(value / 1e3)
    if not unit or unit == "1":
        return number(value)
    text = number(value)
    separator = "" if text[-1:].isalpha() else " "
    many = re.sub(r"\{(\w{3,})\}", r"\1s", unit) if value != 1 else unit  # {op}/s is op/s, {record}/s records/s
    name = visible(re.sub(r"[{}]", "", many).replace("By", "B"))
    return f"{text}{separator}{name}" if name.startswith("B") else f"{text} {name}"


def duration(value: float) -> str:
    """A measured duration as the summaries of findings say it: `840 µs`, `9.2 ms`, `118 s`, `3.48 min`."""
    size = abs(value)
    if size and size < 1e-3:
        return f"{_digits(value * 1e6)} µs"
    if size and size < 1:
        return f"{_digits(value * 1e3)} ms"
    if size < 2 * _MINUTE:
        return f"{_digits(value)} s"
    return f"{_digits(value / _MINUTE)} min"


def seconds(value: float) -> str:
    """A period, or a part of one, in whole units: `41 s`, `6 min 52 s`, `3 h 10 min`."""
    size = abs(value)
    if size < 2 * _MINUTE:
        return duration(value)
    whole = round(size)
    sign = "-" if value < 0 else ""
    for big, small, names in ((_DAY, _HOUR, ("d", "h")), (_HOUR, _MINUTE, ("h", "min")), (_MINUTE, 1, ("min", "s"))):
        if whole >= big:
            rest = whole % big // small
            return f"{sign}{whole // big} {names[0]}" + (f" {rest} {names[1]}" if rest else "")
    return f"{sign}{whole} s"


def percent(share: float | None) -> str:
    """A share of 0..1 as a percentage; a dash for None."""
    return "—" if share is None else f"{share * 100:.0f} %"


def day_time(time: datetime) -> str:
    """`2026-11-20 13:40`, of an aware time."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def span(start: datetime, end: datetime) -> str:
    """`2026-11-20 13:40 to 13:58 UTC`, with the second day where it differs."""
    short = start.astimezone(UTC).date() == end.astimezone(UTC).date()
    return (
        f"{day_time(start)} to {end.astimezone(UTC):%H:%M} UTC"
        if short
        else f"{day_time(start)} to {day_time(end)} UTC"
    )


def rhythm(period_s: int | None, phase_s: int | None) -> str:
    """A period and phase as found in data: `hourly at :40`, `daily at 02:00 UTC`, `every 15 minutes`; "" for None."""
    if not period_s or phase_s is None:
        return ""
    at = timedelta(seconds=phase_s)
    clock = (datetime(1970, 1, 1, tzinfo=UTC) + at).strftime("%H:%M")
    if period_s == _HOUR:
        return f"hourly at :{phase_s // _MINUTE:02d}"
    if period_s == _DAY:
        return f"daily at {clock} UTC"
    if period_s == _WEEK:
        return f"{_WEEKDAYS[(3 + at.days) % 7]}s at {clock} UTC"  # the epoch began on a Thursday
    return f"every {_length(period_s)}"


def cron(expression: str | None) -> str:
    """A cron expression as `hourly at :40` where it is one of the usual ones, else the expression itself."""
    if not expression:
        return ""
    fields = expression.split()
    if len(fields) != 5:
        return expression
    minute, hour, day, month, weekday = fields
    if (day, month) != ("*", "*"):
        return expression
    if weekday == "*" and hour == "*":
        if re.fullmatch(r"\d{1,2}", minute):
            return f"hourly at :{int(minute):02d}"
        if step := re.fullmatch(r"\*/(\d+)", minute):
            return f"every {step[1]} minutes"
        return "every minute" if minute == "*" else expression
    if not (re.fullmatch(r"\d{1,2}", minute) and re.fullmatch(r"\d{1,2}", hour)):
        return expression
    clock = f"{int(hour):02d}:{int(minute):02d}"
    if weekday == "*":
        return f"daily at {clock}"
    return f"{_WEEKDAYS[(int(weekday) - 1) % 7]}s at {clock}" if re.fullmatch("[0-7]", weekday) else expression


def certainty(confidence: float | None) -> str:
    """How sure a finding is, as an adverb."""
    if confidence is None:
        return "with unknown confidence"
    for limit, word in ((0.95, "almost certainly"), (0.8, "very likely"), (0.6, "probably")):
        if confidence >= limit:
            return word
    return "possibly"


def spaced(name: str | None) -> str:
    """A name of the catalogue or of a kind as words: `write_lag` to `write lag`."""
    return (name or "").replace("_", " ")


def visible(text: str | None) -> str:
    """`text` on one line, with control and invisible characters shown as escapes: ids may hold anything."""
    return "".join(c if _shown(c) else c.encode("unicode_escape").decode("ascii") for c in text or "")


def _shown(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.2g}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.0f}"


def _length(period_s: int) -> str:
    for size, name in ((_WEEK, "week"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if period_s % size == 0:
            count = period_s // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return seconds(period_s)
