"""Polls an inventory without Kafka Connect: what a program prints, a row a line, goes to Kafka as one transaction."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from afoot.config import Config
from afoot.errors import AfootError, DecodeError, UsageError
from afoot.kafka import client_settings
from afoot.telemetry import formats
from afoot.telemetry.rows import Message

FORMAT = "jdbc_json"
PATIENCE_S = 60.0  # for the program, and for the brokers
SHOWN = 500  # characters of what the program complains about


class Record(NamedTuple):
    """A row as it is sent, at the time of its poll: event time then moves by when the tables were read."""

    value: bytes
    time_ms: int


class Poller:
    """Sends polls to one topic. A second poller of the same topic takes over, and the first one fails."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self.topic = topic
        settings = {**client_settings(kafka), "transactional.id": f"afoot-poll-{topic}", "log_level": "0"}
        try:
            self._producer = Producer(settings)
            self._producer.init_transactions(PATIENCE_S)
        except KafkaException as error:
            raise AfootError(f"brokers {kafka.get('bootstrap.servers', '')}: {_words(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush(PATIENCE_S)

    def send(self, records: Sequence[Record]) -> None:
        """All records of a poll, or none of them."""
        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record)
            self._producer.commit_transaction(PATIENCE_S)
        except KafkaException as error:
            reason = error.args[0]
            if isinstance(reason, KafkaError) and reason.fatal():
                raise Fenced(f"{self.topic}: another poller of this topic was started: {_words(error)}") from error
            self._producer.abort_transaction(PATIENCE_S)
            raise AfootError(f"{self.topic}: the poll is not sent: {_words(error)}") from error

    def _produce(self, record: Record) -> None:
        while True:
            try:
                self._producer.produce(self.topic, record.value, timestamp=record.time_ms)
                return
            except BufferError:
                self._producer.poll(1.0)


class Fenced(AfootError):
    """Somebody else polls into this topic; going on would only take it back."""


def topic_of(config: Config, name: str | None) -> str:
    """The topic to poll into: the one that is named, else the only one of the configuration in the form of polls."""
    polled = [topic.name for topic in config.topics if topic.format == FORMAT and topic.name is not None]
    if name is None and len(polled) == 1:
        return polled[0]
    if name in polled:
        return name
    raise UsageError(
        f"{config.source}: {f'--topic {name}' if name else 'topics'} of format {FORMAT}: found "
        f'{", ".join(polled) or "none"}; needed is [[topic]] with name, kind = "inventory" and format = "{FORMAT}"'
    )


def poll(command: Sequence[str]) -> list[Record]:
    """What a program prints, each line a row that the job will be able to read. AfootError if any of it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no program {command[0]}; it has to print the rows of the inventory") from error
    except subprocess.TimeoutExpired as error:
        raise AfootError(f"{command[0]} took more than {PATIENCE_S:.0f} s; nothing is sent") from error
    complaint = done.stderr.decode(errors="replace").strip()[-SHOWN:]
    if done.returncode:
        raise AfootError(f"{command[0]} ended with status {done.returncode}; nothing is sent: {complaint}")
    found = [_record(line, number) for number, line in enumerate(done.stdout.splitlines(), 1) if line.strip()]
    if not found:
        raise AfootError(f"{command[0]} printed no row; an empty table has one, row 0 of 0; nothing is sent")
    return found


def _record(line: bytes, number: int) -> Record:
    message = Message("", 0, number, 0, None, line)
    try:
        (change, *_) = formats.decoder(FORMAT, "inventory")(message).rows
        if change.reading_rows is None:
            raise DecodeError("polled_at, polled_row and polled_rows are missing; connectors/polled.sql has them")
    except DecodeError as error:
        raise AfootError(f"line {number} cannot be read, nothing is sent: {error}") from error
    return Record(line, change.time_ms)


def _words(error: KafkaException) -> str:
    found = error.args[0]
    return str(found.str()) if isinstance(found, KafkaError) else str(found)
