"""docs/connect.md: its configurations load, and its SQL runs in a database that was prepared as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from afoot.config import load_config
from tests.connectors.inventory import CONNECTORS
from tests.servers.postgres import Postgres
from tests.servers.process import REPOSITORY

PAGE = (REPOSITORY / "docs" / "connect.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_configurations_load(tmp_path: Path) -> None:
    found = []
    for block in blocks("toml"):
        file = tmp_path / "afoot.toml"
        file.write_text(block)
        found += [topic.format for topic in load_config(file).topics]
    assert found == ["otlp_json", "debezium_json", "jdbc_json", "otlp_json"]


def test_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"(?:connectors|deploy)/[\w./-]*\w", PAGE))
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []


@pytest.mark.server
def test_its_sql_runs(postgres_server: Postgres) -> None:
    postgres_server.sql("CREATE DATABASE docs")
    postgres_server.sql((CONNECTORS / "inventory.sql").read_text(), "docs")
    for block in blocks("sql"):
        postgres_server.sql(block, "docs")
    counts = "SELECT (SELECT count(*) FROM inventory.relation), (SELECT count(*) FROM inventory.schedule)"
    assert postgres_server.sql(counts, "docs") == "6|1"
    asked = json.loads(postgres_server.sql("SELECT data FROM inventory.signal", "docs"))
    assert asked["type"] == "incremental"
