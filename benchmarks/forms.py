"""One scenario in every format: what it is simulated in is decoded, and written again as other senders would.

Rows, record times and order stay; a form changes what carries the rows of one kind. Its findings must be those of the
capture as it was simulated, and right by the scenario's truth.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from afoot.config import load_config
from afoot.simulate import agents, chatter, cloudwatch, inventory
from afoot.simulate.capture import arrive, write
from afoot.simulate.run import judge as truth_of
from afoot.simulate.run import measured, play
from afoot.simulate.world import World
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from benchmarks import encodings, examples, inprocess, statements
from benchmarks.judging import ANSWERS, judge

BASE = {  # what captures are simulated in
    "metrics": (agents.TOPIC, "otlp_json"),
    "logs": (chatter.LOGS, "fluent_bit"),
    "flows": (chatter.FLOWS, "goflow2_json"),
    "inventory": (inventory.TOPIC, "debezium_json"),
}
LATENESS = {cloudwatch.TOPIC: "10 min"}
KUBERNETES = "inventory.kubernetes"  # where a cluster speaks of itself, beside what the rest of the inventory has
COLLECTD = "telemetry.collectd"  # where machines' disks are measured by collectd, the rest is not its to measure
ANSWER_COLUMNS = ("kind", "culprit_entity", "victim_entity", "culprit_via", "schedule_id", "recurrence_period_s")


class Form(NamedTuple):
    """A kind of telemetry in a format, `way` being one of several that it has; and the seed's agents that it needs."""

    kind: str
    format: str
    way: str = ""
    machines: str = ""  # family: node or ec2
    volumes: str = ""  # family: harvest or ebs

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.format}, {self.way}" if self.way else self.format

    @property
    def simulated(self) -> bool:
        """Whether captures are in this form as they are; CloudWatch's is, by a seed that has it."""
        return (not self.way and self.format == BASE[self.kind][1]) or self.format == "cloudwatch_metric_stream"

    def fits(self, seed: int) -> bool:
        """Whether the agents of a seed are those that this form is about."""
        style = World(seed, 0, 3_600).style
        return self.machines in ("", style.machine_family) and self.volumes in ("", style.volume_family)


def forms() -> list[Form]:
    """Every form of every kind."""
    found = [
        *(Form("metrics", name) for name in encodings.METRICS if not name.startswith(("collectd", "cloudwatch"))),
        Form("metrics", "collectd_json", "disks", machines="node"),
        Form("metrics", "collectd_graphite", "disks", machines="node"),
        Form("metrics", "cloudwatch_metric_stream", "volumes, machines", machines="ec2", volumes="ebs"),
        *(Form("logs", name) for name in encodings.LOGS),
        *(Form("flows", name) for name in encodings.FLOWS),
        *(Form("inventory", "debezium_json", way) for way in ("", "schema", "unwrapped", "unwrapped, schema")),
        *(Form("inventory", name) for name in ("debezium_avro", "jdbc_json", "json", "avro")),
        Form("inventory", "otlp_json", "entity events"),
        Form("inventory", "otlp_proto", "entity events"),
        Form("inventory", "prometheus_kafka_adapter", "kube-state-metrics"),
        Form("inventory", "kubernetes_events", "objects"),
    ]
    return found


@dataclass
class Told:
    """What a form's findings say, beside those of the capture as simulated."""

    form: str
    kind: str
    seed: int
    verdicts: list[tuple[Any, ...]]
    simulated: list[tuple[Any, ...]]
    right: bool
    wrong: list[str]

    @property
    def same(self) -> bool:
        """Whether nothing differs, and all is right."""
        return self.verdicts == self.simulated and self.right


class Simulated(NamedTuple):
    """A scenario of a seed: its messages, its truth, and what they give as they are."""

    messages: list[Message]
    truth: dict[str, Any]
    findings: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


@functools.lru_cache(maxsize=1)  # forms of one seed follow one another
def simulated(scenario: str, seed: int) -> Simulated:
    """Plays a scenario, and runs it as it was simulated."""
    played = play(scenario, seed)
    messages = list(arrive(measured(played), played.world.rng("offsets")))
    return Simulated(messages, asdict(truth_of(played)), *_run(messages, None))


def tell(scenario: str, seed: int, form: Form) -> Told:
    """Runs a scenario in a form, and compares."""
    while not form.fits(seed):
        seed += 1
    base = simulated(scenario, seed)
    findings, evidence = base.findings, base.evidence
    if not form.simulated:
        findings, evidence = _run(_formed(base.messages, form), form)
    found = judge(base.truth, findings, evidence)
    right = all(found.answers[answer] for answer in ANSWERS)
    return Told(form.name, form.kind, seed, _verdicts(findings), _verdicts(base.findings), right, found.wrong)


def _verdicts(findings: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The latest revision of every finding above info, by what it answers."""
    latest = {row["finding_id"]: row for row in sorted(findings, key=lambda row: (row["as_of"], row["revision"]))}
    told = [tuple(row[column] for column in ANSWER_COLUMNS) for row in latest.values() if row["severity"] != "info"]
    return sorted(told, key=repr)


def _run(messages: Iterable[Message], form: Form | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    schemas = {encodings.KEY_ID: encodings.KEY_SCHEMA, encodings.VALUE_ID: encodings.VALUE_SCHEMA}
    with tempfile.TemporaryDirectory(prefix="afoot-form-") as name:
        folder = Path(name)
        write(messages, folder / "capture.jsonl")
        config = folder / "afoot.toml"
        config.write_text(_config(form), "utf-8")
        with examples.registry({number: json.dumps(schema) for number, schema in schemas.items()}):
            found = inprocess.replay([folder / "capture.jsonl"], load_config(config))
    if refused := {reason: count for reason, count in found.refused.items() if reason != "late"}:
        raise RuntimeError(f"{form.name if form else 'as simulated'}: refused {refused}")
    return (
        [{**finding._asdict(), "component": finding.component} for finding in found.findings],
        [{**row._asdict(), "pointers": tuple(map(tuple, row.pointers))} for row in found.evidence],
    )


def _config(form: Form | None) -> str:
    topics: list[tuple[str, str, str, dict[str, str]]] = [
        (name, kind, format_name, {}) for kind, (name, format_name) in BASE.items()
    ]
    topics.append((cloudwatch.TOPIC, "metrics", "cloudwatch_metric_stream", {}))
    lines = []
    if form is not None and not form.simulated:
        options = dict(encodings.OPTIONS.get(form.format, {}))
        if form.format == "debezium_avro":
            options["registry"] = examples.REGISTRY
        own = (BASE[form.kind][0], form.kind, form.format, options)
        if form.kind == "inventory" and form.format in statements.FORMATS:
            own = (KUBERNETES, *own[1:])
        if form.format.startswith("collectd"):
            own = (COLLECTD, *own[1:])
        topics = [topic for topic in topics if topic[0] != own[0]] + [own]
    for name, kind, format_name, options in topics:
        lines += ["[[topic]]", f"kind = {json.dumps(kind)}", f"format = {json.dumps(format_name)}"]
        tables = kind == "inventory" and format_name == "jdbc_json"
        lines.append(f"pattern = {json.dumps(name + '[.].*')}" if tables else f"name = {json.dumps(name)}")
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        if name in LATENESS:
            lines.append(f"lateness = {json.dumps(LATENESS[name])}")
    return "\n".join(lines) + "\n"


def _formed(messages: Sequence[Message], form: Form) -> Iterator[Message]:
    """The messages of a capture, those of the form's kind written anew."""
    topic, format_name = BASE[form.kind]
    decode = formats.decoder(format_name, form.kind)
    if form.kind == "inventory":
        read = [(message, decode(message).rows) for message in messages if message.topic == topic]
        polls = Counter(row.table for _, rows in read for row in rows if row.reading and row.table != "heartbeat")
        write_one = (_Statements(form) if form.format in statements.FORMATS else _Changes(form, polls)).write
        for message, rows in read:
            for row in rows:
                yield from write_one(message, row)
        yield from (message for message in messages if message.topic != topic)
        return
    encode = encodings.ENCODERS[form.kind].get(form.format)
    for message in messages:
        if message.topic != topic:
            yield message
            continue
        rows = list(decode(message).rows)
        assert encode is not None
        if form.format.startswith("collectd"):
            disks = [row for row in rows if row.name in encodings.DISKS]
            rest = [row for row in rows if row.name not in encodings.DISKS]
            if disks:
                yield message._replace(topic=COLLECTD, value=encode(disks))
            if rest:
                yield message._replace(value=encodings.otlp_json_metrics(rest))
        elif rows:
            yield message._replace(value=encode(rows))


class _Changes:
    """Writes changes one by one. A connector that polls reads whole tables: at first, and where a row has gone."""

    def __init__(self, form: Form, polls: Counter[str]) -> None:
        self._form = form
        self._polls = polls
        self._numbers: Counter[str] = Counter()
        self._offsets: Counter[str] = Counter()
        self._tables: dict[str, dict[tuple[str, ...], InventoryChange]] = defaultdict(dict)

    def write(self, message: Message, change: InventoryChange) -> list[Message]:
        """The messages of a change."""
        schema, unwrapped = "schema" in self._form.way, "unwrapped" in self._form.way
        if self._form.format == "jdbc_json":
            topic = f"{message.topic}.{change.table}"
            return [self._sent(message, topic, None, value) for value in self._polled(change)]
        if self._form.format == "debezium_avro":
            return [self._sent(message, message.topic, *encodings.debezium_avro(change))]
        if self._form.format == "debezium_json":
            key = encodings.debezium_key(change, schema=schema)
            value = encodings.debezium_value(change, schema=schema, unwrapped=unwrapped)
            return [self._sent(message, message.topic, key, value)]
        return [self._sent(message, message.topic, None, encodings.INVENTORY[self._form.format]([change]))]

    def _polled(self, change: InventoryChange) -> list[bytes]:
        if change.op == "heartbeat":
            return [encodings.jdbc_value(change)]
        rows = self._tables[change.table]
        if change.op == "delete":
            rows.pop(change.key, None)
            whole = [row._replace(time_ms=change.time_ms) for row in rows.values()]
            return [encodings.jdbc_value(row, len(whole), number) for number, row in enumerate(whole, start=1)]
        rows[change.key] = change
        if not change.reading:
            return [encodings.jdbc_value(change)]
        self._numbers[change.table] += 1
        return [encodings.jdbc_value(change, self._polls[change.table], self._numbers[change.table])]

    def _sent(self, message: Message, topic: str, key: bytes | None, value: bytes | None) -> Message:
        self._offsets[topic] += 1
        return message._replace(topic=topic, offset=self._offsets[topic], key=key, value=value)


class _Statements:
    """Writes what a sender says again and again into a topic of its own, and leaves the rest where it is."""

    def __init__(self, form: Form) -> None:
        self._stated = statements.Stated(form.format)
        self._offset = 0

    def write(self, message: Message, change: InventoryChange) -> list[Message]:
        """The messages of a change; a heartbeat is the time to say what is there."""
        if change.table == "heartbeat":
            return [message, *self._sent(message, self._stated.due(change.time_ms))]
        if not self._stated.says(change):
            return [message]
        return self._sent(message, self._stated.take(change))

    def _sent(self, message: Message, values: Sequence[bytes]) -> list[Message]:
        found = []
        for value in values:
            self._offset += 1
            found.append(message._replace(topic=KUBERNETES, offset=self._offset, key=None, value=value))
        return found


def compare(scenario: str, seed: int, names: Sequence[str], jobs: int) -> int:
    """Prints what each form's findings say; 1 if one says something else than the capture as simulated or its truth."""
    chosen = [form for form in forms() if "all" in names or form.format in names]
    print(f"{scenario} from seed {seed}; {jobs} at a time", flush=True)
    print(
        f"{'kind':<11}{'format':<46}{'seed':>5}  {'verdict':<10} culprit, victim, volume, schedule, period", flush=True
    )
    shown: set[int] = set()
    wrong = 0
    with ProcessPoolExecutor(jobs) as pool:
        for told in pool.map(tell, *zip(*((scenario, seed, form) for form in chosen), strict=True)):
            first = told.seed not in shown
            shown.add(told.seed)
            answers = "; ".join(", ".join(str(part) for part in verdict[1:]) for verdict in told.verdicts) or "none"
            line = f"{told.kind:<11}{told.form:<46}{told.seed:>5}  {'same' if told.same else 'DIFFERENT':<10}"
            print(f"{line} {answers if first or not told.same else ''}".rstrip(), flush=True)
            if not told.same:
                wrong += 1
                print(f"    as simulated: {told.simulated}; by the truth: {'; '.join(told.wrong) or 'right'}")
    print(f"{len(chosen)} forms: {wrong} differ" if wrong else f"{len(chosen)} forms: the same verdict in each")
    sys.stdout.flush()
    return int(wrong > 0)
