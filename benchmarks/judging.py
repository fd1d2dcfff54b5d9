"""Findings against the truth of a capture: what is right of each answer, and in words what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Truth = Mapping[str, Any]

ANSWERS = ("culprit", "victim", "volume", "schedule", "period")
SHARE_TOLERANCE = 0.15
PHASE_TOLERANCE_S = 120  # two windows
START_TOLERANCE_S = 300  # a rise needs some minutes to be felt


@dataclass
class Judgement:
    """Of one capture: which answers are right, and whether the scenario's own criterion is met."""

    answers: dict[str, bool]
    criterion: bool = True
    wrong: list[str] = field(default_factory=list)
    claims: list[tuple[float, bool]] = field(default_factory=list)  # of each revision that accuses: how sure, and right

    @property
    def right(self) -> bool:
        """Whether all is as it must be."""
        return self.criterion and all(self.answers.values())

    def check(self, holds: bool, otherwise: str) -> None:
        """A part of the scenario's criterion."""
        if not holds:
            self.criterion = False
            self.wrong.append(otherwise)


def judge(truth: Truth, findings: Iterable[Row], evidence: Iterable[Row]) -> Judgement:
    """Judges the rows of a lake, all revisions, by the columns that the lake has.

    The answers are those of every finding that must appear; the criterion is that nothing else above info appears and
    what the scenario is about: shares, who is cleared, who is unknown, who is never named.
    """
    findings = list(findings)
    latest = _latest(findings)
    heard = _last_heard(evidence)
    found = Judgement({answer: True for answer in ANSWERS})
    expected = truth["expected"]
    matched: list[Row] = []
    for entry in expected:
        finding = _match(entry, latest, expected)
        if finding is None:
            found.answers = {answer: False for answer in ANSWERS}
            found.wrong.append(f"no {entry['kind']} by {entry['culprit']} on {entry['victim']}")
            continue
        matched.append(finding)
        for answer, wrong in _answers(entry, finding, truth).items():
            if wrong:
                found.answers[answer] = False
                found.wrong.append(wrong)
        _check_expected(found, entry, finding, heard.get(finding["finding_id"], []))
        _check_runs(found, entry, finding, truth)
    known = {finding["finding_id"] for finding in matched}
    for finding in latest:
        stray = finding["finding_id"] not in known and not _harmless(finding, truth, matched)
        found.check(not stray, f"not expected: {told(finding)}")
    _check_hearings(found, truth, latest, matched, heard)
    found.claims = [
        (finding["confidence"], any(_agrees(entry, finding) for entry in expected))
        for finding in findings
        if finding["culprit_entity"] and finding["severity"] != "info"
    ]
    return found


def told(finding: Row) -> str:
    """A finding in a line."""
    who = f"{finding['kind']} by {finding['culprit_entity']} via {finding['culprit_via']} on {finding['victim_entity']}"
    return f"{finding['severity']} {who} ({finding['state']})"


def _latest(findings: Iterable[Row]) -> list[Row]:
    by_id: dict[str, Row] = {}
    for finding in findings:
        known = by_id.get(finding["finding_id"])
        if known is None or (finding["as_of"], finding["revision"]) > (known["as_of"], known["revision"]):
            by_id[finding["finding_id"]] = finding
    return [by_id[name] for name in sorted(by_id)]


def _last_heard(evidence: Iterable[Row]) -> dict[str, list[Row]]:
    """The evidence of the last revision of each finding that has any."""
    by_id: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in evidence:
        by_id[row["finding_id"]][row["revision"]].append(row)
    return {name: revisions[max(revisions)] for name, revisions in by_id.items()}


def _agrees(entry: Truth, finding: Row) -> bool:
    """Whether a finding accuses whom it must: kind, culprit, victim and shared resource."""
    said = (finding["kind"], finding["culprit_entity"], finding["victim_entity"], finding["culprit_via"])
    return said == (entry["kind"], entry["culprit"], entry["victim"], entry["via"])


def _match(entry: Truth, latest: Sequence[Row], expected: Sequence[Truth]) -> Row | None:
    """The finding that tells what must be found: the one with most of its fields, no other's."""
    others = {(e["kind"], e["culprit"]) for e in expected if e is not entry}
    best: Row | None = None
    best_count = 0
    for finding in latest:
        if finding["kind"] != entry["kind"] or (finding["kind"], finding["culprit_entity"]) in others:
            continue
        count = sum(
            finding[column] == entry[name]
            for column, name in (("culprit_entity", "culprit"), ("victim_entity", "victim"), ("culprit_via", "via"))
        )
        if count > best_count:
            best, best_count = finding, count
    return best


def _answers(entry: Truth, finding: Row, truth: Truth) -> dict[str, str]:
    """Each answer with what is wrong about it, "" where it is right."""
    found = {}
    for answer, column, name in (
        ("culprit", "culprit_entity", "culprit"),
        ("victim", "victim_entity", "victim"),
        ("volume", "culprit_via", "via"),
        ("schedule", "schedule_id", "schedule"),
    ):
        said, meant = finding[column], entry[name]
        found[answer] = "" if said == meant else f"{answer} {said}, truth {meant}"
    found["period"] = _period(entry, finding, truth)
    return found


def _period(entry: Truth, finding: Row, truth: Truth) -> str:
    said, phase = finding["recurrence_period_s"], finding["recurrence_phase_s"]
    meant = entry["period_s"]
    if entry["at_random"]:
        return f"period {said} s, truth none" if said else ""
    if meant is None:
        return ""  # runs too few to tell, or none that recur by design
    if said != meant:
        return f"period {said} s, truth {meant} s"
    # Where the clocks change the beat does too: it is that of the runs before, or after.
    runs = [run["start"] // 1000 for run in truth["runs"] if run["ran"] and run["schedule"] == entry["schedule"]]
    off = min(abs((phase - start + meant / 2) % meant - meant / 2) for start in (entry["phase_s"], *runs))
    if off > PHASE_TOLERANCE_S:
        return f"phase {phase} s, truth {entry['phase_s']} s of {meant} s"
    return ""


def _check_expected(found: Judgement, entry: Truth, finding: Row, rows: Sequence[Row]) -> None:
    state, confidence = finding["state"], finding["confidence"]
    found.check(entry["state"] in ("any", state), f"{state} at the end, truth {entry['state']}")
    limit = entry["max_confidence"]
    found.check(limit == 1.0 or confidence < limit, f"confidence {confidence:.2f}, at most {limit} is honest")
    if finding["culprit_entity"] and entry["victim"] and entry["shares"] and limit == 1.0:
        shares = {row["entity"]: row["share"] for row in rows if row["share"] is not None}
        for entity, meant in entry["shares"].items():
            said = shares.get(entity, 0.0)
            off = abs(said - meant)
            found.check(off <= SHARE_TOLERANCE, f"share of {entity} {said:.2f}, truth {meant:.2f}")
        whole = sum(row["share"] for row in rows if row["share"] is not None)
        found.check(abs(whole - 1) < 1e-6, f"shares and residual add up to {whole:.4f}")
    begun = (finding["window_start"] - entry["from_ms"]) / 1000
    found.check(abs(begun) <= START_TOLERANCE_S, f"begins {begun:.0f} s after its cause")


def _check_runs(found: Judgement, entry: Truth, finding: Row, truth: Truth) -> None:
    """Runs of the schedule that were seen, and those that the victim felt, are counted as they were."""
    runs = [run for run in truth["runs"] if run["schedule"] == entry["schedule"]]
    if entry["schedule"] and entry["victim"] and finding["schedule_id"] == entry["schedule"]:
        said = (finding["runs_seen"], finding["runs_with_effect"])
        meant = (len(runs), sum(run["effect"] for run in runs))
        found.check(said == meant, f"{said[1]} of {said[0]} runs had an effect, truth {meant[1]} of {meant[0]}")


def _harmless(finding: Row, truth: Truth, matched: Sequence[Row]) -> bool:
    """Whether a finding that nobody expects may be there all the same."""
    if finding["severity"] == "info":
        return True
    if finding["kind"] in truth["allowed"]:
        return True
    return finding["state"] == "superseded" and finding["superseded_by"] in {f["finding_id"] for f in matched}


def _check_hearings(
    found: Judgement, truth: Truth, latest: Sequence[Row], matched: Sequence[Row], heard: Mapping[str, Sequence[Row]]
) -> None:
    serious = {finding["finding_id"] for finding in latest if finding["severity"] != "info"}
    for finding_id in sorted(serious):
        for row in heard.get(finding_id, ()):
            wronged = row["verdict"] in ("culprit", "contributor") and row["entity"] in truth["innocents"]
            found.check(not wronged, f"{row['entity']} is {row['verdict']}, and innocent")
    accused = {finding["culprit_entity"] for finding in latest}
    rulings: dict[str, set[str]] = defaultdict(set)
    for rows in heard.values():
        for row in rows:
            rulings[row["entity"]].add(row["verdict"])
    accused |= {entity for entity, verdicts in rulings.items() if verdicts & {"culprit", "contributor"}}
    for entity in truth["never_named"]:
        found.check(entity not in accused, f"{entity} is named, and has nothing to do with it")
    # Of an effect: a job that harmed nobody may well say that the volume had room.
    of_effects = {finding["finding_id"] for finding in latest if finding["victim_entity"]}
    cleared = {row["entity"] for name in of_effects for row in heard.get(name, ()) if row["verdict"] == "cleared"}
    for entity in truth["unknown"]:
        found.check(entity not in cleared, f"{entity} is cleared without data")
    for finding in matched:
        if finding["victim_entity"] is None:
            continue
        of_finding = {row["entity"]: row["verdict"] for row in heard.get(finding["finding_id"], ())}
        for entity in truth["cleared"]:
            verdict = of_finding.get(entity, "not heard")
            found.check(verdict == "cleared", f"{entity} is {verdict} for {finding['kind']}, truth cleared")
        for entity in truth["unknown"]:
            verdict = of_finding.get(entity, "not heard")
            found.check(verdict in ("unknown", "culprit"), f"{entity} is {verdict}, truth unknown")
