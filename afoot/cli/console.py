"""What commands print with: tables and progress, rich on a terminal and plain when piped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

PIPED_WIDTH = 100


def stdout() -> Console:
    """Standard output, for results. Text is printed as it is: ids that look like markup are ids."""
    return _console(stderr=False)


def stderr() -> Console:
    """Standard error, for remarks that are no result."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


class Step:
    """The progress of one long work; on anything but a terminal it is silent."""

    def __init__(self, progress: Progress, total: float | None, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def advance(self, count: float = 1) -> None:
        """`count` more of the total is done."""
        self._progress.advance(self._task, count)

    def to(self, done: float, total: float | None = None) -> None:
        """`done` of the total is done; `total` may be learnt late."""
        self._progress.update(self._task, completed=done, total=total)

    def say(self, label: str) -> None:
        """What is being done now."""
        self._progress.update(self._task, description=label)


@contextmanager
def progress(label: str, total: float | None = None) -> Iterator[Step]:
    """Shows a bar on standard error while the block runs, a spinner without a total, and nothing when piped."""
    console = stderr()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    if total is not None:
        columns = (*columns, TaskProgressColumn())  # type: ignore[assignment]
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Step(bar, total, label)
