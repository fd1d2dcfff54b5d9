"""An inventory in PostgreSQL, captured by connectors/ as it is shipped."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import serve
from tests.connectors.inventory import DATABASE, Inventory, prepared
from tests.servers.connect import Connect, connect
from tests.servers.kafka import Kafka
from tests.servers.postgres import ADMIN, Postgres

ROLE = "afoot_connect"


@pytest.fixture(scope="session")
def password() -> str:
    """Of the role that the connector logs in as."""
    return "pw-" + secrets.token_urlsafe(12)


@pytest.fixture(scope="session")
def inventory(postgres_server: Postgres, password: str) -> Inventory:
    """A database that connectors/*.sql prepared, without rows."""
    return prepared(postgres_server, ROLE, password)


@pytest.fixture(scope="session")
def connect_worker(
    kafka_server: Kafka, postgres_server: Postgres, password: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connect]:
    """A Connect worker with the connection to the inventory in its environment."""
    environment = {
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(postgres_server.port),
        "POSTGRES_USER": ROLE,
        "POSTGRES_PASSWORD": password,
        "POSTGRES_DB": DATABASE,
    }
    yield from serve(connect(tmp_path_factory.mktemp("connect"), kafka_server.bootstrap, environment))


@pytest.fixture(scope="session")
def as_admin(inventory: Inventory) -> dict[str, str]:
    """The variables by which psql finds the inventory."""
    server = inventory.server
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": ADMIN,
        "PGPASSWORD": server.password,
        "PGDATABASE": DATABASE,
    }


@pytest.fixture(scope="session")
def afoot_toml(kafka_server: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that names the brokers and both forms of the inventory."""
    file = tmp_path_factory.mktemp("config") / "afoot.toml"
    file.write_text(f"""
[kafka]
"bootstrap.servers" = "{kafka_server.bootstrap}"
[[topic]]
name = "inventory"
kind = "inventory"
format = "debezium_json"
[[topic]]
name = "inventory.polled"
kind = "inventory"
format = "jdbc_json"
""")
    return file
