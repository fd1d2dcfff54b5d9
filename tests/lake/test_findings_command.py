"""`afoot findings` as it is typed and piped."""

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from afoot.cli.findings import findings
from afoot.lake.layout import FINDINGS
from afoot.lake.write import write_rows
from tests.lake.w1 import CULPRIT, FINDING, JOB, VOLUME, finding, write_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("lake"))
    write_lake(folder)
    return folder


def _run(*arguments: str) -> tuple[str, str]:
    app = typer.Typer()
    app.command()(findings)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_json_is_an_object_a_line_with_times_in_utc(lake: str) -> None:
    out, err = _run("--lake", lake, "--format", "json")
    (row,) = map(json.loads, out.splitlines())
    assert list(row) == FINDINGS.columns.names
    assert (row["finding_id"], row["culprit_entity"], row["runs_seen"]) == (FINDING, CULPRIT, 24)
    assert row["window_start"] == "2026-11-19T18:41:00Z"
    assert err == ""


def test_history_has_every_revision(lake: str) -> None:
    out, _ = _run("--lake", lake, "--format", "json", "--history")
    assert [json.loads(line)["revision"] for line in out.splitlines()] == [1, 3, 25]


def test_csv_has_a_header_and_empty_cells_for_null(lake: str) -> None:
    out, _ = _run("--lake", lake, "--format", "csv", "--history")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == FINDINGS.columns.names
    assert [row["schedule_expression"] for row in rows] == ["", "40 * * * *", "40 * * * *"]


def test_the_table_fits_100_columns_and_says_it_in_words(lake: str) -> None:
    out, _ = _run("--lake", lake)
    assert max(map(len, out.splitlines())) <= 100
    for part in (
        "critical",
        "open",
        CULPRIT,
        f"→ {VOLUME}",
        f"→ {JOB}",
        "93 %",
        "hourly at :40",
        "23 of 24 runs",
        FINDING,
    ):
        assert part in out


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_an_empty_lake_is_said_beside_the_result(tmp_path: Path, format: str) -> None:
    out, err = _run("--lake", str(tmp_path), "--format", format)
    assert err == f"no findings in {tmp_path}\n"
    assert len(out.splitlines()) == {"table": 4, "json": 0, "csv": 1}[format]


def test_odd_ids_stay_on_their_line_and_are_no_markup(tmp_path: Path) -> None:
    odd = 'vm:[bold]x[/bold]\n\x1b[31m"<b>,'
    nobody = dict.fromkeys(("victim_entity", "victim_component", "culprit_via", "culprit_share", "runs_seen"))
    write_rows(
        str(tmp_path), "findings", [finding(culprit_entity=odd, summary=odd, victim_observed=float("nan"), **nobody)]
    )
    out, _ = _run("--lake", str(tmp_path))
    assert "\x1b" not in out
    assert "[bold]x[/bold]\\n" in out
    (row,) = csv.DictReader(io.StringIO(_run("--lake", str(tmp_path), "--format", "csv")[0]))
    assert row["culprit_entity"] == odd
    (line,) = _run("--lake", str(tmp_path), "--format", "json")[0].splitlines()
    assert (json.loads(line)["culprit_entity"], json.loads(line)["victim_observed"]) == (odd, None)
