"""How rows cross from Python to the tables of the next step: columns by SQL type, and Flink's words for them."""

from __future__ import annotations

from collections.abc import Mapping

from pyflink.common import TypeInformation, Types
from pyflink.table import Schema

POINTERS = "ARRAY<ROW<topic STRING, `partition` INT, first_offset BIGINT, last_offset BIGINT>>"
_POINTER = Types.ROW_NAMED(
    ["topic", "partition", "first_offset", "last_offset"], [Types.STRING(), Types.INT(), Types.LONG(), Types.LONG()]
)
_TYPES = {
    "STRING": Types.STRING(),
    "INT": Types.INT(),
    "BIGINT": Types.LONG(),
    "DOUBLE": Types.DOUBLE(),
    "BOOLEAN": Types.BOOLEAN(),
    POINTERS: Types.OBJECT_ARRAY(_POINTER),
}


def row_type(columns: Mapping[str, str]) -> TypeInformation:
    """What a Python function says it returns, for columns by name and SQL type."""
    return Types.ROW_NAMED(list(columns), [_TYPES[kind] for kind in columns.values()])


def timed_schema(columns: Mapping[str, str]) -> Schema:
    """A table of rows from Python: their columns, and `rt`, the timestamp that they were given."""
    builder = Schema.new_builder()
    for name, kind in columns.items():
        builder.column(name, kind)
    return (
        builder.column_by_metadata("rt", "TIMESTAMP_LTZ(3)", "rowtime", True)
        .watermark("rt", "SOURCE_WATERMARK()")
        .build()
    )


def own_time_schema(columns: Mapping[str, str], rowtime: str) -> Schema:
    """A table of rows whose event time is a column of theirs; watermarks are those of the stream."""
    builder = Schema.new_builder()
    for name, kind in columns.items():
        builder.column(name, kind)
    return builder.watermark(rowtime, "SOURCE_WATERMARK()").build()
