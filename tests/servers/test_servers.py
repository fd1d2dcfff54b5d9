"""The test servers do what the tests that stand on them take for granted."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from confluent_kafka import Producer

from tests.servers.flink import Flink
from tests.servers.kafka import Kafka, kafka
from tests.servers.process import Process, ServerError, alive
from tests.servers.s3 import S3

JOB = Path(__file__).parent / "jobs" / "squares.py"


def test_a_process_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the reason')"]
    with pytest.raises(ServerError, match=r"(?s)broken ended with status 1.*the reason"):
        Process("broken", command, tmp_path / "log", lambda: False).start()


def test_a_process_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    process = Process("deaf", ["sleep", "60"], tmp_path / "log", lambda: False, patience_s=0.3)
    with pytest.raises(ServerError, match="deaf was not ready"):
        process.start()
    with pytest.raises(ServerError, match="not started"):
        _ = process.pid


def test_stop_ends_the_children_that_a_kill_orphaned(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = ["bash", "-c", f"sleep 60 & echo $! > {child}; wait"]
    process = Process("parent", command, tmp_path / "log", lambda: child.exists() and child.read_text() != "").start()
    orphan = int(child.read_text())
    process.kill()
    assert alive(orphan)
    process.stop()
    deadline = time.monotonic() + 5
    while alive(orphan) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(orphan)


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert alive(process.pid)
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while alive(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert Path(f"/proc/{process.pid}").exists()
        assert not alive(process.pid)


@pytest.mark.server
def test_kafka_keeps_what_is_produced(kafka_server: Kafka) -> None:
    kafka_server.create("servers.kept", partitions=2, retention_ms="3600000")
    kafka_server.produce("servers.kept", [b"1", b"2"], key=b"k", timestamp_ms=1_000)
    found = kafka_server.messages("servers.kept")
    assert [(message.key(), message.value(), message.timestamp()[1]) for message in found] == [
        (b"k", b"1", 1_000),
        (b"k", b"2", 1_000),
    ]


@pytest.mark.server
def test_kafka_hides_what_is_aborted(kafka_server: Kafka) -> None:
    kafka_server.create("servers.transactions")
    producer = Producer({"bootstrap.servers": kafka_server.bootstrap, "transactional.id": "servers"})
    producer.init_transactions(30)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        producer.produce("servers.transactions", value)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    assert [message.value() for message in kafka_server.messages("servers.transactions")] == [b"committed"]
    everything = kafka_server.messages("servers.transactions", committed=False)
    assert [message.value() for message in everything] == [b"aborted", b"committed"]


@pytest.mark.server
@pytest.mark.slow
def test_kafka_survives_a_kill(tmp_path: Path) -> None:
    with kafka(tmp_path) as broker:
        broker.create("servers.killed")
        broker.produce("servers.killed", [b"before"])
        pid = broker.process.pid
        broker.process.kill()
        assert not alive(pid)
        broker.process.start()
        broker.produce("servers.killed", [b"after"])
        assert [message.value() for message in broker.messages("servers.killed")] == [b"before", b"after"]


@pytest.mark.server
def test_s3_keeps_objects_and_lists_them(s3_server: S3) -> None:
    s3_server.bucket("objects")
    s3_server.client().put_object(Bucket="objects", Key="a/b", Body=b"content")
    assert s3_server.keys("objects", "a/") == ["a/b"]
    assert s3_server.client().get_object(Bucket="objects", Key="a/b")["Body"].read() == b"content"


@pytest.mark.server
def test_s3_refuses_other_credentials(s3_server: S3) -> None:
    other = S3(s3_server.endpoint, s3_server.access_key, "wrong", s3_server.process)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        other.client().list_buckets()


def _submit(cluster: Flink, *arguments: str) -> str:
    """Job id of the job that was submitted."""
    output = cluster.flink("run", "-d", "-py", str(JOB), *arguments)
    return output.split("JobID ")[1].split()[0]


@pytest.mark.server
@pytest.mark.slow
def test_flink_runs_python_and_writes_to_s3(flink_cluster: Flink, s3_server: S3) -> None:
    s3_server.bucket("squares")
    job = _submit(flink_cluster, "--rows", "20", "--target", "s3://squares/out")
    flink_cluster.wait(job, "FINISHED")
    client = s3_server.client()
    lines = [
        line
        for key in s3_server.keys("squares")
        for line in client.get_object(Bucket="squares", Key=key)["Body"].read().decode().splitlines()
    ]
    assert sorted(map(int, lines)) == [number * number for number in range(1, 21)]


def _wait_for_checkpoints(cluster: Flink, job: str, more: int, patience_s: float = 90) -> dict[str, Any]:
    """Checkpoint statistics of the job once that many more than now are completed."""
    path = f"/jobs/{job}/checkpoints"
    wanted = cluster.get(path)["counts"]["completed"] + more
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found: dict[str, Any] = cluster.get(path)
        if found["counts"]["completed"] >= wanted:
            return found
        time.sleep(0.2)
    raise ServerError(f"job {job} completed no {more} checkpoints in {patience_s} s: {found['counts']}")


@pytest.mark.server
@pytest.mark.slow
def test_flink_goes_on_after_the_taskmanager_was_killed(flink_cluster: Flink, s3_server: S3) -> None:
    s3_server.bucket("endless")
    job = _submit(flink_cluster, "--rows", "1000000", "--target", "s3://endless/out")
    flink_cluster.wait(job, "RUNNING")
    _wait_for_checkpoints(flink_cluster, job, 1)
    flink_cluster.taskmanager.kill()
    flink_cluster.taskmanager.start()
    restored = _wait_for_checkpoints(flink_cluster, job, 2)
    assert restored["latest"]["restored"] is not None
    flink_cluster.cancel(job)
