"""Telegraf's measurements and fields as metrics, whatever its serializer, and its netflow input as flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afoot.telemetry.rows import FlowRecord, Labels, MetricKind
from afoot.telemetry.transports import transport
from afoot.telemetry.values import Malformed, checked_ns, count, epoch_ns, name, short

# What the prometheus input (metric_version 1) names the one field of a metric by its type.
_BARE_FIELDS: Mapping[str, MetricKind] = {"value": "unknown", "gauge": "gauge", "counter": "cumulative"}
_PROMETHEUS = "prometheus"  # the measurement of its metric_version 2, where fields are named as the metrics are
_BYTES = ("in_bytes", "in_total_bytes")
_PACKETS = ("in_packets", "in_total_packets")
_SAMPLING = ("sampling_interval", "flow_sampling_interval")
_MS = 1_000_000
FLOW_OPTIONS = "netflow_options"  # the measurement of what exporters say of themselves, beside their flows


def series(measurement: str, field: str) -> tuple[str, MetricKind]:
    """A field's metric name and kind: measurement_field, but for what was scraped the name that was scraped."""
    if measurement == _PROMETHEUS:
        return name(field), "unknown"
    bare = _BARE_FIELDS.get(field)
    if bare is not None:
        return name(measurement), bare
    return name(f"{measurement}_{field}"), "unknown"


def flow(tags: Mapping[str, Any], fields: Mapping[str, Any], time_ns: int) -> FlowRecord:
    """A point of the netflow input as a flow; times counted from the exporter's start are told by its uptime."""
    start = end = time_ns
    if "flow_end_ms" in fields:
        end = epoch_ns(count(fields["flow_end_ms"], "flow_end_ms"), 1_000, "flow_end_ms")
        start = epoch_ns(count(fields.get("flow_start_ms", end // _MS), "flow_start_ms"), 1_000, "flow_start_ms")
    elif "sys_uptime" in fields and "last_switched" in fields:
        booted = time_ns - count(fields["sys_uptime"], "sys_uptime") * _MS
        end = checked_ns(booted + count(fields["last_switched"], "last_switched") * _MS, "last_switched")
        first = fields.get("first_switched", fields["last_switched"])
        start = checked_ns(booted + count(first, "first_switched") * _MS, "first_switched")
    return FlowRecord(
        start_ns=start,
        end_ns=end,
        source_address=name(fields.get("src"), "src"),
        source_port=count(fields.get("src_port", 0), "src_port"),
        destination_address=name(fields.get("dst"), "dst"),
        destination_port=count(fields.get("dst_port", 0), "dst_port"),
        transport=transport(fields.get("protocol", "")),
        bytes=_first(fields, _BYTES),
        packets=_first(fields, _PACKETS),
        sampling_rate=count(next((fields[key] for key in _SAMPLING if key in fields), 0), "sampling_interval") or None,
        source_as=count(fields.get("bgp_src_as", 0), "bgp_src_as") or None,
        destination_as=count(fields.get("bgp_dst_as", 0), "bgp_dst_as") or None,
        sampler=short(tags.get("source", ""), "source"),
        labels=Labels.of({}),
    )


def _first(fields: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    for key in keys:
        if key in fields:
            return count(fields[key], key)
    raise Malformed(f"none of {', '.join(keys)} is there")
