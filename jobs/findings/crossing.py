"""How rows cross from Python to the tables of the next step: columns by SQL type, and Flink's words for them."""

from __future__ import annotations

from collections.abc import Mapping

from pyflink.common import TypeInformation, Types
from pyflink.datastream import KeyedStream
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

MAX_PARALLELISM = 120  # what the Kubernetes operator's autoscaler can divide
JUDGE_LOAD = 2  # in shards, of the eight that there are unless configured; 3.4 were measured with 10,000 entities
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


def array_of(columns: Mapping[str, str]) -> str:
    """The SQL type of an array of rows, which `row_type` knows from then on."""
    listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    kind = f"ARRAY<ROW<{listed}>>"
    _TYPES[kind] = Types.OBJECT_ARRAY(Types.ROW_NAMED(list(columns), [_TYPES[column] for column in columns.values()]))
    return kind


def row_type(columns: Mapping[str, str]) -> TypeInformation:
    """What a Python function says it returns, for columns by name and SQL type."""
    return Types.ROW_NAMED(list(columns), [_TYPES[kind] for kind in columns.values()])


def keyed_rows(table_env: StreamTableEnvironment, query: str, data: Mapping[str, str]) -> KeyedStream:
    """The rows (key INT, data ROW, rt) of a query, keyed without leaving the JVM; a function gets `data`.

    key_by of PyFlink computes its key in a Python stage of its own, so every row would cross twice. This is what it
    does behind that stage, which takes rows of positional types: those that to_append_stream gives.
    """
    types = [Types.INT(), row_type(data), Types.INSTANT()]
    stream = table_env.to_append_stream(table_env.sql_query(query), Types.ROW_NAMED(["key", "data", "rt"], types))
    selector = get_gateway().jvm.KeyByKeySelector()
    keyed = stream._j_data_stream.keyBy(selector, Types.ROW([types[0]]).get_java_type_info())
    return KeyedStream(keyed, types[1], stream)


def key_groups(shards: int) -> list[int]:
    """The key group of each shard: evenly spaced, so that parallel instances, however many, get about equal loads.

    The first ones are left out: the judge is beside their instance, in the same Python process.
    """
    return [int((JUDGE_LOAD + shard + 0.5) * MAX_PARALLELISM / (JUDGE_LOAD + shards)) for shard in range(shards)]


def spread_keys(shards: int) -> list[int]:
    """A key for each shard, of the key groups above. The same for any parallelism: state is kept by them."""
    jvm = get_gateway().jvm
    row = jvm.org.apache.flink.types.Row(1)
    group_of = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    wanted: dict[int, list[int]] = {}
    for shard, group in enumerate(key_groups(shards)):
        wanted.setdefault(group, []).append(shard)
    keys = [-1] * shards
    candidate = 0
    while wanted:
        row.setField(0, candidate)
        group = group_of(row, MAX_PARALLELISM)
        if group in wanted:
            keys[wanted[group].pop()] = candidate
            if not wanted[group]:
                del wanted[group]
        candidate += 1
    return keys


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
