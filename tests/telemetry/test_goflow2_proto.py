"""goflow2's Protocol Buffers, version 1 and later, by its flow.proto."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.rows import Decoded, FlowRecord
from tests.telemetry.support import dead, decode, labels, rows, sample, steady

OF_GOFLOW1 = FlowRecord(
    start_ns=1_633_960_870_000_000_000,  # TimeReceived: no other time is sent
    end_ns=1_633_960_870_000_000_000,
    source_address="10.244.2.3",
    source_port=8181,
    destination_address="10.244.2.2",
    destination_port=44342,
    transport="tcp",
    bytes=20800,
    packets=400,
    sampling_rate=None,
    source_as=None,
    destination_as=None,
    sampler="100.64.0.3",
    labels=labels(in_if="7"),
)


def test_goflow_1_with_and_without_its_length() -> None:
    assert rows("goflow2_proto", sample("goflow2/legacy_goflow1_flowmessage.bin")) == [OF_GOFLOW1]
    prefixed = sample("goflow2/flowmessage_length_delimited.bin")
    assert rows("goflow2_proto", prefixed) == [OF_GOFLOW1]
    assert rows("goflow2_proto", prefixed * 3) == [OF_GOFLOW1] * 3


def test_a_stream_that_is_cut_is_no_message() -> None:
    # A flow of 72 bytes, a line end, and the beginning of another flow.
    assert "field 1 at byte 72 has wire type 2" in dead(
        "goflow2_proto", sample("goflow2/legacy_goflow1_flowmessage_stream.bin")
    )


def field(number: int, value: int | bytes) -> bytes:
    def varint(found: int) -> bytes:
        parts = []
        while True:
            parts.append((found & 0x7F) | (0x80 if found > 0x7F else 0))
            found >>= 7
            if not found:
                return bytes(parts)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def flow_message(**changes: int | bytes) -> bytes:
    fields: dict[int, int | bytes] = {
        1: 3,
        3: 1000,
        4: 77,
        6: bytes.fromhex("fd010000000000000000000000000001"),
        7: bytes.fromhex("fd010000000000000000000000000002"),
        9: 2**40,
        10: 7,
        11: bytes([192, 0, 2, 1]),
        14: 64500,
        15: 64501,
        18: 3,
        19: 4,
        20: 17,
        21: 53,
        22: 50001,
        30: 0x86DD,
        38: 2,
        102: b"\x01\x02",
        110: 1681583295157626001,
        111: 1681583290000000001,
        112: 1681583294000000003,
    }
    fields |= {int(number.removeprefix("f")): value for number, value in changes.items()}
    return b"".join(field(number, value) for number, value in fields.items())


OF_GOFLOW2 = FlowRecord(
    1681583290000000001,
    1681583294000000003,
    "fd01::1",
    53,
    "fd01::2",
    50001,
    "udp",
    2**40,
    7,
    1000,
    64500,
    64501,
    "192.0.2.1",
    labels(in_if="3", out_if="4"),
)


def test_goflow2_messages() -> None:
    value = flow_message()
    size = len(value)
    assert rows("goflow2_proto", value) == [OF_GOFLOW2]
    assert rows("goflow2_proto", bytes([(size & 0x7F) | 0x80, size >> 7]) + value) == [OF_GOFLOW2]


def test_goflow2_addresses_have_four_or_sixteen_bytes() -> None:
    assert decode("goflow2_proto", flow_message(f6=b"\x01\x02")).refused == [
        "flow 0: src_addr has 2 bytes; 4 or 16 are expected"
    ]


def test_a_packet_that_is_not_of_ip_is_refused() -> None:
    # An sFlow sample of ARP: proto3 sends no addresses, as they have no bytes.
    numbers = {1: 1, 3: 100, 4: 77, 9: 64, 10: 1, 11: bytes([192, 0, 2, 1]), 30: 0x0806, 110: 1681583295157626001}
    arp = b"".join(field(number, value) for number, value in numbers.items())
    assert decode("goflow2_proto", arp) == Decoded(
        [], ["flow 0: there is no src_addr: the packet is not of IP, its etype is 0x0806"]
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the message is empty; a flow is expected"),
        (b"\x80", "the message ends inside a length, at byte 1"),
        (b"\x00\x00", "a flow of 0 bytes at byte 1"),
        (b"\x20\x08\x04", "a flow of 32 bytes at byte 1, where 2 are left"),
        (b"{}", "a flow of 123 bytes at byte 1, where 1 are left"),
        (b"\x08\x04\x4a\x02", "ends at 6, after its message at 4"),
    ],
)
def test_broken_goflow2_messages(value: bytes, reason: str) -> None:
    assert reason in dead("goflow2_proto", value)


@steady
@given(st.data())
def test_changed_goflow2_bytes_end_as_rows_or_reasons(data: st.DataObject) -> None:
    value = bytearray(flow_message())
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode("goflow2_proto", bytes(value))
    except DecodeError as error:
        assert str(error).startswith("goflow2_proto: ")
    else:
        assert len(decoded.rows) + len(decoded.refused) == 1


def test_too_many_flows_are_dead_before_they_fill_the_memory() -> None:
    assert "at most 200000 a message are read" in dead("goflow2_proto", b"\x02\x08\x01" * (limits.ROWS + 1))
