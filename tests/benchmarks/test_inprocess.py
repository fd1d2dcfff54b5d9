"""The job's steps as loops give the rows that its SQL gives: each is the other's test."""

from __future__ import annotations

from pathlib import Path

import pytest

from afoot.simulate.run import simulate
from benchmarks import inprocess
from benchmarks.scenarios import Rows, flink, in_process

# Metric families, a topic that is minutes late, disorder, moving tenants and silent volumes are among these.
CAPTURES = (("hourly_backup", 7), ("inventory_change", 2), ("out_of_order", 1), ("no_storage_data", 4))
HOURS = 3


def rows(found: Rows) -> tuple[list[str], list[str]]:
    """Findings in their order of time, evidence in any."""
    findings, evidence = ([repr(sorted(row.items())) for row in table] for table in found)
    return sorted(findings), sorted(evidence)


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "seed"), CAPTURES)
def test_flink_and_loops_give_equal_rows(scenario: str, seed: int, tmp_path: Path) -> None:
    simulate(scenario, seed, HOURS, tmp_path)
    files = [tmp_path / "capture.jsonl.zst"]
    ours, theirs = rows(in_process(files, tmp_path)), rows(flink(files, tmp_path))
    assert ours[0], "a capture without findings compares nothing"
    assert ours == theirs


@pytest.mark.slow
def test_the_number_of_shards_changes_nothing(tmp_path: Path) -> None:
    simulate("hourly_backup", 7, HOURS, tmp_path)
    files = [tmp_path / "capture.jsonl.zst"]
    one, many = inprocess.replay(files, shards=1), inprocess.replay(files, shards=32)
    assert one.findings == many.findings
    assert one.evidence == many.evidence
    assert one.findings
