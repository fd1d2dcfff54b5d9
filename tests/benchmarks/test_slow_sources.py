"""What is measured every five minutes: by CloudWatch in windows of a minute, by all agents in windows of five."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from afoot.captures import read_captures
from afoot.config import load_config
from afoot.simulate.capture import write
from afoot.simulate.cloudwatch import TOPIC
from afoot.simulate.run import simulate
from afoot.simulate.truth import Truth
from afoot.simulate.world import Size
from afoot.telemetry.rows import Message
from afoot.verdicts.records import Finding
from benchmarks import inprocess
from benchmarks.scenarios import Rows, flink, in_process

FIVE_MS = 300_000
TOPICS = """
[[topic]]
name = "telemetry.metrics"
kind = "metrics"
format = "otlp_json"
[[topic]]
name = "telemetry.cloudwatch"
kind = "metrics"
format = "cloudwatch_metric_stream"
lateness = "15 min"
[[topic]]
name = "telemetry.logs"
kind = "logs"
format = "fluent_bit"
[[topic]]
name = "telemetry.flows"
kind = "flows"
format = "goflow2_json"
[[topic]]
name = "inventory"
kind = "inventory"
format = "debezium_json"
"""
OF_CLOUDWATCH = 9  # a seed of hourly_backup in which CloudWatch tells of all volumes and machines
Captured = tuple[Path, Path, Truth]  # capture, configuration, truth


def five_minutes(messages: Iterable[Message]) -> list[Message]:
    """A metric stream's messages as they would be without detailed monitoring."""
    found: dict[tuple[str, str, int], tuple[int, dict[str, Any]]] = {}
    for message in messages:
        assert message.value is not None
        for text in message.value.splitlines():
            line = json.loads(text)
            start_ms = line["timestamp"] // FIVE_MS * FIVE_MS
            key = line["metric_name"], json.dumps(line["dimensions"], sort_keys=True), start_ms
            sent_ms, known = found.get(key, (0, None))
            if known is not None:
                ours, theirs = line["value"], known["value"]
                for name, both in (("sum", sum), ("count", sum), ("min", min), ("max", max)):
                    ours[name] = both([ours[name], theirs[name]])
            found[key] = max(sent_ms, message.timestamp_ms), {**line, "timestamp": start_ms}
    lines = sorted((sent_ms, json.dumps(line).encode()) for sent_ms, line in found.values())
    return [Message(TOPIC, 0, offset, sent_ms, None, text) for offset, (sent_ms, text) in enumerate(lines)]


def basic_monitoring(folder: Path, hours: float) -> Captured:
    """A run of backups that CloudWatch alone tells of, every five minutes."""
    truth = simulate("hourly_backup", OF_CLOUDWATCH, hours, folder)
    messages = list(read_captures([folder / "capture.jsonl.zst"]))
    others = [message for message in messages if message.topic != TOPIC]
    write(others + five_minutes(message for message in messages if message.topic == TOPIC), folder / "five.jsonl.zst")
    (folder / "afoot.toml").write_text(TOPICS)
    return folder / "five.jsonl.zst", folder / "afoot.toml", truth


def rare_scrapes(folder: Path, hours: float) -> Captured:
    """A run of backups that agents tell of every five minutes, in windows of that size."""
    truth = simulate("hourly_backup", 0, hours, folder, size=Size(1, FIVE_MS // 1000))
    (folder / "afoot.toml").write_text(f'{TOPICS}[window]\nsize = "5 min"\n')
    return folder / "capture.jsonl.zst", folder / "afoot.toml", truth


def only(found: inprocess.Result) -> Finding:
    """The last word on the one case of a pipeline that is late."""
    last = {finding.finding_id: finding for finding in found.findings if finding.victim_entity}
    assert len(last) == 1, [finding.kind for finding in last.values()]
    return next(iter(last.values()))


@pytest.mark.parametrize("source", [basic_monitoring, rare_scrapes])
def test_who_makes_a_pipeline_late_is_found(source: Any, tmp_path: Path) -> None:
    capture, config, truth = source(tmp_path, 5)
    found = inprocess.replay([capture], load_config(config))
    finding, expected = only(found), truth.expected[0]
    assert not found.refused
    assert (finding.kind, finding.culprit_entity, finding.victim_entity, finding.culprit_via, finding.schedule_id) == (
        "shared_volume_contention",
        expected.culprit,
        expected.victim,
        expected.via,
        expected.schedule,
    )
    assert finding.recurrence_period_s == expected.period_s and finding.recurrence_phase_s is not None
    assert expected.phase_s is not None and 0 <= expected.phase_s - finding.recurrence_phase_s < FIVE_MS // 1000
    assert finding.culprit_share == pytest.approx(expected.shares[finding.culprit_entity or ""], abs=0.2)
    assert finding.runs_seen == finding.runs_with_effect >= 4


@pytest.mark.slow
def test_what_is_alone_in_its_shard_is_heard_between_its_values(tmp_path: Path) -> None:
    capture, config, _ = basic_monitoring(tmp_path, 3)
    one, many = (inprocess.replay([capture], load_config(config), shards) for shards in (1, 48))
    assert one.findings
    assert (one.findings, one.evidence) == (many.findings, many.evidence)


@pytest.mark.slow
@pytest.mark.parametrize("source", [basic_monitoring, rare_scrapes])
def test_flink_gives_the_same_rows(source: Any, tmp_path: Path) -> None:
    capture, config, _ = source(tmp_path, 3)

    def rows(found: Rows) -> list[list[str]]:
        return [sorted(repr(sorted(row.items())) for row in table) for table in found]

    ours = rows(in_process([capture], tmp_path, config))
    assert ours[0], "a capture without findings compares nothing"
    assert rows(flink([capture], tmp_path, config)) == ours
