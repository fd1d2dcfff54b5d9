"""goflow2's JSON output: one flow a message, times in integer nanoseconds.

Bytes and packets are as the exporter counted them: nothing is multiplied by sampling_rate, of which 0 means unknown.
A flow without its own times has the time at which the collector received it.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.flows import Names, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, FlowRecord, Message
from afoot.telemetry.values import count, label

KINDS = ("flows",)
OPTIONS: dict[str, str] = {}
_FORMAT = "goflow2_json"
_NAMES = Names(
    "src_addr",
    "src_port",
    "dst_addr",
    "dst_port",
    "proto",
    "bytes",
    "packets",
    "sampling_rate",
    "src_as",
    "dst_as",
    "sampler_address",
)
_INTERFACES = ("in_if", "out_if")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that goflow2 fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "flow", lambda record: _flow(record, cache))

    return decode


def _flow(record: dict[str, Any], cache: LabelCache) -> FlowRecord:
    received = count(record.get("time_received_ns", 0), "time_received_ns")
    end = count(record.get("time_flow_end_ns", 0), "time_flow_end_ns") or received
    start = count(record.get("time_flow_start_ns", 0), "time_flow_start_ns") or end
    key = tuple((interface, label(record[interface])) for interface in _INTERFACES if record.get(interface))
    return flow(record, _NAMES, start, end, cache.known.get(key) or cache.add(key, dict(key)))
