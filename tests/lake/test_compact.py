"""Compaction: the same rows in fewer files, whenever it is killed and whoever reads meanwhile."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
import typer
from typer.testing import CliRunner

from afoot.cli.compact import compact as compact_command
from afoot.lake import compact as module
from afoot.lake.compact import compact
from afoot.lake.files import MANIFEST, data_files
from afoot.lake.query import Lake, open_lake
from afoot.lake.storage import Location, locate
from afoot.lake.write import write_rows
from tests.lake.w1 import finding
from tests.servers.s3 import S3

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
AFTER = date(2026, 11, 21)
NOW = timedelta(0)


def _fill(uri: str, files: int = 4) -> None:
    for number in range(files):
        write_rows(uri, "findings", [finding(finding_id=f"f{number}", as_of=DAY, revision=r) for r in (1, 2)])
    write_rows(uri, "findings", [finding(finding_id="next-day", as_of=DAY + timedelta(days=1))])


def _rows(uri: str) -> list[tuple[Any, ...]]:
    found = open_lake(uri).sql("SELECT finding_id, revision FROM findings ORDER BY ALL")
    return [tuple(row.values()) for row in found]


def _seen_by_others(location: Location) -> int:
    """Rows as engines count them that know of no manifest."""
    path = location.table("findings")
    return int(ds.dataset(path, format="parquet", filesystem=location.filesystem).count_rows())


def test_rows_stay_and_files_become_one(tmp_path: Path) -> None:
    uri, place = str(tmp_path), locate(str(tmp_path))
    _fill(uri)
    rows = _rows(uri)
    (merged,) = compact(place, AFTER, settled=NOW)
    assert (merged.files, merged.rows, merged.folder[-13:]) == (4, 8, "dt=2026-11-20")
    assert len(data_files(place, "findings")) == 2
    assert _rows(uri) == rows
    assert _seen_by_others(place) == len(rows)
    assert compact(place, AFTER, settled=NOW) == []
    write_rows(uri, "findings", [finding(finding_id="late", as_of=DAY)])
    assert [one.rows for one in compact(place, AFTER, settled=NOW)] == [9]
    assert _rows(uri) == sorted([*rows, ("late", 25)])


def test_young_files_and_open_days_are_left_alone(tmp_path: Path) -> None:
    _fill(str(tmp_path))
    assert compact(locate(str(tmp_path)), AFTER) == []
    assert compact(locate(str(tmp_path)), DAY.date(), settled=NOW) == []


def test_large_files_are_left_alone_and_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(str(tmp_path), files=6)
    place = locate(str(tmp_path))
    size = max(Path(path).stat().st_size for path in data_files(place, "findings"))
    monkeypatch.setattr(module, "LARGE", size + 1)  # so that two go together
    assert [one.files for one in compact(place, AFTER, settled=NOW)] == [2, 2, 2]
    monkeypatch.setattr(module, "LARGE", 1)
    assert compact(place, AFTER, settled=NOW) == []


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A filesystem whose user is killed after so many changes, and which lets others look after each of them."""

    def __init__(self, place: Location, changes: int, look: Any) -> None:
        self._inner, self._left, self._look = place.filesystem, changes, look

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in ("move", "delete_file", "open_output_stream"):
            return method

        def changed(*arguments: Any) -> Any:
            if self._left == 0:
                raise Killed
            self._left -= 1
            result = method(*arguments)
            self._look()
            return result

        return changed


def test_killed_at_any_step_it_ends_right_and_no_reader_counts_twice(tmp_path: Path) -> None:
    steps = 0
    while True:
        uri = str(tmp_path / f"lake{steps}")
        _fill(uri)
        place, rows = locate(uri), _rows(uri)

        def look(uri: str = uri, place: Location = place, rows: list[Any] = rows) -> None:
            assert _rows(uri) == rows
            assert _seen_by_others(place) <= len(rows)

        try:
            # Parquet itself goes past the wrapper: what is written before the manifest is hidden anyway.
            mortal = place._replace(filesystem=Mortal(place, steps, look))
            _compact_through(mortal, place)
            break
        except Killed:
            look()
            assert compact(place, AFTER, settled=NOW) or _seen_by_others(place) == len(rows)
            assert _rows(uri) == rows
            assert _seen_by_others(place) == len(rows)
            assert not [path for path in Path(uri).rglob("*") if path.name == MANIFEST]
        steps += 1
    assert steps == 8  # draft, manifest, four inputs, output, manifest


def _compact_through(mortal: Location, place: Location) -> None:
    """Compacts with reads and Parquet on the real filesystem and every other change through the mortal one."""
    with pytest.MonkeyPatch.context() as patch:
        merge = module.ds.dataset

        def dataset(*arguments: Any, **options: Any) -> Any:
            return merge(*arguments, **(options | {"filesystem": place.filesystem}))

        write = module.write_file
        patch.setattr(module.ds, "dataset", dataset)
        patch.setattr(module, "write_file", lambda _, path, data: write(place, path, data))
        compact(mortal, AFTER, settled=NOW)


@pytest.mark.server
def test_it_works_on_s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    uri = f"{s3_server.bucket('lake-compact')}/lake"
    _fill(uri)
    rows = _rows(uri)
    assert [one.rows for one in compact(locate(uri), AFTER, settled=NOW)] == [8]
    assert _rows(uri) == rows
    keys = s3_server.keys("lake-compact", "lake/findings/")
    assert len([key for key in keys if not key.endswith("/")]) == 2


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    _fill(str(tmp_path))
    app = typer.Typer()
    app.command()(compact_command)
    result = CliRunner().invoke(app, ["--lake", str(tmp_path), "--before", "2026-11-21"], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (0, "0 files of 0 partitions became 0\n")


def test_a_lake_object_answers_from_one_moment(tmp_path: Path) -> None:
    _fill(str(tmp_path))
    lake = Lake(locate(str(tmp_path)))
    count = "SELECT count(*) AS n FROM findings"
    assert lake.sql(count) == [{"n": 9}]
    write_rows(str(tmp_path), "findings", [finding()])
    assert lake.sql(count) == [{"n": 9}]
