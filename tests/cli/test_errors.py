"""What goes wrong on the command line: the exit status that is promised, and words that name what to change."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from afoot.captures import write_captures
from afoot.cli.main import app
from afoot.telemetry.rows import Message
from tests.jobs.support import afoot
from tests.lake.w1 import FINDING, write_lake

SECRET = "hunter2-and-more"
CONFIG = """
[kafka]
"bootstrap.servers" = "127.0.0.1:1"
"security.protocol" = "SASL_PLAINTEXT"
"sasl.mechanism" = "PLAIN"
"sasl.username" = "afoot"
"sasl.password" = "${KAFKA_PASSWORD}"
[[topic]]
name = "telemetry.metrics"
kind = "metrics"
format = "otlp_json"
[lake]
uri = "lake"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own, with what the commands may be given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    Path("afoot.toml").write_text(CONFIG, "utf-8")
    Path("file").write_text("", "utf-8")
    write_captures(Path("c.jsonl"), [Message("telemetry.metrics", 0, 0, 0, None, b"{}")])


def said(status: int, *arguments: str) -> str:
    """What a command says on standard error, which ends with a status and gives no result."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), result.exception  # worded, and not a traceback
    assert result.stdout == ""
    assert SECRET not in result.output
    return " ".join(result.stderr.replace("│", " ").split())


REPLAY = ("replay", "--capture", "c.jsonl", "--lake", "l")
SIMULATE = ("simulate", "steady", "--hours", "0.5")
CAPTURE = ("capture", "--config", "afoot.toml", "--from", "1", "--to", "2")
USAGE = {
    "a command that is none": (("repaly",), "No such command 'repaly'"),
    "an option that is none": (("findings", "--lake", "l", "--jsn"), "--jsn"),
    "no capture": (("replay", "--lake", "l"), "Missing option '--capture'"),
    "a format that is none": (
        ("findings", "--lake", "l", "--format", "xml"),
        "'xml' is not one of 'table', 'json', 'csv'",
    ),
    "a capture that is not there": (("replay", "--capture", "gone", "--lake", "l"), "--capture gone: no such file"),
    "a second capture that is not there": ((*REPLAY, "gone"), "--capture gone: no such file"),
    "alerts into no folder": ((*REPLAY, "--alerts", "gone/a"), "--alerts gone/a: there is no folder"),
    "alerts into a folder": ((*REPLAY, "--alerts", "."), "--alerts .: is a folder; give the name of a file"),
    "alerts where no file can be": ((*REPLAY, "--alerts", "/proc/x"), "--alerts /proc/x: cannot be written: "),
    "a folder that is no lake": (("findings", "--lake", "."), "lake .: is no lake: it holds none of findings, "),
    "a lake that is no place": (
        ("replay", "--capture", "c.jsonl", "--lake", "ftp://l"),
        "scheme 'ftp' is not known; allowed",
    ),
    "a lake that is not there": (("findings", "--lake", "gone"), "lake gone: does not exist"),
    "a lake that is a file": (("case", "x", "--lake", "file"), "lake file: is a file; a lake is a folder or s3://"),
    "nothing to compact": (("compact", "--lake", "gone"), "lake gone: does not exist"),
    "a day that is none": (("compact", "--lake", ".", "--before", "monday"), "'monday' does not match"),
    "a scenario that is none": (
        ("simulate", "hourly", "-o", "d"),
        "No scenario is called 'hourly'. Did you mean hourly_backup?",
    ),
    "a seed below 0": ((*SIMULATE, "--seed=-1", "-o", "d"), "A seed is 0 or a greater whole number, not -1"),
    "too long a simulation": (
        ("simulate", "steady", "--hours", "1000", "-o", "d"),
        "from 0.5 to 168 hours long, not 1000",
    ),
    "a simulation into a file": ((*SIMULATE, "-o", "file"), "-o file: cannot be written"),
    "a demo into a file": (("demo", "-o", "file"), "-o file: is a file; give a folder"),
    "a demo into somebody's folder": (("demo", "-o", "."), "-o .: is not empty and no demo made it"),
    "a configuration that is not there": (("run", "--config", "gone"), "gone: cannot be read: No such file"),
    "times the wrong way round": (
        ("capture", "--config", "afoot.toml", "--from", "2", "--to", "1", "-o", "f"),
        "--from 2 is not before --to 1",
    ),
    "a time that is none": (
        ("capture", "--config", "afoot.toml", "--from", "noon", "--to", "1", "-o", "f"),
        "--from noon: is no time; write 2026",
    ),
    "a recording into no folder": ((*CAPTURE, "-o", "gone/f"), "-o gone/f: there is no folder"),
    "a recording into a folder": ((*CAPTURE, "-o", "."), "-o .: is a folder"),
    "a cluster without a port": (
        ("submit", "--config", "afoot.toml", "--jobmanager", "there"),
        "--jobmanager there: allowed is HOST:PORT",
    ),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_named_and_nothing_begins(name: str) -> None:
    arguments, words = USAGE[name]
    assert words in said(2, *arguments)
    assert sorted(path.name for path in Path().iterdir()) == ["afoot.toml", "c.jsonl", "file"]


CONFIGS = {
    "no TOML": ("[kafka]\nstart = earliest\n", "afoot.toml: not valid TOML: ", "line 2"),
    "a table that is none": ("[kafak]\n", "afoot.toml: unknown table [kafak]; did you mean 'kafka'? known: alerts"),
    "a key that is none": (
        '[lake]\nurl = "l"\n',
        "[lake] unknown key 'url'; did you mean 'uri'? known: all_signals, uri",
    ),
    "no brokers": ('[lake]\nuri = "l"\n', '[kafka] "bootstrap.servers" is missing; it names the brokers'),
    "no lake": ('[kafka]\n"bootstrap.servers" = "b:1"\n', "[lake] uri is missing; it says where findings go"),
    "a format that is none": (
        '[[topic]]\nname = "t"\nkind = "metrics"\nformat = "otlp"\n',
        "[[topic]] number 1 (t): ",
        "'otlp'",
        "did you mean",
        "otlp_json",
    ),
    "a format of another kind": (
        '[[topic]]\nname = "t"\nkind = "logs"\nformat = "goflow2_json"\n',
        "goflow2_json does not hold logs",
    ),
    "a lake that is no place": ('[lake]\nuri = "gs://b/x"\n', "[lake] uri: found 'gs://b/x'", "s3://bucket/prefix"),
    "a lake without a bucket": ('[lake]\nuri = "s3://"\n', "[lake] uri: found 's3://'", "s3://bucket/prefix"),
    "a duration that is none": ('[window]\nsize = "1 fortnight"\n', "[window] size", "1 fortnight"),
    "a number out of bounds": (
        "[flink]\nparallelism = 0\n",
        "[flink] parallelism: found 0, allowed is a whole number from 1",
    ),
    "a secret that is not there": (
        '[kafka]\n"sasl.password" = "${NOBODY_SET_THIS}"\n',
        '[kafka] "sasl.password": the environment has no NOBODY_SET_THIS; export it',
    ),
    "nothing to judge by": (
        '[kafka]\n"bootstrap.servers" = "b:1"\n[lake]\nuri = "l"\n'
        '[[topic]]\nname = "inventory"\nkind = "inventory"\nformat = "debezium_json"\n',
        "no [[topic]] holds metrics, logs or flows",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_configuration_is_named_by_file_and_key(name: str) -> None:
    text, *words = CONFIGS[name]
    Path("afoot.toml").write_text(text, "utf-8")
    found = said(2, "run", "--config", "afoot.toml")
    assert found.startswith("afoot: afoot.toml: ")
    for part in words:
        assert part in found


@pytest.mark.parametrize("command", ["replay", "submit", "capture", "doctor"])
def test_every_command_reads_its_configuration_first(command: str) -> None:
    Path("afoot.toml").write_text("[kafak]\n", "utf-8")
    arguments = {
        "replay": REPLAY[1:],
        "submit": ("--jobmanager", "127.0.0.1:1"),
        "capture": ("--from", "1", "--to", "2", "-o", "f"),
        "doctor": (),
    }
    assert "unknown table [kafak]" in said(2, command, "--config", "afoot.toml", *arguments[command])


def test_a_lake_that_holds_findings_is_not_added_to_unasked() -> None:
    write_lake("l")
    assert "--lake l: holds findings already; give another one, or --append" in said(2, *REPLAY)


@pytest.mark.parametrize("lake", ["file", "file/lake", "/proc/lake"])
def test_a_lake_that_cannot_be_written_fails_before_anything_starts(lake: str) -> None:
    assert f"lake {lake}: cannot be written, and nothing was started" in said(
        1, "replay", "--capture", "c.jsonl", "--lake", lake
    )
    Path("afoot.toml").write_text(CONFIG.replace('uri = "lake"', f'uri = "{lake}"'), "utf-8")
    assert f"lake {lake}: cannot be written, and nothing was started" in said(1, "run", "--config", "afoot.toml")


def test_a_broker_that_is_not_there_fails_before_anything_starts() -> None:
    found = said(1, "run", "--config", "afoot.toml")
    assert "the brokers cannot be reached, and nothing was started: 127.0.0.1:1: Connection refused" in found


def test_a_cluster_that_is_not_there_fails_before_anything_starts() -> None:
    found = said(1, "submit", "--config", "afoot.toml", "--jobmanager", "127.0.0.1:1")
    assert "the cluster's REST interface cannot be reached, and nothing was started: 127.0.0.1:1" in found


def test_brokers_that_do_not_answer_end_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afoot.kafka.PATIENCE_S", 1.0)
    assert "brokers 127.0.0.1:1 do not answer within 1 s" in said(1, *CAPTURE, "-o", "f")
    assert not Path("f").exists()


@pytest.mark.parametrize("command", [(*CAPTURE, "-o", "f"), ("doctor", "--config", "afoot.toml")])
def test_a_secret_in_the_wrong_place_is_not_repeated(command: tuple[str, ...]) -> None:
    wrong = CONFIG.replace(
        '"sasl.mechanism" = "PLAIN"', '"sasl.mechanism" = "PLAIN"\n"broker.address.family" = "${KAFKA_PASSWORD}"'
    )
    Path("afoot.toml").write_text(wrong, "utf-8")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert SECRET not in result.output
    assert "***" in result.output


def test_a_capture_that_was_cut_off_is_named_and_nothing_is_replayed() -> None:
    messages = [Message("telemetry.metrics", 0, n, n, None, b"{}") for n in range(5000)]
    write_captures(Path("c.jsonl.gz"), messages)
    whole = Path("c.jsonl.gz").read_bytes()
    Path("c.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    found = said(1, "replay", "--capture", "c.jsonl.gz", "--lake", "l")
    assert "c.jsonl.gz: cannot be read after line " in found and "nothing was replayed" in found
    Path("c.jsonl.gz").write_bytes(gzip.compress(b'{"topic": "t"}\n'))
    assert "c.jsonl.gz:1: not a captured message: 'partition' is missing" in said(
        1, "replay", "--capture", "c.jsonl.gz", "--lake", "l"
    )


def test_an_empty_capture_is_wrong_usage() -> None:
    assert "file: no messages in this capture" in said(2, "replay", "--capture", "file", "--lake", "l")


def test_a_finding_that_is_not_there_is_wrong_usage() -> None:
    write_lake("l")
    found = said(2, "case", "nobody", "--lake", "l")
    assert "nobody" in found and FINDING in found


def test_as_a_user_types_it() -> None:
    done = afoot("run", "--config", Path("afoot.toml").absolute())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("afoot: the brokers cannot be reached") and done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
