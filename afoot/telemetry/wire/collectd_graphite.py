"""collectd's write_kafka in Format Graphite: lines "path value time", the time in seconds.

The path is prefix, host, postfix, plugin[-instance], type[-instance] and, where the type has several, the data source,
each without dots inside (EscapeCharacter) and with SeparateInstances false. It names neither the kind of a value nor,
beyond doubt, the host: `prefix` and `postfix` say what stands around it. A value's kind is unknown, unless the output
sends counts (StoreRates false) and the type is one that counts.
"""

from __future__ import annotations

from afoot.telemetry import collectd
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import lines, shown, text
from afoot.telemetry.rows import Decoded, Message, MetricKind, MetricPoint
from afoot.telemetry.values import Malformed, Refused, epoch_ns, name, number

KINDS = ("metrics",)
OPTIONS = {
    "prefix": 'what the output puts before the host, such as "site1.": nothing unless told otherwise',
    "postfix": 'what the output puts right after the host, such as ".collectd": nothing unless told otherwise',
    **collectd.OPTIONS,
}
_FORMAT = "collectd_graphite"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that collectd fills."""
    prefix, postfix, as_rates = options.get("prefix", ""), options.get("postfix", ""), collectd.rates(options, _FORMAT)
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        for index, line in enumerate(lines(message, _FORMAT), start=1):
            try:
                collected.rows.append(_point(text(line, _FORMAT), prefix, postfix, as_rates, cache))
            except UNREADABLE as error:
                collected.refuse(f"line {index}", error)
        return collected.decoded()

    return decode


def _point(line: str, prefix: str, postfix: str, as_rates: bool, cache: LabelCache) -> MetricPoint:
    words = line.split()
    if len(words) != 3:
        raise Malformed(f"{len(words)} words; a path, a value and a time are expected")
    path, value, sent_time = words
    if not path.startswith(prefix):
        raise Refused(f"path {shown(path)} does not begin with the prefix {prefix!r}")
    if ";" in path:
        raise Malformed(f"path {shown(path)} has tags; GraphiteUseTags must be false")
    inner = path.removeprefix(prefix)
    if postfix:
        host, found, rest = inner.partition(postfix + ".")  # the first, as a host has no dots
        if not found:
            raise Refused(f"path {shown(path)} does not have the postfix {postfix!r} after the host")
        inner = f"{host}.{rest}"
    parts = inner.split(".")
    if not 3 <= len(parts) <= 4 or not all(parts):
        raise Malformed(f"path {shown(path)} has {len(parts)} parts; host.plugin.type[.source] is expected")
    plugin, _, plugin_instance = parts[1].partition("-")
    type_name, _, type_instance = parts[2].partition("-")
    source = parts[3] if len(parts) == 4 else "value"
    key = (parts[0], plugin_instance, type_instance)
    labels = cache.known.get(key)
    if labels is None:
        mapping = {"host": parts[0], "plugin_instance": plugin_instance, "type_instance": type_instance}
        labels = cache.add(key, {field: value for field, value in mapping.items() if value})
    kind: MetricKind = "unknown" if as_rates or type_name not in collectd.COUNTING else "cumulative"
    metric_name = name(collectd.metric_name(plugin, type_name, source, kind))
    return MetricPoint(metric_name, "", kind, labels, epoch_ns(sent_time, 1), number(value))
