"""One finding with all that the lake knows of it: its revisions, its evidence and the signals around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from afoot.errors import UsageError
from afoot.lake.query import Lake, Row

MARGIN = timedelta(hours=1)  # the lake keeps signals for an hour each side of a case
LONGEST = timedelta(hours=24)  # of a longer case the latest day is drawn, or the latest periods if they are longer
PERIODS = 8
CLOSER = timedelta(hours=1)  # what is drawn in detail
POINTS = 2000  # of a series; a day and its margins fit in steps of a minute

# The gravest first: the order in which suspects are heard on the page.
VERDICTS = ("culprit", "contributor", "victim", "unknown", "cleared")
# Of an entity's signals, those that say how much it does and how well it does, the most telling first.
LOAD = (
    "total_ops",
    "write_ops",
    "write_bytes",
    "read_ops",
    "bytes_in",
    "flow_bytes_in",
    "flow_packets_in",
    "request_rate",
)
STRAIN = ("latency", "queue", "request_time", "lag_seconds", "latency_p95", "io_wait")


class Series(NamedTuple):
    """A signal of an entity over time: the greatest value of each step, and what was expected then."""

    entity: str
    signal: str
    unit: str
    times: list[datetime]
    values: list[float | None]
    expected: list[float | None]

    def within(self, start: datetime, end: datetime) -> Series:
        """The part of it between two times, the end left out."""
        return self.only([at for at, time in enumerate(self.times) if start <= time < end])

    def only(self, kept: Sequence[int]) -> Series:
        """The points at these positions."""
        return self._replace(
            times=[self.times[at] for at in kept],
            values=[self.values[at] for at in kept],
            expected=[self.expected[at] for at in kept],
        )


class Suspect(NamedTuple):
    """An entity that was heard: its verdict, and its evidence, a row a signal.

    `share` is its part of the excess; `residual`, of the shared resource, the part that is nobody's.
    """

    entity: str
    component: str
    verdict: str
    share: float | None
    residual: float | None
    evidence: list[Row]


class Run(NamedTuple):
    """A time at which the culprit was due, what it did from then on, and what became of the victim."""

    due: datetime
    end: datetime | None  # None: it did nothing unusual
    culprit_peak: float | None
    victim_peak: float | None


@dataclass(frozen=True)
class Case:
    """A finding at its latest revision; `series` by entity and signal, between `start` and `end`, every `step_s`."""

    lake: str
    finding: Row
    revisions: list[Row]
    evidence: list[Row]
    series: dict[tuple[str, str], Series]
    start: datetime
    end: datetime
    step_s: int

    def suspects(self) -> list[Suspect]:
        """Everyone who was heard, the gravest verdict and the largest share first."""
        heard = []
        for entity, group in groupby(self.evidence, key=lambda row: str(row["entity"])):
            rows = sorted(group, key=lambda row: (not remark(row), -abs(row["score"] or 0)))  # what decided first
            first = min(rows, key=lambda row: gravity(row["verdict"]))
            part = max((row["share"] for row in rows if row["share"] is not None), default=None)
            # A tenant's share is what it did; the shared resource's own row carries what nobody is charged with.
            shared = entity == self.finding["culprit_via"] != self.finding["culprit_entity"]
            share, residual = (None, part) if shared else (part, None)
            heard.append(Suspect(entity, first["component"] or "", first["verdict"], share, residual, rows))
        return sorted(heard, key=lambda s: (gravity(s.verdict), -(s.share or 0), s.component, s.entity))

    def victim(self) -> Series | None:
        """The signal that shows the harm."""
        return self.series.get((self.finding["victim_entity"], self.finding["victim_signal"]))

    def culprit(self) -> Series | None:
        """What the culprit does: the signal of it that stands out most."""
        entity = self.finding["culprit_entity"]
        rows = [row for row in self.evidence if row["entity"] == entity and row["score"] is not None]
        telling = [row["signal"] for row in sorted(rows, key=lambda row: -abs(row["score"]))]
        return self.leading(entity, [*telling, *LOAD])

    def closer(self) -> Case | None:
        """The same case around the victim's worst time, to be drawn in detail; None if it is short anyway."""
        victim = self.victim()
        known = [(v, t) for v, t in zip(victim.values, victim.times, strict=True) if v is not None] if victim else []
        if not known or self.end - self.start <= CLOSER * 2:
            return None
        worst = max(known)[1]
        due = [run.due for run in self.runs() if run.due <= worst]
        start = max(self.start, max(due) - CLOSER / 8 if due and worst - max(due) < CLOSER / 2 else worst - CLOSER / 2)
        end = min(self.end, start + CLOSER)
        cut = {key: one.within(start, end) for key, one in self.series.items()}
        return replace(self, start=start, end=end, series={key: one for key, one in cut.items() if one.times})

    def shared(self) -> str | None:
        """What the culprit acted through; while there is none, the storage that was heard, measured or not."""
        storage = (one.entity for one in self.suspects() if one.component == "storage")
        via: str | None = self.finding["culprit_via"]
        return via or (next(storage, None) if not self.finding["culprit_entity"] else None)

    def leading(self, entity: str | None, signals: Iterable[str]) -> Series | None:
        """The first of `signals` that the entity has values of."""
        found = (self.series.get((entity, signal)) for signal in signals if entity)
        return next(filter(None, found), None)

    def runs(self) -> list[Run]:
        """The times at which a recurring culprit was due, within what is drawn; none without a recurrence."""
        period, phase = self.finding["recurrence_period_s"], self.finding["recurrence_phase_s"]
        culprit, victim = self.culprit(), self.victim()
        if not period or phase is None or culprit is None:
            return []
        begin, end = int(self.start.timestamp()), int(self.end.timestamp())
        first = begin + (phase - begin) % period
        active = _above(culprit)
        return [
            _run(datetime.fromtimestamp(due, UTC), period, culprit, active, victim) for due in range(first, end, period)
        ]


def load_case(lake: Lake, finding_id: str) -> Case:
    """The case of a finding, named by its id or by a beginning of it, or of its last part, that no other has.

    UsageError if it is not in the lake, or if several are meant.
    """
    revisions = lake.rows("revisions", finding_id=finding_id)
    if not revisions:
        revisions = lake.rows("revisions", finding_id=_completed(lake, finding_id))
    finding = revisions[-1]
    evidence = lake.rows("evidence", finding_id=finding["finding_id"])
    period = timedelta(seconds=finding["recurrence_period_s"] or 0)
    end = finding["window_end"] + MARGIN
    start = max(finding["window_start"] - MARGIN, end - max(LONGEST + 2 * MARGIN, period * PERIODS))
    named = [finding["victim_entity"], finding["culprit_entity"], finding["culprit_via"]]
    entities = sorted({name for name in [*named, *(row["entity"] for row in evidence)] if name})
    step_s = max(60, -(-int((end - start).total_seconds()) // POINTS // 60) * 60)
    rows = lake.rows(
        "signals",
        entities=entities,
        start=start.replace(tzinfo=None),
        end=end.replace(tzinfo=None),
        first_day=start.date().isoformat(),
        last_day=end.date().isoformat(),
        step_s=step_s,
    )
    series = {}
    for (entity, signal), group in groupby(rows, key=lambda row: (row["entity"], row["signal"])):
        points = list(group)
        series[entity, signal] = Series(
            entity,
            signal,
            points[0]["unit"] or "",
            [row["time"] for row in points],
            [row["value"] for row in points],
            [row["expected"] for row in points],
        )
    times = [time for one in series.values() for time in (one.times[0], one.times[-1])]
    drawn = (min(times), max(times) + timedelta(seconds=step_s)) if times else (start, end)
    return Case(lake.uri, finding, revisions, evidence, series, drawn[0], drawn[1], step_s)


def _completed(lake: Lake, prefix: str) -> str:
    found = [str(row["finding_id"]) for row in lake.rows("finding_ids", prefix=prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"finding {prefix!r}: several begin so: {', '.join(found)}; give more of the id")
    known = [str(row["finding_id"]) for row in lake.rows("finding_ids", prefix="")]
    there = f"it holds {', '.join(known)}" if known else "it holds none"
    raise UsageError(f"finding {prefix!r}: not in lake {lake.uri}; {there}")


def remark(row: Row) -> str:
    """What the reason of a row of evidence adds to the numbers that stand beside it.

    Reasons begin with the row's numbers in words; one that is put otherwise is kept whole.
    """
    reason: str = row["reason"] or ""
    numbers = rf"{re.escape(row['signal'] or '')} .+? expected( \(score [^)]*\))?"
    return re.sub(rf"\A{numbers}(\Z|[:,] )", "", reason, flags=re.DOTALL)


def _run(due: datetime, period: int, culprit: Series, active: Sequence[bool], victim: Series | None) -> Run:
    until = due + timedelta(seconds=period)
    step = timedelta(seconds=60)
    inside = [time for time, on in zip(culprit.times, active, strict=True) if on and due - step <= time < until - step]
    return Run(due, max(inside) + step if inside else None, _peak(culprit, due, until), _peak(victim, due, until))


def _above(series: Series) -> list[bool]:
    """Where a series is above a quarter of its greatest excess over what was expected."""
    excess = [
        (value or 0.0) - (expected if expected is not None else value or 0.0)
        for value, expected in zip(series.values, series.expected, strict=True)
    ]
    limit = max(max(excess, default=0.0) / 4, 0.0)
    return [limit < one for one in excess]


def _peak(series: Series | None, start: datetime, end: datetime) -> float | None:
    if series is None:
        return None
    inside = [v for t, v in zip(series.times, series.values, strict=True) if start <= t < end and v is not None]
    return max(inside, default=None)


def gravity(verdict: str | None) -> int:
    """The place of a verdict in VERDICTS, the gravest 0."""
    return VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS)
