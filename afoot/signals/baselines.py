"""What is expected of a signal: its recent level, its hour of the day, and how far it usually strays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afoot.signals.settings import Settings

HOUR_MS = 3_600_000
HOURS = 24
NEIGHBOURS = 2  # hours on either side that speak for an hour of the day
MAD_TO_SIGMA = 1.4826  # of a normal distribution
# What strays up alone may have been up for most of its windows, and its median is no level then. It is so if it is this
# many times what a sixth of the windows do not exceed, and this many spreads above that. The median of noise hardly
# ever is: of 60 uniform, exponential or lognormal values in up to 14 of 1,000 cases, of 120 in none of 10,000.
LOW_PART = 6
RAISED_RATIO = 3
RAISED_SCORE = 10

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Compact = NDArray[np.float32]


class Expected(NamedTuple):
    """What is expected of each row, float64 arrays; NaN where there is not enough history."""

    value: Floats
    spread: Floats
    windows: NDArray[np.int64]  # of history, gaps not counted


class History:
    """The last windows of many entity-signals, one row each, and what their hours of the day were like.

    A window without a value stays NaN: a gap is neither zero nor expected. Per row 4 B a window and, after its first
    full hour, 4 B an hour and day: 480 B and 288 B by default settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.up: Bools = np.empty(0, np.bool_)  # of each row: whether it strays up alone
        self.windows: Compact = np.full((0, settings.history_windows), np.nan, np.float32)
        self.hours: Compact | None = None  # (row, hour of the day, day modulo season_days): median of the hour
        self.days = np.full((HOURS, settings.season_days), -(1 << 40), np.int64)  # which day that is, since the epoch
        self.number: int | None = None  # of the last window, since the epoch
        self.folded: int | None = None  # the last hour that was folded into `hours`
        self._season: Compact | None = None  # what the hours say of the current hour
        self._season_hour = -1

    def __len__(self) -> int:
        return len(self.windows)

    @classmethod
    def restore(
        cls,
        settings: Settings,
        rows: int,
        number: int,
        days: NDArray[np.int64],
        columns: Iterable[tuple[int, Compact]],
        hours: Compact | None,
    ) -> History:
        """A history from its parts: `columns` of windows by number, `hours`; rows that they lack have no history."""
        history = cls(settings)
        history.number, history.days = number, days
        history.grow(rows)
        for of, values in columns:
            if of > number - settings.history_windows:
                history.windows[: len(values), of % settings.history_windows] = values
        history.hours = None if hours is None else _grown(hours, rows)
        return history

    def columns(self, since: int | None) -> Iterator[tuple[int, Compact]]:
        """The windows after number `since` that hold anything, with one value a row."""
        assert self.number is not None
        first = self.number - self.settings.history_windows
        for number in range(first + 1 if since is None else max(first, since) + 1, self.number + 1):
            values = self.windows[:, number % self.settings.history_windows]
            if not np.isnan(values).all():
                yield number, values.copy()

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows in all; new ones have no history."""
        self.up = np.append(self.up, np.zeros(rows - len(self.up), np.bool_))
        self.windows = _grown(self.windows, rows)
        if self.hours is not None:
            self.hours = _grown(self.hours, rows)
        self._season_hour = -1

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Forget all rows but these, which are numbered anew in the order given."""
        self.up = self.up[rows]
        self.windows = self.windows[rows]
        if self.hours is not None:
            self.hours = self.hours[rows]
        self._season_hour = -1

    def advance(self, start_ms: int) -> None:
        """Go on to the window that starts at `start_ms`; windows in between are gaps."""
        number = start_ms // self.settings.window_ms
        if self.number is not None:
            if number <= self.number:
                raise ValueError(f"window {start_ms} does not come after {self.number * self.settings.window_ms}")
            hour = self.number * self.settings.window_ms // HOUR_MS
            if start_ms // HOUR_MS != hour:
                self._fold(hour)
            skipped = min(number - self.number - 1, self.settings.history_windows)
            for gap in range(number - skipped, number):
                self.windows[:, gap % self.settings.history_windows] = np.nan
        self.number = number

    def _fold(self, hour: int) -> None:
        """Remember the level of an hour that is over, of rows that have half of its windows or more."""
        assert self.number is not None
        first = hour * HOUR_MS // self.settings.window_ms
        last = (hour + 1) * HOUR_MS // self.settings.window_ms
        held = range(max(first, self.number - self.settings.history_windows + 1), min(last, self.number + 1))
        columns = [number % self.settings.history_windows for number in held]
        level, _, count = levels(self.windows[:, columns], self.up)
        level[2 * count < min(last - first, self.settings.history_windows)] = np.nan
        if self.hours is None:
            self.hours = np.full((len(self.windows), HOURS, self.settings.season_days), np.nan, np.float32)
        day, hour_of_day = divmod(hour, HOURS)
        self.hours[:, hour_of_day, day % self.settings.season_days] = level
        self.days[hour_of_day, day % self.settings.season_days] = day
        self.folded = hour

    def season(self) -> Compact:
        """What the hours of past days say of the current hour, by row: the median of it and its neighbours.

        Neighbours keep a job that runs for an hour each night from becoming what is expected, and keep a slow curve.
        """
        assert self.number is not None
        hour = self.number * self.settings.window_ms // HOUR_MS
        if self._season is None or self._season_hour != hour:
            self._season_hour = hour
            self._season = self._of_hours(hour)
        return self._season

    def _of_hours(self, hour: int) -> Compact:
        nothing = np.full(len(self.windows), np.nan, np.float32)
        if self.hours is None:
            return nothing
        day, now = divmod(hour, HOURS)
        around = [(now + step) % HOURS for step in range(-NEIGHBOURS, NEIGHBOURS + 1)]
        fresh = day - self.days[around] <= self.settings.season_days
        said = np.where(fresh[None], self.hours[:, around], np.float32(np.nan))
        median, _ = medians(said.reshape(len(said), -1))
        days = np.sum(~np.isnan(said[:, NEIGHBOURS]), axis=1)
        return np.where(days >= self.settings.min_season_days, median, nothing)

    def expect(
        self, rows: NDArray[np.int64], values: Floats, floor: Floats, ends: NDArray[np.bool_] | None = None
    ) -> Expected:
        """What the windows before this one lead to expect of `rows`, and the spread that scores are measured by.

        Level: as `levels` says of the history. Season: as `season`, once it has days enough. Where both speak, the
        nearer to the value holds: it is unusual only if it is by both. Spread: 1.4826 times the distance of `levels`,
        at least `floor` and at least relative_floor of what is expected. Rows that are `ends` are of what is only there
        while it runs: in windows of which any row has a value, theirs was 0 where it is missing.
        """
        past = self.windows[rows]
        if ends is not None and ends.any():
            spoken = ~np.isnan(self.windows).all(axis=0)
            past = np.where(ends[:, None] & spoken & np.isnan(past), np.float32(0), past)
        level, away, count = levels(past, self.up[rows], floor)
        expected = level.astype(np.float64)
        expected[count < self.settings.min_history] = np.nan
        season = self.season()[rows].astype(np.float64)
        nearer = np.abs(values - season) < np.abs(values - expected)
        expected = np.where(nearer, season, expected)
        spread = np.maximum(MAD_TO_SIGMA * away.astype(np.float64), floor)
        spread = np.maximum(spread, self.settings.relative_floor * np.abs(expected))
        return Expected(expected, np.where(np.isnan(expected), np.nan, spread), count)

    def record(self, values: Floats) -> None:
        """Write the values of the current window, one a row, NaN for none."""
        assert self.number is not None
        with np.errstate(over="ignore"):  # beyond float32 is infinite: as a rank among others it still holds
            self.windows[:, self.number % self.settings.history_windows] = values


def levels(values: Compact, up: Bools, floor: Floats | float = 0.0) -> tuple[Compact, Compact, Ints]:
    """The level of each row's values, how far they usually are from it, and their count; NaN left out.

    The median and the median distance. Of rows that stray `up` alone and have half of their windows, they are what a
    sixth of the windows do not exceed, and of the distances a sixth, where the median is raised over that.
    """
    ordered = np.sort(values, axis=1)  # NaN last
    level, count = _medians(ordered)
    away, _ = medians(np.abs(values - level[:, None]))
    place = np.maximum(count - 1, 0) // LOW_PART
    low = ordered[np.arange(len(ordered)), place]
    raised = np.flatnonzero(up & (level > RAISED_RATIO * low) & (2 * count >= values.shape[1]))
    if len(raised):
        low = low[raised]
        stray = np.sort(np.abs(ordered[raised] - low[:, None]), axis=1)[np.arange(len(raised)), place[raised]]
        spread = np.maximum(MAD_TO_SIGMA * stray, np.broadcast_to(floor, len(values))[raised])
        far = level[raised] - low > RAISED_SCORE * spread
        level[raised[far]], away[raised[far]] = low[far], stray[far]
    return level, away, count


def medians(values: Compact) -> tuple[Compact, Ints]:
    """Median of each row's values and their count, NaN left out; NaN where there are none."""
    return _medians(np.sort(values, axis=1))  # NaN last


def _medians(ordered: Compact) -> tuple[Compact, Ints]:
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    low = ordered[rows, np.maximum(count - 1, 0) // 2]
    high = ordered[rows, np.minimum(count // 2, ordered.shape[1] - 1)]
    return (low + (high - low) / 2).astype(np.float32), count


def _grown(held: Compact, rows: int) -> Compact:
    added = np.full((rows - len(held), *held.shape[1:]), np.nan, np.float32)
    return np.concatenate([held, added])
