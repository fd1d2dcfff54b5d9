"""What a stack needs before its job starts is made once, and found the next time."""

import runpy
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.servers.kafka import Kafka
from tests.servers.s3 import S3

PREPARE = Path(__file__).parents[2] / "deploy" / "prepare.py"


@pytest.mark.server
def test_prepare_makes_topics_and_the_bucket(
    kafka_server: Kafka, s3_server: S3, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {
        **s3_server.environment,
        "KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "LAKE_BUCKET": "prepared",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("CONNECT_URL", raising=False)
    runpy.run_path(str(PREPARE), run_name="__main__")
    assert "bucket prepared created" in capsys.readouterr().out
    runpy.run_path(str(PREPARE), run_name="__main__")
    assert capsys.readouterr().out == ""

    topics = AdminClient({"bootstrap.servers": kafka_server.bootstrap}).list_topics(timeout=30).topics
    assert len(topics["telemetry.metrics"].partitions) == 4
    assert len(topics["inventory"].partitions) == 1
    assert s3_server.keys("prepared") == []
