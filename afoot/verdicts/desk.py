"""Writes revisions, alerts and requests for signals: the life of cases in one window."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from afoot.inventory.graph import Graph, Schedule
from afoot.verdicts.cases import EXPECTED, OVERDUE, Case, CaseBook, alert, most_suspect
from afoot.verdicts.evidence import Statement, rows
from afoot.verdicts.inputs import Reading, Window
from afoot.verdicts.records import Evidence, Finding, Output, SignalRequest, State, rounded
from afoot.verdicts.rules import Rules
from afoot.verdicts.schedules import Counterfactual
from afoot.verdicts.volume import VolumeWindow, volume_window
from afoot.verdicts.words import recurring, sentences


@dataclass(slots=True)
class Subject:
    """What a revision says, apart from the life of its case."""

    rule: str
    confidence: float
    texts: str  # whose words are filled in: a rule's, or those of its kind
    words: dict[str, str]
    victim_component: str | None = None
    victim_signal: str | None = None
    victim: Reading | None = None
    culprit_component: str | None = None
    share: float | None = None
    schedule: Schedule | None = None
    counted: Counterfactual = field(default_factory=lambda: Counterfactual(0, 0))


class Desk:
    """One window's desk: the book that is kept, and what goes out."""

    def __init__(self, book: CaseBook, window: Window, graph: Graph, rules: Rules) -> None:
        self.book, self.window, self.graph, self.rules = book, window, graph, rules
        self.start_ms, self.end_ms = window.start_ms, window.end_ms
        self.window_ms = window.end_ms - window.start_ms
        self.output = Output([], [], [], [], Counter())
        self.volumes: dict[str, VolumeWindow] = {}
        self.suffering: set[str] = set()  # volumes of victims that are affected in this window

    def volume(self, volume: str) -> VolumeWindow:
        """The window of a volume, with its tenants as of the window's end."""
        found = self.volumes.get(volume)
        if found is None:
            io = self.window.volumes.get(volume, {})
            tenants = self.graph.tenants(volume, self.end_ms)
            known = self.book.volumes.get(volume)
            carried, span = known.carried if known else {}, (self.start_ms, self.end_ms)
            found = volume_window(*span, volume, io, tenants, self.rules, carried, self._has_several)
            self.volumes[volume] = found
        return found

    def _has_several(self, tenant: str) -> bool:
        return len(self.graph.scopes(tenant, self.end_ms).volumes) > 1

    def revise(
        self,
        case: Case,
        state: State,
        subject: Subject,
        tell: bool,
        statements: list[Statement],
        span: tuple[int, int],
    ) -> None:
        """Writes a revision with its evidence, and an alert if it is worth one."""
        identity, victim, beat = case.identity, subject.victim, case.recurrence
        if case.state != state:
            self.output.books["reopened" if case.revision else "opened"] += 1
        case.state = state
        case.revision += 1
        run = case.runs[-1]
        schedule = subject.schedule
        case.last = Finding(
            identity.finding_id,
            case.revision,
            self.end_ms,
            state,
            None,
            identity.kind,
            case.severity,
            case.first_ms,
            run.end_ms,
            identity.victim,
            subject.victim_component,
            subject.victim_signal,
            rounded(victim.value) if victim else None,
            rounded(victim.expected) if victim else None,
            victim.unit if victim else None,
            identity.culprit,
            subject.culprit_component,
            identity.via,
            rounded(subject.share),
            rounded(subject.confidence) or 0.0,
            schedule.id if schedule else None,
            schedule.expression if schedule else None,
            schedule.command if schedule else None,
            beat.period_ms // 1000 if beat else None,
            beat.phase_ms // 1000 if beat else None,
            subject.counted.seen,
            subject.counted.with_effect,
            *sentences(self.rules.texts_of(subject.texts, identity.kind), subject.words),
            subject.rule,
        )
        case.texts, case.words = subject.texts, subject.words
        evidence = rows(statements, identity.finding_id, case.revision, self.end_ms, *span)
        case.heard, case.omitted = most_suspect(evidence)
        self._write(case, evidence, tell)

    def again(
        self,
        case: Case,
        state: State,
        tell: bool,
        superseded_by: str | None = None,
        counted: Counterfactual | None = None,
    ) -> None:
        """Writes a revision that has nothing new to say but its state, severity, end and, if given, its runs.

        Its evidence is that of the suspects of an alert, as they were last heard.
        """
        assert case.last is not None
        if counted and case.recurrence:
            case.words["recurring"] = recurring(case.recurrence, counted)
            summary, _ = sentences(self.rules.texts_of(case.texts, case.identity.kind), case.words)
            case.last = case.last._replace(
                runs_seen=counted.seen, runs_with_effect=counted.with_effect, summary=summary
            )
        case.state = state
        case.revision += 1
        case.last = case.last._replace(
            revision=case.revision,
            as_of=self.end_ms,
            state=state,
            superseded_by=superseded_by,
            severity=case.severity,
            window_end=case.runs[-1].end_ms,
        )
        evidence = [row._replace(revision=case.revision, as_of=self.end_ms) for row in case.heard]
        self._write(case, evidence, tell)
        if state != "open":
            self.output.books[state] += 1
            case.heard, case.omitted = [], 0

    def _write(self, case: Case, evidence: list[Evidence], tell: bool) -> None:
        assert case.last is not None
        self.output.findings.append(case.last)
        self.output.evidence.extend(evidence)
        if tell:
            self.output.alerts.append(alert(case.last, case))

    def is_over(self, case: Case) -> bool:
        """Whether a case is to close; not while its victim is unheard, until that has lasted long."""
        closes = case.closes_at(self.rules)
        if self.end_ms < closes or self._goes_on(case):
            return False
        victim = case.identity.victim
        track = self.book.victims.get(victim) if victim else None
        if victim:
            unheard = track is None or track.last_ms < self.end_ms
            if unheard and self.end_ms < closes + self.rules.time.ms("forget_after"):
                return False
        return True

    def _goes_on(self, case: Case) -> bool:
        """Whether a scheduled job's case waits for something: a run yet to be judged, or one that is still missing."""
        kind, tenant, _, volume = case.identity
        track = self.book.bursts.get((tenant or "", volume or ""))
        if track is None or track.heard.spans[-1][1] < self.end_ms:
            return False
        if kind == EXPECTED:
            return track.judged_ms != track.bursts[-1].start_ms
        return kind == OVERDUE and track.missing

    # Signals to keep

    def want(self, kind: str, scope: str, first_ms: int, until_ms: int) -> None:
        asked, wanted = self.book.wanted.get((kind, scope), (first_ms, 0))
        self.book.wanted[kind, scope] = (max(asked, first_ms), max(wanted, until_ms))

    def request_signals(self) -> None:
        """Asks for each window of each scope that is wanted, once."""
        keep = self.rules.time.ms("signals_around") + self.rules.time.ms("before")
        for key, (asked, wanted) in sorted(self.book.wanted.items()):
            first = max(asked, self.end_ms - keep)
            kind: Any = key[0]
            for end_ms in range(first + self.window_ms, min(wanted, self.end_ms) + 1, self.window_ms):
                self.output.requests.append(SignalRequest(kind, key[1], end_ms, self.end_ms))
                asked = end_ms
            self.book.wanted[key] = (max(asked, first), wanted)
            if wanted < self.end_ms - keep:
                del self.book.wanted[key]
