"""What the job's Python workers have in common."""

from __future__ import annotations

import gc
from typing import Any

MOST_OBJECTS = 500_000  # that are made between two looks for cycles


def prepare_worker() -> None:
    """Has a worker do what is of use here alone; to be called by each function when it is opened.

    The collector of cycles looks once in half a million new objects, where Python would in 700: batches of messages and
    windows are made of as many objects that are all needed, and none is in a cycle. Looking through them time and
    again took a third of the decoding's and two thirds of the judging's time.

    Beam's sampler of times, which nobody here reads, samples nothing. Each bundle's end waits for its thread, which
    sleeps for up to a sixth of the time that the bundle took, 200 ms at most.

    What PyFlink gives Arrow to read from shows the bytes that it has. Left to Python, which makes a read of a readinto,
    each batch of messages was copied four times over: ten megabytes took 33 ms, and take 6.
    """
    # Imported here: a worker has them already, and whoever plans the job should not wait for them.
    from apache_beam.runners.worker.statesampler import StateSampler
    from pyflink.fn_execution.ResettableIO import ResettableIO

    gc.set_threshold(MOST_OBJECTS, 10, 10)
    StateSampler.run = _sample_nothing
    ResettableIO.read = _read


def _sample_nothing(sampler: Any) -> None:
    """In place of a loop that ends only after its sleep."""


def _read(source: Any, size: int = -1) -> memoryview:
    """The next `size` bytes of a ResettableIO, fewer at their end, all that are left for -1."""
    left = source._size - source._input_offset
    begin, source._input_offset = source._input_offset, source._input_offset + (min(size, left) if size >= 0 else left)
    return memoryview(source._input_bytes)[begin : source._input_offset]


def collect_batch() -> None:
    """Frees the columns of the batch before this one, whose bytes would stay until half a million objects are made.

    A Series of times and its accessor `dt`, which PyFlink uses, hold on to each other; the Series is a view of all that
    came with it. Only what was made since the last call is looked through.
    """
    gc.collect(1)
