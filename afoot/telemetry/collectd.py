"""What collectd's values are called as metrics, whatever the form they are sent in.

As collectd's own write_prometheus names them: collectd_plugin_type_source, without the type where it is the plugin's
name and without the source where it is "value", and with _total where the value is a counter. Labels are host,
plugin_instance and type_instance, where they are not empty.
"""

from __future__ import annotations

from afoot.errors import UsageError
from afoot.telemetry.rows import MetricKind

OPTIONS = {"store_rates": "as the output's StoreRates: true (collectd's default), counters are sent as rates; or false"}
# Types of types.db that count, of the plugins that measure a machine: a form that names no kinds needs them.
COUNTING = frozenset((
    "cpu", "contextswitch", "disk_io_time", "disk_merged", "disk_octets", "disk_ops", "disk_time", "fork_rate",
    "if_dropped", "if_errors", "if_octets", "if_packets", "io_octets", "io_ops", "irq", "ps_cputime",
    "ps_disk_octets", "ps_disk_ops", "ps_pagefaults", "swap_io", "vmpage_faults", "vmpage_io",
))  # fmt: skip
_KINDS: dict[str, MetricKind] = {
    "gauge": "gauge",
    "counter": "cumulative",
    "derive": "cumulative",
    "absolute": "delta",
}


def rates(options: dict[str, str], format_name: str) -> bool:
    """Whether counters are sent as rates."""
    sent = options.get("store_rates", "true")
    if sent not in ("true", "false"):
        raise UsageError(f"format {format_name!r}: store_rates is {sent!r}; allowed are true, false")
    return sent == "true"


def kind(source_type: str, as_rates: bool) -> MetricKind | None:
    """The kind of a data source of a type; None for an unknown type."""
    found = _KINDS.get(source_type)
    return "gauge" if found is not None and as_rates else found


def metric_name(plugin: str, type_name: str, source: str, metric_kind: MetricKind) -> str:
    """The metric of a data source."""
    parts = ["collectd", plugin]
    if type_name != plugin:
        parts.append(type_name)
    if source != "value":
        parts.append(source)
    if metric_kind == "cumulative":
        parts.append("total")
    return "_".join(parts)
