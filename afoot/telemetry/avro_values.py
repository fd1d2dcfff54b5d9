"""Avro's binary encoding, as far as it is read here by hand: varints, texts and the blocks of an array."""

from __future__ import annotations

import io
from collections.abc import Iterator

_MAX_VARINT_BITS = 63
_LONG_BITS = 64


class Broken(ValueError):
    """Bytes that are not Avro of the schema; the text says where."""


def long(value: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint of at most 64 bits, and the position after it."""
    start = position
    byte = value[position]
    position += 1
    raw = byte & 0x7F
    shift = 7
    while byte & 0x80:
        if shift > _MAX_VARINT_BITS:
            raise Broken(f"a number of over 64 bits at byte {start}")
        byte = value[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        shift += 7
    if raw >> _LONG_BITS:
        raise Broken(f"a number of over 64 bits at byte {start}")
    return (raw >> 1) ^ -(raw & 1), position


def text(value: bytes, position: int) -> tuple[str, int]:
    """A UTF-8 text with its length in front, and the position after it."""
    size, start = long(value, position)
    end = start + size
    if size < 0 or end > len(value):
        raise Broken(f"a text of {size} bytes at byte {position}, where {max(0, len(value) - start)} are left")
    try:
        return value[start:end].decode(), end
    except UnicodeDecodeError as error:
        raise Broken(f"byte 0x{value[start + error.start]:02x} at {start + error.start} is not UTF-8") from None


def block(value: bytes, position: int) -> tuple[int, int]:
    """The number of items in an array's or a map's next block, 0 at its end, and the position of the first item."""
    count, position = long(value, position)
    if count < 0:  # then the block's size in bytes follows, for readers that skip it
        count = -count
        _, position = long(value, position)
    return count, position


def blocks(stream: io.BytesIO) -> Iterator[int]:
    """The number of items of each block of an array; the caller reads these from `stream` in between."""
    value = stream.getvalue()
    while True:
        try:
            count, position = block(value, stream.tell())
        except IndexError:
            raise Broken(f"the array does not end, at byte {len(value)}") from None
        stream.seek(position)
        if not count:
            return
        yield count
