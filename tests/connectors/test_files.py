"""The folder of connectors, what of it may be shown, and what a Java trace means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from afoot.config import load_config
from afoot.connectors.files import Connector, load_connectors, load_topics
from afoot.connectors.rest import Refused, Worker
from afoot.connectors.secrets import Secrets
from afoot.connectors.sync import Difference, carry_out, cause, differences, plan, restart
from afoot.errors import UsageError
from afoot.telemetry.inventory import TABLES
from tests.connectors.inventory import CONNECTORS

GOOD = '{"name": "a", "config": {"connector.class": "A"}}'


def test_what_is_shipped_loads() -> None:
    (connector,) = load_connectors(CONNECTORS)
    assert (connector.name, connector.plugin.rpartition(".")[2]) == ("inventory", "PostgresConnector")
    captured = {table.removeprefix("inventory.") for table in connector.config["table.include.list"].split(",")}
    assert captured == set(TABLES)
    layout = {topic.name: topic for topic in load_topics(CONNECTORS)}
    assert layout[connector.config["transforms.one.replacement"]].partitions == 1
    assert all(topic.why and topic.config["cleanup.policy"] for topic in layout.values())
    read = load_config(CONNECTORS.parent / "deploy" / "afoot.toml")
    assert {topic.name for topic in read.topics} <= layout.keys()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no file there ends in .json"),
        ({"a.json": "{"}, "a.json: is no JSON"),
        ({"a.json": "[]"}, "needed is an object with name and config, and nothing else"),
        ({"a.json": '{"name": "a", "config": {}, "x": 1}'}, "and nothing else"),
        ({"a.json": '{"name": "", "config": {}}'}, "name: found '', needed is a text"),
        ({"a.json": '{"name": "a", "config": []}'}, "config: found list, needed is an object"),
        ({"a.json": '{"name": "a", "config": {"tasks.max": 1}}'}, "tasks.max: found int, needed is a text in quotes"),
        ({"a.json": '{"name": "a", "config": {"x": "1"}}'}, "connector.class is missing"),
        ({"a.json": GOOD.replace("}}", ', "name": "b"}}')}, "name is 'b', and the connector's is 'a'; leave it out"),
        ({"a.json": GOOD, "b.json": GOOD}, "a is the name of"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        load_connectors(tmp_path)
    assert reason in str(caught.value)
    with pytest.raises(UsageError, match="there is no such folder"):
        load_connectors(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is no YAML"),
        ("a: 1", "found dict, needed is a list of topics"),
        ("- 1", "topic 1: needed is a name"),
        ("- {name: a, partitions: 0}", "a: partitions: found 0"),
        ("- {name: a, partitions: true}", "a: partitions: found True"),
        ("- {name: a, partitions: 1, config: {retention.ms: 5}}", "their values as texts in quotes"),
        ("- {name: a, partitions: 1, replicas: 3}", "replicas: not known"),
    ],
)
def test_layouts_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    assert load_topics(tmp_path) == []
    (tmp_path / "topics.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_topics(tmp_path)
    assert reason in str(caught.value)


DEFINED: list[dict[str, Any]] = [
    {"definition": {"name": "pin", "type": "PASSWORD"}},
    {"definition": {"name": "host", "type": "STRING"}},
]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("pin", "1234567", "(hidden)"),
        ("database.password", "1234567", "(hidden)"),
        ("sasl.jaas.config", 'x password="abc";', "(hidden)"),
        ("database.password", "${file:/run/secrets:password}", "${file:/run/secrets:password}"),
        ("database.password", "${env:A}-and-more", "(hidden)"),
        ("host", "db", "db"),
        ("url", "jdbc:x?pw=1234567", "jdbc:x?pw=(hidden)"),
    ],
)
def test_what_is_shown_of_a_value(key: str, value: str, shown: str) -> None:
    assert Secrets(DEFINED, {"pin": "1234567", key: value}).value(key, value) == shown


def test_a_secret_that_connect_repeats_is_hidden() -> None:
    secrets = Secrets(DEFINED, {"pin": "hunter-2"}, {"pin": "hunter-1", "passphrase": "${env:A}hunter-3"}, None)
    assert secrets.text("not hunter-1, hunter-2 or hunter-3: ${env:A}") == (
        "not (hidden), (hidden) or (hidden): ${env:A}"
    )


def test_differences() -> None:
    there, wanted = {"a": "1", "b": "2", "password": "old-one"}, {"b": "3", "c": "4", "password": "new-one"}
    assert differences(there, wanted, Secrets((), there, wanted)) == [
        Difference("a", "1", None),
        Difference("b", "2", "3"),
        Difference("c", None, "4"),
        Difference("password", "(hidden)", "(hidden)"),
    ]
    assert differences(there, there, Secrets((), there)) == []


TRACE = """org.apache.kafka.connect.errors.ConnectException: An exception occurred
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: Creation of replication slot failed
\tat io.debezium.Task.run(Task.java:1)
Caused by: org.postgresql.util.PSQLException: FATAL: all replication slots are in use
\tat org.postgresql.core.v3.ConnectionFactoryImpl.doAuthentication(ConnectionFactoryImpl.java:1)
\t... 12 more
"""


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (TRACE, "PSQLException: FATAL: all replication slots are in use"),
        (TRACE.splitlines()[0], "ConnectException: An exception occurred"),
        ("", "no reason is given; the worker's log has it"),
    ],
)
def test_the_cause_of_a_trace(trace: str, expected: str) -> None:
    assert cause(trace) == expected


class Talkative(Worker):
    """A worker that repeats a password wherever it can."""

    def __init__(self, refuses: str) -> None:
        self.url, self.refuses = "http://127.0.0.1:8083", refuses

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        if self.refuses and path.endswith(self.refuses):
            raise Refused(500, "it was not hunter-2")
        if path.endswith("/validate"):
            return {"configs": []}
        if path.endswith("/status"):
            state = {"state": "FAILED", "trace": "Caused by: a.B: it was not hunter-2"}
            return {"connector": {"state": "RUNNING"}, "tasks": [state]}
        if path == "/connector-plugins":
            return [{"class": "a.b.C"}]
        return {"password": "hunter-2", "old": "1"}


def test_nothing_that_a_worker_says_shows_a_secret() -> None:
    connector = Connector("a", {"connector.class": "a.b.C", "password": "hunter-2"}, Path("a.json"))
    with pytest.raises(Refused, match=r"^it was not \(hidden\)$"):
        plan(Talkative("/validate"), connector)
    planned = plan(Talkative(""), connector)
    assert [difference.key for difference in planned.differences] == ["connector.class", "old"]
    with pytest.raises(Refused, match=r"^it was not \(hidden\)$"):
        carry_out(Talkative("/a/config"), planned)
    assert carry_out(Talkative(""), planned).cause == "B: it was not (hidden)"
    assert restart(Talkative(""), "a", everything=True).cause == "B: it was not (hidden)"
