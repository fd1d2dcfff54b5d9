"""Sample blocks: many samples of one message, shard and window as one short text, and many blocks back as arrays.

A block is `1:<topic>:<records>` followed by `.<definition>` for some of its series. It holds neither spaces nor line
breaks, so blocks of a (shard, window) are joined by a space, in any order. Version 1:

- `<topic>` is the topic's name, percent-encoded.
- `<records>` is base64 without padding of 24-byte records, three little-endian 64-bit words each: first
  (partition, offset, number of samples), then one (series id, time, value) a sample. A series id is the BLAKE2b-64 of
  what the definition says. A time is nanoseconds since the epoch. A value is a float64. For events (below) the time's
  word is a 64-bit hash of the event's content instead, by which the same event is known again.
- `<definition>` is the series id as 16 hex digits and base64 of JSON `[mode, metric name, {label: value}]`. Each
  sampler defines a series in the first window that it names it in, and again DEFINED_MS of event time later, which is
  no longer than the shard remembers it; and in each block that may come too late for its window.

Modes: gauge, cumulative, delta (increase since the last sample), event (a count of its own), derived (an event made of
a row that another sample stands for in the books).
"""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import orjson
from numpy.typing import NDArray

from afoot.telemetry.rows import Labels

VERSION = "1"
GAUGE, CUMULATIVE, DELTA, EVENT, DERIVED = range(5)
RECORD_CHARS = 32  # base64 of one record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Series(NamedTuple):
    """A series as samplers define it; `id` is the same wherever and whenever it is computed."""

    id: int  # signed 64 bits
    mode: int
    metric: str
    labels: Labels
    definition: str  # as it stands in a block, with the leading dot


def series(mode: int, metric: str, labels: Labels) -> Series:
    """The series of these three."""
    text = orjson.dumps([mode, metric, labels.mapping])
    digest = blake2b(text, digest_size=8).digest()
    definition = f".{digest.hex()}{b64encode(text).decode('ascii')}"
    return Series(int.from_bytes(digest, "little", signed=True), mode, metric, labels, definition)


def defined_id(definition: str) -> int:
    """The id that a definition, without its dot, begins with."""
    return int.from_bytes(bytes.fromhex(definition[:16]), "little", signed=True)


def read_definition(definition: str) -> Series:
    """The series that a definition, without its dot, speaks of."""
    mode, metric, mapping = orjson.loads(a2b_base64(definition[16:]))
    return Series(defined_id(definition), mode, metric, Labels.of(mapping), "." + definition)


def content_hash(*parts: object) -> int:
    """A signed 64-bit hash of what an event says, the same in every process."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little", signed=True)


def encode_records(words: Ints) -> str:
    """Base64 of records, shape (n, 3): record i is characters [32 i, 32 i + 32)."""
    return b2a_base64(np.ascontiguousarray(words, dtype="<i8").tobytes(), newline=False).decode("ascii")


@lru_cache(maxsize=1024)
def prefix(topic: str) -> str:
    """What the blocks of a topic begin with; the first record, samples and definitions follow."""
    return f"{VERSION}:{quote(topic, safe='')}:"


class Samples(NamedTuple):
    """The samples of many blocks: arrays of equal length, and the messages that they came in.

    Blocks are numbered by (topic, partition, offset), whatever the order they were given in.
    """

    series: Ints  # id
    time_ns: Ints
    value: Floats
    block: Ints  # which block, in ascending order
    topics: tuple[str, ...]  # sorted
    topic: Ints  # of each block: index in topics
    partition: Ints  # of each block
    offset: Ints  # of each block
    definitions: list[str]  # without their dot, each at least once


def unpack(bodies: str | None) -> Samples:
    """The samples of blocks joined by spaces; none for None or ""."""
    names: list[str] = []
    records: list[str] = []
    definitions: list[str] = []
    for body in bodies.split(" ") if bodies else ():
        version, topic, rest = body.split(":", 2)
        if version != VERSION:
            raise ValueError(f"sample block of version {version!r}; this program reads version {VERSION!r} only")
        names.append(topic)
        if "." in rest:
            rest, *defined = rest.split(".")
            definitions += defined
        records.append(rest)
    known = sorted((unquote(name), name) for name in set(names))
    rank = {name: index for index, (_, name) in enumerate(known)}
    words = np.frombuffer(a2b_base64("".join(records)), dtype="<i8").reshape(-1, 3)
    count = np.fromiter(map(len, records), np.int64, len(records)) // RECORD_CHARS
    first = np.cumsum(count) - count
    topic_of = np.fromiter((rank[name] for name in names), np.int64, len(names))
    partition, offset = words[first, 0], words[first, 1]
    order = np.lexsort((offset, partition, topic_of))
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    is_sample = np.ones(len(words), bool)
    is_sample[first] = False
    of_block = np.repeat(position, count)[is_sample]
    by_block = np.argsort(of_block, kind="stable")
    samples = words[is_sample][by_block]
    return Samples(
        series=samples[:, 0].copy(),
        time_ns=samples[:, 1].copy(),
        value=samples[:, 2].copy().view(np.float64),
        block=of_block[by_block],
        topics=tuple(name for name, _ in known),
        topic=topic_of[order],
        partition=partition[order],
        offset=offset[order],
        definitions=definitions,
    )
