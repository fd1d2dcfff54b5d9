"""CloudWatch metric streams in their JSON form: lines, each the statistics of one metric over one period.

`value` is the mean (sum / count) and `stats` hold count, sum, min, max; `time_ns` is the period's start. No line says
how long that is, one minute or five. Labels are the dimensions plus cloud.account.id, cloud.region and
cloudwatch.namespace. A metric that AWS repeats for several sets of dimensions gives a row for each, as sent.

A message whose objects are not a line each, as a carrier may leave them that joins or indents them, is read as well.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry.collected import UNREADABLE, Collected, each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, lines, parse, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint, Stats
from afoot.telemetry.values import Malformed, Refused, epoch_ns, name, number

KINDS = ("metrics",)
OPTIONS: dict[str, str] = {}
_FORMAT = "cloudwatch_metric_stream"
_NOT_TOLD = 0.0  # how long the period is
_PREFIXES = {"": "", "Kilo": "k", "Mega": "M", "Giga": "G", "Tera": "T"}
_UCUM = {
    "Seconds": "s",
    "Milliseconds": "ms",
    "Microseconds": "us",
    "Percent": "%",
    "Count": "{count}",
    "Count/Second": "{count}/s",
    "None": "",
}
for _prefix, _ucum in _PREFIXES.items():
    _UCUM[(_prefix + "Bytes").capitalize()] = _ucum + "By"
    _UCUM[(_prefix + "Bits").capitalize()] = _ucum + "bit"
    _UCUM[(_prefix + "Bytes").capitalize() + "/Second"] = _ucum + "By/s"
    _UCUM[(_prefix + "Bits").capitalize() + "/Second"] = _ucum + "bit/s"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that a metric stream fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        broken = False
        for index, line in enumerate(lines(message, _FORMAT), start=1):
            try:
                collected.rows.append(_point(parse(line, "JSON"), cache))
            except DecodeError as error:  # of one line; the others may be read
                broken = True
                collected.refuse(f"line {index}", Malformed(str(error)))
            except UNREADABLE as error:
                collected.refuse(f"line {index}", error)
        return (_not_a_line_each(message, cache) if broken else None) or collected.decoded()

    return decode


def _not_a_line_each(message: Message, cache: LabelCache) -> Decoded | None:
    """What objects hold that follow one another without regard to lines; None if that is not what the message is."""
    try:
        found = documents(message, _FORMAT)
    except DecodeError:
        return None
    return each(found, _FORMAT, "metric", lambda record: _point(record, cache))


def _point(record: Any, cache: LabelCache) -> MetricPoint:
    if type(record) is not dict:
        raise Malformed(f"found {shown(record)}; an object is expected")
    value = record.get("value")
    if type(value) is not dict:
        raise Malformed(f"value is {shown(value)}; an object with count, sum, min and max is expected")
    stats = Stats(
        number(value.get("count"), "count"),
        number(value.get("sum"), "sum"),
        number(value.get("min"), "min"),
        number(value.get("max"), "max"),
        _NOT_TOLD,
    )
    if stats.count <= 0:
        raise Refused(f"count is {stats.count}; more than 0 is expected")
    return MetricPoint(
        name(record.get("metric_name"), "metric_name"),
        _unit(record.get("unit")),
        "gauge",
        _labels(record, cache),
        epoch_ns(record.get("timestamp"), 1_000, "timestamp"),
        stats.sum / stats.count,
        stats,
    )


def _unit(sent: Any) -> str:
    return _UCUM.get(sent, "") if type(sent) is str else ""


def _labels(record: dict[str, Any], cache: LabelCache) -> Labels:
    dimensions = record.get("dimensions", {})
    if type(dimensions) is not dict:
        raise Malformed(f"dimensions are {shown(dimensions)}; an object is expected")
    account, region, namespace = record.get("account_id"), record.get("region"), record.get("namespace")
    key = (account, region, namespace, *dimensions.items())
    try:
        labels = cache.known.get(key)
    except TypeError:
        raise Malformed("account_id, region, namespace and dimensions must be text") from None
    if labels is None:
        mapping = {
            "cloud.account.id": account,
            "cloud.region": region,
            "cloudwatch.namespace": namespace,
            **dimensions,
        }
        for label_name, text in mapping.items():
            if type(text) is not str:
                raise Malformed(f"{shown(label_name)} is {shown(text)}; text is expected")
        labels = cache.add(key, mapping)
    return labels
