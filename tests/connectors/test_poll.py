"""`afoot poll`: a program's rows reach the topic whole, at the time of their poll, or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from afoot.config import load_config
from afoot.errors import AfootError, UsageError
from afoot.poll import Fenced, Poller, Record, poll, topic_of
from tests.connectors.inventory import CONNECTORS, Captured, Inventory, afoot, held
from tests.servers.kafka import Kafka

AT_MS = 1_795_229_920_000
ROW = {"polled_table": "relation", "polled_at": AT_MS, "polled_row": 1, "polled_rows": 1}
RELATION = {"from_id": "a:b", "to_id": "c:d", "kind": "writes", "updated_at": AT_MS - 5}


def prints(text: str, status: int = 0) -> list[str]:
    """A program that prints a text and ends."""
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({status} and 'it broke')"]


def test_each_line_is_a_record_at_the_time_of_the_poll() -> None:
    line = json.dumps({**ROW, **RELATION})
    assert poll(prints(f"{line}\n\n{line}")) == [Record(line.encode(), AT_MS)] * 2


@pytest.mark.parametrize(
    ("command", "error", "reason"),
    [
        (["/there/is/no/such"], UsageError, "there is no program /there/is/no/such"),
        (prints(json.dumps({**ROW, **RELATION}), 1), AfootError, "ended with status 1; nothing is sent: it broke"),
        (prints(""), AfootError, "printed no row; an empty table has one, row 0 of 0"),
        (prints("connected"), AfootError, "line 1 cannot be read, nothing is sent: "),
        (prints(json.dumps({**ROW, **RELATION}) + "\n{}"), AfootError, "line 2 cannot be read, nothing is sent: "),
        (prints(json.dumps({"id": "vm:a"})), AfootError, "does not end in a table"),
        (prints(json.dumps({**RELATION, "polled_rows": None})), AfootError, "polled_table is nothing"),
    ],
)
def test_a_poll_that_fails_sends_nothing(command: list[str], error: type[AfootError], reason: str) -> None:
    with pytest.raises(error) as caught:
        poll(command)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("formats", "name", "expected"),
    [
        ({"a": "jdbc_json", "b": "debezium_json"}, None, "a"),
        ({"a": "jdbc_json", "b": "jdbc_json"}, "b", "b"),
        ({"a": "jdbc_json", "b": "jdbc_json"}, None, "topics of format jdbc_json: found a, b; needed"),
        ({"a": "debezium_json"}, None, "topics of format jdbc_json: found none"),
        ({"a": "debezium_json"}, "a", "--topic a of format jdbc_json: found none"),
    ],
)
def test_the_topic(tmp_path: Path, formats: dict[str, str], name: str | None, expected: str) -> None:
    file = tmp_path / "afoot.toml"
    file.write_text("".join(f'[[topic]]\nname="{t}"\nkind="inventory"\nformat="{f}"\n' for t, f in formats.items()))
    if len(expected) == 1:
        assert topic_of(load_config(file), name) == expected
    else:
        with pytest.raises(UsageError) as caught:
            topic_of(load_config(file), name)
        assert expected in str(caught.value)


@pytest.mark.server
def test_a_second_poller_takes_over(kafka_server: Kafka) -> None:
    kafka_server.create("polls.fenced")
    settings = {"bootstrap.servers": kafka_server.bootstrap}
    with Poller(settings, "polls.fenced") as first:
        first.send([Record(b"1", AT_MS), Record(b"2", AT_MS)])
        with Poller(settings, "polls.fenced") as second:
            with pytest.raises(Fenced, match="another poller of this topic was started"):
                first.send([Record(b"3", AT_MS)])
            second.send([Record(b"4", AT_MS + 1)])
    found = [(record.value(), record.timestamp()[1]) for record in kafka_server.messages("polls.fenced")]
    assert found == [(b"1", AT_MS), (b"2", AT_MS), (b"4", AT_MS + 1)]


@pytest.mark.server
def test_the_command_over_a_database(
    inventory: Inventory, kafka_server: Kafka, as_admin: dict[str, str], tmp_path: Path
) -> None:
    kafka_server.create("polls.command")
    file = tmp_path / "afoot.toml"
    file.write_text(f"""
[kafka]
"bootstrap.servers" = "{kafka_server.bootstrap}"
[[topic]]
name = "polls.command"
kind = "inventory"
format = "jdbc_json"
""")
    captured = Captured(kafka_server, "polls.command", "jdbc_json")
    marker = inventory.mark()
    psql = ["psql", "-XqAt", "-f", str(CONNECTORS / "polled.sql")]
    wanted = inventory.tables()
    said = afoot("poll", f"--config={file}", "--", *psql, **as_admin)
    rows = sum(max(len(rows), 1) for rows in wanted.values())
    assert said == f"polls.command: {rows} rows\n"
    assert held(captured.after(marker)) == wanted
    said = afoot("poll", f"--config={file}", "--", *psql, status=1, **{**as_admin, "PGPASSWORD": "wrong-and-secret"})
    assert "psql ended with status 2; nothing is sent: " in said
    assert "wrong-and-secret" not in said
    assert len(captured.messages()) == rows
