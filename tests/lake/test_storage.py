"""Where a lake is: the same place for the engine, which is told a URI, and for queries, which open a folder."""

from pathlib import Path

import pytest

from afoot.errors import AfootError, UsageError
from afoot.lake.storage import ensure_writable, existing, holds_findings, locate, with_scheme

ODD = "a lake, 100 % é #1?"


def test_the_engine_and_queries_mean_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path / ODD)
    assert with_scheme(folder) == f"file://{folder}"  # by the letter, as the engine takes it
    assert with_scheme(with_scheme(folder)) == with_scheme(folder)
    assert locate(with_scheme(folder)).path == locate(folder).path == folder
    monkeypatch.chdir(tmp_path)
    assert with_scheme(ODD) == f"file://{folder}"


def test_what_is_not_there_is_said_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=rf"lake l: does not exist \(looked for {tmp_path}/l\)"):
        existing("l")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("hdfs://a/b", "'hdfs' is not known; allowed are a folder and s3://"),
        ("s3://", "no bucket"),
        ("s3:///x", "no bucket"),
    ],
)
def test_a_uri_that_means_no_place_is_wrong_usage(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        locate(uri)


def test_a_place_that_cannot_be_written_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    ensure_writable(str(tmp_path / "new" / "lake"))
    assert list((tmp_path / "new" / "lake").iterdir()) == []
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "lake", Path("/proc/lake")):
        with pytest.raises(AfootError, match=f"lake {place}: cannot be written, and nothing was started"):
            ensure_writable(str(place))


def test_files_in_progress_are_no_findings(tmp_path: Path) -> None:
    partition = tmp_path / "findings" / "component=storage" / "dt=2026-11-20"
    assert not holds_findings(str(tmp_path))
    partition.mkdir(parents=True)
    (partition / ".part-1.inprogress").write_text("")
    (partition / "_SUCCESS").write_text("")
    assert not holds_findings(str(tmp_path))
    (partition / "part-1.parquet").write_text("")
    assert holds_findings(str(tmp_path))
