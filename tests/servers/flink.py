"""A standalone Flink cluster: one JobManager and one TaskManager, from the Flink home that afoot assembles."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afoot.runtime.fill import fill_file
from afoot.runtime.flink_home import flink_home
from afoot.runtime.java import java_home
from tests.servers.process import REPOSITORY, Process, ServerError, free_port

ENDED = ("FINISHED", "FAILED", "CANCELED", "SUSPENDED")


@dataclass(frozen=True)
class Flink:
    """A running cluster; jobmanager and taskmanager are its processes, to be killed and started again."""

    address: str  # HOST:PORT of the REST interface, what `flink run -m` and `afoot submit` take
    environment: Mapping[str, str]
    jobmanager: Process
    taskmanager: Process

    def get(self, path: str) -> Any:
        """The JSON that the REST interface answers."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def cancel(self, job: str) -> None:
        """Cancel a job and wait until it is."""
        request = urllib.request.Request(f"http://{self.address}/jobs/{job}", method="PATCH")
        with urllib.request.urlopen(request, timeout=10):
            self.wait(job, "CANCELED")

    def state(self, job: str) -> str:
        """State of a job, as Flink names it."""
        return str(self.get(f"/jobs/{job}")["state"])

    def wait(self, job: str, state: str, patience_s: float = 120) -> None:
        """Wait until the job is in a state; another final state is a ServerError with the job's first exception."""
        deadline = time.monotonic() + patience_s
        while (found := self.state(job)) != state:
            if found in ENDED or time.monotonic() > deadline:
                cause = self.get(f"/jobs/{job}/exceptions?maxExceptions=1")
                raise ServerError(f"job {job} is {found} where {state} is awaited: {json.dumps(cause)[:4000]}")
            time.sleep(0.2)

    def flink(self, *arguments: str, patience_s: float = 180) -> str:
        """Run the flink program against this cluster; its output, or a ServerError with it."""
        command, *rest = arguments
        done = subprocess.run(
            ["bash", str(flink_home() / "bin" / "flink"), command, "-m", self.address, *rest],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            timeout=patience_s,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"flink {command} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


@contextlib.contextmanager
def flink(folder: Path, storage: Mapping[str, str], state: str, slots: int = 2) -> Iterator[Flink]:
    """A cluster with its configuration and logs in folder.

    storage: S3.environment; state: URI under which checkpoints and savepoints go.
    """
    rest = free_port()
    home = flink_home()
    conf = folder / "conf"
    shutil.copytree(home / "conf", conf)
    (conf / "config.yaml").unlink()
    fill_file(
        REPOSITORY / "deploy" / "flink" / "config.yaml",
        conf / "config.yaml",
        {
            **storage,
            "REST_PORT": str(rest),
            "JOBMANAGER_RPC_PORT": str(free_port()),
            "BLOB_PORT": "0",
            "PYFLINK_PYTHON": sys.executable,
            "TASK_SLOTS": str(slots),
            "FLINK_CHECKPOINTS": f"{state}/checkpoints",
            "FLINK_SAVEPOINTS": f"{state}/savepoints",
            "FLINK_TMP": str(folder / "tmp"),
        },
    )
    (folder / "tmp").mkdir()
    environment = {
        "JAVA_HOME": str(java_home()),
        "FLINK_CONF_DIR": str(conf),
        "FLINK_LOG_DIR": str(folder / "log"),
        "FLINK_PID_DIR": str(folder / "pid"),
        "PYFLINK_PYTHON": sys.executable,
        "PYTHONPATH": str(REPOSITORY),
        **storage,
    }

    def process(role: str, ready: Callable[[], bool]) -> Process:
        command = ["bash", str(home / "bin" / f"{role}.sh"), "start-foreground"]
        return Process(role, command, folder / f"{role}.log", ready, environment)

    seen: set[str] = set()

    def registered() -> bool:
        # One that was killed stays listed until its heartbeat is missed, so a new one is one with a new id.
        found = {entry["id"] for entry in _asked(rest, "/taskmanagers").get("taskmanagers", [])} - seen
        seen.update(found)
        return bool(found)

    jobmanager = process("jobmanager", lambda: bool(_asked(rest, "/overview")))
    taskmanager = process("taskmanager", registered)
    with jobmanager, taskmanager:
        yield Flink(f"127.0.0.1:{rest}", environment, jobmanager, taskmanager)


def _asked(port: int, path: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
        return {}
