"""Bursts of a tenant on a volume, whether or not anybody suffers: the runs of scheduled and unscheduled jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from afoot.verdicts.episodes import Spans
from afoot.verdicts.inputs import Reading
from afoot.verdicts.rules import MINUTE_MS, Rules
from afoot.verdicts.tally import is_up
from afoot.verdicts.volume import MEASURES, Io

MAJOR = 0.25  # bursts smaller than this part of the largest are no runs of the same job
USUAL_RUNS = 20  # runs that tell how long and how heavy a job usually is


@dataclass(slots=True)
class Burst:
    """One burst: start of its first window, end of its last, and how much more it was than expected at most.

    Measures are kept apart: where one misses a sample there is the other, and bytes are millions where operations are
    hundreds.

    A first window with less than a quarter of what the next one has is not its first: a job that begins in the last
    seconds of a minute is nearer to the next one, and so is one whose counter is read between the two.
    """

    start_ms: int
    end_ms: int
    peaks: dict[str, float] = field(default_factory=dict)  # by measure
    windows: int = 0  # in which it was up
    harm: bool = False
    cut: bool = False  # it may have begun before anything was expected of the tenant: no run, as its start is not known

    @property
    def measure(self) -> str:
        """What it is weighed by: operations, bytes where they were never heard."""
        return next(name for name in MEASURES if name in self.peaks)

    @property
    def peak(self) -> float:
        """The most by that measure."""
        return self.peaks[self.measure]

    @property
    def minutes(self) -> float:
        """How long it has been."""
        return (self.end_ms - self.start_ms) / MINUTE_MS


def is_bursting(measures: Mapping[str, Io], rules: Rules) -> bool:
    """Whether a tenant's I/O, by measure, is up as that of a run is."""
    io = next(iter(measures.values()))
    return is_up(io.value, io.expected, io.score, rules.raised.score, rules.raised.burst_ratio)


@dataclass(slots=True)
class BurstTrack:
    """The bursts of one tenant on one volume; the latest 200 are kept."""

    bursts: deque[Burst] = field(default_factory=lambda: deque(maxlen=200))
    heard: Spans = field(default_factory=Spans)  # since the first burst
    loudest: dict[tuple[str, str], Reading] = field(default_factory=dict)  # entity, signal: in the latest burst
    judged_ms: int = 0  # start of the last burst that was judged
    warned_ms: int = 0  # start of the last burst that was called longer or heavier than usual
    due_ms: int | None = None  # the scheduled time that is waited for, of a schedule that was matched ...
    due_by_ms: int = 0  # ... and when its run is overdue
    missing: bool = False  # a run did not come, and none has since

    def add(self, start_ms: int, end_ms: int, measures: Mapping[str, Io], rules: Rules, new: bool = False) -> bool:
        """Adds a window of the tenant's I/O, by measure; whether the track holds anything worth keeping.

        `new`: what is expected of the tenant was not known right before.
        """
        gap = rules.time.ms("gap")
        if is_bursting(measures, rules):
            if not self.bursts or start_ms - self.bursts[-1].end_ms > gap:
                self.bursts.append(Burst(start_ms, end_ms, cut=new))
                self.loudest.clear()
            burst = self.bursts[-1]
            burst.end_ms = end_ms
            excess = {name: io.value - io.expected for name, io in measures.items()}
            both = next((name for name in excess if name in burst.peaks), None)
            if burst.windows == 1 and both and burst.peaks[both] < MAJOR * excess[both]:
                burst.start_ms = start_ms  # a counter's increase is spread over its scrape: that was its first trace
            burst.windows += 1
            for name, more in excess.items():
                burst.peaks[name] = max(burst.peaks.get(name, more), more)
        if self.bursts:
            self.heard.add(start_ms, end_ms, gap)
        return bool(self.bursts)

    def listen(self, entity: str, readings: Mapping[str, Reading]) -> None:
        """Keeps each signal of an entity as it was when it was furthest above what is expected."""
        for signal, reading in readings.items():
            known = self.loudest.get((entity, signal))
            if known is None or (reading.score or 0.0) > (known.score or 0.0):
                self.loudest[entity, signal] = reading

    def major(self) -> list[Burst]:
        """The bursts that count as runs."""
        largest: dict[str, float] = {}
        whole = [burst for burst in self.bursts if not burst.cut]
        for burst in whole:
            for name, peak in burst.peaks.items():
                largest[name] = max(largest.get(name, peak), peak)
        return [burst for burst in whole if burst.peak >= MAJOR * largest[burst.measure]]

    def starts(self) -> list[int]:
        """When the runs began."""
        return [burst.start_ms for burst in self.major()]

    def off_usual(self, burst: Burst, ended: bool, rules: Rules) -> str:
        """Why a run is longer or heavier than those before, "" if it is not; its weight is judged once it is over."""
        earlier = [other for other in self.major() if other.start_ms < burst.start_ms][-USUAL_RUNS:]
        if len(earlier) < rules.recurrence.runs:
            return ""
        rule = rules.schedule
        minutes = median(other.minutes for other in earlier)
        peaks = [other.peaks[burst.measure] for other in earlier if burst.measure in other.peaks]
        if burst.minutes >= rule.longer * minutes and burst.minutes >= minutes + rule.longer_minutes:
            return f"its run is longer than usual: {burst.minutes:.0f} min so far against {minutes:.0f} min"
        if ended and len(peaks) >= rules.recurrence.runs and burst.peak >= rule.heavier * median(peaks):
            return f"its run was heavier than usual: {burst.peak:,.0f} more than at rest against {median(peaks):,.0f}"
        return ""
