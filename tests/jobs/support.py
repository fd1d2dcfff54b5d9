"""Captures as topics, and what jobs made of them as rows that compare."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Producer

from afoot.cli.replay import replay_files
from afoot.errors import UsageError
from afoot.lake.layout import TABLES
from afoot.lake.query import open_lake
from afoot.simulate.capture import write
from afoot.simulate.inventory import envelope
from afoot.telemetry.rows import Message
from benchmarks.meter import descendants
from jobs.findings import forks
from tests.servers.kafka import Kafka
from tests.servers.process import REPOSITORY, ServerError

Tables = dict[str, list[tuple[Any, ...]]]  # rows by table, sorted

AFOOT = Path(sys.executable).with_name("afoot")
MINUTE_MS = 60_000
PATIENCE_S = 120  # for a job to stop
KINDS = {
    "telemetry.metrics": ("metrics", "otlp_json", "30 s"),
    "telemetry.cloudwatch": ("metrics", "cloudwatch_metric_stream", "10 min"),
    "telemetry.logs": ("logs", "fluent_bit", "30 s"),
    "telemetry.flows": ("flows", "goflow2_json", "30 s"),
    "inventory": ("inventory", "debezium_json", "30 s"),
}
COMPARED = ("findings", "evidence", "signals")  # tables without the windows that the last records opened


def python_workers(pid: int) -> list[int]:
    """The Python workers of a job that a process runs."""
    found = []
    for process in descendants(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{process}/comm").read_text().strip() == forks.NAME:
                found.append(process)
    return found


def renumbered(messages: Iterable[Message], prefix: str = "") -> list[Message]:
    """The messages as an empty broker would number them: offsets from 0, under topics of the test's own."""
    offsets: Counter[tuple[str, int]] = Counter()
    found = []
    for message in sorted(messages, key=lambda m: (m.topic, m.partition, m.offset)):
        place = message.topic, message.partition
        found.append(message._replace(topic=prefix + message.topic, offset=offsets[place]))
        offsets[place] += 1
    return found


def by_time(messages: Iterable[Message]) -> list[Message]:
    """The messages in the order in which they were sent."""
    return sorted(messages, key=lambda m: (m.timestamp_ms, m.topic, m.partition, m.offset))


def parted(messages: Iterable[Message], *parts: float) -> list[list[Message]]:
    """The messages in runs by time of sending, cut after these parts of the whole time that the first ones span."""
    ordered = by_time(messages)
    begin_ms, end_ms = ordered[0].timestamp_ms, ordered[-1].timestamp_ms
    cuts = [begin_ms + part * (end_ms - begin_ms) for part in parts]
    found: list[list[Message]] = [[] for _ in range(len(cuts) + 1)]
    for message in ordered:
        found[sum(message.timestamp_ms >= cut for cut in cuts)].append(message)
    return found


def unasked_point(at_ms: int, metric: str = "nobody_asks_for_this") -> bytes:
    """A metric point, in otlp_json, that no signal asks for: it moves event time, and nothing else."""
    return gauge(metric, at_ms, 1.0, job_name="none")


def gauge(metric: str, at_ms: int, value: float, **labels: str) -> bytes:
    """One point of a gauge, in otlp_json."""
    named = [{"key": name, "value": {"stringValue": text}} for name, text in labels.items()]
    point = {"attributes": named, "timeUnixNano": f"{at_ms}000000", "asDouble": value}
    metrics = [{"name": metric, "gauge": {"dataPoints": [point]}}]
    return orjson.dumps({"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": metrics}]}]})


def heartbeat(at_ms: int) -> bytes:
    """The inventory's heartbeat row, in debezium_json."""
    return envelope("heartbeat", {"id": 1, "at": datetime.fromtimestamp(at_ms / 1000).isoformat()}, "u", at_ms)


def pushers(messages: Sequence[Message], after_ms: int = 3_600_000) -> list[Message]:
    """A later record for each partition: it closes the windows of `messages`, and its own window stays open.

    A topic never ends, a capture does: without a later record a job on Kafka rightly goes on waiting where a replay
    stops. Both are given these, early in a minute, so that no watermark closes theirs.
    """
    last_ms = max(message.timestamp_ms for message in messages)
    at_ms = (last_ms + after_ms) // MINUTE_MS * MINUTE_MS + 1_000
    offsets: dict[tuple[str, int], int] = {}
    for message in messages:
        offsets[message[:2]] = max(message.offset, offsets.get(message[:2], 0))
    return [
        Message(topic, partition, offset + 1, at_ms, None, _later(topic, at_ms))
        for (topic, partition), offset in sorted(offsets.items())
    ]


def _later(topic: str, at_ms: int) -> bytes:
    if topic.endswith("inventory"):
        return heartbeat(at_ms)
    if topic.endswith("telemetry.metrics"):
        return unasked_point(at_ms)
    return b"{}"  # unreadable in its format: a dead letter, whose record moves time like any other


def configure(path: Path, prefix: str = "", topics: Iterable[str] = KINDS, **tables: Mapping[str, object]) -> Path:
    """Writes an afoot.toml for topics of the simulator under a prefix; returns its path."""
    lines = []
    for table, settings in tables.items():
        lines.append(f"[{table}]")
        lines += [f'"{key}" = {_toml(value)}' for key, value in settings.items()]
    for topic in topics:
        kind, form, lateness = KINDS[topic]
        lines += ["[[topic]]", f'name = "{prefix}{topic}"', f'kind = "{kind}"', f'format = "{form}"']
        lines.append(f'lateness = "{lateness}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | int) else orjson.dumps(value).decode()


def publish(kafka: Kafka, messages: Iterable[Message]) -> None:
    """Sends messages to their partitions with their own times, each partition in the order of its offsets."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    failed: list[str] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for m in sorted(messages, key=lambda m: (m.topic, m.partition, m.offset)):
        producer.produce(m.topic, m.value, m.key, m.partition, on_delivery=delivered, timestamp=m.timestamp_ms)
        producer.poll(0)
    if producer.flush(60) or failed:
        raise ServerError(f"not everything reached the topics: {failed[:3]}")


def replay(messages: Iterable[Message], folder: Path, config: Path | None = None) -> tuple[Tables, list[Any]]:
    """What a replay of the messages, in the order given, writes: rows by table, and the alerts."""
    folder.mkdir(parents=True, exist_ok=True)
    capture = folder / "capture.jsonl.gz"
    write(messages, capture)
    alerts = folder / "alerts.jsonl"
    replay_files([capture], str(folder / "lake"), alerts, config)
    return tables(str(folder / "lake")), [orjson.loads(line) for line in alerts.read_bytes().splitlines()]


def tables(lake: str) -> Tables:
    """The rows of a lake by table, sorted, with their columns in the layout's order."""
    opened = open_lake(lake)
    found = {}
    for name in TABLES:
        rows = opened.sql(f"SELECT * FROM {name}")
        found[name] = sorted((tuple(_plain(value) for value in row.values()) for row in rows), key=repr)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return tuple(value.values())
    return value


def balance(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, str], int]:
    """Totals of books by what is counted and account."""
    totals: Counter[tuple[str, str]] = Counter()
    for _, _, counted, account, _, count, _ in rows:
        totals[counted, account] += count
    return dict(totals)


def afoot(
    *arguments: str | Path, environment: Mapping[str, str] = os.environ, patience_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    return subprocess.run(
        [AFOOT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        timeout=patience_s,
        check=False,
    )


def wait_for(what: str, ready: Callable[[], object], patience_s: float = 240, every_s: float = 1.0) -> Any:
    """Asks until the answer is true, and returns it; a ServerError that says what was waited for."""
    deadline = time.monotonic() + patience_s
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise ServerError(f"waited {patience_s:g} s in vain: {what}")
        time.sleep(every_s)
    return found


class OnKafka:
    """A job on Kafka: topics under a prefix of its own, its configuration, and what it has written so far."""

    def __init__(
        self,
        name: str,
        kafka: Kafka,
        folder: Path,
        home: str,
        metrics_partitions: int = 2,
        idle_after: str = "10 min",
        topics: Iterable[str] = KINDS,
    ) -> None:
        self.prefix, self.kafka, self.lake = f"{name}.", kafka, f"{home}/lake"
        self.config = configure(
            folder / "afoot.toml",
            self.prefix,
            kafka={"bootstrap.servers": kafka.bootstrap},
            window={"idle_after": idle_after},
            flink={"checkpoints": f"{home}/checkpoints", "checkpoint_interval": "3 s"},
            lake={"uri": self.lake},
            alerts={"topic": f"{self.prefix}alerts"},
            topics=topics,
        )
        partitions = {"telemetry.metrics": metrics_partitions, "telemetry.logs": 2, "telemetry.flows": 2}
        for topic in topics:
            # What is old by its own clock must not be cleaned up.
            kafka.create(self.prefix + topic, partitions.get(topic, 1), retention_ms="-1")
        kafka.create(f"{self.prefix}alerts", retention_ms="-1")

    def send(self, messages: Iterable[Message]) -> None:
        """Puts messages on the job's topics."""
        publish(self.kafka, [message._replace(topic=self.prefix + message.topic) for message in messages])

    def rows(self) -> Tables:
        """What the lake holds now, nothing before there is one; under the topics' usual names."""
        try:
            open_lake(self.lake)
        except UsageError:
            return {name: [] for name in TABLES}
        return {name: sorted(self._unprefixed(rows), key=repr) for name, rows in tables(self.lake).items()}

    def alerts(self) -> list[Any]:
        """The alerts that a consumer of committed messages sees."""
        found = [orjson.loads(message.value() or b"") for message in self.kafka.messages(f"{self.prefix}alerts")]
        return list(orjson.loads(orjson.dumps(found).replace(self.prefix.encode(), b"")))

    def equals(self, wanted: Tables, alerts: list[Any]) -> None:
        """Waits for as many rows and alerts as a replay writes, and holds them against the replay's, one by one."""

        def complete() -> Tables | None:
            rows = self.rows()
            return rows if all(len(rows[name]) >= len(wanted[name]) for name in COMPARED) else None

        found = wait_for("as many rows as a replay writes", complete)
        for name in COMPARED:
            assert found[name] == wanted[name], name
        # Sinks do not commit a checkpoint in one moment.
        assert wait_for("as many alerts", lambda: len(told := self.alerts()) >= len(alerts) and told) == alerts

    def _unprefixed(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.removeprefix(self.prefix)
        return type(value)(map(self._unprefixed, value)) if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def running(job: OnKafka, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`afoot run`, with what it says in a file; one that is still there in the end is stopped."""
    with log.open("wb") as remarks:
        process = subprocess.Popen([AFOOT, "run", "--config", job.config], stdout=remarks, stderr=remarks)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
