"""`afoot archive`: every message is in the archive, and a day of it is replayed as if from Kafka."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from typer.testing import CliRunner

from afoot.archive import Archiver, _Held, file_name
from afoot.captures import read_captures, write_captures
from afoot.cli import replay
from afoot.cli.main import app
from afoot.config import load_config
from afoot.errors import AfootError, UsageError
from afoot.lake.storage import locate
from afoot.recordings import fetch, find
from afoot.telemetry.rows import Message
from tests.jobs.support import AFOOT, configure, publish
from tests.servers.kafka import Kafka
from tests.servers.s3 import S3

DAY_MS = 86_400_000
START_MS = 1_780_012_800_000  # 2026-05-29T00:00Z
PREFIX = "archived."
METRICS, INVENTORY = PREFIX + "telemetry.metrics", PREFIX + "inventory"


def message(topic: str, partition: int, offset: int, ms: int, value: bytes | None = b"{}") -> Message:
    return Message(topic, partition, offset, START_MS + ms, b"k%d" % offset, value)


FIRST = [
    *(message(METRICS, 0, n, n * 600_000) for n in range(10)),  # over two hours
    message(METRICS, 1, 0, DAY_MS - 1, b"\xff\x00not text"),
    message(METRICS, 1, 1, DAY_MS, None),  # the next day
    message(METRICS, 1, 2, DAY_MS - 2),  # and the day before once more
    message(INVENTORY, 0, 0, -3 * DAY_MS),
    message(INVENTORY, 0, 1, DAY_MS + 5),
]
SECOND = [message(METRICS, 0, 10, DAY_MS - 5), message(INVENTORY, 0, 2, DAY_MS // 2)]


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_server


def config(kafka: Kafka, folder: Path) -> Path:
    client = {"bootstrap.servers": kafka.bootstrap, "group.id": folder.name}  # so that each test begins anew
    return configure(folder / "afoot.toml", PREFIX, ["telemetry.metrics", "inventory"], kafka=client)


@pytest.fixture(scope="module")
def topics(kafka_server: Kafka) -> Kafka:
    """Two topics, with what was sent first and what came later."""
    kafka_server.create(METRICS, 2, retention_ms="-1")
    kafka_server.create(INVENTORY, retention_ms="-1")
    kafka_server.create(PREFIX + "nobodys", retention_ms="-1")
    publish(kafka_server, [*FIRST, message(PREFIX + "nobodys", 0, 0, 3)])
    return kafka_server


def archive(file: Path, uri: str) -> str:
    result = CliRunner().invoke(app, ["archive", "--config", str(file), "--to", uri, "--once"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def held(uri: str, folder: Path, day: date | None = None) -> list[Message]:
    """What a replay would read, each message once."""
    folder.mkdir()
    found = find(uri, day, lambda topic: topic == INVENTORY)
    return sorted(set(read_captures(fetch(found, folder))), key=lambda m: m[:3])


@pytest.mark.server
def test_every_message_once_by_topic_day_and_hour(topics: Kafka, s3: S3, tmp_path: Path) -> None:
    file, uri = config(topics, tmp_path), s3.bucket("archive") + "/raw"
    assert f"{uri}: {len(FIRST)} messages" in archive(file, uri)
    assert [key for key in s3.keys("archive") if not key.endswith("/")] == sorted(
        f"raw/{PREFIX}{name}.jsonl.zst"
        for name in (
            "telemetry.metrics/2026-05-29/00-0-0",
            "telemetry.metrics/2026-05-29/01-0-6",
            "telemetry.metrics/2026-05-29/23-1-0",
            "telemetry.metrics/2026-05-30/00-1-1",
            "inventory/2026-05-26/00-0-0",
            "inventory/2026-05-30/00-0-1",
        )
    )
    everything = sorted(FIRST, key=lambda m: m[:3])
    assert held(uri, tmp_path / "all") == everything
    # Of a day its telemetry, and of the inventory all that was said until its end.
    of_the_day = [m for m in everything if (m.topic == INVENTORY or m.timestamp_ms >= START_MS)]
    assert held(uri, tmp_path / "day", date(2026, 5, 29)) == [
        m for m in of_the_day if m.timestamp_ms < START_MS + DAY_MS
    ]
    # A second time goes on where the first one ended.
    assert f"{uri}: 0 messages" in archive(file, uri)


@pytest.mark.server
def test_what_could_not_be_written_is_archived_by_the_next_start(
    topics: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "raw"
    archiver = Archiver(load_config(config(topics, tmp_path)), str(lake), 60, print)
    lake.mkdir()
    (lake / METRICS).mkdir()
    (lake / METRICS / "2026-05-30").touch()  # in the way of a folder
    with pytest.raises(AfootError, match=r"2026-05-30/00-1-1.* cannot be written: .*; it is read again"):
        archiver.run(lambda: True, to_the_end=True)
    assert archiver.written == 0
    (lake / METRICS / "2026-05-30").unlink()
    # Some files are there from the first try, and are written again: nothing is lost, and nothing counts twice.
    archive(tmp_path / "afoot.toml", str(lake))
    assert held(str(lake), tmp_path / "all") == sorted(FIRST, key=lambda m: m[:3])
    assert not [path for path in lake.rglob("*") if path.is_file() and path.name.startswith(".")]


@pytest.mark.server
def test_no_more_files_are_open_than_are_allowed_whatever_times_records_have(
    topics: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def upload(held: _Held) -> dict[tuple[str, int], int]:
        opened.append(len(held._files))
        return whole(held)

    whole = _Held.upload
    monkeypatch.setattr(_Held, "upload", upload)
    monkeypatch.setattr("afoot.archive.MOST_FILES", 1)
    assert f"{len(FIRST)} messages" in archive(config(topics, tmp_path), str(tmp_path / "raw"))
    assert max(opened) <= 1 + 3  # one a partition, and one more
    assert held(str(tmp_path / "raw"), tmp_path / "all") == sorted(FIRST, key=lambda m: m[:3])


@pytest.mark.parametrize(
    ("code", "ends"), [(KafkaError.ILLEGAL_GENERATION, False), (KafkaError.GROUP_AUTHORIZATION_FAILED, True)]
)
def test_a_commit_that_came_too_late_for_its_group_ends_nothing(tmp_path: Path, code: int, ends: bool) -> None:
    def commit(**_: Any) -> None:
        raise KafkaException(KafkaError(code))

    archiver = Archiver.__new__(Archiver)  # without brokers
    archiver.written, archiver._consumer = 0, cast(Consumer, SimpleNamespace(commit=commit))
    with _Held(locate(str(tmp_path / "raw"))) as waiting:
        for one in FIRST:
            waiting.add(one)
        with pytest.raises(KafkaException) if ends else nullcontext():
            archiver._keep(waiting)
        assert (archiver.written, waiting.messages) == ((0, len(FIRST)) if ends else (len(FIRST), 0))
        waiting.drop()
    assert held(str(tmp_path / "raw"), tmp_path / "all") == sorted(FIRST, key=lambda m: m[:3])


@pytest.mark.server
def test_a_signal_ends_it_with_everything_archived(topics: Kafka, tmp_path: Path) -> None:
    file, lake = config(topics, tmp_path), tmp_path / "raw"
    with subprocess.Popen(
        [AFOOT, "archive", "--config", str(file), "--to", str(lake), "--every", "1 s"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(lake.rglob("01-0-6*")):  # it goes on after files were written
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.2)
        publish(topics, SECOND)
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"{len(FIRST) + len(SECOND)} messages" in said
    assert held(str(lake), tmp_path / "all") == sorted([*FIRST, *SECOND], key=lambda m: m[:3])


@pytest.mark.server
def test_what_was_deleted_before_it_was_archived_is_told(kafka_server: Kafka, tmp_path: Path) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    topic = PREFIX + "telemetry.logs"
    kafka_server.create(topic, retention_ms="-1")
    publish(kafka_server, [message(topic, 0, n, n) for n in range(3)])
    client = {"bootstrap.servers": kafka_server.bootstrap, "group.id": tmp_path.name}
    file = configure(tmp_path / "afoot.toml", PREFIX, ["telemetry.logs"], kafka=client)
    archive(file, str(tmp_path / "raw"))
    publish(kafka_server, [message(topic, 0, n, n) for n in range(3, 8)])
    admin = AdminClient({"bootstrap.servers": kafka_server.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        future.result(timeout=30)
    said = archive(file, str(tmp_path / "raw"))
    assert f"{topic}, partition 0: offsets 3 to 5 were deleted before they were archived" in said
    assert [m.offset for m in held(str(tmp_path / "raw"), tmp_path / "all")] == [0, 1, 2, 6, 7]


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (START_MS + 3_599_999, "t/2026-05-29/00-3-7.jsonl.zst"),
        (START_MS + 3_600_000, "t/2026-05-29/01-3-7.jsonl.zst"),
        (-1, "t/1969-12-31/23-3-7.jsonl.zst"),  # a record without a time
        (START_MS * 1000, "t/9999-12-31/23-3-7.jsonl.zst"),  # a sender that takes us for ms
    ],
)
def test_a_file_is_named_by_its_hour(ms: int, expected: str) -> None:
    assert file_name("t", 3, 7, ms) == expected


def test_folders_and_single_files_are_captures_too(tmp_path: Path) -> None:
    for name, offset in (("a.jsonl", 0), ("b.jsonl.gz", 1), ("sub/c.jsonl.zst", 2), ("_no.jsonl", 3), ("no.txt", 4)):
        path = tmp_path / "captures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_captures(path, [message("t", 0, offset, 0)])
    assert [m.offset for m in held(str(tmp_path / "captures"), tmp_path / "all")] == [0, 1, 2]
    assert [m.offset for m in held(f"file://{tmp_path}/captures/b.jsonl.gz", tmp_path / "one")] == [1]


def test_a_place_without_captures_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no capture"):
        find(f"{tmp_path}/nowhere", None, lambda _: False)
    write_captures(tmp_path / "a.jsonl", [message("t", 0, 0, 0)])
    (tmp_path / "t" / "2026-13-99").mkdir(parents=True)  # looks like a day of an archive
    write_captures(tmp_path / "t" / "2026-13-99" / "00-0-0.jsonl.zst", [message("t", 0, 0, 0)])
    with pytest.raises(UsageError, match="there is no capture of 2026-05-29"):
        find(str(tmp_path), date(2026, 5, 29), lambda _: False)  # no archive, so it has no days


@pytest.mark.server
def test_a_replay_reads_a_day_of_it(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = s3.bucket("replayed") + "/raw"
    sent = [message(topic, 0, n, n * 6 * 3_600_000) for topic in ("telemetry.metrics", "inventory") for n in range(8)]
    for one in sent:
        write_captures(tmp_path / "one.jsonl.zst", [one])
        key = file_name(one.topic, one.partition, one.offset, one.timestamp_ms)
        s3.client().upload_file(str(tmp_path / "one.jsonl.zst"), "replayed", f"raw/{key}")
    read: list[Message] = []
    monkeypatch.setattr(replay, "replay_files", lambda files, *_: read.extend(read_captures(files)))
    arguments = ["replay", "--capture", uri, "--day", "2026-05-30", "--lake", str(tmp_path / "lake")]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert sorted((m.topic, m.offset) for m in read) == [
        *(("inventory", n) for n in range(8)),
        *(("telemetry.metrics", n) for n in range(4, 8)),
    ]
