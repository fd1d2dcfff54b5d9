"""Plots as geometry: lines, bands and ticks in a box of WIDTH by HEIGHT that the page stretches to its own width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from afoot.casefile import words
from afoot.casefile.case import LOAD, STRAIN, Case, Run, Series

WIDTH, HEIGHT = 1000, 150
POINTS = 800  # of a line; a screen shows no more
NOTABLE = 2  # what a line must be above the expected, in the box's units, to be filled
SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 120, 26, 120
FOLD_COLUMNS, FOLD_ROWS, FOLD_LEVELS = 60, 24, 5
_DURATIONS_S = (120, 240, 360, 480, 600, 1200, 1800, 2400, 3600, 7200, 14400, 21600, 43200, 86400, 172800)
_TICKS_S = (300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


class Tick(NamedTuple):
    """A mark on an axis: where, as a percentage of it, and what it says."""

    at: float
    label: str


class Line(NamedTuple):
    """A series in a plot; `excess` is what lies above the expected, `values` are by step for the reading line."""

    name: str
    role: str  # victim, via, culprit
    path: str
    expected: str
    excess: str
    values: list[float | None]
    unit: str


class Plot(NamedTuple):
    """One plot; `caption` says in words what it shows, `missing` why there is nothing to show."""

    title: str
    caption: str
    lines: list[Line]
    ticks: list[Tick]
    missing: str


class Band(NamedTuple):
    """A stretch of time behind the plots, in the box's units; `empty` is a run that was due and did nothing."""

    x: float
    width: float
    empty: bool


class View(NamedTuple):
    """Plots on one axis of time, the marks of that axis, and the bands behind all of them."""

    plots: list[Plot]
    ticks: list[Tick]
    bands: list[Band]


class Fold(NamedTuple):
    """A signal folded by a period: a row a period, a column a part of it, darker where it is greater."""

    title: str
    rows: int
    columns: int
    levels: list[str]  # a path for each level, the faintest first
    row_ticks: list[Tick]
    column_ticks: list[Tick]
    due: float  # column at which the recurrence begins


def view(case: Case, runs: Sequence[Run]) -> View:
    """All that is drawn of a case: the harm, the shared resource and the culprit on one axis of time."""
    return View(_plots(case), _time_ticks(case), _bands(case, runs))


def _plots(case: Case) -> list[Plot]:
    finding = case.finding
    culprit, victim, via = case.culprit(), case.victim(), case.shared()
    found = []
    if finding["victim_entity"]:
        title = f"{_label(finding['victim_signal'])} of {words.visible(finding['victim_entity'])}"
        found.append(_plot(case, title, [(victim, "victim")]))
    if via:
        load, strain = case.leading(via, LOAD), case.leading(via, STRAIN)
        lines = [(load, "via")]
        if load and culprit and culprit.unit == load.unit:
            lines.append((culprit, "culprit"))
        found.append(_plot(case, f"{_label(load.signal if load else 'load')} of {words.visible(via)}", lines))
        if strain:
            found.append(_plot(case, f"{_label(strain.signal)} of {words.visible(via)}", [(strain, "via")]))
    if finding["culprit_entity"]:
        name = words.visible(finding["culprit_entity"])
        found.append(
            _plot(case, f"{_label(culprit.signal if culprit else 'activity')} of {name}", [(culprit, "culprit")])
        )
    return found


def _bands(case: Case, runs: Sequence[Run]) -> list[Band]:
    """The runs; where nothing recurs, the time that the finding covers."""
    if not runs:
        return [_band(case, case.finding["window_start"], case.finding["window_end"], False)]
    thin = timedelta(seconds=case.step_s)
    spans = [(run.due, run.end or run.due + 2 * thin, run.end is None) for run in runs]
    return [_band(case, *one) for one in spans if one[0] < case.end and case.start < one[1]]


def _time_ticks(case: Case) -> list[Tick]:
    """Marks of the axis of time, in UTC, the day where it begins."""
    begin, end = case.start.timestamp(), case.end.timestamp()
    step = next((size for size in _TICKS_S if (end - begin) / size <= 9), _TICKS_S[-1])
    ticks = []
    for at in range(math.ceil(begin / step) * step, math.floor(end) + 1, step):
        time = datetime.fromtimestamp(at, UTC)
        label = f"{time:%b} {time.day}" if time.hour == time.minute == 0 else f"{time:%H:%M}"
        ticks.append(Tick(round((at - begin) / (end - begin) * 100, 2), label))
    return ticks


def sparkline(case: Case, entity: str, signal: str) -> str:
    """A small path of a signal from zero up, "" if there is none: a steady one looks flat."""
    series = case.series.get((entity, signal))
    if series is None:
        return ""
    thin, size = _thinned(series, SPARK_POINTS)
    top = max((value for value in thin.values if value is not None), default=0.0) * 1.1 or 1.0
    points = [(_share_of(case, time) * SPARK_WIDTH, v) for time, v in zip(thin.times, thin.values, strict=True)]
    return _path(
        [(x, None if v is None else SPARK_HEIGHT * (1 - v / top)) for x, v in points], SPARK_WIDTH * _gap(case, size)
    )


def fold(case: Case) -> Fold | None:
    """The victim's signal folded by the recurrence, None where fewer than three periods were seen."""
    period, series = case.finding["recurrence_period_s"], case.victim()
    if not period or series is None:
        return None
    phase = case.finding["recurrence_phase_s"] or 0
    last = int(case.end.timestamp() - 1) // period
    first = max(int(case.start.timestamp()) // period, last - FOLD_ROWS + 1)
    rows = last - first + 1
    columns = min(FOLD_COLUMNS, max(1, period // case.step_s))
    cells: dict[tuple[int, int], float] = {}
    for time, value in zip(series.times, series.values, strict=True):
        row, rest = divmod(int(time.timestamp()), period)
        if value is not None and row >= first:
            cell = (row - first, rest * columns // period)
            cells[cell] = max(cells.get(cell, 0.0), value)
    if rows < 3 or not cells:
        return None
    top = max(cells.values()) or 1.0
    levels = [""] * FOLD_LEVELS
    for (row, column), value in sorted(cells.items()):
        level = min(FOLD_LEVELS - 1, int(value / top * FOLD_LEVELS))
        levels[level] += f"M{column} {row}h1v1h-1z"
    marks = [datetime.fromtimestamp((first + row) * period, UTC) for row in range(rows)]
    every = max(1, rows // 6)
    row_ticks = [
        Tick(round(row / rows * 100, 2), f"{time:%H:%M}" if period < 86400 else f"{time:%b} {time.day}")
        for row, time in enumerate(marks)
        if row % every == 0
    ]
    column_ticks = [Tick(round(part / 6 * 100, 2), _offset(period * part // 6, period)) for part in range(6)]
    title = f"{_label(series.signal)} of {words.visible(series.entity)}, {_each(period)}"
    return Fold(title, rows, columns, levels, row_ticks, column_ticks, round(phase / period * columns, 2))


def readings(case: Case, drawn: View) -> dict[str, object]:
    """What the reading line needs: the axis of time, and each line's values by step."""
    return {
        "start": int(case.start.timestamp()),
        "step": case.step_s,
        "steps": _steps(case),
        "plots": [[{"unit": line.unit, "values": line.values} for line in plot.lines] for plot in drawn.plots],
    }


def _plot(case: Case, title: str, wanted: list[tuple[Series | None, str]]) -> Plot:
    present = [(series, role) for series, role in wanted if series is not None]
    if not present:
        return Plot(title, "", [], [], "No data in this time: its part is unknown.")
    numbers = [v for series, _ in present for v in (*series.values, *series.expected) if v is not None]
    unit = present[0][0].unit
    top = _ceiling(max(numbers, default=0.0), unit)
    ticks = [Tick(round(100 - part * 100, 2), words.quantity(top * part, unit)) for part in (0, 0.5, 1)]
    lines = [_line(case, series, role, top) for series, role in present]
    return Plot(title, _caption(present[0][0]), lines, ticks, "")


def _line(case: Case, series: Series, role: str, top: float) -> Line:
    thin, size = _thinned(series, POINTS)
    xs = [_share_of(case, time) * WIDTH for time in thin.times]
    gap = WIDTH * _gap(case, size)
    ys, expected = _ys(thin.values, top), _ys(thin.expected, top)
    by_step: list[float | None] = [None] * _steps(case)
    for time, value in zip(series.times, series.values, strict=True):
        at = int((time - case.start).total_seconds()) // case.step_s
        by_step[at] = None if value is None else float(f"{value:.4g}")
    name = f"{_label(series.signal).lower()} of {words.visible(series.entity)}"
    excess = _excess(xs, ys, expected, gap)
    path, line = _path(list(zip(xs, ys, strict=True)), gap), _path(list(zip(xs, expected, strict=True)), gap)
    return Line(name, role, path, line, excess, by_step, series.unit)


def _thinned(series: Series, limit: int) -> tuple[Series, int]:
    """At most `limit` points of a series, and how many steps each stands for.

    A point is the one of its steps that is furthest from what was expected, so that no dip and no peak is lost.
    """
    size = max(1, -(-len(series.times) // limit))
    kept = [
        max(range(at, min(at + size, len(series.times))), key=lambda at: _distance(series, at))
        for at in range(0, len(series.times), size)
    ]
    return series.only(kept), size


def _distance(series: Series, at: int) -> float:
    value, expected = series.values[at], series.expected[at]
    if value is None:
        return -math.inf
    return value if expected is None else abs(value - expected)


def _caption(series: Series) -> str:
    """The greatest value, when it was, and what was expected then."""
    known = [(v, t, e) for v, t, e in zip(series.values, series.times, series.expected, strict=True) if v is not None]
    if not known:
        return "No data in this time."
    value, time, expected = max(known, key=lambda point: point[0])
    normal = (
        f"when {words.quantity(expected, series.unit)} was expected"
        if expected is not None
        else "with nothing to compare with yet"
    )
    return f"highest drawn: {words.quantity(value, series.unit)} at {words.day_time(time)}, {normal}"


def _path(points: Sequence[tuple[float, float | None]], gap: float) -> str:
    """A line through the points, broken where one is missing or further than `gap` from the one before."""
    parts, last = [], None
    for x, y in points:
        if y is None:
            last = None
            continue
        joined = last is not None and x - last <= gap
        parts.append(f"{'L' if joined else 'M'}{x:.1f} {y:.1f}")
        last = x
    return "".join(parts)


def _excess(xs: Sequence[float], ys: Sequence[float | None], base: Sequence[float | None], gap: float) -> str:
    """The areas between a line and what was expected, where the line is above it."""
    parts: list[str] = []
    run: list[tuple[float, float, float]] = []
    before: tuple[float, float, float] | None = None  # the point on the base that an area rises from
    for x, y, b in [*zip(xs, ys, base, strict=True), (math.inf, None, None)]:
        here = None if y is None or b is None else (x, min(y, b), b)
        joined = here is not None and before is not None and x - before[0] <= gap
        above = here is not None and here[2] - here[1] > NOTABLE
        if run and not (joined and above):
            corners = [*run, (x, here[2], here[2])] if joined and here else run
            there = "L".join(f"{px:.1f} {py:.1f}" for px, py, _ in corners)
            back = "L".join(f"{px:.1f} {pb:.1f}" for px, _, pb in reversed(corners))
            parts.append(f"M{there}L{back}Z")
            run = []
        if here and above:
            if not run and joined and before:
                run.append((before[0], before[2], before[2]))
            run.append(here)
        before = here
    return "".join(parts)


def _ys(values: Sequence[float | None], top: float) -> list[float | None]:
    return [None if v is None else HEIGHT * (1 - max(min(v / top, 1.0), 0.0)) for v in values]


def _band(case: Case, start: datetime, end: datetime, empty: bool) -> Band:
    left, right = (min(max(_share_of(case, time), 0.0), 1.0) * WIDTH for time in (start, end))
    return Band(round(left, 1), round(max(right - left, 1.5), 1), empty)


def _share_of(case: Case, time: datetime) -> float:
    return (time - case.start).total_seconds() / _length(case)


def _gap(case: Case, size: int) -> float:
    """How far two neighbours may be apart, of the whole, where a point stands for `size` steps."""
    return case.step_s * (2 * size - 0.5) / _length(case)


def _length(case: Case) -> float:
    return (case.end - case.start).total_seconds()


def _steps(case: Case) -> int:
    return max(1, int(_length(case)) // case.step_s)


def _ceiling(value: float, unit: str) -> float:
    """The next number above that a person would put at the end of an axis, and half of it in its middle."""
    if not value > 0:
        return 1.0
    if unit == "s" and 60 < value <= _DURATIONS_S[-1]:
        return next(float(size) for size in _DURATIONS_S if size >= value)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _label(signal: str | None) -> str:
    text = words.spaced(words.visible(signal))
    return text[:1].upper() + text[1:]


def _each(period: int) -> str:
    names = {3600: "each row an hour", 86400: "each row a day", 604800: "each row a week"}
    return names.get(period, f"each row {words.seconds(period)}")


def _offset(seconds: int, period: int) -> str:
    if period == 3600:
        return f":{seconds // 60:02d}"
    if period == 86400:
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
    return f"+{words.seconds(seconds)}" if seconds else "0"
