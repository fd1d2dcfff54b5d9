"""An archive of topics: every message as it came, in captures by topic, day and hour, on S3 or in a folder.

A file is `TOPIC/YYYY-MM-DD/HH-PARTITION-OFFSET.jsonl.zst`: day and hour of the records' own times in UTC, and the
offset of its first message. A message is in the archive at least once: offsets are committed when the files that hold
them are there, and who reads captures keeps a message that several files hold once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow.fs as fs
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from afoot.captures import CaptureFile
from afoot.config import Config
from afoot.errors import AfootError, UsageError
from afoot.kafka import PATIENCE_S, client_settings, message_of, words
from afoot.lake.storage import Location, locate
from afoot.telemetry.rows import Message

ENDING = ".jsonl.zst"
MOST_BYTES = 256 * 1024 * 1024  # of messages that wait on the local disk for their upload ...
MOST_FILES = 200  # ... and files that they are in, beside one a partition; each is open, and takes about a megabyte
HOUR_MS = 3_600_000
_LAST_HOUR = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp() * 1000) // HOUR_MS  # for times beyond any date
_OTHERS_HAVE_THEM = (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID)

Place = tuple[str, int]  # topic, partition


def file_name(topic: str, partition: int, offset: int, timestamp_ms: int) -> str:
    """Where a file of the archive is whose first message is this one."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=_hour(timestamp_ms))
    return f"{topic}/{at:%Y-%m-%d}/{at:%H}-{partition}-{offset}{ENDING}"


class Archiver:
    """Writes what the configured topics hold. Several share the partitions, as the members of one consumer group."""

    def __init__(self, config: Config, uri: str, every_s: float, told: Callable[[str], None]) -> None:
        """`told` hears of messages that were deleted before they could be archived.

        UsageError where no configured topic is there, AfootError where the brokers do not answer.
        """
        self.written = 0  # messages in files that are there
        self._location = locate(uri, "archive")
        self._config, self._every_s, self._told = config, every_s, told
        self._servers = config.kafka.get("bootstrap.servers", "")
        passed = client_settings(config.kafka)
        settings: dict[str, Any] = {
            **passed,
            "group.id": f"{passed.get('group.id', 'afoot')}-archive",
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "log_level": "0",
        }
        try:
            self._consumer = Consumer(settings)
            self._topics = self._configured()
        except KafkaException as error:
            raise AfootError(f"brokers {self._servers} do not answer: {words(error)}") from error
        if not self._topics:
            raise UsageError(f"{config.source}: none of its topics is there, nothing would be archived")

    def run(self, go_on: Callable[[], bool], to_the_end: bool = False) -> None:
        """Archive until `go_on` says no, or, with `to_the_end`, what the topics hold by now."""
        with _Held(self._location) as held:
            try:
                self._subscribe(held)
                self._follow(held, go_on, to_the_end)
                self._keep(held)
            except KafkaException as error:
                raise AfootError(f"brokers {self._servers}: {words(error)}") from error
            finally:
                held.drop()  # what is not in the archive by now is left to the next start
                self._consumer.close()

    def _configured(self) -> list[str]:
        there = self._consumer.list_topics(timeout=PATIENCE_S).topics
        return sorted(topic for topic in there if self._config.topic_of(topic) is not None)

    def _subscribe(self, held: _Held) -> None:
        self._consumer.subscribe(
            self._topics,
            on_assign=lambda _, parts: self._look_for_gaps(parts),
            on_revoke=lambda _, parts: self._keep(held),
            on_lost=lambda _, parts: held.drop(),
        )

    def _follow(self, held: _Held, go_on: Callable[[], bool], to_the_end: bool) -> None:
        ends: dict[Place, int] | None = None
        kept = time.monotonic()
        while go_on():
            for record in self._consumer.consume(1000, 0.5):
                error = record.error()
                if error is None:
                    held.add(message_of(record))
                    if held.is_full:
                        self._keep(held)
                elif not error.retriable():
                    raise KafkaException(error)
            if time.monotonic() - kept >= self._every_s:
                self._keep(held)
                kept = time.monotonic()
                if self._topics != (topics := self._configured()):
                    self._topics = topics
                    self._subscribe(held)
            if to_the_end and (assigned := self._consumer.assignment()):
                ends = ends or {(part.topic, part.partition): self._bounds(part)[1] for part in assigned}
                if all(self._position(part) >= ends.get((part.topic, part.partition), 0) for part in assigned):
                    return

    def _position(self, part: TopicPartition) -> int:
        """The next offset to be read; where nothing was read yet, the one to begin with."""
        (at,) = self._consumer.position([part])
        if at.offset >= 0:
            return int(at.offset)
        (committed,) = self._consumer.committed([part], timeout=PATIENCE_S)
        return max(int(committed.offset), self._bounds(part)[0])

    def _bounds(self, part: TopicPartition) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(part, timeout=PATIENCE_S)
        return low, high

    def _look_for_gaps(self, parts: list[TopicPartition]) -> None:
        for part in self._consumer.committed(parts, timeout=PATIENCE_S):
            low, _ = self._bounds(part)
            if 0 <= part.offset < low:
                self._told(
                    f"{part.topic}, partition {part.partition}: offsets {part.offset} to {low - 1} were deleted before "
                    "they were archived; keep the topic for longer, or archive without pause"
                )

    def _keep(self, held: _Held) -> None:
        """Have all that is held in the archive, and only then commit it."""
        offsets = held.upload()
        if offsets:
            parts = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
            try:
                self._consumer.commit(offsets=parts, asynchronous=False)
            except KafkaException as error:
                # Others have the partitions by now, and read from the commit before: what is archived is so twice.
                if error.args[0].code() not in _OTHERS_HAVE_THEM:
                    raise
        self.written += held.messages
        held.drop()


class _Held:
    """Messages that are in no file of the archive yet, in files on the local disk."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._temporary = tempfile.TemporaryDirectory(prefix="afoot-archive-")
        self._files: dict[tuple[str, int, int], tuple[str, CaptureFile]] = {}  # name by topic, partition, hour
        self._next: dict[Place, int] = {}
        self.messages = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()

    @property
    def is_full(self) -> bool:
        """Whether it is time for the archive."""
        return self._bytes >= MOST_BYTES or len(self._files) >= MOST_FILES + len(self._next)

    def add(self, message: Message) -> None:
        """Hold a message."""
        key = (message.topic, message.partition, _hour(message.timestamp_ms))
        if key not in self._files:
            name = file_name(message.topic, message.partition, message.offset, message.timestamp_ms)
            self._files[key] = name, CaptureFile(Path(self._temporary.name) / f"{len(self._files)}{ENDING}")
        self._files[key][1].write(message)
        self._next[message.topic, message.partition] = message.offset + 1
        self._bytes += len(message.value or b"") + len(message.key or b"")
        self.messages += 1

    def upload(self) -> dict[Place, int]:
        """Have all files in the archive; the offsets to go on from."""
        for name, file in self._files.values():
            file.close()
            _copy(file.path, self._location, name)
        return dict(self._next)

    def drop(self) -> None:
        """Hold nothing any more."""
        for _, file in self._files.values():
            file.close()
            file.path.unlink()
        self._files.clear()
        self._next.clear()
        self.messages = self._bytes = 0


def _hour(timestamp_ms: int) -> int:
    """The hour since 1970 of a record's time; -1 for one without a time, the last that has a date for any beyond."""
    return max(-1, min(timestamp_ms // HOUR_MS, _LAST_HOUR))


def _copy(path: Path, location: Location, name: str) -> None:
    target = f"{location.path}/{name}"
    folder, _, last = target.rpartition("/")
    # An object on S3 is there whole or not at all; a file is, once it has its name.
    local = isinstance(location.filesystem, fs.LocalFileSystem)
    written = f"{folder}/.{last}" if local else target
    try:
        if local:
            location.filesystem.create_dir(folder, recursive=True)
        with path.open("rb") as source, location.filesystem.open_output_stream(written, compression=None) as stream:
            shutil.copyfileobj(source, stream, 1 << 20)
        if local:
            location.filesystem.move(written, target)
    except OSError as error:
        raise AfootError(
            f"archive {location.uri}: {name} cannot be written: {error}; it is read again at the next start"
        ) from error
