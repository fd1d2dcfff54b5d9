"""The loads of other formats: the fleet's points, in messages that each decoder reads, but for the broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from afoot.catalogue.loader import load_catalogue
from afoot.errors import DecodeError
from afoot.signals.sampling import Sampler
from afoot.simulate import load
from afoot.simulate.load import FORMATS, Fleet
from afoot.telemetry import formats
from benchmarks import topics
from benchmarks.__main__ import OTHERS
from benchmarks.encodings import OPTIONS, catalogue


def test_every_metric_format_is_a_load() -> None:
    assert {*FORMATS, *OTHERS} == {name for name in formats.names() if "metrics" in formats.kinds(name)}


@pytest.mark.parametrize("name", ["collectd_json", "collectd_graphite", "cloudwatch_metric_stream"])
def test_signals_ask_for_what_the_fleet_is_called_in_a_format(name: str, tmp_path: Path) -> None:
    (tmp_path / "signals.yaml").write_text(catalogue(name) or "")
    asked = load_catalogue([tmp_path / "signals.yaml"])
    decode = formats.decoder(name, "metrics", OPTIONS.get(name, {}))
    sampler = Sampler(asked, 4)
    frames = [
        frame
        for message in topics.written(Fleet(100), topics.Load(name, 100, 400), 1)
        for frame in sampler.read(message, decode)
    ]
    by_kind = {kind: sum(frame.points for frame in frames if frame.kind == kind) for kind in ("samples", "unasked")}
    assert by_kind["samples"] > 4 * by_kind["unasked"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_load_holds_the_fleet_s_points(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (load, topics):
        monkeypatch.setattr(module, "MALFORMED_EVERY", 3)
    fleet = Fleet(100)
    decode = formats.decoder(name, "metrics", OPTIONS.get(name, {}))
    found = dead = 0
    for number, message in enumerate(topics.written(fleet, topics.Load(name, 100, 800), 2), start=1):
        if number % 3:
            decoded = decode(message)
            assert decoded.refused == []
            assert len(decoded.rows) == min(100, fleet.points_a_step - (number - 1) % 4 * 100)
            found += len(decoded.rows)
        else:
            with pytest.raises(DecodeError):
                decode(message)
            dead += 1
    assert (found + dead * 100, dead) == (2 * fleet.points_a_step, 2)
