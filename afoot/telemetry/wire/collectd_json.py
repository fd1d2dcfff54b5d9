"""collectd's write_kafka in Format JSON: a message is an array of value lists.

`values`, `dstypes` and `dsnames` of a value list run in parallel; times are seconds with milliseconds.
Whether counters arrive as counts or as rates (StoreRates) does not show in a message, so an option says it. A rate that
collectd has not got yet is null, and refused.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry import collectd
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, Refused, epoch_ns, label, name, number

KINDS = ("metrics",)
OPTIONS = collectd.OPTIONS
_FORMAT = "collectd_json"
_LABELS = ("host", "plugin_instance", "type_instance")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that collectd fills."""
    as_rates = collectd.rates(options, _FORMAT)
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        for index, values in enumerate(documents(message, _FORMAT)):
            try:
                _points(values, as_rates, cache, f"value list {index}", collected)
            except UNREADABLE as error:
                collected.refuse(f"value list {index}", error, values)
            collected.check()
        return collected.decoded()

    return decode


def _points(values: dict[str, Any], as_rates: bool, cache: LabelCache, where: str, collected: Collected) -> None:
    plugin, type_name = name(values["plugin"], "plugin"), name(values["type"], "type")
    numbers, types, sources = (_array(values, key) for key in ("values", "dstypes", "dsnames"))
    if not len(numbers) == len(types) == len(sources):
        raise Malformed(f"{len(numbers)} values, {len(types)} dstypes and {len(sources)} dsnames; as many are expected")
    collected.check(len(numbers))
    time_ns = epoch_ns(values["time"], 1)
    labels = _labels(values, cache)
    for value, source_type, source in zip(numbers, types, sources, strict=True):
        try:
            metric_kind = collectd.kind(label(source_type), as_rates)
            if metric_kind is None:
                raise Malformed(f"dstype is {shown(source_type)}; gauge, counter, derive and absolute are known")
            if value is None:
                raise Refused(f"{shown(source)} is null; collectd had no value")
            metric_name = name(collectd.metric_name(plugin, type_name, name(source, "a dsname"), metric_kind))
            collected.rows.append(MetricPoint(metric_name, "", metric_kind, labels, time_ns, number(value)))
        except UNREADABLE as error:
            collected.refuse(where, error)


def _array(values: dict[str, Any], key: str) -> list[Any]:
    found = values[key]
    if type(found) is not list:
        raise Malformed(f"{key} is {shown(found)}; an array is expected")
    return found


def _labels(values: dict[str, Any], cache: LabelCache) -> Labels:
    key = tuple(label(values.get(field, "")) for field in _LABELS)
    labels = cache.known.get(key)
    if labels is None:
        labels = cache.add(key, {field: text for field, text in zip(_LABELS, key, strict=True) if text})
    return labels
