"""The same incident with its inventory from the log and from polls: the same verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afoot.captures import read_captures
from afoot.config import load_config
from afoot.simulate.capture import write
from afoot.simulate.run import simulate
from afoot.telemetry.inventory import TABLES
from afoot.telemetry.rows import Message
from afoot.telemetry.wire import debezium_json, jdbc_json
from benchmarks import inprocess

EVERY_MS = 30_000
HOURS = 5
CONFIG = """
[[topic]]
name = "telemetry.metrics"
kind = "metrics"
format = "otlp_json"
[[topic]]
name = "telemetry.cloudwatch"
kind = "metrics"
format = "cloudwatch_metric_stream"
lateness = "10 min"
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
format = "jdbc_json"
"""


def polls(messages: Iterable[Message]) -> Iterator[Message]:
    """What polls of the tables would have shown, whose log the messages are."""
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {t: {} for t in TABLES if t != "heartbeat"}
    next_ms, offset = None, 0
    for message in sorted(messages, key=lambda message: message.offset):
        change = debezium_json.read(message)
        if change is None or message.value is None:  # a tombstone, which repeats its deletion
            continue
        if next_ms is None:
            next_ms = change.time_ms + 1
        while change.time_ms >= next_ms:
            for table, rows in tables.items():
                for number, row in enumerate(rows.values() or [{}], 1 if rows else 0):
                    told = {"polled_table": table, "polled_at": next_ms, "polled_row": number, "polled_rows": len(rows)}
                    value = json.dumps({**row, **told}).encode()
                    yield Message("inventory", 0, offset, next_ms, None, value)
                    offset += 1
            next_ms += EVERY_MS
        if change.table in tables:
            rows = tables[change.table]
            if change.op == "delete":
                rows.pop(tuple(change.key.values()), None)
            else:
                rows[tuple(change.key.values())] = change.row


def verdicts(found: inprocess.Result) -> tuple[Any, ...]:
    """The last word on each finding, and on each that was heard for it."""
    last = {finding.finding_id: finding for finding in found.findings}
    heard = {(row.finding_id, row.revision, row.entity): row.verdict for row in found.evidence}
    return heard, sorted(
        (
            finding_id,
            finding.kind,
            finding.state,
            finding.severity,
            finding.victim_entity,
            finding.culprit_entity,
            finding.culprit_via,
            finding.schedule_id,
            finding.runs_seen,
            finding.runs_with_effect,
        )
        for finding_id, finding in last.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "seed"), [("hourly_backup", 7), ("backup_moved", 3)])
def test_log_and_polls_end_with_the_same_verdicts(scenario: str, seed: int, tmp_path: Path) -> None:
    simulate(scenario, seed, HOURS, tmp_path)
    capture = tmp_path / "capture.jsonl.zst"
    messages = list(read_captures([capture]))
    polled = list(polls(message for message in messages if message.topic == "inventory"))
    assert {jdbc_json.read(message)[0]["polled_table"] for message in polled} == {"entity", "relation", "schedule"}
    write([message for message in messages if message.topic != "inventory"] + polled, tmp_path / "polled.jsonl.zst")
    (tmp_path / "afoot.toml").write_text(CONFIG)
    by_log = verdicts(inprocess.replay([capture]))
    by_polls = verdicts(inprocess.replay([tmp_path / "polled.jsonl.zst"], load_config(tmp_path / "afoot.toml")))
    assert any(finding[1] == "shared_volume_contention" for finding in by_log[1])
    assert by_polls == by_log
