"""The inventory three times: as the database has it, as a topic's changes make it, and short SQL to fill it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from afoot.inventory.graph import Graph
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import REPOSITORY, ServerError

CONNECTORS = REPOSITORY / "connectors"
DATABASE = "cmdb"
PATIENCE_S = 60.0

Tables = dict[str, dict[tuple[str, ...], dict[str, Any]]]

_KEYS = {"entity": ("id",), "relation": ("from_id", "to_id", "kind"), "schedule": ("id",)}
_COLUMNS = {
    "entity": ("type", "name", "component", "attributes"),
    "relation": (),
    "schedule": ("entity_id", "expression", "timezone", "command"),
}
_DROP_SLOT = """
DO $$
BEGIN
    FOR attempt IN 1..100 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'SLOT' AND active);
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'SLOT';
END
$$
"""


class Inventory:
    """The database, as its administrator."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._markers = itertools.count(1)

    def sql(self, text: str) -> str:
        """Run SQL; the rows."""
        return self.server.sql(text, DATABASE)

    def tables(self) -> Tables:
        """Every row of the three tables by its key."""
        found: Tables = {}
        for table, key in _KEYS.items():
            rows = json.loads(self.sql(f"SELECT coalesce(json_agg(t), '[]') FROM inventory.{table} AS t"))
            found[table] = {
                tuple(row[column] for column in key): {column: row[column] for column in _COLUMNS[table]}
                for row in rows
            }
        return found

    def mark(self) -> str:
        """Insert an entity. What reaches a topic after it was changed after everything until now."""
        marker = f"service:tests/marker-{next(self._markers)}"
        self.sql(f"INSERT INTO inventory.entity VALUES ('{marker}', 'service', '{marker}', 'service')")
        return marker

    def drop_slot(self, name: str) -> None:
        """Drop a replication slot, if there is one, as soon as nobody reads it."""
        self.sql(_DROP_SLOT.replace("SLOT", name))


class Captured:
    """What a topic says of the inventory, from now on."""

    def __init__(self, kafka: Kafka, topic: str, format_name: str) -> None:
        self.kafka, self.topic = kafka, topic
        self.begin = len(kafka.messages(topic))
        self._decode = formats.decoder(format_name, "inventory")

    def messages(self) -> list[Any]:
        """The records."""
        return self.kafka.messages(self.topic)[self.begin :]

    def changes(self) -> list[InventoryChange]:
        """The rows of all records. One that is no row, or is refused, fails the test."""
        found: list[InventoryChange] = []
        for record in self.messages():
            message = Message(
                self.topic, record.partition(), record.offset(), record.timestamp()[1], record.key(), record.value()
            )
            decoded = self._decode(message)
            assert decoded.refused == []
            found += decoded.rows
        return found

    def after(self, marker: str) -> Graph:
        """The graph of all changes, once the marker's is among them."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            changes = self.changes()
            if any(change.key == (marker,) for change in changes):
                made = Graph()
                for change in changes:
                    made.apply(change)
                return made
            if time.monotonic() > deadline:
                raise ServerError(f"{marker} is not in {self.topic} after {PATIENCE_S} s; {len(changes)} changes are")
            time.sleep(0.2)


def afoot(*arguments: str, status: int = 0, **environment: str) -> str:
    """What the command prints, on both outputs; another exit status fails the test."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("afoot")), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def held(graph: Graph) -> Tables:
    """Every row that a graph has now, by its key."""
    found: Tables = {table: {} for table in _COLUMNS}
    for source in graph.state()["sources"].values():
        for table, (_, histories) in source["tables"].items():
            found[table] |= {
                key: {column: rows[-1].get(column) for column in _COLUMNS[table]}
                for key, _, _, rows in histories
                if rows[-1] is not None
            }
    return found


def prepared(server: Postgres, role: str, password: str) -> Inventory:
    """A database, made as docs/connect.md says; twice, for that must do no harm."""
    server.sql(f"CREATE DATABASE {DATABASE}")
    for _ in range(2):
        server.sql((CONNECTORS / "inventory.sql").read_text(), DATABASE)
        server.sql((CONNECTORS / "role.sql").read_text(), DATABASE, role=role)
    server.sql(f"ALTER ROLE {role} PASSWORD '{password}'")
    return Inventory(server)
