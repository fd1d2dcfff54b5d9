"""goflow2's JSON, by its README and its proto's comments."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry.rows import FlowRecord
from tests.telemetry.support import as_json, decode, labels, rows, sample

GOFLOW2: dict[str, Any] = {
    "type": "NETFLOW_V9",
    "time_received_ns": 1681583295157626001,
    "sampling_rate": 0,
    "sampler_address": "192.0.2.1",
    "time_flow_start_ns": 1681583290000000001,
    "time_flow_end_ns": 1681583294000000003,
    "bytes": 1500,
    "packets": 3,
    "src_addr": "10.0.0.1",
    "dst_addr": "10.0.0.2",
    "etype": "IPv4",
    "proto": "UDP",
    "src_port": 53,
    "dst_port": 50001,
    "in_if": 3,
    "src_as": 64500,
    "dst_as": 0,
}


def test_goflow2_s_example() -> None:
    assert rows("goflow2_json", sample("goflow2/json_sflow.json")) == [
        FlowRecord(
            start_ns=1_681_583_295_157_626_000,
            end_ns=1_681_583_295_157_626_000,
            source_address="fd01::1",
            source_port=443,
            destination_address="fd01::2",
            destination_port=50001,
            transport="tcp",
            bytes=1500,  # not multiplied by 100
            packets=1,
            sampling_rate=100,
            source_as=None,
            destination_as=None,
            sampler="192.168.0.1",
            labels=labels(),
        )
    ]


def test_goflow2_times_are_exact_and_zeros_unknown() -> None:
    (found,) = rows("goflow2_json", as_json(GOFLOW2))
    assert found == FlowRecord(
        1681583290000000001,
        1681583294000000003,
        "10.0.0.1",
        53,
        "10.0.0.2",
        50001,
        "udp",
        1500,
        3,
        None,
        64500,
        None,
        "192.0.2.1",
        labels(in_if="3"),
    )


def test_goflow2_without_a_flow_s_times() -> None:
    (found,) = rows("goflow2_json", as_json({**GOFLOW2, "time_flow_start_ns": 0, "time_flow_end_ns": 0}))
    assert (found.start_ns, found.end_ns) == (1681583295157626001, 1681583295157626001)
    times = dict.fromkeys(("time_flow_start_ns", "time_flow_end_ns", "time_received_ns"), 0)
    assert "the flow's start is missing (0)" in decode("goflow2_json", as_json({**GOFLOW2, **times})).refused[0]


@pytest.mark.parametrize(
    ("proto", "transport"),
    [("TCP", "tcp"), (6, "tcp"), ("17", "udp"), (58, "ipv6-icmp"), ("ICMPv6", "ipv6-icmp"), (200, "200"), ("", "")],
)
def test_protocols(proto: Any, transport: str) -> None:
    assert rows("goflow2_json", as_json({**GOFLOW2, "proto": proto}))[0].transport == transport


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bytes": -1}, "flow 1: bytes is -1; 0 to 2^64-1 is allowed"),
        ({"bytes": 1.5}, "flow 1: bytes is 1.5, not an integer"),
        ({"packets": None}, "flow 1: packets is nothing, not an integer"),
        ({"src_addr": ""}, "flow 1: src_addr is ''; text is expected"),
        ({"proto": 256}, "flow 1: the protocol is 256; 0 to 255 or a name is expected"),
        ({"proto": []}, "flow 1: the protocol is an array"),
        (
            {"time_flow_start_ns": 1681583295000000000},
            "flow 1: the flow ends at 1681583294000000003 ns, before it starts",
        ),
        ({"time_flow_end_ns": 2**63}, "flow 1: the flow's end is 9223372036854775808 ns"),
        ({"bytes": 10**400}, "flow 1: bytes is inf, not an integer"),
    ],
)
def test_a_flow_that_cannot_be_read_costs_no_other(change: dict[str, Any], reason: str) -> None:
    decoded = decode("goflow2_json", as_json([GOFLOW2, {**GOFLOW2, **change}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert decoded.refused[0].startswith(reason)
