"""NetObserv's flow logs, by the reference of its fields."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry.rows import Decoded, FlowRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample

NETOBSERV: dict[str, Any] = {
    "AgentIP": "10.0.0.9",
    "SrcAddr": "10.1.0.1",
    "SrcPort": 5000,
    "SrcK8S_Name": "receiver-1",
    "SrcK8S_Namespace": "ingest",
    "SrcK8S_Type": "Pod",
    "DstAddr": "10.1.0.2",
    "DstPort": 9092,
    "DstK8S_Name": "kafka-0",
    "Proto": 6,
    "Bytes": 1500,
    "Packets": 2,
    "Sampling": 50,
    "Interface": "eth0",
    "Duplicate": False,
    "TimeFlowStartMs": 1_795_230_762_477,
    "TimeFlowEndMs": 1_795_230_762_999,
    "TimeReceived": 1_795_230_763,
}


def test_netobserv() -> None:
    assert rows("netobserv_json", as_json(NETOBSERV)) == [
        FlowRecord(
            1_795_230_762_477_000_000,
            1_795_230_762_999_000_000,
            "10.1.0.1",
            5000,
            "10.1.0.2",
            9092,
            "tcp",
            1500,
            2,
            50,
            None,
            None,
            "10.0.0.9",
            labels(
                SrcK8S_Name="receiver-1",
                SrcK8S_Namespace="ingest",
                SrcK8S_Type="Pod",
                DstK8S_Name="kafka-0",
                Interface="eth0",
            ),
        )
    ]


def test_netobserv_s_newer_records_name_all_interfaces_of_a_flow() -> None:
    newer = {name: value for name, value in NETOBSERV.items() if name not in ("Interface", "Duplicate")}
    newer |= {"Interfaces": ["eth0", "br-ex"], "IfDirections": [0, 1], "Etype": 2048, "Dscp": 0, "Flags": ["ACK"]}
    newer |= {"SrcK8S_OwnerName": "receiver", "K8S_FlowLayer": "app", "_HashId": "1", "_RecordType": "flowLog"}
    (found,) = rows("netobserv_json", as_json(newer))
    assert found.bytes == 1500
    assert found.labels.mapping["Interfaces"] == '["eth0","br-ex"]'
    assert found.labels.mapping["SrcK8S_OwnerName"] == "receiver"


def test_flows_of_goflow2_before_its_second_version() -> None:
    sent = {"Type": "SFLOW_5", "TimeReceived": 1681583295, "SequenceNum": 2757, "SamplingRate": 100}
    sent |= {"SamplerAddress": "192.168.0.1", "TimeFlowStart": 1681583290, "TimeFlowEnd": 1681583294, "Bytes": 1500}
    sent |= {"Packets": 1, "SrcAddr": "fd01::1", "DstAddr": "fd01::2", "Etype": 34525, "Proto": 6, "SrcPort": 443}
    sent |= {"DstPort": 50001, "InIf": 3, "OutIf": 4, "SrcAS": 64500, "DstAS": 0}
    assert rows("netobserv_json", as_json(sent)) == [
        FlowRecord(
            1_681_583_290_000_000_000,
            1_681_583_294_000_000_000,
            "fd01::1",
            443,
            "fd01::2",
            50001,
            "tcp",
            1500,
            1,
            100,
            64500,
            None,
            "192.168.0.1",
            labels(),
        )
    ]


def test_netobserv_flows_of_goflow2_s_older_json() -> None:
    found = rows("netobserv_json", sample("netobserv/flp_goflow_legacy_100.ndjson"))
    assert len(found) == 100
    assert sum(row.bytes for row in found) == 7_612_000  # added up beside
    assert found[0] == FlowRecord(
        1_637_501_832_000_000_000,  # TimeReceived: the flow's own times are 0
        1_637_501_832_000_000_000,
        "10.130.2.13",
        3100,
        "10.130.2.2",
        36936,
        "tcp",
        20800,
        400,
        None,
        None,
        None,
        "100.64.0.8",  # ZEAACA==
        labels(SrcHostIP="10.0.197.206", SrcPod="observatorium-loki-ingester-0", SrcWorkloadKind="StatefulSet"),
    )


def test_netobserv_conversations_and_duplicates_count_nothing_twice() -> None:
    assert decode("netobserv_json", sample("netobserv/flp_conntrack.json")) == Decoded(
        [],
        [
            "flow 0: _RecordType is 'endConnection': a conversation repeats the bytes of its flow logs",
            "flow 1: Packets is nothing, not an integer",
        ],
    )
    decoded = decode("netobserv_json", as_json([NETOBSERV, {**NETOBSERV, "Interface": "br0", "Duplicate": True}]))
    assert len(decoded.rows) == 1
    assert decoded.refused == ["flow 1: Duplicate is true: the flow is sent from another interface as well"]
    assert "Duplicate is 'yes'" in dead("netobserv_json", as_json({**NETOBSERV, "Duplicate": "yes"}))


# RecordToMap in the agent's pkg/decode/decode_protobuf.go.
OF_THE_AGENT: dict[str, Any] = {
    "SrcMac": "02:42:ac:11:00:02",
    "DstMac": "02:42:ac:11:00:03",
    "Etype": 2048,
    "TimeFlowStartMs": 1_795_230_762_477,
    "TimeFlowEndMs": 1_795_230_762_999,
    "TimeReceived": 1_795_230_763,
    "AgentIP": "10.0.0.9",
    "IfDirections": [0],
    "Interfaces": ["eth0"],
    "SrcAddr": "10.1.0.1",
    "DstAddr": "10.1.0.2",
    "Proto": 6,
    "Dscp": 0,
    "SrcPort": 5000,
    "DstPort": 9092,
    "Flags": 2,
}


@pytest.mark.parametrize(
    "seen",
    [
        {"PktDropBytes": 100, "PktDropPackets": 1, "PktDropLatestDropCause": "SKB_DROP_REASON_NETFILTER_DROP"},
        {"DnsId": 7, "DnsFlags": 33152, "DnsFlagsResponseCode": "NoError", "DnsLatencyMs": 3},
    ],
)
def test_a_flow_that_only_a_feature_of_the_agent_has_seen(seen: dict[str, Any]) -> None:
    (found,) = rows("netobserv_json", as_json({**OF_THE_AGENT, **seen}))
    assert (found.source_address, found.bytes, found.packets) == ("10.1.0.1", 0, 0)


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ({**OF_THE_AGENT, "Bytes": 100}, "Packets is nothing, not an integer"),
        ({**OF_THE_AGENT, "Packets": 1}, "Bytes is nothing, not an integer"),
        ({**OF_THE_AGENT, "Bytes": None, "Packets": None}, "Bytes is nothing, not an integer"),
        ({key: value for key, value in OF_THE_AGENT.items() if key != "AgentIP"}, "Bytes is nothing, not an integer"),
    ],
)
def test_what_else_is_missing_is_not_zero(sent: dict[str, Any], missing: str) -> None:
    assert missing in dead("netobserv_json", as_json(sent))


def test_a_frame_that_is_not_of_ip_is_refused() -> None:
    ip = ("SrcAddr", "DstAddr", "Proto", "Dscp", "SrcPort", "DstPort", "Flags")
    arp = {key: value for key, value in OF_THE_AGENT.items() if key not in ip}
    assert decode("netobserv_json", as_json({**arp, "Etype": 2054, "Bytes": 42, "Packets": 1})) == Decoded(
        [], ["flow 0: there is no SrcAddr: the frame is not of IP, its Etype is 2054"]
    )


def test_netobserv_samplers() -> None:
    plain = {key: value for key, value in NETOBSERV.items() if key != "AgentIP"}
    for sent, address in (("192.0.2.1", "192.0.2.1"), ("fd00::1", "fd00::1"), ("wAACAQ==", "192.0.2.1"), ("", "")):
        (found,) = rows("netobserv_json", as_json({**plain, "SamplerAddress": sent}))
        assert found.sampler == address
    assert "SamplerAddress is '???'" in dead("netobserv_json", as_json({**plain, "SamplerAddress": "???"}))
