"""What a catalogue says once it is read: signals, their sources, and who asks for a metric name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

ENTITY_TYPES = (
    "ingress", "deployment", "pod", "container", "topic", "consumer_group", "broker", "job", "claim",
    "persistent_volume", "volume", "aggregate", "vm", "node", "service", "address",
)  # fmt: skip
COMPONENTS = ("router", "ingestion", "broker", "processor", "storage", "compute", "network", "service")
ROLES = ("chain", "lag", "latency", "io", "flow")
HOWS = ("gauge", "poll_mean", "rate", "increase", "stat_sum", "stat_mean", "quantile")
STRAYS = ("both", "up")
ACROSS = ("sum", "max", "mean")
WITHIN = ("mean", "max", "last")

Role = Literal["chain", "lag", "latency", "io", "flow"]
How = Literal["gauge", "poll_mean", "rate", "increase", "stat_sum", "stat_mean", "quantile"]


class LogPattern(NamedTuple):
    """Which log records count: those whose severity matches in full and whose body contains the pattern."""

    severity: re.Pattern[str] | None
    body: re.Pattern[str] | None


class FlowCount(NamedTuple):
    """What of a flow counts, for the address at which end."""

    address: Literal["source", "destination"]
    measure: Literal["bytes", "packets", "sources"]


class Source(NamedTuple):
    """One way to read a signal. Sources of a signal have ranks 0, 1, ...: the first with data for an entity is read.

    `terms` are added up and divided by the sum of `over`, if any; a term is the spellings of one metric.
    `where` holds for `terms` alone: pairs of alternative label names and a pattern that the value matches in full,
    a label that is not there being "".
    """

    signal: str
    family: str
    rank: int
    component: str
    types: tuple[str, ...]
    unit: str
    how: How
    terms: tuple[tuple[str, ...], ...]
    over: tuple[tuple[str, ...], ...]
    where: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    identity: tuple[str, ...]
    within: Literal["mean", "max", "last"]
    across: Literal["sum", "max", "mean"]
    scale: float
    quantile: float | None
    least: float | None
    log: LogPattern | None
    flow: FlowCount | None

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether `where` holds for these labels."""
        for names, pattern in self.where:
            value = next((labels[name] for name in names if name in labels), "")
            if pattern.fullmatch(value) is None:
                return False
        return True


class Signal(NamedTuple):
    """A quantity of an entity, once a window; `floor` is the least spread that its scores are measured by.

    One that strays up alone, as lag does, is at rest where it is low, however much of the time it is not.
    """

    name: str
    about: str
    unit: str
    role: Role
    floor: float
    sources: tuple[Source, ...]
    strays: Literal["both", "up"] = "both"


class Use(NamedTuple):
    """One place where a source asks for a metric: side 0 is its sum, side 1 what that is divided by."""

    source: Source
    side: int
    term: int
    spelling: int


class Catalogue:
    """The signals by name, and who asks for a metric, for log records and for flows."""

    def __init__(self, signals: Mapping[str, Signal]) -> None:
        self.signals: dict[str, Signal] = dict(signals)
        self.logs: tuple[Source, ...] = ()
        self.flows: tuple[Source, ...] = ()
        self._uses: dict[str, tuple[Use, ...]] = {}
        for signal in self.signals.values():
            for source in signal.sources:
                if source.log is not None:
                    self.logs += (source,)
                if source.flow is not None:
                    self.flows += (source,)
                for side, terms in enumerate((source.terms, source.over)):
                    for term, names in enumerate(terms):
                        for spelling, name in enumerate(names):
                            use = Use(source, side, term, spelling)
                            self._uses[name] = (*self._uses.get(name, ()), use)

    def uses(self, metric: str) -> tuple[Use, ...]:
        """Who asks for this metric name; nobody: ()."""
        return self._uses.get(metric, ())

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric name that a signal asks for, sorted."""
        return tuple(sorted(self._uses))
