"""PostgreSQL's inventory through Debezium and by polling: after whatever happens, both hold what the database holds.

The tests are a story: each goes on with what the one before left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afoot.config import load_config
from afoot.inventory.graph import Graph
from afoot.poll import Poller, poll
from afoot.telemetry.rows import Labels
from jobs.findings.inventory import InventoryLog
from jobs.findings.render import RECORD_SEPARATOR, SEPARATOR
from tests.connectors.inventory import CONNECTORS, Captured, Inventory, afoot, held
from tests.jobs.state import State
from tests.servers.connect import Connect
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.server, pytest.mark.slow]

VOLUME = "volume:svm1/flexvol7"
PSQL = ["psql", "-XqAt", "-f", str(CONNECTORS / "polled.sql")]
MAIN_CASE = """
INSERT INTO inventory.entity VALUES
    ('vm:frosa-system-backup', 'vm', 'frosa-system-backup', 'compute', '{"match": [{"InstanceId": "i-0abc"}]}'),
    ('vm:passer-by', 'vm', 'passer-by', 'compute', '{}'),
    ('volume:svm1/flexvol7', 'volume', 'flexvol7', 'storage', '{"match": [{"svm": "svm1", "volume": "flexvol7"}]}'),
    ('job:enricher', 'job', 'enricher', 'processor', '{}');
INSERT INTO inventory.relation VALUES
    ('job:enricher', 'topic:telemetry', 'reads'),
    ('job:enricher', 'volume:svm1/flexvol7', 'mounts'),
    ('vm:frosa-system-backup', 'volume:svm1/flexvol7', 'attached_to');
INSERT INTO inventory.schedule VALUES ('cron-1', 'vm:frosa-system-backup', '40 * * * *', 'UTC', 'backup --all');
"""


class Story:
    """The inventory and its two captures."""

    def __init__(self, inventory: Inventory, logged: Captured, polled: Captured, poller: Poller) -> None:
        self.inventory, self.logged, self.polled, self.poller = inventory, logged, polled, poller

    def sql(self, text: str) -> None:
        self.inventory.sql(text)

    def check(self) -> None:
        """Log and poll have brought everything until now, and hold what the database holds."""
        marker = self.inventory.mark()
        self.poll()
        wanted = self.inventory.tables()
        logged = self.logged.after(marker)
        assert held(logged) == wanted
        assert logged.problems() == {}
        polled = self.polled.after(marker)
        assert held(polled) == wanted
        assert answers(polled, marker) == answers(logged, marker)

    def operations(self, begin: int, table: str = "") -> set[str]:
        """What Debezium says was done, of a table or any, since a number of records."""
        values = [json.loads(record.value()) for record in self.logged.messages()[begin:] if record.value()]
        return {value["op"] for value in values if table in ("", value["source"]["table"])}

    def poll(self) -> None:
        self.poller.send(poll(PSQL))


def answers(graph: Graph, marker: str) -> tuple[Any, ...]:
    """What verdicts ask of an inventory, as of its last change."""
    now_ms = graph.heard_ms or 0
    assert graph.entity(marker, now_ms) is not None
    tenants = graph.tenants(VOLUME, now_ms)
    schedules = graph.schedules("vm:frosa-system-backup", now_ms)
    return (
        graph.victims(now_ms),
        graph.chain("job:enricher", now_ms),
        [(tenant.entity, tenant.known_by_snapshot, tenant.own_of) for tenant in tenants],
        [(schedule.id, schedule.expression, schedule.command) for schedule in schedules],
        graph.resolve(Labels.of({"InstanceId": "i-0abc"}), ("vm",), now_ms),
    )


@pytest.fixture(scope="module")
def story(
    inventory: Inventory, kafka_server: Kafka, connect_worker: Connect, afoot_toml: Path, as_admin: dict[str, str]
) -> Iterator[Story]:
    """The main case in the database, and the connector applied."""
    inventory.sql(MAIN_CASE)
    for topic in {"inventory", "inventory.polled"} - kafka_server.topics():
        kafka_server.create(topic)
    logged = Captured(kafka_server, "inventory", "debezium_json")
    polled = Captured(kafka_server, "inventory.polled", "jdbc_json")
    said = afoot("connectors", "apply", f"--connect={connect_worker.url}", f"--dir={CONNECTORS}")
    assert "connector inventory: created" in said
    assert "running, 1 of 1 tasks run" in said
    with pytest.MonkeyPatch.context() as patch, Poller(load_config(afoot_toml).kafka, "inventory.polled") as poller:
        for name, value in as_admin.items():
            patch.setenv(name, value)
        yield Story(inventory, logged, polled, poller)
    connect_worker.call("DELETE", "/connectors/inventory")
    inventory.drop_slot("afoot_inventory")


def test_a_first_snapshot(story: Story) -> None:
    story.check()
    for captured in (story.logged, story.polled):
        tenants = captured.after("vm:frosa-system-backup").tenants(VOLUME, 0)
        assert [(tenant.entity, tenant.known_by_snapshot) for tenant in tenants] == [
            ("job:enricher", True),
            ("vm:frosa-system-backup", True),
        ]


def test_insert_update_and_delete(story: Story) -> None:
    story.sql("""
        INSERT INTO inventory.entity VALUES ('vm:other', 'vm', 'other', 'compute', '{"zone": "a", "n": 1.50}');
        INSERT INTO inventory.relation VALUES ('vm:other', 'volume:svm1/flexvol7', 'attached_to');
        UPDATE inventory.schedule SET expression = '10 * * * *', updated_at = now();
        UPDATE inventory.entity SET name = 'Backup', updated_at = now() WHERE id = 'vm:frosa-system-backup';
        DELETE FROM inventory.entity WHERE id = 'vm:passer-by';
        DELETE FROM inventory.relation WHERE from_id = 'vm:frosa-system-backup';
    """)
    story.check()
    since = [
        captured.after("vm:other").attached_since("vm:other", VOLUME, 2**50)
        for captured in (story.logged, story.polled)
    ]
    assert all(since)
    assert abs((since[0] or 0) - (since[1] or 0)) < 1_000  # commit, and updated_at: not when it was polled


def test_a_large_value_that_an_update_leaves_alone(story: Story) -> None:
    story.sql("""
        INSERT INTO inventory.entity
        SELECT 'vm:large', 'vm', 'large', 'compute',
               jsonb_build_object('notes', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) AS i));
    """)
    story.sql("UPDATE inventory.entity SET name = 'larger' WHERE id = 'vm:large'")
    story.check()


def test_a_changed_key(story: Story) -> None:
    story.sql("""
        UPDATE inventory.entity SET id = 'vm:moved' WHERE id = 'vm:other';
        UPDATE inventory.relation SET from_id = 'vm:moved', kind = 'mounts' WHERE from_id = 'vm:other';
        UPDATE inventory.schedule SET id = 'cron-2';
    """)
    story.check()


def test_truncate(story: Story) -> None:
    story.sql("TRUNCATE inventory.relation, inventory.schedule")
    story.check()
    assert story.inventory.tables()["relation"] == {}
    assert story.inventory.tables()["schedule"] == {}
    story.sql("INSERT INTO inventory.relation VALUES ('job:enricher', 'volume:svm1/flexvol7', 'mounts')")
    story.check()


def test_a_column_that_was_added(story: Story) -> None:
    story.sql("""
        ALTER TABLE inventory.entity ADD COLUMN owner text;
        INSERT INTO inventory.entity (id, type, name, component, owner) VALUES ('vm:new', 'vm', 'new', 'compute', 'me');
        UPDATE inventory.entity SET owner = 'you', name = 'newer' WHERE id = 'vm:large';
    """)
    story.check()


def test_a_connector_that_is_restarted(story: Story, connect_worker: Connect) -> None:
    arguments = (f"--connect={connect_worker.url}", f"--dir={CONNECTORS}")
    story.sql("UPDATE inventory.entity SET name = 'before' WHERE id = 'vm:new'")
    said = afoot("connectors", "restart", *arguments, "--all", "inventory")
    assert "connector inventory: running, 1 of 1 tasks run" in said
    story.sql("UPDATE inventory.entity SET name = 'after' WHERE id = 'vm:new'")
    story.check()


def test_a_worker_that_is_killed(story: Story, connect_worker: Connect) -> None:
    story.sql("DELETE FROM inventory.entity WHERE id = 'vm:new'")
    connect_worker.process.kill()
    story.sql("""
        INSERT INTO inventory.entity (id, type, name, component) VALUES ('vm:meanwhile', 'vm', 'm', 'compute');
        DELETE FROM inventory.entity WHERE id = 'vm:moved';
    """)
    connect_worker.process.start()
    story.check()


def test_a_database_that_is_restarted(story: Story) -> None:
    story.sql("UPDATE inventory.entity SET name = 'before' WHERE id = 'vm:meanwhile'")
    story.inventory.server.restart()
    story.sql("""
        UPDATE inventory.entity SET name = 'after' WHERE id = 'vm:meanwhile';
        DELETE FROM inventory.entity WHERE id = 'vm:large';
    """)
    story.check()


@pytest.mark.parametrize("kind", ["incremental", "blocking"])
def test_a_snapshot_that_is_asked_for(story: Story, kind: str) -> None:
    tables = ["inventory.entity", "inventory.relation", "inventory.schedule"]
    data = json.dumps({"type": kind, "data-collections": tables})
    began = len(story.logged.messages())
    story.sql(f"""
        INSERT INTO inventory.schedule VALUES ('cron-{kind}', 'vm:meanwhile', '5 4 * * *');
        INSERT INTO inventory.signal VALUES ('{kind}', 'execute-snapshot', '{data}');
        UPDATE inventory.entity SET name = '{kind}' WHERE id = 'vm:meanwhile';
        UPDATE inventory.relation SET to_id = 'volume:svm1/{kind}';
    """)
    while "r" not in story.operations(began, "schedule"):  # the signal is obeyed some time after it was given
        time.sleep(0.2)
    story.check()


def test_a_snapshot_after_the_slot_was_lost(story: Story, connect_worker: Connect) -> None:
    """What changed while nobody listened, deletions and an emptied table among it, is in no log any more."""
    connect_worker.call("DELETE", "/connectors/inventory")
    story.inventory.drop_slot("afoot_inventory")
    story.sql("""
        DELETE FROM inventory.entity WHERE id = 'vm:meanwhile';
        UPDATE inventory.entity SET name = 'renamed' WHERE id = 'job:enricher';
        TRUNCATE inventory.schedule;
        DELETE FROM inventory.relation;
        INSERT INTO inventory.relation VALUES ('vm:frosa-system-backup', 'volume:svm1/flexvol7', 'attached_to');
    """)
    began = len(story.logged.messages())
    said = afoot("connectors", "apply", f"--connect={connect_worker.url}", f"--dir={CONNECTORS}")
    assert "connector inventory: created" in said
    while "u" not in story.operations(began):  # the heartbeat, for one: the snapshot is over
        time.sleep(0.2)
    story.check()
    attached = story.logged.after("job:enricher").attached_since
    assert attached("vm:frosa-system-backup", "volume:svm1/flexvol7", 2**50) is not None  # and not from ever


def test_the_job_holds_the_same_from_batches_and_after_restarts(story: Story) -> None:
    wanted = story.inventory.tables()
    for captured in (story.logged, story.polled):
        state: dict[str, Any] = State()
        for begin in range(0, len(changes := captured.changes()), 7):
            records = [
                SEPARATOR.join((captured.topic, "0", str(begin + place), json.dumps([change._asdict()])))
                for place, change in enumerate(changes[begin : begin + 7])
            ]
            InventoryLog().add(RECORD_SEPARATOR.join(records), state)
        assert held(InventoryLog().graph(state)) == wanted


def test_nothing_but_the_inventory_is_in_its_topic(story: Story) -> None:
    """`check` has decoded every record; heartbeats come from the database, and move event time on."""
    tables = {change.table for change in story.logged.changes()}
    assert tables == {"entity", "relation", "schedule", "heartbeat"}
