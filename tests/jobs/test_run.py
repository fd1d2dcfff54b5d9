"""`afoot run`, stopped in mid-run and started again, and a Python worker of it killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.meter import descendants
from tests.jobs.conftest import Incident
from tests.jobs.support import PATIENCE_S, OnKafka, parted, running, wait_for
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


def python_workers(pid: int) -> list[int]:
    """The Python workers of a job that a process runs."""
    named = b"\0-m\0pyflink.fn_execution.beam.beam_boot\0"
    return [found for found in descendants(pid) if named in Path(f"/proc/{found}/cmdline").read_bytes()]


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
