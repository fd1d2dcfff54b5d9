"""One scenario in every format: what it is simulated in is decoded, and written again as other senders would.

Rows, record times and order stay; a form changes what carries the rows of one kind. Its findings must be those of the
capture as it was simulated, and right by the scenario's truth.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from afoot.config import load_config
from afoot.simulate import agents, chatter, cloudwatch, inventory
from afoot.simulate.capture import arrive, write
from afoot.simulate.run import judge as truth_of
from afoot.simulate.run import measured, play
from afoot.simulate.world import World
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from benchmarks import encodings, examples, inprocess
from benchmarks.judging import ANSWERS, judge

BASE = {  # what captures are simulated in
    "metrics": (agents.TOPIC, "otlp_json"),
    "logs": (chatter.LOGS, "fluent_bit"),
    "flows": (chatter.FLOWS, "goflow2_json"),
    "inventory": (inventory.TOPIC, "debezium_json"),
}
LATENESS = {cloudwatch.TOPIC: "10 min"}
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


def tell(scenario: str, seed: int, form: Form) -> Told:
    """Simulates a scenario, runs it as it is and in a form, and compares."""
    while not form.fits(seed):
        seed += 1
    with tempfile.TemporaryDirectory(prefix="afoot-form-") as name:
        folder = Path(name)
        played = play(scenario, seed)
        messages = list(arrive(measured(played), played.world.rng("offsets")))
        truth = asdict(truth_of(played))
        simulated = _run(folder / "simulated", messages, BASE["metrics"][0], None)
        findings, evidence = simulated
        if form.format != BASE[form.kind][1] or form.way:
            findings, evidence = _run(folder / "form", _formed(messages, form), "", form)
        found = judge(truth, findings, evidence)
        right = all(found.answers[answer] for answer in ANSWERS)
        return Told(form.name, form.kind, seed, _verdicts(findings), _verdicts(simulated[0]), right, found.wrong)


def _verdicts(findings: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The latest revision of every finding above info, by what it answers."""
    latest = {row["finding_id"]: row for row in sorted(findings, key=lambda row: (row["as_of"], row["revision"]))}
    told = [tuple(row[column] for column in ANSWER_COLUMNS) for row in latest.values() if row["severity"] != "info"]
    return sorted(told, key=repr)


def _run(
    folder: Path, messages: Iterable[Message], topic: str, form: Form | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    folder.mkdir()
    write(messages, folder / "capture.jsonl")
    config = folder / "afoot.toml"
    config.write_text(_config(folder, form), "utf-8")
    schemas = {encodings.KEY_ID: encodings.KEY_SCHEMA, encodings.VALUE_ID: encodings.VALUE_SCHEMA}
    with examples.registry({number: json.dumps(schema) for number, schema in schemas.items()}):
        found = inprocess.replay([folder / "capture.jsonl"], load_config(config))
    if found.refused - Counter(late=found.refused["late"]):
        raise RuntimeError(f"{form.name if form else 'as simulated'}: refused {found.refused.most_common(3)}")
    return (
        [{**finding._asdict(), "component": finding.component} for finding in found.findings],
        [{**row._asdict(), "pointers": tuple(map(tuple, row.pointers))} for row in found.evidence],
    )


def _config(folder: Path, form: Form | None) -> str:
    topics: list[tuple[str, str, str, dict[str, str]]] = [
        (name, kind, format_name, {}) for kind, (name, format_name) in BASE.items()
    ]
    topics.append((cloudwatch.TOPIC, "metrics", "cloudwatch_metric_stream", {}))
    lines = []
    if form is not None:
        options = dict(encodings.OPTIONS.get(form.format, {}))
        if form.format == "debezium_avro":
            options["registry"] = examples.REGISTRY
        own = (BASE[form.kind][0], form.kind, form.format, options)
        if form.format.startswith("collectd"):
            own = (COLLECTD, *own[1:])
            catalogue = folder / "collectd.yaml"
            catalogue.write_text(yaml.safe_dump(_spellings()), "utf-8")
            lines += ["[catalogue]", f"files = [{json.dumps(str(catalogue))}]"]
        topics = [topic for topic in topics if topic[0] != own[0]] + [own]
    for name, kind, format_name, options in topics:
        lines += ["[[topic]]", f"kind = {json.dumps(kind)}", f"format = {json.dumps(format_name)}"]
        tables = kind == "inventory" and format_name == "jdbc_json"
        lines.append(f"pattern = {json.dumps(name + '[.].*')}" if tables else f"name = {json.dumps(name)}")
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        if name in LATENESS:
            lines.append(f"lateness = {json.dumps(LATENESS[name])}")
    return "\n".join(lines) + "\n"


def _spellings() -> dict[str, Any]:
    """What the catalogue of a user adds who has collectd where others have node_exporter: the same counters."""
    shipped = yaml.safe_load((Path(agents.__file__).parents[1] / "catalogue" / "signals.yaml").read_text("utf-8"))
    signals: dict[str, Any] = {}
    for signal, entry in shipped["signals"].items():
        for source in entry["sources"].values():
            for metric in set(source.get("metrics", ())) & set(encodings.DISKS):
                name = "collectd_disk_" + "_".join(encodings.DISKS[metric])
                sources = signals.setdefault(signal, {"sources": {}})["sources"]
                where = {"plugin_instance": source["where"]["device"]} if "where" in source else {}
                sources["collectd"] = {**source, "metrics": [f"{name}_total", name], "where": where}
    return {"version": 1, "signals": signals}


def _formed(messages: Sequence[Message], form: Form) -> Iterator[Message]:
    """The messages of a capture, those of the form's kind written anew."""
    topic, format_name = BASE[form.kind]
    decode = formats.decoder(format_name, form.kind)
    if form.kind == "inventory":
        read = [(message, decode(message).rows) for message in messages if message.topic == topic]
        polls = Counter(row.table for _, rows in read for row in rows if row.reading and row.table != "heartbeat")
        write_one = _Changes(form, polls).write
        for message, rows in read:
            yield from (write_one(message, row) for row in rows)
        yield from (message for message in messages if message.topic != topic)
        return
    encode = encodings.ENCODERS[form.kind].get(form.format)
    for message in messages:
        if message.topic != topic or form.format == "cloudwatch_metric_stream":
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
    """Writes changes one by one; a first snapshot is, for a connector that polls, a poll of each table."""

    def __init__(self, form: Form, polls: Counter[str]) -> None:
        self._form = form
        self._polls = polls
        self._numbers: Counter[str] = Counter()
        self._offsets: Counter[str] = Counter()

    def write(self, message: Message, change: InventoryChange) -> Message:
        """The message of a change."""
        schema, unwrapped = "schema" in self._form.way, "unwrapped" in self._form.way
        topic, key, value = message.topic, None, None
        if self._form.format == "debezium_avro":
            key, value = encodings.debezium_avro(change)
        elif self._form.format == "debezium_json":
            key = encodings.debezium_key(change, schema=schema)
            value = encodings.debezium_value(change, schema=schema, unwrapped=unwrapped)
        elif self._form.format == "jdbc_json":
            if change.op not in ("upsert", "heartbeat"):
                raise RuntimeError(f"a poll of a scenario with a {change.op}: polls see none")
            topic = f"{topic}.{change.table}"
            if change.reading and change.op == "upsert":
                self._numbers[change.table] += 1
                value = encodings.jdbc_value(change, self._polls[change.table], self._numbers[change.table])
            else:
                value = encodings.jdbc_value(change)
        else:
            value = encodings.INVENTORY[self._form.format]([change])
        self._offsets[topic] += 1
        return message._replace(topic=topic, offset=self._offsets[topic], key=key, value=value)


def compare(scenario: str, seed: int, names: Sequence[str], jobs: int) -> int:
    """Prints what each form's findings say; 1 if one says something else than the capture as simulated or its truth."""
    chosen = [form for form in forms() if "all" in names or form.format in names]
    print(f"{scenario} from seed {seed}; {jobs} at a time", flush=True)
    print(
        f"{'kind':<11}{'format':<46}{'seed':>5}  {'verdict':<10} culprit, victim, volume, schedule, period", flush=True
    )
    shown: dict[int, list[tuple[Any, ...]]] = {}
    wrong = 0
    with ProcessPoolExecutor(jobs) as pool:
        for told in pool.map(tell, *zip(*((scenario, seed, form) for form in chosen), strict=True)):
            first = shown.setdefault(told.seed, told.simulated) is told.simulated
            answers = "; ".join(", ".join(str(part) for part in verdict[1:]) for verdict in told.verdicts) or "none"
            line = f"{told.kind:<11}{told.form:<46}{told.seed:>5}  {'same' if told.same else 'DIFFERENT':<10}"
            print(f"{line} {answers if first or not told.same else ''}".rstrip(), flush=True)
            if not told.same:
                wrong += 1
                print(f"    as simulated: {told.simulated}; by the truth: {'; '.join(told.wrong) or 'right'}")
    print(f"{len(chosen)} forms: {wrong} differ" if wrong else f"{len(chosen)} forms: the same verdict in each")
    sys.stdout.flush()
    return int(wrong > 0)
