"""What pre-aggregated values cover: the period that begins at each one's time, found by how far apart these are.

A message does not tell its period. The timestamps of a series lie on a grid of it, though: what is missing leaves a
multiple, and never less. So it is the greatest common divisor of the latest distances, in whole minutes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from afoot.signals.counters import LEAST_COVERED, NEVER, Bools, Distances, Floats, Ints, Last, Points, around, remember

MINUTE_NS = 60_000_000_000
MOST_MINUTES = 5  # no longer period is looked for


class Memory(Last, Protocol):
    """What is remembered of each series."""

    gaps: Distances  # the latest, newest first; of those in one window their greatest common divisor

    @property
    def periodic(self) -> Bools: ...  # whether its values cover periods

    @property
    def sums(self) -> Bools: ...  # whether they are sums over these, which to divide by


def values(memory: Memory, own: Points, closing: Points, start_ns: int, end_ns: int) -> Floats:
    """The value of each periodic series in [start_ns, end_ns), of sums a second; NaN where it is not covered.

    `own` are the window's samples, `closing` at most one later sample a series; `memory` goes on to `own`. A value
    covers its period, up to the next value. While the period is not known a sum covers nothing, as nobody knows what to
    divide it by; a mean holds for a minute, as no period is shorter. What covers half of a window stands for all of it.
    """
    result = np.full(len(memory.last), np.nan)
    before = np.flatnonzero(memory.periodic & (memory.last_ns != NEVER))
    row, time_ns, value = around(memory, before, own, closing)
    if not len(row):
        return result

    follows = np.flatnonzero(row[1:] == row[:-1])
    distance = time_ns[follows + 1] - time_ns[follows]
    inside = time_ns[follows + 1] < end_ns
    _remember(memory.gaps, row[follows][inside], distance[inside])
    told = memory.gaps.copy()  # with the closing sample, which the next window remembers
    _remember(told, row[follows][~inside], distance[~inside])
    period_ns = np.zeros(len(result), np.int64)
    rows = np.flatnonzero(memory.periodic)
    period_ns[rows] = _period(told[rows])

    until = time_ns + _reach(memory, row, period_ns[row])
    until[follows] = np.minimum(until[follows], time_ns[follows + 1])
    covered = np.maximum(np.minimum(until, end_ns) - np.maximum(time_ns, start_ns), 0) / (end_ns - start_ns)
    total = np.bincount(row, covered, len(result))
    enough = total >= LEAST_COVERED
    result[enough] = np.bincount(row, covered * value, len(result))[enough] / total[enough]
    divided = enough & memory.sums
    result[divided] /= period_ns[divided] / 1e9

    remember(memory, own)
    return result


def until_ns(memory: Memory) -> int:
    """Up to when the last values cover anything, as far as their periods are known; NEVER where nothing does."""
    rows = np.flatnonzero(memory.periodic & (memory.last_ns != NEVER))
    if not len(rows):
        return NEVER
    return int((memory.last_ns[rows] + _reach(memory, rows, _period(memory.gaps[rows]))).max())


def _reach(memory: Memory, rows: Ints, period_ns: Ints) -> Ints:
    """How long values of these rows hold, by their periods, 0 for unknown."""
    return np.where(memory.sums[rows], period_ns, np.maximum(period_ns, MINUTE_NS))


def _remember(gaps: Distances, of: Ints, distance_ns: Ints) -> None:
    """Put distances before those that are known; `of` are their rows, in order."""
    if not len(of):
        return
    first = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
    minutes = np.maximum(np.rint(distance_ns / MINUTE_NS).astype(np.int64), 1)
    rows = of[first]
    gaps[rows] = np.roll(gaps[rows], 1, axis=1)
    gaps[rows, 0] = np.gcd.reduceat(minutes, first) * MINUTE_NS


def _period(gaps: Distances) -> Ints:
    """The period that each row's distances tell, in ns; 0 where they tell none.

    A minute is told by one distance, as none is shorter, and longer periods by two that agree. Where a series was of a
    minute, it may be so no more: a point that has none a minute before or after it says nothing, unless it and those
    since have no longer period in common. The first of the distances since spans the change, if it was one.
    """
    minutes = np.rint(np.nan_to_num(gaps) / MINUTE_NS).astype(np.int64)  # 0: none
    common = np.gcd.reduce(minutes, axis=1)
    apart = np.logical_and.accumulate(minutes != 1, axis=1)
    since = np.gcd.reduce(np.where(apart[:, 1:], minutes[:, :-1], 0), axis=1)
    a_minute = (minutes[:, 0] == 1) | (since == 1)
    told = np.where(common == 1, a_minute, np.count_nonzero(minutes, axis=1) >= 2) & (common <= MOST_MINUTES)
    return np.where(told, common, 0) * MINUTE_NS
