"""What the flow formats share: a flow from fields by their names in the format."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple

from afoot.telemetry.rows import FlowRecord, Labels
from afoot.telemetry.transports import transport
from afoot.telemetry.values import Refused, checked_ns, count, name, short


class Names(NamedTuple):
    """The fields of a format, but for its times; "" where it has no such field."""

    source_address: str
    source_port: str
    destination_address: str
    destination_port: str
    transport: str
    bytes: str
    packets: str
    sampling_rate: str
    source_as: str
    destination_as: str
    sampler: str


def flow(record: Mapping[str, Any], names: Names, start_ns: int, end_ns: int, labels: Labels) -> FlowRecord:
    """The flow of a record; sampling rates and AS numbers of 0 are unknown, a port that is missing is 0."""
    field = record.get
    if end_ns < start_ns:
        raise Refused(f"the flow ends at {end_ns} ns, before it starts at {start_ns} ns")
    return FlowRecord(
        start_ns=checked_ns(start_ns, "the flow's start"),
        end_ns=checked_ns(end_ns, "the flow's end"),
        source_address=name(field(names.source_address), names.source_address),
        source_port=count(field(names.source_port, 0), names.source_port),
        destination_address=name(field(names.destination_address), names.destination_address),
        destination_port=count(field(names.destination_port, 0), names.destination_port),
        transport=transport(field(names.transport, "")),
        bytes=count(field(names.bytes), names.bytes),
        packets=count(field(names.packets), names.packets),
        sampling_rate=count(field(names.sampling_rate, 0), names.sampling_rate) or None,
        source_as=count(field(names.source_as, 0), names.source_as) or None,
        destination_as=count(field(names.destination_as, 0), names.destination_as) or None,
        sampler=short(field(names.sampler, ""), "the sampler"),
        labels=labels,
    )


def address(packed: bytes, what: str) -> str:
    """An address of four or sixteen bytes as text."""
    if len(packed) not in (4, 16):
        raise Refused(f"{what} has {len(packed)} bytes; 4 or 16 are expected")
    return _text(packed)


@functools.lru_cache(maxsize=65_536)
def _text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))
