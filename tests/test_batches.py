"""How many messages are decoded at a time."""

from __future__ import annotations

import pytest

from afoot.batches import fitting
from afoot.config import Config, Flink
from jobs.findings.engine import settings


@pytest.mark.parametrize(
    ("size", "messages"),
    [
        (0, 4000),
        (230, 4000),
        (2_097, 4000),
        (2_100, 3900),
        (8_400, 990),
        (15_000, 550),
        (20_000, 410),
        (419_430, 20),
        (10**6, 20),
    ],
)
def test_a_batch_is_of_eight_mebibytes_within_bounds(size: float, messages: int) -> None:
    assert fitting(size) == messages


def test_the_engine_is_told() -> None:
    names = ("python.fn-execution.arrow.batch.size", "python.fn-execution.bundle.size")
    told = settings(Config((), flink=Flink(batch=50)))
    assert [told[name] for name in names] == ["50", "100"]
    untold = settings(Config(()))
    assert [untold[name] for name in names] == ["500", "1000"]
