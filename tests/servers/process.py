"""A server process: started, waited for, ended for good."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).parents[2]


class ServerError(Exception):
    """A server that did not come up or ended too early: says which, and the end of its log."""


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listening(port: int) -> bool:
    """Whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which a signal 0 still reaches, does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # The state follows the command's name, which stands in brackets and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive whose checksum was verified. By tar: only from 3.11.4 on has Python filters of its own."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "--extract", "--file", str(archive), "--directory", str(folder)], check=True)


class Process:
    """One server process in a session of its own, so that its children end with it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        patience_s: float = 60,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._ready = ready
        self._environment = {**os.environ, **(environment or {})}
        self._patience_s = patience_s
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id; a server that is not started is a ServerError."""
        if self._popen is None:
            raise ServerError(f"{self.name} is not started")
        return self._popen.pid

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + self._patience_s
        while not self._ready():
            if self._popen.poll() is not None:
                raise ServerError(f"{self.name} ended with status {self._popen.returncode}. {self._tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.name} was not ready after {self._patience_s} s. {self._tail()}")
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        """As kill -9 does: the process has no chance to tidy up, and its children stay."""
        os.kill(self.pid, signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait(timeout=30)

    def wait(self, patience_s: float = 30) -> None:
        """Wait until it has ended by itself, or by a signal that was sent to it."""
        if self._popen is not None:
            self._popen.wait(timeout=patience_s)

    def stop(self, patience_s: float = 10) -> None:
        """End it with all its children, orphans of an earlier kill too; one that is ended already is left so."""
        if self._popen is None:
            return
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=patience_s)
        # The group lives on under the leader's id as long as any child does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(timeout=30)
        self._popen = None

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"The end of {self.log}:\n" + "\n".join(lines[-30:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
