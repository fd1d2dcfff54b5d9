"""Cases for tests: a lake of one, changed as a test wants it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from afoot.casefile.case import Case, load_case
from afoot.lake.query import open_lake
from afoot.lake.write import write_rows
from tests.lake.w1 import evidence, finding, signals

Row = dict[str, Any]


def case(
    lake: Path, changes: Row | None = None, heard: Iterable[Row] | None = None, measured: Iterable[Row] | None = None
) -> Case:
    """The W1 case with another finding, other evidence or other signals where they are given."""
    write_rows(str(lake), "findings", [finding(**(changes or {}))])
    write_rows(str(lake), "evidence", evidence() if heard is None else heard)
    write_rows(str(lake), "signals", signals() if measured is None else measured)
    return load_case(open_lake(str(lake)), finding()["finding_id"])
