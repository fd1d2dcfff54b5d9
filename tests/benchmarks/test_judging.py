"""The judge of the scenarios: a right finding passes, and each thing that is wrong about one is told."""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

import pytest

from afoot.simulate.run import judge as truth_of
from afoot.simulate.run import play
from benchmarks.judging import Judgement, judge
from benchmarks.scenarios import Outcome, calibration, table

Row = dict[str, Any]


@functools.cache
def truth(scenario: str = "hourly_backup") -> Row:
    return asdict(truth_of(play(scenario, 0)))


def finding(**changes: Any) -> Row:
    """The finding that the backup's truth expects, with changes."""
    (entry,) = truth()["expected"]
    runs = len(truth()["runs"])
    right = {
        "finding_id": "f",
        "revision": 1,
        "as_of": entry["to_ms"],
        "state": "open",
        "superseded_by": None,
        "severity": "critical",
        "kind": entry["kind"],
        "victim_entity": entry["victim"],
        "culprit_entity": entry["culprit"],
        "culprit_via": entry["via"],
        "confidence": 0.95,
        "schedule_id": entry["schedule"],
        "recurrence_period_s": entry["period_s"],
        "recurrence_phase_s": entry["phase_s"],
        "runs_seen": runs,
        "runs_with_effect": runs,
        "window_start": entry["from_ms"],
    }
    return {**right, **changes}


def evidence(**shares: float) -> list[Row]:
    """Everybody heard, with shares of the culprit and of the rest."""
    (entry,) = truth()["expected"]
    of = {"culprit": 0.97, "rest": 0.03, **shares}
    told = [(entry["culprit"], "culprit", of["culprit"]), (entry["via"], "victim", of["rest"])]
    told += [(name, "cleared", None) for name in truth()["cleared"]]
    return [
        {"finding_id": "f", "revision": 1, "entity": name, "verdict": verdict, "share": share}
        for name, verdict, share in told
    ]


def judged(*findings: Row, heard: list[Row] | None = None) -> Judgement:
    return judge(truth(), findings, evidence() if heard is None else heard)


def test_a_right_finding_passes() -> None:
    found = judged(finding())
    assert found.right and found.wrong == []
    assert found.claims == [(0.95, True)]


@pytest.mark.parametrize(
    ("column", "value", "answer"),
    [
        ("culprit_entity", "vm:innocent", "culprit"),
        ("victim_entity", "job:other", "victim"),
        ("culprit_via", "volume:other/v", "volume"),
        ("schedule_id", None, "schedule"),
        ("recurrence_period_s", 7200, "period"),
        ("recurrence_period_s", None, "period"),
    ],
)
def test_each_answer_is_judged(column: str, value: Any, answer: str) -> None:
    found = judged(finding(**{column: value}))
    assert [name for name, right in found.answers.items() if not right] == [answer]
    assert found.claims == [(0.95, column not in ("culprit_entity", "victim_entity", "culprit_via"))]


@pytest.mark.parametrize(("off_s", "right"), [(-120, True), (120, True), (121, False), (-1800, False)])
def test_the_phase_may_be_two_windows_off(off_s: int, right: bool) -> None:
    (entry,) = truth()["expected"]
    found = judged(finding(recurrence_phase_s=(entry["phase_s"] + off_s) % entry["period_s"]))
    assert found.answers["period"] == right


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "closed"}, "closed at the end"),
        ({"runs_with_effect": 1}, "runs had an effect"),
        ({"window_start": 0}, "after its cause"),
    ],
)
def test_the_numbers_of_a_finding_are_judged(changes: Row, said: str) -> None:
    found = judged(finding(**changes))
    assert not found.right and all(found.answers.values())
    assert said in found.wrong[0]


@pytest.mark.parametrize(
    ("shares", "said"), [({"culprit": 0.8, "rest": 0.2}, "share of"), ({"rest": 0.1}, "add up to 1.07")]
)
def test_shares_are_near_the_truth_and_add_up(shares: dict[str, float], said: str) -> None:
    found = judged(finding(), heard=evidence(**shares))
    assert len(found.wrong) == 1 and said in found.wrong[0]


def test_who_must_be_cleared_is_and_no_innocent_is_accused() -> None:
    ingress = truth()["cleared"][0]
    silent = [row for row in evidence() if row["entity"] != ingress]
    assert judged(finding(), heard=silent).wrong == [
        f"{ingress} is not heard for shared_volume_contention, truth cleared"
    ]
    accused = [{**row, "verdict": "contributor"} if row["entity"] == ingress else row for row in evidence()]
    assert f"{ingress} is contributor, and innocent" in judged(finding(), heard=accused).wrong


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({"severity": "warning"}, False),
        ({"severity": "info"}, True),
        ({"severity": "warning", "state": "superseded", "superseded_by": "f"}, True),
        ({"severity": "warning", "state": "superseded", "superseded_by": "other"}, False),
    ],
)
def test_nothing_else_above_info(changes: Row, right: bool) -> None:
    other = finding(finding_id="g", kind="unexplained", culprit_entity=None, culprit_via=None, **changes)
    assert judged(finding(), other).right == right


def test_work_at_random_must_have_no_period() -> None:
    (entry,) = truth()["expected"]
    by_hand = {**truth(), "expected": [{**entry, "at_random": True, "period_s": None, "phase_s": None}]}
    assert not judge(by_hand, [finding()], evidence()).answers["period"]
    without = finding(recurrence_period_s=None, recurrence_phase_s=None)
    assert judge(by_hand, [without], evidence()).answers["period"]


def test_the_tables_count_what_was_right_and_how_sure_it_was() -> None:
    right, wrong = judged(finding()), judged(finding(culprit_entity="vm:innocent", confidence=0.55))
    outcomes = [
        Outcome("hourly_backup", seed, found.answers, found.right, found.wrong, found.claims, 1.0)
        for seed, found in enumerate((right, wrong))
    ]
    lines, met = table(outcomes)
    assert not met
    assert lines[1].split()[:8] == ["hourly_backup", "1/2", "2/2", "2/2", "2/2", "2/2", "1/2", "2/2"]
    assert [line.split() for line in calibration(outcomes)[1:]] == [
        ["0.5", "to", "0.6", "1", "0.550", "0.000"],
        ["0.9", "to", "1.0", "1", "0.950", "1.000"],
    ]
