"""Blocks that are put together before they cross: which may, which must stay with their message, and what is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.config import Config, Topic, Window
from afoot.signals.sampling import Frame
from afoot.telemetry.rows import Message
from jobs.findings.merge import Merger

SIZE_MS, LATENESS_MS, IDLE_MS = 60_000, 30_000, 60_000
CONFIG = Config(
    topics=(Topic("t", None, "metrics", "otlp_json", LATENESS_MS), Topic("u", None, "metrics", "otlp_json", 600_000)),
    window=Window(size_ms=SIZE_MS, idle_after_ms=IDLE_MS),
)


class Clock:
    """A wall clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ms = 1_000 * SIZE_MS

    def __call__(self) -> float:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def merger(clock: Clock) -> Merger:
    return Merger(CONFIG, clock)


def message(ms: int, offset: int = 0, partition: int = 0, topic: str = "t") -> Message:
    return Message(topic, partition, offset, ms, None, b"{}")


def samples(window_ms: int, body: str = "b", shard: int = 0, points: int = 1, messages: int = 0) -> Frame:
    return Frame("samples", shard, window_ms, messages, points, "", body)


def unsure(window_ms: int, body: str = "b") -> Frame:
    return samples(window_ms, body)._replace(kind="unsure")


def merge(merger: Merger, messages: list[Message], batch: list[list[Frame]]) -> list[list[Frame]]:
    return merger.merge(messages, merger.hear(messages), batch)


def test_blocks_of_a_shard_and_window_are_one_frame_on_the_first_message_of_their_topic(merger: Merger) -> None:
    batch = [[samples(0, "a", messages=1)], [samples(0, "b", points=2, messages=1)], [samples(0, "c", shard=1)]]
    found = merge(merger, [message(10), message(20), message(30)], batch)
    assert found == [[samples(0, "a b", points=3, messages=2), samples(0, "c", shard=1)], [], []]


def test_topics_windows_and_shards_stay_apart(merger: Merger) -> None:
    messages = [message(10), message(20, topic="u"), message(30)]
    batch = [[samples(0, "a")], [samples(0, "b")], [samples(SIZE_MS, "c"), samples(0, "d", shard=1)]]
    first, second, third = merge(merger, messages, batch)
    assert sorted(frame.body for frame in first) == ["a", "c", "d"]
    assert [frame.body for frame in second] == ["b"]  # the books are by topic
    assert third == []


def test_what_is_no_block_stays_with_its_message(merger: Merger) -> None:
    others = [Frame(kind, -1, 0, 1, 1, "r", "x") for kind in ("dead", "refused", "unasked", "change")]
    found = merge(merger, [message(10, n) for n in range(4)], [[frame] for frame in others])
    assert found == [[frame] for frame in others]


@pytest.mark.parametrize(("promised_ms", "stays"), [(SIZE_MS - 1, False), (SIZE_MS, True)])
def test_a_block_that_may_be_late_stays_with_its_message(merger: Merger, promised_ms: int, stays: bool) -> None:
    merge(merger, [message(promised_ms + LATENESS_MS)], [[]])
    found = merge(merger, [message(0, 1), message(0, 2)], [[], [samples(0)]])
    assert found == ([[], [unsure(0)]] if stays else [[samples(0)], []])


def test_what_a_batch_promises_makes_nothing_of_it_late(merger: Merger) -> None:
    merge(merger, [message(0)], [[]])
    batch = [message(10 * SIZE_MS, 1), message(0, 2)]
    assert merge(merger, batch, [[], [samples(0)]]) == [[samples(0)], []]
    assert merge(merger, batch, [[], [samples(0)]]) == [[], [unsure(0)]]


def test_a_partition_is_judged_by_its_own_promise(merger: Merger) -> None:
    ahead = message(10 * SIZE_MS, 1, partition=0)
    merge(merger, [ahead], [[]])
    found = merge(merger, [ahead, message(10, 1, partition=1)], [[], [samples(0)]])
    assert found == [[samples(0)], []]


def test_a_promise_is_not_taken_back(merger: Merger) -> None:
    merge(merger, [message(10 * SIZE_MS)], [[]])
    found = merge(merger, [message(10 * SIZE_MS), message(0, 1)], [[], [samples(0)]])
    assert found == [[], [unsure(0)]]


@pytest.mark.parametrize("spoke", [True, False], ids=["spoke before", "never spoke"])
def test_a_partition_that_was_silent_is_unsure_until_it_has_caught_up_with_one_that_was_not(
    merger: Merger, clock: Clock, spoke: bool
) -> None:
    if spoke:
        merge(merger, [message(0, partition=1)], [[]])
    clock.now_ms += IDLE_MS // 4
    merge(merger, [message(0, partition=0)], [[]])
    clock.now_ms += IDLE_MS // 4 + 1  # the one has been silent for more than half of what makes it idle
    ahead, back = message(10 * SIZE_MS, 1, partition=0), message(10, 1, partition=1)
    assert merge(merger, [ahead, back], [[], [samples(0)]]) == [[], [unsure(0)]]
    almost = message(10 * SIZE_MS - 1, 2, partition=1)
    assert merge(merger, [ahead, almost], [[], [samples(20 * SIZE_MS)]]) == [[], [unsure(20 * SIZE_MS)]]
    caught_up = message(10 * SIZE_MS, 3, partition=1)
    assert merge(merger, [ahead, caught_up], [[], [samples(10 * SIZE_MS)]]) == [[samples(10 * SIZE_MS)], []]


def test_where_all_were_silent_others_elsewhere_may_be_as_far_as_the_clock(merger: Merger, clock: Clock) -> None:
    merge(merger, [message(0)], [[]])
    clock.now_ms += IDLE_MS
    window = clock.now_ms + 10 * SIZE_MS
    assert merge(merger, [message(10 * SIZE_MS)], [[samples(window)]]) == [[unsure(window)]]
    now = message(clock.now_ms + CONFIG.window.max_skew_ms + LATENESS_MS)
    assert merge(merger, [now], [[samples(window)]]) == [[samples(window)]]


def test_a_topic_that_nobody_configured_promises_its_own_time(merger: Merger) -> None:
    other = message(SIZE_MS, topic="nobody's")
    merge(merger, [other], [[]])
    assert merge(merger, [other, other], [[], [samples(0)]]) == [[], [unsure(0)]]


FRAMES = st.lists(
    st.tuples(
        st.sampled_from(["t", "u"]),
        st.integers(0, 2),
        st.integers(0, 20 * SIZE_MS),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=3),
    ),
    max_size=30,
)


@given(batches=st.lists(FRAMES, max_size=4))
def test_nothing_is_lost_or_counted_twice(batches: Iterable[list[tuple[str, int, int, list[tuple[int, int]]]]]) -> None:
    merger = Merger(CONFIG, Clock())
    number = 0
    for rows in batches:
        messages, batch = [], []
        for topic, partition, ms, blocks in rows:
            messages.append(message(ms, number, partition, topic))
            batch.append(
                [samples(w * SIZE_MS, f"{topic}{number}/{n}", shard, n + 1) for n, (shard, w) in enumerate(blocks)]
            )
            number += 1
        wanted = contents(batch, messages)
        found = merge(merger, messages, batch)
        assert len(found) == len(messages)
        assert contents(found, messages) == wanted
        total = sum(frame.points for frames in batch for frame in frames)
        assert sum(frame.points for frames in found for frame in frames) == total


def contents(batch: list[list[Frame]], messages: list[Message]) -> Counter[tuple[str, int, int, str]]:
    """Every block by its topic, shard and window."""
    return Counter(
        (message.topic, frame.shard, frame.window_ms, body)
        for message, frames in zip(messages, batch, strict=True)
        for frame in frames
        for body in frame.body.split(" ")
    )
