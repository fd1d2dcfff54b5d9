"""When cron starts a command, by tables: kinds of fields, zones with odd offsets, days when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from afoot.simulate.clock import run_times


def _runs(expression: str, zone: str, start: str, end: str) -> list[str]:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (start, end))
    times = run_times(expression, zone, first, last)
    return [datetime.fromtimestamp(at, UTC).strftime("%d %H:%M") for at in times]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "end", "expected"),
    [
        ("40 * * * *", "UTC", "2026-05-06T10:00", "2026-05-06T12:40", ["06 10:40", "06 11:40"]),
        ("40 * * * *", "UTC", "2026-05-06T10:40", "2026-05-06T11:40", ["06 10:40"]),
        ("40 * * * *", "UTC", "2026-05-06T10:40:01", "2026-05-06T11:40", []),
        ("40 * * * *", "UTC", "2026-05-06T11:40", "2026-05-06T11:40:01", ["06 11:40"]),
        ("*/30 * * * *", "UTC", "2026-05-06T10:01", "2026-05-06T11:01", ["06 10:30", "06 11:00"]),
        ("5,35 * * * *", "UTC", "2026-05-06T10:00", "2026-05-06T11:00", ["06 10:05", "06 10:35"]),
        ("10 8-10 * * *", "UTC", "2026-05-06T00:00", "2026-05-07T00:00", ["06 08:10", "06 09:10", "06 10:10"]),
        ("0 1-23/11 * * *", "UTC", "2026-05-06T00:00", "2026-05-07T00:00", ["06 01:00", "06 12:00", "06 23:00"]),
        ("0 0 * * 7", "UTC", "2026-05-04T00:00", "2026-05-18T00:00", ["10 00:00", "17 00:00"]),  # Sundays
        ("0 0 * * 0", "UTC", "2026-05-04T00:00", "2026-05-11T00:00", ["10 00:00"]),
        ("40 * * * *", "Asia/Kolkata", "2026-05-06T10:00", "2026-05-06T12:00", ["06 10:10", "06 11:10"]),
        ("1 6 * * *", "Asia/Kathmandu", "2026-05-06T00:00", "2026-05-07T00:00", ["06 00:16"]),
        ("30 */2 * * *", "Europe/Berlin", "2026-03-28T22:00", "2026-03-29T05:00", ["28 23:30", "29 02:30", "29 04:30"]),
        ("30 1-3 * * *", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T04:00", ["29 00:30", "29 01:30"]),
    ],
)
def test_runs(expression: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    assert _runs(expression, zone, start, end) == expected
