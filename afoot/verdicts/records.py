"""What goes out: rows of the tables findings and evidence, alerts, and requests for signals to be kept."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, NamedTuple

from afoot.verdicts.inputs import Pointer

State = Literal["open", "closed", "superseded"]
Ruling = Literal["culprit", "contributor", "victim", "cleared", "unknown"]


class Finding(NamedTuple):
    """A revision of a finding: the columns of the lake's table, times in epoch ms."""

    finding_id: str
    revision: int
    as_of: int
    state: State
    superseded_by: str | None
    kind: str
    severity: str
    window_start: int
    window_end: int
    victim_entity: str | None
    victim_component: str | None
    victim_signal: str | None
    victim_observed: float | None
    victim_expected: float | None
    victim_unit: str | None
    culprit_entity: str | None
    culprit_component: str | None
    culprit_via: str | None
    culprit_share: float | None
    confidence: float
    schedule_id: str | None
    schedule_expression: str | None
    schedule_command: str | None
    recurrence_period_s: int | None
    recurrence_phase_s: int | None
    runs_seen: int
    runs_with_effect: int
    summary: str
    remedy: str
    rule: str

    @property
    def component(self) -> str:
        """The partition of the lake: the culprit's component, the victim's while there is no culprit."""
        return (self.culprit_component if self.culprit_entity else self.victim_component) or "unknown"


class Evidence(NamedTuple):
    """What one signal of one entity says in a revision: the columns of the lake's table, times in epoch ms."""

    finding_id: str
    revision: int
    entity: str
    component: str
    verdict: Ruling
    share: float | None
    reason: str
    signal: str
    observed: float | None
    expected: float | None
    unit: str
    score: float | None
    window_start: int
    window_end: int
    as_of: int
    pointers: tuple[Pointer, ...]


class SignalRequest(NamedTuple):
    """A window of a victim's chain or of a volume whose signals are to be kept; asked for once."""

    kind: Literal["victim", "volume"]
    scope: str
    window_end_ms: int
    as_of_ms: int


class Output(NamedTuple):
    """Everything that one window gives."""

    findings: list[Finding]
    evidence: list[Evidence]
    alerts: list[dict[str, Any]]
    requests: list[SignalRequest]
    books: dict[str, int]


def rounded(value: float | None) -> float | None:
    """A number as it is stored: 9 significant digits, so that equal inputs give equal rows on every machine."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def quantity(value: float | None, unit: str) -> str:
    """A number as a sentence says it: `8.2 ms`, `1.25 MB/s`, `1,210 op/s`, `unknown`."""
    if value is None:
        return "unknown"
    if unit == "s":
        return _scaled(value, (("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0)), {"min": 120.0})
    if unit in ("By/s", "By"):
        return _scaled(value, (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)), {}) + unit[2:]
    if unit == "1":
        return _digits(value)
    return f"{_digits(value)} {_ANNOTATION.sub(_plural, unit)}".strip()


_ANNOTATION = re.compile(r"\{(\w+)\}")
_ABBREVIATED = ("op", "cpu")


def _plural(annotation: re.Match[str]) -> str:
    name = annotation[1]
    return name if name in _ABBREVIATED else f"{name}es" if name.endswith("s") else f"{name}s"


def _scaled(value: float, units: tuple[tuple[str, float], ...], at_least: dict[str, float]) -> str:
    name, factor = units[0]
    for larger, size in units[1:]:
        if abs(value) >= at_least.get(larger, size):
            name, factor = larger, size
    if value == 0:
        return f"0 {'s' if name == 'us' else name}"
    return f"{_digits(value / factor)} {name}"


def _digits(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(part: float | None) -> str:
    """A part of 1 as `93 %`."""
    return "unknown" if part is None else f"{100 * part:.0f} %"
