"""A Kafka broker."""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from afoot.runtime.fill import fill_file
from afoot.runtime.jars import jars
from afoot.runtime.java import java
from tests.servers.process import REPOSITORY, Process, ServerError, free_port

_CONFIG = REPOSITORY / "deploy" / "kafka"


@dataclass(frozen=True)
class Kafka:
    """A running broker; `process` restarts or kills it."""

    bootstrap: str
    process: Process

    def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        """Create a topic; config keys are Kafka's with _ for . (retention_ms)."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin = AdminClient(self._client())  # has to outlive its futures
        admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(timeout=30)

    def topics(self) -> set[str]:
        """The names of all topics."""
        return set(AdminClient(self._client()).list_topics(timeout=30).topics)

    def produce(self, topic: str, values: Sequence[bytes], key: bytes | None = None, timestamp_ms: int = 0) -> None:
        """Send values in order; timestamp 0 is the time of sending."""
        producer = Producer({**self._client(), "enable.idempotence": True, "message.max.bytes": 20_000_000})
        for value in values:
            producer.produce(topic, value, key=key, timestamp=timestamp_ms)
            producer.poll(0)
        if left := producer.flush(30):
            raise ServerError(f"{left} of {len(values)} messages did not reach {topic}")

    def messages(self, topic: str, committed: bool = True) -> list[Message]:
        """All messages of a topic up to its present end, in order of partitions; aborted ones only if asked for."""
        consumer = Consumer(
            {
                **self._client(),
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
            }
        )
        try:
            found: list[Message] = []
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            open_partitions = set(partitions)
            while open_partitions:
                message = consumer.poll(30)
                if message is None:
                    raise ServerError(f"partitions {sorted(open_partitions)} of {topic} are silent without an end")
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == error._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(error)
            return sorted(found, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def _client(self) -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap}


@contextlib.contextmanager
def kafka(folder: Path, port: int | None = None) -> Iterator[Kafka]:
    """A broker with its data and log in folder; a port that is given lets a second one take over the data."""
    port = port or free_port()
    config = fill_file(
        _CONFIG / "broker.properties",
        folder / "broker.properties",
        {"KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port()), "KAFKA_DATA": str(folder / "data")},
    )
    command = [
        java(),
        "-Xmx512m",
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={_CONFIG / 'log4j2.properties'}",
        "-cp",
        ":".join(str(jar) for jar in jars("kafka")),
    ]
    if not (folder / "data").exists():
        formatted = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", "-t", "afoot-test-cluster-0000", "-c", str(config)],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode:
            raise ServerError(f"the broker's folder cannot be formatted: {formatted.stdout}{formatted.stderr}")
    bootstrap = f"127.0.0.1:{port}"
    process = Process(
        "kafka", [*command, "kafka.Kafka", str(config)], folder / "kafka.log", lambda: _answers(bootstrap)
    )
    with process:
        yield Kafka(bootstrap, process)


def _answers(bootstrap: str) -> bool:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False
