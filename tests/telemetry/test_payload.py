"""From bytes to one document: compression, sizes, and JSON that only its numbers make unreadable."""

from __future__ import annotations

import gzip
import math
import tracemalloc
import zlib

import pytest
import zstandard

from afoot.errors import DecodeError
from afoot.telemetry import limits, payload
from tests.telemetry.support import message


def test_gzip_and_zstd_are_told_by_their_first_bytes() -> None:
    assert payload.unpacked(message(gzip.compress(b"one") + gzip.compress(b" two")), "f") == b"one two"
    assert payload.unpacked(message(zstandard.compress(b"one")), "f") == b"one"
    assert payload.unpacked(message(b"one"), "f") == b"one"


@pytest.mark.parametrize("packed", [gzip.compress(b"x" * 5_000), zstandard.compress(b"x" * 5_000 + b"y" * 300_000)])
def test_data_cut_off_is_unreadable_wherever_it_is_cut(packed: bytes) -> None:
    for size in range(4, len(packed)):
        with pytest.raises(DecodeError, match=r"before its end mark|broken"):
            payload.unpacked(message(packed[:size]), "f")


def test_broken_data() -> None:
    packed = bytearray(gzip.compress(b"x" * 100))
    packed[-6] ^= 0xFF  # of the checksum
    with pytest.raises(DecodeError, match="f: broken gzip data"):
        payload.unpacked(message(bytes(packed)), "f")
    with pytest.raises(DecodeError, match=r"f: broken zstd data|before its end mark"):
        payload.unpacked(message(b"\x28\xb5\x2f\xfd" + b"\xff" * 40), "f")
    with pytest.raises(DecodeError, match="bytes follow the end of the zstd data"):
        payload.unpacked(message(zstandard.compress(b"x" * 9) + b"y" * 2_000), "f")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_fills_the_memory(kind: str) -> None:
    bomb = bytearray()
    if kind == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        for _ in range(200):
            bomb += packer.compress(bytes(1024 * 1024))
        bomb += packer.flush()
    else:
        bomb += zstandard.ZstdCompressor(level=9).compress(bytes(200 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(DecodeError, match=f"f: {kind} data is over {limits.MESSAGE_BYTES} bytes when decompressed"):
        payload.unpacked(message(bytes(bomb)), "f")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * limits.MESSAGE_BYTES


def test_a_message_of_100_mb_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match=f"f: 104857600 bytes; at most {limits.MESSAGE_BYTES} are read"):
        payload.document(message(bytes(100 * 1024 * 1024)), "f")


def test_a_tombstone_is_no_document() -> None:
    with pytest.raises(DecodeError, match="no value"):
        payload.document(message(None), "f")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the message is empty"),
        (b"  \n", "the message is empty"),
        (b'{"a": 1', "not JSON: .*line 1 column"),
        (b"[1,\xff]", "byte 0xff at position 3 is not UTF-8"),
        (b'"\\ud800"', "half of a character"),
        (b'["\\udc00\\ud800"]', "half of a character"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"a":' * 100_000, "nested too deeply|not JSON"),
        (b"[NaN," + b"[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_json(value: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        payload.document(message(value), "f")
    with pytest.raises(DecodeError, match=reason):
        payload.documents(message(value), "f")


def test_numbers_that_json_or_a_double_has_not_are_left_for_rows_to_refuse() -> None:
    found = payload.document(message(b"[NaN, Infinity, -Infinity, 1e400, 1" + b"0" * 400 + b', "\\ud83d\\ude00"]'), "f")
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, math.inf, math.inf, "\U0001f600"]


def test_integers_beyond_a_double_stay_exact() -> None:
    assert payload.document(message(b"[1681583295157626001, 18446744073709551615]"), "f") == [
        1681583295157626001,
        18446744073709551615,
    ]


def test_a_registry_header_before_json_is_passed_over() -> None:
    assert payload.document(message(b"\x00\x00\x00\x00\x07{}"), "f") == {}


@pytest.mark.parametrize(
    "value",
    [
        b'{"a":1}{"a":2}',
        b'{"a":1}\n\n{"a":2}\n',
        b'[{"a":1},{"a":2}]',
        b' {"a":1} \r\n {"a":2}',
        b'{"a":1}\n{"a":\n2}',
        b'{"a":' + b"\n" * limits.ROWS + b'1}\n{"a":\n2}',
    ],
)
def test_documents_in_a_row_or_an_array(value: bytes) -> None:
    assert payload.documents(message(value), "f") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "value", [b'{"a":1\n"b":2}', b'{"a":1}\n\x0b\n{"a":2}', b'{"a":1}\n{"a"', b'{"a":1}\n{"a":"\n"}']
)
def test_lines_are_documents_or_none_is(value: bytes) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        payload.documents(message(value), "f")


def test_numbers_are_the_same_in_lines_and_alone() -> None:
    for text in (b"18446744073709551616", b"1e400", b"NaN", b"1" + b"0" * 400, b"-0", b"1.0"):
        one, alone = payload.documents(message(b"0\n" + text), "f")[1], payload.documents(message(text), "f")[0]
        assert (repr(one), type(one)) == (repr(alone), type(alone))


def test_too_many_rows_are_refused() -> None:
    for value in (b"[" + b"0," * limits.ROWS + b"0]", b"0 " * (limits.ROWS + 1), b"0\n" * (limits.ROWS + 1)):
        with pytest.raises(DecodeError, match=f"at most {limits.ROWS} a message are read"):
            payload.documents(message(value), "f")
    with pytest.raises(DecodeError, match=f"at most {limits.ROWS} a message are read"):
        payload.lines(message(b"0\n" * (limits.ROWS + 1)), "f")
