"""Step 7: windows of joined signals to findings, evidence, alerts and requests for signals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from afoot.config import Config
from afoot.lake.layout import flink_columns
from afoot.verdicts.cases import CaseBook
from afoot.verdicts.inputs import Window
from afoot.verdicts.rules import load_rules, shipped_rules
from afoot.verdicts.step import step
from jobs.findings.inventory import CHANGES, InventoryLog
from jobs.findings.worker import prepare_worker


def _columns() -> dict[str, str]:
    """Columns of findings and evidence in one row, times in epoch ms, and the one that requests add."""
    columns = {"row_kind": "STRING", "component": "STRING"}
    for table in ("findings", "evidence"):
        for name, kind in flink_columns(table):
            columns[name] = "BIGINT" if kind.startswith("TIMESTAMP") else kind
    del columns["dt"]
    return {**columns, "scope": "STRING"}


JUDGED = _columns()
NAMES = tuple(JUDGED)


class _Kept:
    """A book of cases on its way to state: packed when the engine takes it, which it does once for many windows."""

    def __init__(self, book: CaseBook) -> None:
        self.book = book

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (self.book.packed(),)


class Judge(KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Verdicts and cases, window after window; input: rows (heard) timestamped with their window's end, and one key."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare_worker()
        self.size_ms = self.config.window.size_ms
        rules_file = self.config.rules_file
        self.rules = shipped_rules() if rules_file is None else load_rules(Path(rules_file))
        self.inventory = InventoryLog()
        pickled = Types.PICKLED_BYTE_ARRAY()
        self.pending = runtime_context.get_map_state(MapStateDescriptor("pending", Types.LONG(), pickled))
        self.cases = runtime_context.get_state(ValueStateDescriptor("cases", pickled))
        self.book: CaseBook | None = None  # as state has it, which is read after a restart alone
        # State is megabytes a window, and crosses: packed, it costs a third.
        self.pack, self.unpack = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()

    def process_broadcast_element(self, value: Any, ctx: Any) -> None:
        self.inventory.add(value["changes"], ctx.get_broadcast_state(CHANGES))

    def process_element(self, value: Any, ctx: Any) -> None:
        self.pending.put(ctx.timestamp(), self.pack.compress(value["heard"].encode()))
        ctx.timer_service().register_event_time_timer(ctx.timestamp())

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Row]:
        heard = self.pending.get(timestamp)
        if heard is None:
            return
        self.pending.remove(timestamp)
        book = self._book()
        # Signals are timestamped one window after theirs, see ScoreAndPlace.
        end_ms = timestamp + 1 - self.size_ms
        window = Window.from_json(end_ms - self.size_ms, end_ms, self.unpack.decompress(heard))
        out = step(book, window, self.inventory.graph(ctx.get_broadcast_state(CHANGES)), self.rules)
        self.cases.update(_Kept(book))
        for finding in out.findings:
            yield _row("finding", finding.component, finding._asdict())
        for evidence in out.evidence:
            columns = evidence._asdict()
            columns["pointers"] = [Row(*pointer) for pointer in evidence.pointers]
            yield _row("evidence", evidence.component, columns)
        for alert in out.alerts:
            columns = {name: alert[name] for name in ("finding_id", "revision", "state")}
            columns["as_of"] = end_ms
            columns["summary"] = orjson.dumps(alert).decode()
            yield _row("alert", "", columns)
        for request in out.requests:
            yield _row("request", "", {"scope": request.scope, "window_end": request.window_end_ms})

    def _book(self) -> CaseBook:
        if self.book is None:
            packed = self.cases.value()
            self.book = CaseBook() if packed is None else CaseBook.unpacked(packed)
        return self.book


def _row(kind: str, component: str, columns: dict[str, Any]) -> Row:
    columns = {**columns, "row_kind": kind, "component": component}
    return Row(*(columns.get(name) for name in NAMES))
