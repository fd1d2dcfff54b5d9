"""Sample blocks: samples of one or more messages of a topic, for a shard and window, as a text, and back as arrays.

A block is `2:` and base64 of a Zstandard frame: it holds neither spaces nor line breaks, so blocks of a (shard, window)
are joined by a space, in any order. In the frame, version 2, all numbers little-endian and of 64 bits:

- how many bytes the topic and the definitions have, how many messages and samples there are;
- of the messages the partitions, then the offsets, then the numbers of samples;
- of the samples, message by message, the series ids, then the times (each as what it is later than the one before),
  then the values;
- the topic, and the definitions with line breaks between.

A series id is the BLAKE2b-64 of what the definition says. A time is nanoseconds since the epoch. A value is a float64.
For events (below) the time is a hash of the event's content instead, by which the same event is known again.

A definition is the series id as 16 hex digits and JSON `[mode, metric name, {label: value}]`. Each sampler defines a
series in the first window that it names it in, and again DEFINED_MS of event time later, which is no longer than the
shard remembers it; and in each block that may come too late for its window.

Modes: gauge, cumulative, delta (increase since the last sample), event (a count of its own), derived (an event made of
a row that another sample stands for in the books), poll mean (the mean since the last sample), period sum and period
mean (over a period that begins at the sample's time, see periods.py).
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from afoot.telemetry.rows import Labels

VERSION = "2"
GAUGE, CUMULATIVE, DELTA, EVENT, DERIVED, POLL_MEAN, PERIOD_SUM, PERIOD_MEAN = range(8)
_HEAD = 4  # words
_LEVEL = 1  # of Zstandard: 6 to 12 bytes a point were measured, of 24, for 0.05 us

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Series(NamedTuple):
    """A series as samplers define it; `id` is the same wherever and whenever it is computed."""

    id: int  # signed 64 bits
    mode: int
    metric: str
    labels: Labels
    definition: str  # as it stands in a block


def series(mode: int, metric: str, labels: Labels) -> Series:
    """The series of these three."""
    text = orjson.dumps([mode, metric, labels.mapping])
    digest = blake2b(text, digest_size=8).digest()
    definition = digest.hex() + text.decode()
    return Series(int.from_bytes(digest, "little", signed=True), mode, metric, labels, definition)


def defined_id(definition: str) -> int:
    """The id that a definition begins with."""
    return int.from_bytes(bytes.fromhex(definition[:16]), "little", signed=True)


def read_definition(definition: str) -> Series:
    """The series that a definition speaks of."""
    mode, metric, mapping = orjson.loads(definition[16:])
    return Series(defined_id(definition), mode, metric, Labels.of(mapping), definition)


def content_hash(*parts: object) -> int:
    """A signed 64-bit hash of what an event says, the same in every process."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little", signed=True)


class Packer:
    """Makes blocks. Not for several threads at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def pack(
        self,
        topic: str,
        messages: tuple[Ints, Ints, Ints],
        series: Ints,
        times: Ints,
        values: Floats,
        definitions: Iterable[str] = (),
    ) -> str:
        """A block. `messages`: partition, offset and number of samples of each; the samples follow in their order."""
        name, defined = topic.encode(), "\n".join(definitions).encode()
        head = np.array([len(name), len(defined), len(messages[0]), len(series)], np.int64)
        later = np.diff(times, prepend=np.int64(0))
        columns = (head, *messages, series, later, values.view(np.int64))
        raw = b"".join([*(np.ascontiguousarray(column, "<i8").data for column in columns), name, defined])
        return f"{VERSION}:{b2a_base64(self._compressor.compress(raw), newline=False).decode('ascii')}"


class Samples(NamedTuple):
    """The samples of many blocks: arrays of equal length, and the messages that they came in.

    Messages are numbered by (topic, partition, offset), whatever the order that blocks were given in.
    """

    series: Ints  # id
    time_ns: Ints
    value: Floats
    message: Ints  # which one; samples of one stand in its order
    topics: tuple[str, ...]  # sorted
    topic: Ints  # of each message: index in topics
    partition: Ints  # of each message
    offset: Ints  # of each message
    definitions: list[str]  # each at least once


def unpack(bodies: str | None) -> Samples:
    """The samples of blocks joined by spaces; none for None or ""."""
    names: list[str] = []
    definitions: list[str] = []
    columns: list[list[Ints]] = [[] for _ in range(6)]
    decompressor = zstandard.ZstdDecompressor()
    for body in bodies.split(" ") if bodies else ():
        version, _, text = body.partition(":")
        if version != VERSION:
            raise ValueError(f"sample block of version {version!r}; this program reads version {VERSION!r} only")
        raw = decompressor.decompress(a2b_base64(text))
        name, defined, messages, samples = np.frombuffer(raw, "<i8", _HEAD).tolist()
        at = 8 * _HEAD
        for column, length in zip(columns, (messages,) * 3 + (samples,) * 3, strict=True):
            column.append(np.frombuffer(raw, "<i8", length, at))
            at += 8 * length
        names.append(raw[at : at + name].decode())
        if defined:
            definitions += raw[at + name :].decode().split("\n")
        columns[4][-1] = np.cumsum(columns[4][-1])
    topics = tuple(sorted(set(names)))
    rank = {name: index for index, name in enumerate(topics)}
    in_block = [len(partitions) for partitions in columns[0]]
    topic = np.repeat(np.array([rank[name] for name in names], np.int64), in_block)
    partition, offset, count, series, times, values = (
        np.concatenate(column) if column else np.empty(0, np.int64) for column in columns
    )
    order = np.lexsort((offset, partition, topic))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return Samples(
        series=series,
        time_ns=times,
        value=values.view(np.float64),
        message=np.repeat(number, count),
        topics=topics,
        topic=topic[order],
        partition=partition[order],
        offset=offset[order],
        definitions=definitions,
    )
