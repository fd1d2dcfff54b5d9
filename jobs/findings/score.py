"""Step 5: a shard's window of sample blocks to placed signals, one state access a shard and window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import ValueStateDescriptor

from afoot.catalogue.loader import load_catalogue
from afoot.config import Config
from afoot.signals.settings import Settings
from afoot.signals.windows import ShardState, evaluate
from jobs.findings.inventory import CHANGES, InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR

END_OF_INPUT = (1 << 63) - 1  # the watermark that follows the last record of a bounded input

WINDOW = {"points": "BIGINT", "bodies": "STRING", "unasked": "STRING"}
PLACED = {
    "role": "STRING",  # lag, chain, flow, io; tick: a window was evaluated; book: a count for the books
    "victim": "STRING",
    "volume": "STRING",  # "" where there is none
    "scope": "STRING",  # what a request for signals asks by: the victim, for io the volume
    "entity": "STRING",
    "home": "BOOLEAN",  # one row an entity and window
    "window_end_ms": "BIGINT",
    "payload": "STRING",
}


class ScoreAndPlace(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Signals of a window, when the next one has closed: a counter's window needs the sample behind its end.

    Input: rows (points, bodies, unasked), timestamped with the end of their window; output: rows of PLACED, timestamped
    with the end of the window after theirs.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def open(self, runtime_context: RuntimeContext) -> None:
        window = self.config.window
        self.size_ms = window.size_ms
        self.settings = Settings(
            window_ms=window.size_ms, max_skew_ms=window.max_skew_ms, all_signals=self.config.all_signals
        )
        self.catalogue = load_catalogue(self.config.catalogue_files)
        self.inventory = InventoryLog()
        # Apart, since what waits is written when it comes, and a shard's memory once a window.
        self.pending = runtime_context.get_state(ValueStateDescriptor("pending", Types.PICKLED_BYTE_ARRAY()))
        self.shard = runtime_context.get_state(ValueStateDescriptor("shard", Types.PICKLED_BYTE_ARRAY()))

    def process_broadcast_element(self, value: Any, ctx: Any) -> None:
        self.inventory.add(value["changes"], ctx.get_broadcast_state(CHANGES))

    def process_element(self, value: Any, ctx: Any) -> Iterator[Row]:
        end_ms = ctx.timestamp() + 1
        if value["unasked"]:
            yield from self._unasked(value["unasked"], end_ms)
        if value["bodies"]:
            state = self.shard.value()
            start_ms = end_ms - self.size_ms
            if state is not None and state.window_ms is not None and start_ms <= state.window_ms:
                # Only after a restart, when a window fires again for what came in between: it was evaluated before.
                yield self._book("", "late", value["points"], None, end_ms)
                return
            pending = self.pending.value() or {}
            pending[start_ms] = (value["bodies"], value["points"])
            self.pending.update(pending)
            ctx.timer_service().register_event_time_timer(end_ms + self.size_ms - 1)
            # The window before, too, if it had no samples of this shard: those around it may bracket it all the same.
            ctx.timer_service().register_event_time_timer(end_ms - 1)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Row]:
        start_ms = timestamp + 1 - 2 * self.size_ms
        end_ms = start_ms + self.size_ms
        pending = self.pending.value() or {}
        state = self.shard.value() or ShardState()
        silent = end_ms in pending and state.window_ms is not None and state.window_ms < start_ms
        if start_ms not in pending and not silent:
            return
        bodies, points = pending.pop(start_ms, ("", 0))
        self.pending.update(pending)
        if ctx.timer_service().current_watermark() == END_OF_INPUT:
            # The input ended before the window could close: it stays open, and its points are counted as such.
            if points:
                yield self._book("", "open", points, None, end_ms)
            return
        graph = self.inventory.graph(ctx.get_broadcast_state(CHANGES))
        next_bodies, _ = pending.get(end_ms, (None, 0))
        placed, books = evaluate(state, start_ms, bodies, next_bodies, graph, self.catalogue, self.settings)
        self.shard.update(state)
        homes = set()
        for row in placed:
            home = row.entity not in homes
            homes.add(row.entity)
            victim, volume = row.victim or "", row.volume or ""
            scope = volume if row.role == "io" else victim
            yield Row(row.role, victim, volume, scope, row.entity, home, end_ms, row.payload)
        for account, count in (
            ("signals", books.in_signals),
            ("duplicates", books.duplicates),
            ("undefined", books.undefined),
        ):
            if count:
                yield self._book("", account, count, None, end_ms)
        yield Row("tick", "", "", "", "", False, end_ms, "")

    def _unasked(self, text: str, end_ms: int) -> Iterator[Row]:
        totals: dict[tuple[str, str], int] = {}
        for record in text.split(RECORD_SEPARATOR):
            topic, body = record.split(SEPARATOR, 1)
            for metric, count in orjson.loads(body).items():
                totals[topic, metric] = totals.get((topic, metric), 0) + count
        for (topic, metric), count in sorted(totals.items()):
            yield self._book(topic, "unasked", count, metric, end_ms)

    def _book(self, topic: str, account: str, count: int, detail: str | None, end_ms: int) -> Row:
        return Row("book", detail, "", topic, account, False, end_ms, str(count))
