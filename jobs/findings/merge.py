"""Step 2: the blocks of a batch of messages, put together before they cross: one frame a topic, shard and window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from afoot.config import Config
from afoot.signals.sampling import Frame
from afoot.telemetry.rows import Message

NEVER = -(1 << 62)


class _Heard(NamedTuple):
    """What is known of a partition: the event time that it promised, and when it last spoke (wall clock)."""

    promised_ms: int
    at_s: float


class Merger:
    """Puts sample frames of a batch together, on the first message of their topic, unless one may turn out to be late.

    A late frame keeps its message as a dead letter, so it stays with it. A frame is certainly on time if its window
    ends after what its own partition promised: the watermark is at most that. A partition that was silent for long may
    have been left behind by the others; until it has caught up, the furthest promise counts.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._heard: dict[tuple[str, int], _Heard] = {}
        self._behind: set[tuple[str, int]] = set()
        self._lateness: dict[str, int] = {}

    def merge(self, messages: list[Message], batch: list[list[Frame]]) -> list[list[Frame]]:
        """The frames of each message, those that can be merged moved to the first message of their topic."""
        now_s = self._clock()
        for message in messages:
            self._hear(message, now_s)
        furthest = max((heard.promised_ms for heard in self._heard.values()), default=NEVER)
        self._behind = {place for place in self._behind if self._heard[place].promised_ms < furthest}
        merged: dict[tuple[str, int, int], list[Frame]] = {}
        first: dict[str, int] = {}
        left: list[list[Frame]] = []
        for number, (message, frames) in enumerate(zip(messages, batch, strict=True)):
            place = (message.topic, message.partition)
            promised_ms = furthest if place in self._behind else self._heard[place].promised_ms
            first.setdefault(message.topic, number)
            stay = []
            for frame in frames:
                if frame.kind == "samples" and frame.window_ms + self._config.window.size_ms > promised_ms:
                    merged.setdefault((message.topic, frame.shard, frame.window_ms), []).append(frame)
                else:
                    stay.append(frame)
            left.append(stay)
        for (topic, _, _), frames in merged.items():
            left[first[topic]].append(_together(frames))
        return left

    def _hear(self, message: Message, now_s: float) -> None:
        place = (message.topic, message.partition)
        promised_ms = message.timestamp_ms - self._lateness_ms(message.topic)
        before = self._heard.get(place)
        if before is None or now_s - before.at_s > self._config.window.idle_after_ms / 2000:
            self._behind.add(place)
        self._heard[place] = _Heard(promised_ms if before is None else max(promised_ms, before.promised_ms), now_s)

    def _lateness_ms(self, topic: str) -> int:
        if topic not in self._lateness:
            entry = self._config.topic_of(topic)
            self._lateness[topic] = 0 if entry is None else entry.lateness_ms
        return self._lateness[topic]


def _together(frames: list[Frame]) -> Frame:
    if len(frames) == 1:
        return frames[0]
    return frames[0]._replace(
        messages=sum(frame.messages for frame in frames),
        points=sum(frame.points for frame in frames),
        body=" ".join(frame.body for frame in frames),
    )
