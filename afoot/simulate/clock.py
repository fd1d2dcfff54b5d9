"""When cron starts a command: the wall clock of a time zone, looked at once a minute, as cron itself does."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


def _values(field: str, low: int, high: int) -> frozenset[int]:
    """The numbers that one field of a crontab line allows: `*`, `a`, `a-b`, each with `/step`, and lists of them."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


def run_times(expression: str, timezone: str, start_s: float, end_s: float) -> list[int]:
    """The starts (Unix seconds, on whole minutes) within [start_s, end_s) of a five-field crontab `expression`.

    Deliberately not the code that judges schedules: the truth of a scenario must not come from what it tests.
    """
    minute, hour, day, month, weekday = (
        _values(text, low, high) for text, (_, low, high) in zip(expression.split(), _FIELDS, strict=True)
    )
    zone = ZoneInfo(timezone)
    starts = []
    for at in range(-(-int(start_s) // 60) * 60, int(-(-end_s // 1)), 60):
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
        if (
            local.minute in minute
            and local.hour in hour
            and local.day in day
            and local.month in month
            and not weekday.isdisjoint({local.isoweekday(), local.isoweekday() % 7})
        ):
            starts.append(at)
    return starts
