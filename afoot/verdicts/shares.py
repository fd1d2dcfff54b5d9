"""Who took how much of a volume's excess: windows of I/O become shares that add up to 1 with their residual."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from afoot.inventory.placement import Tenant
from afoot.verdicts.inputs import Heard, Range, Reading
from afoot.verdicts.rules import Rules
from afoot.verdicts.tally import Pointers, Tally, is_up, score_of, spread_of

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


@dataclass(slots=True)
class TenantExcess:
    """A tenant's part of an excess."""

    excess: float = 0.0
    expected: float = 0.0
    spread: float = 0.0
    windows: int = 0
    first_ms: int = 0
    last_ms: int = 0
    signals: tuple[str, ...] = ()
    pointers: Pointers = field(default_factory=Pointers)

    def add(self, other: TenantExcess) -> None:
        """Takes in another's windows."""
        self.first_ms = min(self.first_ms, other.first_ms) if self.windows else other.first_ms
        self.last_ms = max(self.last_ms, other.last_ms)
        self.excess += other.excess
        self.expected += other.expected
        self.spread += other.spread
        self.windows += other.windows
        self.signals = other.signals or self.signals
        self.pointers.merge(other.pointers)


@dataclass(slots=True)
class Silence:
    """Windows of an excess in which a tenant was not heard, and how large it was in them."""

    windows: int = 0
    total: float = 0.0


@dataclass(slots=True)
class Excess:
    """Sums over the windows in which others than the victim loaded a volume beyond what is expected of it."""

    windows: int = 0
    pressed: int = 0  # of them, windows in which latency or queue were up, by more than the victim's own excess
    near: int = 0  # and of those, the ones from right before the onset on
    climb: float = 0.0  # by how much the victim's lag went up meanwhile
    idle: int = 0  # the same three of windows in which the volume carried less than it does without pressure
    idle_near: int = 0
    idle_climb: float = 0.0
    value: float = 0.0
    expected: float = 0.0
    spread: float = 0.0
    total: float = 0.0  # the excess, the victim's own change left out
    own: float = 0.0  # the victim's own excess in windows of pressure
    first_ms: int = 0
    last_ms: int = 0
    tenants: dict[str, TenantExcess] = field(default_factory=dict)
    silent: dict[str, Silence] = field(default_factory=dict)  # by tenant

    def add(self, other: Excess) -> None:
        """Takes in another's windows."""
        if other.windows:
            self.first_ms = min(self.first_ms, other.first_ms) if self.windows else other.first_ms
            self.last_ms = max(self.last_ms, other.last_ms)
        self.windows += other.windows
        self.pressed += other.pressed
        self.near += other.near
        self.climb += other.climb
        self.idle += other.idle
        self.idle_near += other.idle_near
        self.idle_climb += other.idle_climb
        self.value += other.value
        self.expected += other.expected
        self.spread += other.spread
        self.total += other.total
        self.own += other.own
        for entity, part in other.tenants.items():
            self.tenants.setdefault(entity, TenantExcess()).add(part)
        for entity, silence in other.silent.items():
            known = self.silent.setdefault(entity, Silence())
            known.windows += silence.windows
            known.total += silence.total


def _by_measure() -> dict[str, Excess]:
    return {name: Excess() for name in MEASURES}


@dataclass(slots=True)
class Pressure:
    """A volume over the windows of an effect, for one victim."""

    windows: int = 0  # from the one before the onset on
    heard: int = 0  # of them, windows in which the volume was heard
    strained: int = 0  # of them, windows in which its latency or queue was heard ...
    pressed: int = 0  # ... and up ...
    own: int = 0  # ... while the victim's own excess was the larger part: its catch-up
    stalled: int = 0  # not up, while the victim did clearly less than is expected of it
    climb: float = 0.0  # by how much the victim's lag went up while the volume was heard
    measures: dict[str, Excess] = field(default_factory=_by_measure)
    dark: dict[str, Excess] = field(default_factory=_by_measure)  # tenants' excess while the volume was silent
    calm: dict[str, Tally] = field(default_factory=dict)  # the volume's own signals, over all windows
    strain: dict[str, Tally] = field(default_factory=dict)  # and over those of an excess
    pointers: Pointers = field(default_factory=Pointers)

    def add(self, other: Pressure) -> None:
        """Takes in another's windows."""
        self.windows += other.windows
        self.heard += other.heard
        self.strained += other.strained
        self.pressed += other.pressed
        self.own += other.own
        self.stalled += other.stalled
        self.climb += other.climb
        for name in MEASURES:
            self.measures[name].add(other.measures[name])
            self.dark[name].add(other.dark[name])
        for mine, theirs in ((self.calm, other.calm), (self.strain, other.strain)):
            for signal, tally in theirs.items():
                known = mine.get(signal)
                mine[signal] = merged(known, tally) if known else tally
        self.pointers.merge(other.pointers)


def merged(one: Tally, other: Tally) -> Tally:
    """The tally of both."""
    both = Tally(
        one.signal,
        one.unit,
        one.count + other.count,
        one.value + other.value,
        one.judged + other.judged,
        one.judged_value + other.judged_value,
        one.expected + other.expected,
        one.spread + other.spread,
    )
    both.pointers.merge(one.pointers)
    both.pointers.merge(other.pointers)
    return both


def pressure(window: VolumeWindow, victim: str, counts: bool, rules: Rules) -> Pressure:
    """One window as sums; `counts`: it is one of those in which the volume must have been heard."""
    strained, pressed = counts and window.pressed is not None, counts and bool(window.pressed)
    sums = Pressure(int(counts), int(counts and window.heard), int(strained), int(pressed))
    if not window.heard:
        sums.dark = {measure: _dark(window, victim, measure, rules) for measure in MEASURES}
        return sums
    loaded = [_excess(window, victim, measure, rules) for measure in MEASURES if measure in window.measures]
    for measure, excess in zip([name for name in MEASURES if name in window.measures], loaded, strict=True):
        sums.measures[measure] = excess
        excess.near, excess.idle_near = excess.pressed * counts, excess.idle * counts
    sums.own = int(pressed and loaded[0].own > loaded[0].total)
    sums.stalled = int(counts and is_stalled(window, victim, rules))
    for reading in window.strain:
        if counts:
            sums.calm.setdefault(reading.signal, Tally(reading.signal, reading.unit)).add(reading)
        if any(excess.windows for excess in loaded):
            sums.strain.setdefault(reading.signal, Tally(reading.signal, reading.unit)).add(reading)
    for measure, io in window.measures.items():
        if counts:
            unit = UNITS[measure]
            reading = Reading(io.signal, unit, io.value, io.expected, io.spread, io.score)
            sums.calm.setdefault(io.signal, Tally(io.signal, unit)).add(reading)
    return sums


def _excess(window: VolumeWindow, victim: str, measure: str, rules: Rules) -> Excess:
    """A volume's excess in one window by one measure, the victim's own catch-up and its dip both left out.

    A volume that is full carries no more: what some take of it others lack, and its sum tells nothing. Under pressure
    the excess is at least what those took who rose.
    """
    volume = window.measures[measure]
    window = _on_this_volume(window, victim, measure, rules)
    own = sum(
        tenant.measures[measure].value - tenant.measures[measure].expected
        for tenant in window.tenants
        if victim in tenant.own_of and measure in tenant.measures
    )
    foreign = volume.value - volume.expected - own
    raised = rules.raised
    least = raised.score * volume.spread
    risen = _risen(window, victim, measure, rules) if window.pressed else 0.0
    if risen > foreign:
        foreign, least = risen, 0.0
    loaded = foreign > 0 and foreign >= least and foreign >= raised.foreign_part * volume.expected
    found = Excess(own=max(0.0, own) if loaded or window.pressed else 0.0)
    if not loaded:
        return found
    unheard = set(window.missing)
    for tenant in window.tenants:
        io = tenant.measures.get(measure)
        if io is None:
            unheard.add(tenant.entity)
        if io is None or victim in tenant.own_of or io.score < raised.score:
            continue
        if io.value - io.expected >= raised.tenant_part * foreign:
            found.tenants[tenant.entity] = _part(window, tenant, io)
    found.windows = 1
    found.value, found.expected, found.spread = volume.value, volume.expected, volume.spread
    # Tenants count their own operations, a volume what reaches it: where they claim more, theirs is the whole.
    found.total = max(foreign, sum(part.excess for part in found.tenants.values()))
    found.silent = {entity: Silence(1, found.total) for entity in sorted(unheard)}
    found.first_ms, found.last_ms = window.start_ms, window.end_ms
    by_others = window.pressed is not False and found.total > found.own
    found.pressed, found.idle = int(by_others and not window.idle), int(by_others and window.idle)
    return found


def _on_this_volume(window: VolumeWindow, victim: str, measure: str, rules: Rules) -> VolumeWindow:
    """The window with as much of the I/O of tenants of several volumes as this one can have had of it.

    A host counts what it does on all of its volumes. Where a tenant of this one alone has risen as well, what those of
    several have here is what the volume grew by beyond the others' growth; where none has, theirs is all there is.
    """
    several = [tenant for tenant in window.tenants if tenant.elsewhere and _more(tenant, measure) > 0]
    several = [tenant for tenant in several if victim not in tenant.own_of]
    if not several:
        return window
    others = [tenant for tenant in window.tenants if tenant not in several]
    if _risen(window._replace(tenants=tuple(others)), victim, measure, rules) == 0:
        return window
    volume = window.measures[measure]
    rest = volume.value - volume.expected - sum(_more(tenant, measure) for tenant in others)
    part = min(1.0, max(0.0, rest / sum(_more(tenant, measure) for tenant in several)))
    for tenant in several:
        io = tenant.measures[measure]
        value = io.expected + part * (io.value - io.expected)
        here = io._replace(value=value, score=score_of(value, io.expected, io.spread))
        others.append(tenant._replace(measures={**tenant.measures, measure: here}))
    return window._replace(tenants=tuple(others))


def _more(tenant: TenantIo, measure: str) -> float:
    """What a tenant has beyond what is expected of it, 0 where it was not heard."""
    io = tenant.measures.get(measure)
    return io.value - io.expected if io else 0.0


def _risen(window: VolumeWindow, victim: str, measure: str, rules: Rules) -> float:
    """What tenants other than the victim's own have beyond what is expected of them, those alone that are up by it."""
    raised = rules.raised
    return sum(
        io.value - io.expected
        for tenant in window.tenants
        if victim not in tenant.own_of
        and (io := tenant.measures.get(measure)) is not None
        and is_up(io.value, io.expected, io.score, raised.score, raised.burst_ratio)
    )


def _dark(window: VolumeWindow, victim: str, measure: str, rules: Rules) -> Excess:
    """What the tenants alone show in one window by one measure; who lacks that is not heard in it."""
    raised, dark = rules.raised, Excess()
    unheard = set(window.missing)
    for tenant in window.tenants:
        io = tenant.measures.get(measure)
        if io is None:
            unheard.add(tenant.entity)
        if io is None or victim in tenant.own_of:
            continue
        if is_up(io.value, io.expected, io.score, raised.score, raised.burst_ratio):
            dark.tenants[tenant.entity] = _part(window, tenant, io)
    if dark.tenants:
        dark.windows = 1
        dark.total = sum(part.excess for part in dark.tenants.values())
        dark.silent = {entity: Silence(1, dark.total) for entity in sorted(unheard)}
        dark.first_ms, dark.last_ms = window.start_ms, window.end_ms
    return dark


def _part(window: VolumeWindow, tenant: TenantIo, io: Io) -> TenantExcess:
    part = TenantExcess(io.value - io.expected, io.expected, io.spread, 1, window.start_ms, window.end_ms, io.signals)
    part.pointers.add(tenant.pointers)
    return part


class Share(NamedTuple):
    """A tenant's share of an excess; observed and expected are means over its windows."""

    entity: str
    share: float
    observed: float
    expected: float
    spread: float
    score: float
    signal: str
    first_ms: int
    part: TenantExcess


class Shares(NamedTuple):
    """How an excess divides: shares, largest first, add up to 1 with the residual."""

    measure: str
    windows: int
    pressed: int
    observed: float  # of the volume, mean over the windows
    expected: float
    score: float
    excess: float  # mean, the victim's own change left out
    foreign_part: float  # of the excess under pressure: 1 where the victim's own was not up
    attributed: float
    residual: float
    tenants: tuple[Share, ...]
    first_ms: int
    climb: float  # by how much the victim's lag went up while others pressed the volume
    rival: str | None = None  # who leads by the other measure, where nothing tells which of both counts


class Past(NamedTuple):
    """What is known of a volume and its tenants from before."""

    carried: Mapping[str, float]  # by measure, the most that the volume has carried without pressure
    incumbents: Collection[str]  # who is named in open cases of the victim's
    blamed: Callable[[str], int]  # runs of a tenant for which it was named to be what the victim suffered by
    acted: Callable[[str], float | None]  # part of a tenant's runs that the victim felt, None while they are few


def divide(sums: Pressure, past: Past, rules: Rules) -> Shares | None:
    """The shares of a volume's excess: by operations, by bytes where those saturate first; None without any excess.

    A measure that explains less than half of its own excess gives way to one that explains more.
    """
    found = [_divided(measure, excess, past, rules) for measure, excess in sums.measures.items() if excess.windows]
    if len(found) < 2:
        return found[0] if found else None
    operations, of_bytes = found
    if min(operations.attributed, of_bytes.attributed) < 0.5:
        return of_bytes if of_bytes.attributed > operations.attributed else operations
    told = _bytes_first(operations, of_bytes, past, rules)
    if told is not None:
        return of_bytes if told else operations
    # What is left is a guess: few volumes allow many bytes an operation. It is kept to from run to run.
    large = of_bytes.excess >= rules.raised.bytes_an_operation * operations.excess
    leaders = [one.tenants[0].entity for one in (operations, of_bytes)]
    if leaders[0] == leaders[1]:
        return of_bytes if large else operations
    runs = [past.blamed(leader) for leader in leaders]
    if runs[0] != runs[1]:
        large = runs[1] > runs[0]
    return of_bytes._replace(rival=leaders[0]) if large else operations._replace(rival=leaders[1])


def _divided(measure: str, excess: Excess, past: Past, rules: Rules) -> Shares:
    """The shares by one measure; a volume that carries less than it does without pressure was given less.

    Unless the runs of the one who leads are mostly felt: it takes room that the volume has only for a while (credits
    run out), or more of it than it counts (a disk seeks for it).
    """
    shares = _divide(measure, excess)
    felt = past.acted(shares.tenants[0].entity) if shares.tenants and excess.idle else None
    if felt is None or felt < rules.shares.felt:
        return shares
    return shares._replace(pressed=excess.pressed + excess.idle, climb=excess.climb + excess.idle_climb)


def _bytes_first(operations: Shares, of_bytes: Shares, past: Past, rules: Rules) -> bool | None:
    """Whether a volume ran out of bytes/s rather than of operations/s; None if nothing tells.

    What it has carried without pressure is not what it ran out of. Then it is told by who leads in which: the one whose
    runs were felt more often.
    """
    both = (operations, of_bytes)
    room = [past.carried.get(one.measure, 0.0) >= rules.raised.carried_part * one.observed for one in both]
    if room[0] != room[1]:
        return room[0]
    acted = [past.acted(one.tenants[0].entity) for one in both]
    if acted[0] is not None and acted[1] is not None and abs(acted[0] - acted[1]) >= rules.shares.acted:
        return acted[1] > acted[0]
    return None


def divide_dark(sums: Pressure) -> Shares | None:
    """The shares of what the tenants alone show while the volume is silent; the residual is not known.

    By the measure in which they were up in most windows, operations first.
    """
    measure, excess = max(sums.dark.items(), key=lambda item: item[1].windows)
    return _divide(measure, excess) if excess.windows else None


def _divide(measure: str, excess: Excess) -> Shares:
    tenants = [_share(entity, part, excess) for entity, part in excess.tenants.items()]
    claimed = sum(share.share for share in tenants)
    if claimed > 1:  # of tenants that were heard in different windows
        tenants = [share._replace(share=share.share / claimed) for share in tenants]
    tenants.sort(key=lambda share: (-share.share, share.entity))
    attributed = min(1.0, claimed)
    value, expected, spread = (total / excess.windows for total in (excess.value, excess.expected, excess.spread))
    return Shares(
        measure,
        excess.windows,
        excess.pressed,
        value,
        expected,
        score_of(value, expected, spread),
        excess.total / excess.windows,
        excess.total / (excess.total + excess.own),
        attributed,
        1.0 - attributed,
        tuple(tenants),
        excess.first_ms,
        excess.climb,
    )


def _share(entity: str, part: TenantExcess, excess: Excess) -> Share:
    """A tenant in those of the excess's windows in which it was heard: missing is not zero.

    Where it was heard and not up, it is taken to be as expected.
    """
    silence = excess.silent.get(entity, Silence())
    expected, spread = part.expected / part.windows, part.spread / part.windows
    observed = expected + part.excess / (excess.windows - silence.windows)
    signal = part.signals[0] if len(part.signals) == 1 else total_signal(part.signals)
    return Share(
        entity,
        part.excess / (excess.total - silence.total),
        observed,
        expected,
        spread,
        score_of(observed, expected, spread),
        signal,
        part.first_ms,
        part,
    )
