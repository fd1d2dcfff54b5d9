"""Captures that several tests read."""

from __future__ import annotations

import pytest

from tests.simulate.support import Capture


@pytest.fixture(scope="session")
def harvest(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Two runs of the published case: Harvest, EC2 by CloudWatch, several pipelines."""
    return Capture("hourly_backup", 0, 2.4, tmp_path_factory.mktemp("harvest"))


@pytest.fixture(scope="session")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """A machine that leaves the volume between its runs."""
    return Capture("backup_moved", 3, 3.7, tmp_path_factory.mktemp("moved"))
