"""A disk under commits and under a bulk load: what both the measurement and the actors of the experiment do to it."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

RECORD = bytes(1024)
STREAMS, CHUNK, CHUNKS = 8, 4 * 1024 * 1024, 16  # a bulk load: files of 64 MiB, eight at a time
KEPT = 2  # files a stream keeps
SEGMENT = 64 * 1024 * 1024  # a log begins anew from here


class Log:
    """A file that records are appended to, each on the disk before the next is taken."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
        self._size = 0

    def commit(self, record: bytes) -> None:
        """Append a record; it is on the disk when this returns."""
        if self._size > SEGMENT:
            os.ftruncate(self._file, 0)
            self._size = 0
        self._size += os.write(self._file, record)
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file, which stays."""
        os.close(self._file)


def bulk_load(folder: Path, go_on: Callable[[], bool]) -> int:
    """Write files past the cache, as backup programs do, while `go_on` says so; returns the bytes written."""
    written = [0] * STREAMS

    def stream(number: int) -> None:
        chunk = mmap.mmap(-1, CHUNK)  # aligned, as O_DIRECT needs it
        turn = 0
        while go_on():
            flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_DIRECT
            file = os.open(folder / f"archive-{number}-{turn % KEPT}", flags)
            for _ in range(CHUNKS):
                written[number] += os.write(file, chunk)
                if not go_on():
                    break
            os.fsync(file)
            os.close(file)
            turn += 1

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(written)


class Contention(NamedTuple):
    """How fast records can be committed to a disk, idle and under a bulk load."""

    idle: float  # commits/s
    loaded: float
    bulk: float  # bytes/s of the load

    @property
    def factor(self) -> float:
        """How many times slower commits are under the load."""
        return self.idle / self.loaded


def measure(folder: Path, seconds: float) -> Contention:
    """Commits/s without and with a bulk load beside them, for so many seconds each."""
    idle = _commits(folder, seconds)
    began = time.monotonic()
    end = began + seconds + 1
    written: list[int] = []
    load = threading.Thread(target=lambda: written.append(bulk_load(folder, lambda: time.monotonic() < end)))
    load.start()
    time.sleep(1)  # until the load is at its full rate
    loaded = _commits(folder, seconds)
    load.join()
    took = time.monotonic() - began
    for file in folder.glob("archive-*"):
        file.unlink()
    return Contention(idle, loaded, written[0] / took)


def _commits(folder: Path, seconds: float) -> float:
    path = folder / "measured.log"
    log = Log(path)
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        log.commit(RECORD)
        count += 1
    log.close()
    path.unlink()
    return max(1, count) / (time.monotonic() - began)
