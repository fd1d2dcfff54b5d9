"""A Kafka Connect worker with Debezium's connector for PostgreSQL."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afoot.runtime.fill import fill_file
from afoot.runtime.jars import jars
from afoot.runtime.java import java
from tests.servers.process import REPOSITORY, Process, ServerError, free_port, unpack


@dataclass(frozen=True)
class Connect:
    """A running worker; `process` restarts or kills it."""

    url: str
    process: Process

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What the REST interface answers."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def wait(self, connector: str, state: str = "RUNNING", patience_s: float = 60) -> None:
        """Wait until a connector has tasks and all of them are in a state."""
        deadline = time.monotonic() + patience_s
        found: Any = None
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.HTTPError):
                found = self.call("GET", f"/connectors/{connector}/status")
                if found["tasks"] and all(task["state"] == state for task in found["tasks"]):
                    return
            time.sleep(0.1)
        raise ServerError(f"connector {connector} is not {state} after {patience_s} s: {json.dumps(found)[:4000]}")


@contextlib.contextmanager
def connect(folder: Path, bootstrap: str, environment: Mapping[str, str]) -> Iterator[Connect]:
    """A worker with its plugins and log in folder; connectors may name what stands in `environment`."""
    port = free_port()
    plugins = folder / "plugins"
    plugins.mkdir()
    unpack(jars("debezium")[0], plugins)
    config = fill_file(
        REPOSITORY / "deploy" / "connect" / "worker.properties",
        folder / "worker.properties",
        {"KAFKA_BOOTSTRAP": bootstrap, "CONNECT_PORT": str(port), "CONNECT_PLUGINS": str(plugins)},
    )
    command = [
        java(),
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile={REPOSITORY / 'deploy' / 'kafka' / 'log4j2.properties'}",
        "-cp",
        ":".join(str(jar) for jar in jars("kafka")),
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(config),
    ]
    url = f"http://127.0.0.1:{port}"
    process = Process("connect", command, folder / "connect.log", lambda: _answers(url), environment, patience_s=120)
    with process:
        yield Connect(url, process)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/connectors", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
