"""The words of a finding: periods, schedules and the sentences of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from afoot.inventory.graph import Schedule
from afoot.verdicts.recurrence import Recurrence
from afoot.verdicts.rules import MINUTE_MS, Texts
from afoot.verdicts.schedules import Counterfactual

HOUR_MS, DAY_MS, WEEK_MS = 60 * MINUTE_MS, 1440 * MINUTE_MS, 10080 * MINUTE_MS


def beat(recurrence: Recurrence) -> str:
    """`hourly at :40`, `daily at 02:00 UTC`, `every 15 min at :05`, `every 47 min`."""
    period, phase = recurrence.period_ms, recurrence.phase_ms
    at = datetime.fromtimestamp(phase / 1000, UTC)
    if period == HOUR_MS:
        return f"hourly at :{at:%M}"
    if period == DAY_MS:
        return f"daily at {at:%H:%M} UTC"
    if period == WEEK_MS:
        return f"weekly on {at:%A} at {at:%H:%M} UTC"
    minutes = period / MINUTE_MS
    if DAY_MS % period == 0 and period > HOUR_MS:
        return f"every {minutes / 60:g} h from {at:%H:%M} UTC"
    if HOUR_MS % period == 0:
        return f"every {minutes:g} min from :{at:%M}"
    return f"every {minutes:.3g} min"


def by_schedule(schedule: Schedule | None) -> str:
    """` (40 * * * * /opt/backup.sh)`, or nothing. A zone other than UTC is named: the beat beside it is told in UTC."""
    if schedule is None:
        return ""
    zone = "" if schedule.timezone == "UTC" else f" {schedule.timezone}"
    return f" ({schedule.expression}{zone} {schedule.command}".rstrip() + ")"


def or_schedule(schedule: Schedule | None) -> str:
    """What may be moved in time instead, if a schedule is known."""
    return f", or move its {schedule.expression} entry to a quieter time" if schedule else ""


def recurring(recurrence: Recurrence | None, counted: Counterfactual | None) -> str:
    """`, hourly at :40 (23 of 24 runs had this effect)`, or nothing."""
    if recurrence is None:
        return ""
    runs = f" ({counted.with_effect} of {counted.seen} runs had this effect)" if counted else ""
    return f", {beat(recurrence)}{runs}"


def sentences(texts: Texts, words: Mapping[str, str]) -> tuple[str, str]:
    """Summary and remedy with the words filled in."""
    return texts.summary.format_map(words).strip(), texts.remedy.format_map(words).strip()
