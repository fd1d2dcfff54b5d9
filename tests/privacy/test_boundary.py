"""The whole job over an incident full of secrets: the verdict is what it was, and nothing tells one of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet

from afoot.casefile.case import load_case
from afoot.casefile.page import render_page
from afoot.config import load_config
from afoot.lake.query import open_lake
from afoot.privacy.text import TextRedactor
from afoot.simulate.capture import write
from benchmarks import inprocess
from tests.jobs.support import KINDS, REPOSITORY, afoot, configure, replay
from tests.privacy.planted import POLICY, Planted, planted


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def capture(incident: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "capture.jsonl.gz"
    write(incident.messages, path)
    return path


@pytest.fixture(scope="module")
def plain(capture: Path) -> inprocess.Result:
    return inprocess.replay([capture])


def redacted(capture: Path, **more: Any) -> inprocess.Result:
    return inprocess.replay([capture], replace(load_config(None), privacy=replace(POLICY, **more)))


def alike(rows: list[Any], redactor: TextRedactor | None = None) -> list[str]:
    """Rows without the ids of findings, which are hashes of names; their texts redacted."""

    def shown(value: Any) -> Any:
        if isinstance(value, str) and redactor is not None:
            return redactor.text(value)
        return tuple(map(shown, value)) if isinstance(value, tuple | list) else value

    return sorted(
        repr([(k, shown(v)) for k, v in r._asdict().items() if k not in ("finding_id", "superseded_by")]) for r in rows
    )


def test_what_is_planted_is_told_without_a_policy(incident: Planted, plain: inprocess.Result) -> None:
    told = incident.told_in(repr(plain).encode())
    assert {b"hunter2-planted", b"bob.planted@example.org", b"4111111111111111", b"10-77-66-55"} <= told


def test_hashed_the_verdicts_are_equal_and_nothing_is_told(
    incident: Planted, capture: Path, plain: inprocess.Result
) -> None:
    found = redacted(capture)
    redactor = TextRedactor(POLICY)
    assert found.findings[-1].culprit_entity == redactor.text("vm:mimas-10-77-66-55")
    assert found.findings[-1].culprit_via == redactor.text(
        incident.truth.via.rpartition("/")[0] + "/vesper_4111111111111111"
    )
    assert found.findings[-1].runs_with_effect == 5
    assert alike(found.findings) == alike(plain.findings, redactor)
    assert alike(found.evidence) == alike(plain.evidence, redactor)
    assert len(found.alerts) == len(plain.alerts) > 0
    assert found.refused.total() == plain.refused.total() > 0
    assert incident.told_in(repr(found).encode()) == set()
    assert redacted(capture).findings == found.findings


def test_truncated_the_culprit_is_the_same_and_no_address_is_told(incident: Planted, capture: Path) -> None:
    found = redacted(capture, addresses="truncate")
    hashed = redacted(capture)
    assert found.findings[-1] == hashed.findings[-1]
    # Networks are told, and of two addresses here the network is the address itself.
    told = {secret for secret in incident.told_in(repr(found).encode()) if not secret.endswith(b".0")}
    assert told == set()


@pytest.mark.slow
def test_no_byte_that_the_job_writes_or_says_tells_any(
    incident: Planted, capture: Path, plain: inprocess.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_KEY", POLICY.key)
    monkeypatch.setenv("SEALING_KEY", str(POLICY.dead_letters_key))
    config = configure(
        tmp_path / "afoot.toml",
        topics=KINDS,
        lake={"all_signals": True},
        privacy={
            "key": "${PRIVACY_KEY}",
            "drop_labels": list(POLICY.drop_labels),
            "hash_labels": list(POLICY.hash_labels),
            "dead_letters": "encrypt",
            "dead_letters_key": "${SEALING_KEY}",
        },
    )
    lake, alerts, names = tmp_path / "lake", tmp_path / "alerts", ("--config", config, "--capture", capture)
    job = subprocess.run(
        [sys.executable, "-m", "jobs.findings", "--tell", *names, "--lake", lake, "--alerts-path", alerts],
        capture_output=True,
        cwd=REPOSITORY,
        timeout=300,
        check=False,
    )
    assert job.returncode == 0, job.stderr.decode()
    opened = open_lake(str(lake))
    (finding,) = {row["finding_id"] for row in opened.sql("SELECT * FROM findings WHERE kind <> 'expected_job'")}
    page = render_page(load_case(opened, finding))
    said = afoot("findings", "--lake", lake, "--history")
    (tmp_path / "said").write_bytes(
        job.stdout + job.stderr + page.encode() + said.stdout.encode() + said.stderr.encode()
    )

    redactor = TextRedactor(POLICY)
    rows = [row for path in files(lake) for row in parquet_rows(path)]
    (culprit,) = {r["culprit_entity"] for r in rows if r.get("finding_id") == finding and r.get("culprit_entity")}
    assert culprit == redactor.text("vm:mimas-10-77-66-55") and culprit in page
    assert sorted(r["summary"] for r in rows if "summary" in r) == sorted(
        redactor.text(f.summary) for f in plain.findings
    )
    # A flow's hashed address is still that of the entity that the inventory gives it to.
    assert culprit in {r["entity"] for r in rows if r.get("signal") == "flow_bytes_out"}

    for name, data in outputs(tmp_path):
        assert incident.told_in(data) == set(), name
    for key in (POLICY.key, str(POLICY.dead_letters_key)):
        assert key not in (tmp_path / "said").read_text("utf-8")

    letters = [row for row in rows if "reason" in row and "partition" in row]
    opener = Fernet(str(POLICY.dead_letters_key))
    found = [(opener.decrypt(row["key"]) if row["key"] else None, opener.decrypt(row["value"])) for row in letters]
    assert set(found) <= {(message.key, message.value) for message in incident.messages}
    assert sum(key is not None and b"planted" in key and b"planted" in value for key, value in found) >= 10
    assert any("late" in row["reason"] for row in letters) and any("not JSON" in row["reason"] for row in letters)


@pytest.mark.slow
def test_by_itself_a_policy_drops_the_bytes_of_dead_letters(
    incident: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_KEY", POLICY.key)
    config = configure(tmp_path / "afoot.toml", privacy={"key": "${PRIVACY_KEY}"})
    bad = [message for message in incident.messages if message.key == b"bob.planted@example.org"]
    tables, _ = replay(bad, tmp_path, config)
    letters = open_lake(str(tmp_path / "lake")).sql("SELECT * FROM dead_letters")
    assert len(letters) >= 10
    assert all(letter["key"] is None and letter["value"] is None and letter["reason"] for letter in letters)
    assert not incident.told_in(repr(tables).encode())


def outputs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files of a folder but the configuration; Parquet as the text of its rows, too."""
    for path in files(folder):
        if path.name != "afoot.toml":
            yield str(path), path.read_bytes()
            yield str(path), orjson.dumps(parquet_rows(path), default=lambda value: value.decode("latin-1"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none where it is no Parquet."""
    return pq.ParquetFile(path).read().to_pylist() if path.read_bytes().startswith(b"PAR1") else []
