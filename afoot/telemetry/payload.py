"""From a message's bytes to one document: size limits, gzip and zstd, JSON, lines."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import orjson
import zstandard

from afoot.errors import DecodeError
from afoot.telemetry import limits
from afoot.telemetry.rows import Message

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = (b"\x1f", b"\x28")
_CONFLUENT_HEADER = 5  # a zero byte and the schema's id in four
_SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_BLANK = b" \t\r\n"
_BLANKS = re.compile(r"[ \t\r\n]+")
_ZSTD_STEP = 512  # compressed bytes at a time: a block of four bytes may become 128 KiB


def received(message: Message, format_name: str) -> bytes:
    """The message's bytes as they are; DecodeError if it has none or too many."""
    value = message.value
    if value is None:
        raise DecodeError(f"{format_name}: the message has no value (a tombstone), which means nothing in this format")
    if len(value) > limits.MESSAGE_BYTES:
        raise DecodeError(f"{format_name}: {len(value)} bytes; at most {limits.MESSAGE_BYTES} are read")
    return value


def unpacked(message: Message, format_name: str) -> bytes:
    """The message's bytes, decompressed where they begin as gzip or zstd, which no text format does."""
    value = received(message, format_name)
    if value[:1] not in _PACKED:
        return value
    if value.startswith(_GZIP):
        return _gunzip(value, format_name)
    if value.startswith(_ZSTD):
        return _unzstd(value, format_name)
    return value


def document(message: Message, format_name: str) -> Any:
    """The message as one JSON document, without a schema registry's header if it has one."""
    value = unpacked(message, format_name)
    if value[:1] == b"\x00":
        value = value[_CONFLUENT_HEADER:]
    return parse(value, format_name)


def parse(value: bytes | str, format_name: str) -> Any:
    """JSON text to Python; NaN, Infinity and numbers beyond a double become floats that rows refuse."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return _parse_leniently(value, format_name, error)


def lines(message: Message, format_name: str) -> list[bytes]:
    """The message's lines that hold anything; DecodeError if there is none."""
    found = [line for line in unpacked(message, format_name).split(b"\n") if line and not line.isspace()]
    if not found:
        raise DecodeError(f"{format_name}: the message is empty; at least one line is expected")
    check_rows(len(found), format_name)
    return found


def documents(message: Message, format_name: str) -> list[Any]:
    """One JSON document, an array of documents, or documents one after another, with or without line ends between."""
    value = unpacked(message, format_name)
    if value[:1] == b"\x00":
        value = value[_CONFLUENT_HEADER:]
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return _a_line_each(value) or _many(value, format_name, error)
    if type(found) is list:
        check_rows(len(found), format_name)
        return found
    return [found]


def text(value: bytes, format_name: str) -> str:
    """UTF-8 bytes to text; DecodeError naming the first wrong byte."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{value[error.start]:02x} at position {error.start}"
        raise DecodeError(f"{format_name}: {found} is not UTF-8 text") from None


def check_rows(count: int, format_name: str) -> None:
    """DecodeError if a message holds more rows than are read."""
    if count > limits.ROWS:
        raise DecodeError(f"{format_name}: {count} rows; at most {limits.ROWS} a message are read")


def shown(value: object) -> str:
    """What was found, short enough for a reason."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None:
        return "nothing"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str | bytes) and len(value) > 60:
        return f"{value[:40]!r}... of {len(value)} characters"
    return repr(value)


def shown_keys(found: Mapping[str, object]) -> str:
    """The first keys of an object, for a reason."""
    keys = sorted(found)
    return ", ".join(map(shown, keys[:6])) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "") or "none"


def _gunzip(value: bytes, format_name: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = value
    try:
        while rest:  # a gzip file may have several members
            member = zlib.decompressobj(31)
            parts.append(member.decompress(rest, limits.MESSAGE_BYTES - size + 1))
            size += len(parts[-1])
            if size > limits.MESSAGE_BYTES:
                _too_large("gzip", format_name)
            if not member.eof:
                raise DecodeError(f"{format_name}: gzip data ends after {len(value)} bytes, before its end mark")
            rest = member.unused_data
    except zlib.error as error:
        raise DecodeError(f"{format_name}: broken gzip data: {error}") from None
    return b"".join(parts)


def _unzstd(value: bytes, format_name: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    decoder = zstandard.ZstdDecompressor(max_window_size=limits.MESSAGE_BYTES).decompressobj()
    try:
        for start in range(0, len(value), _ZSTD_STEP):
            if decoder.eof:
                raise DecodeError(f"{format_name}: bytes follow the end of the zstd data")
            parts.append(decoder.decompress(value[start : start + _ZSTD_STEP]))
            size += len(parts[-1])
            if size > limits.MESSAGE_BYTES:
                _too_large("zstd", format_name)
    except zstandard.ZstdError as error:
        raise DecodeError(f"{format_name}: broken zstd data: {error}") from None
    if not decoder.eof:
        raise DecodeError(f"{format_name}: zstd data ends after {len(value)} bytes, before its end mark")
    return b"".join(parts)


def _too_large(kind: str, format_name: str) -> NoReturn:
    raise DecodeError(f"{format_name}: {kind} data is over {limits.MESSAGE_BYTES} bytes when decompressed")


def _parse_leniently(value: bytes | str, format_name: str, error: orjson.JSONDecodeError) -> Any:
    """What the fast parser refuses as a whole only because of a number is read, so that only its row is lost."""
    source = text(value, format_name) if isinstance(value, bytes) else value
    if not source or source.isspace():
        raise DecodeError(f"{format_name}: the message is empty; JSON is expected")
    _check_surrogates(source, format_name)
    try:
        return json.loads(source, parse_int=_integer)
    except RecursionError:
        raise DecodeError(f"{format_name}: JSON is nested too deeply: {error}") from None
    except ValueError:
        raise DecodeError(f"{format_name}: not JSON: {error}") from None


def _check_surrogates(source: str, format_name: str) -> None:
    for match in _SURROGATES.finditer(source):
        if len(match[0]) != 12 and match[0].startswith("\\u"):  # a pair has twelve characters
            raise DecodeError(f"{format_name}: {match[0]} at position {match.start()} is half of a character")


def _integer(digits: str) -> float | int:
    # Over 400 digits no double holds it; and Python takes quadratic time to read it.
    return int(digits) if len(digits) < 400 else float("-inf" if digits.startswith("-") else "inf")


def _a_line_each(value: bytes) -> list[Any]:
    """Documents of a line each, as nearly all are that come several at a time; none if one of them is anything else."""
    if value.count(b"\n") > limits.ROWS:
        return []
    try:
        return [orjson.loads(line) for line in value.split(b"\n") if line.strip(_BLANK)]
    except orjson.JSONDecodeError:
        return []


def _many(value: bytes, format_name: str, error: orjson.JSONDecodeError) -> list[Any]:
    source = text(value, format_name)
    _check_surrogates(source, format_name)
    decoder: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(parse_int=_integer).raw_decode
    found: list[Any] = []
    position = 0
    while True:
        blanks = _BLANKS.match(source, position)
        position = blanks.end() if blanks else position
        if position == len(source):
            break
        try:
            one, position = decoder(source, position)
        except RecursionError:
            raise DecodeError(f"{format_name}: JSON is nested too deeply: {error}") from None
        except ValueError as broken:
            raise DecodeError(f"{format_name}: not JSON: {broken}") from None
        found.append(one)
        check_rows(len(found), format_name)
    if not found:
        raise DecodeError(f"{format_name}: the message is empty; JSON is expected")
    if len(found) == 1 and type(found[0]) is list:
        check_rows(len(found[0]), format_name)
        return list(found[0])
    return found
