"""Findings over time: one case for a kind, culprit, victim and shared resource, and the book that keeps them."""

from __future__ import annotations

import hashlib
import pickle
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import zstandard

from afoot.errors import AfootError
from afoot.verdicts.bursts import BurstTrack
from afoot.verdicts.episodes import VictimTrack, VolumeTrack
from afoot.verdicts.records import Evidence, Finding, State
from afoot.verdicts.recurrence import Recurrence
from afoot.verdicts.rules import Rules

UNEXPLAINED, EXPECTED, OVERDUE = "unexplained", "expected_job", "overdue_job"
SEVERITIES = ("info", "warning", "critical")
# Of a packed book. Fields are pickled by their places, so a class in it that gets or loses one needs another version:
# what is there would be taken for something else without a word.
VERSION = 4
MOST_SUSPECTS = 50  # in an alert; the lake has all of them
RANKS = {"culprit": 0, "contributor": 1, "victim": 2, "unknown": 3, "cleared": 4}


class Identity(NamedTuple):
    """What makes two findings the same."""

    kind: str
    culprit: str | None
    victim: str | None
    via: str | None

    @property
    def finding_id(self) -> str:
        """The kind and a hash of the four fields: nothing of time or order is in it."""
        digest = hashlib.sha256(orjson.dumps(list(self))).hexdigest()
        return f"{self.kind}-{digest[:16]}"


class Run(NamedTuple):
    """One effect of a case: when its cause began, when it was first and last felt."""

    cause_ms: int
    onset_ms: int
    end_ms: int


@dataclass(slots=True)
class Case:
    """A finding with its memory; the latest 200 runs are kept."""

    identity: Identity
    first_ms: int
    state: State = "closed"  # until its first revision
    revision: int = 0
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=200))
    severity: str = "info"
    contributors: tuple[str, ...] = ()
    recurrence: Recurrence | None = None
    schedule_id: str | None = None
    due_ms: int | None = None  # when the schedule that its runs follow comes next after the latest of them
    last: Finding | None = None
    texts: str = ""
    words: dict[str, str] = field(default_factory=dict)  # of the last revision's sentences
    heard: list[Evidence] = field(default_factory=list)  # of the last revision that had any, while the case is open
    omitted: int = 0  # suspects that are not among them

    def add_run(self, run: Run) -> bool:
        """Adds or extends a run, known by its onset; whether it is new."""
        if self.runs and self.runs[-1].onset_ms == run.onset_ms:
            self.runs[-1] = Run(self.runs[-1].cause_ms, run.onset_ms, run.end_ms)
            return False
        self.runs.append(run)
        return True

    def causes(self) -> list[int]:
        """When its causes began: once where lag that flickers made several effects of one."""
        return list(dict.fromkeys(run.cause_ms for run in self.runs))

    def worsen(self, severity: str) -> None:
        """Severity while open is the gravest that was seen, so that no alert goes back and forth."""
        self.severity = max(self.severity, severity, key=SEVERITIES.index)

    def closes_at(self, rules: Rules) -> int:
        """When the case closes if nothing more happens: 15 minutes after the last effect or the next expected run."""
        run = self.runs[-1]
        patience = rules.time.ms("close_after")
        closes = run.end_ms + patience
        if self.recurrence:
            expected = self.recurrence.nearest(run.cause_ms) + self.recurrence.period_ms
            closes = max(closes, expected + patience)
        if self.due_ms is not None:  # a clock that was put back or forward shifts the beat, and not the schedule
            closes = max(closes, self.due_ms + patience)
        return closes


@dataclass(slots=True)
class CaseBook:
    """All that verdicts remember: plain data, kept in state as `packed` has it.

    Bounds: of a victim or volume `time.before` windows (unusual ones only) and a running effect; 200 effects, 200 runs
    of a case, 200 bursts of a tenant on a volume, 64 spans of data each; at most MOST_CLOSED closed cases and
    MOST_TRACKS tenants with bursts, the latest ones; victims and volumes silent for `time.forget_after` are forgotten.
    Open cases are at most those that a victim, and a scheduled tenant, can have at a time.
    """

    MOST_CLOSED = 2_000
    MOST_TRACKS = 20_000

    victims: dict[str, VictimTrack] = field(default_factory=dict)
    volumes: dict[str, VolumeTrack] = field(default_factory=dict)
    bursts: dict[tuple[str, str], BurstTrack] = field(default_factory=dict)  # by tenant and volume
    cases: dict[str, Case] = field(default_factory=dict)
    wanted: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # scope: asked up to, wanted up to
    end_ms: int = 0  # of the last window

    def packed(self) -> bytes:
        """The book as it is now, in a third of what it is pickled."""
        return _mark() + zstandard.compress(pickle.dumps(self), 1)

    @classmethod
    def unpacked(cls, packed: bytes) -> CaseBook:
        """The book that was packed. AfootError if that was another version's."""
        if not packed.startswith(_mark()):
            raise AfootError(
                f"the cases in this job's state are another version's; this one reads version {VERSION}: "
                "start with --fresh, cases that go on are found again"
            )
        book: CaseBook = pickle.loads(zstandard.decompress(packed.removeprefix(_mark())))
        return book

    def case(self, identity: Identity, first_ms: int) -> Case:
        """The case of that identity, a new one if it is not known."""
        found = self.cases.get(identity.finding_id)
        if found is None:
            found = self.cases[identity.finding_id] = Case(identity, first_ms)
        return found

    def open_cases(self) -> list[Case]:
        """Open cases, in the order of their ids."""
        return [case for _, case in sorted(self.cases.items()) if case.state == "open"]

    def forget(self, now_ms: int, rules: Rules) -> None:
        """Keeps the book within its bounds; what goes is the oldest."""
        limit = now_ms - rules.time.ms("forget_after")
        for victim in [name for name, track in self.victims.items() if track.last_ms < limit and not track.episode]:
            del self.victims[victim]
        for volume in [name for name, track in self.volumes.items() if track.last_ms < limit]:
            del self.volumes[volume]
        for scope in [scope for scope, (_, wanted) in self.wanted.items() if wanted < now_ms]:
            del self.wanted[scope]
        closed = [(case.runs[-1].end_ms, name) for name, case in self.cases.items() if case.state != "open"]
        for _, name in sorted(closed)[: max(0, len(closed) - self.MOST_CLOSED)]:
            del self.cases[name]
        if len(self.bursts) > self.MOST_TRACKS:
            oldest = sorted((track.bursts[-1].end_ms, pair) for pair, track in self.bursts.items())
            for _, pair in oldest[: len(self.bursts) - self.MOST_TRACKS]:
                del self.bursts[pair]


def _mark() -> bytes:
    return b"cases %d\n" % VERSION


def most_suspect(evidence: list[Evidence]) -> tuple[list[Evidence], int]:
    """The rows of the suspects that an alert has, accused ones first; and how many more suspects there are."""
    verdicts: dict[str, str] = {}
    for row in evidence:
        verdicts.setdefault(row.entity, row.verdict)
    ranked = sorted(verdicts, key=lambda entity: RANKS[verdicts[entity]])
    place = {entity: rank for rank, entity in enumerate(ranked[:MOST_SUSPECTS])}
    kept = sorted((row for row in evidence if row.entity in place), key=lambda row: place[row.entity])
    return kept, max(0, len(ranked) - MOST_SUSPECTS)


def suspects_of(evidence: list[Evidence]) -> list[dict[str, Any]]:
    """The suspects of an alert in the order of their rows, each with these."""
    by_entity: dict[str, dict[str, Any]] = {}
    for row in evidence:
        suspect = by_entity.setdefault(
            row.entity,
            {
                "entity": row.entity,
                "component": row.component,
                "verdict": row.verdict,
                "share": row.share,
                "reason": row.reason,
                "evidence": [],
            },
        )
        if suspect["share"] is None:
            suspect["share"] = row.share
        suspect["evidence"].append(
            {
                "signal": row.signal,
                "observed": row.observed,
                "expected": row.expected,
                "unit": row.unit,
                "score": row.score,
                "reason": row.reason,
                "pointers": [pointer._asdict() for pointer in row.pointers],
            }
        )
    return list(by_entity.values())


def alert(finding: Finding, case: Case) -> dict[str, Any]:
    """The value of an alert: the finding's columns, and the suspects as they were last heard."""
    columns: Mapping[str, Any] = finding._asdict()
    return {**columns, "suspects": suspects_of(case.heard), "suspects_omitted": case.omitted}
