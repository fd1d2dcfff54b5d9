"""OpenTelemetry's data model to rows, from the shape that OTLP/JSON gives it (camelCase keys).

Metrics: a gauge and a non-monotonic cumulative sum are gauges, monotonic sums keep their temporality, histograms,
exponential histograms and summaries become their Prometheus parts. Times are nanoseconds. Labels are the resource's
attributes and the point's, where the point's win; the scope's are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import orjson

from afoot.errors import DecodeError
from afoot.telemetry import entities, flows, kubernetes, limits
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import shown, shown_keys
from afoot.telemetry.rows import Decoded, FlowRecord, InventoryChange, Labels, LogRecord, MetricKind, MetricPoint, Row
from afoot.telemetry.statements import Settings
from afoot.telemetry.values import Malformed, Refused, body, checked_ns, count, integer, label, name, number, short

Json = dict[str, Any]

_new_point = tuple.__new__  # the constructor of a NamedTuple without its Python frame: this runs once a point
_EMPTY: list[Any] = []
_NO_RECORDED_VALUE = 1
_NO_TIME = object()  # equal to nothing that is sent
_TEMPORALITY = {
    1: "delta",
    2: "cumulative",
    "AGGREGATION_TEMPORALITY_DELTA": "delta",
    "AGGREGATION_TEMPORALITY_CUMULATIVE": "cumulative",
}
# What senders of before June 2022 call them; where a resource has both, they hold the same, and these are ignored.
_BEFORE_SCOPES = {"scopeMetrics": "instrumentationLibraryMetrics", "scopeLogs": "instrumentationLibraryLogs"}
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # four numbers each, from 1
_SEVERITY_ENUM = "SEVERITY_NUMBER_"
# What the Collector's netflow receiver calls a flow's fields, and other spellings: of its first version, and ECS's of
# autonomous systems, which others add.
_FLOW = flows.Names(
    source_address="source.address",
    source_port="source.port",
    destination_address="destination.address",
    destination_port="destination.port",
    transport="network.transport",
    bytes="flow.io.bytes",
    packets="flow.io.packets",
    sampling_rate="flow.sampling_rate",
    source_as="flow.src_as",
    destination_as="flow.dst_as",
    sampler="flow.sampler_address",
)
_FLOW_SPELLINGS = {
    "network.io.bytes": "flow.io.bytes",
    "network.io.packets": "flow.io.packets",
    "network.flow.start": "flow.start",
    "network.flow.end": "flow.end",
    "network.flow.time_received": "flow.time_received",
    "network.flow.sampling_rate": "flow.sampling_rate",
    "network.flow.sampler_address": "flow.sampler_address",
    "source.as.number": "flow.src_as",
    "destination.as.number": "flow.dst_as",
}
_NO_ADDRESS = "invalid IP"  # as Go prints an address that is none


class Attributes(NamedTuple):
    """How a list of attributes is told from others, and one of its items read as {"key": ..., "value": AnyValue}."""

    key: Callable[[Any], Hashable]
    pair: Callable[[Any], Any]


class Reader:
    """Decodes documents of one topic; keeps label sets between messages, and nothing else."""

    def __init__(self, format_name: str, attributes: Attributes | None = None) -> None:
        self._format = format_name
        self._labels = LabelCache()
        self._attributes = attributes or Attributes(orjson.dumps, lambda pair: pair)

    def metrics(self, document: object) -> Decoded:
        """The points of an ExportMetricsServiceRequest."""
        collected = Collected(self._format)
        for resource, groups in self._resources(document, "resourceMetrics", "scopeMetrics"):
            for group in groups:
                for index, metric in enumerate(_list(group, "metrics")):
                    try:
                        self._metric(metric, resource, collected)
                    except UNREADABLE as error:
                        collected.refuse(f"metric {index}", error, metric)
                    collected.check()
        return collected.decoded()

    def logs(self, document: object) -> Decoded:
        """The records of an ExportLogsServiceRequest."""
        return self._records(document, self._log)

    def flows(self, document: object) -> Decoded:
        """The log records of the Collector's netflow receiver, each of which is a flow."""
        return self._records(document, self._flow)

    def inventory(self, document: object, message_ms: int, settings: Settings) -> Decoded:
        """What metrics or log records tell of entities: kube-state-metrics' series; entity events, Kubernetes' objects.

        A statement is of no later time than its message. Other series and records, and points that say that they have
        no value, tell of none, and give no row.
        """
        collected = Collected(self._format)
        if isinstance(document, dict) and "resourceMetrics" in document:
            self._series(document, message_ms, settings, collected)
            return collected.decoded()
        for resource, groups in self._resources(document, "resourceLogs", "scopeLogs"):
            around = self._around(resource, collected)
            for group in groups if around is not None else ():
                records = _log_records(group)
                collected.check(len(records))
                for index, record in enumerate(records):
                    try:
                        collected.rows += self._told(record, around or {}, message_ms, settings)
                        collected.check()
                    except UNREADABLE as error:
                        collected.refuse(f"log record {index}", error, record)
        return collected.decoded()

    def _series(self, document: object, message_ms: int, settings: Settings, collected: Collected) -> None:
        for resource, groups in self._resources(document, "resourceMetrics", "scopeMetrics"):
            around = self._around(resource, collected)
            for group in groups if around is not None else ():
                for index, metric in enumerate(_list(group, "metrics")):
                    try:
                        series = name(_get(metric, "name"))
                        data = (metric.get("gauge") or metric.get("sum")) if kubernetes.says(series) else None
                        points = _list(data, "dataPoints") if data is not None else _EMPTY
                    except UNREADABLE as error:
                        collected.refuse(f"metric {index}", error, metric)
                        continue
                    for place, point in enumerate(points):
                        try:
                            if integer(_get(point, "flags") or 0, "flags") & _NO_RECORDED_VALUE:
                                continue
                            time_ms = min(_time(point) // 1_000_000, message_ms)
                            labels = self._point_labels(resource, point).mapping
                            collected.rows += kubernetes.series_changes(series, labels, time_ms, settings)
                            collected.check()
                        except UNREADABLE as error:
                            collected.refuse(f"metric {shown(series)} point {place}", error, point)

    def _around(self, resource: _Resource, collected: Collected) -> Json | None:
        """A resource's attributes; None, and all in it refused at once, where they cannot be read."""
        try:
            return {key: _plain(value) for key, value in self._pairs(resource.attributes)}
        except UNREADABLE as error:
            collected.refuse("a resource", error, resource.attributes)
            return None

    def _told(self, record: Json, around: Json, message_ms: int, settings: Settings) -> list[InventoryChange]:
        time_ms = min(_record_time(record) // 1_000_000, message_ms)
        attributes = {key: _plain(value) for key, value in self._pairs(record.get("attributes"))}
        event = record.get("eventName") or attributes.get("event.name") or ""
        if entities.is_event(event, attributes):
            return entities.changes(event, attributes, around, time_ms, settings)
        content = _plain(record.get("body"))
        if not isinstance(content, dict):
            return []
        return [
            change
            for happened, found in kubernetes.objects(content)
            for change in kubernetes.object_changes(happened, found, time_ms, settings, {**around, **attributes})
        ]

    def _resources(self, document: object, outer: str, inner: str) -> list[tuple[_Resource, list[Any]]]:
        if not isinstance(document, dict) or outer not in document:
            found = f"keys {shown_keys(document)}" if isinstance(document, dict) else shown(document)
            raise DecodeError(f"{self._format}: found {found}; an object with {outer!r} is expected")
        try:
            return [
                (self._resource(_get(item, "resource")), _list(item, inner) or _list(item, _BEFORE_SCOPES[inner]))
                for item in _list(document, outer)
            ]
        except (Refused, TypeError) as error:  # TypeError: attributes nested too deeply for a key
            raise DecodeError(f"{self._format}: {outer}: {error}") from None

    def _metric(self, metric: Json, resource: _Resource, collected: Collected) -> None:
        metric_name = name(_get(metric, "name"))
        unit = metric.get("unit") or ""
        if type(unit) is not str or len(unit) > limits.NAME_CHARS:
            raise Malformed(f"unit is {shown(unit)}; text is expected")
        for data_kind, read in (
            ("gauge", self._numbers),
            ("sum", self._numbers),
            ("histogram", self._histograms),
            ("exponentialHistogram", self._exponential_histograms),
            ("summary", self._summaries),
        ):
            data = metric.get(data_kind)
            if data is not None:
                points = _list(data, "dataPoints")
                read(metric_name, unit, _kind(data_kind, data), points, resource, collected)
                return
        raise Malformed(
            f"it has keys {shown_keys(metric)}; gauge, sum, histogram, exponentialHistogram or summary is expected"
        )

    def _numbers(
        self,
        metric_name: str,
        unit: str,
        kind: MetricKind,
        points: list[Any],
        resource: _Resource,
        collected: Collected,
    ) -> None:
        known = self._labels.known
        key_of = self._attributes.key
        resource_key = resource.key
        append = collected.rows.append
        last_time: object = _NO_TIME  # points of one scrape share their time
        time_ns = 0
        for index, point in enumerate(points):
            try:
                sent_time = point.get("timeUnixNano", 0)
                if sent_time != last_time:
                    time_ns = checked_ns(integer(sent_time, "timeUnixNano"), "timeUnixNano")
                    last_time = sent_time
                value = point.get("asDouble")
                if value is None:
                    value = point.get("asInt")
                    if type(value) is str and value.isdecimal() and value.isascii() and len(value) < 20:
                        value = float(value)
                    else:
                        value = _value(point)
                elif type(value) is not float or value * 0.0 != 0.0:  # an integer or text, NaN or infinite
                    value = _value(point)
                if "flags" in point:
                    _check_flags(point)
                key = (resource_key, key_of(point.get("attributes")))
                labels = known.get(key)
                if labels is None:
                    labels = self._labels.add(key, self._merged(resource, point))
                append(_new_point(MetricPoint, (metric_name, unit, kind, labels, time_ns, value, None)))
            except UNREADABLE as error:
                collected.refuse(f"metric {shown(metric_name)} point {index}", error, point)

    def _histograms(
        self,
        metric_name: str,
        unit: str,
        kind: MetricKind,
        points: list[Any],
        resource: _Resource,
        collected: Collected,
    ) -> None:
        self._distributions(metric_name, unit, kind, points, resource, collected, _bounds_and_counts)

    def _exponential_histograms(
        self,
        metric_name: str,
        unit: str,
        kind: MetricKind,
        points: list[Any],
        resource: _Resource,
        collected: Collected,
    ) -> None:
        self._distributions(metric_name, unit, kind, points, resource, collected, _exponential_bounds_and_counts)

    def _distributions(
        self,
        metric_name: str,
        unit: str,
        kind: MetricKind,
        points: list[Any],
        resource: _Resource,
        collected: Collected,
        buckets: Callable[[Json], list[tuple[float, int]]],
    ) -> None:
        count_name, sum_name, bucket_name = metric_name + "_count", metric_name + "_sum", metric_name + "_bucket"
        for index, point in enumerate(points):
            try:
                time_ns = _time(point)
                total = count(point.get("count", 0), "count")
                bounds = buckets(point)
                held = sum([within for _, within in bounds])
                if held > total:
                    raise Refused(f"its buckets hold {held} values, but count is {total}")
                found = [MetricPoint(count_name, "1", kind, self._point_labels(resource, point), time_ns, float(total))]
                if point.get("sum") is not None:
                    try:
                        value = number(point["sum"], "sum")
                        found.append(MetricPoint(sum_name, unit, kind, found[0].labels, time_ns, value))
                    except Refused as error:  # which says nothing of the counts
                        collected.refuse(f"metric {shown(metric_name)} point {index}", error)
                running = 0
                for bound, within in bounds:
                    running += within
                    labels = self._point_labels(resource, point, "le", _bound_text(bound))
                    found.append(MetricPoint(bucket_name, "1", kind, labels, time_ns, float(running)))
                labels = self._point_labels(resource, point, "le", "+Inf")
                found.append(MetricPoint(bucket_name, "1", kind, labels, time_ns, float(total)))
                collected.rows.extend(found)
                collected.check()
            except UNREADABLE as error:
                collected.refuse(f"metric {shown(metric_name)} point {index}", error, point)

    def _summaries(
        self,
        metric_name: str,
        unit: str,
        kind: MetricKind,
        points: list[Any],
        resource: _Resource,
        collected: Collected,
    ) -> None:
        for index, point in enumerate(points):
            try:
                time_ns = _time(point)
                total = float(count(point.get("count", 0), "count"))
                labels = self._point_labels(resource, point)
                found = [MetricPoint(metric_name + "_count", "1", kind, labels, time_ns, total)]
                parts = _list(point, "quantileValues")
                try:
                    value = number(point.get("sum", 0), "sum")
                    found.append(MetricPoint(metric_name + "_sum", unit, kind, labels, time_ns, value))
                except Refused as error:
                    collected.refuse(f"metric {shown(metric_name)} point {index}", error)
                for part in parts:
                    try:  # client libraries send NaN for the quantiles of a time without events
                        quantile = _bound_text(number(part.get("quantile", 0), "quantile"))
                        value = number(part.get("value", 0), f"quantile {quantile}")
                        labels = self._point_labels(resource, point, "quantile", quantile)
                        found.append(MetricPoint(metric_name, unit, "gauge", labels, time_ns, value))
                    except UNREADABLE as error:
                        collected.refuse(f"metric {shown(metric_name)} point {index}", error, part)
                collected.rows.extend(found)
                collected.check()
            except UNREADABLE as error:
                collected.refuse(f"metric {shown(metric_name)} point {index}", error, point)

    def _point_labels(self, resource: _Resource, point: Json, extra: str = "", extra_value: str = "") -> Labels:
        key = (resource.key, self._attributes.key(point.get("attributes")), extra, extra_value)
        labels = self._labels.known.get(key)
        if labels is None:
            mapping = self._merged(resource, point)
            if extra:
                mapping[extra] = extra_value
            labels = self._labels.add(key, mapping)
        return labels

    def _resource(self, resource: Any) -> _Resource:
        attributes = resource.get("attributes") if isinstance(resource, dict) else None
        return _Resource(attributes, self._attributes.key(attributes))

    def _merged(self, resource: _Resource, point: Json) -> dict[str, str]:
        mapping = {key: label(_plain(value)) for key, value in self._pairs(resource.attributes)}
        mapping.update((key, label(_plain(value))) for key, value in self._pairs(point.get("attributes")))
        return mapping

    def _pairs(self, attributes: Any) -> list[tuple[str, Any]]:
        if attributes is None:
            return _EMPTY
        if not isinstance(attributes, list):
            raise Malformed(f"attributes are {shown(attributes)}; an array of key and value is expected")
        if len(attributes) > limits.LABELS:
            raise Refused(f"{len(attributes)} attributes; at most {limits.LABELS} are allowed")
        pairs = [self._attributes.pair(attribute) for attribute in attributes]
        return [(name(_get(pair, "key"), "an attribute's key"), pair.get("value")) for pair in pairs]

    def _records(self, document: object, read: Callable[[_Resource, Json], Row]) -> Decoded:
        collected = Collected(self._format)
        for resource, groups in self._resources(document, "resourceLogs", "scopeLogs"):
            for group in groups:
                records = _log_records(group)
                collected.check(len(records))
                for index, record in enumerate(records):
                    try:
                        collected.rows.append(read(resource, record))
                    except UNREADABLE as error:
                        collected.refuse(f"log record {index}", error, record)
        return collected.decoded()

    def _log(self, resource: _Resource, record: Json) -> LogRecord:
        severity = record.get("severityText") or severity_name(record.get("severityNumber"))
        event = record.get("eventName") or ""
        content = _plain(record.get("body"))
        labels = self._point_labels(resource, record, "event.name" if event else "", name(event) if event else "")
        return LogRecord(_record_time(record), short(severity, "severity"), body(label(content)), labels)

    def _flow(self, resource: _Resource, record: Json) -> FlowRecord:
        pairs = self._pairs(record.get("attributes"))
        found = {_FLOW_SPELLINGS.get(key, key): _plain(value) for key, value in pairs}
        for address in ("source.address", "destination.address"):
            if found.get(address) == _NO_ADDRESS:
                raise Refused(f"{address} is {_NO_ADDRESS!r}: what was counted is not IP")
        if found.get("flow.sampler_address") == _NO_ADDRESS:
            del found["flow.sampler_address"]
        start, end, received = [
            integer(found.get(key, 0), key) for key in ("flow.start", "flow.end", "flow.time_received")
        ]
        # The record's own time is the flow's start, in the receiver's first version the receipt: it is the last resort.
        end = end or received or integer(record.get("observedTimeUnixNano", 0), "observedTimeUnixNano")
        end = end or _record_time(record)
        return flows.flow(found, _FLOW, start or end, end, self._point_labels(resource, {}))


class _Resource(NamedTuple):
    """A resource's attributes, and what tells them from others, the first half of a label cache's key."""

    attributes: Any
    key: Hashable


def renamed(document: Any, depth: int = 0) -> Any:
    """A document with the proto's snake_case keys as OTLP/JSON's camelCase keys; no key of OTLP is the sender's."""
    if depth > 4 * limits.DEPTH:
        raise Malformed("it is nested too deeply")
    if isinstance(document, dict):
        return {_camel(key): renamed(value, depth + 1) for key, value in document.items()}
    if isinstance(document, list):
        return [renamed(value, depth + 1) for value in document]
    return document


def _camel(key: str) -> str:
    if "_" not in key:
        return key
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _get(value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise Malformed(f"found {shown(value)}; an object is expected")
    return value.get(key)


def _list(value: Any, key: str) -> list[Any]:
    found = _get(value, key)
    if found is None:
        return _EMPTY
    if not isinstance(found, list):
        raise Malformed(f"{key} is {shown(found)}; an array is expected")
    if len(found) > limits.ROWS:
        raise Refused(f"{key} has {len(found)} items; at most {limits.ROWS} are read")
    return found


def _log_records(group: Any) -> list[Any]:
    return _list(group, "logRecords") or _list(group, "logs")  # the latter before 2022


def _kind(data_kind: str, data: Json) -> MetricKind:
    if data_kind == "gauge":
        return "gauge"
    if data_kind == "summary":
        return "cumulative"
    temporality = data.get("aggregationTemporality")
    found = _TEMPORALITY.get(temporality) if isinstance(temporality, int | str) else None
    if found is None:
        return "unknown"
    if found == "delta":
        return "delta"
    return "gauge" if data_kind == "sum" and not data.get("isMonotonic") else "cumulative"


def _value(point: Json) -> float:
    value = point.get("asInt")
    if value is not None:
        return number(integer(value, "asInt"), "asInt")
    if "asDouble" not in point:
        _check_flags(point)
        raise Malformed("it has neither asDouble nor asInt")
    return number(point["asDouble"], "asDouble")


def _check_flags(point: Json) -> None:
    if integer(point.get("flags", 0), "flags") & _NO_RECORDED_VALUE:
        raise Refused("its flags say that no value was recorded")


def _time(point: Json) -> int:
    _check_flags(point)
    return checked_ns(integer(point.get("timeUnixNano", 0), "timeUnixNano"), "timeUnixNano")


def _record_time(record: Json) -> int:
    # The data model: the time of occurrence if it is known, else the time of observation.
    sent = integer(record.get("timeUnixNano", 0), "timeUnixNano")
    return checked_ns(sent or integer(record.get("observedTimeUnixNano", 0), "observedTimeUnixNano"), "timeUnixNano")


def _plain(value: Any, depth: int = 0) -> Any:
    """An AnyValue as Python has it; an empty one is None."""
    if value is None or value == {}:
        return None
    if depth > limits.DEPTH:
        raise Refused(f"a value is nested over {limits.DEPTH} deep")
    if not isinstance(value, dict):
        raise Malformed(f"a value is {shown(value)}; an object such as {{'stringValue': ...}} is expected")
    for kind, content in value.items():
        if kind == "stringValue" and isinstance(content, str):
            return content
        if kind == "boolValue" and isinstance(content, bool):
            return content
        if kind == "intValue":
            return integer(content, "intValue")
        if kind == "doubleValue":
            return content if content in ("NaN", "Infinity", "-Infinity") else number(content, "doubleValue")
        if kind == "bytesValue" and isinstance(content, str):
            return content
        if kind == "arrayValue":
            return [_plain(item, depth + 1) for item in _list(content, "values")]
        if kind == "kvlistValue":
            return {
                _map_key(_get(pair, "key")): _plain(pair.get("value"), depth + 1) for pair in _list(content, "values")
            }
    raise Malformed(f"a value has keys {shown_keys(value)}; an AnyValue such as stringValue is expected")


def _map_key(key: Any) -> str:
    return "" if key is None or key == "" else name(key, "a key")  # of a body it may be empty, an attribute's may not


def _bounds_and_counts(point: Json) -> list[tuple[float, int]]:
    """Upper bounds and counts of a histogram's buckets but the last, whose bound is infinite."""
    bounds, counts = _list(point, "explicitBounds"), _list(point, "bucketCounts")
    if not counts and not bounds:
        return []
    if len(counts) != len(bounds) + 1:
        raise Malformed(f"{len(bounds)} bounds and {len(counts)} bucket counts; one count more than bounds is expected")
    return [
        (number(bound, "a bound"), count(within, "a bucket's count"))
        for bound, within in zip(bounds, counts[:-1], strict=True)
    ]


def _exponential_bounds_and_counts(point: Json) -> list[tuple[float, int]]:
    """The same of an exponential histogram: bucket i of scale s holds (2^(i/2^s), 2^((i+1)/2^s)], and mirrored.

    Buckets whose bound no double holds count as part of the infinite one.
    """
    scale = integer(point.get("scale", 0), "scale")
    if not -32 <= scale <= 32:
        raise Malformed(f"scale is {scale}; -32 to 32 is allowed")
    negative, positive = _side(point, "negative"), _side(point, "positive")
    found: list[tuple[float, int]] = []
    for index, within in reversed(negative):  # from the most negative up: values >= -2^((i+1)/2^s), < -2^(i/2^s)
        bound = _power(index, scale)
        if bound is not None:
            found.append((-bound, within))
        elif within:
            raise Refused(f"a negative bucket at index {index} of scale {scale} is beyond a double")
    zeros = count(point.get("zeroCount", 0), "zeroCount")
    if zeros or found:
        found.append((number(point.get("zeroThreshold", 0), "zeroThreshold"), zeros))
    for index, within in positive:
        bound = _power(index + 1, scale)
        if bound is not None:
            found.append((bound, within))
    return _distinct(found)


def _distinct(buckets: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Buckets of which neighbours whose bounds are one double, as all below the smallest are 0, are one bucket."""
    found: list[tuple[float, int]] = []
    for bound, within in buckets:
        if found and found[-1][0] == bound:
            found[-1] = (bound, found[-1][1] + within)
        else:
            found.append((bound, within))
    return found


def _side(point: Json, side: str) -> list[tuple[int, int]]:
    buckets = point.get(side) or {}
    offset = integer(_get(buckets, "offset") or 0, "offset")
    return [
        (offset + position, count(within, "a bucket's count"))
        for position, within in enumerate(_list(buckets, "bucketCounts"))
    ]


def _power(index: int, scale: int) -> float | None:
    try:
        return float(2.0 ** (index * 2.0**-scale))
    except OverflowError:
        return None


def _bound_text(bound: float) -> str:
    return str(int(bound)) if bound.is_integer() and abs(bound) < 1e15 else repr(bound)


def severity_name(value: Any) -> str:
    """The name of a severity's number, or of its enumeration; "" where there is none."""
    if value is None:
        return ""
    if type(value) is str and value.startswith(_SEVERITY_ENUM):
        return value.removeprefix(_SEVERITY_ENUM)
    severity = integer(value, "severityNumber")
    return _SEVERITIES[(severity - 1) // 4] if 1 <= severity <= 24 else ""
