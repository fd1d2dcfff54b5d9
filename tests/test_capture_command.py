"""`afoot capture`: what topics held between two times, as a replay would read it from Kafka itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from afoot.captures import read_captures
from afoot.cli.capture import moment
from afoot.cli.main import app
from afoot.errors import UsageError
from afoot.kafka import Reader
from afoot.telemetry.rows import Message
from tests.jobs.support import configure, publish
from tests.servers.kafka import Kafka

START_MS = 1_780_000_000_000
PREFIX = "captured."
METRICS, INVENTORY = PREFIX + "telemetry.metrics", PREFIX + "inventory"


def sent(topic: str, partition: int, offset: int, second: float, value: bytes | None = b"{}") -> Message:
    return Message(topic, partition, offset, START_MS + round(second * 1000), b"k%d" % offset, value)


METRIC_MESSAGES = [
    *(sent(METRICS, 0, n, n) for n in range(10)),
    sent(METRICS, 1, 0, 3, b"\xff\x00not text"),
    sent(METRICS, 1, 1, 4, None),
    sent(METRICS, 1, 2, 2.5),  # its time is older than that of the one before
    sent(METRICS, 1, 3, 9),
]
INVENTORY_MESSAGES = [sent(INVENTORY, 0, n, -1000 + 250 * n) for n in range(5)]


@pytest.fixture(scope="module")
def topics(kafka_server: Kafka) -> Kafka:
    """A topic of two partitions, an inventory, one that nobody configured, and one that stays empty."""
    kafka_server.create(METRICS, 2, retention_ms="-1")
    for topic in (INVENTORY, PREFIX + "nobodys", PREFIX + "telemetry.logs"):
        kafka_server.create(topic, retention_ms="-1")
    publish(kafka_server, [*METRIC_MESSAGES, *INVENTORY_MESSAGES, sent(PREFIX + "nobodys", 0, 0, 3)])
    return kafka_server


def capture(kafka: Kafka, folder: Path, begin: str, end: str, name: str = "c.jsonl.zst") -> Sequence[Message]:
    """What `afoot capture` records between two times."""
    config = configure(
        folder / "afoot.toml",
        PREFIX,
        ["telemetry.metrics", "telemetry.logs", "telemetry.flows", "inventory"],
        kafka={"bootstrap.servers": kafka.bootstrap},
    )
    output = folder / name
    arguments = ["capture", "--config", str(config), "--from", begin, "--to", end, "-o", str(output)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = list(read_captures([output]))
    assert f"{len(found)} messages of {len({m.topic for m in found})} topics" in " ".join(result.output.split())
    return sorted(found, key=lambda m: m[:3])


@pytest.mark.server
@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.jsonl.zst"])
def test_everything_is_as_it_was_sent(topics: Kafka, tmp_path: Path, name: str) -> None:
    found = capture(topics, tmp_path, "0", str(START_MS + 60_000), name)
    assert found == sorted([*METRIC_MESSAGES, *INVENTORY_MESSAGES], key=lambda m: m[:3])


@pytest.mark.server
def test_between_two_times_the_end_left_out_and_all_of_the_inventory_before(topics: Kafka, tmp_path: Path) -> None:
    found = capture(topics, tmp_path, str(START_MS + 2000), str(START_MS + 5000))
    assert [m[1:3] for m in found if m.topic == METRICS] == [(0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)]
    assert [m.offset for m in found if m.topic == INVENTORY] == [0, 1, 2, 3, 4]
    before = capture(topics, tmp_path, str(START_MS - 100_000), str(START_MS - 500_000 + 600_000))
    assert [m.offset for m in before if m.topic == INVENTORY] == [0, 1, 2, 3, 4]
    early = capture(topics, tmp_path, str(START_MS - 900_000), str(START_MS - 500_000))
    assert [m[:3] for m in early] == [(INVENTORY, 0, 0), (INVENTORY, 0, 1)]


@pytest.mark.server
@pytest.mark.parametrize("set_by", ["CreateTime", "LogAppendTime"])
def test_records_that_stand_behind_later_ones_are_recorded(kafka_server: Kafka, tmp_path: Path, set_by: str) -> None:
    """As a sender that retries leaves them; where brokers set the times there are none."""
    prefix = f"retried.{set_by}."
    topic = f"{prefix}telemetry.metrics"
    kafka_server.create(topic, retention_ms="-1", message_timestamp_type=set_by)
    seconds = [0, 10, 2, 3, 20, 4, 1]
    publish(kafka_server, [sent(topic, 0, offset, second) for offset, second in enumerate(seconds)])
    topics = ["telemetry.metrics", "telemetry.logs"]
    config = configure(tmp_path / "afoot.toml", prefix, topics, kafka={"bootstrap.servers": kafka_server.bootstrap})
    output, to = tmp_path / "c.jsonl", START_MS + 10_000 if set_by == "CreateTime" else 4_102_444_800_000
    arguments = ["capture", "--config", str(config), "--from", str(START_MS + 2000), "--to", str(to), "-o", str(output)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    wanted = [2, 3, 5] if set_by == "CreateTime" else list(range(7))
    assert [m.offset for m in read_captures([output])] == wanted
    assert result.stderr == f"no records of these times: {prefix}telemetry.logs (no such topic)\n"


@pytest.mark.server
def test_a_partition_is_read_to_its_end_only_where_its_times_may_fall(kafka_server: Kafka) -> None:
    later = int(time.time() * 1000) + 3_600_000
    for set_by, read in (("CreateTime", 3), ("LogAppendTime", 0)):
        kafka_server.create(f"falls.{set_by}", retention_ms="-1", message_timestamp_type=set_by)
        publish(kafka_server, [sent(f"falls.{set_by}", 0, n, n) for n in range(3)])
        with Reader({"bootstrap.servers": kafka_server.bootstrap}) as reader:
            ends = [part.end for part in reader.between(f"falls.{set_by}", [0], 0, START_MS + 1000)]
            assert ends == [read][: bool(read)]
            assert [part.end for part in reader.between(f"falls.{set_by}", [0], 0, later)] == [3]


@pytest.mark.server
def test_what_was_never_committed_is_not_recorded(kafka_server: Kafka, tmp_path: Path) -> None:
    kafka_server.create(PREFIX + "telemetry.flows", retention_ms="-1")
    producer = Producer({"bootstrap.servers": kafka_server.bootstrap, "transactional.id": "captures"})
    producer.init_transactions(30)
    for value, commit in ((b"aborted", False), (b"committed", True), (b"aborted too", False)):
        producer.begin_transaction()
        producer.produce(PREFIX + "telemetry.flows", value, headers=[("h", b"1")])
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    config = configure(
        tmp_path / "afoot.toml", PREFIX, ["telemetry.flows"], kafka={"bootstrap.servers": kafka_server.bootstrap}
    )
    # Up to their ends, which are markers and no records.
    arguments = ["capture", "--config", str(config), "--from", "0", "--to", "2100-01-01", "-o"]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "c.jsonl")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (found,) = read_captures([tmp_path / "c.jsonl"])
    assert (found.value, found.headers) == (b"committed", (("h", b"1"),))


@pytest.mark.server
def test_times_without_records_are_wrong_usage(topics: Kafka, tmp_path: Path) -> None:
    config = configure(
        tmp_path / "afoot.toml", PREFIX, ["telemetry.logs"], kafka={"bootstrap.servers": topics.bootstrap}
    )
    arguments = ["capture", "--config", str(config), "--from", "1", "--to", "2", "-o", str(tmp_path / "c.jsonl")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "no configured topic holds records of these times" in result.output and METRICS in result.output
    assert not (tmp_path / "c.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-05-09T01:30Z", 1_778_290_200_000),
        ("2026-05-09T01:30", 1_778_290_200_000),
        ("2026-05-09T03:30+02:00", 1_778_290_200_000),
        ("2026-05-09", 1_778_284_800_000),
        ("1778290200000", 1_778_290_200_000),
    ],
)
def test_times_are_iso_8601_in_utc_or_milliseconds(text: str, ms: int) -> None:
    assert moment(text, "--from") == ms


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "-5", "²"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=r"--from .* is no time"):
        moment(text, "--from")
