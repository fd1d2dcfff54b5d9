"""What the job's Python workers have in common."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Lets the collector of cycles look once in half a million new objects, where Python would in 700.

    Batches of messages and windows are made of as many objects that are all needed, and none is in a cycle. Looking
    through them time and again took a third of the decoding's and two thirds of the judging's time.
    """
    gc.set_threshold(500_000, 10, 10)


def collect_batch() -> None:
    """Frees the columns of the batch before this one, whose bytes would stay until half a million objects are made.

    A Series of times and its accessor `dt`, which PyFlink uses, hold on to each other; the Series is a view of all that
    came with it. Only what was made since the last call is looked through.
    """
    gc.collect(1)
