"""Rows of schemas/ from what JSON and Avro readers give for them: dicts with the schemas' field names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from afoot.telemetry.collected import UNREADABLE, Collected, each
from afoot.telemetry.inventory import TABLES, heartbeat, removed, table_of, upserted
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.limits import NAME_CHARS
from afoot.telemetry.payload import shown
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    MetricKind,
    MetricPoint,
    Row,
    Stats,
)
from afoot.telemetry.transports import transport
from afoot.telemetry.values import Malformed, Refused, body, checked_ns, count, epoch_ns, integer, name, number, short

Reader = Callable[[list[Any], str], Decoded]
SCHEMAS = {
    "metrics": "metric_point",
    "logs": "log_record",
    "flows": "flow_record",
    "inventory": "inventory_change",
}
KINDS: tuple[MetricKind, ...] = ("unknown", "gauge", "cumulative", "delta")  # in the order of the schema's enum

_new_point = tuple.__new__  # the constructor of a NamedTuple without its Python frame: this runs once a point


def reader(kind: str) -> Reader:
    """The function that turns a message's documents into rows of a topic's kind."""
    cache = LabelCache()
    if kind == "metrics":
        return lambda found, format_name: _points(found, format_name, cache)
    read: dict[str, Callable[[Mapping[str, Any], LabelCache], Row]] = {
        "logs": _log,
        "flows": _flow,
        "inventory": _change,
    }
    return lambda found, format_name: each(found, format_name, "row", lambda item: read[kind](item, cache))


def stats(value: Any) -> Stats | None:
    """The stats of a metric point, None where it has none."""
    if value is None:
        return None
    if type(value) is not dict:
        raise Malformed(f"stats are {shown(value)}; an object with {', '.join(Stats._fields)} is expected")
    found = Stats(*(number(value.get(field), f"stats.{field}") for field in Stats._fields))
    check_stats(found)
    return found


def check_stats(found: Stats) -> None:
    """Refused if stats are not of numbers, or of no samples or a time below nothing."""
    for field, part in zip(Stats._fields, found, strict=True):
        number(part, f"stats.{field}")
    if found.count <= 0 or found.period_s < 0:
        raise Refused(
            f"stats have count {found.count} and period_s {found.period_s}; more than 0 and at least 0 are expected"
        )


def _points(found: list[Any], format_name: str, cache: LabelCache) -> Decoded:
    collected = Collected(format_name)
    collected.check(len(found))
    append = collected.rows.append
    known = cache.known
    for index, point in enumerate(found):
        try:
            metric_name = point["name"]
            if type(metric_name) is not str or not 0 < len(metric_name) <= NAME_CHARS:
                name(metric_name)
            unit = point.get("unit")
            if unit is None:
                unit = ""
            elif type(unit) is not str or len(unit) > NAME_CHARS:
                raise Malformed(f"unit is {shown(unit)}; text is expected")
            kind = point.get("kind")
            if kind is None:
                kind = "unknown"
            elif kind not in KINDS:
                raise Malformed(f"kind is {shown(kind)}; allowed are {', '.join(KINDS)}")
            mapping = point["labels"]
            key = tuple(mapping.items())
            labels = known.get(key)
            if labels is None:
                labels = cache.add(key, _text_map(mapping))
            time_ns = point["time_ns"]
            if type(time_ns) is not int or not 0 < time_ns < 2**63:
                time_ns = checked_ns(integer(time_ns, "time_ns"), "time_ns")
            value = point["value"]
            if type(value) is not float or value * 0.0 != 0.0:  # an integer, NaN or infinite
                value = number(value)
            sent = point.get("stats")
            append(
                _new_point(
                    MetricPoint,
                    (metric_name, unit, kind, labels, time_ns, value, None if sent is None else stats(sent)),
                )
            )
        except UNREADABLE as error:
            collected.refuse(f"row {index}", error, point)
    return collected.decoded()


def _log(item: Mapping[str, Any], cache: LabelCache) -> LogRecord:
    return LogRecord(
        checked_ns(integer(item["time_ns"], "time_ns"), "time_ns"),
        short(_text(_given(item, "severity", ""), "severity"), "severity"),
        body(_text(item["body"], "body")),
        _labels(item["labels"], cache),
    )


def _flow(item: Mapping[str, Any], cache: LabelCache) -> FlowRecord:
    start = checked_ns(integer(item["start_ns"], "start_ns"), "start_ns")
    end = checked_ns(integer(item["end_ns"], "end_ns"), "end_ns")
    if end < start:
        raise Refused(f"end_ns {end} is before start_ns {start}")
    return FlowRecord(
        start,
        end,
        name(item["source_address"], "source_address"),
        count(_given(item, "source_port", 0), "source_port"),
        name(item["destination_address"], "destination_address"),
        count(_given(item, "destination_port", 0), "destination_port"),
        transport(_given(item, "transport", "")),
        count(item["bytes"], "bytes"),
        count(item["packets"], "packets"),
        _known(item.get("sampling_rate"), "sampling_rate"),
        _known(item.get("source_as"), "source_as"),
        _known(item.get("destination_as"), "destination_as"),
        short(_text(_given(item, "sampler", ""), "sampler"), "sampler"),
        _labels(_given(item, "labels", {}), cache),
    )


def _change(item: Mapping[str, Any], cache: LabelCache) -> InventoryChange:
    source = name(item["source"], "source") if item.get("source") else ""
    sent = item.get("holds_ms")
    holds_ms = None if sent is None else count(sent, "holds_ms")
    if holds_ms is not None and not 0 < holds_ms < 2**53:
        raise Refused(f"holds_ms is {holds_ms}; 1 to 2^53-1 is allowed")
    return _plain_change(item)._replace(source=source, holds_ms=holds_ms)


def _plain_change(item: Mapping[str, Any]) -> InventoryChange:
    op = item["op"]
    time_ms = integer(item["time_ms"], "time_ms")
    epoch_ns(time_ms, 1_000, "time_ms")
    reading = _given(item, "reading", "")
    if reading not in ("", "first", "next", "last"):
        raise Malformed(f"reading is {shown(reading)}; allowed are first, next, last and nothing")
    if op == "heartbeat":
        return heartbeat(time_ms, reading)
    table = table_of(item["table"])
    if op == "truncate":
        return InventoryChange(table, "truncate", (), None, time_ms)
    if op == "delete":
        key = item["key"]
        if type(key) is not list or len(key) != len(TABLES[table]):
            raise Malformed(f"key is {shown(key)}; an array of {', '.join(TABLES[table]) or 'nothing'} is expected")
        return removed(table, dict(zip(TABLES[table], key, strict=True)), time_ms)
    if op == "upsert":
        sent = item.get("reading_rows")
        rows = None if sent is None else count(sent, "reading_rows")
        if reading and rows == 0:
            return InventoryChange(table, "upsert", (), None, time_ms, True, reading, 0)
        row = item["row"]
        if type(row) is not dict:
            raise Malformed(f"row is {shown(row)}; an object of columns is expected")
        snapshot = _given(item, "snapshot", False)
        if type(snapshot) is not bool:
            raise Malformed(f"snapshot is {shown(snapshot)}; true or false is expected")
        return upserted(table, row, time_ms, snapshot)._replace(reading=reading, reading_rows=rows)
    raise Malformed(f"op is {shown(op)}; allowed are upsert, delete, truncate, heartbeat")


def _known(value: Any, what: str) -> int | None:
    return None if value is None else count(value, what) or None


def _given(item: Mapping[str, Any], field: str, default: Any) -> Any:
    value = item.get(field)
    return default if value is None else value


def _text(value: Any, what: str) -> str:
    if type(value) is not str:
        raise Malformed(f"{what} is {shown(value)}; text is expected")
    return value


def _labels(mapping: Any, cache: LabelCache) -> Labels:
    key = tuple(mapping.items())
    return cache.known.get(key) or cache.add(key, _text_map(mapping))


def _text_map(mapping: Any) -> dict[str, str]:
    for key, value in mapping.items():
        if type(value) is not str:
            raise Malformed(f"label {shown(key)} is {shown(value)}; text is expected")
    return dict(mapping)
