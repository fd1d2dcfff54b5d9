"""The real thing: Kafka, S3 and a Flink cluster as processes, and a job that `afoot submit` started."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.conftest import Incident
from tests.jobs.support import OnKafka, afoot, parted, wait_for
from tests.servers.flink import Flink
from tests.servers.kafka import Kafka
from tests.servers.s3 import S3

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _storage(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 as the AWS tools find it, for this process and for the commands that it calls."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)


@contextlib.contextmanager
def submitted(job: OnKafka, cluster: Flink) -> Iterator[str]:
    """Submits the job as a user does, gives its id, and cancels it in the end."""
    done = afoot("submit", "--config", job.config, "--jobmanager", cluster.address)
    assert done.returncode == 0, done.stderr
    number = done.stdout.strip()
    try:
        yield number
    finally:
        cluster.cancel(number)


def test_the_cluster_finds_what_a_replay_finds(
    incident: Incident, kafka_server: Kafka, s3_server: S3, flink_cluster: Flink, tmp_path: Path
) -> None:
    # Two partitions of the metrics and all of a topic stay empty: nothing ever says how far their time has come.
    job = OnKafka("plain", kafka_server, tmp_path, s3_server.bucket("plain"), 4, "10 s")
    job.send(incident.messages)
    with submitted(job, flink_cluster):
        job.equals(incident.tables, incident.alerts)


def test_nothing_is_lost_or_doubled_when_a_task_manager_is_killed(
    incident: Incident, kafka_server: Kafka, s3_server: S3, flink_cluster: Flink, tmp_path: Path
) -> None:
    job = OnKafka("killed", kafka_server, tmp_path, s3_server.bucket("killed"), topics=incident.topics)
    first, second, last = parted(incident.messages, 0.35, 0.55)
    job.send(first)
    with submitted(job, flink_cluster) as number:
        wait_for("first findings", lambda: job.rows()["findings"])
        job.send(second)
        time.sleep(1)  # into the second part, which no checkpoint holds yet
        flink_cluster.taskmanager.kill()
        flink_cluster.taskmanager.start()
        job.send(last)
        job.equals(incident.tables, incident.alerts)
        assert flink_cluster.get(f"/jobs/{number}/checkpoints")["latest"]["restored"] is not None
