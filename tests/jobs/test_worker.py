"""Batches leave a Python worker as they came."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory

from jobs.findings.worker import collect_batch, prepare_worker


@pytest.fixture
def as_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    thresholds = gc.get_threshold()
    monkeypatch.setattr(StateSampler, "run", StateSampler.run)  # to be put back
    yield
    gc.set_threshold(*thresholds)


def test_the_bytes_under_a_batchs_times_do_not_wait_for_the_collector(as_was: None) -> None:
    prepare_worker()
    body = np.zeros(1_000_000, np.int64)  # a batch as it came; its columns are views of it
    freed = weakref.ref(body)
    times = pd.Series(body.view("datetime64[ms]"), copy=False)
    assert times.dt.tz_localize("UTC").size == len(body)
    del body, times
    assert freed() is not None, "nothing holds a batch any more: collect_batch has nothing to do"
    collect_batch()
    assert freed() is None


def test_the_end_of_a_bundle_does_not_wait_for_a_sampler(as_was: None) -> None:
    prepare_worker()
    sampler = StateSampler("bundle", CounterFactory(), sampling_period_ms=1_000_000)
    began = time.monotonic()
    sampler.start()
    sampler.stop()
    assert time.monotonic() - began < 5, "its first sleep is a hundredth of its period: ten seconds"
