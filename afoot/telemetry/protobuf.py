"""Protocol Buffers' wire format, read by tables: a message becomes a dict, and fields that no table names are skipped.

A table has, by field number, the key in the dict, and what the field is:
  uint, bool, text, bytes, fixed64 (unsigned), sfixed64, double, sint (zigzag), raw (a nested message's bytes),
  a table (a nested message); and a list of one of these for a repeated field, packed or not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from afoot.telemetry import limits

Table = dict[int, tuple[str, Any]]

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_WIRE_TYPES = {
    "uint": _VARINT,
    "bool": _VARINT,
    "sint": _VARINT,
    "int": _VARINT,
    "fixed64": _EIGHT,
    "sfixed64": _EIGHT,
    "double": _EIGHT,
    "text": _LENGTH,
    "bytes": _LENGTH,
    "raw": _LENGTH,
}
_fixed64 = struct.Struct("<Q").unpack_from
_sfixed64 = struct.Struct("<q").unpack_from
_double = struct.Struct("<d").unpack_from
_EIGHT_BYTES = {"fixed64": _fixed64, "sfixed64": _sfixed64, "double": _double}


class Broken(ValueError):
    """Bytes that are not a message of the table; the text says where."""


def read(value: bytes, table: Table, start: int = 0, end: int | None = None, depth: int = 0) -> dict[str, Any]:
    """The message in value[start:end]."""
    if depth > limits.DEPTH:
        raise Broken(f"messages nested over {limits.DEPTH} deep at byte {start}")
    end = len(value) if end is None else end
    found: dict[str, Any] = {}
    position = start
    try:
        while position < end:
            tag_at = position
            tag = value[position]
            position += 1
            if tag & 0x80:
                tag, position = varint(value, tag_at)
            wire_type = tag & 7
            number: int | None = None
            after = position
            if wire_type == _LENGTH:
                size = value[position]
                position += 1
                if size & 0x80:
                    size, position = varint(value, position - 1)
                after = position + size
            elif wire_type == _EIGHT:
                after = position + 8
            elif wire_type == _VARINT:
                number = value[position]
                after = position + 1
                if number & 0x80:
                    number, after = varint(value, position)
            elif wire_type == _FOUR:
                after = position + 4
            else:
                raise Broken(f"wire type {wire_type} at byte {tag_at}; 0, 1, 2 and 5 are known")
            if after > end:
                raise Broken(f"field {tag >> 3} at byte {tag_at} ends at {after}, after its message at {end}")
            known = table.get(tag >> 3)
            if known is not None:
                key, kind = known
                if type(kind) is list:
                    items = found.get(key)
                    if items is None:
                        items = found[key] = []
                    elif len(items) > limits.ROWS:
                        raise Broken(f"field {tag >> 3} at byte {tag_at} is repeated over {limits.ROWS} times")
                    kind = kind[0]
                    if kind == "raw":
                        if wire_type != _LENGTH:
                            raise _another(tag, tag_at, kind)
                        items.append(value[position:after])
                    elif wire_type == _LENGTH and type(kind) is str and _WIRE_TYPES[kind] != _LENGTH:
                        items.extend(_packed(value, position, after, kind))
                    else:
                        items.append(_one(value, position, after, kind, wire_type, number, tag, tag_at, depth))
                elif number is not None and kind == "uint":  # this and the next are most fields, so without a call
                    found[key] = number
                elif wire_type == _LENGTH and kind == "bytes":
                    found[key] = value[position:after]
                else:
                    found[key] = _one(value, position, after, kind, wire_type, number, tag, tag_at, depth)
            position = after
    except IndexError:
        raise Broken(f"the message ends inside a field, at byte {len(value)}") from None
    return found


def varint(value: bytes, position: int) -> tuple[int, int]:
    """A varint of at most 64 bits, and the position after it; IndexError where the bytes end before it does."""
    start = position
    byte = value[position]
    position += 1
    number = byte & 0x7F
    shift = 7
    while byte & 0x80:
        if shift > 63:
            raise Broken(f"a number of over ten bytes at byte {start}")
        byte = value[position]
        position += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    if number >> 64:
        raise Broken(f"a number of over 64 bits at byte {start}")
    return number, position


def _one(
    value: bytes,
    position: int,
    after: int,
    kind: Any,
    wire_type: int,
    number: int | None,
    tag: int,
    tag_at: int,
    depth: int,
) -> Any:
    if type(kind) is dict:
        if wire_type != _LENGTH:
            raise _another(tag, tag_at, "message")
        return read(value, kind, position, after, depth + 1)
    if wire_type != _WIRE_TYPES[kind]:
        raise _another(tag, tag_at, kind)
    if wire_type == _EIGHT:
        return _EIGHT_BYTES[kind](value, position)[0]
    if number is not None:
        return _number(number, kind)
    content = value[position:after]
    if kind != "text":
        return content
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Broken(f"byte 0x{content[error.start]:02x} at {position + error.start} is not UTF-8") from None


def _packed(value: bytes, position: int, end: int, kind: str) -> Iterator[Any]:
    if _WIRE_TYPES[kind] == _EIGHT:
        if (end - position) % 8:
            raise Broken(f"{end - position} bytes of eight-byte numbers at byte {position}")
        for at in range(position, end, 8):
            yield _EIGHT_BYTES[kind](value, at)[0]
        return
    while position < end:
        number, position = varint(value, position)
        yield _number(number, kind)
    if position > end:
        raise Broken(f"numbers at byte {end} go beyond their field")


def _number(number: int, kind: str) -> int | bool:
    if kind == "bool":
        return number != 0
    if kind == "sint":
        return (number >> 1) ^ -(number & 1)
    if kind == "int":
        return number - 2**64 if number >= 2**63 else number
    return number


def _another(tag: int, tag_at: int, kind: str) -> Broken:
    return Broken(f"field {tag >> 3} at byte {tag_at} has wire type {tag & 7}, which no {kind} has")
