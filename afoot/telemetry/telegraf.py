"""Telegraf's measurements and fields as metrics, whatever its serializer, and its netflow input as flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afoot.telemetry import flows
from afoot.telemetry.rows import FlowRecord, Labels, MetricKind
from afoot.telemetry.values import Malformed, Refused, count, name

# What the prometheus input (metric_version 1) names the one field of a metric by its type.
_BARE_FIELDS: Mapping[str, MetricKind] = {"value": "unknown", "gauge": "gauge", "counter": "cumulative"}
# The measurements of metric_version 2, whose fields are named as the metrics are: of what the prometheus input scraped,
# of the same in OpenMetrics, and of what came by remote write.
_PROMETHEUS = ("prometheus", "openmetric", "prometheus_remote_write")
# What exporters of NetFlow and IPFIX counted on the way in, or else on the way out.
_BYTES = ("in_bytes", "in_total_bytes", "out_bytes")
_PACKETS = ("in_packets", "in_total_packets", "out_packets")
_SAMPLING = ("sampling_interval", "flow_sampler_interval")
_SAMPLED_BYTES = ("l2_bytes", "eth_total_len", "ipv4_total_len", "ipv6_total_len")  # of the frame, or its packet
_V5_INTERVAL = 0x3FFF  # the bits of the interval: the two above them are the mode, and Telegraf sends all sixteen
_FLOW = flows.Names(
    source_address="src",
    source_port="src_port",
    destination_address="dst",
    destination_port="dst_port",
    transport="protocol",
    bytes="bytes",
    packets="packets",
    sampling_rate="rate",
    source_as="bgp_src_as",
    destination_as="bgp_dst_as",
    sampler="source",
)
_MS = 1_000_000
FLOW_OPTIONS = "netflow_options"  # the measurement of what exporters say of themselves, beside their flows


def series(measurement: str, field: str) -> tuple[str, MetricKind]:
    """A field's metric name and kind: measurement_field, but for what was scraped the name that was scraped."""
    if measurement in _PROMETHEUS:
        return name(field), "unknown"
    bare = _BARE_FIELDS.get(field)
    if bare is not None:
        return name(measurement), bare
    return name(f"{measurement}_{field}"), "unknown"


def flow(tags: Mapping[str, Any], fields: Mapping[str, Any], time_ns: int) -> FlowRecord | None:
    """A point of the netflow input as a flow; None for an sFlow agent's counters of interfaces and of discards."""
    record = {**tags, **fields}  # by a processor, which Telegraf's page recommends, fields may have become tags
    record["rate"] = next((rate for key in _SAMPLING if (rate := count(record.get(key, 0), key))), 0)
    if record.get("version") == "sFlowV5":
        if "sampling_interval" not in record:
            return None
        if "src" not in record:
            raise Refused("src is missing: the sampled frame is not IP")
        # One frame; in_total_packets is the pool it was taken from, a running total. The autonomous system of the
        # destination is not told: bgp_dst_as is the number of paths to it.
        record.update(bytes=_first(record, _SAMPLED_BYTES), packets=1, bgp_dst_as=0)
    else:
        record.update(bytes=_first(record, _BYTES), packets=_first(record, _PACKETS))
    if record.get("version") == "NetFlowV5":
        record["rate"] &= _V5_INTERVAL
    end = _moment(record, "flow_end", "last_switched", time_ns) or time_ns
    start = _moment(record, "flow_start", "first_switched", time_ns) or end
    return flows.flow(record, _FLOW, start, end, Labels.of({}))


def _moment(record: Mapping[str, Any], epoch: str, since_start: str, time_ns: int) -> int:
    """A time in ms or s since 1970, or in ms since the exporter's start, which its uptime tells; 0: it is not told."""
    if ms := count(record.get(f"{epoch}_ms", 0), f"{epoch}_ms"):
        return ms * _MS
    if seconds := count(record.get(epoch, 0), epoch):
        return seconds * 1_000 * _MS
    if "sys_uptime" in record and since_start in record:
        return time_ns - (count(record["sys_uptime"], "sys_uptime") - count(record[since_start], since_start)) * _MS
    return 0


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    for key in keys:
        if key in record:
            return count(record[key], key)
    raise Malformed(f"none of {', '.join(keys)} is there")
