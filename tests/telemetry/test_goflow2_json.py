"""goflow2's JSON, by its README, its proto's comments and docs/mapping.md."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry.rows import Decoded, FlowRecord
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
        ({"src_addr": None}, "flow 1: src_addr is nothing; text is expected"),
        ({"time_received_ns": "soon"}, "flow 1: time_received_ns is 'soon', not an integer"),
        (
            {"time_received_ns": "2026-11-21T03:17:08.961102154"},
            "flow 1: time_received_ns is '2026-11-21T03:17:08.9611",
        ),
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


def test_rendered_times() -> None:
    # cmd/goflow2/mapping.yaml has render: time_received_ns: datetimenano, Go's RFC3339Nano of UTC.
    times: dict[str, Any] = {"time_flow_start_ns": 0, "time_flow_end_ns": 0}
    (found,) = rows("goflow2_json", as_json({**GOFLOW2, **times, "time_received_ns": "2026-11-21T03:17:08.961102154Z"}))
    assert (found.start_ns, found.end_ns) == (1_795_231_028_961_102_154, 1_795_231_028_961_102_154)
    times = {"time_flow_start_ns": "2026-11-21T03:17:08.9Z", "time_flow_end_ns": "1970-01-01T00:00:00Z"}
    (found,) = rows("goflow2_json", as_json({**GOFLOW2, **times, "time_received_ns": "2026-11-21T03:17:09Z"}))
    assert (found.start_ns, found.end_ns) == (1_795_231_028_900_000_000, 1_795_231_029_000_000_000)


def test_a_packet_that_is_not_of_ip_is_refused() -> None:
    # An sFlow sample of ARP: RenderIP gives "" for no address.
    arp = {**GOFLOW2, "type": "SFLOW_5", "src_addr": "", "dst_addr": "", "etype": "ARP", "proto": "HOPOPT"}
    assert decode("goflow2_json", as_json(arp)) == Decoded([], ["flow 0: src_addr is empty: the packet is not of IP"])
    assert decode("goflow2_json", as_json({**V1, "SrcAddr": "", "DstAddr": "", "Etype": 2054, "Proto": 0})).refused


# As goflow2 1.3 prints a flow of NetFlow v9.
V1: dict[str, Any] = {
    "Type": "NETFLOW_V9",
    "TimeReceived": 1701698130,
    "SequenceNum": 14,
    "SamplingRate": 0,
    "FlowDirection": 1,
    "SamplerAddress": "127.0.0.1",
    "TimeFlowStart": 1701697829,
    "TimeFlowEnd": 1701697830,
    "TimeFlowStartMs": 1701697829395,
    "TimeFlowEndMs": 1701697830017,
    "Bytes": 101,
    "Packets": 1,
    "SrcAddr": "192.87.173.56",
    "DstAddr": "138.201.123.137",
    "Etype": 2048,
    "Proto": 17,
    "SrcPort": 39918,
    "DstPort": 53,
    "InIf": 7,
    "OutIf": 0,
    "SrcAs": 1103,
    "DstAs": 0,
}


def test_flows_of_the_first_version() -> None:
    assert rows("goflow2_json", as_json(V1)) == [
        FlowRecord(
            1_701_697_829_395_000_000,
            1_701_697_830_017_000_000,
            "192.87.173.56",
            39918,
            "138.201.123.137",
            53,
            "udp",
            101,
            1,
            None,
            1103,
            None,
            "127.0.0.1",
            labels(in_if="7"),
        )
    ]


@pytest.mark.parametrize(
    ("times", "start_ns", "end_ns"),
    [
        # Before 1.1 there are no milliseconds; sFlow and some exporters of NetFlow tell no times at all.
        ({"TimeFlowStartMs": 0, "TimeFlowEndMs": 0}, 1_701_697_829_000_000_000, 1_701_697_830_000_000_000),
        (
            dict.fromkeys(("TimeFlowStart", "TimeFlowEnd", "TimeFlowStartMs", "TimeFlowEndMs"), 0),
            1_701_698_130_000_000_000,
            1_701_698_130_000_000_000,
        ),
    ],
)
def test_times_of_the_first_version(times: dict[str, int], start_ns: int, end_ns: int) -> None:
    (found,) = rows("goflow2_json", as_json({**V1, **times}))
    assert (found.start_ns, found.end_ns) == (start_ns, end_ns)


def test_as_numbers_before_1_2() -> None:
    older = {field: value for field, value in V1.items() if field not in ("SrcAs", "DstAs")}
    (found,) = rows("goflow2_json", as_json({**older, "SrcAS": 64500, "DstAS": 64501}))
    assert (found.source_as, found.destination_as) == (64500, 64501)
