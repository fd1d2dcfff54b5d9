"""goflow2's Protocol Buffers output (-format=bin): flows with their length in front, or one flow without it.

A flow always begins with its type, field 1, so a first byte of 8 is that field's tag: as a length it would hold no two
addresses. Messages of GoFlow 1, told by the absence of time_received_ns, have other time fields, in seconds or ms.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.flows import Names, address, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import check_rows, received
from afoot.telemetry.protobuf import Broken, Table, read, varint
from afoot.telemetry.rows import Decoded, FlowRecord, Message
from afoot.telemetry.values import Refused

KINDS = ("flows",)
OPTIONS: dict[str, str] = {}
_FORMAT = "goflow2_proto"
_TYPE_TAG = 0x08
_TABLE: Table = {
    1: ("type", "uint"),
    2: ("v1_received_s", "uint"),
    3: ("sampling_rate", "uint"),
    5: ("v1_end_s", "uint"),
    6: ("src_addr", "bytes"),
    7: ("dst_addr", "bytes"),
    9: ("bytes", "uint"),
    10: ("packets", "uint"),
    11: ("sampler_address", "bytes"),
    14: ("src_as", "uint"),
    15: ("dst_as", "uint"),
    18: ("in_if", "uint"),
    19: ("out_if", "uint"),
    20: ("proto", "uint"),
    21: ("src_port", "uint"),
    22: ("dst_port", "uint"),
    30: ("etype", "uint"),
    38: ("v1_start_s", "uint"),  # and ip_flags since version 2, which has time_received_ns
    63: ("v1_start_ms", "uint"),
    64: ("v1_end_ms", "uint"),
    110: ("time_received_ns", "uint"),
    111: ("time_flow_start_ns", "uint"),
    112: ("time_flow_end_ns", "uint"),
}
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
_ADDRESSES = ("src_addr", "dst_addr", "sampler_address")
_INTERFACES = ("in_if", "out_if")
_S, _MS = 1_000_000_000, 1_000_000


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that goflow2 fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        value = received(message, _FORMAT)
        try:
            found = [read(value, _TABLE, start, end) for start, end in _spans(value)]
        except Broken as error:
            raise DecodeError(f"{_FORMAT}: {error}") from None
        for index, record in enumerate(found):
            try:
                collected.rows.append(_flow(record, cache))
            except UNREADABLE as error:
                collected.refuse(f"flow {index}", error, record)
            collected.check()
        return collected.decoded()

    return decode


def _spans(value: bytes) -> list[tuple[int, int]]:
    """Where each flow begins and ends."""
    if not value:
        raise Broken("the message is empty; a flow is expected")
    if value[0] == _TYPE_TAG:
        return [(0, len(value))]
    spans: list[tuple[int, int]] = []
    position = 0
    while position < len(value):
        try:
            size, start = varint(value, position)
        except IndexError:
            raise Broken(f"the message ends inside a length, at byte {len(value)}") from None
        position = start + size
        if not size or position > len(value):
            raise Broken(f"a flow of {size} bytes at byte {start}, where {len(value) - start} are left")
        spans.append((start, position))
        check_rows(len(spans), _FORMAT)
    return spans


def _flow(record: dict[str, Any], cache: LabelCache) -> FlowRecord:
    if "etype" in record and "src_addr" not in record:
        raise Refused(f"there is no src_addr: the packet is not of IP, its etype is {record['etype']:#06x}")
    record = {"bytes": 0, "packets": 0, **record}  # a number that is not sent is 0 in proto3
    for field_name in _ADDRESSES:
        if field_name in record:
            record[field_name] = address(record[field_name], field_name)
    field = record.get
    if "time_received_ns" in record:
        end = field("time_flow_end_ns", 0) or record["time_received_ns"]
        start = field("time_flow_start_ns", 0) or end
    else:
        end = field("v1_end_ms", 0) * _MS or field("v1_end_s", 0) * _S or field("v1_received_s", 0) * _S
        start = field("v1_start_ms", 0) * _MS or field("v1_start_s", 0) * _S or end
    key = tuple((interface, str(record[interface])) for interface in _INTERFACES if record.get(interface))
    return flow(record, _NAMES, start, end, cache.known.get(key) or cache.add(key, dict(key)))
