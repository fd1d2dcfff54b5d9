"""The findings job as a process of its own: the only place where the commands meet the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import orjson

from afoot.errors import AfootError, UsageError

Told = Callable[[dict[str, object]], None]
KEPT_REMARKS = 1_000  # lines of what the engine says; the last of them explain its end
STOP_S = 85  # that a job has to stop: less than the 90 s that service managers usually grant


def run_job(arguments: Sequence[str], left: str, told: Told = lambda _: None) -> None:
    """Runs `python -m jobs.findings` to its end; `told` gets its progress: phase, and part (0 to 1) where known.

    The job's errors are raised as they were worded. An interrupt of this process is passed on and waited for, STOP_S
    at most; a second one ends the job at once. `left` says what a job that is ended so leaves behind.
    """
    command = [sys.executable, "-m", "jobs.findings", "--tell", *arguments]
    remarks: deque[bytes] = deque(maxlen=KEPT_REMARKS)
    with (
        # What it puts down for a while, gigabytes of a long run, goes with it however it ends.
        tempfile.TemporaryDirectory(prefix="afoot-", ignore_cleanup_errors=True) as folder,
        # A session of its own: a Ctrl-C reaches the engine's JVM only after the job has taken its savepoint.
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        # Read all the time: an engine that fills a pipe which nobody reads stands still.
        reader = threading.Thread(target=remarks.extend, args=(process.stderr,), daemon=True)
        reader.start()

        asked_at: list[float] = []
        ended = ""  # why it was ended, rather than ended by itself

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal ended
            asked_at.append(time.monotonic())
            if len(asked_at) == 1:
                process.send_signal(signal.SIGTERM)
            else:
                ended = "ended at once, as it was told to stop twice"
                _end_all(process)

        def watch() -> None:
            nonlocal ended
            while not over.wait(1.0):
                if asked_at and time.monotonic() > asked_at[0] + STOP_S:
                    ended = f"ended, as it did not stop within {STOP_S} s"
                    _end_all(process)

        over = threading.Event()
        threading.Thread(target=watch, daemon=True).start()
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for line in process.stdout:
                if line.startswith(b"{"):
                    told(orjson.loads(line))
            status = process.wait()
            _end_all(process)  # a worker that hangs outlives its engine
        except BaseException:
            process.terminate()
            raise
        finally:
            over.set()
            for number, handler in before.items():
                signal.signal(number, handler)
        # Not waited for without end: whatever left the job's session may hold on to the pipe.
        reader.join(timeout=2)
    if status < 0 and ended:
        raise AfootError(f"{ended}; {left}")
    if status:
        message = _last_words(b"".join(remarks).decode("utf-8", "replace"), status)
        raise UsageError(message) if status == UsageError.exit_status else AfootError(message)


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """Ends what there is of a job's session: itself, its engine and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_words(remarks: str, status: int) -> str:
    """What the job said of its end; the engine's own remarks where it was cut off."""
    words = [line for line in remarks.splitlines() if line.startswith("afoot: ")]
    if words:
        return words[-1].removeprefix("afoot: ")
    if status < 0:
        return f"the job was ended by signal {-status} ({signal.strsignal(-status)})"
    tail = "\n".join(remarks.splitlines()[-15:])
    return f"the job ended with status {status} and no word of its own; the end of what the engine said:\n{tail}"


def entry_point() -> Path:
    """The Python file that `flink run -py` is given."""
    spec = find_spec("jobs.findings")
    if spec is None or spec.origin is None:
        raise AfootError("the package jobs is not installed beside afoot: run make setup")
    return Path(spec.origin).with_name("__main__.py")
