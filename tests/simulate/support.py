"""A scenario that was written, for tests to read."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from afoot.simulate import Truth, simulate
from afoot.simulate.capture import read
from afoot.simulate.run import Play, play
from afoot.telemetry.formats import Decoder, decoder
from afoot.telemetry.rows import Message, MetricPoint, Row

DECODERS: dict[str, Decoder] = {
    "telemetry.metrics": decoder("otlp_json", "metrics"),
    "telemetry.cloudwatch": decoder("cloudwatch_metric_stream", "metrics"),
    "telemetry.logs": decoder("fluent_bit", "logs"),
    "telemetry.flows": decoder("goflow2_json", "flows"),
    "inventory": decoder("debezium_json", "inventory"),
}
LATENESS_MS = {"telemetry.cloudwatch": 600_000}


class Capture:
    """A scenario that was written, and what it was written from."""

    def __init__(self, scenario: str, seed: int, hours: float, folder: Path) -> None:
        self.folder = folder
        self.truth: Truth = simulate(scenario, seed, hours, folder)
        self.played: Play = play(scenario, seed, hours)
        self.messages: list[Message] = list(read(folder / "capture.jsonl.zst"))

    def rows(self, topic: str) -> Iterator[Row]:
        """Every row of a topic; a refused one fails the test."""
        for message in self.messages:
            if message.topic == topic:
                decoded = DECODERS[topic](message)
                assert not decoded.refused
                yield from decoded.rows

    @functools.cache  # noqa: B019 a handful of captures live as long as the tests
    def points(self, topic: str = "telemetry.metrics") -> dict[tuple[str, str], list[MetricPoint]]:
        """The points of each series in order of time, duplicates once, by name and canonical labels."""
        found: dict[tuple[str, str], dict[int, MetricPoint]] = {}
        for row in self.rows(topic):
            assert isinstance(row, MetricPoint)
            found.setdefault((row.name, row.labels.text), {})[row.time_ns] = row
        return {series: [points[time] for time in sorted(points)] for series, points in found.items()}
