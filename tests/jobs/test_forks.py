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


def test_a_worker_has_its_scripts_output_arguments_and_environment(owner: subprocess.Popen[str]) -> None:
    script = script_of(owner)
    environment = {**os.environ, "PYTHON_LOOPBACK_SERVER_ADDRESS": "127.0.0.1:1"}
    arguments = [script, "-m", forks.BOOT, "--id=9-1", "--provision_endpoint=127.0.0.1:2"]
    for _ in range(2):
        found = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
        assert found.returncode == 0, "Python itself would end with 1: nobody forked it"
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


def test_a_script_that_is_killed_before_it_has_asked_costs_nothing(
    owner: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of(owner)
    said = tmp_path / "said"
    monkeypatch.chdir(folder_of(tmp_path))  # whose name is too long for a socket
    with said.open("w") as output:
        for sent in (b"", b"12", b"\xff\xff\0\0[cut"):
            with socket.socket(socket.AF_UNIX) as cut_off:
                cut_off.connect("workers")
                if sent:
                    socket.send_fds(cut_off, [sent], [output.fileno()] * 2)
    begun = subprocess.run([script, "-m", forks.BOOT], capture_output=True, text=True, check=False)
    assert (begun.returncode, begun.stdout) == (0, "CRITICAL:root:No id provided.\n")
    (forked,) = [pid for pid in descendants(owner.pid) if b"jobs.findings.forks" in cmdline(pid)]
    held = [file.readlink() for file in Path(f"/proc/{forked}/fd").iterdir()]
    assert said not in held


def test_a_worker_ends_with_its_script_and_what_is_forked_with_its_owner(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    script = script_of(owner)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [script, "-m", forks.BOOT, "--id=1", f"--provision_endpoint={endpoint}"]
        first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (worker,) = wait_for("a worker", lambda: python_workers(owner.pid))
        wait_for("its folder", lambda: Path(f"/proc/{worker}/cwd").readlink() == tmp_path)
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
