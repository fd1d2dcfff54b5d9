"""Kafka as the commands beside the job use it: what topics hold between two times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from afoot.errors import AfootError
from afoot.telemetry.rows import Message

PATIENCE_S = 10.0  # for an answer of the brokers
# Settings of the Java clients that librdkafka spells otherwise, or has no use for.
_JAVA_ONLY = ("key.deserializer", "value.deserializer", "sasl.jaas.config", "transaction.timeout.ms")


class Slice(NamedTuple):
    """A part of a partition: offsets from `first` up to, and not including, `end`."""

    topic: str
    partition: int
    first: int
    end: int


def client_settings(kafka: Mapping[str, str]) -> dict[str, str]:
    """The Kafka client settings of a configuration, for librdkafka."""
    return {name: value for name, value in kafka.items() if name not in _JAVA_ONLY}


class Reader:
    """Reads topics without a group: nothing is committed, and no running job is disturbed."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        self.servers = kafka.get("bootstrap.servers", "")
        # What fails is raised, worded; librdkafka's own lines would only stand beside it.
        self._settings: dict[str, Any] = {**client_settings(kafka), "log_level": "0"}
        settings: dict[str, Any] = {
            **self._settings,
            "group.id": "afoot-reader",
            "enable.auto.commit": "false",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": "false",
        }
        try:
            self._consumer = Consumer(settings, logger=_Silent())
        except KafkaException as error:
            raise AfootError(f"[kafka]: the client refuses these settings: {words(error)}") from error

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def topics(self) -> dict[str, list[int]]:
        """Partitions by topic; AfootError names the brokers that do not answer."""
        try:
            found = self._consumer.list_topics(timeout=PATIENCE_S)
        except KafkaException as error:
            raise AfootError(
                f"brokers {self.servers} do not answer within {PATIENCE_S:.0f} s: {words(error)}"
            ) from error
        return {name: sorted(topic.partitions) for name, topic in found.topics.items()}

    def between(self, topic: str, partitions: list[int], from_ms: int, to_ms: int) -> list[Slice]:
        """Where all records of these times are, though not only they; what is written while we look is left out.

        Times that senders set (CreateTime) need not rise along a partition: behind the first record of `to_ms` others
        may be older, wherever the partition ends. Times that brokers set do rise.
        """
        starts = self._offsets(topic, partitions, from_ms)
        rising = self.topic_setting(topic, "message.timestamp.type") == "LogAppendTime"
        ends = self._offsets(topic, partitions, to_ms) if rising else {}
        found = []
        for partition in partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)
            first = high if starts[partition] in (OFFSET_END, -1) else max(low, starts[partition])
            end = high if ends.get(partition, -1) in (OFFSET_END, -1) else ends[partition]
            if first < end:
                found.append(Slice(topic, partition, first, end))
        return found

    def last(self, topic: str, partitions: list[int], count: int) -> list[Slice]:
        """The last `count` records of each partition."""
        found = []
        for partition in partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_S)
            if high > low:
                found.append(Slice(topic, partition, max(low, high - count), high))
        return found

    def messages(self, slices: list[Slice], progress: Callable[[int], None] = lambda _: None) -> Iterator[Message]:
        """The records of `slices`; AfootError if the brokers stop answering before their ends."""
        ends = {(part.topic, part.partition): part.end for part in slices}
        self._consumer.assign([TopicPartition(part.topic, part.partition, part.first) for part in slices])
        count = 0
        silent = 0.0
        while ends:
            record = self._consumer.poll(0.5)
            if record is None:
                silent += 0.5
                self._drop_finished(ends)
                if silent > 3 * PATIENCE_S and ends:
                    raise AfootError(f"brokers {self.servers}: nothing more came of {sorted(ends)} for {silent:.0f} s")
                continue
            silent = 0.0
            error = record.error()
            if error is not None:
                if error.retriable():
                    continue
                raise AfootError(f"brokers {self.servers}: {error.str()}")
            message = message_of(record)
            place = (message.topic, message.partition)
            if place in ends:
                if message.offset < ends[place]:
                    count += 1
                    progress(count)
                    yield message
                if message.offset + 1 >= ends[place]:
                    del ends[place]
        self._consumer.unassign()

    def _drop_finished(self, ends: dict[tuple[str, int], int]) -> None:
        """Ends that only hold transaction markers are never seen as records; the position passes them."""
        for part in self._consumer.position([TopicPartition(*place) for place in ends]):
            if part.offset >= ends[part.topic, part.partition]:
                del ends[part.topic, part.partition]

    def broker_setting(self, name: str) -> str | None:
        """A setting of a broker, None where it does not tell."""
        try:
            broker = min(self._consumer.list_topics(timeout=PATIENCE_S).brokers)
        except KafkaException:
            return None
        return self._setting(ConfigResource(ConfigResource.Type.BROKER, str(broker)), name)

    def topic_setting(self, topic: str, name: str) -> str | None:
        """A setting of a topic, None where the brokers do not tell."""
        return self._setting(ConfigResource(ConfigResource.Type.TOPIC, topic), name)

    def _setting(self, asked: ConfigResource, name: str) -> str | None:
        admin = AdminClient(self._settings, logger=_Silent())
        try:
            (future,) = admin.describe_configs([asked], request_timeout=PATIENCE_S).values()
            entry = future.result().get(name)
        except KafkaException:
            return None
        return None if entry is None else str(entry.value)

    def _offsets(self, topic: str, partitions: list[int], ms: int) -> dict[int, int]:
        asked = [TopicPartition(topic, partition, ms) for partition in partitions]
        try:
            return {part.partition: part.offset for part in self._consumer.offsets_for_times(asked, timeout=PATIENCE_S)}
        except KafkaException as error:
            raise AfootError(f"brokers {self.servers}: offsets of {topic} cannot be had: {words(error)}") from error


class _Silent:
    """A logger that says nothing."""

    def log(self, *_: object) -> None:
        return


def message_of(record: Any) -> Message:
    """A record of librdkafka's as a message."""
    _, timestamp = record.timestamp()
    return Message(
        record.topic(),
        record.partition(),
        record.offset(),
        timestamp,
        record.key(),
        record.value(),
        tuple(record.headers() or ()),
    )


def words(error: KafkaException) -> str:
    """What the client says of an error."""
    found = error.args[0]
    return str(found.str()) if isinstance(found, KafkaError) else str(found)
