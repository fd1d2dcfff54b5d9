"""Rules as data: what the file may say, what an error says, and which facts meet which rule."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from afoot.errors import UsageError
from afoot.verdicts.rules import FACTS, Condition, Rules, load_rules, shipped_rules

RULES = shipped_rules()
TEXT = resources.files("afoot.verdicts").joinpath("rules.yaml").read_text("utf-8")

CONTENTION: dict[str, float | None] = {
    "pressed_windows": 3,
    "foreign_part": 1.0,
    "attributed": 0.95,
    "top_share": 0.9,
    "volume_heard": 1.0,
    "input_windows": 0,
    "dark_windows": 0,
}
LOAD: dict[str, float | None] = {
    "input_windows": 5,
    "load_part": 0.9,
    "volume_heard": 1.0,
    "pressed_windows": 0,
    "dark_windows": 0,
}
DARK: dict[str, float | None] = {
    "dark_windows": 3,
    "dark_share": 0.8,
    "volume_heard": 0.0,
    "pressed_windows": 0,
    "input_windows": 0,
}


@pytest.mark.parametrize(
    ("facts", "change", "rule"),
    [
        (CONTENTION, {}, "shared_volume_contention"),
        (CONTENTION, {"pressed_windows": 0}, "unexplained"),
        (CONTENTION, {"foreign_part": 0.5}, "shared_volume_contention"),
        (CONTENTION, {"foreign_part": 0.49}, "unexplained"),
        (CONTENTION, {"attributed": 0.49}, "unexplained"),
        (CONTENTION, {"top_share": 0.19}, "unexplained"),
        (CONTENTION, {"input_windows": 4, "load_part": 0.49}, "shared_volume_contention"),
        (CONTENTION, {"input_windows": 4, "load_part": 0.5}, "upstream_load"),
        (CONTENTION, {"input_windows": 4, "load_part": None}, "shared_volume_contention"),
        (CONTENTION, {"unready_lead_minutes": 1}, "not_ready"),
        (CONTENTION, {"unready_lead_minutes": 0}, "shared_volume_contention"),
        (LOAD, {}, "upstream_load"),
        (LOAD, {"load_part": None}, "upstream_load"),
        (LOAD, {"load_part": 0.4}, "unexplained"),
        (LOAD, {"input_windows": 1}, "unexplained"),
        (LOAD, {"unready_lead_minutes": -3}, "upstream_load"),
        (LOAD, {"unready_lead_minutes": 3}, "not_ready"),
        (DARK, {}, "tenant_io_alone"),
        (DARK, {"volume_heard": 0.5}, "unexplained"),
        (DARK, {"dark_share": 0.49}, "unexplained"),
        (DARK, {"dark_windows": 0}, "unexplained"),
        (DARK, {"input_windows": 4, "load_part": 0.8}, "upstream_load"),
        ({}, {}, "unexplained"),
        (dict.fromkeys(FACTS), {}, "unexplained"),
    ],
)
def test_the_first_rule_that_holds(facts: dict[str, float | None], change: dict[str, float | None], rule: str) -> None:
    assert RULES.first({**facts, **change}).name == rule


def test_a_rule_carries_its_version() -> None:
    assert RULES.first(CONTENTION).label == "shared_volume_contention@2"


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("load_part >= 0.5", 0.5, True),
        ("load_part > 0.5", 0.5, False),
        ("load_part < 0.5", 0.5, False),
        ("load_part <= 0.5", 0.5, True),
        ("load_part < 0.5", None, False),
        ("load_part < 0.5 or unknown", None, True),
        ("unready_lead_minutes >= -1", -1, True),
    ],
)
def test_conditions(text: str, value: float | None, holds: bool) -> None:
    condition = Condition.parse(text, "here")
    assert condition.holds({condition.fact: value}) == holds


def changed(tmp_path: Path, old: str, new: str) -> Rules:
    assert old in TEXT
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    return load_rules(path)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    assert changed(tmp_path, "critical_minutes: 15", "critical_minutes: 30").severity.critical_minutes == 30


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("close_after: 15", "close_afer: 15", "mine.yaml: time: unknown key 'close_afer'; did you mean 'close_after'?"),
        ("close_after: 15 #", "#", "mine.yaml: time: key 'close_after' is missing"),
        ("close_after: 15", "close_after: soon", "mine.yaml: time.close_after: found 'soon'; allowed: a whole number"),
        ("close_after: 15", "close_after: 1.5", "mine.yaml: time.close_after: found 1.5; allowed: a whole number"),
        ("close_after: 15", "close_after: -1", "mine.yaml: time.close_after: found -1; allowed: 0 to 1000000"),
        ("close_after: 15", "close_after: true", "mine.yaml: time.close_after: found True; allowed: a whole number"),
        ("odds: 20", "odds: .nan", "mine.yaml: recurrence.odds: found nan; allowed: 0 to 1000000"),
        ("- pressed_windows >= 1", "- pressed_window >= 1", "did you mean 'pressed_windows'?"),
        ("- pressed_windows >= 1", "- pressed_windows = 1", "is not of the form 'FACT >= NUMBER'"),
        ("names: tenants", "names: tenant", "rules.shared_volume_contention.names: unknown candidates 'tenant'"),
        ("{culprit}{by_schedule} took", "{culprt} took", "texts.shared_volume_contention.summary: unknown placeholder"),
        ("  expected_job:\n    title", "  expectd_job:\n    title", "texts: unknown kind or rule 'expectd_job'"),
        ("    when: []", "    when: [load_part > 0]", "the last rule must have no condition"),
        ("strain: [latency, queue]", "strain: latency", "mine.yaml: strain: found 'latency'; allowed: a list"),
        ("time:", "tyme:", "mine.yaml: unknown key 'tyme'; did you mean 'time'?"),
        ("time:", "time: [", "mine.yaml: not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(tmp_path, old, new)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml: cannot be read: No such file"):
        load_rules(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("text", ["", "[]", "1"])
def test_a_file_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"mine\.yaml: found .*; allowed: keys with their values"):
        load_rules(tmp_path / "mine.yaml")


def test_component_and_type_come_before_type_alone() -> None:
    ingestion, other = RULES.hearing_of("ingestion", "pod"), RULES.hearing_of("processor", "pod")
    assert ingestion is not None and ingestion.input == "bytes_in"
    assert other is not None and other.input == ""
    assert RULES.hearing_of("compute", "vm") is None


@pytest.mark.parametrize(
    ("first", "runs", "effect", "scheduled", "confidence"),
    [
        (1.0, 1, 0.5, False, 0.915),
        (1.0, 3, 2 / 3, False, 0.9733),
        (1.0, 2, 0.5, False, 0.95),
        (0.5, 1, 0.5, False, 0.4575),
        (1.0, 1000, 1.0, True, 0.98),
    ],
)
def test_confidence_grows_with_the_lead_runs_and_effects(
    first: float, runs: int, effect: float, scheduled: bool, confidence: float
) -> None:
    weights = RULES.first(CONTENTION).confidence
    assert weights.confidence(first, 1.0, runs, effect, scheduled) == pytest.approx(confidence, abs=1e-4)


def test_tenants_alone_never_reach_six_tenths() -> None:
    weights = RULES.first(DARK).confidence
    assert weights.confidence(1.0, 1.0, 1_000, 1.0, True) < 0.6
