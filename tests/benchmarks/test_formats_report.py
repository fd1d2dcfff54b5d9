"""The report on samples: each that is known gives what was counted by hand, and one that does not is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import formats
from tests.telemetry.support import SAMPLES, sample


def test_every_sample_is_known_and_gives_what_it_must(capsys: pytest.CaptureFixture[str]) -> None:
    sample("INDEX.md")  # skips where the samples are absent, and fails where CI is set
    names = [path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*") if path.is_file()]
    assert [name for name in names if name != "INDEX.md" and formats.known(name) is None] == []
    assert formats.main(["--samples", str(SAMPLES)]) == 0, capsys.readouterr().out
    assert "all as they must" in capsys.readouterr().out


def test_a_sample_that_gives_something_else_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "telegraf").mkdir()
    (tmp_path / "telegraf" / "influx_nginx.txt").write_text("nginx,port=80 accepts=605i 1456690994701784331\n")
    assert formats.main(["--samples", str(tmp_path), "--rows", "--json", str(tmp_path / "found.json")]) == 1
    out = capsys.readouterr().out
    assert "WRONG: must give 1 messages, 7 rows, 0 refused, 0 dead" in out
    assert "MetricPoint(name='nginx_accepts'" in out
    assert json.loads((tmp_path / "found.json").read_text())[0]["rows"][0][0] == "nginx_accepts"


def test_a_file_that_is_not_known_is_sniffed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("disk,host=a used=1i 1456690994701784331\n")
    (tmp_path / "other.txt").write_text("what is this?\n")
    assert formats.main(["--samples", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "sniffed: influx, metrics" in out
    assert "no format reads it" in out


def test_a_folder_that_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert formats.main(["--samples", str(tmp_path / "none")]) == 2
    assert "no folder" in capsys.readouterr().err
