"""What commands print: help that teaches, JSON a line, and nothing but results when piped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from afoot import __version__
from afoot.cli.main import app
from afoot.simulate import SCENARIOS
from tests.jobs.support import AFOOT, afoot
from tests.lake.w1 import FINDING, write_lake

GROUP = get_command(app)
COMMANDS = (
    "demo",
    "replay",
    "run",
    "submit",
    "findings",
    "case",
    "simulate",
    "capture",
    "archive",
    "doctor",
    "compact",
)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_promised_commands_are_there() -> None:
    assert set(COMMANDS) <= set(GROUP.commands)  # type: ignore[attr-defined]


def test_without_a_command_it_says_what_there_is() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    for command in COMMANDS:
        assert command in result.output
    assert "culprit" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_does_explains_each_option_and_gives_an_example(command: str) -> None:
    text = " ".join(run(command, "--help").split())
    assert f"Example: afoot {command}" in text
    for parameter in GROUP.commands[command].params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_is_one_that_the_command_takes(command: str) -> None:
    (line,) = [line for line in (GROUP.commands[command].help or "").splitlines() if "Example: " in line]  # type: ignore[attr-defined]
    _, name, *arguments = line.split("Example: ")[1].split()
    assert name == command
    GROUP.commands[command].make_context(command, arguments)  # type: ignore[attr-defined]


def test_the_version() -> None:
    assert run("--version") == f"afoot {__version__}\n"


def test_findings_are_a_json_object_a_line_and_nothing_else(tmp_path: Path) -> None:
    write_lake(str(tmp_path))
    done = afoot("findings", "--lake", tmp_path, "--history", "--format", "json")
    assert [json.loads(line)["finding_id"] for line in done.stdout.splitlines()] == [FINDING] * 3
    assert done.stderr == ""


def test_progress_is_not_shown_when_piped(tmp_path: Path) -> None:
    done = afoot("simulate", "steady", "--hours", "0.5", "-o", tmp_path / "steady")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'steady' / 'capture.jsonl.zst'}: nothing to find\n"
    assert done.stderr == ""


def test_no_findings_is_no_error_and_said_aside(tmp_path: Path) -> None:
    (tmp_path / "findings").mkdir()
    done = afoot("findings", "--lake", tmp_path, "--format", "json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"no findings in {tmp_path}\n"


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    write_lake(str(tmp_path))
    shell = f"{{ '{AFOOT}' findings --lake '{tmp_path}' --history --format json; echo $? >&2; }} | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr in ("0\n", "141\n")


def test_a_disk_that_is_full_is_said_in_words(tmp_path: Path) -> None:
    write_lake(str(tmp_path / "lake"))
    with Path("/dev/full").open("wb") as full:
        command = [str(AFOOT), "findings", "--lake", str(tmp_path / "lake"), "--format", "json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "afoot: No space left on device\n")


def test_every_scenario_has_its_line_in_the_help() -> None:
    lines = [line.split(maxsplit=1) for line in run("simulate", "--help").splitlines()]
    told = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    for name, scenario in SCENARIOS.items():
        # A terminal of 80 columns breaks the longest.
        assert told[name] and scenario.summary.startswith(told[name])
