"""What a job resumes from: the newest state that is whole, wherever it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from afoot.errors import AfootError
from afoot.recovery import newest_state
from tests.servers.s3 import S3

JOB = "6a0f3ce2d8b14d6ba7a5a2f1d0c4e9ab"


def state(folder: Path, name: str, at_s: int, whole: bool = True) -> Path:
    """A savepoint's or checkpoint's folder; one that is half-written has its files, and no _metadata yet."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "8f1d-operator").write_bytes(b"state")
    if whole:
        (path / "_metadata").write_bytes(b"metadata")
        os.utime(path / "_metadata", (at_s, at_s))
    return path


def test_there_is_none_where_nothing_was_written(tmp_path: Path) -> None:
    assert newest_state(str(tmp_path / "checkpoints")) is None
    (tmp_path / "checkpoints").mkdir()
    assert newest_state(str(tmp_path / "checkpoints")) is None


def test_the_newest_wins_whether_savepoint_or_checkpoint(tmp_path: Path) -> None:
    # Not the one that is last by name: chk-9 comes before chk-10, and every job has a folder of its own.
    state(tmp_path, f"{JOB}/chk-9", 100)
    checkpoint = state(tmp_path, f"{JOB}/chk-10", 200)
    assert newest_state(str(tmp_path)) == f"file://{checkpoint}"
    savepoint = state(tmp_path, "savepoints/savepoint-6a0f3c-55aa", 300)
    assert newest_state(str(tmp_path)) == f"file://{savepoint}"
    later = state(tmp_path, "00000000000000000000000000000000/chk-1", 400)
    assert newest_state(str(tmp_path)) == f"file://{later}"


def test_what_is_half_written_is_passed_over(tmp_path: Path) -> None:
    whole = state(tmp_path, f"{JOB}/chk-1", 100)
    state(tmp_path, f"{JOB}/chk-2", 200, whole=False)
    state(tmp_path, "savepoints/savepoint-6a0f3c-77bb", 300, whole=False)
    assert newest_state(str(tmp_path)) == f"file://{whole}"


def test_other_files_are_no_states(tmp_path: Path) -> None:
    (tmp_path / JOB / "shared").mkdir(parents=True)
    (tmp_path / JOB / "shared" / "not_metadata").write_bytes(b"")
    (tmp_path / JOB / "_metadata.inprogress").write_bytes(b"")
    assert newest_state(str(tmp_path)) is None


def test_a_uri_with_a_scheme_means_the_same_folder(tmp_path: Path) -> None:
    found = state(tmp_path / "with space", f"{JOB}/chk-1", 100)
    assert newest_state(str(tmp_path / "with space")) == newest_state(f"file://{tmp_path}/with space")
    assert (newest_state(str(tmp_path / "with space")) or "").endswith(f"{JOB}/{found.name}")


def test_a_folder_that_cannot_be_looked_at_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(AfootError, match="checkpoints"):
        newest_state(str(tmp_path / "checkpoints"))


@pytest.mark.server
def test_on_s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.bucket("recovery")
    assert newest_state(f"{bucket}/checkpoints") is None
    client = s3_server.client()
    for key in (f"{JOB}/chk-3/_metadata", f"{JOB}/chk-4/operator"):
        client.put_object(Bucket="recovery", Key=f"checkpoints/{key}", Body=b"x")
    assert newest_state(f"{bucket}/checkpoints") == f"s3://recovery/checkpoints/{JOB}/chk-3"
