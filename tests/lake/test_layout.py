"""The layout is what the documentation promises, and files are as it says."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afoot.lake.layout import TABLES, athena_columns, flink_columns
from afoot.lake.write import write_rows

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_flink_columns_are_the_files_columns_and_then_the_partitions() -> None:
    assert flink_columns("evidence") == [
        ("finding_id", "STRING"),
        ("revision", "INT"),
        ("entity", "STRING"),
        ("verdict", "STRING"),
        ("share", "DOUBLE"),
        ("reason", "STRING"),
        ("signal", "STRING"),
        ("observed", "DOUBLE"),
        ("expected", "DOUBLE"),
        ("unit", "STRING"),
        ("score", "DOUBLE"),
        ("window_start", "TIMESTAMP(6)"),
        ("window_end", "TIMESTAMP(6)"),
        ("as_of", "TIMESTAMP(6)"),
        ("pointers", "ARRAY<ROW<topic STRING, `partition` INT, first_offset BIGINT, last_offset BIGINT>>"),
        ("component", "STRING"),
        ("dt", "STRING"),
    ]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_type_in_every_engine(table: str) -> None:
    names = [name for name, _ in flink_columns(table)]
    partitions = list(TABLES[table].partitions)
    assert [name for name, _ in athena_columns(table)] + partitions == names
    assert len(set(names)) == len(names)
    assert TABLES[table].time in names


@pytest.mark.parametrize("table", TABLES)
def test_files_hold_no_partition_column_and_are_typed_as_promised(tmp_path: Path, table: str) -> None:
    shape = TABLES[table]
    row = {"component": "storage", shape.time: NOON, "finding_id": "f", "entity": "e", "topic": "t"}
    (path,) = write_rows(str(tmp_path), table, [{k: v for k, v in row.items() if k in shape.schema.names}])
    folders = Path(path).relative_to(tmp_path).parts[:-1]
    values = {"component": "component=storage", "dt": "dt=2026-11-20"}
    assert folders == (table, *(values[name] for name in shape.partitions))
    file = pq.ParquetFile(path)
    assert file.schema_arrow.names == shape.columns.names
    group = file.metadata.row_group(0)
    for index, column in enumerate(file.schema):
        assert group.column(index).compression == "ZSTD"
        if column.name in shape.columns.names and pa.types.is_timestamp(shape.columns.field(column.name).type):
            assert column.physical_type == "INT64"
            assert "isAdjustedToUTC=false, timeUnit=microseconds" in str(column.logical_type)
