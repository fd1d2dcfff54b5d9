"""What the live experiment stands on, without its half an hour: `make live` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from afoot.config import load_config
from afoot.inventory import cron
from afoot.inventory.graph import Graph
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange
from afoot.verdicts.rules import shipped_rules
from live import __main__ as live
from live.agents import PROCESSES, configurations
from live.disk import measure

NOW_MS = 1_780_000_000_000


def graph() -> Graph:
    """The experiment's inventory, as a snapshot shows it."""
    made = Graph()
    for entity_id, component, measured in live.entities("vda"):
        row = {"id": entity_id, "type": entity_id.partition(":")[0], "component": component}
        row["attributes"] = live.attributes(measured)  # type: ignore[assignment]
        made.apply(InventoryChange("entity", "upsert", (entity_id,), row, NOW_MS, True))
    for from_id, to_id, kind in live.RELATIONS:
        row = {"from_id": from_id, "to_id": to_id, "kind": kind}
        made.apply(InventoryChange("relation", "upsert", (from_id, to_id, kind), row, NOW_MS, True))
    return made


def test_the_inventory_puts_the_writer_and_the_backup_on_one_volume() -> None:
    made = graph()
    assert made.chain(live.VICTIM, NOW_MS).volumes == (live.VOLUME,)
    tenants = {tenant.entity: tenant.own_of for tenant in made.tenants(live.VOLUME, NOW_MS)}
    assert set(tenants) == {live.VICTIM, live.CULPRIT, live.BYSTANDER, live.BROKER}
    assert live.VICTIM in tenants[live.VICTIM] and live.VICTIM not in tenants[live.CULPRIT]
    assert f"'{live.ENTRY}', '{live.CULPRIT}', '{live.SCHEDULE}'" in live.inventory("vda")


def test_every_process_that_collectd_watches_is_an_entity() -> None:
    assert set(PROCESSES) | {"vda"} == {measured for *_, measured in live.entities("vda") if measured}


def test_the_schedule_is_one_that_the_rules_can_tell() -> None:
    period_s = cron.period_hint(live.SCHEDULE, "UTC")
    rules = shipped_rules()
    assert period_s is not None
    # An effect of two windows, as it has when the writer catches up in the next minute, ends before the next begins.
    assert (period_s - 2 * 60) * 1000 >= rules.time.ms("gap")


def test_the_configuration_reads_what_the_agents_send(tmp_path: Path) -> None:
    file = tmp_path / "afoot.toml"
    file.write_text(live.configuration("127.0.0.1:1", tmp_path / "lake", tmp_path / "state"))
    topics = load_config(file).topics
    for topic in topics:
        formats.decoder(topic.format, topic.kind, topic.options)
    assert {topic.format for topic in topics} == {
        "collectd_json",
        "pmacct_json",
        "rsyslog_json",
        "json",
        "debezium_json",
    }


def test_the_shipped_configurations_become_those_of_the_experiment(tmp_path: Path) -> None:
    found = configurations(tmp_path, "127.0.0.1:4711", "host", tmp_path / "syslog")
    for text in found.values():
        body = "\n".join(line for line in text.splitlines() if line[:1] not in ("#", "!"))
        assert "4711" in body and "kafka:9092" not in body and "9092" not in body
    for name in PROCESSES:
        assert f'ProcessMatch "{name}"' in found["collectd"]


def test_a_disk_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    found = measure(tmp_path, 0.1)
    assert found.idle > 0 and found.loaded > 0 and found.bulk > 0
    assert list(tmp_path.iterdir()) == []


def test_only_the_whole_answer_counts() -> None:
    right = {
        "kind": "shared_volume_contention",
        "victim_entity": live.VICTIM,
        "culprit_entity": live.CULPRIT,
        "culprit_via": live.VOLUME,
        "schedule_id": live.ENTRY,
    }
    assert live.is_named(right)
    for key in right:
        assert not live.is_named({**right, key: None})


def test_the_table_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "backup.log").write_text(
        "2026-05-09 10:05:00,100 backup starts\n2026-05-09 10:05:50,200 backup done, 40.0 GB\n"
    )
    (tmp_path / "writer.log").write_text(
        "2026-05-09 10:05:49,000 write lag 31.500 s, 9 records\n2026-05-09 10:08:00,000 write lag 0.200 s, 99 records\n"
    )
    live.print_runs(tmp_path)
    assert "| 50 s | 31.5 s | 0.20 s |" in capsys.readouterr().out
