"""Batches leave a Python worker as they came."""

from __future__ import annotations

import time
import weakref

import numpy as np
import pandas as pd
import pyarrow as pa
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory
from pyflink.fn_execution.coder_impl_slow import ArrowCoderImpl
from pyflink.fn_execution.ResettableIO import ResettableIO
from pyflink.table import DataTypes

from jobs.findings.worker import collect_batch, prepare_worker


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


class _Stream:
    """The part of PyFlink's streams that its coder for Arrow uses."""

    def __init__(self, held: bytes = b"") -> None:
        self.held = held

    def write(self, some: bytes) -> None:
        self.held += some

    def read(self, size: int) -> bytes:
        return self.held[:size]


def test_batches_are_read_from_arrow_as_they_are_and_not_from_copies(as_was: None) -> None:
    prepare_worker()
    schema = pa.schema([("v", pa.binary()), ("offset", pa.int64())])
    fields = [DataTypes.FIELD("v", DataTypes.BYTES()), DataTypes.FIELD("offset", DataTypes.BIGINT())]
    coder = ArrowCoderImpl(schema, DataTypes.ROW(fields), "UTC")
    for number in range(3):  # a coder reads one batch after another
        values = [b"", bytes([number]) * 100_000, None]
        stream = _Stream()
        coder.encode_to_stream([pd.Series(values), pd.Series(range(3))], stream)
        v, offset = coder.decode_from_stream(stream, len(stream.held))
        assert v.tolist() == values
        assert offset.tolist() == [0, 1, 2]

    source = ResettableIO()
    body = bytes(range(100))
    source.set_input_bytes(body)
    parts = [source.read(10), source.read(0), source.read(80), source.read(20), source.read(20)]
    assert list(map(bytes, parts)) == [body[:10], b"", body[10:90], body[90:], b""]
    assert all(part.obj is body for part in parts)
    source.set_input_bytes(body)
    assert bytes(source.read()) == body
