"""goflow2's JSON output: one flow a message, times in integer nanoseconds, or in RFC 3339 where a mapping renders them.

Bytes and packets are as the exporter counted them: nothing is multiplied by sampling_rate, of which 0 means unknown.
A flow without its own times has the time at which the collector received it. goflow2 1 writes its fields as SrcAddr,
and times in seconds, beside which TimeFlowStartMs and TimeFlowEndMs hold milliseconds where they are known.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.flows import Names, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, FlowRecord, Message
from afoot.telemetry.values import Refused, count, label, rfc3339_ns

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
_EPOCH = "1970-01-01T00:00:00Z"  # a time of 0, rendered
_S, _MS = 1_000_000_000, 1_000_000
_OF_V1 = {
    "SrcAddr": "src_addr",
    "SrcPort": "src_port",
    "DstAddr": "dst_addr",
    "DstPort": "dst_port",
    "Proto": "proto",
    "Bytes": "bytes",
    "Packets": "packets",
    "SamplingRate": "sampling_rate",
    "SrcAS": "src_as",
    "SrcAs": "src_as",  # since 1.2
    "DstAS": "dst_as",
    "DstAs": "dst_as",
    "SamplerAddress": "sampler_address",
    "InIf": "in_if",
    "OutIf": "out_if",
}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that goflow2 fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "flow", lambda record: _flow(record, cache))

    return decode


def _flow(record: dict[str, Any], cache: LabelCache) -> FlowRecord:
    if "Type" in record:
        record = _of_v1(record)
    if record.get("src_addr") == "":
        raise Refused("src_addr is empty: the packet is not of IP")
    received = _ns(record, "time_received_ns")
    end = _ns(record, "time_flow_end_ns") or received
    start = _ns(record, "time_flow_start_ns") or end
    key = tuple((interface, label(record[interface])) for interface in _INTERFACES if record.get(interface))
    return flow(record, _NAMES, start, end, cache.known.get(key) or cache.add(key, dict(key)))


def _ns(record: dict[str, Any], field: str, unit: int = 1) -> int:
    sent = record.get(field, 0)
    if type(sent) is str and "-" in sent:
        return 0 if sent == _EPOCH else rfc3339_ns(sent, field)
    return count(sent, field) * unit


def _of_v1(record: dict[str, Any]) -> dict[str, Any]:
    """A flow of goflow2 1 with the names and units of those after it."""
    return {
        **{_OF_V1[field]: value for field, value in record.items() if field in _OF_V1},
        "time_received_ns": _ns(record, "TimeReceived", _S),
        "time_flow_start_ns": _ns(record, "TimeFlowStartMs", _MS) or _ns(record, "TimeFlowStart", _S),
        "time_flow_end_ns": _ns(record, "TimeFlowEndMs", _MS) or _ns(record, "TimeFlowEnd", _S),
    }
