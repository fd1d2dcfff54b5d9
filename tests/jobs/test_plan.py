"""The plan of the whole job: which joins it has, what keeps state, and that each source is read once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.jobs.support import configure

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

# What keeps state, and why that has a bound: docs/architecture.md. A bare Join, a GroupAggregate, a Rank or a
# ChangelogNormalize would keep rows for good.
BOUNDED_BY_WINDOW = {"LocalWindowAggregate", "GlobalWindowAggregate", "WindowJoin", "IntervalJoin"}
BOUNDED_BY_TTL = {"Deduplicate"}
STATELESS = {
    "Calc",
    "ConstraintEnforcer",
    "Correlate",
    "DataStreamToTable",
    "PythonCalc",
    "SinkConversion",
    "StreamingFileWriter",
    "TableToDataStream",
    "WatermarkAssigner",
    "Writer",
    "Committer",
    "Source",
    "end",
    "alerts_out",
    "dead_letters_out",
    "partition-committer",
    "PartitionCommitter",
}
OWN = {"score and place", "judge"}


@cache
def nodes() -> list[dict[str, str]]:
    """The nodes of the job over a capture."""
    return planned("capture")


def planned(*arguments: str) -> list[dict[str, str]]:
    """The nodes of a job, planned in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.plan", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, str]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def kind(node: dict[str, str]) -> str:
    """The operator of a node, without its number: `WindowJoin[52]` is a WindowJoin."""
    return re.split(r"[\[:]", node["type"])[0].strip()


def test_every_join_is_one_of_windows_or_intervals() -> None:
    joins = Counter(kind(node) for node in nodes() if "Join" in kind(node))
    assert set(joins) == {"WindowJoin", "IntervalJoin"}
    assert joins == {"WindowJoin": 5, "IntervalJoin": 1}
    lefts = [node["contents"] for node in nodes() if kind(node) == "WindowJoin"]
    assert all("joinType=[LeftOuterJoin]" in contents for contents in lefts)


def test_nothing_keeps_state_without_a_bound() -> None:
    known = BOUNDED_BY_WINDOW | BOUNDED_BY_TTL | STATELESS | OWN
    unknown = {kind(node) for node in nodes()} - known
    assert not unknown
    assert Counter(kind(node) for node in nodes())["Deduplicate"] == 1
    engine = (ROOT / "jobs/findings/engine.py").read_text("utf-8")
    assert '"table.exec.state.ttl": "3 h"' in engine


def test_each_source_is_read_once_and_each_stage_is_there_once() -> None:
    counts = Counter(kind(node) for node in nodes())
    sources = [node["type"] for node in nodes() if node["pact"] == "Data Source"]
    assert sorted(re.sub(r"\[\d+\]", "", source) for source in sources) == ["Source: captured", "Source: inventory"]
    assert counts["PythonCalc"] == 2  # decoding, once a source
    assert counts["score and place"] == counts["judge"] == 1


def test_a_judge_that_is_apart_takes_one_slot_more(tmp_path: Path) -> None:
    own = [
        node
        for node in planned(
            "kafka",
            str(
                configure(
                    tmp_path / "afoot.toml",
                    flink={"judge_apart": True},
                    kafka={"bootstrap.servers": "localhost:9"},
                    lake={"uri": str(tmp_path / "lake")},
                    alerts={"topic": "alerts"},
                )
            ),
        )
        if node["slot_group"] != "default"
    ]
    assert {node["slot_group"] for node in own} == {"judge"}
    assert {"judge", "alerts_out"} <= {kind(node) for node in own}
    # One that ran twice would take a slot twice.
    assert {node["parallelism"] for node in own} == {1}
    assert {node["slot_group"] for node in nodes()} == {"default"}
