"""Findings as SQL reads them: from folders and S3, from whole lakes and odd ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afoot.errors import AfootError, UsageError
from afoot.lake.layout import FINDINGS
from afoot.lake.query import findings, open_lake
from afoot.lake.storage import locate
from afoot.lake.write import write_rows
from tests.lake.w1 import finding, write_lake
from tests.servers.s3 import S3

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _read(lake: object, history: bool = False) -> list[tuple[Any, ...]]:
    return [(row["finding_id"], row["revision"]) for row in findings(open_lake(str(lake)), history)]


def _write(lake: object, *rows: dict[str, Any]) -> list[str]:
    return write_rows(str(lake), "findings", rows)


def test_the_latest_revision_is_the_greatest_as_of_and_then_the_greatest_revision(tmp_path: Path) -> None:
    _write(tmp_path, finding(finding_id="a", revision=2, as_of=NOON), finding(finding_id="a", revision=1, as_of=NOON))
    later = NOON + timedelta(days=1)  # another file, in another partition
    _write(tmp_path, finding(finding_id="b", revision=9, as_of=NOON))
    _write(tmp_path, finding(finding_id="b", revision=1, as_of=later, component="storage"))
    assert _read(tmp_path) == [("b", 1), ("a", 2)]
    assert _read(tmp_path, history=True) == [("a", 1), ("a", 2), ("b", 9), ("b", 1)]


def test_open_ones_come_first_and_the_gravest_of_them(tmp_path: Path) -> None:
    kinds = [("closed", "critical"), ("open", "info"), ("open", "critical"), ("open", "warning")]
    _write(tmp_path, *(finding(finding_id=f"{a}-{b}", state=a, severity=b) for a, b in kinds))
    assert [one for one, _ in _read(tmp_path)] == ["open-critical", "open-warning", "open-info", "closed-critical"]


def test_rows_have_the_promised_columns_and_times_in_utc(tmp_path: Path) -> None:
    _write(tmp_path, finding(as_of=datetime.fromisoformat("2026-11-20T01:30:00+02:00")))
    (row,) = findings(open_lake(str(tmp_path)))
    assert list(row) == FINDINGS.columns.names
    assert row["as_of"] == datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    assert row["as_of"].tzinfo is UTC
    assert list((tmp_path / "findings").glob("*/dt=2026-11-19/*"))


def test_the_same_revision_written_twice_is_one_row(tmp_path: Path) -> None:
    _write(tmp_path, finding())
    _write(tmp_path, finding())
    assert len(_read(tmp_path)) == len(_read(tmp_path, history=True)) == 1


def test_names_without_an_ending_are_data_and_hidden_ones_are_not(tmp_path: Path) -> None:
    (path,) = _write(tmp_path, finding())
    Path(path).rename(Path(path).with_name("part-0c5-0-0"))
    for name in (".part-0c5-0-1.inprogress", "_SUCCESS"):
        Path(path).with_name(name).write_bytes(b"not Parquet")
    assert len(_read(tmp_path)) == 1


def test_columns_that_a_file_lacks_are_null_and_more_columns_do_no_harm(tmp_path: Path) -> None:
    (path,) = _write(tmp_path, finding())
    table = pq.ParquetFile(path).read().drop_columns(["remedy"]).append_column("added", pa.array(["x"]))
    pq.write_table(table, path)
    (row,) = findings(open_lake(str(tmp_path)))
    assert row["remedy"] is None
    assert "added" not in row


def test_an_empty_lake_has_no_findings(tmp_path: Path) -> None:
    assert _read(tmp_path) == []


def test_a_lake_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: does not exist"):
        open_lake(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        open_lake(str(tmp_path / "file"))


@pytest.mark.parametrize("uri", ["s3://", "s3:///prefix", "gs://bucket/x"])
def test_a_uri_that_means_no_place_is_bad_usage(uri: str) -> None:
    with pytest.raises(UsageError, match=r"allowed are|write s3://bucket/prefix"):
        locate(uri)


def test_a_broken_file_is_named_and_not_passed_over(tmp_path: Path) -> None:
    (path,) = _write(tmp_path, finding())
    Path(path).with_name("part-1").write_bytes(b"PAR1 truncated")
    with pytest.raises(AfootError, match=r"(?s)cannot be read.*part-1"):
        _read(tmp_path)


def test_without_credentials_s3_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no credentials found; set AWS_ACCESS_KEY_ID"):
        open_lake("s3://bucket/lake")
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(UsageError, match="absent"):
        open_lake("s3://bucket/lake")


@pytest.mark.server
def test_a_lake_on_s3_reads_as_one_in_a_folder(s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    uri = f"{s3_server.bucket('lake-query')}/some/lake"
    with pytest.raises(UsageError, match="does not exist"):
        open_lake(uri)
    write_lake(uri)
    write_lake(str(tmp_path))
    for history in (False, True):
        assert findings(open_lake(uri), history) == findings(open_lake(str(tmp_path)), history)
    with pytest.raises(UsageError, match="does not exist"):
        open_lake("s3://no-such-bucket/lake")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AfootError, match="cannot be read"):
        open_lake(uri)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(AfootError, match="cannot be read"):
        open_lake(uri)
