"""Numbers, times and schedules as people say them."""

from datetime import UTC, datetime

import pytest

from afoot.casefile import words
from afoot.verdicts import records


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.00084, "s", "840 µs"),
        (0.0092, "s", "9.2 ms"),
        (0.0, "s", "0 s"),
        (41.0, "s", "41 s"),
        (119.9, "s", "120 s"),
        (208.97, "s", "3.48 min"),
        (480.0, "s", "8 min"),
        (11400.0, "s", "190 min"),
        (-418.0, "s", "-6.97 min"),
        (240000.0, "ms", "4 min"),
        (9.2, "ms", "9.2 ms"),
        (910.0, "{op}/s", "910 op/s"),
        (18200.0, "{record}/s", "18.2 k records/s"),
        (41e6, "By/s", "41 MB/s"),
        (1.0, "{member}", "1 member"),
        (0.0, "{member}", "0 members"),
        (512.0, "By", "512 B"),
        (2.4, "1", "2.4"),
        (3.0, "", "3"),
        (3.0, None, "3"),
        (0.00001, "1", "1e-05"),
        (None, "s", "no data"),
    ],
)
def test_quantities(value: float | None, unit: str | None, said: str) -> None:
    assert words.quantity(value, unit) == said


@pytest.mark.parametrize("value", [0.0, 0.0092, 0.633, 1.77335, 41.0, 118.439868, 120.0, 208.97, 3540.0, 11400.0])
def test_durations_are_said_as_the_summaries_of_findings_say_them(value: float) -> None:
    assert words.quantity(value, "s") == records.quantity(value, "s")


@pytest.mark.parametrize(
    ("value", "said"), [(90, "90 s"), (418, "6 min 58 s"), (11400, "3 h 10 min"), (200000, "2 d 7 h")]
)
def test_periods(value: int, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("period", "phase", "said"),
    [
        (3600, 2400, "hourly at :40"),
        (3600, 0, "hourly at :00"),
        (86400, 7200, "daily at 02:00 UTC"),
        (604800, 4 * 86400 + 3 * 3600, "Mondays at 03:00 UTC"),
        (604800, 0, "Thursdays at 00:00 UTC"),
        (900, 0, "every 15 minutes"),
        (7200, 0, "every 2 hours"),
        (90, 0, "every 90 s"),
        (None, None, ""),
        (3600, None, ""),
    ],
)
def test_rhythms(period: int | None, phase: int | None, said: str) -> None:
    assert words.rhythm(period, phase) == said


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("40 * * * *", "hourly at :40"),
        ("5 * * * *", "hourly at :05"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("30 2 * * *", "daily at 02:30"),
        ("0 3 * * 1", "Mondays at 03:00"),
        ("0 3 * * 7", "Sundays at 03:00"),
        ("0 3 * * 0", "Sundays at 03:00"),
        ("0 3 * * MON-FRI", "0 3 * * MON-FRI"),
        ("0,30 * * * *", "0,30 * * * *"),
        ("0 0 1 * *", "0 0 1 * *"),
        ("@daily", "@daily"),
        ("no cron at all", "no cron at all"),
        (None, ""),
    ],
)
def test_cron_expressions(expression: str | None, said: str) -> None:
    assert words.cron(expression) == said


def test_a_span_names_the_second_day_only_where_it_differs() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert words.span(noon, noon.replace(hour=13)) == "2026-11-20 12:00 to 13:00 UTC"
    assert words.span(noon, noon.replace(day=21)) == "2026-11-20 12:00 to 2026-11-21 12:00 UTC"


@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (0.96, "almost certainly"),
        (0.8, "very likely"),
        (0.6, "probably"),
        (0.3, "possibly"),
        (None, "with unknown confidence"),
    ],
)
def test_certainty(confidence: float | None, said: str) -> None:
    assert words.certainty(confidence) == said


def test_what_would_not_be_seen_is_shown_as_an_escape() -> None:
    assert words.visible("a\nb\x1b[31m\u202e<é>\u2028") == "a\\nb\\x1b[31m\\u202e<é>\\u2028"
    assert words.visible(None) == ""
