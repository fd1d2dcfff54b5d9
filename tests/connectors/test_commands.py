"""`afoot connectors` against a real worker: it says what changes, changes that alone, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from afoot.cli.main import app
from tests.connectors.inventory import CONNECTORS, Inventory
from tests.servers.connect import Connect
from tests.servers.kafka import Kafka
from tests.servers.process import free_port

NAME = "commands"
SHIPPED = json.loads((CONNECTORS / "inventory.json").read_text())["config"]


class Commands:
    """A folder with one connector, and the commands over it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.config = {
            **SHIPPED,
            "slot.name": "afoot_commands",
            "topic.prefix": "commands",
            "transforms.one.regex": "commands\\.inventory\\.(.*)",
            "transforms.one.replacement": "commands.inventory",
        }

    def write(self, **changed: str) -> None:
        """Write the connector's file; keys have __ for a dot."""
        config = {**self.config, **{key.replace("__", "."): value for key, value in changed.items()}}
        (self.folder / f"{NAME}.json").write_text(json.dumps({"name": NAME, "config": config}))

    def run(self, command: str, *arguments: str, status: int = 0) -> str:
        """Both outputs of a command; another exit status fails the test."""
        options = [f"--connect={self.url}", f"--dir={self.folder}"]
        done = CliRunner().invoke(app, ["connectors", command, *options, *arguments], catch_exceptions=False)
        assert done.exit_code == status, done.output
        return done.output


@pytest.fixture
def commands(tmp_path: Path, inventory: Inventory, connect_worker: Connect, kafka_server: Kafka) -> Iterator[Commands]:
    if "commands.inventory" not in kafka_server.topics():
        kafka_server.create("commands.inventory")
    made = Commands(tmp_path, connect_worker.url)
    made.write()
    yield made
    if NAME in connect_worker.call("GET", "/connectors"):
        connect_worker.call("DELETE", f"/connectors/{NAME}")
    inventory.drop_slot("afoot_commands")


def told(kafka: Kafka) -> int:
    """How many configurations the workers were given so far."""
    return len(kafka.messages("connect.configs"))


@pytest.mark.server
@pytest.mark.slow
def test_apply_does_what_differs_and_nothing_twice(commands: Commands, kafka_server: Kafka) -> None:
    missing = {"kind": "connector", "name": "commands", "state": "missing", "found": ""}
    assert json.loads(commands.run("status", "--format=json", status=1)) == missing
    before = told(kafka_server)
    said = commands.run("apply", "--dry-run")
    assert "connector commands: would be created" in said
    assert "+ heartbeat.interval.ms = 5000" in said
    assert told(kafka_server) == before

    said = commands.run("apply")
    assert "connector commands: created" in said
    assert "connector commands: running, 1 of 1 tasks run" in said
    there = told(kafka_server)
    assert there > before

    assert commands.run("apply") == "connector commands: unchanged\nconnector commands: running, 1 of 1 tasks run\n"
    assert told(kafka_server) == there

    commands.write(heartbeat__interval__ms="9000", extra="1")
    rows = [json.loads(line) for line in commands.run("status", "--format=json").splitlines()]
    found = "1 of 1 tasks run; differs from commands.json: extra, heartbeat.interval.ms"
    assert rows == [{"kind": "connector", "name": "commands", "state": "running", "found": found}]
    said = commands.run("apply").splitlines()
    assert said[:4] == [
        "connector commands: changed",
        "  + extra = 1",
        "  - heartbeat.interval.ms = 5000",
        "  + heartbeat.interval.ms = 9000",
    ]


@pytest.mark.server
@pytest.mark.slow
def test_a_task_that_failed_says_why_and_runs_again_when_that_is_mended(
    commands: Commands, inventory: Inventory
) -> None:
    inventory.sql("DROP PUBLICATION IF EXISTS afoot_other")
    commands.write(publication__name="afoot_other")
    said = commands.run("apply", status=1)
    assert "connector commands: failed, 0 of 1 tasks run" in said
    why = "ConnectException: Publication autocreation is disabled, please create one and restart the connector."
    assert f"failed, 0 of 1 tasks run: {why}\n" in said
    assert "mend the cause, then: afoot connectors restart" in said
    (row,) = [json.loads(line) for line in commands.run("status", "--format=json", status=1).splitlines()]
    assert (row["state"], row["found"]) == ("failed", why)

    inventory.sql("CREATE PUBLICATION afoot_other FOR TABLE inventory.entity, inventory.heartbeat, inventory.signal")
    assert commands.run("restart") == "connector commands: running, 1 of 1 tasks run\n"
    commands.run("status")
    inventory.sql("DROP PUBLICATION afoot_other")


@pytest.mark.server
def test_a_configuration_that_the_worker_refuses_changes_nothing(commands: Commands, kafka_server: Kafka) -> None:
    before = told(kafka_server)
    commands.write(database__password="wrong-and-secret-123", snapshot__mode="sometimes")
    said = commands.run("apply", status=2)
    assert "commands.json: the worker refuses the configuration, nothing is changed:" in said
    assert "snapshot.mode: " in said
    commands.write(database__password="wrong-and-secret-123")
    said += commands.run("apply", status=2)
    assert "password authentication failed" in said
    assert "wrong-and-secret-123" not in said

    commands.write(connector__class="io.example.JdbcSourceConnector")
    said = commands.run("apply", status=2)
    assert "connector.class io.example.JdbcSourceConnector is no plugin of the worker" in said
    assert "io.debezium.connector.postgresql.PostgresConnector" in said
    assert told(kafka_server) == before


@pytest.mark.server
def test_a_password_that_stands_in_a_file_is_not_shown(
    commands: Commands, password: str, connect_worker: Connect
) -> None:
    commands.write(database__password=password)
    said = commands.run("apply", "--dry-run")
    assert "+ database.password = (hidden)" in said
    assert "+ database.user = ${env:POSTGRES_USER}" in said
    commands.run("apply")
    commands.write()
    said = commands.run("apply")
    assert said.splitlines()[1:3] == [
        "  - database.password = (hidden)",
        "  + database.password = ${env:POSTGRES_PASSWORD}",
    ]
    assert password not in said


@pytest.mark.server
def test_missing_topics_are_made_and_others_are_left_alone(
    commands: Commands, kafka_server: Kafka, afoot_toml: Path
) -> None:
    kafka_server.create("commands.there", partitions=2, retention_ms="1000")
    (commands.folder / "topics.yaml").write_text("""
- name: commands.there
  partitions: 4
  config: {retention.ms: "1000", cleanup.policy: compact}
- name: commands.new
  partitions: 3
  config: {retention.ms: "2000"}
  why: it is a test
""")
    config = f"--config={afoot_toml}"
    said = commands.run("apply", "--dry-run", config)
    assert "topic commands.new: would be created with 3 partition(s), retention.ms 2000" in said
    assert "commands.new" not in kafka_server.topics()
    rows = [json.loads(line) for line in commands.run("status", config, "--format=json", status=1).splitlines()]
    differs = "partitions is 2, the layout has 4; cleanup.policy is delete, the layout has compact"
    assert [(row["name"], row["state"], row["found"]) for row in rows[1:]] == [
        ("commands.there", "there", differs),
        ("commands.new", "missing", "it is a test"),
    ]

    said = commands.run("apply", config)
    assert "topic commands.new: created" in said
    assert "topic commands.there: partitions is 2, the layout has 4; it stays as it is" in said
    assert "topic commands.new" not in commands.run("apply", config)
    assert "topics.yaml are not looked at: --config names the brokers" in commands.run("apply")


def test_a_worker_that_is_not_there(tmp_path: Path) -> None:
    commands = Commands(tmp_path, f"http://127.0.0.1:{free_port()}")
    commands.write()
    for command in ("apply", "status", "restart"):
        said = commands.run(command, status=1)
        assert f"Kafka Connect does not answer at {commands.url}: " in said


class Other(BaseHTTPRequestHandler):
    """A server that is no Connect."""

    def do_GET(self) -> None:
        body = b"<html>" if self.path == "/" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


def test_something_else_that_answers(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            commands = Commands(tmp_path, f"http://127.0.0.1:{server.server_port}")
            commands.write()
            assert "is not Kafka Connect" in commands.run("status", status=1)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("127.0.0.1:8083", "write http://HOST:8083"),
        ("ftp://127.0.0.1", "write http://HOST:8083"),
        ("http://me:secret@127.0.0.1:8083", "export AFOOT_CONNECT_AUTH=USER:PASSWORD"),
    ],
)
def test_addresses_that_are_none(tmp_path: Path, url: str, reason: str) -> None:
    commands = Commands(tmp_path, url)
    commands.write()
    said = commands.run("status", status=2)
    assert reason in said
    assert "secret" not in said
