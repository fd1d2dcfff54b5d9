"""`afoot run`, stopped in mid-run and started again, a Python worker of it killed, and all of them frozen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afoot.cli.job import STOP_S
from afoot.recovery import newest_state
from tests.jobs.conftest import Incident
from tests.jobs.support import PATIENCE_S, OnKafka, parted, python_workers, running, wait_for
from tests.servers.kafka import Kafka
from tests.servers.process import alive

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_job_that_was_stopped_goes_on_where_it_was(incident: Incident, kafka_server: Kafka, tmp_path: Path) -> None:
    job = OnKafka("stopped", kafka_server, tmp_path, str(tmp_path), topics=incident.topics)
    first, second, last = parted(incident.messages, 0.35, 0.55)
    job.send(first)
    with running(job, tmp_path / "first.log") as process:
        wait_for("first findings", lambda: process.poll() is not None or job.rows()["findings"])
        assert process.poll() is None, (tmp_path / "first.log").read_text()
        job.send(second)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    said = (tmp_path / "first.log").read_text()
    assert said.startswith("stopped; the next start resumes from file:"), said
    savepoint = said.split()[-1]
    with running(job, tmp_path / "second.log") as process:
        # One for each of two instances, and the judge's.
        workers = wait_for("Python workers", lambda: len(found := python_workers(process.pid)) == 3 and found)
        time.sleep(3)  # into their work
        os.kill(workers[0], signal.SIGKILL)
        job.send(last)
        job.equals(incident.tables, incident.alerts)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    resumed, failed, stopped = (tmp_path / "second.log").read_text().splitlines()
    assert failed.startswith("the job failed, and starts again: ") and "died" in failed, failed
    assert resumed.startswith("resuming from ") and resumed.split("/")[-1] == savepoint.split("/")[-1]
    assert stopped.startswith("stopped; the next start resumes from file:") and not stopped.endswith(savepoint)


@contextlib.contextmanager
def frozen_workers(process: subprocess.Popen[bytes], checkpoints: Path) -> Iterator[list[int]]:
    """The Python workers of a job that has taken a checkpoint; they answer nothing, so that no savepoint can be had."""
    before = set(checkpoints.glob("*/chk-*/_metadata"))
    workers = wait_for("Python workers", lambda: len(found := python_workers(process.pid)) == 3 and found)
    wait_for("a checkpoint", lambda: set(checkpoints.glob("*/chk-*/_metadata")) - before)
    try:
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        yield workers
    finally:
        for worker in filter(alive, workers):
            os.kill(worker, signal.SIGKILL)


def test_a_stop_ends_where_no_savepoint_can_be_had(
    incident: Incident, kafka_server: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    job = OnKafka("hangs", kafka_server, tmp_path, str(tmp_path), topics=incident.topics)
    checkpoints, (first, second) = tmp_path / "checkpoints", parted(incident.messages, 0.1)
    job.send(first)
    with running(job, tmp_path / "first.log") as process, frozen_workers(process, checkpoints) as workers:
        job.send(second)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S + 5) == 1
        assert not any(map(alive, workers))
    said = (tmp_path / "first.log").read_text()
    state = Path(newest_state(str(checkpoints)) or "")
    assert said.startswith("afoot: no savepoint was taken, and the next start resumes from file:"), said
    assert f"/{state.parent.name}/{state.name}: it was not there after " in said, said
    with running(job, tmp_path / "second.log") as process, frozen_workers(process, checkpoints) as workers:
        process.send_signal(signal.SIGTERM)
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 1
        assert not any(map(alive, workers))
    resumed, ended = (tmp_path / "second.log").read_text().splitlines()
    assert resumed.endswith(f"/{state.parent.name}/{state.name}")
    assert ended.startswith("afoot: ended at once, as it was told to stop twice; "), ended
    assert not list(temporary.iterdir())
