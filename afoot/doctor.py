"""Checks of an installation: brokers, topics, formats, event times, transactions, the lake; and what to change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from afoot import batches
from afoot.catalogue.loader import load_catalogue
from afoot.catalogue.model import Catalogue
from afoot.config import Config, Topic
from afoot.errors import AfootError, DecodeError
from afoot.inventory.graph import Graph
from afoot.inventory.sources import heard_in
from afoot.kafka import Reader
from afoot.lake.storage import ensure_writable
from afoot.privacy.rows import Redactor
from afoot.telemetry import formats
from afoot.telemetry.formats import Decoder
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, Labels, LogRecord, Message, MetricPoint
from afoot.topics import advice, made_by_brokers, outputs, silent

SAMPLE = 300  # records of a partition that are looked at
TRANSACTION_TIMEOUT_MS = 900_000  # what the job's sinks ask for
INVENTORY_SAMPLE = 100_000  # records of a partition that the inventory is built from, at the most ...
INVENTORY_LEAST = 30  # ... and at least ...
INVENTORY_ROWS = 300_000  # ... else those that hold about as many rows: a scrape is thousands
NAMES_SHOWN = 5
REASONS_SHOWN = 3
SCRAPE_SLACK = 1.05  # agents keep time no better
WINDOWS_MS = tuple(minutes * 60_000 for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60))


class Check(NamedTuple):
    """One thing that was looked at."""

    about: str
    state: Literal["ok", "look", "wrong"]
    found: str
    advice: str = ""


def examine(config: Config) -> Iterator[Check]:
    """All checks of a configuration, each as soon as it is known."""
    try:
        catalogue = load_catalogue(config.catalogue_files)
        yield Check("catalogue", "ok", f"{len(catalogue.signals)} signals of {len(catalogue.metrics)} metric names")
    except AfootError as error:
        yield Check("catalogue", "wrong", str(error), "mend the file; the job would not start")
        return
    if "bootstrap.servers" in config.kafka:
        yield from _kafka(config, catalogue)
    else:
        yield Check(
            "brokers", "wrong", '[kafka] "bootstrap.servers" is missing', "name the brokers; only replay needs none"
        )
    for about, uri in (("lake", config.lake), ("checkpoints", config.flink.checkpoints)):
        yield _place(about, uri)


def _kafka(config: Config, catalogue: Catalogue) -> Iterator[Check]:
    began = time.monotonic()
    try:
        reader = Reader(config.kafka)
    except AfootError as error:
        yield Check("brokers", "wrong", config.described(str(error)), "mend [kafka]")
        return
    with reader:
        try:
            there = reader.topics()
        except AfootError as error:
            yield Check("brokers", "wrong", config.described(str(error)), "check the address, the network and [kafka]")
            return
        took_ms = (time.monotonic() - began) * 1000
        yield Check("brokers", "ok", f"{reader.servers} answered in {took_ms:.0f} ms, {len(there)} topics")
        yield _transactions(config, reader)
        graph = _inventory(config, there, reader)
        if graph is not None:
            yield from _unusable(graph)
        heard = _Heard()
        for entry in config.topics:
            names = [name for name in sorted(there) if config.topic_of(name) is entry]
            if not names:
                yield Check(str(entry), "look", "no such topic", f"create it, or {entry.kind} stay unknown")
            for name in names:
                yield from _topic(name, entry, there[name], reader, catalogue, config, graph, heard)
        yield from heard.batches(config)
        if config.telemetry() and set(config.telemetry()) <= set(silent(config, there)):
            yield Check(
                "telemetry",
                "wrong",
                "none of the configured topics of metrics, logs and flows is there",
                "create them, or mend [[topic]] name and pattern; the job would judge nothing",
            )
        yield from _outputs(config, there, reader)


def _outputs(config: Config, there: dict[str, list[int]], reader: Reader) -> Iterator[Check]:
    named = dict(outputs(config))
    for table in ("alerts", "dead_letters"):
        about, topic = table.replace("_", " "), named.get(table)
        if topic is None:
            yield Check(about, "look", "no topic is configured", "nobody is told, or they are kept in the lake only")
        elif topic in there:
            yield Check(about, "ok", f"{topic}, {len(there[topic])} partitions")
        elif made_by_brokers(reader) is False:
            yield Check(about, "wrong", f"no topic {topic}, and the brokers make none", advice(table, topic))
        else:
            yield Check(
                about, "look", f"{topic} does not exist", "create it, unless the brokers create topics by themselves"
            )


def _transactions(config: Config, reader: Reader) -> Check:
    found = reader.broker_setting("transaction.max.timeout.ms")
    if found is None:
        return Check(
            "transactions", "look", "the brokers do not tell transaction.max.timeout.ms", "it must be 15 min or more"
        )
    if int(found) < TRANSACTION_TIMEOUT_MS:
        advice = f"raise it to {TRANSACTION_TIMEOUT_MS} on the brokers; the sinks' transactions would be refused"
        return Check("transactions", "wrong", f"transaction.max.timeout.ms is {found}", advice)
    if config.flink.checkpoint_interval_ms * 3 > TRANSACTION_TIMEOUT_MS:
        return Check(
            "transactions",
            "look",
            "checkpoints are rare",
            "a transaction must outlive a few of them: shorten the interval",
        )
    return Check("transactions", "ok", f"transaction.max.timeout.ms is {found}")


def _decoder(entry: Topic, config: Config) -> Decoder:
    decode = formats.decoder(entry.format, entry.kind, entry.options)
    # Names and reasons are shown.
    return decode if config.privacy is None else Redactor(config.privacy).decoder(decode)


def _inventory(config: Config, there: dict[str, list[int]], reader: Reader) -> Graph | None:
    """The inventory as its topics' last records have it; None where there are none. What is wrong, their checks say."""
    graph, found = Graph(), False
    for name, partitions in sorted(there.items()):
        entry = config.topic_of(name)
        if entry is None or entry.kind != "inventory":
            continue
        try:
            counts = [
                len(decoded.rows) for decoded in _decoded(name, partitions, INVENTORY_LEAST, entry, config, reader)
            ]
            records = INVENTORY_ROWS * len(counts) // max(sum(counts), 1)
            records = max(INVENTORY_LEAST, min(records, INVENTORY_SAMPLE))
            for decoded in _decoded(name, partitions, records, entry, config, reader):
                found = True
                for change in decoded.rows:
                    graph.apply(heard_in(name, change))
                for change in graph.expired():
                    graph.apply(change)
        except AfootError:
            continue
    return graph if found else None


def _decoded(
    name: str, partitions: list[int], records: int, entry: Topic, config: Config, reader: Reader
) -> Iterator[Decoded]:
    decode = _decoder(entry, config)
    for message in reader.messages(reader.last(name, partitions, records)):
        try:
            decoded = decode(message)
        except DecodeError:
            continue  # the topic's own checks tell of it
        yield decoded


def _unusable(graph: Graph) -> Iterator[Check]:
    """What the inventory says, and the product can make nothing of."""
    if graph.heard_ms is not None:
        graph.placement(graph.heard_ms)  # which follows the relations
    problems = graph.problems()
    if problems:
        common = sorted(problems, key=lambda problem: -problems[problem])[:REASONS_SHOWN]
        told = "; ".join(f"{problems[problem]} times: {problem}" for problem in common)
        told += f"; and {len(problems) - len(common)} more" if len(problems) > len(common) else ""
        yield Check("the inventory", "look", told, "mend it where it comes from; all the rest is used")


def _topic(
    name: str,
    entry: Topic,
    partitions: list[int],
    reader: Reader,
    catalogue: Catalogue,
    config: Config,
    graph: Graph | None,
    heard: _Heard,
) -> Iterator[Check]:
    about = name
    try:
        decode = _decoder(entry, config)
        messages = list(reader.messages(reader.last(name, partitions, SAMPLE)))
    except AfootError as error:
        yield Check(about, "wrong", config.described(str(error)), "mend [[topic]], or the rights to read it")
        return
    if not messages:
        yield Check(about, "look", f"{len(partitions)} partitions, no records", "is its agent running?")
        return
    if entry.kind != "inventory":
        heard.take(messages)
    seen = _Seen()
    for message in messages:
        try:
            seen.take(message, decode(message))
        except DecodeError as error:
            seen.bad[str(error)] += 1
    bad = sum(seen.bad.values())
    good = len(messages) - bad
    found = f"{len(partitions)} partitions; of the last {len(messages)} records {good} decode as {entry.format}"
    if bad * 2 > len(messages):
        proposed = sniff(messages, entry.kind)
        advice = f"its records look like {' or '.join(proposed)}" if proposed else "no format that afoot knows fits"
        yield Check(about, "wrong", f"{found}: {seen.bad.most_common(1)[0][0]}", advice)
        return
    if bad:
        yield Check(about, "look", f"{found}: {seen.bad.most_common(1)[0][0]}", "what does not is kept as dead letters")
    else:
        yield Check(about, "ok", found)
    yield from seen.times(about, entry, config)
    if entry.kind == "metrics":
        yield seen.mapped(about, catalogue)
        yield from seen.scraped(about, catalogue, config)
    if entry.kind in ("metrics", "logs") and graph is not None:
        yield from seen.resolved(about, catalogue, graph)
    if entry.kind == "inventory":
        yield seen.inventory(about, partitions)


def sniff(messages: list[Message], kind: str) -> list[str]:
    """The formats of a kind that read all of these messages and find rows in them."""
    found = []
    for name in formats.names():
        if kind in formats.kinds(name) and _reads(name, kind, messages):
            found.append(name)
    return found


def _reads(name: str, kind: str, messages: list[Message]) -> bool:
    try:
        decode = formats.decoder(name, kind)
        decoded = [decode(message) for message in messages if message.value is not None]
    except AfootError:
        return False
    return any(one.rows for one in decoded) and not any(one.refused for one in decoded)


class _Heard:
    """The sizes and the rate of telemetry, as samples of its topics have them."""

    def __init__(self) -> None:
        self.records = self.bytes = 0
        self.per_s = 0.0

    def take(self, messages: list[Message]) -> None:
        """Adds the sample of a topic."""
        self.records += len(messages)
        self.bytes += sum(len(message.value or b"") for message in messages)
        times = [message.timestamp_ms for message in messages]
        self.per_s += len(messages) / max((max(times) - min(times)) / 1000, 1.0)

    def batches(self, config: Config) -> Iterator[Check]:
        """What to change if far more or fewer messages would fit a batch, and a batch ever fills in its second."""
        if not self.records:
            return
        mean, taken = self.bytes / self.records, config.flink.batch or batches.MESSAGES
        fits = batches.fitting(mean)
        found = f"records of {mean:,.0f} bytes on average are decoded {taken} at a time"
        if fits > 2 * taken and self.per_s > taken:
            yield Check("batches", "look", found, f"[flink] batch = {fits} takes less CPU for so many small ones")
        elif fits < taken / 2:
            yield Check("batches", "look", found, f"[flink] batch = {fits} holds less in memory at once")


class _Seen:
    """What a sample of a topic's records holds."""

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()
        self.metrics: Counter[str] = Counter()
        self.subjects: Counter[tuple[str, Labels]] = Counter()  # a metric's name, "" of log records, and a label set
        self.scrapes: dict[tuple[str, Labels], set[int]] = {}  # times of each series, ns
        self.tables: Counter[str] = Counter()
        self.repeats = False  # whether the inventory is said again and again, which moves event time on as well
        self.behind_ms: list[float] = []  # of each row: record time less event time
        self.newest_ms = 0

    def take(self, message: Message, decoded: Decoded) -> None:
        self.newest_ms = max(self.newest_ms, message.timestamp_ms)
        for row in decoded.rows:
            if isinstance(row, MetricPoint):
                self.metrics[row.name] += 1
                if row.kind != "delta" and row.stats is None:  # those need not come in each window, or tell of several
                    self.scrapes.setdefault((row.name, row.labels), set()).add(row.time_ns)
            if isinstance(row, MetricPoint | LogRecord):
                self.subjects[row.name if isinstance(row, MetricPoint) else "", row.labels] += 1
            if isinstance(row, InventoryChange):
                self.tables[row.table] += 1
                self.repeats = self.repeats or row.reading_rows is not None or row.holds_ms is not None
            elif isinstance(row, MetricPoint | LogRecord):
                self.behind_ms.append(message.timestamp_ms - row.time_ns / 1e6)
            elif isinstance(row, FlowRecord):
                self.behind_ms.append(message.timestamp_ms - row.end_ns / 1e6)

    def times(self, about: str, entry: Topic, config: Config) -> Iterator[Check]:
        silent_s = time.time() - self.newest_ms / 1000
        if silent_s < -config.window.max_skew_ms / 1000:
            yield Check(
                f"{about}: clock",
                "wrong",
                f"the newest record is {-silent_s:.0f} s ahead of this machine",
                "check both clocks",
            )
        elif silent_s > 600:
            yield Check(
                f"{about}: clock", "look", f"the newest record is {_age(silent_s)} old", "is its agent running?"
            )
        if not self.behind_ms:
            return
        behind = sorted(self.behind_ms)
        late = behind[int(len(behind) * 0.999)]
        found = f"events are {behind[len(behind) // 2] / 1000:.1f} s behind their records, at most {late / 1000:.1f} s"
        if behind[0] < -config.window.max_skew_ms:
            yield Check(
                f"{about}: event times",
                "wrong",
                f"{found}; some are {-behind[0] / 1000:.0f} s ahead",
                "mend the agent's clock",
            )
        elif late > entry.lateness_ms:
            advice = f'lateness = "{-(-int(late) // 60_000)} min" for this topic, or these points are dead letters'
            yield Check(f"{about}: event times", "look", found, advice)
        else:
            yield Check(f"{about}: event times", "ok", found)

    def mapped(self, about: str, catalogue: Catalogue) -> Check:
        known = {name for name in self.metrics if catalogue.uses(name)}
        unknown = [name for name, _ in self.metrics.most_common() if name not in known]
        found = f"{len(known)} metric names are signals, {len(unknown)} are asked for by none"
        if unknown:
            found += f": {', '.join(unknown[:NAMES_SHOWN])}{', ...' if len(unknown) > NAMES_SHOWN else ''}"
        if not known:
            return Check(
                f"{about}: signals", "wrong", found, "add a catalogue entry ([catalogue] files) for what matters"
            )
        return Check(f"{about}: signals", "ok", found)

    def scraped(self, about: str, catalogue: Catalogue, config: Config) -> Iterator[Check]:
        """Whether series that signals ask for come in each window, and if not, of what size windows would have them."""
        usual = [
            median(later - earlier for earlier, later in pairwise(sorted(times))) / 1e6
            for (name, _), times in self.scrapes.items()
            if len(times) > 2 and catalogue.uses(name)
        ]
        size_ms = config.window.size_ms
        wide = [apart for apart in usual if apart > SCRAPE_SLACK * size_ms]
        if not wide:
            return
        apart = max(wide)
        enough = next((s for s in WINDOWS_MS if SCRAPE_SLACK * s >= apart), WINDOWS_MS[-1])
        missed = "gauges and counters are" if apart > 2 * SCRAPE_SLACK * size_ms else "gauges are"
        yield Check(
            f"{about}: scrapes",
            "look",
            f"{len(wide)} of {len(usual)} series come up to {_told(apart)} apart, and windows are of {_told(size_ms)}: "
            f"in those between, {missed} missing",
            f'scrape them more often, or set [window] size = "{_told(enough)}" and start with --fresh',
        )

    def resolved(self, about: str, catalogue: Catalogue, graph: Graph) -> Iterator[Check]:
        """How many label sets that signals ask for mean an entity of the inventory, and why the others do not."""
        known: set[Labels] = set()
        missed: dict[Labels, tuple[str, str]] = {}
        for name, labels in self.subjects:
            asking = [use.source for use in catalogue.uses(name) if use.side == 0] if name else catalogue.logs
            for source in asking:
                if not source.admits(labels.mapping):
                    continue
                found = graph.resolution(labels, source.types, self.newest_ms)
                if found.entity is None:
                    missed.setdefault(labels, (found.rule, found.reason))
                elif graph.entity(found.entity, self.newest_ms) is None:
                    missed[labels] = ("not there", f"{found.entity} is not in the inventory")
                else:
                    known.add(labels)
        reasons: dict[str, list[str]] = {}
        for labels, (rule, reason) in missed.items():
            if labels not in known:
                reasons.setdefault(rule, []).append(reason)
        unknown = sum(map(len, reasons.values()))
        if not known and not unknown:
            return
        told = f"{len(known)} label sets mean an entity, {unknown} mean none"
        common = sorted(reasons.values(), key=len, reverse=True)[:REASONS_SHOWN]
        told += "".join(f"; {len(some)} as {some[0]}" for some in common)
        if unknown <= len(known):
            yield Check(f"{about}: entities", "ok", told)
        else:
            yield Check(
                f"{about}: entities",
                "look",
                told,
                "add the entities, or attributes.match to those that are there; their signals are nobody's",
            )

    def inventory(self, about: str, partitions: list[int]) -> Check:
        found = ", ".join(f"{count} {table}" for table, count in sorted(self.tables.items())) or "no changes"
        if len(partitions) > 1:
            return Check(
                f"{about}: order", "wrong", f"{len(partitions)} partitions", "commit order needs one partition"
            )
        if "heartbeat" not in self.tables and self.repeats:
            return Check(f"{about}: heartbeat", "ok", f"{found}; said again and again, which is as good as a heartbeat")
        if "heartbeat" not in self.tables:
            return Check(
                f"{about}: heartbeat",
                "look",
                f"{found}, no heartbeat",
                "without one a quiet inventory holds windows back",
            )
        return Check(f"{about}: heartbeat", "ok", found)


def _told(ms: float) -> str:
    """A duration as the configuration has it."""
    return f"{ms / 60_000:.3g} min" if ms >= 60_000 else f"{ms / 1000:.3g} s"


def _age(seconds: float) -> str:
    """A time as people say it, in minutes, hours or days."""
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days"


def _place(about: str, uri: str | None) -> Check:
    if uri is None:
        return Check(about, "look", "not configured", "[flink] checkpoints" if about == "checkpoints" else "[lake] uri")
    try:
        ensure_writable(uri)
    except AfootError as error:
        return Check(about, "wrong", str(error), "give the job's credentials the right to write, list and delete there")
    return Check(about, "ok", f"{uri} can be written")
