"""What counters grew by in a window: between samples that bracket it, spread evenly, resets and gaps told apart.

What an agent tells as a mean since its last sample is spread over the windows in the same way.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from afoot.signals.settings import Settings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Distances = NDArray[np.float32]  # ns, by row

GAPS_KEPT = 5  # windows whose median gap says what the usual scrape is
GAPS_LOOKED_AT = 16  # of a series in a window, at most
LEAST_COVERED = 0.5  # of a window, for a mean over what is covered to stand for all of it
NEVER = -(1 << 62)


class Points(NamedTuple):
    """Samples of series by row, ordered by time within each."""

    row: Ints
    time_ns: Ints
    value: Floats


class Last(Protocol):
    """The last sample of each series, before the window."""

    last_ns: Ints
    last: Floats


class Memory(Last, Protocol):
    """What is remembered of each series."""

    gaps: Distances

    @property
    def means(self) -> Bools: ...  # whether its values are means since the sample before


def increases(memory: Memory, own: Points, closing: Points, start_ns: int, end_ns: int, settings: Settings) -> Floats:
    """The increase of each series in [start_ns, end_ns), NaN where it is not covered; `memory` goes on to `own`.

    `own` are the window's samples, `closing` at most one later sample a series. The window is covered when the last
    sample at or before its start, its own, and the first at or after its end lie no further apart than scrape_gap
    usual scrapes. Between two samples an increase is spread evenly; a decrease is a reset to zero, and the increase
    then is the new value.

    Of means it is the mean over what samples so near to one another cover, if that is half of the window or more.
    """
    result = np.full(len(memory.last), np.nan)
    before = np.flatnonzero(memory.last_ns != NEVER)
    row, time_ns, value = around(memory, before, own, closing)
    if not len(row):
        return result

    pair = np.flatnonzero(row[1:] == row[:-1])
    of = row[pair]
    gap_ns = time_ns[pair + 1] - time_ns[pair]
    grown = value[pair + 1] - value[pair]
    grown = np.where(grown < 0, value[pair + 1], grown)
    inside = np.minimum(time_ns[pair + 1], end_ns) - np.maximum(time_ns[pair], start_ns)
    inside = np.maximum(inside, 0)

    usual = _usual_scrape(memory, of, gap_ns)
    near = gap_ns <= (settings.scrape_gap + settings.scrape_slack) * usual[of]  # NaN: no usual scrape, not near
    of, inside, is_mean = of[near], inside[near], memory.means[of[near]]
    covered = np.bincount(of, inside, len(result)) / (end_ns - start_ns)
    value = np.where(is_mean, value[pair + 1][near], grown[near])
    part = value * (inside / np.where(is_mean, end_ns - start_ns, np.maximum(gap_ns[near], 1)))
    enough = covered >= np.where(memory.means, LEAST_COVERED, 1.0)
    weight = np.where(memory.means, covered, 1.0)
    result[enough] = np.bincount(of, part, len(result))[enough] / weight[enough]

    remember(memory, own)
    return result


def around(memory: Last, before: Ints, own: Points, closing: Points) -> tuple[Ints, Ints, Floats]:
    """Row, time and value of a window's samples, of the last ones of the rows `before` it, and of those after it."""
    row = np.concatenate([before, own.row, closing.row])
    time_ns = np.concatenate([memory.last_ns[before], own.time_ns, closing.time_ns])
    value = np.concatenate([memory.last[before], own.value, closing.value])
    order = np.lexsort((time_ns, row))
    return row[order], time_ns[order], value[order]


def remember(memory: Last, own: Points) -> None:
    """Goes on to the last of a window's own samples, which are in order."""
    if not len(own.row):
        return
    last = np.flatnonzero(np.append(own.row[1:] != own.row[:-1], True))
    memory.last_ns[own.row[last]] = own.time_ns[last]
    memory.last[own.row[last]] = own.value[last]


def _usual_scrape(memory: Memory, of: Ints, gap_ns: Ints) -> Floats:
    """The usual gap of each series in ns: the median of recent windows' median gaps. Remembers this window's."""
    if len(of):
        first = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
        count = np.diff(np.append(first, len(of)))
        place = np.arange(len(of)) - np.repeat(first, count)
        looked = place < GAPS_LOOKED_AT
        table = np.full((len(first), min(int(count.max()), GAPS_LOOKED_AT)), np.nan)
        table[np.repeat(np.arange(len(first)), count)[looked], place[looked]] = gap_ns[looked]
        rows = of[first]
        memory.gaps[rows] = np.roll(memory.gaps[rows], 1, axis=1)
        memory.gaps[rows, 0] = _low_median(table)
    return _low_median(memory.gaps.astype(np.float64))


def _low_median(values: Floats) -> Floats:
    """The lower median of each row, NaN left out."""
    ordered = np.sort(values, axis=1)
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    median: Floats = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return median
