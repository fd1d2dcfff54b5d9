"""The rules as data: thresholds, hearings, conditions and words of rules.yaml, read strictly."""

from __future__ import annotations

import operator
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from afoot.errors import UsageError

MINUTE_MS = 60_000

# The facts that a rule may ask about an effect; docs/rules says how each is found.
FACTS = (
    "unready_lead_minutes",
    "pressed_windows",
    "pressed_rise",
    "stalled_windows",
    "foreign_part",
    "attributed",
    "top_share",
    "volume_heard",
    "dark_windows",
    "dark_share",
    "input_windows",
    "load_part",
)
CANDIDATES = ("unready", "tenants", "inputs", "dark_tenants", "nobody")
PLACEHOLDERS = (
    "culprit",
    "victim",
    "via",
    "share",
    "measure",
    "observed",
    "expected",
    "cause_observed",
    "cause_expected",
    "by_schedule",
    "or_schedule",
    "recurring",
    "matched",
    "why",
    "missing",
)

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"(\w+) (>=|<=|>|<) (-?\d+(?:\.\d+)?)( or unknown)?")


@dataclass(frozen=True)
class Condition:
    """One condition on a fact, as in `load_part < 0.5 or unknown`."""

    text: str
    fact: str
    compare: str
    bound: float
    or_unknown: bool

    @classmethod
    def parse(cls, text: str, where: str) -> Condition:
        """Reads a condition; UsageError names the place and what is allowed."""
        found = _CONDITION.fullmatch(text)
        if not found:
            raise UsageError(
                f"{where}: condition {text!r} is not of the form 'FACT >= NUMBER' "
                f"(allowed: {' '.join(_OPERATORS)}, and ' or unknown' at its end)"
            )
        if found[1] not in FACTS:
            raise UsageError(f"{where}: {_unknown('fact', found[1], FACTS)}")
        return cls(text, found[1], found[2], float(found[3]), bool(found[4]))

    def holds(self, facts: Mapping[str, float | None]) -> bool:
        """Whether the condition holds; a fact that is not known is None."""
        value = facts.get(self.fact)
        return self.or_unknown if value is None else _OPERATORS[self.compare](value, self.bound)


@dataclass(frozen=True)
class Time:
    """Minutes of event time; `ms(name)` gives milliseconds."""

    before: int
    gap: int
    decide_after: int
    close_after: int
    lasting: int
    forget_after: int
    signals_around: int

    def ms(self, name: str) -> int:
        """The duration of that name in milliseconds."""
        return int(getattr(self, name)) * MINUTE_MS


@dataclass(frozen=True)
class Raised:
    """When a signal counts as up."""

    score: float
    input_ratio: float
    strain_ratio: float
    saturated_ratio: float
    foreign_part: float
    tenant_part: float
    burst_ratio: float
    carried_part: float
    carried_near: float
    bytes_an_operation: float
    headroom: float
    stalled_ratio: float


@dataclass(frozen=True)
class HeardParts:
    """Parts of an effect's windows that must have a signal."""

    to_clear: float
    to_clear_chain: float
    to_accuse: float


@dataclass(frozen=True)
class ShareFloors:
    """Shares that make a contributor, and that keep a culprit; and how exact a lead is."""

    contributor: float
    incumbent: float
    load_contributor: float
    acted: float
    felt: float
    guessed: float
    error: float
    unmeasured: float


@dataclass(frozen=True)
class Severity:
    """What makes an effect critical."""

    critical_factor: float
    critical_minutes: int


@dataclass(frozen=True)
class RecurrenceRule:
    """When runs have a period."""

    runs: int
    inliers: float
    occupied: float
    tolerance: float
    tolerance_minutes: int
    odds: float
    onsets: int


@dataclass(frozen=True)
class ScheduleRule:
    """When runs follow a schedule, and when a run is off it."""

    matched: float
    tolerance: float
    tolerance_minutes: int
    acted: float
    chance: float
    runs: int
    longer: float
    longer_minutes: int
    heavier: float


@dataclass(frozen=True)
class Hearing:
    """The signals by which a kind of component is heard."""

    input: str = ""
    output: str = ""
    health: tuple[str, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def signals(self) -> tuple[str, ...]:
        """All of them, the deciding ones first."""
        first = (self.input, self.output) if self.input else (self.output,)
        return tuple(signal for signal in (*first, *self.health, *self.context) if signal)

    @property
    def deciding(self) -> tuple[str, ...]:
        """Those that clear the component while they are steady."""
        return tuple(signal for signal in (self.input, *self.health) if signal)


@dataclass(frozen=True)
class Weights:
    """Confidence = base + the weights times their terms (each 0..1), at most `most`, times that the first is first."""

    base: float
    heard: float
    runs: float
    effect: float
    schedule: float
    most: float

    def confidence(self, first: float, heard: float, runs: int, effect: float, scheduled: bool) -> float:
        """The confidence of a finding: see docs/rules for the terms."""
        total = (
            self.base
            + self.heard * heard
            + self.runs * (1 - 1 / max(1, runs))
            + self.effect * effect
            + self.schedule * scheduled
        )
        return max(0.0, min(self.most, total)) * first


@dataclass(frozen=True)
class Rule:
    """A verdict: its kind, the candidates whose first it names, and its conditions."""

    name: str
    version: int
    kind: str
    names: str
    when: tuple[Condition, ...]
    confidence: Weights

    @property
    def label(self) -> str:
        """The rule and its version, as findings carry it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class JobRule:
    """A rule about scheduled jobs."""

    version: int
    confidence: Weights


@dataclass(frozen=True)
class Texts:
    """The words of a kind of finding; placeholders in braces."""

    title: str
    summary: str
    remedy: str


@dataclass(frozen=True)
class Rules:
    """Everything that rules.yaml says."""

    time: Time
    raised: Raised
    heard: HeardParts
    shares: ShareFloors
    severity: Severity
    recurrence: RecurrenceRule
    schedule: ScheduleRule
    hearing: dict[str, Hearing]
    strain: tuple[str, ...]
    effect: tuple[str, ...]
    rules: tuple[Rule, ...]
    jobs: dict[str, JobRule]
    texts: dict[str, Texts]

    def hearing_of(self, component: str, type: str) -> Hearing | None:
        """How an entity is heard, None if it is not."""
        return self.hearing.get(f"{component}/{type}") or self.hearing.get(type)

    def texts_of(self, rule: str, kind: str) -> Texts:
        """The words of a rule: its own, else those of its kind."""
        return self.texts.get(rule) or self.texts[kind]

    def first(self, facts: Mapping[str, float | None]) -> Rule:
        """The first rule of which every condition holds."""
        return next(rule for rule in self.rules if all(condition.holds(facts) for condition in rule.when))


@cache
def shipped_rules() -> Rules:
    """The rules that come with the product."""
    return _read(resources.files("afoot.verdicts").joinpath("rules.yaml").read_text("utf-8"), "rules.yaml")


def load_rules(path: Path) -> Rules:
    """The rules of a file of one's own; UsageError names file and key, and the nearest key that is known."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return _read(text, str(path))


def _read(text: str, file: str) -> Rules:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{file}: not YAML: {error}") from error
    rules: Rules = _build(Rules, data, file)
    if not rules.rules or rules.rules[-1].when:
        raise UsageError(f"{file}: rules: the last rule must have no condition, or an effect could be left without one")
    kinds = {rule.kind for rule in rules.rules} | set(rules.jobs)
    for name in sorted(set(rules.texts) - kinds - {rule.name for rule in rules.rules}):
        raise UsageError(f"{file}: texts: {_unknown('kind or rule', name, sorted(kinds))}")
    for kind in sorted(kinds - set(rules.texts)):
        raise UsageError(f"{file}: texts.{kind}: missing; every kind of finding needs its words")
    for rule in rules.rules:
        if rule.names not in CANDIDATES:
            raise UsageError(f"{file}: rules.{rule.name}.names: {_unknown('candidates', rule.names, CANDIDATES)}")
    for kind, texts in rules.texts.items():
        for name in ("title", "summary", "remedy"):
            _check_placeholders(getattr(texts, name), f"{file}: texts.{kind}.{name}")
    return rules


def _check_placeholders(text: str, where: str) -> None:
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    for name in names:
        if name not in PLACEHOLDERS:
            raise UsageError(f"{where}: {_unknown('placeholder', name, PLACEHOLDERS)}")


def _build(kind: Any, data: Any, where: str) -> Any:
    """`data` as a value of the type `kind`, whose fields are the keys allowed."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Condition:
        return Condition.parse(_build(str, data, where), where)
    if is_dataclass(kind):
        return _build_fields(kind, data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise UsageError(f"{where}: found {_shown(data)}; allowed: a list")
        return tuple(_build(arguments[0], item, _place(where, item, index)) for index, item in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            raise UsageError(f"{where}: found {_shown(data)}; allowed: keys with their values")
        return {str(key): _build(arguments[1], value, f"{where}.{key}") for key, value in data.items()}
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or isinstance(data, bool):
        raise UsageError(f"{where}: found {_shown(data)}; allowed: {_NAMES[kind]}")
    if kind is not str and not 0 <= data < 1e6:
        raise UsageError(f"{where}: found {data}; allowed: 0 to 1000000")
    return data


def _build_fields(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise UsageError(f"{where}: found {_shown(data)}; allowed: keys with their values")
    types = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for key in data:
        if key not in names:
            raise UsageError(f"{where}: {_unknown('key', str(key), names)}")
    for field in fields(kind):
        if field.name not in data and field.default is MISSING:
            raise UsageError(f"{where}: key {field.name!r} is missing")
    prefix = f"{where}: " if kind is Rules else f"{where}."
    return kind(**{name: _build(types[name], value, f"{prefix}{name}") for name, value in data.items()})


def _place(where: str, item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return f"{where}.{name}" if name else f"{where}[{index}]"


def _unknown(what: str, found: str, allowed: Iterable[str]) -> str:
    near = get_close_matches(found, list(allowed), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {found!r}{hint} Allowed: {', '.join(allowed)}"


def _shown(data: Any) -> str:
    return "nothing" if data is None else repr(data)[:80]


_NAMES = {int: "a whole number", float: "a number", str: "a text"}
