"""A capture is sorted in a process of its own, beside which the engine starts and the job is planned."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from afoot.captures import Prepared, prepare
from afoot.config import Config
from afoot.errors import AfootError

TURN_S = 1.0  # for whoever waits to look at something else


class Sorting:
    """The sorting of `files` into `folder`, which begins at once. Enter it so that its process ends with it.

    Make it before there are threads, as the process is a copy of this one. The first `begun` and `ended` to hear of it
    raise what the sorting failed of.
    """

    def __init__(self, config: Config, files: list[Path], folder: Path) -> None:
        context = get_context("fork")
        self._heard, told = context.Pipe(duplex=False)
        self._process = context.Process(target=_sort, args=(config, files, folder, self._heard, told), daemon=True)
        self._process.start()
        told.close()
        self._so_far: Prepared | None = None
        self._ended = False

    def __enter__(self) -> Sorting:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._heard.close()

    def begun(self, payload_bytes: int, turn: Callable[[Prepared | None], object]) -> Prepared:
        """What there is of the capture once it holds so many bytes, or all of it. `turn` is told what there is."""
        while not self._ended and (self._so_far is None or self._so_far.payload_bytes < payload_bytes):
            self._hear()
            turn(self._so_far)
        assert self._so_far is not None
        return self._so_far

    def ended(self, turn: Callable[[Prepared | None], object]) -> Prepared:
        """All of the capture."""
        while not self._ended:
            self._hear()
            turn(self._so_far)
        assert self._so_far is not None
        return self._so_far

    def _hear(self) -> None:
        """Hears what there is, if that is said within a turn."""
        try:
            if not self._heard.poll(TURN_S):
                return
            said, self._ended = self._heard.recv()
        except (EOFError, OSError):
            self._process.join()
            status = self._process.exitcode
            raise AfootError(
                f"the process that sorts the capture ended with status {status}; nothing was replayed"
            ) from None
        if isinstance(said, AfootError):
            raise said
        self._so_far = said


def _sort(config: Config, files: list[Path], folder: Path, heard: Connection, told: Connection) -> None:
    heard.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal it comes to all processes, and the first one ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    last = -math.inf

    def is_inventory(topic: str) -> bool:
        entry = config.topic_of(topic)
        return entry is not None and entry.kind == "inventory"

    def tell(so_far: Prepared) -> None:
        nonlocal last
        # Nobody listens while the job is planned, and a pipe does not hold much.
        if time.monotonic() - last >= TURN_S:
            told.send((so_far, False))
            last = time.monotonic()

    said: Prepared | AfootError
    try:
        said = prepare(files, folder, is_inventory, tell)
    except AfootError as error:
        said = error
    except BrokenPipeError:
        return  # nobody is there any more
    except OSError as error:
        said = AfootError(f"the capture cannot be sorted into {folder}: {error}; nothing was replayed")
    with suppress(BrokenPipeError):
        told.send((said, True))


def _end_with_parent() -> None:
    """Ends this process with its parent, of which a capture that comes through a pipe would never tell it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
