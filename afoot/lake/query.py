"""SQL over the lake: the queries of sql/, run by DuckDB on the Parquet files wherever they are.

The files are found and read through pyarrow, which reaches folders and S3 alike and takes DuckDB's filters on to the
files and partitions; DuckDB's own S3 reader would have to be downloaded at run time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from afoot.errors import AfootError
from afoot.lake.files import data_files
from afoot.lake.layout import TABLES
from afoot.lake.storage import Location, existing

Row = dict[str, Any]


class Lake:
    """A lake opened for reading: each table of the layout is a view of that name, empty where there is no file.

    The files are listed once, when a table is first asked for: what one object answers is from one moment.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._tables: dict[str, Any] = {}

    @property
    def uri(self) -> str:
        """The lake as the user named it."""
        return self.location.uri

    def rows(self, query: str, **parameters: Any) -> list[Row]:
        """Runs sql/`query`.sql; times come back aware, in UTC. AfootError if a file cannot be read."""
        sql = resources.files("afoot.lake").joinpath("sql", f"{query}.sql").read_text("utf-8")
        return self.sql(sql, **parameters)

    def sql(self, sql: str, **parameters: Any) -> list[Row]:
        """Runs SQL over the tables, with `$name` for parameters; see `rows`."""
        with duckdb.connect() as connection:
            try:
                for name in TABLES:
                    if name in sql:  # what a query does not name need not be listed
                        connection.register(name, self._table(name))
                result = connection.execute(sql, parameters)
                names = [column[0] for column in result.description]
                fetched = result.fetchall()
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise AfootError(f"lake {self.uri}: cannot be read: {error}") from error
        return [dict(zip(names, map(_aware, values), strict=True)) for values in fetched]

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            table = TABLES[name]
            files = data_files(self.location, name)
            keys = pa.schema([(partition, pa.string()) for partition in table.partitions])
            self._tables[name] = (
                ds.dataset(
                    files,
                    schema=table.schema,
                    format="parquet",
                    filesystem=self.location.filesystem,
                    partitioning=ds.partitioning(keys, flavor="hive"),
                    partition_base_dir=self.location.table(name),
                )
                if files
                else table.schema.empty_table()
            )
        return self._tables[name]


def open_lake(uri: str) -> Lake:
    """The lake at `uri`, a folder or s3://bucket/prefix; UsageError if there is none."""
    return Lake(existing(uri))


def findings(lake: Lake, history: bool = False) -> list[Row]:
    """The latest revision of each finding, or every revision: columns as contracted, times in UTC."""
    return lake.rows("findings_history" if history else "findings_latest")


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
