"""A capture is sorted beside the start of the engine, of which the job must not become another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afoot.captures import Prepared, write_captures
from afoot.config import load_config
from afoot.errors import AfootError, UsageError
from afoot.telemetry.rows import Message
from jobs.findings.sorting import Sorting
from tests.jobs.support import configure, gauge, replay, tables, unasked_point, wait_for
from tests.servers.process import REPOSITORY, alive

T0_MS = 1_768_435_200_000
METRICS, LATER = "telemetry.metrics", "telemetry.cloudwatch"
COUNT = 25_000


def ignored(so_far: Prepared | None) -> None:
    """Whoever waits has nothing else to look at."""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture of 25,000 metric messages, of which the last is of another topic."""
    metrics = [Message(METRICS, 0, n, T0_MS + n, None, b"{}") for n in range(COUNT - 1)]
    write_captures(tmp_path / "c.jsonl", [*metrics, Message(LATER, 0, 0, T0_MS + COUNT, None, b"{}")])
    return tmp_path / "c.jsonl"


def test_what_is_there_is_told_before_all_is(capture: Path, tmp_path: Path) -> None:
    with Sorting(load_config(None), [capture], tmp_path) as sorting:
        told: list[Prepared | None] = []
        begun = sorting.begun(2, told.append)
        assert begun.topics == {METRICS: 10_000} and begun.payload_bytes == 20_000
        assert sorting.ended(told.append).topics == {METRICS: COUNT - 1, LATER: 1}
        assert begun.heard.read_text() == str(T0_MS + COUNT)
        messages = [part.messages for part in told if part]
        assert messages[0] == 10_000 and messages[-1] == COUNT and messages == sorted(messages)


def test_a_brief_capture_is_all_there_before_anything_begins(capture: Path, tmp_path: Path) -> None:
    with Sorting(load_config(None), [capture], tmp_path) as sorting:
        begun = sorting.begun(1 << 30, ignored)
        assert begun.messages == COUNT
        assert sorting.ended(ignored) is begun


def test_what_sorting_fails_of_is_told(tmp_path: Path) -> None:
    with (
        Sorting(load_config(None), [tmp_path / "none.jsonl"], tmp_path) as sorting,
        pytest.raises(UsageError, match=r"none\.jsonl: no such capture"),
    ):
        sorting.begun(1, ignored)
    (tmp_path / "one.jsonl").write_text('{"topic":"t","partition":0,"offset":0,"ts":1,"payload":"{}"}\n')
    with (
        Sorting(load_config(None), [tmp_path / "one.jsonl"], tmp_path / "away") as sorting,
        pytest.raises(AfootError, match="away"),
    ):
        sorting.ended(ignored)


def test_a_sorting_that_was_killed_is_told(capture: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.jsonl")
    with Sorting(load_config(None), [tmp_path / "endless.jsonl"], tmp_path) as sorting:
        assert sorting._process.pid is not None
        os.kill(sorting._process.pid, signal.SIGKILL)
        with pytest.raises(AfootError, match=r"status -9; nothing was replayed"):
            sorting.begun(1, ignored)


def test_a_sorting_ends_with_whoever_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.jsonl")
    with Sorting(load_config(None), [tmp_path / "endless.jsonl"], tmp_path) as sorting:
        assert sorting._process.is_alive()
    assert sorting._process.exitcode == -signal.SIGKILL


def test_a_sorting_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.jsonl")
    parent = (
        "import os, signal; from pathlib import Path; from afoot.config import load_config; "
        "from jobs.findings.sorting import Sorting; "
        f"sorting = Sorting(load_config(None), [Path('{tmp_path}/endless.jsonl')], Path('{tmp_path}')); "
        "print(sorting._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", parent], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    wait_for("the end of the sorting", lambda: not alive(int(ran.stdout)), patience_s=20)


@pytest.mark.slow
def test_a_topic_that_comes_after_the_job_was_planned_is_as_late_as_it_may_be(tmp_path: Path) -> None:
    """Its lateness is the capture's, so that the third record's point is not late."""
    metrics = [Message(METRICS, 0, n, T0_MS + n * 100, None, unasked_point(T0_MS + n * 100)) for n in range(12_000)]
    points = [(T0_MS + 900_000, T0_MS + 899_000), (T0_MS + 900_050, T0_MS + 650_000)]
    for number, (sent_ms, measured_ms) in enumerate(points):
        value = gauge("write_lag_seconds", measured_ms, 1.0, job_name="j")
        metrics.append(Message(METRICS, 1, number, sent_ms, None, value))
    messages = [*metrics, Message(LATER, 0, 0, T0_MS + 1_300_000, None, b"{}")]
    config = configure(tmp_path / "afoot.toml", topics=[METRICS, LATER])
    expected, _ = replay(messages, tmp_path / "whole", config)
    # Planned once a byte of the first ten thousand messages is there.
    early = (
        "import os, jobs.findings.__main__ as job, jobs.findings.job as plan; job.BRIEF_BYTES = 1; build = plan.build; "
        "built = []; plan.build = lambda *of: built.append(sorted(of[3].topics)) or build(*of); "
        f"status = job.main(['--config', '{config}', '--lake', '{tmp_path}/early', '--alerts-path', '{tmp_path}', "
        f"'--capture', '{tmp_path}/whole/capture.jsonl.gz']); print(built, flush=True); os._exit(status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", early], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == str([[METRICS], [LATER, METRICS]])
    assert tables(str(tmp_path / "early")) == expected
    assert not [row for row in expected["books"] if row[3] == "late"]
