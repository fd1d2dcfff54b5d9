"""Topics filled with a fleet's telemetry, and what was put into them.

Formats that the fleet writes itself come from templates; the others are written point by point, as benchmarks.encodings
has them, which takes longer and is not timed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from confluent_kafka import Producer

from afoot.simulate.load import FORMATS, MALFORMED_EVERY, STEP_S, Fleet, Format
from afoot.telemetry import canonical
from afoot.telemetry.payload import document
from afoot.telemetry.rows import Message
from benchmarks import encodings
from tests.servers.kafka import Kafka

PARTITIONS = 4
LEVEL = "none"  # compression: agents differ; without it, a scan is as fast as it can be


class Load(NamedTuple):
    """A case: how many entities send how many points, in which format and how many a message."""

    format: str
    entities: int
    points: int  # about; whole steps are sent
    per_message: int = 100

    @property
    def name(self) -> str:
        """As tables show it."""
        single = ", 1 point a message" if self.per_message == 1 else ""
        return f"{self.format}, {self.entities:,} entities{single}"


class Filled(NamedTuple):
    """Two topics that hold a load, and the account of it."""

    load: Load
    telemetry: str
    inventory: str
    messages: int  # of telemetry
    malformed: int  # of these
    points: int  # in messages that are not malformed
    payload_bytes: int
    inventory_messages: int
    simulated_s: int
    culprit: str


def written(fleet: Fleet, load: Load, steps: int) -> Iterator[Message]:
    """A load's messages, in order of their times; one in MALFORMED_EVERY is cut off."""
    if load.format in FORMATS:
        yield from fleet.messages(cast(Format, load.format), steps, partitions=PARTITIONS, points=load.per_message)
        return
    encode, read = encodings.METRICS[load.format], canonical.reader("metrics")
    rows_as_json = fleet.messages("json", steps, partitions=PARTITIONS, points=load.per_message)
    for number, message in enumerate(rows_as_json, start=1):
        if number % MALFORMED_EVERY == 0:  # cut off by the fleet: no row can be had of it
            yield message._replace(value=b"{" + (message.value or b"")[:100])
        else:
            rows = read(document(message, "json"), "json").rows
            if load.format == "cloudwatch_metric_stream":
                rows = [row._replace(name=encodings.FLEET + row.name) for row in rows]
            yield message._replace(value=encode(rows))


def fill(kafka: Kafka, load: Load) -> Filled:
    """Creates two topics and sends a load to them."""
    fleet = Fleet(load.entities)
    steps = max(1, round(load.points / fleet.points_a_step))
    stem = f"{load.format}.{load.entities}.{load.per_message}"
    telemetry, inventory = f"telemetry.{stem}", f"inventory.{stem}"
    keep = {"retention_ms": "-1"}  # event times lie in the past
    kafka.create(telemetry, PARTITIONS, **keep)
    kafka.create(inventory, 1, **keep)
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "compression.type": LEVEL,
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 256_000,
        }
    )

    def send(topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp_ms: int) -> None:
        while True:
            try:
                producer.produce(topic, value, key, partition, timestamp=timestamp_ms)
                return
            except BufferError:
                producer.poll(0.1)

    inventory_messages = 0
    for message in fleet.inventory(steps):
        send(inventory, 0, message.key, message.value, message.timestamp_ms)
        inventory_messages += 1
    sizes = [len(fleet.series[i : i + load.per_message]) for i in range(0, len(fleet.series), load.per_message)]
    messages = malformed = points = payload_bytes = 0
    for message in written(fleet, load, steps):
        send(telemetry, message.partition, message.key, message.value, message.timestamp_ms)
        messages += 1
        payload_bytes += len(message.value or b"")
        if messages % MALFORMED_EVERY == 0:
            malformed += 1
        else:
            points += sizes[(messages - 1) % len(sizes)]
        if messages % 1000 == 0:
            producer.poll(0)
    if left := producer.flush(60):
        raise RuntimeError(f"{left} messages did not reach {telemetry}")
    return Filled(
        load,
        telemetry,
        inventory,
        messages,
        malformed,
        points,
        payload_bytes,
        inventory_messages,
        steps * STEP_S,
        fleet.culprit,
    )
