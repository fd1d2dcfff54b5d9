"""Step 5: a shard's window of sample blocks to placed signals; state is written once a shard and window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapStateDescriptor

from afoot.catalogue.loader import load_catalogue
from afoot.config import Config
from afoot.signals.settings import Settings
from afoot.signals.shard import ShardState
from afoot.signals.windows import PlacedSignals, evaluate, learn
from jobs.findings.crossing import array_of
from jobs.findings.inventory import CHANGES, InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR
from jobs.findings.worker import prepare_worker

END_OF_INPUT = (1 << 63) - 1  # the watermark that follows the last record of a bounded input

WINDOW = {"points": "BIGINT", "bodies": "STRING", "unasked": "STRING"}
PLACED_ROW = {
    "role": "STRING",  # lag, chain, flow, io; all: every entity once; tick: a window was evaluated; book: a count
    "victim": "STRING",
    "volume": "STRING",  # "" where there is none
    "scope": "STRING",  # what a request for signals asks by: the victim, for io the volume
    "account": "STRING",  # of a count
    "payload": "STRING",  # JSON objects with commas between: what was measured of a shard's entities
}
PLACED = {"window_end_ms": "BIGINT", **PLACED_ROW}
SCORED = {"window_end_ms": "BIGINT", "placed": array_of(PLACED_ROW)}  # all rows of a shard's window cross as one


class Shard(NamedTuple):
    """A shard in memory. The engine's state has the same, written as it changes and read after a restart alone."""

    state: ShardState
    pending: dict[int, tuple[str, int]]  # by window's start: blocks and points


class ScoreAndPlace(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Signals of a window, when the next one has closed: a counter's window needs the sample behind its end.

    Input: rows (points, bodies, unasked), timestamped with the end of their window; output: rows of SCORED, timestamped
    with the end of the window after theirs. `heard` is the file with a capture's last time, None for topics.
    """

    def __init__(self, config: Config, heard: Path | None = None, lateness_ms: int = 0) -> None:
        self.config = config
        self.heard = heard
        self.lateness_ms = lateness_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare_worker()
        window = self.config.window
        self.size_ms = window.size_ms
        self.settings = Settings(
            window_ms=window.size_ms, max_skew_ms=window.max_skew_ms, all_signals=self.config.all_signals
        )
        self.catalogue = load_catalogue(self.config.catalogue_files)
        self.inventory = InventoryLog()
        pickled = Types.PICKLED_BYTE_ARRAY()
        self.pending = runtime_context.get_map_state(MapStateDescriptor("pending", Types.LONG(), pickled))
        self.parts = runtime_context.get_map_state(MapStateDescriptor("shard", Types.STRING(), pickled))
        self.shards: dict[int, Shard] = {}
        # At the end of its input an instance cannot tell how far event time got: it may hear of the inventory last.
        self.ends_ms = -1 if self.heard is None else int(self.heard.read_text()) - self.lateness_ms - 1

    def process_broadcast_element(self, value: Any, ctx: Any) -> None:
        self.inventory.add(value["changes"], ctx.get_broadcast_state(CHANGES))

    def process_element(self, value: Any, ctx: Any) -> Iterator[Row]:
        end_ms = ctx.timestamp() + 1
        if value["unasked"]:
            yield Row(end_ms, list(self._unasked(value["unasked"])))
        if value["bodies"]:
            shard = self._shard(ctx.get_current_key())
            start_ms = end_ms - self.size_ms
            if shard.state.window_ms is not None and start_ms <= shard.state.window_ms:
                # Only after a restart, when a window fires again for what came in between: it was evaluated before.
                learn(shard.state, start_ms, value["bodies"])
                shard.state.save(self.parts)
                yield Row(end_ms, [_book("", "late", value["points"])])
                return
            shard.pending[start_ms] = (value["bodies"], value["points"])
            self.pending.put(start_ms, shard.pending[start_ms])
            ctx.timer_service().register_event_time_timer(end_ms + self.size_ms - 1)
            # The window before, too, if it had no samples of this shard: those around it may bracket it all the same.
            ctx.timer_service().register_event_time_timer(end_ms - 1)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Row]:
        start_ms = timestamp + 1 - 2 * self.size_ms
        end_ms = start_ms + self.size_ms
        state, pending = self._shard(ctx.get_current_key())
        silent = start_ms not in pending and state.window_ms is not None and state.window_ms < start_ms
        if start_ms not in pending and not (silent and (end_ms in pending or state.reaches(start_ms))):
            return
        bodies, points = pending.pop(start_ms, ("", 0))
        if bodies:
            self.pending.remove(start_ms)
        if timestamp > self.ends_ms and ctx.timer_service().current_watermark() == END_OF_INPUT:
            # The input ended before the window could close: it stays open, and its points are counted as such.
            if points:
                yield Row(end_ms, [_book("", "open", points)])
            return
        graph = self.inventory.graph(ctx.get_broadcast_state(CHANGES))
        next_bodies, _ = pending.get(end_ms, (None, 0))
        placed, books = evaluate(state, start_ms, bodies, next_bodies, graph, self.catalogue, self.settings)
        state.save(self.parts)
        if state.reaches(end_ms):
            ctx.timer_service().register_event_time_timer(timestamp + self.size_ms)
        rows = [
            Row(role, victim, volume, volume if role == "io" else victim, "", ",".join(payloads))
            for (role, victim, volume), payloads in self._gathered(placed).items()
        ]
        for account, count in (
            ("signals", books.in_signals),
            ("duplicates", books.duplicates),
            ("undefined", books.undefined),
        ):
            if count:
                rows.append(_book("", account, count))
        yield Row(end_ms, [*rows, Row("tick", "", "", "", "", "")])

    def _gathered(self, placed: Iterable[PlacedSignals]) -> dict[tuple[str, str, str], list[str]]:
        """The payloads of a window by role, victim and volume."""
        found: dict[tuple[str, str, str], list[str]] = {}
        told = set()
        for row in placed:
            if row.victim or row.volume:
                found.setdefault((row.role, row.victim or "", row.volume or ""), []).append(row.payload)
            if self.config.all_signals and row.entity not in told:
                told.add(row.entity)
                found.setdefault(("all", "", ""), []).append(row.payload)
        return found

    def _shard(self, key: int) -> Shard:
        """The shard of a key, from memory; from the engine's state where this instance has not met it yet."""
        if key not in self.shards:
            self.shards[key] = Shard(ShardState.load(self.parts.items(), self.settings), dict(self.pending.items()))
        return self.shards[key]

    def _unasked(self, text: str) -> Iterator[Row]:
        totals: dict[tuple[str, str], int] = {}
        for record in text.split(RECORD_SEPARATOR):
            topic, body = record.split(SEPARATOR, 1)
            for metric, count in orjson.loads(body).items():
                totals[topic, metric] = totals.get((topic, metric), 0) + count
        for (topic, metric), count in sorted(totals.items()):
            yield _book(topic, "unasked", count, metric)


def _book(topic: str, account: str, count: int, detail: str | None = None) -> Row:
    return Row("book", detail, "", topic, account, str(count))
