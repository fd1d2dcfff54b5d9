"""The OpenTelemetry Collector of released modules: `make collector` builds it, which takes minutes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.process import REPOSITORY, Process, ServerError


def collector() -> str:
    """Path of the program."""
    program = REPOSITORY / ".tools" / "collector"
    if not program.exists():
        raise ServerError(f"{program} is missing: make collector builds it")
    return str(program)


@contextlib.contextmanager
def running(files: Sequence[Path], folder: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """A Collector with configuration files, of which later ones say more, its log in folder.

    It has no metrics of itself, whose port would be the same for each.
    """
    quiet = folder / "quiet.yaml"
    quiet.write_text("service: {telemetry: {metrics: {level: none}}}\n", encoding="utf-8")
    log = folder / "collector.log"

    def ready() -> bool:
        return "Everything is ready" in log.read_text(encoding="utf-8", errors="replace")

    command = [collector(), *(f"--config={file}" for file in (*files, quiet))]
    with Process("the Collector", command, log, ready, environment) as process:
        yield process
