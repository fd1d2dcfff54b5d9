"""The findings job's steps in one process, without an engine: a second way to the same rows, and a quick one.

The job does not use this. What SQL does there (sql/02 to sql/05) is written as loops here, so that rows which differ
show an error in one of the two.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import fastavro
import orjson

from afoot.captures import prepare, unpacked
from afoot.catalogue.loader import load_catalogue
from afoot.config import Config, load_config
from afoot.errors import DecodeError
from afoot.inventory.graph import Graph
from afoot.inventory.sources import heard_in
from afoot.privacy.rows import Redactor
from afoot.signals.frames import Frame
from afoot.signals.sampling import Sampler
from afoot.signals.settings import Settings
from afoot.signals.shard import ShardState
from afoot.signals.windows import PlacedSignals, evaluate
from afoot.telemetry.formats import Decoder, decoder
from afoot.telemetry.rows import Decoded, InventoryChange, Message
from afoot.verdicts.cases import CaseBook
from afoot.verdicts.inputs import Window
from afoot.verdicts.records import Evidence, Finding
from afoot.verdicts.rules import load_rules, shipped_rules
from afoot.verdicts.step import step

BATCH = 500  # messages decoded at a time, as the engine's batches are
NEVER = -(1 << 62)


class Result(NamedTuple):
    """What a capture gives: rows in the order in which they were written, late blocks and dead messages by reason."""

    findings: list[Finding]
    evidence: list[Evidence]
    alerts: list[bytes]
    refused: Counter[str]
    windows: int


def replay(files: Sequence[Path], config: Config | None = None, shards: int = 1) -> Result:
    """The findings of captures, as `afoot replay` gives them.

    `shards` takes the place of the configuration's: results do not depend on it, and one shard is the quickest.
    """
    config = config or load_config(None)
    config = replace(config, window=replace(config.window, shards=shards))
    with tempfile.TemporaryDirectory(prefix="afoot-") as folder:
        prepared = prepare(files, Path(folder), lambda topic: _is_inventory(config, topic))
        reader = _Reader(config)
        changes = _changes(reader, _rows(prepared.inventory), config.window.size_ms)
        heard = {config.topic_of(name) for name in prepared.topics}
        lateness = max((t.lateness_ms for t in heard if t is not None and t.kind != "inventory"), default=0)
        judge = _Judge(config, changes)
        gathered = _Gathered(config, judge)
        for message, frames in reader.frames(_rows(prepared.telemetry), lateness):
            gathered.add(frames)
            gathered.advance(message.timestamp_ms - lateness)
    return Result(judge.findings, judge.evidence, judge.alerts, gathered.refused, judge.windows)


def _is_inventory(config: Config, topic: str) -> bool:
    entry = config.topic_of(topic)
    return entry is not None and entry.kind == "inventory"


def _rows(path: Path) -> Iterator[Message]:
    """The messages of a prepared file, in its order."""
    with path.open("rb") as stream:
        for row in fastavro.reader(stream):
            assert isinstance(row, dict)
            yield Message(row["topic"], row["partition"], row["offset"], row["ms"], row["k"], unpacked(row["v"]))


class _Reader:
    """Step 2: messages to frames."""

    def __init__(self, config: Config) -> None:
        self.config = config
        window = config.window
        catalogue = load_catalogue(config.catalogue_files)
        self.sampler = Sampler(catalogue, window.shards, window.size_ms, window.max_skew_ms)
        self.decoders: dict[str, Decoder | None] = {}
        self.redactor = None if config.privacy is None else Redactor(config.privacy)

    def frames(self, messages: Iterable[Message], lateness_ms: int = 0) -> Iterator[tuple[Message, list[Frame]]]:
        """Each message with its frames; those that are late by what the messages before promised are 'unsure'."""
        rest, passed_ms = iter(messages), NEVER
        while batch := list(islice(rest, BATCH)):
            dead: dict[int, Frame] = {}
            pairs: list[tuple[Message, Decoded]] = []
            limits_ms: list[float] = []
            for number, message in enumerate(batch):
                try:
                    pairs.append((message, self._decoded(message)))
                    limits_ms.append(passed_ms)
                except DecodeError as error:
                    dead[number] = self.sampler.dead(message, str(error))
                passed_ms = max(passed_ms, message.timestamp_ms - lateness_ms)
            sampled = iter(self.sampler.batch(pairs, limits_ms))
            for number, message in enumerate(batch):
                yield message, [dead[number]] if number in dead else next(sampled)

    def _decoded(self, message: Message) -> Decoded:
        if message.topic not in self.decoders:
            entry = self.config.topic_of(message.topic)
            found = decoder(entry.format, entry.kind, entry.options) if entry else None
            self.decoders[message.topic] = (
                found if found is None or self.redactor is None else self.redactor.decoder(found)
            )
        decode = self.decoders[message.topic]
        if decode is None:
            raise DecodeError(f"topic {message.topic} is not configured")
        return decode(message)


class _Gathered:
    """Step 3: the blocks of a shard and a window, until event time has passed the window; late ones are counted."""

    def __init__(self, config: Config, judge: _Judge) -> None:
        self.size_ms = config.window.size_ms
        self.judge = judge
        self.watermark = self.judged = NEVER
        self.bodies: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))  # window, shard
        self.refused: Counter[str] = Counter()

    def add(self, frames: Iterable[Frame]) -> None:
        """Takes the frames of a message; the watermark is that of the messages before it."""
        for frame in frames:
            if frame.kind in ("dead", "refused"):
                self.refused[frame.reason] += 1
            elif frame.kind == "unsure":
                self.refused["late"] += 1
            elif frame.kind == "samples":
                self.bodies[frame.window_ms][frame.shard].append(frame.body)

    def advance(self, watermark: int) -> None:
        """Event time goes on. A window is judged when the one after it has closed: that has its closing samples."""
        if watermark <= self.watermark:
            return
        self.watermark = watermark
        size = self.size_ms
        while (start := self._next(watermark - 2 * size)) is not None:
            self.judged = start
            own, following = self.bodies.pop(start, {}), self.bodies.get(start + size, {})
            shards = own.keys() | following.keys() | self.judge.reaching(start)
            ready = {shard: (" ".join(own.get(shard, ())), " ".join(following.get(shard, ()))) for shard in shards}
            self.judge.window(start, ready)

    def _next(self, latest: int) -> int | None:
        """The next window to judge: with blocks in it or behind it, or one that what came before reaches into."""
        after = self.judged + self.size_ms
        if after > latest:
            return None
        if self.judge.reaching(after):
            return after
        known = (start for at in self.bodies for start in (at - self.size_ms, at))
        return min((start for start in known if self.judged < start <= latest), default=None)


class _Judge:
    """Steps 5 to 7: a window's blocks to placed signals, joined, to findings."""

    def __init__(self, config: Config, changes: dict[int, list[InventoryChange]]) -> None:
        window = config.window
        self.size_ms = window.size_ms
        self.settings = Settings(
            window_ms=window.size_ms, max_skew_ms=window.max_skew_ms, all_signals=config.all_signals
        )
        self.catalogue = load_catalogue(config.catalogue_files)
        self.rules = shipped_rules() if config.rules_file is None else load_rules(Path(config.rules_file))
        self.changes = changes
        self.graph = Graph()
        self.shards: dict[int, ShardState] = defaultdict(ShardState)
        self.book = CaseBook()
        self.findings: list[Finding] = []
        self.evidence: list[Evidence] = []
        self.alerts: list[bytes] = []
        self.windows = 0

    def reaching(self, start: int) -> set[int]:
        """The shards in which what came before says something of the window."""
        return {shard for shard, state in self.shards.items() if state.reaches(start)}

    def window(self, start: int, ready: dict[int, tuple[str, str]]) -> None:
        """One window, of shards that have blocks in it, had some and have some in the next one, or reach into it."""
        end = start + self.size_ms
        for known in sorted(time for time in self.changes if time < end + self.size_ms):
            for change in self.changes.pop(known):
                self.graph.apply(change)
            for change in self.graph.expired():
                self.graph.apply(change)
        placed: list[PlacedSignals] = []
        evaluated = False
        for shard, (bodies, following) in sorted(ready.items()):
            state = self.shards[shard]
            if not bodies and (state.window_ms is None or state.window_ms >= start):
                continue  # it has begun to send, or was judged when this was the window before
            placed += evaluate(state, start, bodies, following, self.graph, self.catalogue, self.settings)[0]
            evaluated = True
        if not evaluated:
            return
        self.windows += 1
        out = step(self.book, Window.from_json(start, end, joined(placed)), self.graph, self.rules)
        self.findings += out.findings
        self.evidence += out.evidence
        self.alerts += map(orjson.dumps, out.alerts)


def joined(placed: Iterable[PlacedSignals]) -> str:
    """Step 6: the signals of a window as sql/06_joins.sql puts them together."""
    lag: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))  # victim, volume
    by_role: dict[str, dict[str, list[str]]] = {role: defaultdict(list) for role in ("chain", "flow", "io")}
    volumes = {""}  # a window that was evaluated always has its group of victims without a volume
    for row in placed:
        victim, volume = row.victim or "", row.volume or ""
        if row.role != "flow":
            volumes.add(volume)
        if row.role == "lag":
            lag[victim][volume].append(row.payload)
        else:
            by_role[row.role][volume if row.role == "io" else victim].append(row.payload)
    victims: dict[str, list[str]] = defaultdict(list)  # volume
    for victim in sorted(lag.keys() | by_role["chain"].keys()):
        name = orjson.dumps(victim).decode()
        chain, flow = (",".join(by_role[role].get(victim, ())) for role in ("chain", "flow"))
        rest = f'"chain":[{chain}],"flow":[{flow}]'
        for volume, late in sorted(lag[victim].items()) or [("", [])]:
            victims[volume].append(f'{{"victim":{name},"lag":[{",".join(late)}],{rest}}}')
    groups = [
        f'{{"volume":{orjson.dumps(volume).decode()},"victims":[{",".join(victims.get(volume, ()))}],'
        f'"io":[{",".join(by_role["io"].get(volume, ()))}]}}'
        for volume in sorted(volumes)
    ]
    return f'{{"groups":[{",".join(groups)}]}}'


def _changes(reader: _Reader, messages: Iterable[Message], size_ms: int) -> dict[int, list[InventoryChange]]:
    """Step 4: the inventory's changes by the window of their version time, in commit order within it.

    A message that states no time, a tombstone, or one from before those that came is of the moment it comes at.
    """
    found: dict[int, list[tuple[tuple[str, int, int, int], InventoryChange]]] = defaultdict(list)
    moved = NEVER
    for message, frames in reader.frames(messages):
        for frame in frames:
            if frame.kind != "change":
                continue
            for place, columns in enumerate(orjson.loads(frame.body)):
                change = InventoryChange(**{**columns, "key": tuple(columns["key"])})
                change = heard_in(message.topic, change)
                at = change.time_ms
                if at > message.timestamp_ms + reader.config.window.max_skew_ms:
                    at = message.timestamp_ms
                moved = max(moved, at)
                order = (message.topic, message.partition, message.offset, place)
                found[moved // size_ms * size_ms].append((order, change))
    return {
        window: [change for _, change in sorted(rows, key=lambda row: row[0])] for window, rows in sorted(found.items())
    }
