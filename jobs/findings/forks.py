"""Python workers of the embedded engine, forked from one process that has imported what all of them need.

By itself a worker takes three seconds of a CPU to import Beam, Arrow and pandas before it hears of its first message,
and a job has two or three. The process here imports them once, beside the start of the engine, and is forked for each.

PyFlink starts a worker by the name of an interpreter. It is given a script's, which asks this process for the worker
and ends when that ends; a worker whose script was killed ends too. Whatever else is wanted of an interpreter the script
has from Python itself, and workers as well where nobody makes them.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

BOOT = "pyflink.fn_execution.beam.beam_boot"  # the module that PyFlink starts as a worker
IMPORTED = (
    "pyflink.fn_execution.beam.beam_sdk_worker_main",
    "jobs.findings.decode",
    "jobs.findings.score",
    "jobs.findings.judge",
)
NAME = "afoot-worker"  # of a worker's process, as ps and /proc/PID/comm have it
_SIZE = struct.Struct("<I")  # of a request, in bytes


class Asked(NamedTuple):
    """What is to be made a worker of, and for which script."""

    script: socket.socket  # hears when the worker begins, and holds it for ended when this is closed
    output: list[int]  # files: standard output and standard error
    arguments: list[str]
    environment: dict[str, str]
    folder: str


def interpreter(folder: Path) -> Path:
    """Starts the process that is forked, which ends with this one; the script that PyFlink takes for Python.

    `folder` is one that nobody else may enter.
    """
    script = folder / "python"
    with socket.socket(socket.AF_UNIX) as listener, _address(folder) as address:
        listener.bind(address)
        listener.listen()  # requests wait while it imports
        listener.set_inheritable(True)
        command = [sys.executable, "-m", "jobs.findings.forks", str(listener.fileno()), str(os.getpid())]
        written = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        said = [(os.POSIX_SPAWN_OPEN, 1, str(folder / "workers.log"), written, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
        os.posix_spawn(sys.executable, command, os.environ, file_actions=said)
    asks = shlex.join([sys.executable, "-IS", __file__, str(folder), sys.executable])
    script.write_text(f'#!/bin/sh\nexec {asks} "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def ask(folder: str, python: str, arguments: list[str]) -> None:
    """In place of `python` with these arguments: returns when a worker that was asked for has ended."""
    if arguments[:2] == ["-m", BOOT]:
        request = json.dumps([arguments[2:], dict(os.environ), str(Path.cwd())]).encode()
        with suppress(OSError), socket.socket(socket.AF_UNIX) as worker, _address(folder) as address:
            worker.connect(address)
            socket.send_fds(worker, [_SIZE.pack(len(request))], [1, 2])
            worker.sendall(request)
            if worker.recv(1):  # it has begun
                worker.recv(1)
                return
    os.execv(python, [python, *arguments])


def serve(listener: socket.socket, parent: int) -> Asked:
    """Forks this process for each request until the process `parent` ends; returns in what was forked alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the engine's JVM does: a job is stopped in order
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers
    ended = os.pidfd_open(parent)
    if os.getppid() != parent:
        sys.exit()
    while ended not in select.select([listener, ended], [], [])[0]:
        script, _ = listener.accept()
        output: list[int] = []
        asked = None
        with script:
            with suppress(OSError, struct.error):  # of one that was killed before it had asked
                head, output, _, _ = socket.recv_fds(script, _SIZE.size, 2)
                asked = Asked(script, output, *json.loads(_received(script, *_SIZE.unpack(head))))
            if asked is not None and not os.fork():
                listener.close()
                os.close(ended)
                return asked._replace(script=script.dup())
        for file in output:
            os.close(file)
    sys.exit()


def become(asked: Asked) -> None:
    """Makes this process what a worker of its own would be, and has it end with its script."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    for file, number in zip(asked.output, (1, 2), strict=True):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    sys.argv[1:] = asked.arguments
    searched = asked.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in searched if path and path not in sys.path]

    def end_with_script() -> None:
        asked.script.recv(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_script, daemon=True, name="ends with its script").start()
    asked.script.send(b".")


@contextmanager
def _address(folder: Path | str) -> Iterator[str]:
    """Where requests are heard: a name that is short however long the folder's is, as a socket's has to be."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/workers"
    finally:
        os.close(opened)


def _received(script: socket.socket, size: int) -> bytes:
    """The next `size` bytes; struct.error or OSError where there are fewer."""
    found = bytearray()
    while len(found) < size:
        more = script.recv(size - len(found))
        if not more:
            raise OSError("the request was cut off")
        found += more
    return bytes(found)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        for name in IMPORTED:
            importlib.import_module(name)
        gc.freeze()  # a collection would write to what all of them share
        become(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
        runpy.run_module(BOOT, run_name="__main__", alter_sys=True)
    else:
        ask(sys.argv[1], sys.argv[2], sys.argv[3:])
