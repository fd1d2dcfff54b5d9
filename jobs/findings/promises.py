"""Step 2: how far event time may have got, as the worker that decodes a partition knows it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from afoot.config import Config
from afoot.telemetry.rows import Message


class _Heard(NamedTuple):
    """What is known of a partition: the event time that it promised, and when it last spoke (wall clock, ms)."""

    promised_ms: int
    at_ms: float


class Promises:
    """What partitions promise, and which blocks of a batch may turn out to be late.

    A late block keeps its message as a dead letter, so it crosses by itself. A block is certainly on time if its window
    ends after what its own partition promised before the batch: the watermark is at most that, since the engine holds
    what the batch itself promises until the frames of it have left. A partition that was silent for long may have been
    set idle and left behind by others, which other workers may read. Nothing of it is sure until it promises what the
    watermark cannot have passed: what partitions here promised that were not silent, or, if all were, the time on the
    clock, as records carry no later one.
    """

    def __init__(self, config: Config, clock_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:
        self._config = config
        self._clock_ms = clock_ms
        self._began_ms = clock_ms()
        self._heard: dict[tuple[str, int], _Heard] = {}
        self._behind: dict[tuple[str, int], float] = {}  # and the promise by which they have caught up
        self._lateness: dict[str, int] = {}

    def hear(self, messages: list[Message]) -> list[float]:
        """Takes in a batch. For each message: of its windows, those that end by this event time (ms) may be late."""
        now_ms = self._clock_ms()
        places = [(message.topic, message.partition) for message in messages]
        latest_ms: dict[tuple[str, int], int] = {}
        for place, message in zip(places, messages, strict=True):
            if latest_ms.get(place, message.timestamp_ms) <= message.timestamp_ms:
                latest_ms[place] = message.timestamp_ms
        before = {place: self._heard.get(place) for place in latest_ms}
        back = {place for place, record_ms in latest_ms.items() if self._hear(place, record_ms, now_ms)}
        if back:
            awake = [
                heard.promised_ms
                for place, heard in self._heard.items()
                if place not in back and place not in self._behind and not self._is_silent(heard.at_ms, now_ms)
            ]
            limit_ms = max(awake, default=now_ms + self._config.window.max_skew_ms)
            self._behind |= dict.fromkeys(back, limit_ms)
        # Of a partition that was not heard before, nothing is known but what it promises now.
        limits_ms: dict[tuple[str, int], float] = {
            place: math.inf if place in self._behind else (held or self._heard[place]).promised_ms
            for place, held in before.items()
        }
        return [limits_ms[place] for place in places]

    def _hear(self, place: tuple[str, int], record_ms: int, now_ms: float) -> bool:
        """Takes in the latest record time of a partition; whether that was silent before."""
        promised_ms = record_ms - self._lateness_ms(place[0])
        before = self._heard.get(place)
        if before is not None:
            promised_ms = max(promised_ms, before.promised_ms)
        self._heard[place] = _Heard(promised_ms, now_ms)
        if self._is_silent(self._began_ms if before is None else before.at_ms, now_ms):
            return True
        if promised_ms >= self._behind.get(place, promised_ms):
            self._behind.pop(place, None)
        return False

    def _is_silent(self, at_ms: float, now_ms: float) -> bool:
        # Half of the time after which a partition is idle: the source may have read it a while before it came here.
        return now_ms - at_ms > self._config.window.idle_after_ms / 2

    def _lateness_ms(self, topic: str) -> int:
        if topic not in self._lateness:
            entry = self._config.topic_of(topic)
            self._lateness[topic] = 0 if entry is None else entry.lateness_ms
        return self._lateness[topic]
