"""Runs compared with cron entries: which entry they follow, and which scheduled times had an effect."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from afoot.inventory import cron
from afoot.inventory.graph import Schedule
from afoot.verdicts.episodes import Spans
from afoot.verdicts.rules import MINUTE_MS, Rules


class ScheduleMatch(NamedTuple):
    """A schedule entry that runs follow."""

    schedule: Schedule
    matched: float  # part of the runs that follow a scheduled time
    runs: int  # so many do
    times: tuple[int, ...]  # scheduled, from the first of those runs on
    tolerance_ms: int


def period_ms(schedule: Schedule) -> int | None:
    """The usual distance between a schedule's runs, None if it cannot be used."""
    hint = None if schedule.unusable else cron.period_hint(schedule.expression, schedule.timezone)
    return hint * 1000 if hint else None


def tolerance_ms(schedule: Schedule, recurrence_ms: int | None, rules: Rules) -> int | None:
    """How late a run may follow its time; None for a schedule that is unusable, or runs too often to be told apart."""
    period = period_ms(schedule)
    if period is None:
        return None
    shortest = min(period, recurrence_ms or period)
    tolerance = int(min(rules.schedule.tolerance * shortest, rules.schedule.tolerance_minutes * MINUTE_MS))
    return tolerance if tolerance + MINUTE_MS < period / 2 else None


def match_schedule(
    schedules: Sequence[Schedule],
    starts: Sequence[int],
    attached_ms: int | None,
    recurrence_ms: int | None,
    now_ms: int,
    window_ms: int,
    rules: Rules,
) -> ScheduleMatch | None:
    """The entry that the starts of runs (ms, ascending, each that of its window) follow since the attachment.

    At least `schedule.matched` of them lie between a scheduled time less one window and that time plus the tolerance,
    both included, or of those since the entry was changed. None under `recurrence.runs` of them, and where runs at
    random would follow one of so many entries as well; of several entries, the one that more runs follow and that names
    fewer times without a run, and of those whose times are alike, the one whose times the runs are nearest to.
    """
    best: tuple[float, int, int, str, ScheduleMatch] | None = None
    since_ms = [
        (schedule, since)
        for schedule in schedules
        for since in dict.fromkeys((attached_ms, _later(attached_ms, schedule)))
    ]
    for schedule, begin_ms in since_ms:
        tolerance, period = tolerance_ms(schedule, recurrence_ms, rules), period_ms(schedule)
        if tolerance is None or period is None:
            continue
        horizon = now_ms - rules.schedule.runs * period
        since = max(horizon, horizon if begin_ms is None else begin_ms)
        runs = [start for start in starts if start >= since - window_ms]
        if len(runs) < rules.recurrence.runs:
            continue
        times = schedule.run_times(runs[0] - tolerance, now_ms + 1)
        followed = [_followed(times, run, window_ms, tolerance) for run in runs]
        hits = [time for time in followed if time is not None]
        while_it_ran = [time for time in times if time <= runs[-1] + window_ms]
        acted = len(set(hits)) / max(1, len(while_it_ran))
        matched = len(hits) / len(runs)
        if matched < rules.schedule.matched or acted < rules.schedule.acted:
            continue
        followable = min(1.0, (tolerance // window_ms + 2) * window_ms / period)  # part of all windows
        if len(since_ms) * _chance(len(hits), len(runs), followable) > rules.schedule.chance:
            continue
        found = ScheduleMatch(schedule, matched, len(hits), tuple(times), tolerance)
        apart_ms = sum(abs(run - time) for run, time in zip(runs, followed, strict=True) if time is not None)
        rank = (-matched * acted, -len(hits), apart_ms, schedule.id)
        if best is None or rank < best[:4]:
            best = (*rank, found)
    return best[4] if best else None


def _later(attached_ms: int | None, schedule: Schedule) -> int | None:
    """From when on runs can follow a schedule as it is now, if it was changed after the attachment."""
    if attached_ms is None or schedule.since_ms is None:
        return schedule.since_ms if attached_ms is None else attached_ms
    return max(attached_ms, schedule.since_ms)


def _followed(times: Sequence[int], run_ms: int, window_ms: int, tolerance: int) -> int | None:
    """The scheduled time that a run follows: times in [run - tolerance, run + window], the latest of them."""
    index = bisect_left(times, run_ms - tolerance)
    found = None
    while index < len(times) and times[index] <= run_ms + window_ms:
        found = times[index]
        index += 1
    return found


def _chance(hits: int, runs: int, part: float) -> float:
    """Probability that at least `hits` of `runs` fall into a part of all time at random."""
    return sum(math.comb(runs, k) * part**k * (1 - part) ** (runs - k) for k in range(hits, runs + 1))


class Counterfactual(NamedTuple):
    """Runs seen, and those among them that the victim's effect followed."""

    seen: int
    with_effect: int


def count_runs(
    times: Sequence[int], effects: Sequence[tuple[int, int]], heard: Spans, reach_ms: int, window_ms: int, now_ms: int
) -> Counterfactual:
    """Runs at `times` for which the victim was heard, and those that an effect (onset, end) followed.

    An effect follows a run if it begins within `reach_ms`, or is still there from before. A run whose outcome is
    still open is not counted, unless its effect has come.
    """
    seen = with_effect = 0
    for time in times:
        hit = any(onset <= time + reach_ms and end > time - window_ms for onset, end in effects)
        known = time + reach_ms <= now_ms and heard.covers(time, time + reach_ms)
        seen += hit or known
        with_effect += hit
    return Counterfactual(seen, with_effect)


def next_run(schedule: Schedule, after_ms: int) -> int | None:
    """The first scheduled time later than `after_ms`, None if there is none within ten periods."""
    period = period_ms(schedule)
    if period is None:
        return None
    reach = 2 * period
    while reach <= 10 * period:
        times = schedule.run_times(after_ms + 1, after_ms + 1 + reach)
        if times:
            return times[0]
        reach *= 2
    return None


def due_after(schedule: Schedule, run_ms: int, window_ms: int) -> int | None:
    """When a schedule comes next after a run of it, None if that is further away than two of its periods.

    The window that a run is seen in may begin up to one window before its scheduled time.
    """
    due, period = next_run(schedule, run_ms + window_ms), period_ms(schedule)
    return due if due is not None and period is not None and due - run_ms <= 2 * period else None
