"""How far event time may have got by what partitions promise, before a batch of their messages is decoded."""

from __future__ import annotations

import math

import pytest

from afoot.config import Config, Topic, Window
from afoot.telemetry.rows import Message
from jobs.findings.promises import Promises

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
def promises(clock: Clock) -> Promises:
    return Promises(CONFIG, clock)


def message(ms: int, partition: int = 0, topic: str = "t") -> Message:
    """A message that promises, by the lateness of its topic, LATENESS_MS less than its time."""
    return Message(topic, partition, 0, ms, None, b"{}")


def test_a_partition_is_as_far_as_it_promised_before_the_batch(promises: Promises) -> None:
    promises.hear([message(SIZE_MS)])
    batch = [message(10 * SIZE_MS), message(0)]
    assert promises.hear(batch) == [SIZE_MS - LATENESS_MS] * 2
    assert promises.hear(batch) == [10 * SIZE_MS - LATENESS_MS] * 2


def test_of_a_partition_not_heard_before_what_the_batch_promises_counts(promises: Promises) -> None:
    assert promises.hear([message(0), message(10 * SIZE_MS)]) == [10 * SIZE_MS - LATENESS_MS] * 2


def test_partitions_and_topics_are_told_apart(promises: Promises) -> None:
    places = [message(10 * SIZE_MS), message(SIZE_MS, partition=1), message(20 * SIZE_MS, topic="u")]
    promises.hear(places)
    assert promises.hear(places) == [10 * SIZE_MS - LATENESS_MS, SIZE_MS - LATENESS_MS, 20 * SIZE_MS - 600_000]


def test_a_promise_is_not_taken_back(promises: Promises) -> None:
    promises.hear([message(10 * SIZE_MS)])
    promises.hear([message(0)])
    assert promises.hear([message(0)]) == [10 * SIZE_MS - LATENESS_MS]


@pytest.mark.parametrize("spoke", [True, False], ids=["spoke before", "never spoke"])
def test_a_partition_that_was_silent_is_unsure_until_it_has_caught_up_with_one_that_was_not(
    promises: Promises, clock: Clock, spoke: bool
) -> None:
    if spoke:
        promises.hear([message(0, partition=1)])
    clock.now_ms += IDLE_MS // 4
    promises.hear([message(0)])
    clock.now_ms += IDLE_MS // 4 + 1  # the one has been silent for more than half of what makes it idle
    ahead, promised_ms = message(10 * SIZE_MS), 10 * SIZE_MS - LATENESS_MS
    assert promises.hear([ahead, message(10, partition=1)]) == [-LATENESS_MS, math.inf]
    assert promises.hear([ahead, message(10 * SIZE_MS - 1, partition=1)]) == [promised_ms, math.inf]
    assert promises.hear([ahead, message(10 * SIZE_MS, partition=1)]) == [promised_ms, promised_ms - 1]


def test_where_all_were_silent_others_elsewhere_may_be_as_far_as_the_clock(promises: Promises, clock: Clock) -> None:
    promises.hear([message(0)])
    clock.now_ms += IDLE_MS
    assert promises.hear([message(10 * SIZE_MS)]) == [math.inf]
    now_ms = clock.now_ms + CONFIG.window.max_skew_ms
    assert promises.hear([message(now_ms + LATENESS_MS - 1)]) == [math.inf]
    assert promises.hear([message(now_ms + LATENESS_MS)]) == [now_ms - 1]


def test_a_topic_that_nobody_configured_promises_its_own_time(promises: Promises) -> None:
    other = message(SIZE_MS, topic="nobody's")
    promises.hear([other])
    assert promises.hear([other]) == [SIZE_MS]
