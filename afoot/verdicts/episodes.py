"""An effect from its onset on: what every component of the victim's chain did, summed window by window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from afoot.inventory.placement import Chain
from afoot.verdicts.inputs import Heard, Reading
from afoot.verdicts.pressure import Pressure, pressure
from afoot.verdicts.rules import Hearing, Rules
from afoot.verdicts.tally import Tally, is_up, score_of, spread_of
from afoot.verdicts.volume import NO_HISTORY, VolumeWindow

READY, DESIRED = "ready_members", "desired_members"
HALF_LIFE_MS = 12 * 3_600_000  # of what a volume is known to carry: it may be given less


class ChainWindow(NamedTuple):
    """A victim's chain in one window; once over, only entities with something unusual are kept."""

    start_ms: int
    end_ms: int
    heard: dict[str, Heard]

    def compact(self, rules: Rules) -> ChainWindow:
        """Nothing where nothing was unusual: what a cause or an output's dip could later be found in."""
        unusual = any(
            risen(entity, hearing, rules) or dipped(entity, hearing, rules) or not_ready(entity, hearing)
            for entity, hearing in listen(self.heard, rules)
        )
        if unusual:
            return self
        return self._replace(heard={})


def listen(heard: Mapping[str, Heard], rules: Rules) -> list[tuple[Heard, Hearing]]:
    """The entities that are heard, with the signals by which they are."""
    found = [(entity, rules.hearing_of(entity.component, entity.type)) for entity in heard.values()]
    return [(entity, hearing) for entity, hearing in found if hearing is not None]


def chain_window(start_ms: int, end_ms: int, heard: Mapping[str, Heard], chain: Chain, rules: Rules) -> ChainWindow:
    """A victim's window. A deployment whose own input nobody measures has that of its pods, added up."""
    entities = dict(heard)
    members: dict[str, list[Heard]] = {}
    for edge in chain.edges:
        source, target, kind = edge
        if kind == "part_of" and source in heard:
            members.setdefault(target, []).append(heard[source])
    hops = {hop.entity: hop for hop in chain.hops}
    for whole, parts in sorted(members.items()):
        hop = hops.get(whole)
        hearing = rules.hearing_of(hop.component, hop.type) if hop else None
        if hop is None or hearing is None or not hearing.input or hop.type in ("topic", "job"):
            continue
        known = entities.get(whole, Heard(whole, hop.component, hop.type, False, {}))
        added = {
            signal: total
            for signal in (hearing.input, *hearing.context)
            if signal not in known.readings and (total := _sum(signal, parts)) is not None
        }
        entities[whole] = known._replace(readings={**known.readings, **added})
    return ChainWindow(start_ms, end_ms, entities)


def _sum(signal: str, parts: list[Heard]) -> Reading | None:
    readings = [part.readings[signal] for part in parts if signal in part.readings]
    judged = [reading for reading in readings if reading.expected is not None]
    if not readings:
        return None
    pointers = [pointer for reading in readings for pointer in reading.pointers]
    value = sum(reading.value for reading in judged or readings)
    if not judged:
        return Reading(signal, readings[0].unit, value, None, None, None, pointers)
    expected = sum(reading.expected or 0.0 for reading in judged)
    # Members share one load and go up and down with it, so their spreads add up; as if independent, they would hide it.
    spread = sum(spread_of(reading) for reading in judged)
    return Reading(signal, readings[0].unit, value, expected, spread, score_of(value, expected, spread), pointers)


def risen(entity: Heard, hearing: Hearing, rules: Rules) -> Reading | None:
    """The input of an entity if it is up."""
    reading = entity.readings.get(hearing.input)
    raised = rules.raised
    if reading and is_up(reading.value, reading.expected, reading.score, raised.score, raised.input_ratio):
        return reading
    return None


def dipped(entity: Heard, hearing: Hearing, rules: Rules) -> float:
    """By which part of what is expected an entity's output is down, 0 if it is not."""
    reading = entity.readings.get(hearing.output)
    if not reading or reading.score is None or reading.score > -rules.raised.score:
        return 0.0
    return shortfall(entity, hearing)


def shortfall(entity: Heard, hearing: Hearing) -> float:
    """By which part of what is expected an entity's output is below it (above: negative), however little that says."""
    reading = entity.readings.get(hearing.output)
    return 1.0 - reading.value / reading.expected if reading and reading.expected else 0.0


def not_ready(entity: Heard, hearing: Hearing) -> Reading | None:
    """The signal that shows that an entity was not ready: fewer members than desired, or a restart.

    Members that have always been missing are what is usual: fewer are ready than before, or more desired.
    """
    ready, desired = entity.readings.get(READY), entity.readings.get(DESIRED)
    if READY in hearing.health and ready and desired and ready.value < desired.value:
        fewer = ready.expected is not None and ready.value < ready.expected
        wanted = desired.expected is not None and desired.value > desired.expected
        if fewer or wanted:
            return ready._replace(expected=desired.value)
    restarts = entity.readings.get("restarts")
    if "restarts" in hearing.health and restarts and restarts.value > 0:
        usual = restarts.expected
        if usual is not None and restarts.value > 2 * usual:
            return restarts
    return None


@dataclass(slots=True)
class Cause:
    """Windows in which an entity of the chain showed a possible cause."""

    entity: str
    component: str
    first_ms: int
    tally: Tally
    windows: int = 0
    end_ms: int = 0  # of the last of them


@dataclass(slots=True)
class Episode:
    """One effect on a victim, with its possible causes."""

    onset_ms: int  # start of the first affected window
    end_ms: int  # end of the latest window that was affected, or as bad as one that was
    lag: Tally  # over the affected windows
    peak: float
    factor: float  # largest observed / expected
    least: float = math.inf  # of the affected windows
    chain_windows: int = 0
    tallies: dict[str, dict[str, Tally]] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)  # windows in which an entity's deciding signals were missing
    inputs: dict[str, Cause] = field(default_factory=dict)
    unready: dict[str, Cause] = field(default_factory=dict)
    rise: float = 0.0  # while the lag came up, sums of input / expected - 1 ...
    dip: float = 0.0  # ... and of 1 - output / expected: the two ways for a backlog to grow ...
    gain: float = 0.0  # ... and of output / expected - 1, by which more was taken out nevertheless
    outputs: int = 0  # windows in which an output was heard
    settled: dict[str, Pressure] = field(default_factory=dict)  # by volume, up to the lag's peak
    pending: dict[str, Pressure] = field(default_factory=dict)  # since the peak: counts only if a higher one comes
    cut: bool = False  # it may have begun before anything was expected of the victim: its onset is not known
    finding_id: str | None = None
    challenger: str | None = None  # another verdict, waiting to be confirmed by a second window
    written_ms: int = 0  # what the last revision covered

    def add_lag(self, reading: Reading) -> float | None:
        """Adds an affected window; by how much the lag is above what it was in this effect, None if it is below."""
        self.lag.add(reading)
        if reading.signal == self.lag.signal:  # another one, which is sent in its place, has another unit
            self.least = min(self.least, reading.value)
        if reading.expected:
            self.factor = max(self.factor, reading.value / reading.expected)
        if reading.value < self.peak:
            return None
        before, self.peak = self.peak or reading.expected or 0.0, reading.value
        return self.peak - before

    def add_chain(self, window: ChainWindow, rules: Rules) -> None:
        """Adds a window: causes up to the first windows of the effect, and what was measured from its onset on."""
        heard = listen(window.heard, rules)
        if window.end_ms <= self.onset_ms + rules.time.ms("decide_after"):
            self._add_causes(window, heard, rules)
        if window.start_ms < self.onset_ms:
            return
        self.chain_windows += 1
        for entity, hearing in heard:
            tallies = self.tallies.setdefault(entity.entity, {})
            for signal in hearing.signals:
                reading = entity.readings.get(signal)
                if reading is not None:
                    tallies.setdefault(signal, Tally(signal, reading.unit)).add(reading)

    def _add_causes(self, window: ChainWindow, heard: list[tuple[Heard, Hearing]], rules: Rules) -> None:
        rises, dips, outputs = [], [], 0
        for entity, hearing in heard:
            reading = risen(entity, hearing, rules)
            if reading:
                _add_cause(self.inputs, entity, reading, window)
                if reading.expected:
                    rises.append(reading.value / reading.expected - 1)
            unready = not_ready(entity, hearing)
            if unready:
                _add_cause(self.unready, entity, unready, window)
            if hearing.output in entity.readings:
                outputs += 1
                # That a backlog grew is known: an output that is low for its noise alone would not be told from it.
                dips.append(shortfall(entity, hearing))
        if window.end_ms < self.onset_ms:
            return  # what rose before was taken out as it came: no backlog grew by it
        self.rise += max(rises, default=0.0)
        lack = max(dips, default=0.0)  # below 0: even the output that is lowest by its own measure is up
        self.dip += max(0.0, lack)
        self.gain += max(0.0, -lack)
        self.outputs += bool(outputs)

    def add_volume(self, volume: str, window: VolumeWindow, victim: str, rules: Rules) -> None:
        """Adds a window of a volume of the victim's."""
        counts = window.end_ms >= self.onset_ms  # calm minutes long before it clear nobody of what came then
        sums = pressure(window, victim, counts, rules)
        if not self.onset_ms <= window.start_ms < self.onset_ms + rules.time.ms("decide_after"):
            sums.stalled = 0  # before it was late, or when it had been so for a while
        self.pending.setdefault(volume, Pressure()).add(sums)

    def settle(self, climbed: float) -> None:
        """The lag is at its peak, so much higher than before: what the volumes did until now drove it there."""
        for volume, sums in sorted(self.pending.items()):
            for excess in sums.measures.values():
                excess.pressed.climb = climbed * (excess.pressed.near > 0)
                excess.idle.climb = climbed * (excess.pressed.near == 0 < excess.idle.near)
            # Of a volume that was silent for a part of the time nobody knows that it was not pressed.
            known = sums.heard == sums.windows or any(excess.pressed.near for excess in sums.measures.values())
            sums.climb = climbed * known
            self.settled.setdefault(volume, Pressure()).add(sums)
        self.pending.clear()

    def not_ready(self, rules: Rules) -> dict[str, Cause]:
        """Who was not ready as the effect began, or later: what had long been over by then is no cause of it."""
        earliest_ms = self.onset_ms - rules.time.ms("gap")
        return {entity: cause for entity, cause in self.unready.items() if cause.end_ms > earliest_ms}

    def load_part(self, pressed: bool, rules: Rules) -> float | None:
        """Which part of the backlog's growth comes from more input rather than less output; None if not known.

        Where others press the job's volume (`pressed`), it may be they who keep it from putting out what more comes in.
        Each cause then has the mean of what it adds alone, and of what it adds to the other (Shapley's value).
        """
        if not self.outputs or self.rise + self.dip == 0:
            return None
        if not pressed:
            return self.rise / (self.rise + self.dip)
        growth = self.rise + self.dip - self.gain
        if growth <= 0:
            return 1.0
        alone = min(growth, max(0.0, self.rise - self.outputs * (rules.raised.headroom - 1)))
        return (growth + alone - self.dip) / (2 * growth)


def _add_cause(causes: dict[str, Cause], entity: Heard, reading: Reading, window: ChainWindow) -> None:
    cause = causes.get(entity.entity)
    if cause is None:
        tally = Tally(reading.signal, reading.unit)
        cause = causes[entity.entity] = Cause(entity.entity, entity.component, window.start_ms, tally)
    if reading.signal == READY != cause.tally.signal:  # who is missing says more than what was counted before it
        cause.tally = Tally(reading.signal, reading.unit)
    if cause.tally.signal == reading.signal:
        cause.tally.add(reading)
    cause.windows += 1
    cause.end_ms = window.end_ms


@dataclass(slots=True)
class Spans:
    """Times with data, as few spans: a break of up to `gap_ms` is none. Only the latest MOST are kept."""

    MOST = 64

    spans: list[list[int]] = field(default_factory=list)

    def add(self, start_ms: int, end_ms: int, gap_ms: int) -> None:
        """Adds a window, later than those before."""
        if self.spans and start_ms - self.spans[-1][1] <= gap_ms:
            self.spans[-1][1] = end_ms
        else:
            self.spans.append([start_ms, end_ms])
            del self.spans[: -self.MOST]

    def covers(self, start_ms: int, end_ms: int) -> bool:
        """Whether there was data from start to end."""
        return any(first <= start_ms and end_ms <= last for first, last in self.spans)

    @property
    def first_ms(self) -> int | None:
        """The first time with data that is remembered."""
        return self.spans[0][0] if self.spans else None


@dataclass(slots=True)
class VictimTrack:
    """What is remembered of a possible victim: a few windows, its running effect, when it was heard and suffered."""

    component: str
    recent: deque[ChainWindow] = field(default_factory=deque)  # at most time.before
    episode: Episode | None = None
    heard: Spans = field(default_factory=Spans)
    effects: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=200))  # onset, end of affected windows
    affected_ms: int = 0  # end of the last affected window
    last_ms: int = 0  # end of the last window with its signal


@dataclass(slots=True)
class VolumeTrack:
    """What is remembered of a volume: a few windows, and while a victim of it suffers, how loud each tenant was."""

    recent: deque[VolumeWindow] = field(default_factory=deque)  # at most time.before
    loudest: dict[str, Reading] = field(default_factory=dict)
    judged: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})  # by pressed or silent, else calm
    missing: dict[bool, dict[str, int]] = field(default_factory=lambda: {True: {}, False: {}})
    carried: dict[str, float] = field(default_factory=dict)  # by measure, the most without pressure of about a day
    last_ms: int = 0

    def remember(self, window: VolumeWindow, rules: Rules) -> None:
        """Keeps a window that is over, for effects that are yet to begin."""
        self.recent.append(window.compact(rules))
        while self.recent[0].end_ms <= window.end_ms - rules.time.ms("before"):
            self.recent.popleft()
        self.last_ms = window.end_ms
        fading = 0.5 ** ((window.end_ms - window.start_ms) / HALF_LIFE_MS)
        self.carried = {measure: most * fading for measure, most in self.carried.items()}
        if window.pressed is False:
            for measure, io in window.measures.items():
                self.carried[measure] = max(io.value, self.carried.get(measure, 0.0))

    def judge(self, window: VolumeWindow) -> None:
        """Adds a window of an effect: how loud every tenant was, and who was not heard."""
        kind = window.pressed is not False or not window.heard
        self.judged[kind] += 1
        for entity in window.missing:
            self.missing[kind][entity] = self.missing[kind].get(entity, 0) + 1
        for tenant in window.tenants:
            io = next(iter(tenant.measures.values()))
            known = self.loudest.get(tenant.entity)
            if known is None or known.score is None or io.score > known.score:
                self.loudest[tenant.entity] = Reading(io.signal, io.unit, *io[:4], tenant.pointers)

    def is_new(self, tenant: str, start_ms: int, gap_ms: int) -> bool:
        """Whether it was not known what to expect of a tenant right before a time: what it does may be under way."""
        return any(
            past.missing.get(tenant) == NO_HISTORY
            for past in self.recent
            if start_ms - gap_ms <= past.start_ms < start_ms
        )

    def heard_part(self, entity: str) -> float:
        """In which part of the windows that matter a tenant was heard: those of pressure, where there are any."""
        kind = self.judged[True] > 0
        windows = self.judged[kind]
        return 1 - self.missing[kind].get(entity, 0) / windows if windows else 0.0

    def rest(self) -> None:
        """Nobody suffers: forgets what was judged."""
        self.loudest.clear()
        self.judged = {True: 0, False: 0}
        self.missing = {True: {}, False: {}}
