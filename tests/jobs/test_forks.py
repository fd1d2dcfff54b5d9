"""Workers that are forked: each is what a worker of its own would be, and none outlives what it was started for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.meter import descendants
from jobs.findings import forks
from tests.jobs.support import python_workers, wait_for
from tests.servers.process import REPOSITORY, alive

OWNER = """
import sys
from pathlib import Path
from jobs.findings import forks

print(forks.interpreter(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a script in place of Python, in a folder of a long name, until its input ends."""
    (folder_of(tmp_path)).mkdir()
    command = [sys.executable, "-c", OWNER, str(folder_of(tmp_path))]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def folder_of(base: Path) -> Path:
    return base / ("long" * 30)


def script_of(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline().strip()


def test_a_worker_has_its_scripts_output_arguments_environment_and_folder(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    script = script_of(owner)
    environment = {**os.environ, "PYTHON_LOOPBACK_SERVER_ADDRESS": "127.0.0.1:1", "PYTHONPATH": str(tmp_path)}
    arguments = [script, "-m", forks.BOOT, "--id=9-1", "--provision_endpoint=127.0.0.1:2"]
    for _ in range(2):
        found = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Initializing Python harness: " in found.stdout
        assert "--id=9-1 --provision_endpoint=127.0.0.1:2" in found.stdout
        assert "in loopback mode" in found.stdout, "its environment is not that of the script"
        assert "StatusCode.UNAVAILABLE" in found.stderr, "nobody listens there"
    begun = subprocess.run([script, "-m", forks.BOOT], capture_output=True, text=True, check=False)
    assert begun.stdout == "CRITICAL:root:No id provided.\n"


def test_anything_else_is_had_from_python(owner: subprocess.Popen[str]) -> None:
    program = "import sys; print(sys.argv, sys.prefix); sys.exit(3)"
    found = subprocess.run([script_of(owner), "-c", program, "a b"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (3, f"['-c', 'a b'] {sys.prefix}\n")


def test_workers_start_by_themselves_where_nobody_forks(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    script = script_of(owner)
    (folder_of(tmp_path) / "workers").unlink()
    begun = subprocess.run([script, "-m", forks.BOOT], capture_output=True, text=True, check=False)
    assert (begun.returncode, begun.stdout) == (1, "CRITICAL:root:No id provided.\n")


def test_a_worker_ends_with_its_script_and_what_is_forked_with_its_owner(owner: subprocess.Popen[str]) -> None:
    script = script_of(owner)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [script, "-m", forks.BOOT, "--id=1", f"--provision_endpoint={endpoint}"]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (worker,) = wait_for("a worker", lambda: python_workers(owner.pid))
        second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (other,) = wait_for("another", lambda: set(python_workers(owner.pid)) - {worker})
        first.kill()
        first.wait()
        wait_for("the worker's end", lambda: not alive(worker))
        assert alive(other)
        os.kill(other, signal.SIGKILL)
        assert second.wait(10) == 0
        (forked,) = [pid for pid in descendants(owner.pid) if b"jobs.findings.forks" in cmdline(pid)]
        assert owner.stdin is not None
        owner.stdin.close()
        owner.wait()
        wait_for("the end of what is forked", lambda: not alive(forked))


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
