"""A run of Flink in a process of its own: its time line from Flink's REST API, its CPU and memory from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.meter import Meter, cpu_seconds

POLL_S = 0.5
PATIENCE_S = 1_800


class Run(NamedTuple):
    """One run. Seconds are since the process was started; None for what was not seen."""

    wall_s: float
    running_s: float | None  # all tasks run
    first_read_s: float | None  # the sources have given their first record to the tasks behind them
    finished_s: float | None  # Flink called the job finished
    peak_bytes: int
    peak_by_role: dict[str, int]
    cpu_s: dict[str, float]  # by part, of the whole run
    reading_cpu_s: dict[str, float]  # by part, from the first record read to the end
    broker_cpu_s: float

    @property
    def reading_s(self) -> float:
        """From the first record read to the job's end: without the engine's start."""
        begin = self.first_read_s if self.first_read_s is not None else 0.0
        return (self.finished_s if self.finished_s is not None else self.wall_s) - begin

    @property
    def total_cpu_s(self) -> float:
        """CPU seconds of all processes, without the broker."""
        return sum(self.cpu_s.values())

    @property
    def total_reading_cpu_s(self) -> float:
        """The same, from the first record read."""
        return sum(self.reading_cpu_s.values())


def flink_settings(port: int) -> dict[str, str]:
    """Options that let a run be watched."""
    return {"rest.bind-port": str(port), "rest.port": str(port), "metrics.fetcher.update-interval": "500"}


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a Python module in this environment."""
    return [sys.executable, "-m", name, *arguments]


def watched(command: Sequence[str], port: int, broker: int | None) -> Run:
    """Runs a command to its end; RuntimeError with its words if it fails. `broker`: a process id."""
    before = cpu_seconds(broker) if broker else 0.0
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    meter = Meter(process.pid).start()
    marks: dict[str, float] = {}
    try:
        with _drained(process) as said:
            while process.poll() is None:
                for name in _phases(port, "reading" in marks):
                    marks.setdefault(name, time.monotonic())
                if time.monotonic() - begun > PATIENCE_S:
                    raise RuntimeError(f"{command[:3]} did not end within {PATIENCE_S} s")
                time.sleep(POLL_S)
            ended = time.monotonic()
    finally:
        meter.stop()
        # The group lives on under the leader's id as long as any child does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        tail = b"".join(said)[-4000:].decode("utf-8", "replace")
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}:\n{tail}")
    whole = meter.usage().cpu_s
    at_read = meter.at(marks["reading"]).cpu_s if "reading" in marks else {}

    def since(name: str) -> float | None:
        return marks[name] - begun if name in marks else None

    return Run(
        ended - begun,
        since("running"),
        since("reading"),
        since("finished"),
        meter.peak_bytes,
        meter.peak_by_role,
        whole,
        {part: seconds - at_read.get(part, 0.0) for part, seconds in whole.items()},
        cpu_seconds(broker) - before if broker else 0.0,
    )


@contextlib.contextmanager
def _drained(process: subprocess.Popen[bytes]) -> Iterator[list[bytes]]:
    """What a process says, read as it comes so that it never waits for a reader."""
    said: list[bytes] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield said
    reader.join(timeout=5)


def _phases(port: int, reads: bool) -> list[str]:
    """How far the job has come, as Flink tells: running, reading, finished. Metrics cost: asked for until it reads."""
    found = []
    try:
        for job in _get(port, "/jobs/overview")["jobs"]:
            if job["state"] == "FINISHED":
                found.append("finished")
            if reads:
                continue
            details = _get(port, f"/jobs/{job['jid']}")
            tasks = details["vertices"]
            if all(task["status"] in ("RUNNING", "FINISHED") for task in tasks):
                found.append("running")
            if any(task["metrics"]["write-records"] > 0 for task in tasks):
                found.append("reading")
    except (OSError, urllib.error.URLError, KeyError, ValueError):
        return found  # not up yet, or gone already
    return found


def _get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
        return orjson.loads(answer.read())


def folder_for(base: Path, name: str) -> Path:
    """An empty folder for a run."""
    found = base / f"{name.replace(' ', '-').replace(',', '')}-{time.monotonic_ns()}"
    found.mkdir(parents=True)
    return found
