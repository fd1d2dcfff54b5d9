"""What others than the victim took of a volume, summed up over the windows of an effect."""

from __future__ import annotations

from dataclasses import dataclass, field

from afoot.verdicts.inputs import Reading
from afoot.verdicts.rules import Rules
from afoot.verdicts.tally import Pointers, Tally, is_up, score_of
from afoot.verdicts.volume import MEASURES, UNITS, Io, TenantIo, VolumeWindow, is_stalled


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
class Pressing:
    """Windows in which latency or queue were up, and others than the victim had the larger excess."""

    windows: int = 0
    near: int = 0  # of them, the ones from right before the onset on
    climb: float = 0.0  # by how much the victim's lag went up meanwhile

    def add(self, other: Pressing) -> None:
        """Takes in another's windows."""
        self.windows += other.windows
        self.near += other.near
        self.climb += other.climb


@dataclass(slots=True)
class Excess:
    """Sums over the windows in which others than the victim loaded a volume beyond what is expected of it."""

    windows: int = 0
    pressed: Pressing = field(default_factory=Pressing)
    idle: Pressing = field(default_factory=Pressing)  # while the volume carried less than it does without pressure
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
        self.pressed.add(other.pressed)
        self.idle.add(other.idle)
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
        for pressing in (excess.pressed, excess.idle):
            pressing.near = pressing.windows * counts
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
    if window.pressed is not False and found.total > found.own:
        (found.idle if window.idle else found.pressed).windows = 1
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
