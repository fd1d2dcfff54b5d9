"""NetObserv's flow logs in JSON (its agent and flowlogs-pipeline to Kafka): PascalCase fields, times in milliseconds.

A flow seen on several interfaces is sent for each: those marked Duplicate are refused, so that no byte counts twice,
and so are conversation records (_RecordType other than flowLog), which repeat the bytes of their flow logs. The agent
leaves out Bytes and Packets where they are 0. Flows that goflow2's older JSON brought have times in seconds, and where
these are 0 the time of receipt.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.flows import Names, address, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, FlowRecord, Labels, Message
from afoot.telemetry.values import Malformed, Refused, count, label

KINDS = ("flows",)
OPTIONS: dict[str, str] = {}
_FORMAT = "netobserv_json"
_NAMES = Names(
    "SrcAddr",
    "SrcPort",
    "DstAddr",
    "DstPort",
    "Proto",
    "Bytes",
    "Packets",
    "SamplingRate",
    "SrcAS",
    "DstAS",
    "SamplerAddress",
)
_PREFIXES = ("SrcK8S_", "DstK8S_")
_LABELS = (
    "Interface",
    "Interfaces",
    "SrcPod",
    "SrcNamespace",
    "SrcWorkload",
    "SrcWorkloadKind",
    "SrcHostIP",
    "DstPod",
    "DstNamespace",
    "DstWorkload",
    "DstWorkloadKind",
    "DstHostIP",
)
_S, _MS = 1_000_000_000, 1_000_000


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of NetObserv's flow logs."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "flow", lambda record: _flow(record, cache))

    return decode


def _flow(record: dict[str, Any], cache: LabelCache) -> FlowRecord:
    record_type = record.get("_RecordType", "flowLog")
    if record_type != "flowLog":
        raise Refused(f"_RecordType is {shown(record_type)}: a conversation repeats the bytes of its flow logs")
    duplicate = record.get("Duplicate", False)
    if type(duplicate) is not bool:
        raise Malformed(f"Duplicate is {shown(duplicate)}; true or false is expected")
    if duplicate:
        raise Refused("Duplicate is true: the flow is sent from another interface as well")
    if "Etype" in record and "SrcAddr" not in record:
        raise Refused(f"there is no SrcAddr: the frame is not of IP, its Etype is {shown(record['Etype'])}")
    if "AgentIP" in record and "Bytes" not in record and "Packets" not in record:
        record = {**record, "Bytes": 0, "Packets": 0}  # as the agent sends what only its drop or DNS probes have seen
    received = _time(record, "TimeReceived", _S)
    end = _time(record, "TimeFlowEndMs", _MS) or _time(record, "TimeFlowEnd", _S) or received
    start = _time(record, "TimeFlowStartMs", _MS) or _time(record, "TimeFlowStart", _S) or end
    record = {
        **record,
        "SamplingRate": record.get("Sampling", record.get("SamplingRate", 0)),
        "SamplerAddress": _sampler(record),
    }
    return flow(record, _NAMES, start, end, _labels(record, cache))


def _time(record: dict[str, Any], field: str, unit_ns: int) -> int:
    return count(record.get(field, 0), field) * unit_ns


def _sampler(record: dict[str, Any]) -> str:
    """AgentIP; or SamplerAddress, which goflow2's older JSON sends as base64 of the address's bytes."""
    if "AgentIP" in record:
        return label(record["AgentIP"])
    sent = label(record.get("SamplerAddress"))
    if not sent or "." in sent or ":" in sent:
        return sent
    try:
        return address(base64.b64decode(sent, validate=True), "SamplerAddress")
    except binascii.Error:
        raise Malformed(f"SamplerAddress is {shown(sent)}; an address or the base64 of one is expected") from None


def _labels(record: dict[str, Any], cache: LabelCache) -> Labels:
    key = tuple(
        (field, label(value))
        for field, value in record.items()
        if value not in ("", None) and (field in _LABELS or field.startswith(_PREFIXES))
    )
    return cache.known.get(key) or cache.add(key, dict(key))
