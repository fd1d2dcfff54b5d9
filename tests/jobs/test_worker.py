"""Batches leave a Python worker as they came."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from jobs.findings.worker import collect_batch, collect_rarely


@pytest.fixture
def as_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


def test_the_bytes_under_a_batchs_times_do_not_wait_for_the_collector(as_was: None) -> None:
    collect_rarely()
    body = np.zeros(1_000_000, np.int64)  # a batch as it came; its columns are views of it
    freed = weakref.ref(body)
    times = pd.Series(body.view("datetime64[ms]"), copy=False)
    assert times.dt.tz_localize("UTC").size == len(body)
    del body, times
    assert freed() is not None, "nothing holds a batch any more: collect_batch has nothing to do"
    collect_batch()
    assert freed() is None
