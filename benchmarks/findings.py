"""The findings job over a filled topic, bounded, and whether its books balance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from afoot.batches import fitting
from benchmarks.encodings import OPTIONS, catalogue
from benchmarks.process import Run, flink_settings, module, watched
from benchmarks.topics import Filled
from tests.servers.process import free_port

PARALLELISM = 2


class Unbalanced(Exception):
    """The books do not account for what was sent: the figures would be of a job that lost something."""


def run_findings(filled: Filled, bootstrap: str, broker: int, folder: Path) -> tuple[Run, dict[str, int]]:
    """One run, and its books by account; Unbalanced if anything is missing."""
    port = free_port()
    config, lake = folder / "afoot.toml", folder / "lake"
    text = _config(filled, bootstrap, flink_settings(port))
    if added := catalogue(filled.load.format):
        (folder / "signals.yaml").write_text(added, encoding="utf-8")
        text += f'[catalogue]\nfiles = ["{folder / "signals.yaml"}"]\n'
    config.write_text(text, encoding="utf-8")
    command = module("jobs.findings", "--config", str(config), "--lake", str(lake), "--bounded")
    run = watched(command, port, broker)
    return run, check_books(filled, lake)


def check_books(filled: Filled, lake: Path) -> dict[str, int]:
    """The books of a lake by account, held against what was sent."""
    found = duckdb.sql(
        "SELECT topic, counted, account, sum(count)::BIGINT AS n FROM read_parquet(?, hive_partitioning = false) "
        "WHERE detail IS NULL OR detail = '' OR account = 'unasked' GROUP BY ALL",
        params=[f"{lake}/books/**/*"],
    ).fetchall()
    books = {(topic, unit, account): n for topic, unit, account, n in found}

    def booked(topic: str, unit: str, *accounts: str) -> int:
        return sum(books.get((topic, unit, account), 0) for account in accounts)

    telemetry, inventory = filled.telemetry, filled.inventory
    balances: list[tuple[str, int, int]] = [
        ("messages decoded", filled.messages - filled.malformed, booked(telemetry, "messages", "decoded")),
        ("dead letters", filled.malformed, booked(telemetry, "messages", "dead_letters")),
        ("inventory messages", filled.inventory_messages, booked(inventory, "messages", "decoded")),
        (
            "points to windows, late, refused and unasked",
            filled.points,
            booked(telemetry, "points", "windows", "late", "refused", "unasked"),
        ),
        (
            "points of windows: in signals, duplicates, undefined and in windows left open",
            booked(telemetry, "points", "windows"),
            booked("", "points", "signals", "duplicates", "undefined", "open"),
        ),
    ]
    wrong = [f"{what}: {sent} sent, {seen} booked" for what, sent, seen in balances if sent != seen]
    if wrong:
        raise Unbalanced(f"{filled.load.name}: the books do not balance: {'; '.join(wrong)}; all of them: {books}")
    return {f"{unit}: {account}": n for (_, unit, account), n in sorted(books.items())}


def booked_messages(lake: Path) -> int:
    """Messages that the books of a lake account for; 0 where there are no books."""
    if not (lake / "books").is_dir():
        return 0
    rows = duckdb.sql(
        "SELECT sum(count)::BIGINT FROM read_parquet(?, hive_partitioning = false) WHERE counted = 'messages'",
        params=[f"{lake}/books/**/*"],
    ).fetchall()
    return rows[0][0] or 0


def found(lake: Path) -> list[tuple[Any, ...]]:
    """Kind, culprit and victim of each finding."""
    if not (lake / "findings").is_dir():
        return []
    return duckdb.sql(
        "SELECT DISTINCT kind, culprit_entity, victim_entity FROM read_parquet(?, hive_partitioning = false)",
        params=[f"{lake}/findings/**/*"],
    ).fetchall()


def _config(filled: Filled, bootstrap: str, settings: dict[str, str]) -> str:
    lines = [f'"{name}" = "{value}"' for name, value in settings.items()]
    options = "\n".join(f'{name} = "{value}"' for name, value in OPTIONS.get(filled.load.format, {}).items())
    return f"""
[kafka]
"bootstrap.servers" = "{bootstrap}"
start = "earliest"
[[topic]]
name = "{filled.telemetry}"
kind = "metrics"
format = "{filled.load.format}"
{options}
[[topic]]
name = "{filled.inventory}"
kind = "inventory"
format = "debezium_json"
[flink]
parallelism = {PARALLELISM}
batch = {fitting(filled.payload_bytes / filled.messages)}
[flink.settings]
{chr(10).join(lines)}
"""
