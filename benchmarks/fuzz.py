"""Whether any bytes bring a decoder down: `python -m benchmarks.fuzz --messages 1000000`.

Real and generated messages of every format are mutated and read as the job reads them, decoded and sampled. Each must
end as rows, or with a reason in one printable line that names the format, within a bound of time, and the process
within a bound of memory. What a decoder remembers must change nothing, so some are read again by a new one.
A failure is told with the number that makes the same message again. Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import json
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import zstandard

import schemas
from afoot.catalogue.loader import load_catalogue
from afoot.catalogue.model import Catalogue
from afoot.errors import DecodeError
from afoot.signals.frames import Frame
from afoot.signals.sampling import Sampler
from afoot.telemetry import canonical, formats, limits
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, Labels, LogRecord, Message, MetricPoint
from benchmarks import encodings, examples, statements
from benchmarks.formats import SAMPLES, Expected, framed, known

CPU_S = 10.0  # of one message, at most; the largest take the most
STUCK_S = 60  # of CPU, after which a message is given up
HUNG_S = 3_600  # of wall time, after which the process ends and shows where it is
PEAK_BYTES = 2 * 2**30  # of the process
SEED_BYTES = 16 * 1024  # of a message that is mutated: what is larger only takes longer
SHARDS = 4
AFRESH = 8  # one message in so many is read once more, by a decoder that met nothing before
TIME_NS = 1_795_231_000_000_000_000
REASON_CHARS = limits.REASON_CHARS + 100  # the format's name and the like around a row's reason
PLAIN = re.compile(rb"-?\d+(?:\.\d+)?")


class Case(NamedTuple):
    """A topic: its format, kind and options, and messages of it."""

    name: str
    format: str
    kind: str
    options: dict[str, str]
    seeds: list[bytes]
    key: bytes | None


@dataclass
class Tally:
    """What became of a case's messages."""

    case: str
    messages: int = 0
    rows: int = 0
    refused: int = 0
    dead: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    slowest: str = ""
    peak_bytes: int = 0
    failures: list[str] = field(default_factory=list)


# ---- messages that are mutated ---------------------------------------------------------------------------------------


def cases(samples: Path | None = SAMPLES) -> list[Case]:
    """Every format and kind, with its page's example, generated messages, and samples where there is a folder."""
    pages = examples.examples()
    rows = _rows()
    found = []
    for name in formats.names():
        page = pages[name]
        for kind in formats.kinds(name):
            seeds = [page.value] if page.kind == kind else []
            if name in encodings.ENCODERS[kind]:
                seeds += [encodings.ENCODERS[kind][name](some) for some in (rows[kind], rows[kind][:1], rows[kind] * 9)]
            if kind == "inventory" and name in statements.FORMATS:
                seeds += statements.seeds(name, _cluster())
            if name in ("debezium_json", "jdbc_json"):
                seeds += _changes(name, rows["inventory"])
            real = _samples(samples, name, kind)
            seeds = seeds * max(1, len(real) // len(seeds)) + real  # as often as the samples, of which most are small
            found.append(
                Case(f"{name} {kind}", name, kind, page.options, [seed[:SEED_BYTES] for seed in seeds], page.key)
            )
    for number, row_kind in enumerate(canonical.SCHEMAS):
        header = b"\x00" + (ARRAYS + number).to_bytes(4, "big")
        seeds = [header + encodings.ENCODERS[row_kind]["avro"](rows[row_kind])]
        found.append(Case(f"avro {row_kind}, registry", "avro", row_kind, {"registry": examples.REGISTRY}, seeds, None))
    return found


ARRAYS = 100  # the first of the ids that arrays of canonical rows have in the registry


def registered() -> dict[int, str]:
    """The schemas that the registry has beside those of the pages."""
    return {
        ARRAYS + number: json.dumps({"type": "array", "items": schemas.load(f"{name}.avsc")})
        for number, name in enumerate(canonical.SCHEMAS.values())
    }


def _rows() -> dict[str, list[Any]]:
    pod = Labels.of({"namespace": "streaming", "pod": "tm-0", "container": "flink", "device": "/dev/nvme1n1"})
    disk = Labels.of({"instance": "db-1:9100", "device": "nvme1n1"})
    job = Labels.of({"job_name": "enricher"})
    flow = (TIME_NS - 10**9, TIME_NS, "203.0.113.7", 40_000, "10.0.0.8", 443, "tcp", 90_000, 64, 100, 64_500, None)
    row = {"id": "vm:a", "type": "vm", "name": "a", "component": "compute", "attributes": {"match": [{"host": "a"}]}}
    relation = {"from_id": "vm:a", "to_id": "volume:b", "kind": "attached_to"}
    at = TIME_NS // 10**6
    return {
        "metrics": [
            MetricPoint("container_fs_writes_total", "", "cumulative", pod, TIME_NS, 41.5),
            MetricPoint("node_disk_written_bytes_total", "By", "cumulative", disk, TIME_NS + 7, 4096.0),
            MetricPoint("write_lag_seconds", "s", "gauge", job, TIME_NS + 9, 2.25),
        ],
        "logs": [
            LogRecord(TIME_NS, "error", "429 Quota Exceeded", pod),
            LogRecord(TIME_NS + 1, "", "CRON (root) CMD (x)", Labels.of({"host.name": "vm-1"})),
        ],
        "flows": [FlowRecord(*flow, "192.0.2.1", Labels.of({}))],
        "inventory": [
            InventoryChange("entity", "upsert", ("vm:a",), row, at, True, "first"),
            InventoryChange("relation", "upsert", tuple(relation.values()), relation, at),
            InventoryChange("entity", "delete", ("vm:a",), None, at),
        ],
    }


def _cluster() -> list[InventoryChange]:
    """What a cluster may say of itself, and of what a pod's claim ends at."""
    at = TIME_NS // 10**6
    rows = [{"id": name, "attributes": {"address": "10.0.0.1"}} for name in ("pod:a/p", "claim:a/c", "node:n")]
    rows += [{"id": "persistent_volume:pv"}]
    ends = [
        ("pod:a/p", "node:n", "runs_on"),
        ("pod:a/p", "claim:a/c", "mounts"),
        ("pod:a/p", "deployment:a/d", "part_of"),
        ("claim:a/c", "persistent_volume:pv", "bound_to"),
        ("persistent_volume:pv", "volume:vol-1", "backed_by"),
    ]
    return [
        *(InventoryChange("entity", "upsert", (str(row["id"]),), row, at) for row in rows),
        *(InventoryChange("relation", "upsert", key, {}, at) for key in ends),
    ]


def _changes(name: str, changes: Sequence[InventoryChange]) -> list[bytes]:
    if name == "jdbc_json":
        polled = [(change, rows) for change in changes if change.op == "upsert" for rows in (None, 3)]
        return [encodings.jdbc_value(change, rows, 1) for change, rows in polled]
    forms = [(schema, unwrapped) for schema in (False, True) for unwrapped in (False, True)]
    values = [encodings.debezium_value(change, schema=s, unwrapped=u) for change in changes for s, u in forms]
    return [value for value in values if value is not None]


def _samples(folder: Path | None, name: str, kind: str) -> list[bytes]:
    if folder is None or not folder.is_dir():
        return []
    found: list[bytes] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        entry = known(path.relative_to(folder).as_posix())
        if isinstance(entry, Expected) and (entry.format, entry.kind) == (name, kind):
            found += [message.value for message in framed(path.read_bytes(), entry.framing) if message.value][:20]
    return found


# ---- mutations -------------------------------------------------------------------------------------------------------

TOKENS: tuple[bytes, ...] = (
    *(b"NaN", b"-Infinity", b"1e400", b"-0", b"9223372036854775808", b"18446744073709551616", b"1" + b"0" * 400),
    *(b"null", b"true", b'""', b"[]", b"{}", b'"\\ud800"', b"\\u0000", b"\x00", b"\xff\xfe", b"\n", b"\\", b'"', b","),
    *(b"-", b" ", b"=", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1b[31m", b"1970-01-01T00:00:00Z", b"9999-12-31T23:59:59Z"),
    *(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80" * 12, b"\xef\xbb\xbf", b"'; DROP TABLE x;--", b"<script>"),
)
NUMBERS: tuple[bytes, ...] = (
    *(b"0", b"-1", b"1.5", b"1e300", b"1e400", b"-1e-400", b"9223372036854775807", b"9223372036854775808", b"NaN"),
    *(b"18446744073709551616", b"1" + b"0" * 400, b"1795231000", b"1795231000000", b"99999999999999999", b'"7"', b"x"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**63, 2**70, 1e300, "", "x", "-", "0", "NaN", "\x00", "\u2028\x1b", [], {}, [[]], [{}]),
    *({"a": 1}, "x" * 2_000, 10**30, -(2**63), "1970-01-01T00:00:00Z", "99999999999999999999999", ["x"] * 300),
)


def mutated(rng: random.Random, seeds: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """A message made of one of the seeds, by up to four mutations."""
    value = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 4))):
        value = rng.choice(MUTATIONS)(rng, value, others)
        if not value or len(value) > 4 * SEED_BYTES:
            break
    return _packed(rng, value) if rng.random() < 0.02 else value


def _flip(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(value)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    return value[: rng.randrange(len(value))]


def _drop(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(value))
    return value[:start] + value[start + rng.randint(1, 64) :]


def _insert(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(value) + 1)
    return value[:at] + rng.choice(TOKENS) + value[at:]


def _number(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    found = list(PLAIN.finditer(value, 0, SEED_BYTES))
    if not found:
        return _insert(rng, value, others)
    match = rng.choice(found)
    return value[: match.start()] + rng.choice(NUMBERS) + value[match.end() :]


def _repeat(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(value))
    part = value[start : start + rng.randint(1, 200)]
    return value[:start] + part * rng.choice((2, 3, 40)) + value[start:]


def _splice(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return value[: rng.randrange(len(value) + 1)] + other[rng.randrange(len(other) + 1) :]


def _structure(rng: random.Random, value: bytes, others: Sequence[bytes]) -> bytes:
    """JSON with another value somewhere, a key twice, or one value many levels deep."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _flip(rng, value, others)
    spots = list(_spots(document))
    if not spots:
        return _insert(rng, value, others)
    parent, key = rng.choice(spots)
    mark = rng.random()
    if mark < 0.6:
        parent[key] = rng.choice(VALUES)
    elif mark < 0.75 and isinstance(parent, dict):
        parent[rng.choice(("", "time", "value", "name", "\x00", "a" * 1_100))] = parent.pop(key)
    elif mark < 0.9:
        found = parent[key]
        for _ in range(rng.choice((1, 70, 500))):
            found = [found] if rng.random() < 0.5 else {"a": found}
        parent[key] = found
    try:
        text = json.dumps(document).encode()
    except RecursionError:
        return value
    if mark >= 0.9 and isinstance(key, str):
        name = json.dumps(key).encode()
        text = text.replace(name + b": ", name + b": 1, " + name + b": ", 1)
    return text


def _spots(document: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [document]
    while waiting:
        parent = waiting.pop()
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)) if isinstance(parent, list) else ():
            yield parent, key
            waiting.append(parent[key])


def _packed(rng: random.Random, value: bytes) -> bytes:
    packed = gzip.compress(value, 1, mtime=0) if rng.random() < 0.5 else zstandard.compress(value, 1)
    return rng.choice((bytes, lambda whole: _cut(rng, whole, ()), lambda whole: _flip(rng, whole, ())))(packed)


MUTATIONS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip, _cut, _drop, _insert, _number, _number, _number, _repeat, _splice),
    *(_structure,) * 8,
)


# ---- messages made to hurt -------------------------------------------------------------------------------------------


def bombs() -> dict[str, Callable[[], bytes]]:
    """Messages that are deep, large, or cost much for what they are, each made when it is needed."""
    full, million = limits.MESSAGE_BYTES, 1_000_000

    def labels(between: str) -> str:
        return between.join(f'"l{number}":"v"' for number in range(million))

    attributes = '{"key":"k","value":{"stringValue":"v"}},' * (million // 3)
    point = f'"timeUnixNano":"{TIME_NS}","asDouble":1'
    gauge = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[%s]}}]}]}]}'
    return {
        "arrays in arrays": lambda: b"[" * million,
        "objects in objects": lambda: b'{"a":' * million,
        "objects in arrays": lambda: b'[{"a":' * (million // 2),
        "1,000 levels": lambda: b"[" * 1_000 + b"]" * 1_000,
        "nested messages": lambda: b"\x0a" * (2 * million),
        "nested messages with lengths": lambda: _nested(200_000),
        "100 MB": lambda: b"{" + bytes(100_000_000),
        "over the limit by one": lambda: bytes(full + 1),
        "empty objects": lambda: b"[" + b"{}," * (full // 3 - 2) + b"{}]",
        "empty lines": lambda: b"\n" * full,
        "lines of a letter": lambda: b"a\n" * (full // 2),
        "blanks": lambda: b" " * full,
        "quotes": lambda: b'"' * full,
        "backslashes": lambda: b"\\" * full,
        "escaped blanks": lambda: b"m,t=" + b"\\ " * (full // 3) + b" f=1",
        "open quotes": lambda: b'm f="' + b'\\"\n' * (full // 4),
        "a million tags": lambda: b"m" + b",t=v" * million + b" f=1",
        "a million fields": lambda: b"m f=1" + b",f=1" * million,
        "a million labels": lambda: (
            f'{{"name":"m","value":"1","timestamp":"2026-11-21T03:16:40Z","time_ns":{TIME_NS},"labels":{{{labels(",")}}}}}'
        ).encode(),
        "a million attributes": lambda: (gauge % f'{{{point},"attributes":[{attributes[:-1]}]}}').encode(),
        "a million points": lambda: (gauge % ",".join(["{}"] * million)).encode(),
        "half a million points' beginnings": lambda: b'{"time_ns":1,"value":' * (million // 2),
        "a million digits": lambda: b'{"value":' + b"9" * million + b"}",
        "a long name": lambda: b'{"name":"' + b"x" * (full - 20) + b'"}',
        "a long line": lambda: b"x" * full,
        "a path of dots": lambda: b"." * (million * 2) + b" 1 1795231000",
        "words": lambda: b"5 " * (million * 2),
        "a number without end": lambda: b"\x80" * million,
        "2^62 rows": lambda: b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(1_000),
        "a gigabyte in gzip": lambda: _zeros(),
        "a gigabyte in zstd": lambda: zstandard.compress(bytes(2**26)) * 16,
        "gzip in gzip": lambda: gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0),
        "snappy": lambda: b"\x82SNAPPY\x00" + bytes(100),
        "lz4": lambda: b"\x04\x22\x4d\x18" + bytes(100),
    }


def _nested(depth: int) -> bytes:
    """A field 1 in a field 1, as deep as a message's size allows within reason."""
    found = b""
    for _ in range(min(depth, 3_000)):
        size, length = len(found), bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        found = b"\x0a" + bytes(length) + bytes([size]) + found
    return found


def _zeros() -> bytes:
    part = gzip.compress(bytes(2**26), 9, mtime=0)
    return part * 16


# ---- reading and judging ---------------------------------------------------------------------------------------------


class Stuck(BaseException):
    """A message that does not end; not an Exception, so that nothing takes it for a reason."""


@contextmanager
def _watched() -> Iterator[None]:
    """Ends a message that takes too long: in Python by Stuck, in C by the end of the process with its stack."""

    def stop(*_: object) -> None:
        raise Stuck

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, STUCK_S)
    faulthandler.dump_traceback_later(HUNG_S, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)


class Reader:
    """Reads the messages of one case as the job does, and tallies what becomes of them."""

    def __init__(self, case: Case, catalogue: Catalogue) -> None:
        self.case = case
        self.tally = Tally(case.name)
        self._decode = formats.decoder(case.format, case.kind, case.options)
        self._sampler = Sampler(catalogue, SHARDS)
        self._last: Decoded | None = None
        self._topic = "jdbc.entity" if case.format == "jdbc_json" else "topic"

    def read(self, value: bytes | None, key: bytes | None, number: int, what: str) -> None:
        """One message; what is wrong about its end is a failure."""
        tally = self.tally
        tally.messages += 1
        self._last = None
        begun = time.process_time()
        try:
            message = Message(self._topic, 0, number, TIME_NS // 10**6 + 5_000, key, value)
            wrong = self._judged(self._sampler.read(message, self._keep))
            if number > 0 and number % AFRESH == 0 and not wrong:
                wrong = self._afresh(message)
        except Stuck:
            wrong = f"did not end in {STUCK_S} s of CPU"
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__}: {error} at {Path(at.filename).name}:{at.lineno}"
        spent = time.process_time() - begun
        tally.cpu_s += spent
        if spent > tally.slowest_s:
            tally.slowest_s, tally.slowest = spent, what
        if spent > CPU_S:
            wrong = wrong or f"took {spent:.1f} s of CPU; at most {CPU_S:g} s are allowed"
        if wrong:
            shown = f", {len(value)} bytes: {value[:40]!r}" if value is not None else ""
            tally.failures.append(f"{self.case.name} message {number} ({what}{shown}): {wrong[:300]}")

    def _keep(self, message: Message) -> Decoded:
        self._last = self._decode(message)
        return self._last

    def _afresh(self, message: Message) -> str:
        """What differs where a decoder reads a message that met none before."""
        case, last = self.case, self._last
        try:
            found: Decoded | None = formats.decoder(case.format, case.kind, case.options)(message)
        except DecodeError:
            found = None
        if found == last:
            return ""
        says = [f"{len(one.rows)} rows and {len(one.refused)} refused" if one else "a reason" for one in (last, found)]
        return f"has {says[0]}; read by a decoder that met nothing before, {says[1]}"

    def _judged(self, frames: list[Frame]) -> str:
        tally, last = self.tally, self._last
        if sum(frame.messages for frame in frames) != 1:
            return f"is counted {sum(frame.messages for frame in frames)} times"
        if last is None:
            tally.dead += 1
            reason = frames[0].reason
            return "" if reason.startswith(self.case.format) and _plain(reason) else f"has the reason {reason[:200]!r}"
        tally.rows += len(last.rows)
        tally.refused += len(last.refused)
        points = sum(frame.points for frame in frames)
        if points != len(last.rows) + len(last.refused):
            return f"has {len(last.rows)} rows and {len(last.refused)} refused, but {points} are booked"
        for frame in frames:
            frame.body.encode()
            if frame.kind == "change":
                orjson.loads(frame.body)  # as the job reads it
        wrong = next(
            (reason for reason in (*last.refused, *(frame.reason for frame in frames)) if not _plain(reason)), ""
        )
        return f"has the reason {wrong[:200]!r}" if wrong else ""


def _plain(reason: str) -> bool:
    return len(reason) <= REASON_CHARS and reason.isprintable()


def run(
    messages: int,
    seed: int = 0,
    only: Sequence[str] = (),
    samples: Path | None = SAMPLES,
    with_bombs: bool = True,
    tell: Callable[[str], None] = lambda word: None,
) -> list[Tally]:
    """The tallies of every case, with as many mutated messages each as make up `messages`."""
    found = cases(samples)
    others = [value for case in found for value in case.seeds]
    chosen = [case for case in found if not only or case.format in only]
    catalogue = load_catalogue()
    hurting = bombs() if with_bombs else {}
    tallies = []
    begun = time.monotonic()
    with examples.registry(registered()), _watched():
        for place, case in enumerate(chosen):
            share = messages * (place + 1) // len(chosen) - messages * place // len(chosen)
            reader = Reader(case, catalogue)
            for number, (what, make) in enumerate(hurting.items()):
                _again()
                reader.read(make(), case.key, -1 - number, what)
            for number in range(share):
                rng = random.Random(f"{seed}/{case.name}/{number}")
                value = None if rng.random() < 0.001 else mutated(rng, case.seeds, others)
                key = case.key if rng.random() < 0.9 else rng.choice((None, b"", b"{}", value))
                if number % 1_000 == 0:
                    _again()
                reader.read(value, key, number, "mutated")
            tally = reader.tally
            tally.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if tally.peak_bytes > PEAK_BYTES:
                tally.failures.append(f"{case.name}: the process has taken {tally.peak_bytes / 2**20:,.0f} MiB")
            tallies.append(tally)
            tell(f"{line(tally)}  {time.monotonic() - begun:,.0f} s")
            for failure in tally.failures[:5]:
                tell(f"  FAILED {failure}")
    return tallies


def _again() -> None:
    """Begin to wait anew for what is stuck."""
    signal.setitimer(signal.ITIMER_PROF, STUCK_S)
    faulthandler.dump_traceback_later(HUNG_S, exit=True)


HEAD = (
    f"{'topic':<36}{'messages':>9}{'rows':>11}{'refused':>10}{'dead':>9}{'us each':>9}{'slowest s':>10}{'peak MiB':>9}"
)


def line(tally: Tally) -> str:
    """A case's line of the table."""
    each = 1e6 * tally.cpu_s / max(1, tally.messages)
    counts = f"{tally.messages:>9,}{tally.rows:>11,}{tally.refused:>10,}{tally.dead:>9,}{each:>9.0f}"
    return f"{tally.case:<36}{counts}{tally.slowest_s:>10.2f}{tally.peak_bytes / 2**20:>9,.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each topic and what failed; 1 if anything did."""
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="mutated messages in all (100,000)")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other messages (0)")
    parser.add_argument("--only", nargs="+", choices=formats.names(), default=[], help="these formats only")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help=f"a folder of samples to mutate too ({SAMPLES})")
    given = parser.parse_args(arguments)
    print(HEAD, flush=True)
    tallies = run(given.messages, given.seed, given.only, given.samples, tell=lambda word: print(word, flush=True))
    total = Tally("all")
    for tally in tallies:
        total.messages += tally.messages
        total.rows += tally.rows
        total.refused += tally.refused
        total.dead += tally.dead
        total.cpu_s += tally.cpu_s
        total.failures += tally.failures
        total.slowest_s = max(total.slowest_s, tally.slowest_s)
        total.peak_bytes = max(total.peak_bytes, tally.peak_bytes)
    slowest = max(tallies, key=lambda tally: tally.slowest_s)
    print(line(total))
    print(f"slowest: {slowest.case}, {slowest.slowest}; {len(total.failures)} failures")
    for failure in total.failures[:100]:
        print(f"  {failure}")
    return int(bool(total.failures))


if __name__ == "__main__":
    sys.exit(main())
