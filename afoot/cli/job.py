"""The findings job as a process of its own: the only place where the commands meet the engine."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import orjson

from afoot.errors import AfootError, UsageError

Told = Callable[[dict[str, object]], None]
KEPT_REMARKS = 1_000  # lines of what the engine says; the last of them explain its end


def run_job(arguments: Sequence[str], told: Told = lambda _: None) -> None:
    """Runs `python -m jobs.findings` to its end; `told` gets its progress: phase, and part (0 to 1) where known.

    The job's errors are raised as they were worded. An interrupt of this process is passed on and waited for.
    """
    command = [sys.executable, "-m", "jobs.findings", "--tell", *arguments]
    remarks: deque[bytes] = deque(maxlen=KEPT_REMARKS)
    # A session of its own: a Ctrl-C reaches the engine's JVM only after the job has taken its savepoint.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        # Read all the time: an engine that fills a pipe which nobody reads stands still.
        reader = threading.Thread(target=remarks.extend, args=(process.stderr,), daemon=True)
        reader.start()

        def pass_on(number: int, frame: FrameType | None) -> None:
            process.send_signal(signal.SIGTERM)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for line in process.stdout:
                if line.startswith(b"{"):
                    told(orjson.loads(line))
            status = process.wait()
        except BaseException:
            process.terminate()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        # Not waited for without end: a worker that outlives the job may hold on to the pipe.
        reader.join(timeout=2)
    if status:
        message = _last_words(b"".join(remarks).decode("utf-8", "replace"), status)
        raise UsageError(message) if status == UsageError.exit_status else AfootError(message)


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
