"""Servers for tests, started once and only when a test asks for them."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from afoot.errors import AfootError
from tests.servers.flink import Flink, flink
from tests.servers.kafka import Kafka, kafka
from tests.servers.postgres import Postgres, postgres
from tests.servers.process import ServerError
from tests.servers.s3 import S3, s3

Server = TypeVar("Server")

# A busy machine is no counterexample.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def serve(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Yield the started server; one that cannot be had fails the tests in CI and skips them elsewhere."""
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(server)
        except (AfootError, ServerError, OSError) as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"a server cannot be had here: {error}")
        yield started


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka broker; topics are the test's own to name and create."""
    yield from serve(kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server with logical decoding; databases are the test's own to name and create."""
    yield from serve(postgres(tmp_path_factory.mktemp("postgres")))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server; buckets are the test's own to name and create."""
    yield from serve(s3(tmp_path_factory.mktemp("s3")))


@pytest.fixture(scope="session")
def flink_cluster(s3_server: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """A standalone Flink cluster of two slots, with checkpoints on s3_server."""
    state = s3_server.bucket("flink")
    yield from serve(flink(tmp_path_factory.mktemp("flink"), s3_server.environment, state))
