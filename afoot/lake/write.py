"""Writes rows as the job's sink does: for tests, small imports and compaction; the job itself writes by Flink."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from afoot.lake.layout import TABLES, Table
from afoot.lake.storage import Location, locate


def write_rows(lake: str, table: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Appends `rows`, one file a partition, and returns the files' paths.

    A row has the table's columns by name, those absent are null, and its partition column `component` if the table
    has one; `dt` follows from the time column. Aware times become UTC, naive ones are UTC.
    """
    shape = TABLES[table]
    place = locate(lake)
    keyed = sorted(((_partition(shape, row), row) for row in rows), key=lambda pair: pair[0])
    paths = []
    for partition, group in groupby(keyed, key=lambda pair: pair[0]):
        data = pa.Table.from_pylist([_naive(row) for _, row in group], schema=shape.columns)
        folder = "/".join([place.table(table), *partition])
        paths.append(write_file(place, f"{folder}/part-{uuid.uuid4()}.parquet", data))
    return paths


def write_file(place: Location, path: str, data: pa.Table) -> str:
    """Writes one Parquet file with the codec and the timestamps that the lake promises."""
    if place.filesystem.type_name == "local":  # on S3 a folder would become an object of its own
        place.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    pq.write_table(data, path, filesystem=place.filesystem, compression="zstd", coerce_timestamps="us")
    return path


def _partition(shape: Table, row: Mapping[str, Any]) -> tuple[str, ...]:
    values = {"dt": _utc(row[shape.time]).date().isoformat(), "component": row.get("component")}
    return tuple(f"{name}={quote(str(values[name]), safe='')}" for name in shape.partitions)


def _naive(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _utc(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
