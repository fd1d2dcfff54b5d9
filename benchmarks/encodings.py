"""Rows as senders write them: the same points, records, flows and changes in every format that a topic can have.

Written from the formats' own documentation, and apart from the decoders: what is sent by one is read by the other.
What a format has no place for is left out, or said as its senders say it, which stands at its encoder.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from typing import Any

import fastavro
import orjson
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, ScopeMetrics

import schemas
from afoot.telemetry.rows import FlowRecord, InventoryChange, LogRecord, MetricPoint

OPTIONS: dict[str, dict[str, str]] = {  # that a topic of an encoding needs
    "telegraf_json": {"timestamp_units": "1ms"},
    "collectd_json": {"store_rates": "false"},
    "collectd_graphite": {"store_rates": "false"},
}
MS, S = 1_000_000, 1_000_000_000
_TEMPORALITY = {
    "cumulative": AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    "delta": AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
    "unknown": AggregationTemporality.AGGREGATION_TEMPORALITY_UNSPECIFIED,
}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
_DSTYPES = {"cumulative": "derive", "delta": "absolute"}
_ESCAPED = re.compile(r"[,= ]")


def rfc3339(time_ns: int, digits: int = 9) -> str:
    """A time as text in UTC, with so many digits of the second's fraction."""
    second, rest = divmod(time_ns, S)
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09}"[: 20 + digits] + "Z" if digits else text + "Z"


def _lines(documents: Sequence[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, documents))


# ---- canonical -------------------------------------------------------------------------------------------------------


def _dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        fields = row._asdict()
        if "labels" in fields:
            fields["labels"] = row.labels.mapping
        if fields.get("stats") is not None:
            fields["stats"] = row.stats._asdict()
        found.append(fields)
    return found


def json_rows(rows: Sequence[Any]) -> bytes:
    """The rows of schemas/ as JSON."""
    return orjson.dumps(_dicts(rows))


def _avro(schema_name: str) -> Callable[[Sequence[Any]], bytes]:
    schema = fastavro.parse_schema({"type": "array", "items": schemas.load(schema_name)})

    def encode(rows: Sequence[Any]) -> bytes:
        stream = BytesIO()
        fastavro.schemaless_writer(stream, schema, [_texts(row) for row in _dicts(rows)])
        return stream.getvalue()

    return encode


def _texts(row: dict[str, Any]) -> dict[str, Any]:
    """An inventory row's columns as text, which is what its schema has; other rows as they are."""
    if row.get("row") is None:
        return row
    columns = {
        name: value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in row["row"].items()
    }
    return {**row, "row": columns}


# ---- metrics ---------------------------------------------------------------------------------------------------------


def otlp_proto_metrics(points: Sequence[MetricPoint]) -> bytes:
    """All labels as the points' attributes; what is of no known kind as a sum without temporality."""
    request = ExportMetricsServiceRequest()
    scope: ScopeMetrics = request.resource_metrics.add().scope_metrics.add()
    held: dict[tuple[str, str, str], Any] = {}
    for point in points:
        key = (point.name, point.unit, point.kind)
        data = held.get(key)
        if data is None:
            metric = scope.metrics.add(name=point.name, unit=point.unit)
            data = held[key] = metric.gauge if point.kind == "gauge" else metric.sum
            if point.kind != "gauge":
                data.aggregation_temporality = _TEMPORALITY[point.kind]
                data.is_monotonic = True
        one = data.data_points.add(time_unix_nano=point.time_ns, as_double=point.value)
        for name, value in point.labels.items:
            one.attributes.add(key=name).value.string_value = value
    return bytes(request.SerializeToString())


def otlp_json_metrics(points: Sequence[MetricPoint]) -> bytes:
    """The same as JSON."""
    held: dict[tuple[str, str, str], list[Any]] = {}
    for point in points:
        one = {"attributes": _attributes(point.labels.items), "timeUnixNano": str(point.time_ns)}
        held.setdefault((point.name, point.unit, point.kind), []).append({**one, "asDouble": point.value})
    metrics = [
        {"name": name, "unit": unit, "gauge": {"dataPoints": found}}
        if kind == "gauge"
        else {
            "name": name,
            "unit": unit,
            "sum": {"dataPoints": found, "aggregationTemporality": _TEMPORALITY[kind], "isMonotonic": True},
        }
        for (name, unit, kind), found in held.items()
    ]
    return orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})


def _attributes(items: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in items
    ]


def influx_metrics(points: Sequence[MetricPoint]) -> bytes:
    """As Telegraf's Prometheus input (metric_version 2) has what it scraped; an empty tag cannot be said."""
    found = []
    for point in points:
        tags = "".join(f",{_escaped(name)}={_escaped(value)}" for name, value in point.labels.items if value)
        found.append(f"prometheus{tags} {_escaped(point.name)}={point.value!r} {point.time_ns}")
    return ("\n".join(found) + "\n").encode()


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\\" + match[0], text)


def telegraf_json_metrics(points: Sequence[MetricPoint]) -> bytes:
    """A batch, its times in milliseconds (json_timestamp_units)."""
    metrics = [
        {
            "fields": {point.name: point.value},
            "name": "prometheus",
            "tags": point.labels.mapping,
            "timestamp": point.time_ns // MS,
        }
        for point in points
    ]
    return orjson.dumps({"metrics": metrics})


def prometheus_metrics(points: Sequence[MetricPoint]) -> bytes:
    """Samples of a remote write: text, and whole seconds."""
    return _lines(
        [
            {
                "value": repr(point.value),
                "timestamp": rfc3339(point.time_ns, 0),
                "name": point.name,
                "labels": {"__name__": point.name, **point.labels.mapping},
            }
            for point in points
        ]
    )


def collectd_identity(point: MetricPoint) -> tuple[str, str, str, str, str]:
    """Host, plugin, its instance, type and its instance: a host and two instances are all that collectd can say."""
    if found := DISKS.get(point.name):
        host = point.labels.mapping.get("instance") or point.labels.mapping.get("host.name") or ""
        device = point.labels.mapping.get("device", "")
        return (host or point.labels.mapping.get("host", "")).partition(":")[0], "disk", device, found[0], ""
    rest = [f"{name}={value}" for name, value in point.labels.items if name not in ("host", "instance")]
    host = point.labels.mapping.get("host") or point.labels.mapping.get("instance", "")
    return host, point.name, ",".join(rest), point.name, ""


# What collectd's disk plugin calls what node_exporter counts: the type and its data source.
DISKS = {
    "node_disk_writes_completed_total": ("disk_ops", "write"),
    "node_disk_reads_completed_total": ("disk_ops", "read"),
    "node_disk_written_bytes_total": ("disk_octets", "write"),
    "node_disk_read_bytes_total": ("disk_octets", "read"),
}


def catalogue(format_name: str) -> str | None:
    """What a user's catalogue adds where a format cannot say the names of the shipped one, or not their kinds; or None.

    collectd puts its own name before each; CloudWatch has sums and means of a minute, and here a prefix of its own.
    """
    if not format_name.startswith(("collectd", "cloudwatch")):
        return None
    known = DISKS if format_name.startswith("collectd") else {}  # under collectd's own names
    shipped = yaml.safe_load(files("afoot.catalogue").joinpath("signals.yaml").read_text("utf-8"))
    signals: dict[str, Any] = {}
    for signal, entry in shipped["signals"].items():
        for family, source in entry["sources"].items():
            names = [name for name in source.get("metrics", ()) if "." not in name and name not in known]
            if family.removesuffix("_counter") in ("collectd", "process"):
                continue
            if not names or source["how"] not in ("rate", "increase", "gauge", "poll_mean"):
                continue
            added = {
                key: source[key] for key in ("component", "entity", "unit", "how", "across", "scale") if key in source
            }
            if format_name.startswith("collectd"):
                added["metrics"] = [spelling for name in names for spelling in _collectd_names(name)]
            else:
                added["metrics"] = [FLEET + name for name in names]
                added["how"] = "stat_sum" if source["how"] in ("rate", "increase") else source["how"]
            signals.setdefault(signal, {"sources": {}})["sources"][f"sent_{family}"] = added
    return str(yaml.safe_dump({"version": 1, "signals": signals}))


FLEET = "fleet_"  # before the names that are sent as CloudWatch's


def _collectd_names(name: str) -> list[str]:
    return [f"collectd_{name}", f"collectd_{name}_total"]


def collectd_json_metrics(points: Sequence[MetricPoint]) -> bytes:
    """Value lists of one value each; counters as counts (StoreRates false)."""
    found = []
    for point in points:
        host, plugin, plugin_instance, type_name, type_instance = collectd_identity(point)
        found.append(
            {
                "values": [point.value],
                "dstypes": [_DSTYPES.get(point.kind, "gauge")],
                "dsnames": [DISKS[point.name][1] if point.name in DISKS else "value"],
                "time": point.time_ns // MS / 1000,
                "interval": 10.0,
                "host": host,
                "plugin": plugin,
                "plugin_instance": plugin_instance,
                "type": type_name,
                "type_instance": type_instance,
            }
        )
    return orjson.dumps(found)


def collectd_graphite_metrics(points: Sequence[MetricPoint]) -> bytes:
    """Paths have no dots inside (EscapeCharacter), and times are whole seconds."""
    found = []
    for point in points:
        host, plugin, plugin_instance, type_name, _ = collectd_identity(point)
        parts = [host or "-", f"{plugin}-{plugin_instance}" if plugin_instance else plugin, type_name]
        parts += [DISKS[point.name][1]] if point.name in DISKS else []
        path = ".".join(re.sub(r"[.\s]", "_", part) for part in parts)
        found.append(f"{path} {point.value!r} {point.time_ns // S}")
    return ("\r\n".join(found) + "\r\n").encode()


def cloudwatch_metrics(points: Sequence[MetricPoint]) -> bytes:
    """Metrics of one's own namespace: a sample a minute, whose mean is the value."""
    found = []
    for point in points:
        count, total, low, high = point.stats[:4] if point.stats else (1.0, *(3 * (point.value,)))
        found.append(
            {
                "metric_stream_name": "all",
                "account_id": "123456789012",
                "region": "eu-central-1",
                "namespace": "fleet",
                "metric_name": point.name,
                "dimensions": point.labels.mapping,
                "timestamp": point.time_ns // MS,
                "value": {"max": high, "min": low, "sum": total, "count": count},
                "unit": "None",
            }
        )
    return _lines(found) + b"\n"


# ---- logs ------------------------------------------------------------------------------------------------------------


def _kubernetes(record: LogRecord, **names: str) -> dict[str, str]:
    """The labels of a record under a sender's names."""
    return {names[name]: value for name, value in record.labels.items if name in names}


def fluent_bit_logs(records: Sequence[LogRecord]) -> bytes:
    """Records with the Kubernetes filter's metadata."""
    found = []
    for record in records:
        pod = _kubernetes(record, namespace="namespace_name", pod="pod_name", container="container_name")
        place = {"host": record.labels.mapping["host.name"]} if "host.name" in record.labels.mapping else {}
        one = {"@timestamp": record.time_ns / S, "log": record.body + "\n", "severity": record.severity}
        found.append({**one, "kubernetes": {**pod, **place}} if pod else {**one, **place})
    return _lines(found)


def vector_logs(records: Sequence[LogRecord]) -> bytes:
    """Events of its kubernetes_logs source, or with a host."""
    found = []
    for record in records:
        pod = _kubernetes(
            record,
            namespace="pod_namespace",
            pod="pod_name",
            container="container_name",
            **{"host.name": "pod_node_name"},
        )
        place = _kubernetes(record, host="host", **({} if pod.get("pod_name") else {"host.name": "host"}))
        one = {"timestamp": rfc3339(record.time_ns), "message": record.body, "severity": record.severity, **place}
        found.append({**one, "kubernetes": pod} if pod.get("pod_name") else one)
    return _lines(found)


def filebeat_logs(records: Sequence[LogRecord]) -> bytes:
    """Events in ECS; times have milliseconds."""
    found = []
    for record in records:
        labels = record.labels.mapping
        one: dict[str, Any] = {
            "@timestamp": rfc3339(record.time_ns, 3),
            "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.15.0"},
            "message": record.body,
            "log": {"level": record.severity},
            "host": {"name": labels.get("host.name", labels.get("host", ""))},
        }
        if "pod" in labels:
            one["kubernetes"] = {
                "namespace": labels.get("namespace", ""),
                "pod": {"name": labels["pod"]},
                "container": {"name": labels.get("container", "")},
            }
        found.append(one)
    return _lines(found)


def rsyslog_logs(records: Sequence[LogRecord]) -> bytes:
    """By the template of connectors/; a pod's records are its node's, tagged with the container."""
    found = []
    for record in records:
        labels = record.labels.mapping
        host, tag = labels.get("host.name", labels.get("host", "")), labels.get("container", "cron")
        one = {"ts": rfc3339(record.time_ns, 6), "host": host, "severity": record.severity or "info", "tag": tag}
        found.append({**one, "msg": " " + record.body})
    return _lines(found)


def otlp_json_logs(records: Sequence[LogRecord]) -> bytes:
    """All labels as the records' attributes."""
    found = [
        {
            "timeUnixNano": str(record.time_ns),
            "severityText": record.severity,
            "body": {"stringValue": record.body},
            "attributes": _attributes(record.labels.items),
        }
        for record in records
    ]
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": found}]}]})


def otlp_proto_logs(records: Sequence[LogRecord]) -> bytes:
    """The same in Protocol Buffers."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for record in records:
        one = scope.log_records.add(time_unix_nano=record.time_ns, severity_text=record.severity)
        one.body.string_value = record.body
        for name, value in record.labels.items:
            one.attributes.add(key=name).value.string_value = value
    return bytes(request.SerializeToString())


def kubernetes_logs(records: Sequence[LogRecord]) -> bytes:
    """Events about a pod, or a node."""
    found = []
    for record in records:
        labels = record.labels.mapping
        about = {"kind": "Pod", "namespace": labels.get("namespace", ""), "name": labels.get("pod", "")}
        if "pod" not in labels:
            about = {"kind": "Node", "name": labels.get("host.name", labels.get("host", ""))}
        found.append(
            {
                "kind": "Event",
                "metadata": {"name": "e", "creationTimestamp": rfc3339(record.time_ns, 0)},
                "involvedObject": about,
                "reason": "Logged",
                "message": record.body,
                "type": record.severity or "Normal",
                "lastTimestamp": None,
                "eventTime": rfc3339(record.time_ns, 6),
            }
        )
    return _lines(found)


# ---- flows -----------------------------------------------------------------------------------------------------------


def goflow2_json_flows(flows: Sequence[FlowRecord]) -> bytes:
    """goflow2 -format=json."""
    return _lines(
        [
            {
                "type": "NETFLOW_V9",
                "time_received_ns": flow.end_ns + S,
                "sampling_rate": flow.sampling_rate or 0,
                "sampler_address": flow.sampler,
                "time_flow_start_ns": flow.start_ns,
                "time_flow_end_ns": flow.end_ns,
                "bytes": flow.bytes,
                "packets": flow.packets,
                "src_addr": flow.source_address,
                "dst_addr": flow.destination_address,
                "proto": flow.transport.upper(),
                "src_port": flow.source_port,
                "dst_port": flow.destination_port,
                "src_as": flow.source_as or 0,
                "dst_as": flow.destination_as or 0,
            }
            for flow in flows
        ]
    )


def goflow2_proto_flows(flows: Sequence[FlowRecord]) -> bytes:
    """goflow2 -format=bin: each flow with its length in front."""
    found = bytearray()
    for flow in flows:
        numbers = {
            1: 3,
            3: flow.sampling_rate or 0,
            9: flow.bytes,
            10: flow.packets,
            14: flow.source_as or 0,
            15: flow.destination_as or 0,
            20: _PROTOCOLS.get(flow.transport, 0),
            21: flow.source_port,
            22: flow.destination_port,
            110: flow.end_ns + S,
            111: flow.start_ns,
            112: flow.end_ns,
        }
        body = bytearray()
        for number, value in numbers.items():
            if value:
                body += _varint(number << 3) + _varint(value)
        for number, text in ((6, flow.source_address), (7, flow.destination_address), (11, flow.sampler)):
            packed = ipaddress.ip_address(text).packed if text else b""
            body += _varint(number << 3 | 2) + _varint(len(packed)) + packed if packed else b""
        found += _varint(len(body)) + body
    return bytes(found)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def pmacct_json_flows(flows: Sequence[FlowRecord]) -> bytes:
    """nfacctd's Kafka plugin; times as text with microseconds."""
    return _lines(
        [
            {
                "event_type": "purge",
                "peer_ip_src": flow.sampler,
                "ip_src": flow.source_address,
                "ip_dst": flow.destination_address,
                "port_src": flow.source_port,
                "port_dst": flow.destination_port,
                "ip_proto": flow.transport,
                "as_src": flow.source_as or 0,
                "as_dst": flow.destination_as or 0,
                "sampling_rate": flow.sampling_rate or 0,
                "timestamp_start": f"{flow.start_ns // S}.{flow.start_ns % S // 1000:06}",
                "timestamp_end": f"{flow.end_ns // S}.{flow.end_ns % S // 1000:06}",
                "packets": flow.packets,
                "bytes": flow.bytes,
                "writer_id": "default_kafka/1",
            }
            for flow in flows
        ]
    )


def netobserv_json_flows(flows: Sequence[FlowRecord]) -> bytes:
    """flowlogs-pipeline's records; times in milliseconds, and no AS."""
    return _lines(
        [
            {
                "AgentIP": flow.sampler,
                "SrcAddr": flow.source_address,
                "SrcPort": flow.source_port,
                "DstAddr": flow.destination_address,
                "DstPort": flow.destination_port,
                "Proto": _PROTOCOLS.get(flow.transport, 0),
                "Bytes": flow.bytes,
                "Packets": flow.packets,
                "Sampling": flow.sampling_rate or 0,
                "Interface": "eth0",
                "Duplicate": False,
                "TimeFlowStartMs": flow.start_ns // MS,
                "TimeFlowEndMs": flow.end_ns // MS,
                "TimeReceived": flow.end_ns // S + 1,
            }
            for flow in flows
        ]
    )


def vpc_flow_log_flows(flows: Sequence[FlowRecord]) -> bytes:
    """The default format. AWS counts every packet, so what a sampler would have counted is multiplied."""
    found = []
    for flow in flows:
        rate = flow.sampling_rate or 1
        words: tuple[Any, ...] = (
            *(2, "123456789012", "eni-0abc", flow.source_address, flow.destination_address),
            *(flow.source_port, flow.destination_port, _PROTOCOLS.get(flow.transport, 0)),
            *(flow.packets * rate, flow.bytes * rate, flow.start_ns // S, flow.end_ns // S, "ACCEPT", "OK"),
        )
        found.append(" ".join(map(str, words)))
    return "\n".join(found).encode()


def influx_flows(flows: Sequence[FlowRecord]) -> bytes:
    """Telegraf's netflow input."""
    found = []
    for flow in flows:
        fields = [
            f'src="{flow.source_address}"',
            f'dst="{flow.destination_address}"',
            f"src_port={flow.source_port}u",
            f"dst_port={flow.destination_port}u",
            f'protocol="{flow.transport}"',
            f"in_bytes={flow.bytes}u",
            f"in_packets={flow.packets}u",
            f"sampling_interval={flow.sampling_rate or 0}u",
            f"bgp_src_as={flow.source_as or 0}u",
            f"bgp_dst_as={flow.destination_as or 0}u",
            f"flow_start_ms={flow.start_ns // MS}u",
            f"flow_end_ms={flow.end_ns // MS}u",
        ]
        found.append(f"netflow,source={flow.sampler or '-'},version=IPFIX {','.join(fields)} {flow.end_ns + S}")
    return ("\n".join(found) + "\n").encode()


def _netflow_attributes(flow: FlowRecord) -> list[tuple[str, Any]]:
    return [
        ("source.address", flow.source_address),
        ("source.port", flow.source_port),
        ("destination.address", flow.destination_address),
        ("destination.port", flow.destination_port),
        ("network.transport", flow.transport),
        ("flow.io.bytes", flow.bytes),
        ("flow.io.packets", flow.packets),
        ("flow.time_received", flow.end_ns + S),
        ("flow.start", flow.start_ns),
        ("flow.end", flow.end_ns),
        ("flow.sampling_rate", flow.sampling_rate or 0),
        ("flow.sampler_address", flow.sampler),
        ("flow.src_as", flow.source_as or 0),
        ("flow.dst_as", flow.destination_as or 0),
    ]


def otlp_json_flows(flows: Sequence[FlowRecord]) -> bytes:
    """The Collector's netflow receiver: a log record a flow."""
    found = [
        {
            "timeUnixNano": str(flow.start_ns),
            "observedTimeUnixNano": str(flow.end_ns + S),
            "attributes": _attributes(_netflow_attributes(flow)),
        }
        for flow in flows
    ]
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": found}]}]})


def otlp_proto_flows(flows: Sequence[FlowRecord]) -> bytes:
    """The same in Protocol Buffers."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for flow in flows:
        one = scope.log_records.add(time_unix_nano=flow.start_ns, observed_time_unix_nano=flow.end_ns + S)
        for name, value in _netflow_attributes(flow):
            if isinstance(value, int):
                one.attributes.add(key=name).value.int_value = value
            else:
                one.attributes.add(key=name).value.string_value = value
    return bytes(request.SerializeToString())


# ---- inventory -------------------------------------------------------------------------------------------------------


def debezium_value(change: InventoryChange, *, schema: bool = False, unwrapped: bool = False) -> bytes | None:
    """The value of a change's message: an envelope, or an unwrapped row; with the converter's schema or without."""
    row = _texts({"row": change.row})["row"]
    op = {"upsert": "r" if change.snapshot else "u", "delete": "d", "truncate": "t", "heartbeat": "u"}[change.op]
    if change.op == "heartbeat":
        row = {"id": "1", "at": rfc3339(change.time_ms * MS, 6)}
    snapshot = {"first": "first", "next": "true", "last": "last"}.get(change.reading, "false")
    found: dict[str, Any]
    if unwrapped:
        told = {"__op": op, "__source_table": change.table, "__source_ts_ms": change.time_ms}
        deleted = {"__deleted": "true" if op == "d" else "false", "__source_snapshot": snapshot}
        found = {**(row or dict(_key(change))), **told, **deleted}
    else:
        source = {"connector": "postgresql", "ts_ms": change.time_ms, "snapshot": snapshot, "table": change.table}
        found = {"before": None, "after": row, "source": source, "op": op, "ts_ms": change.time_ms + 180}
    return orjson.dumps({"schema": {"type": "struct", "optional": False}, "payload": found} if schema else found)


def debezium_key(change: InventoryChange, *, schema: bool = False) -> bytes:
    """The key of a change's message."""
    key = _key(change)
    return orjson.dumps({"schema": {"type": "struct", "optional": False}, "payload": key} if schema else key)


def _key(change: InventoryChange) -> dict[str, str]:
    columns = {"relation": ("from_id", "to_id", "kind")}.get(change.table, ("id",))
    return dict(zip(columns, change.key, strict=False))


KEY_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Key",
    "fields": [
        {"name": name, "type": ["null", "string"], "default": None} for name in ("id", "from_id", "to_id", "kind")
    ],
}
_NULLABLE = (
    *("id", "type", "name", "component", "attributes", "updated_at", "from_id", "to_id", "kind"),
    *("entity_id", "expression", "timezone", "command", "at"),
)
_NULLABLE_TEXT = [{"name": name, "type": ["null", "string"], "default": None} for name in _NULLABLE]
VALUE_SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": _NULLABLE_TEXT}]},
        {"name": "after", "type": ["null", "Value"], "default": None},
        {
            "name": "source",
            "type": {
                "type": "record",
                "name": "Source",
                "fields": [
                    {"name": "ts_ms", "type": "long"},
                    {"name": "snapshot", "type": ["string", "null"]},
                    {"name": "table", "type": "string"},
                ],
            },
        },
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"], "default": None},
    ],
}
_PARSED_KEY, _PARSED_VALUE = (fastavro.parse_schema(json.loads(json.dumps(s))) for s in (KEY_SCHEMA, VALUE_SCHEMA))
KEY_ID, VALUE_ID = 1, 2  # of these schemas in the registry


def debezium_avro(change: InventoryChange) -> tuple[bytes, bytes]:
    """Key and value of a change's message in Avro; one schema has the columns of all tables, absent ones null."""
    found = json.loads(debezium_value(change) or b"null")
    return _framed(KEY_ID, _PARSED_KEY, _key(change)), _framed(VALUE_ID, _PARSED_VALUE, found)


def _framed(number: int, schema: Any, value: Any) -> bytes:
    stream = BytesIO()
    fastavro.schemaless_writer(stream, schema, value)
    return b"\x00" + number.to_bytes(4, "big") + stream.getvalue()


def jdbc_value(change: InventoryChange, rows: int | None = None, number: int = 0) -> bytes:
    """A row as a JDBC source polls it; with `rows`, as one of so many of a poll of its whole table."""
    if change.op == "heartbeat":
        return orjson.dumps({"id": 1, "at": change.time_ms})
    row = dict(_texts({"row": change.row})["row"])
    row["updated_at"] = change.time_ms
    if rows is not None:
        polled = {"polled_table": change.table, "polled_at": change.time_ms, "polled_row": number, "polled_rows": rows}
        row |= polled
    return orjson.dumps(row)


# ---- by format -------------------------------------------------------------------------------------------------------

Encoder = Callable[[Sequence[Any]], bytes]

METRICS: dict[str, Encoder] = {
    "otlp_json": otlp_json_metrics,
    "otlp_proto": otlp_proto_metrics,
    "influx": influx_metrics,
    "telegraf_json": telegraf_json_metrics,
    "collectd_json": collectd_json_metrics,
    "collectd_graphite": collectd_graphite_metrics,
    "prometheus_kafka_adapter": prometheus_metrics,
    "cloudwatch_metric_stream": cloudwatch_metrics,
    "json": json_rows,
    "avro": _avro("metric_point.avsc"),
}
LOGS: dict[str, Encoder] = {
    "fluent_bit": fluent_bit_logs,
    "vector": vector_logs,
    "filebeat": filebeat_logs,
    "rsyslog_json": rsyslog_logs,
    "otlp_logs": otlp_json_logs,
    "otlp_json": otlp_json_logs,
    "otlp_proto": otlp_proto_logs,
    "kubernetes_events": kubernetes_logs,
    "json": json_rows,
    "avro": _avro("log_record.avsc"),
}
FLOWS: dict[str, Encoder] = {
    "goflow2_json": goflow2_json_flows,
    "goflow2_proto": goflow2_proto_flows,
    "pmacct_json": pmacct_json_flows,
    "netobserv_json": netobserv_json_flows,
    "vpc_flow_log": vpc_flow_log_flows,
    "influx": influx_flows,
    "otlp_json": otlp_json_flows,
    "otlp_proto": otlp_proto_flows,
    "json": json_rows,
    "avro": _avro("flow_record.avsc"),
}
INVENTORY: dict[str, Encoder] = {
    "json": json_rows,
    "avro": _avro("inventory_change.avsc"),
}  # others: a message a change
ENCODERS = {"metrics": METRICS, "logs": LOGS, "flows": FLOWS, "inventory": INVENTORY}
