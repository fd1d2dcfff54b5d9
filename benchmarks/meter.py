"""CPU and memory of a process and all its descendants, sampled from /proc while it runs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CPU_EVERY_S = 0.25  # what a process or thread works between its last sample and its end is lost
MEMORY_EVERY_S = 1.0  # adding up the pages of a large process takes milliseconds


class Usage(NamedTuple):
    """What a tree of processes has used so far."""

    at_s: float  # time.monotonic()
    cpu_s: dict[str, float]  # by part: a role, and for the JVM the role and the name of the thread

    @property
    def total_cpu_s(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.cpu_s.values())


class Meter:
    """Samples a process tree in a thread of its own, from `start` to `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._roles: dict[int, str] = {}
        self._cpu: dict[tuple[int, str], tuple[str, float]] = {}  # (pid or tid, its start) -> part, CPU seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._lock = threading.Lock()
        self.peak_bytes = 0
        self.peak_by_role: dict[str, int] = {}
        self.seen: list[Usage] = []

    def start(self) -> Meter:
        """Begin sampling."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End sampling."""
        self._done.set()
        self._thread.join()

    def usage(self) -> Usage:
        """What was used up to the last sample."""
        with self._lock:
            cpu: Counter[str] = Counter()
            for part, seconds in self._cpu.values():
                cpu[part] += seconds
        return Usage(time.monotonic(), dict(cpu))

    def at(self, when_s: float) -> Usage:
        """The last sample before a time of time.monotonic()."""
        return max((usage for usage in self.seen if usage.at_s <= when_s), key=lambda u: u.at_s, default=self.seen[0])

    def _run(self) -> None:
        weighed_s = 0.0
        while True:
            pids = descendants(self._pid)
            for pid in pids:
                self._sample(pid)
            self.seen.append(self.usage())
            if time.monotonic() - weighed_s >= MEMORY_EVERY_S:
                weighed_s = time.monotonic()
                self._weigh(pids)
            if self._done.wait(CPU_EVERY_S):
                return

    def _sample(self, pid: int) -> None:
        role = self._role(pid)
        # A thread's time is lost to its process's sum only when the process ends, but a task's name ends with the task.
        entries = Path(f"/proc/{pid}/task").glob("*/stat") if role == "jvm" else [Path(f"/proc/{pid}/stat")]
        found = []
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                name, cpu_s, started = read_stat(entry.read_text())
                identity = int(entry.parent.name)
                found.append(((identity, started), (f"{role}: {name}" if role == "jvm" else role, cpu_s)))
        with self._lock:
            self._cpu.update(found)

    def _role(self, pid: int) -> str:
        # What it was when last seen alive: one that has ended has a time still, and no command line.
        role = role_of(pid) or self._roles.get(pid, "other")
        self._roles[pid] = role
        return role

    def _weigh(self, pids: list[int]) -> None:
        by_role: Counter[str] = Counter()
        for pid in pids:
            by_role[self._role(pid)] += proportional_bytes(pid)
        if by_role.total() > self.peak_bytes:
            self.peak_bytes = by_role.total()
            self.peak_by_role = dict(by_role)


def read_stat(text: str) -> tuple[str, float, str]:
    """Name, CPU seconds and start of a process or thread, from its /proc stat line."""
    head, _, tail = text.rpartition(")")
    parts = tail.split()
    return head.partition("(")[2], (int(parts[11]) + int(parts[12])) * TICK_S, parts[19]


def cpu_seconds(pid: int) -> float:
    """CPU seconds of one process, its ended threads included."""
    return read_stat(Path(f"/proc/{pid}/stat").read_text())[1]


def descendants(pid: int) -> list[int]:
    """A process and all processes that it, or a child of it, started; orphans stay with their session."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parts = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(parts[1])
                sessions[int(entry.name)] = int(parts[3])
    found = {pid} | {other for other, session in sessions.items() if session == pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def role_of(pid: int) -> str:
    """What a process of a job is: its JVM, a Python worker, or the client that started them; "" if it has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if not command:
        return ""
    if b"java\0" in command[:200]:
        return "jvm"
    if any(name in command for name in (b"pyflink.fn_execution", b"pyflink-udf-runner", b"jobs.findings.forks")):
        return "python workers"
    return "client" if b"python" in command[:200] else "other"


def proportional_bytes(pid: int) -> int:
    """Resident memory of a process, pages that it shares counted in part; 0 if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
