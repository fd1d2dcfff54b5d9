"""goflow2's JSON output: one flow a message, times in integer nanoseconds.

Bytes and packets are as the exporter counted them: nothing is multiplied by sampling_rate, of which 0 means unknown.
A flow without its own times has the time at which the collector received it.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, FlowRecord, Message
from afoot.telemetry.transports import transport
from afoot.telemetry.values import checked_ns, count, label, name

KINDS = ("flows",)
OPTIONS: dict[str, str] = {}
_FORMAT = "goflow2_json"
_INTERFACES = ("in_if", "out_if")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that goflow2 fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "flow", lambda record: _flow(record, cache))

    return decode


def _flow(record: dict[str, Any], cache: LabelCache) -> FlowRecord:
    field = record.get
    received = count(field("time_received_ns", 0), "time_received_ns")
    end = count(field("time_flow_end_ns", 0), "time_flow_end_ns") or received
    start = count(field("time_flow_start_ns", 0), "time_flow_start_ns") or end
    key = tuple((interface, label(record[interface])) for interface in _INTERFACES if record.get(interface))
    return FlowRecord(
        start_ns=checked_ns(start, "time_flow_start_ns"),
        end_ns=checked_ns(end, "time_flow_end_ns"),
        source_address=name(field("src_addr"), "src_addr"),
        source_port=count(field("src_port", 0), "src_port"),
        destination_address=name(field("dst_addr"), "dst_addr"),
        destination_port=count(field("dst_port", 0), "dst_port"),
        transport=transport(field("proto", "")),
        bytes=count(field("bytes"), "bytes"),
        packets=count(field("packets"), "packets"),
        sampling_rate=count(field("sampling_rate", 0), "sampling_rate") or None,
        source_as=count(field("src_as", 0), "src_as") or None,
        destination_as=count(field("dst_as", 0), "dst_as") or None,
        sampler=label(field("sampler_address", "")),
        labels=cache.known.get(key) or cache.add(key, dict(key)),
    )
