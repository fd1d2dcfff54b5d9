"""What really happened in a scenario: the answers that a verdict is judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass
class Expected:
    """A finding that must appear. Times in ms; shares by tenant, of the volume's excess operations/s."""

    kind: str
    culprit: str | None
    victim: str | None
    via: str | None
    schedule: str | None
    period_s: int | None
    phase_s: int | None
    from_ms: int
    to_ms: int
    shares: dict[str, float] = field(default_factory=dict)
    max_confidence: float = 1.0
    at_random: bool = False  # whether its runs have no beat, so that no period may be claimed
    state: str = "open"  # at the end of the capture; any where both are right


@dataclass
class Truth:
    """The truth of one capture, as truth.json holds it. Times are Unix milliseconds.

    `kind`, `culprit`, `via`, `schedule`, `period_s` and `phase_s` are those of the first expected finding, or None.
    `allowed` are kinds that may appear besides; any other warning or critical finding is wrong.
    """

    scenario: str
    seed: int
    start_ms: int
    end_ms: int
    kind: str | None
    culprit: str | None
    culprits: list[str]
    contributors: dict[str, float]
    victim: str | None
    via: str | None
    schedule: dict[str, str] | None
    period_s: int | None
    phase_s: int | None
    runs: list[dict[str, Any]]
    expected: list[Expected]
    allowed: list[str]
    never_named: list[str]
    innocents: list[str]
    cleared: list[str]
    unknown: list[str]
    changes: list[dict[str, Any]]
    pipelines: list[dict[str, Any]]
    style: dict[str, Any]

    def write(self, path: Path) -> None:
        """Writes truth.json."""
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Reads truth.json back."""
        found = orjson.loads(path.read_bytes())
        return cls(**{**found, "expected": [Expected(**entry) for entry in found["expected"]]})
