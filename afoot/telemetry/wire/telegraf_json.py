"""Telegraf's JSON serializer: one point a message, or a batch under "metrics"; names as in influx.

Times are in seconds unless the output's json_timestamp_units says otherwise, or texts by its json_timestamp_format.
Fields that are texts are not metrics, nor is what json_nested_fields_include makes of these.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from afoot.errors import UsageError
from afoot.telemetry import telegraf
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, epoch_ns, integer, label, name, number, rfc3339_ns

KINDS = ("metrics",)
OPTIONS = {"timestamp_units": "as the output's json_timestamp_units: a duration as 1s (unless told otherwise) or 10ms"}
_FORMAT = "telegraf_json"
_SECOND = 1_000_000_000
_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": _SECOND, "m": 60 * _SECOND, "h": 3_600 * _SECOND}
_PART = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(_NS)})", re.ASCII)


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Telegraf fills."""
    unit_ns = _unit_ns(options.get("timestamp_units", "1s"))
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        for index, metric in enumerate(_metrics(documents(message, _FORMAT))):
            try:
                _points(metric, unit_ns, cache, f"metric {index}", collected)
            except UNREADABLE as error:
                collected.refuse(f"metric {index}", error, metric)
            collected.check()
        return collected.decoded()

    return decode


def _metrics(found: list[Any]) -> list[Any]:
    if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("metrics"), list):
        batch: list[Any] = found[0]["metrics"]
        return batch
    return found


def _unit_ns(units: str) -> int:
    """The unit that Telegraf makes of a duration: the power of ten in it, as 10 ms of 15ms."""
    parts = _PART.findall(units)
    duration = int(sum([Fraction(digits) * _NS[unit] for digits, unit in parts]))
    if "".join([digits + unit for digits, unit in parts]) != units or not duration:
        raise UsageError(
            f"format {_FORMAT!r}: timestamp_units is {units!r}; a duration such as 1s, 10ms, 1us or 1ns is expected"
        )
    return int(10 ** (len(str(duration)) - 1))


def _time(sent: Any, unit_ns: int) -> int:
    if type(sent) is str and not (unit_ns == _SECOND and sent.isdecimal()):  # by json_timestamp_format, always UTC
        return rfc3339_ns(sent, "timestamp", "UTC")
    if unit_ns > _SECOND:
        return epoch_ns(integer(sent, "timestamp") * (unit_ns // _SECOND), 1, "timestamp")
    return epoch_ns(sent, _SECOND // unit_ns, "timestamp")


def _points(metric: dict[str, Any], unit_ns: int, cache: LabelCache, where: str, collected: Collected) -> None:
    measurement = name(metric["name"])
    time_ns = _time(metric["timestamp"], unit_ns)
    labels = _labels(metric.get("tags") or {}, cache)
    collected.check(len(metric["fields"]))
    for field, value in metric["fields"].items():
        if type(value) in (str, dict, list):
            continue
        try:
            metric_name, kind = telegraf.series(measurement, field)
            sent = int(value) if type(value) is bool else value
            collected.rows.append(MetricPoint(metric_name, "", kind, labels, time_ns, number(sent, shown(field))))
        except UNREADABLE as error:
            collected.refuse(where, error)


def _labels(tags: Any, cache: LabelCache) -> Labels:
    if type(tags) is not dict:
        raise Malformed(f"tags are {shown(tags)}; an object is expected")
    key = tuple(tags.items())
    return cache.known.get(key) or cache.add(key, {tag: label(value) for tag, value in tags.items()})
