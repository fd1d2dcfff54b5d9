"""How the series of a shard make the signals of entities: a hierarchy of rows, worked through by numpy level by level.

Links (a series and what it is used for) make spellings, spellings make terms (the first with data), terms make sides
(their sum), sides make sources (sum, or sum over sum), sources make signals of entities (the first with data). Each
level's rows stand in order, so that each row's members are neighbours in the level below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afoot.catalogue.model import Catalogue, Signal, Source
from afoot.signals.blocks import GAUGE, PERIOD_MEAN, PERIOD_SUM, POLL_MEAN, Series

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

INCREASE, MEAN, MAX, LAST = range(4)  # what a series has to offer in a window
WITHIN = {"mean": MEAN, "max": MAX, "last": LAST}
SUM, LARGEST, AVERAGE = range(3)
ACROSS = {"sum": SUM, "max": LARGEST, "mean": AVERAGE}


class Link(NamedTuple):
    """One use of a series; sorts by where it belongs, then by series id."""

    entity: str
    signal: str
    rank: int
    side: int
    term: int
    bound: float  # of a histogram's bucket, 0.0 elsewhere
    spelling: int
    series: int  # id
    row: int  # of the series in the shard
    offer: int
    factor: float
    source: Source


class Quantile(NamedTuple):
    """A side that is a quantile of buckets: its number, its terms from `start` to `stop`, their bounds."""

    side: int
    start: int
    stop: int
    bounds: list[float]
    quantile: float


class Outcome(NamedTuple):
    """The signals of one window: by plan row, NaN where missing; and which links each rests on."""

    value: Floats
    source: Ints  # row of the chosen source, -1 for none
    link_used: Bools
    due: Bools  # by plan row: missing, though series of its source that speak steadily have spoken lately


def links(
    series: Series, row: int, catalogue: Catalogue, resolve: Callable[[tuple[str, ...]], str | None], window_s: float
) -> list[Link]:
    """What a series is used for. `resolve` gives the entity among types."""
    found = []
    for source, side, term, spelling in catalogue.uses(series.metric):
        if side == 0 and not source.admits(series.labels.mapping):
            continue
        entity = resolve(source.types)
        if entity is None:
            continue
        bound = 0.0
        if source.how == "quantile":
            try:
                bound = float(series.labels.mapping.get("le", ""))
            except ValueError:
                continue  # not a bucket
        factor = source.scale if side == 0 else 1.0
        if series.mode == GAUGE:
            offer = WITHIN[source.within]
        elif series.mode in (POLL_MEAN, PERIOD_SUM, PERIOD_MEAN):
            offer = MEAN
        else:
            offer = INCREASE
            if source.how == "rate":
                factor /= window_s
        found.append(
            Link(entity, source.signal, source.rank, side, term, bound, spelling, series.id, row, offer, factor, source)
        )
    return found


class Plan:
    """The hierarchy of a shard's links. Signal rows are `signals`: (entity, signal) pairs in order."""

    def __init__(self, members: Iterable[Link], signals: Mapping[str, Signal]) -> None:
        ordered = sorted(members, key=lambda link: link[:8])
        self.signals: list[tuple[str, Signal]] = []
        self.sources: list[Source] = []
        self.quantiles: list[Quantile] = []
        spelling_of: list[int] = []
        starts: tuple[list[int], ...] = ([], [], [], [], [])  # of spellings, terms, sides, sources, signals
        declared_terms: list[int] = []
        self._bounds: list[float] = []
        last: tuple[object, ...] = ()
        for at, link in enumerate(ordered):
            # The depths at which this link differs from the one before open new rows there and below.
            key = (link[:2], link.rank, link.side, link[4:6], link.spelling)
            depth = next((d for d in range(5) if not last or key[d] != last[d]), 5)
            last = key
            if depth <= 4:
                starts[0].append(at)
            if depth <= 3:
                starts[1].append(len(starts[0]) - 1)
                self._bounds.append(link.bound)
            if depth <= 2:
                starts[2].append(len(starts[1]) - 1)
                source = link.source
                declared_terms.append(len(source.over if link.side else source.terms))
            if depth <= 1:
                starts[3].append(len(starts[2]) - 1)
                self.sources.append(link.source)
            if depth == 0:
                starts[4].append(len(starts[3]) - 1)
                self.signals.append((link.entity, signals[link.signal]))
            spelling_of.append(len(starts[0]) - 1)
        self.row: Ints = np.array([link.row for link in ordered], np.int64)
        self._offer = np.array([link.offer for link in ordered], np.int64)
        self._factor = np.array([link.factor for link in ordered], np.float64)
        self._least = np.array(
            [-math.inf if link.source.least is None else link.source.least * link.factor for link in ordered]
        )
        self._spelling, self._term, self._side, self._source, self._signal = (np.array(s, np.int64) for s in starts)
        self._link_spelling = np.array(spelling_of, np.int64)
        self._across = np.array([ACROSS[ordered[at].source.across] for at in starts[0]], np.int64)
        self._spelling_term = _parents(self._term, len(self._spelling))
        self.source_signal = _parents(self._signal, len(self._source))
        term_side = _parents(self._side, len(self._term))
        side_source = _parents(self._source, len(self._side))
        self.link_source = side_source[term_side[self._spelling_term[self._link_spelling]]]
        self.link_signal = self.source_signal[self.link_source]
        self._sides = np.diff(np.append(self._source, len(self._side)))
        declared_sides = np.array([1 + bool(source.over) for source in self.sources], np.int64)
        self._whole_sides = self._sides == declared_sides
        terms = np.diff(np.append(self._side, len(self._term)))
        self._whole_terms = terms == np.array(declared_terms, np.int64)
        side_sources = side_source.tolist()
        for side, at in enumerate(side_sources):
            source = self.sources[at]
            if source.quantile is not None:
                start = starts[2][side]
                stop = start + int(terms[side])
                self._whole_terms[side] = True
                self.quantiles.append(Quantile(side, start, stop, self._bounds[start:stop], source.quantile))

    def work(self, offers: Floats, expected: Bools, recent: Bools, steady: Bools) -> Outcome:
        """The window's signals. By series row: `offers` (4, n), NaN for missing; `expected`: a sum without it would be
        wrong; `recent`: it had data lately, so its source is not given up for another; `steady`: it speaks in each
        window while it lives."""
        value = offers[self._offer, self.row] * self._factor
        value[value < self._least] = np.nan
        present = ~np.isnan(value)

        at = self._spelling
        count = np.add.reduceat(present.astype(np.int64), at)
        total = np.add.reduceat(np.where(present, value, 0.0), at)
        largest = np.maximum.reduceat(np.where(present, value, -math.inf), at)
        partial = np.logical_or.reduceat(expected[self.row] & ~present, at)
        with np.errstate(invalid="ignore", divide="ignore"):
            spelled = np.where(
                self._across == SUM,
                np.where(partial, np.nan, total),
                np.where(self._across == LARGEST, largest, total / count),
            )
        spelled[count == 0] = np.nan
        alive = np.logical_or.reduceat(recent[self.row], at)

        chosen_spelling = _first(alive, self._term)
        terms = np.where(chosen_spelling < 0, np.nan, spelled[chosen_spelling])
        side_alive = np.logical_and.reduceat(chosen_spelling >= 0, self._side) & self._whole_terms
        sides = np.add.reduceat(terms, self._side)
        for quantile in self.quantiles:
            sides[quantile.side] = of_buckets(
                quantile.bounds, terms[quantile.start : quantile.stop].tolist(), quantile.quantile
            )

        source_alive = np.logical_and.reduceat(side_alive, self._source) & self._whole_sides
        sources = sides[self._source]
        divided = np.flatnonzero(self._sides == 2)
        below = sides[self._source[divided] + 1]
        with np.errstate(invalid="ignore", divide="ignore"):
            sources[divided] = np.where(below > 0, sources[divided] / below, np.nan)

        chosen_source = _first(source_alive, self._signal)
        signals = np.where(chosen_source < 0, np.nan, sources[chosen_source])
        signals[~np.isfinite(signals)] = np.nan
        used = (
            present
            & (chosen_spelling[self._spelling_term[self._link_spelling]] == self._link_spelling)
            & (chosen_source[self.link_signal] == self.link_source)
        )
        due = np.zeros(len(signals), np.bool_)
        silent = steady[self.row] & recent[self.row] & ~present & (chosen_source[self.link_signal] == self.link_source)
        due[self.link_signal[silent]] = True
        return Outcome(signals, chosen_source, used, due & np.isnan(signals))


def of_buckets(bounds: Sequence[float], counts: Sequence[float], quantile: float) -> float:
    """The quantile of a histogram: counts at or below each ascending upper bound, linear within a bucket.

    In the bucket without an upper bound it is the largest bound there is. NaN if nothing was counted or is missing.
    """
    if not counts or math.isnan(sum(counts)) or not math.isinf(bounds[-1]) or counts[-1] <= 0:
        return math.nan
    rank = quantile * counts[-1]
    lower, below = min(0.0, bounds[0]), 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= rank:
            if math.isinf(bound):
                return lower if len(bounds) > 1 else math.nan
            return lower + (bound - lower) * ((rank - below) / (count - below) if count > below else 1.0)
        lower, below = bound, max(below, count)
    return math.nan


def _parents(starts: Ints, members: int) -> Ints:
    """For each member, the row it belongs to."""
    return np.repeat(np.arange(len(starts)), np.diff(np.append(starts, members)))


def _first(holds: Bools, starts: Ints) -> Ints:
    """For each row, its first member that holds, -1 if none."""
    numbers = np.where(holds, np.arange(len(holds)), len(holds))
    found = np.minimum.reduceat(numbers, starts)
    return np.where(found == len(holds), -1, found)
