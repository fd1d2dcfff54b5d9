"""The tables of the lake: columns, types and partitions, in one place for writers, readers and engines.

A row's partition columns are in its path (`component=storage/dt=2026-11-20`) and not in its file. Timestamps are
UTC microseconds, stored as int64 with isAdjustedToUTC=false, so every reader sees naive timestamps and means UTC.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

POINTERS = pa.list_(
    pa.struct(
        [("topic", pa.string()), ("partition", pa.int32()), ("first_offset", pa.int64()), ("last_offset", pa.int64())]
    )
)
TIME = pa.timestamp("us")


class Table(NamedTuple):
    """A table of the lake: the columns in its files, and the columns in its paths, outermost first."""

    name: str
    columns: pa.Schema
    partitions: tuple[str, ...]
    time: str  # the column whose UTC day is `dt`

    @property
    def schema(self) -> pa.Schema:
        """Columns of the files, then of the paths: what a query sees."""
        schema = self.columns
        for partition in self.partitions:
            schema = schema.append(pa.field(partition, pa.string()))
        return schema


# Keep in step with the table "Findings in the lake" of the documentation: these names are what users query.
FINDINGS = Table(
    "findings",
    pa.schema(
        [
            ("finding_id", pa.string()),
            ("revision", pa.int32()),
            ("as_of", TIME),
            ("state", pa.string()),
            ("superseded_by", pa.string()),
            ("kind", pa.string()),
            ("severity", pa.string()),
            ("window_start", TIME),
            ("window_end", TIME),
            ("victim_entity", pa.string()),
            ("victim_component", pa.string()),
            ("victim_signal", pa.string()),
            ("victim_observed", pa.float64()),
            ("victim_expected", pa.float64()),
            ("victim_unit", pa.string()),
            ("culprit_entity", pa.string()),
            ("culprit_component", pa.string()),
            ("culprit_via", pa.string()),
            ("culprit_share", pa.float64()),
            ("confidence", pa.float64()),
            ("schedule_id", pa.string()),
            ("schedule_expression", pa.string()),
            ("schedule_command", pa.string()),
            ("recurrence_period_s", pa.int64()),
            ("recurrence_phase_s", pa.int64()),
            ("runs_seen", pa.int32()),
            ("runs_with_effect", pa.int32()),
            ("summary", pa.string()),
            ("remedy", pa.string()),
            ("rule", pa.string()),
        ]
    ),
    ("component", "dt"),
    "as_of",
)

EVIDENCE = Table(
    "evidence",
    pa.schema(
        [
            ("finding_id", pa.string()),
            ("revision", pa.int32()),
            ("entity", pa.string()),
            ("verdict", pa.string()),
            ("share", pa.float64()),
            ("reason", pa.string()),
            ("signal", pa.string()),
            ("observed", pa.float64()),
            ("expected", pa.float64()),
            ("unit", pa.string()),
            ("score", pa.float64()),
            ("window_start", TIME),
            ("window_end", TIME),
            ("as_of", TIME),
            ("pointers", POINTERS),
        ]
    ),
    ("component", "dt"),  # component: the entity's own
    "as_of",
)

SIGNALS = Table(
    "signals",
    pa.schema(
        [
            ("window_start", TIME),
            ("window_end", TIME),
            ("entity", pa.string()),
            ("signal", pa.string()),
            ("unit", pa.string()),
            ("value", pa.float64()),
            ("expected", pa.float64()),
            ("score", pa.float64()),
        ]
    ),
    ("component", "dt"),
    "window_start",
)

BOOKS = Table(
    "books",
    pa.schema(
        [
            ("as_of", TIME),
            ("topic", pa.string()),
            ("counted", pa.string()),  # messages, points
            ("account", pa.string()),  # in, decoded, dead_letters, signals, late, duplicates, unasked, ...
            ("detail", pa.string()),  # a metric's name or a reason, where the account has them
            ("count", pa.int64()),  # since the row before: sum them
        ]
    ),
    ("dt",),
    "as_of",
)

DEAD_LETTERS = Table(
    "dead_letters",
    pa.schema(
        [
            ("topic", pa.string()),
            ("partition", pa.int32()),
            ("offset", pa.int64()),
            ("timestamp", TIME),
            ("key", pa.binary()),
            ("value", pa.binary()),
            ("reason", pa.string()),
        ]
    ),
    ("dt",),
    "timestamp",
)

TABLES = {table.name: table for table in (FINDINGS, EVIDENCE, SIGNALS, BOOKS, DEAD_LETTERS)}

# Components as inventories name them; a partition may hold another one, and engines that enumerate want this list.
COMPONENTS = ("network", "router", "ingestion", "broker", "service", "processor", "storage", "compute", "unknown")

_FLINK_TYPES = {
    pa.string(): "STRING",
    pa.float64(): "DOUBLE",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.binary(): "BYTES",
    TIME: "TIMESTAMP(6)",
    POINTERS: "ARRAY<ROW<topic STRING, `partition` INT, first_offset BIGINT, last_offset BIGINT>>",
}
_ATHENA_TYPES = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.binary(): "binary",
    TIME: "timestamp",
    POINTERS: "array<struct<topic:string,`partition`:int,first_offset:bigint,last_offset:bigint>>",
}


def flink_columns(table: str) -> list[tuple[str, str]]:
    """Names and Flink SQL types of a table's columns, partition columns (`STRING`) last."""
    return [(field.name, _FLINK_TYPES[field.type]) for field in TABLES[table].schema]


def athena_columns(table: str) -> list[tuple[str, str]]:
    """Names and Athena types of a table's columns, without the partition columns."""
    return [(field.name, _ATHENA_TYPES[field.type]) for field in TABLES[table].columns]
