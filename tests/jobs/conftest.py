"""A small incident, and what a replay makes of it: what every other way through the job must equal."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apache_beam.runners.worker.statesampler import StateSampler
from pyflink.fn_execution.ResettableIO import ResettableIO

from afoot.simulate import Size, Truth, simulate
from afoot.simulate.capture import read
from afoot.telemetry.rows import Message
from tests.jobs.support import Tables, pushers, renumbered, replay


@dataclass(frozen=True)
class Incident:
    """A simulated incident with the records that follow it, and the rows of its replay."""

    truth: Truth
    recorded: list[Message]  # without those that follow it
    messages: list[Message]
    lake: Path
    tables: Tables
    alerts: list[Any]

    @property
    def topics(self) -> list[str]:
        """The topics that it has messages of. A partition without any would hold back all others until it is idle."""
        return sorted({message.topic for message in self.messages})


@pytest.fixture(scope="session")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Incident:
    """A volume that one tenant saturates every half hour, five times, in telemetry of four topics."""
    folder = tmp_path_factory.mktemp("incident")
    truth = simulate("hourly_backup", 3, 2.5, folder, size=Size(2, 60))
    recorded = renumbered(read(folder / "capture.jsonl.zst"))
    messages = recorded + pushers(recorded)
    rows, alerts = replay(messages, folder / "replay")
    return Incident(truth, recorded, messages, folder / "replay" / "lake", rows, alerts)


@pytest.fixture
def as_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes what a Python worker does to its process."""
    thresholds = gc.get_threshold()
    monkeypatch.setattr(StateSampler, "run", StateSampler.run)  # to be put back
    monkeypatch.setattr(ResettableIO, "read", ResettableIO.read)
    yield
    gc.set_threshold(*thresholds)
