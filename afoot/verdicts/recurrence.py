"""Period and phase of runs, found in their times alone: robust to jitter, skipped runs and runs off the beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from afoot.verdicts.rules import MINUTE_MS, RecurrenceRule

# Periods that people choose; one of them is taken where the data cannot tell it from the fitted one.
USUAL_MINUTES = (5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 10080)
MOST_SKIPPED = 3  # beats between two neighbouring runs that are tried when periods are guessed
LATEST, UNCLEAR = 4, 0.75  # runs that a later half needs at least, and the score of the whole that it is heard below
USUAL, ALONE = 0.5, 0.5  # beforehand: that a beat's period is a usual one, and that nothing but the beat has runs
SHAPES = {1: 0.5, 4: 0.25, 16: 0.25}  # beforehand: how regular work without a clock is
REGULAR = 8  # beforehand: a place has a run as likely as if that many before it all had had one
SCALES = math.log(10080 / 3)  # a period or rate of which nothing is known is equally likely on a scale of logarithms
STARTS = 10  # runs from which a beat is laid: with most runs on the beat, one of the first ten is


class Recurrence(NamedTuple):
    """A beat: runs come at `phase_ms` after a multiple of `period_ms` since 1970, UTC."""

    period_ms: int
    phase_ms: int
    inliers: int  # runs on the beat
    runs: int

    def next_after(self, ms: int) -> int:
        """The first beat later than `ms`."""
        return ms + self.period_ms - (ms - self.phase_ms) % self.period_ms

    def nearest(self, ms: int) -> int:
        """The beat nearest to `ms`."""
        return self.next_after(ms - self.period_ms // 2 - 1)


def find_recurrence(onsets: Sequence[int], window_ms: int, rule: RecurrenceRule) -> Recurrence | None:
    """The beat of onsets (ms, ascending); None under `rule.runs` of them, or where chance would do about as well.

    A guess is a distance between neighbouring runs, or a whole part of it if runs were skipped. Of the beats through
    them the one with the greatest odds against chance wins: half the true period leaves every other place empty, twice
    the period leaves every other run out.
    """
    times = list(onsets)[-rule.onsets :]
    whole, whole_score = _best(times, window_ms, rule)
    # A beat may have changed, as when a clock was put back: the later half speaks alone if nothing disturbs it.
    if len(times) >= 2 * LATEST and whole_score < UNCLEAR:
        later, later_score = _best(times[-(len(times) // 2) :], window_ms, rule)
        if later_score == 1.0:
            return later
    return whole


def _best(times: list[int], window_ms: int, rule: RecurrenceRule) -> tuple[Recurrence | None, float]:
    """The best beat of these times, and which part of its places and of the runs it holds."""
    if len(times) < rule.runs:
        return None, 0.0
    best: tuple[Recurrence | None, float] = None, 0.0
    best_odds = math.log(rule.odds)
    for guess in _guesses(times, window_ms):
        fitted = _fit(times, guess, window_ms, rule)
        if fitted is None:
            continue
        beat, score, odds = fitted
        if odds > best_odds:
            best, best_odds = (beat, score), odds
    return best


def _guesses(times: list[int], window_ms: int) -> list[float]:
    """Distances to try, longest first, one of each kind: those that differ by less than a window are the same."""
    distances = set()
    for reach in (1, 2):  # over one run: that between may be off the beat
        for earlier, later in zip(times, times[reach:], strict=False):
            for beats in range(1, MOST_SKIPPED + 1):
                minutes = round((later - earlier) / beats / window_ms)
                if minutes >= 3:
                    distances.add(minutes)
    return [float(minutes * window_ms) for minutes in sorted(distances, reverse=True)]


def _fit(
    times: list[int], guess: float, window_ms: int, rule: RecurrenceRule
) -> tuple[Recurrence, float, float] | None:
    """The beat near a guessed period, its score, and the logarithm of its odds; None if there is none."""
    best: list[tuple[int, int]] = []  # beat number, time
    tolerance = _tolerance(guess, window_ms, rule)
    for start in range(min(STARTS, len(times))):
        grid = _inliers(times, guess, times[start], tolerance)
        if len(grid) > len(best):
            best = grid
        # Each run follows the one before it, so that an error of the guess does not add up over many beats.
        chain, anchor, number = [(0, times[start])], times[start], 0
        period = guess
        for time in times[start + 1 :]:
            beats = round((time - anchor) / period)
            if beats >= 1 and abs(time - anchor - beats * period) <= 2 * tolerance:
                number, anchor = number + beats, time
                chain.append((number, time))
                if len(chain) >= 3:
                    period = _slope(chain)[0]
        if len(chain) > len(best):
            best = chain
        if len(times) - start <= len(best):
            break
    if len(best) < rule.runs:
        return None
    period, start_ms = _slope(best)
    if period < 3 * window_ms:
        return None
    on_beat = _inliers(times, period, start_ms, _tolerance(period, window_ms, rule))
    if len(on_beat) < rule.runs:
        return None
    period, start_ms = _slope(on_beat)
    period = _usual(period, on_beat, times, window_ms, rule)
    start_ms = median(time - number * period for number, time in on_beat)
    tolerance = _tolerance(period, window_ms, rule)
    on_beat = _inliers(times, period, start_ms, tolerance)
    beats = on_beat[-1][0] - on_beat[0][0] + 1 if on_beat else 0
    inliers, occupied = len(on_beat) / len(times), len(on_beat) / max(1, beats)
    if len(on_beat) < rule.runs or inliers < rule.inliers or occupied < rule.occupied:
        return None
    period_ms = round(period / 1000) * 1000
    beat = Recurrence(period_ms, round(start_ms) % period_ms, len(on_beat), len(times))
    odds = _log_odds(times, on_beat, period, start_ms, 2 * tolerance, window_ms)
    return beat, inliers * occupied, odds


def _tolerance(period: float, window_ms: int, rule: RecurrenceRule) -> float:
    return max(float(window_ms), min(rule.tolerance * period, rule.tolerance_minutes * MINUTE_MS))


def _slope(points: list[tuple[int, int]]) -> tuple[float, float]:
    """Least squares of time over beat number: period and time of beat 0."""
    count = len(points)
    mean_number = sum(number for number, _ in points) / count
    mean_time = sum(time for _, time in points) / count
    square = sum((number - mean_number) ** 2 for number, _ in points)
    period = sum((number - mean_number) * (time - mean_time) for number, time in points) / square
    return period, mean_time - mean_number * period


def _inliers(times: list[int], period: float, start_ms: float, tolerance: float) -> list[tuple[int, int]]:
    """Beat number and time of the runs on the beat, at most one a beat: the nearest."""
    nearest: dict[int, int] = {}
    for time in times:
        number = round((time - start_ms) / period)
        off = abs(time - start_ms - number * period)
        if off <= tolerance and (number not in nearest or off < abs(nearest[number] - start_ms - number * period)):
            nearest[number] = time
    return sorted(nearest.items())


def _usual(
    period: float, on_beat: list[tuple[int, int]], times: list[int], window_ms: int, rule: RecurrenceRule
) -> float:
    """The usual period, or the whole minutes, on whose beat as many runs lie as on the fitted one's.

    A period that is a few seconds off would say nothing wrong of the runs, but its phase since 1970 would mean nothing.
    """
    usual = min(USUAL_MINUTES, key=lambda minutes: abs(minutes * MINUTE_MS - period))
    for minutes in (usual, round(period / MINUTE_MS)):
        candidate = float(minutes * MINUTE_MS)
        if abs(candidate - period) <= window_ms:
            start_ms = median(time - number * candidate for number, time in on_beat)
            tolerance = _tolerance(candidate, window_ms, rule)
            if len(_inliers(times, candidate, start_ms, tolerance)) >= len(on_beat):
                return candidate
    return period


def _log_odds(
    times: list[int], on_beat: list[tuple[int, int]], period: float, start_ms: float, width: float, window_ms: int
) -> float:
    """Logarithm of the odds of a beat against chance: how much likelier these times are under it (a Bayes factor).

    Chance is what people do: see `_log_chance`. The beat has a period that is usual or any; each of its places has a
    run with an unknown probability; runs lie within an unknown width of their places, `width` at most; and other runs
    may come at random. What is unknown is integrated out, so every place left empty, every run left out, a loose fit
    and a choice of many periods cost what they must. Chance exceeds odds of x at some time with probability 1/x at
    most, however often one looks (Ville's inequality).
    """
    runs, inliers, span = len(times), len(on_beat), times[-1] - times[0]
    places = on_beat[-1][0] - on_beat[0][0]
    offsets = [time - start_ms - number * period for number, time in on_beat]
    spread = max(offsets) - min(offsets) + window_ms
    chance = _log_chance([max(window_ms, later - earlier) for earlier, later in pairwise(times)])
    beat = math.log(REGULAR) + _log_beta(inliers - 1 + REGULAR, places - inliers + 2) - (inliers - 1) * math.log(spread)
    beat -= math.log((inliers - 1) * (1 + math.log(max(1.0, width / window_ms))))
    if period in [minutes * MINUTE_MS for minutes in USUAL_MINUTES]:
        beat += math.log(USUAL / len(USUAL_MINUTES))
    else:
        beat += math.log((1 - USUAL) / SCALES * spread / places / period)
    others = runs - inliers
    beat += math.log(ALONE) if not others else math.log((1 - ALONE) / SCALES)
    if others:
        beat += math.lgamma(others) - others * math.log(span)
    return beat - chance


def _log_chance(gaps: list[int]) -> float:
    """Logarithm of the density of gaps that no clock makes: gamma distributed, of unknown mean and regularity.

    Shape 1 is a Poisson process; shape 16 has gaps that differ by a quarter, each counted from the run before it.
    """
    count, span = len(gaps), sum(gaps)
    logs = sum(math.log(gap) for gap in gaps)
    found = [
        math.log(part / SCALES)
        + (shape - 1) * logs
        + math.lgamma(shape * count)
        - shape * count * math.log(span)
        - count * math.lgamma(shape)
        for shape, part in SHAPES.items()
    ]
    most = max(found)
    return most + math.log(sum(math.exp(one - most) for one in found))


def _log_beta(a: int, b: int) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
