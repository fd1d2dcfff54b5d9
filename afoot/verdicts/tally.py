"""Sums of a signal over the windows of an effect, and the messages they rest on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from afoot.verdicts.inputs import Pointer, Range, Reading

MAX_SCORE = 1_000.0  # a score is a measure of surprise: beyond this it says nothing more


@dataclass(slots=True)
class Pointers:
    """Messages by topic and partition, from first to last: its size is bounded by the partitions."""

    spans: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def add(self, pointers: Iterable[Range]) -> None:
        """Widens the spans."""
        for topic, partition, first, last in pointers:
            span = self.spans.get((topic, partition))
            if span is None:
                self.spans[topic, partition] = [first, last]
            else:
                span[0], span[1] = min(span[0], first), max(span[1], last)

    def merge(self, other: Pointers) -> None:
        """Takes in another's spans."""
        self.add(other.listed())

    def listed(self) -> tuple[Pointer, ...]:
        """The spans in order."""
        return tuple(Pointer(topic, part, *span) for (topic, part), span in sorted(self.spans.items()))


def listed(pointers: Iterable[Range]) -> tuple[Pointer, ...]:
    """Ranges by topic and partition, one each."""
    found = Pointers()
    found.add(pointers)
    return found.listed()


@dataclass(slots=True)
class Tally:
    """Mean of a signal over windows; what was expected only over the windows that had an expectation."""

    signal: str
    unit: str
    count: int = 0
    value: float = 0.0
    judged: int = 0  # windows with an expectation
    judged_value: float = 0.0
    expected: float = 0.0
    spread: float = 0.0
    pointers: Pointers = field(default_factory=Pointers)

    def add(self, reading: Reading) -> None:
        """Adds one window."""
        self.count += 1
        self.value += reading.value
        if reading.expected is not None:
            self.judged += 1
            self.judged_value += reading.value
            self.expected += reading.expected
            self.spread += spread_of(reading)
        self.pointers.add(reading.pointers)

    def mean(self) -> Reading:
        """The mean window: over those with an expectation where there are any."""
        if not self.judged:
            return Reading(self.signal, self.unit, self.value / self.count, None, None, None, self.pointers.listed())
        value, expected, spread = (total / self.judged for total in (self.judged_value, self.expected, self.spread))
        score = score_of(value, expected, spread)
        return Reading(self.signal, self.unit, value, expected, spread, score, self.pointers.listed())


def spread_of(reading: Reading) -> float:
    """The spread that a reading was scored with, 0 if it says none."""
    return reading.spread or 0.0


def score_of(value: float, expected: float, spread: float) -> float:
    """Distance from what is expected in spreads, within +-MAX_SCORE."""
    if value == expected:
        return 0.0
    if spread <= 0:
        return MAX_SCORE if value > expected else -MAX_SCORE
    return max(-MAX_SCORE, min(MAX_SCORE, (value - expected) / spread))


def is_up(value: float, expected: float | None, score: float | None, score_at_least: float, ratio: float) -> bool:
    """Whether a signal is clearly above what is expected; without an expectation it is not."""
    if expected is None or score is None:
        return False
    return score >= score_at_least and value >= ratio * expected and value > expected
