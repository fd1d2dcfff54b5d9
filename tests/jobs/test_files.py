"""The files that a job writes into the lake, byte for byte what other engines are promised."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afoot.lake.layout import TABLES
from tests.jobs.conftest import Incident

pytestmark = pytest.mark.slow
WRITTEN = ("findings", "evidence", "signals", "books", "dead_letters")


def files(incident: Incident, table: str) -> list[Path]:
    """The data files of a table."""
    return sorted(path for path in (incident.lake / table).rglob("*") if path.is_file() and path.name[0] not in "._")


@pytest.mark.parametrize("table", WRITTEN)
def test_a_file_is_in_the_folder_of_its_component_and_day(incident: Incident, table: str) -> None:
    shape = TABLES[table]
    found = files(incident, table)
    assert found
    for path in found:
        folders = path.relative_to(incident.lake / table).parts[:-1]
        assert [folder.split("=")[0] for folder in folders] == list(shape.partitions), path
        day = folders[-1].removeprefix("dt=")
        times = pq.ParquetFile(path).read([shape.time]).column(0)
        assert {str(at.date()) for at in times.to_pylist()} == {day}, path


@pytest.mark.parametrize("table", WRITTEN)
def test_a_footer_is_as_promised(incident: Incident, table: str) -> None:
    shape = TABLES[table]
    for path in files(incident, table):
        file = pq.ParquetFile(path)
        assert file.schema_arrow.names == shape.columns.names  # so no partition column
        assert file.metadata.num_rows > 0
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            assert {group.column(index).compression for index in range(group.num_columns)} == {"ZSTD"}
        for column in file.schema:
            if column.name in shape.columns.names and shape.columns.field(column.name).type == pa.timestamp("us"):
                assert column.physical_type == "INT64", column.name
                assert "timeUnit=microseconds" in str(column.logical_type), column.name
                assert "isAdjustedToUTC=false" in str(column.logical_type), column.name


def test_nothing_is_left_in_progress(incident: Incident) -> None:
    left = [path for path in incident.lake.rglob("*") if path.is_file() and "inprogress" in path.name]
    assert left == []


def test_a_component_folder_is_the_component_of_its_rows(incident: Incident) -> None:
    components = {path.parent.parent.name.removeprefix("component=") for path in files(incident, "findings")}
    columns = TABLES["findings"].columns.names
    place = columns.index("culprit_component")
    assert components == {row[place] for row in incident.tables["findings"]}
