"""A volume in one window: its own I/O, its strain, and the I/O of its tenants."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from afoot.inventory.placement import Tenant
from afoot.verdicts.inputs import Heard, Range, Reading
from afoot.verdicts.rules import Rules
from afoot.verdicts.tally import is_up, score_of, spread_of

# A measure of I/O is the first of these sets of signals that an entity sends, added up.
MEASURES: dict[str, tuple[tuple[str, ...], ...]] = {
    "operations": (("total_ops",), ("read_ops", "write_ops")),
    "bytes": (("total_bytes",), ("read_bytes", "write_bytes")),
}
UNITS = {"operations": "{op}/s", "bytes": "By/s"}
QUEUE, LATENCY = "queue", "latency"
NO_SIGNAL, NO_HISTORY = "no signal", "not enough history"
NO_PART = "a part of its I/O is missing"


class Io(NamedTuple):
    """I/O of an entity in one window by one measure."""

    value: float
    expected: float
    spread: float
    score: float
    signals: tuple[str, ...]

    @property
    def signal(self) -> str:
        """The name of the measure's signal: that of its only part, or the sum's."""
        return self.signals[0] if len(self.signals) == 1 else total_signal(self.signals)

    @property
    def unit(self) -> str:
        """The unit of the measure."""
        return unit_of(self.signals[0])


def unit_of(signal: str) -> str:
    """The unit of an I/O signal."""
    return UNITS["bytes" if signal.endswith("bytes") else "operations"]


def total_signal(signals: Sequence[str]) -> str:
    """The name of a sum of reads and writes."""
    return "total_bytes" if signals[0].endswith("bytes") else "total_ops"


class TenantIo(NamedTuple):
    """A tenant's I/O in one window; `own_of` are the victims whose own pods it is."""

    entity: str
    own_of: tuple[str, ...]
    measures: dict[str, Io]
    pointers: Sequence[Range]
    elsewhere: bool = False  # it is up, and a tenant of other volumes too: its I/O is that on all of them


class VolumeWindow(NamedTuple):
    """A volume in one window: itself, and those tenants that matter to a later verdict."""

    start_ms: int
    end_ms: int
    measures: dict[str, Io]  # of the volume; empty: nothing was heard of it
    strain: tuple[Reading, ...]  # latency, queue
    pressed: bool | None  # None: no strain signal was heard
    saturated: bool  # pressed so much that nobody would call it harmless
    idle: bool  # it carries less of everything than it does without pressure: no load is what presses it
    tenants: tuple[TenantIo, ...]
    missing: dict[str, str]  # tenants that were not heard, and why

    @property
    def heard(self) -> bool:
        """Whether the volume itself was heard."""
        return bool(self.measures)

    def compact(self, rules: Rules) -> VolumeWindow:
        """What is worth remembering once the window is over: tenants at rest are not."""
        kept = tuple(tenant for tenant in self.tenants if is_raised(tenant.measures, rules))
        if kept or self.pressed:
            kept = tuple(tenant for tenant in self.tenants if tenant.own_of or is_raised(tenant.measures, rules))
        return self._replace(tenants=kept)


def io_of(readings: Mapping[str, Reading], missing: Collection[str] = ()) -> tuple[dict[str, Io], str]:
    """I/O by measure, and why there is none if there is none; `missing` are signals that had to be there."""
    found: dict[str, Io] = {}
    why = NO_SIGNAL
    for measure, choices in MEASURES.items():
        for names in choices:
            parts = [reading for name in names if (reading := readings.get(name)) is not None]
            if not parts:
                continue
            if missing and any(name in missing for name in names):
                why = NO_PART  # reads alone are not what was read and written
                continue
            io = _one(parts[0]) if len(parts) == 1 else _added(parts)
            if io is None:
                why = NO_HISTORY
            else:
                found[measure] = io
            break
    return found, "" if found else why


def _one(part: Reading) -> Io | None:
    if part.expected is None:
        return None
    spread = spread_of(part)
    score = part.score if part.score is not None else score_of(part.value, part.expected, spread)
    return Io(part.value, part.expected, spread, score, (part.signal,))


def _added(parts: Sequence[Reading]) -> Io | None:
    value, expected, variance = 0.0, 0.0, 0.0
    for part in parts:
        if part.expected is None:
            return None
        value += part.value
        expected += part.expected
        variance += spread_of(part) ** 2
    spread = math.sqrt(variance)
    return Io(value, expected, spread, score_of(value, expected, spread), tuple([part.signal for part in parts]))


def volume_window(
    start_ms: int,
    end_ms: int,
    volume: str,
    io: Mapping[str, Heard],
    tenants: Sequence[Tenant],
    rules: Rules,
    carried: Mapping[str, float] = MappingProxyType({}),
    elsewhere: Callable[[str], bool] = lambda _: False,
) -> VolumeWindow:
    """A volume's window from its signals and those of its tenants; who is no tenant as of the window is not heard.

    `carried` is the most that it has carried without pressure, by measure; `elsewhere` tells of a tenant whether it is
    one of other volumes as well.
    """
    itself = io.get(volume)
    measures = io_of(itself.readings, itself.missing)[0] if itself else {}
    strain = [itself.readings[name] for name in rules.strain if name in itself.readings] if itself else []
    judged = [_at_load(reading, measures.get("operations")) for reading in strain if reading.expected is not None]
    raised = rules.raised
    pressed = (
        any(is_up(r.value, r.expected, r.score, raised.score, raised.strain_ratio) for r in judged) if judged else None
    )
    saturated = any(is_up(r.value, r.expected, r.score, raised.score, raised.saturated_ratio) for r in judged)
    idle = len(measures) == len(MEASURES) and all(
        now.score <= -raised.score or now.value <= raised.carried_part * carried.get(measure, 0.0)
        for measure, now in measures.items()
    )
    heard: list[TenantIo] = []
    missing: dict[str, str] = {}
    for tenant in tenants:
        signals = io.get(tenant.entity)
        found, why = io_of(signals.readings, signals.missing) if signals else ({}, NO_SIGNAL)
        if not found or signals is None:
            missing[tenant.entity] = why
            continue
        pointers: list[Range] = []
        for io_now in found.values():
            for signal in io_now.signals:
                pointers += signals.readings[signal].pointers
        several = pressed is not False and is_raised(found, rules) and elsewhere(tenant.entity)
        heard.append(TenantIo(tenant.entity, tuple(tenant.own_of), found, pointers, several))
    return VolumeWindow(start_ms, end_ms, measures, tuple(strain), pressed, saturated, idle, tuple(heard), missing)


def _at_load(reading: Reading, operations: Io | None) -> Reading:
    """A queue against what is expected of it at this window's operations; other signals as they are.

    A queue is operations/s times latency (Little): one that grows only as its operations do shows no pressure.
    """
    if reading.signal != QUEUE or operations is None or not operations.value > operations.expected > 0:
        return reading
    more = operations.value / operations.expected
    expected, spread = (reading.expected or 0.0) * more, spread_of(reading) * more
    return reading._replace(expected=expected, spread=spread, score=score_of(reading.value, expected, spread))


def is_raised(measures: Mapping[str, Io], rules: Rules) -> bool:
    """Whether a tenant's I/O is up by any measure."""
    return any(io.score >= rules.raised.score and io.value > io.expected for io in measures.values())


def is_stalled(window: VolumeWindow, victim: str, rules: Rules) -> bool:
    """Whether a victim does clearly less than is expected of it while its volume's latency is not up."""
    own = [io for t in window.tenants if victim in t.own_of for name, io in t.measures.items() if name == "operations"]
    if not own or window.pressed is not False or not any(reading.signal == LATENCY for reading in window.strain):
        return False
    value, expected = sum(io.value for io in own), sum(io.expected for io in own)
    spread = math.sqrt(sum(io.spread**2 for io in own))
    return value <= rules.raised.stalled_ratio * expected and score_of(value, expected, spread) <= -rules.raised.score
