"""What leaves decoding: frames, and how the samples of a batch of messages are cut into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from afoot.signals import blocks
from afoot.signals.blocks import Bools, Floats, Ints
from afoot.signals.series import KnownSeries
from afoot.telemetry.rows import Message

NOWHERE = -1  # shard of frames that are no samples
NS = 1_000_000  # in a millisecond


class Frame(NamedTuple):
    """What messages contribute, one frame a topic, shard and window, or a reason to keep or count one.

    kind: "samples" (body: a block, see blocks.py), "unsure" (one that may be late: of one message, which must be at
    hand if it is), "change" (body: JSON array of inventory changes), "unasked" (body: JSON object, points by metric
    name; also for a message without rows), "refused" (reason; the body is empty) or "dead" (the whole message is
    unreadable, reason). `window_ms` is the start of a block's window, else of the window of the record's time. Each
    message counts once, in the `messages` of one frame; `points` add up to the rows, refused ones included.
    """

    kind: str
    shard: int
    window_ms: int
    messages: int
    points: int
    reason: str
    body: str


class Gathered:
    """The samples of a batch, in pieces that are columns of equal length."""

    __slots__ = ("message", "series", "slot", "time_ns", "value", "weight")

    def __init__(self) -> None:
        self.message: list[Ints] = []  # its number in the batch; a message's samples stand in one piece, in their order
        self.series: list[Ints] = []
        self.time_ns: list[Ints] = []
        self.slot: list[Ints] = []  # what stands for the time in a block
        self.value: list[Floats] = []
        self.weight: list[Ints] = []  # 0 of samples whose row another one stands for in the books

    def add(
        self,
        message: Ints,
        series: Ints,
        time_ns: Ints,
        value: Floats,
        slot: Ints | None = None,
        weight: Ints | None = None,
    ) -> None:
        """Adds a piece; of points, the time stands for itself."""
        self.message.append(message)
        self.series.append(series)
        self.time_ns.append(time_ns)
        self.value.append(value)
        self.slot.append(time_ns if slot is None else slot)
        self.weight.append(np.ones(len(series), np.int64) if weight is None else weight)


def cut(
    messages: Sequence[Message],
    gathered: Gathered,
    known: KnownSeries,
    passed_ms: Sequence[float],
    window_ms: int,
    found: list[list[Frame]],
) -> None:
    """Adds samples to `found` as blocks: by topic, window and shard, but by message where they may be late.

    Of each message, windows that end by `passed_ms` may be late. Where `found` has frames of a message, the first of
    them counts it.
    """
    index, time_ns, slot, message = map(
        np.concatenate, (gathered.series, gathered.time_ns, gathered.slot, gathered.message)
    )
    values, weight = np.concatenate(gathered.value), np.concatenate(gathered.weight)
    told: Bools = np.array(list(map(bool, found)), np.bool_)
    window = time_ns // (window_ms * NS)
    certain = (window + 1) * window_ms > np.array(passed_ms, np.float64)[message]
    home: dict[str, int] = {}  # the first message of a topic, which its blocks go with
    first = np.array([home.setdefault(one.topic, number) for number, one in enumerate(messages)], np.int64)
    owner = np.where(certain, 2 * first[message], 2 * message + 1)
    earliest = int(window.min())
    place = (owner * (int(window.max()) - earliest + 1) + window - earliest) * known.shards + known.shard[index]
    order = np.argsort(place * len(messages) + message, kind="stable")  # samples keep their order in the message
    index, window, place, message, weight = (a[order] for a in (index, window, place, message, weight))
    slot, values, certain = slot[order], values[order], certain[order]
    ids, start_ms = known.ids[index], window * window_ms
    new_block = np.append(True, place[1:] != place[:-1])
    starts = np.flatnonzero(new_block)
    definitions = known.define(index, start_ms, certain, starts)
    # A run is what a message has in a block.
    runs = np.flatnonzero(new_block | np.append(True, message[1:] != message[:-1]))
    numbers = message[runs]
    partitions = np.array([one.partition for one in messages], np.int64)[numbers]
    offsets = np.array([one.offset for one in messages], np.int64)[numbers]
    counts = np.diff(np.append(runs, len(index)))
    run = np.searchsorted(runs, starts)
    of_blocks = zip(
        starts.tolist(),
        np.append(starts[1:], len(index)).tolist(),
        run.tolist(),
        np.append(run[1:], len(runs)).tolist(),
        known.shard[index[starts]].tolist(),
        start_ms[starts].tolist(),
        np.add.reduceat(weight, starts).tolist(),
        certain[starts].tolist(),
        strict=True,
    )
    packer = blocks.Packer()
    for at, (begin, end, run_begin, run_end, shard, window_start, points, sure) in enumerate(of_blocks):
        of_block, own = slice(begin, end), slice(run_begin, run_end)
        topic = messages[numbers[run_begin]].topic
        origins = (partitions[own], offsets[own], counts[own])
        body = packer.pack(topic, origins, ids[of_block], slot[of_block], values[of_block], definitions.get(at, ()))
        untold = int(np.count_nonzero(~told[numbers[own]]))
        told[numbers[own]] = True
        kind, owner_of = ("samples", home[topic]) if sure else ("unsure", int(numbers[run_begin]))
        found[owner_of].append(Frame(kind, shard, window_start, untold, points, "", body))
    # What is told by no frame of its own or another's has no rows.
    for number in np.flatnonzero(~told).tolist():
        found[number].insert(0, without_rows(messages[number], window_ms))


def without_rows(message: Message, window_ms: int) -> Frame:
    """The frame of a message that holds nothing."""
    return Frame("unasked", NOWHERE, window_of(message, window_ms), 1, 0, "no rows", "{}")


def window_of(message: Message, window_ms: int) -> int:
    """Where the window of a message's record time starts, in ms."""
    return message.timestamp_ms // window_ms * window_ms
