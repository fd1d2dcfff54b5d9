"""Which topics are there: what `afoot run`, `afoot submit` and `afoot doctor` make of those that are not."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import cast

import pytest

from afoot.catalogue.loader import load_catalogue
from afoot.cli import run
from afoot.config import Config, Topic
from afoot.doctor import Check, _kafka, _outputs
from afoot.errors import AfootError, UsageError
from afoot.kafka import Reader
from afoot.topics import silent
from tests.jobs.support import afoot, configure
from tests.servers.kafka import Kafka

METRICS = Topic("metrics", None, "metrics", "otlp_json")
LOGS = Topic(None, r"logs\..*", "logs", "fluent_bit")
CONFIG = Config((METRICS, LOGS), alerts_topic="alerts", dead_letters_topic="dead")


class Brokers:
    """Brokers that have these topics, and make others or not, or do not tell."""

    servers = "b:1"

    def __init__(self, topics: Collection[str], makes: str | None) -> None:
        self._topics, self._makes = topics, makes

    def __enter__(self) -> Brokers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def topics(self) -> dict[str, list[int]]:
        return {topic: [0] for topic in self._topics}

    def broker_setting(self, name: str) -> str | None:
        return {"auto.create.topics.enable": self._makes}.get(name)

    def last(self, *_: object) -> list[object]:
        return []

    def messages(self, *_: object) -> list[object]:
        return []


def started(monkeypatch: pytest.MonkeyPatch, topics: Collection[str], makes: str | None) -> None:
    monkeypatch.setattr(run, "Reader", lambda _: Brokers(topics, makes))
    run._ensure_topics(CONFIG)


def test_an_entry_without_a_topic_is_silent() -> None:
    assert silent(CONFIG, ["metrics", "logs.a"]) == []
    assert silent(CONFIG, ["metrics", "log"]) == [LOGS]
    assert silent(CONFIG, ["logs.b"]) == [METRICS]


@pytest.mark.parametrize("missing", ["alerts", "dead"])
def test_nothing_starts_that_could_not_write(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"metrics", "logs.a", "alerts", "dead"} - {missing}
    table = {"alerts": "alerts", "dead": "dead_letters"}[missing]
    with pytest.raises(UsageError, match=rf"\[{table}\] no topic {missing} is there.*stall.*create {missing}"):
        started(monkeypatch, there, "false")


@pytest.mark.parametrize(("makes", "said"), [("true", ""), (None, "[dead_letters] no topic dead is there; unless")])
def test_what_the_brokers_may_make_stops_nothing(
    makes: str | None, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(monkeypatch, ["metrics", "logs.a", "alerts"], makes)
    found = capsys.readouterr().err
    assert found.startswith(said) and bool(found) == bool(said)


def test_topics_that_may_come_later_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(monkeypatch, ["alerts", "dead", "logs.a"], "false")
    assert capsys.readouterr().err.startswith("no topic is there yet of metrics; ")
    started(monkeypatch, ["alerts", "dead"], "false")
    assert capsys.readouterr().err.startswith(r"no topic is there yet of metrics, /logs\..*/; ")


def test_where_topics_cannot_be_looked_at_the_job_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: object) -> Reader:
        raise AfootError("[kafka]: the client refuses these settings")

    monkeypatch.setattr(run, "Reader", refused)
    run._ensure_topics(CONFIG)
    assert capsys.readouterr().err == "topics were not looked at: [kafka]: the client refuses these settings\n"


@pytest.mark.parametrize(("makes", "state"), [("false", "wrong"), ("true", "look"), (None, "look")])
def test_the_doctor_finds_outputs_that_would_stall_the_job(makes: str | None, state: str) -> None:
    found = list(_outputs(CONFIG, {"alerts": [0]}, cast(Reader, Brokers(["alerts"], makes))))
    assert [(check.about, check.state) for check in found] == [("alerts", "ok"), ("dead letters", state)]
    assert ("stall" in found[1].advice) == (state == "wrong")


@pytest.mark.parametrize(("there", "wrong"), [([], True), (["logs.a"], False)])
def test_the_doctor_finds_that_no_telemetry_is_there(
    there: list[str], wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afoot.doctor.Reader", lambda _: Brokers(there, "true"))
    found: dict[str, Check] = {check.about: check for check in _kafka(CONFIG, load_catalogue(()))}
    assert ("telemetry" in found) == wrong
    assert not wrong or found["telemetry"].state == "wrong"


@pytest.mark.server
@pytest.mark.parametrize("command", [("run",), ("submit", "--jobmanager")])
def test_against_a_broker(kafka_server: Kafka, tmp_path: Path, command: tuple[str, ...]) -> None:
    prefix = f"outputs.{command[0]}."
    kafka_server.create(f"{prefix}telemetry.metrics")
    config = configure(
        tmp_path / "afoot.toml",
        prefix,
        ["telemetry.metrics"],
        kafka={"bootstrap.servers": kafka_server.bootstrap},
        lake={"uri": str(tmp_path / "lake")},
        alerts={"topic": f"{prefix}alerts"},
    )
    # Anything that listens passes for the cluster: nothing gets so far as to ask it.
    more = [kafka_server.bootstrap] if len(command) > 1 else []
    done = afoot(*command, *more, "--config", config)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1 and f"[alerts] no topic {prefix}alerts is there" in done.stderr
