"""AWS VPC Flow Logs, by AWS's description of their records."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import Decoded, FlowRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample, steady

NAMES = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
V2 = (
    "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
)
OF_V2 = FlowRecord(
    1_418_530_010_000_000_000,
    1_418_530_070_000_000_000,
    "172.31.16.139",
    20641,
    "172.31.16.21",
    22,
    "tcp",
    4249,
    20,
    None,
    None,
    None,
    "eni-1235b8ca123456789",
    labels(**{"account-id": "123456789010", "interface-id": "eni-1235b8ca123456789", "action": "ACCEPT"}),
)


def test_vpc_records_in_a_subscription_s_envelope() -> None:
    envelope = sample("aws-vpc/vpc_flow_cw.json")
    rejected = OF_V2._replace(
        source_address="172.31.9.69",
        source_port=49761,
        destination_address="172.31.9.12",
        destination_port=3389,
        labels=labels(**{**OF_V2.labels.mapping, "action": "REJECT"}),
    )
    assert rows("vpc_flow_log", envelope) == [OF_V2, rejected]
    assert rows("vpc_flow_log", gzip.compress(envelope)) == [OF_V2, rejected]  # as CloudWatch Logs sends it
    assert "gzip data ends" in dead("vpc_flow_log", gzip.compress(envelope)[:-4])
    control = {**json.loads(envelope), "messageType": "CONTROL_MESSAGE"}
    assert rows("vpc_flow_log", as_json(control)) == []
    assert "logEvents is no array" in dead("vpc_flow_log", b'{"messageType": "DATA_MESSAGE", "logEvents": [5]}')


def test_vpc_records_whose_first_line_names_the_fields() -> None:
    (found,) = rows("vpc_flow_log", sample("aws-vpc/vpc_flow_v5_ecs.log"))
    assert found[:10] == (
        1_700_000_000_000_000_000,
        1_700_000_060_000_000_000,
        "10.0.1.100",
        49152,
        "10.0.2.200",
        22,
        "tcp",
        3500,
        15,
        None,
    )
    assert found.labels.mapping["ecs-cluster-name"] == "my-cluster"
    assert found.labels.mapping["ecs-task-id"] == "abcdef1234567890"
    assert "version" not in found.labels.mapping


@steady
@given(st.permutations(list(zip(NAMES.split(), V2.split(), strict=True))))
def test_vpc_fields_in_any_order(pairs: list[tuple[str, str]]) -> None:
    names, words = (" ".join(part) for part in zip(*pairs, strict=True))
    assert rows("vpc_flow_log", f"{names}\n{words}\n".encode()) == [OF_V2]
    assert rows("vpc_flow_log", words.encode(), fields=names) == [OF_V2]
    dollars = " ".join(f"${{{name}}}" for name in names.split())  # as AWS's console has a format
    assert rows("vpc_flow_log", words.encode(), fields=dollars) == [OF_V2]


def test_vpc_records_as_firehose_delivers_them() -> None:
    one = as_json({"message": V2})
    assert rows("vpc_flow_log", one) == [OF_V2]
    assert rows("vpc_flow_log", one + b"\n" + one) == [OF_V2, OF_V2]
    assert "logEvents is no array" in dead("vpc_flow_log", b'{"message": 5}')


# The fields that AWS's versions brought, with a record in each of these custom formats.
LATER = {
    3: "vpc-id=vpc-1 subnet-id=subnet-1 instance-id=i-1 tcp-flags=19 type=IPv4 pkt-srcaddr=10.0.0.9 pkt-dstaddr=-",
    4: "region=eu-central-1 az-id=euc1-az2 sublocation-type=- sublocation-id=-",
    5: "pkt-src-aws-service=- pkt-dst-aws-service=S3 flow-direction=egress traffic-path=8",
    7: "ecs-cluster-name=main ecs-service-name=web ecs-task-id=7f",
    8: "reject-reason=BPA",
}


@pytest.mark.parametrize("version", [2, *LATER])
def test_vpc_fields_of_each_version(version: int) -> None:
    pairs = [*zip(NAMES.split(), V2.split(), strict=True)]
    more = [tuple(pair.split("=")) for since, part in LATER.items() if since <= version for pair in part.split()]
    names = " ".join(name for name, _ in [*more, *pairs])  # the later ones first: any order is allowed
    words = " ".join(word for _, word in [*more, *pairs]).replace(" 2 1234", f" {version} 1234")
    known = {name: word for name, word in more if word != "-" and name != "tcp-flags"}
    expected = OF_V2._replace(labels=labels(**{**OF_V2.labels.mapping, **known}))
    assert rows("vpc_flow_log", words.encode(), fields=names) == [expected]


def test_vpc_intervals_without_a_flow() -> None:
    quiet = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA"
    lost = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA"
    assert decode("vpc_flow_log", f"{quiet}\n{V2}\n{lost}\n".encode()) == Decoded(
        [OF_V2], ["line 3: log-status is 'SKIPDATA': AWS lost records of this interval"]
    )
    assert rows("vpc_flow_log", quiet.encode()) == []


def test_vpc_intervals_without_a_flow_in_a_format_without_log_status() -> None:
    names = NAMES.removesuffix(" log-status")
    line = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 -"
    reason = "line 1: no traffic, or AWS lost records: log-status, which tells, is not among the fields"
    assert decode("vpc_flow_log", line.encode(), fields=names) == Decoded([], [reason])
    assert "srcaddr is nothing" in dead(
        "vpc_flow_log", line.replace("- - - 1431", "- 3 84 1431").encode(), fields=names
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (V2 + " 5", "line 2: 15 words; 14 fields are expected: 'version account-id"),
        (V2.replace(" 4249 ", " -1 "), "line 2: bytes is -1; 0 to 2^64-1 is allowed"),
        (V2.replace(" 4249 ", " many "), "line 2: bytes is 'many', not an integer"),
        (V2.replace(" 4249 ", " - "), "line 2: bytes is nothing, not an integer"),
        (V2.replace("1418530070", "1418530000"), "line 2: the flow ends at"),
        (V2.replace("1418530010", "0"), "line 2: start is missing (0)"),
        (V2.replace("172.31.16.139", "-"), "line 2: srcaddr is nothing; text is expected"),
    ],
)
def test_a_vpc_line_that_cannot_be_read_costs_no_other(line: str, reason: str) -> None:
    decoded = decode("vpc_flow_log", f"{V2}\n{line}".encode())
    assert decoded.rows == [OF_V2]
    assert decoded.refused[0].startswith(reason)


def test_vpc_fields_must_make_a_flow() -> None:
    with pytest.raises(UsageError, match="fields lack dstaddr, packets, bytes, start, end; a flow needs srcaddr"):
        formats.decoder("vpc_flow_log", "flows", {"fields": "version srcaddr"})
    assert "4 words" in dead("vpc_flow_log", b"this is no flow")
