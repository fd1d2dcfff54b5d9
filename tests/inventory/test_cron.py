"""Run times across daylight saving changes, and what no cron accepts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.inventory.cron import period_hint, run_times, unusable_reason

BERLIN = "Europe/Berlin"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def runs(expression: str, timezone: str, start: str, end: str) -> list[str]:
    times = run_times(expression, timezone, ms(start), ms(end))
    return [datetime.fromtimestamp(time / 1000, UTC).strftime("%d %H:%M") for time in times]


# Berlin: 2024-03-31 02:00 CET becomes 03:00 CEST (01:00 UTC); 2024-10-27 03:00 CEST becomes 02:00 CET (01:00 UTC).
SPRING = ("2024-03-30T23:00", "2024-03-31T04:00")
AUTUMN = ("2024-10-26T23:00", "2024-10-27T04:00")
DAYLIGHT = [
    # an hourly entry runs once in every real hour
    ("40 * * * *", SPRING, ["30 23:40", "31 00:40", "31 01:40", "31 02:40", "31 03:40"]),
    ("40 * * * *", AUTUMN, ["26 23:40", "27 00:40", "27 01:40", "27 02:40", "27 03:40"]),
    # a time of day that spring skips comes when the gap ends; one that autumn repeats comes the first time
    ("30 2 * * *", SPRING, ["31 01:00"]),
    ("30 2 * * *", AUTUMN, ["27 00:30"]),
    ("0,30 2 * * *", SPRING, ["31 01:00"]),
    ("59 1 * * *", SPRING, ["31 00:59"]),
    ("0 3 * * *", SPRING, ["31 01:00"]),
    ("0 3 * * *", AUTUMN, ["27 02:00"]),
    # minutes by star follow real time: spring's hour is not there, autumn's is there twice
    ("*/30 2 * * *", SPRING, []),
    ("*/30 2 * * *", AUTUMN, ["27 00:00", "27 00:30", "27 01:00", "27 01:30"]),
]


@pytest.mark.parametrize(("expression", "night", "expected"), DAYLIGHT)
def test_nights_that_change_the_clock(expression: str, night: tuple[str, str], expected: list[str]) -> None:
    assert runs(expression, BERLIN, *night) == expected


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
@pytest.mark.parametrize("expression", sorted({expression for expression, _, _ in DAYLIGHT}))
def test_parts_of_a_night_add_up_to_it(expression: str, night: tuple[str, str]) -> None:
    start, end = ms(night[0]), ms(night[1])
    whole = run_times(expression, BERLIN, start, end)
    for step in (60_000, 7 * 60_000, 3_600_000):
        parts = [t for a in range(start, end, step) for t in run_times(expression, BERLIN, a, min(a + step, end))]
        assert parts == whole


def test_clocks_that_change_by_half_an_hour() -> None:
    # Lord Howe: 2026-04-05 02:00 +11:00 becomes 01:30 +10:30 (15:00 UTC); 2026-10-04 02:00 becomes 02:30 (15:30 UTC).
    zone, autumn, spring = (
        "Australia/Lord_Howe",
        ("2026-04-04T13:00", "2026-04-04T18:00"),
        ("2026-10-03T14:00", "2026-10-03T18:00"),
    )
    assert runs("1 */2 * * *", zone, *autumn) == ["04 13:01", "04 15:31", "04 17:31"]
    assert runs("45 * * * *", zone, *autumn) == ["04 13:45", "04 14:45", "04 15:15", "04 16:15", "04 17:15"]
    assert runs("45 1 * * *", zone, *autumn) == ["04 14:45"]
    assert runs("10 2 * * *", zone, *spring) == ["03 15:30"]
    assert runs("10 * * * *", zone, *spring) == ["03 14:40", "03 16:10", "03 17:10"]


def test_both_ends_of_the_interval() -> None:
    at = ms("2024-05-01T10:40")
    assert run_times("40 * * * *", "UTC", at, at + 1) == [at]
    assert run_times("40 * * * *", "UTC", at - 3_600_000, at) == [at - 3_600_000]
    assert run_times("40 * * * *", "UTC", at + 1, at + 3_600_000) == []
    assert run_times("40 * * * *", "UTC", at, at) == []


def test_zones_and_odd_calendars() -> None:
    assert runs("40 * * * *", "Asia/Kolkata", "2024-05-01T00:00", "2024-05-01T02:00") == ["01 00:10", "01 01:10"]
    assert runs("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00") == [
        "29 22:00",
        "30 10:00",  # noon of a day that was skipped
        "30 22:00",
        "31 22:00",
    ]
    assert runs("0 0 29 2 *", "", "2023-01-01T00:00", "2025-01-01T00:00") == ["29 00:00"]
    assert runs("@hourly", "UTC", "2024-05-01T00:00", "2024-05-01T02:00") == ["01 00:00", "01 01:00"]
    assert runs("0 6 * * MON-FRI", "UTC", "2024-05-03T00:00", "2024-05-07T00:00") == ["03 06:00", "06 06:00"]


REFUSED = [
    ("61 * * * *", "UTC", "bad minute"),
    ("* 24 * * *", "UTC", "bad hour"),
    ("* * 0 * *", "UTC", "bad day-of-month"),
    ("* * * FOO *", "UTC", "bad month"),
    ("* * * * 8", "UTC", "bad day-of-week"),
    ("*/0 * * * *", "UTC", "bad minute"),
    ("", "UTC", "is empty"),
    ("  ", "UTC", "is empty"),
    ("4\u0660 * * * *", "UTC", "not ASCII"),
    ("@reboot", "UTC", "runs when its host starts"),
    ("@fortnightly", "UTC", "no nickname"),
    ("40 * * *", "UTC", "has 4 fields"),
    ("0 40 * * * *", "UTC", "has 6 fields"),
    ("40 * * * * /opt/backup.sh", "UTC", "has 6 fields"),
    ("0 0 30 2 *", "UTC", "bad day-of-month"),
    ("1," * 300 + "1 * * * *", "UTC", "allowed: 256"),
    ("40 * * * *", "Mars/Olympus", "time zone 'Mars/Olympus' is not known"),
    ("40 * * * *", "Europe", "time zone 'Europe' is not known"),
    ("40 * * * *", "../../etc/passwd", "is not known"),
    ("40 * * * *", "UTC\0", "is not known"),
    ("40 * * * *", "x" * 5000, "is not known"),
]


@pytest.mark.parametrize(("expression", "timezone", "reason"), REFUSED)
def test_what_no_cron_accepts(expression: str, timezone: str, reason: str) -> None:
    assert reason in unusable_reason(expression, timezone)
    assert run_times(expression, timezone, 0, 10**9) == []
    assert period_hint(expression, timezone) is None


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("40 * * * *", 3600), ("*/15 * * * *", 900), ("30 2 * * *", 86_400), ("0 0 * * 0", 604_800), ("@hourly", 3600)],
)
def test_the_usual_distance_between_runs(expression: str, seconds: int) -> None:
    assert unusable_reason(expression, BERLIN) == ""
    assert period_hint(expression, BERLIN) == seconds


@given(st.text(alphabet="0123456789*/,-#LW @MONJA", max_size=24), st.sampled_from(["UTC", BERLIN, "Nowhere"]))
def test_any_text_is_answered(expression: str, timezone: str) -> None:
    reason = unusable_reason(expression, timezone)
    times = run_times(expression, timezone, ms("2024-03-30T00:00"), ms("2024-03-31T12:00"))
    assert times == sorted(set(times))
    assert not (reason and times)
