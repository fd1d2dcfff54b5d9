"""A shard's window: its sample blocks to the signals of its entities, scored, and placed where they are heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson

from afoot.catalogue.model import Catalogue, Role, Signal
from afoot.inventory.placement import Chain, Entity, Scopes
from afoot.signals import counters, periods
from afoot.signals.baselines import Expected, History
from afoot.signals.blocks import (
    CUMULATIVE,
    DERIVED,
    GAUGE,
    PERIOD_MEAN,
    PERIOD_SUM,
    POLL_MEAN,
    Bools,
    Floats,
    Ints,
    Samples,
    defined_id,
    unpack,
)
from afoot.signals.plan import INCREASE, LAST, MAX, MEAN, Link, Outcome, Plan, links
from afoot.signals.settings import Settings
from afoot.signals.shard import NEVER, Heard, Made, ShardState, Unique
from afoot.telemetry.rows import Labels

NS = 1_000_000  # in a millisecond
MAX_POWER = 22
POWERS = np.array([float(f"1e{power}") for power in range(MAX_POWER + 1)])
SWEEP = 16  # windows from one look for forgotten series to the next


class Inventory(Protocol):
    """What is asked of the inventory graph, as of a time in epoch ms."""

    def epoch(self, at_ms: int) -> int: ...
    def resolve(self, labels: Labels, types: tuple[str, ...], at_ms: int) -> str | None: ...
    def entity(self, entity_id: str, at_ms: int) -> Entity | None: ...
    def scopes(self, entity_id: str, at_ms: int) -> Scopes: ...
    def victims(self, at_ms: int) -> tuple[str, ...]: ...
    def chain(self, victim: str, at_ms: int) -> Chain: ...


READING = ("signal", "unit", "value", "expected", "spread", "score", "history", "family", "rank", "pointers")


class PlacedSignals(NamedTuple):
    """The signals of an entity where they are heard: one row an entity, role and scope.

    role: "lag" (what shows that a victim suffers; a row per volume of its chain, or volume None), "chain" (an entity of
    the victim's chain), "io" (a volume, or a tenant of it) or "flow" (addresses of the victim's chain). With
    settings.all_signals an entity in no scope is a "chain" row without victim.

    payload: JSON {"entity", "component", "type", "affected", "signals": [reading]}; a reading is an array of what
    READING names, its pointers arrays of topic, partition, first and last offset: names were two fifths of it.
    expected, spread and score are null without enough history; "history" counts the windows that there were. A signal
    that is missing in the window is not in the list; with I/O, "missing" names those that had to be there, as a sum
    without them is none. Numbers have 9 significant digits.
    """

    role: str
    victim: str | None
    volume: str | None
    entity: str
    payload: str


@dataclass
class Books:
    """What a window did with its points: points_in = in_signals + duplicates + undefined."""

    points_in: int = 0
    in_signals: int = 0
    duplicates: int = 0  # the same series and time again
    undefined: int = 0  # of series that no block of the window, nor an earlier one, defined
    unresolved: int = 0  # of in_signals: the inventory knows no entity for them
    uncovered: int = 0  # series of counters, or of sums, that the window has samples of, and no increase
    series: int = 0  # with samples
    signals: int = 0  # of entities, with a value
    forgotten: int = 0  # series not seen for long

    def __add__(self, other: Books) -> Books:
        return Books(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def evaluate(
    state: ShardState,
    window_start_ms: int,
    bodies: str,
    next_bodies: str | None,
    graph: Inventory,
    catalogue: Catalogue,
    settings: Settings,
) -> tuple[list[PlacedSignals], Books]:
    """The signals of the window [window_start_ms, + settings.window_ms), and its books.

    `bodies` are the window's blocks joined by spaces, in any order; `next_bodies` those of the window after it, None or
    "" if there are none: they give the samples that close counters. Call it in the order of windows; a window may be
    left out. `state` is changed. ValueError for a window that does not come after the last.
    """
    made = state.made
    samples = _once(unpack(bodies)) if made.ahead is None or made.ahead[0] != bodies else made.ahead[1]
    closing = _once(unpack(next_bodies))
    if state.history is None:
        state.history = History(settings)
    if made.plan is None:
        state.history.up = _straying_up(state, catalogue)
    state.history.advance(window_start_ms)
    _define(state, made, samples, closing)
    books = Books()
    offers, rows = _offers(state, made, samples, closing, window_start_ms, settings, books)
    seen_before = state.seen_ms.copy()
    state.seen_ms[rows.unique] = window_start_ms
    state.seen_ms[state.periodic & ~np.isnan(offers[MEAN])] = window_start_ms
    expected = _expected_now(state, seen_before, window_start_ms, settings)
    _make_plan(state, made, graph, catalogue, settings, window_start_ms)
    books.unresolved = int(np.count_nonzero(made.unresolved[rows.sample] & (state.mode[rows.sample] != DERIVED)))
    placed = _place(state, made, samples, rows, offers, expected, window_start_ms, settings, books)
    state.window_ms = window_start_ms
    made.ahead = (next_bodies, closing) if next_bodies else None
    if window_start_ms // settings.window_ms % SWEEP == 0 or len(state.id) > settings.max_series:
        books.forgotten = state.sweep(window_start_ms, settings)
    return placed, books


def learn(state: ShardState, window_start_ms: int, bodies: str) -> None:
    """Take in what blocks define, where their samples come too late: later blocks rely on it."""
    definitions = unpack(bodies).definitions
    before = len(state.id)
    _learn(state, definitions, set(map(defined_id, definitions)) - state.made.rows.keys())
    state.seen_ms[before:] = window_start_ms


def _once(samples: Samples) -> Unique:
    """Each series and time once: of several the one of the highest topic, partition, offset and place in it."""
    order = np.lexsort((samples.message, samples.time_ns, samples.series))
    series, time_ns = samples.series[order], samples.time_ns[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (series[1:] != series[:-1]) | (time_ns[1:] != time_ns[:-1])
    kept = order[last]
    return Unique(series[last], time_ns[last], samples.value[kept], samples.message[kept], samples, series[~last])


def _define(state: ShardState, made: Made, samples: Unique, closing: Unique) -> None:
    """Take in the definitions of series not known yet."""
    known = made.rows
    unknown = {id_ for id_ in np.unique(samples.series).tolist() if id_ not in known}
    if unknown:
        _learn(state, (*samples.samples.definitions, *closing.samples.definitions), unknown)


def _learn(state: ShardState, definitions: Iterable[str], wanted: AbstractSet[int]) -> None:
    found: dict[int, str] = {}
    for definition in definitions:
        id_ = defined_id(definition)
        if id_ in wanted:
            found[id_] = definition
    state.add([found[id_] for id_ in sorted(found)])


class _Rows(NamedTuple):
    """Where samples belong among the shard's series."""

    sample: Ints  # row of each sample
    unique: Ints  # rows with samples
    start: Ints  # of each such row's samples
    kept: Ints  # which of the unique samples these are


def _rows_of(made: Made, unique: Unique) -> tuple[_Rows, int]:
    """The rows of samples, and how many samples are of no known series."""
    rows = made.rows
    if not len(unique.series):
        nothing = np.empty(0, np.int64)
        return _Rows(nothing, nothing, nothing, nothing), 0
    first = np.flatnonzero(np.append(True, unique.series[1:] != unique.series[:-1]))
    at = np.array([rows.get(id_, -1) for id_ in unique.series[first].tolist()], np.int64)
    count = np.diff(np.append(first, len(unique.series)))
    sample = np.repeat(at, count)
    kept = np.flatnonzero(sample >= 0)
    known = at >= 0
    start = np.cumsum(count[known]) - count[known]
    return _Rows(sample[kept], at[known], start, kept), len(sample) - len(kept)


def _offers(
    state: ShardState, made: Made, samples: Unique, closing: Unique, start_ms: int, settings: Settings, books: Books
) -> tuple[Floats, _Rows]:
    """What each series has to offer in the window, shape (4, series), NaN where it is missing; counters go on."""
    rows, undefined = _rows_of(made, samples)
    time_ns, value = samples.time_ns[rows.kept], samples.value[rows.kept]
    offers = np.full((4, len(state.id)), np.nan)
    if len(rows.unique):
        count = np.diff(np.append(rows.start, len(value)))
        total = np.add.reduceat(value, rows.start)
        offers[INCREASE, rows.unique] = total  # of deltas and events; counters follow
        offers[MEAN, rows.unique] = total / count
        offers[MAX, rows.unique] = np.maximum.reduceat(value, rows.start)
        offers[LAST, rows.unique] = value[rows.start + count - 1]
    counts, means, sums = state.mode == CUMULATIVE, state.means, state.sums
    closing_rows, _ = _rows_of(made, closing)

    def points(which: Bools) -> tuple[counters.Points, counters.Points]:
        """The window's samples of these series, and the first one behind it of each."""
        own, first = which[rows.sample], which[closing_rows.unique]
        taken = closing_rows.kept[closing_rows.start[first]]
        return (
            counters.Points(rows.sample[own], time_ns[own], value[own]),
            counters.Points(closing_rows.unique[first], closing.time_ns[taken], closing.value[taken]),
        )

    start_ns, end_ns = start_ms * NS, (start_ms + settings.window_ms) * NS
    increase = counters.increases(state, *points(counts | means), start_ns, end_ns, settings)
    covering = periods.values(state, *points(state.periodic), start_ns, end_ns)
    offers[INCREASE, counts] = increase[counts]
    offers[MEAN, sums] = np.nan
    for found, which in ((increase, means), (covering, state.periodic)):
        known = which & ~np.isnan(found)  # other means stand for their own window, as gauges do
        offers[MEAN, known] = found[known]
    books.in_signals = int(np.count_nonzero(state.mode[rows.sample] != DERIVED))
    books.undefined = undefined
    dropped = np.array([made.rows.get(id_, -1) for id_ in samples.dropped.tolist()], np.int64)
    books.undefined += int(np.count_nonzero(dropped < 0))
    books.duplicates = int(np.count_nonzero(state.mode[dropped[dropped >= 0]] != DERIVED))
    books.points_in = books.in_signals + books.undefined + books.duplicates
    books.series = len(rows.unique)
    books.uncovered = int(np.count_nonzero(np.isnan(offers[INCREASE, rows.unique]) & counts[rows.unique]))
    books.uncovered += int(np.count_nonzero(np.isnan(offers[MEAN, rows.unique]) & sums[rows.unique]))
    return offers, rows


def _expected_now(state: ShardState, seen_before: Ints, start_ms: int, settings: Settings) -> Bools:
    """Series without which a sum would be too small: seen in the window before, or seen again after a gap.

    A new series is not: what it stood at before is nobody's. Nor is an event or delta, which need not come each window.
    """
    back = (state.seen_ms == start_ms) & (seen_before != NEVER)
    needed: Bools = _steady(state) & ((seen_before == start_ms - settings.window_ms) | back)
    return needed


def _steady(state: ShardState) -> Bools:
    """Series that speak in each window while they live; events and deltas need not."""
    steady: Bools = np.isin(state.mode, (GAUGE, CUMULATIVE, POLL_MEAN, PERIOD_SUM, PERIOD_MEAN))
    return steady


def _make_plan(
    state: ShardState, made: Made, graph: Inventory, catalogue: Catalogue, settings: Settings, at_ms: int
) -> None:
    """Bring the plan up to the series and to the inventory as of `at_ms`."""
    basis = (graph, graph.epoch(at_ms), catalogue, settings)
    if made.basis != basis:
        made.basis, made.plan, made.links = basis, None, []
    known = len(made.links)
    if made.plan is not None and known == len(made.series):
        return
    window_s = settings.window_ms / 1000
    for row, series in enumerate(made.series[known:], start=known):

        def resolve(types: tuple[str, ...], labels: Labels = series.labels) -> str | None:
            return graph.resolve(labels, types, at_ms)

        made.links.append(links(series, row, catalogue, resolve, window_s))
    made.unresolved = np.array([not held for held in made.links], np.bool_)
    scopes: dict[str, Scopes] = {}

    def wanted(link: Link) -> bool:
        # Addresses of the whole internet may come by: only those in a chain get a history.
        if settings.all_signals or catalogue.signals[link.signal].role != "flow":
            return True
        if link.entity not in scopes:
            scopes[link.entity] = graph.scopes(link.entity, at_ms)
        found = scopes[link.entity]
        return bool(found.victims or found.volumes)

    if made.plan is not None and not any(wanted(link) for held in made.links[known:] for link in held):
        return
    made.plan = plan = Plan((link for held in made.links for link in held if wanted(link)), catalogue.signals)
    assert state.history is not None
    new = [key for key in ((e, s.name) for e, s in plan.signals) if key not in made.keys]
    for key in new:
        made.keys[key] = len(state.keys)
        state.keys.append(key)
    state.key_seen_ms = np.append(state.key_seen_ms, np.full(len(new), at_ms))
    state.history.grow(len(state.keys))
    state.history.up = _straying_up(state, catalogue)
    made.key_of = np.array([made.keys[entity, signal.name] for entity, signal in plan.signals], np.int64)
    made.floor = np.array([signal.floor for _, signal in plan.signals], np.float64)
    # Between its runs a cronjob of Kubernetes has no pod: it does nothing then, and nobody could measure it.
    made.ends = np.array([s.role == "io" and e.startswith("cronjob:") for e, s in plan.signals], np.bool_)
    made.heard = list(_heard(plan, graph, settings, at_ms))
    made.is_heard = np.zeros(len(plan.signals), np.bool_)
    for heard in made.heard:
        for _, _, _, rows in heard.places:
            made.is_heard[rows] = True


def _straying_up(state: ShardState, catalogue: Catalogue) -> Bools:
    """Of each entity-signal: whether it strays up alone. A signal that the catalogue no longer has does not."""
    up = {name for name, signal in catalogue.signals.items() if signal.strays == "up"}
    return np.array([signal in up for _, signal in state.keys], np.bool_)


def _heard(plan: Plan, graph: Inventory, settings: Settings, at_ms: int) -> Iterator[Heard]:
    """The entities of a plan that are heard, and where."""
    victims = frozenset(graph.victims(at_ms))
    start = 0
    while start < len(plan.signals):
        entity = plan.signals[start][0]
        stop = start
        while stop < len(plan.signals) and plan.signals[stop][0] == entity:
            stop += 1
        is_victim = entity in victims
        scopes = graph.scopes(entity, at_ms)
        chains = scopes.victims if not is_victim or entity in scopes.victims else (entity, *scopes.victims)
        by_role: dict[Role, list[int]] = {"chain": [], "lag": [], "io": [], "flow": []}
        for row in range(start, stop):
            role = plan.signals[row][1].role
            if role in ("lag", "latency"):
                role = "lag" if is_victim else "chain"
            elif role == "io" and not scopes.volumes:
                role = "chain"
            by_role[role].append(row)
        places: list[tuple[str, str | None, str | None, list[int]]] = []
        if by_role["lag"]:
            for volume in graph.chain(entity, at_ms).volumes or (None,):
                places.append(("lag", entity, volume, by_role["lag"]))
        for role in ("chain", "flow"):
            places += [(role, victim, None, by_role[role]) for victim in chains if by_role[role]]
        places += [("io", None, volume, by_role["io"]) for volume in scopes.volumes if by_role["io"]]
        if not places and settings.all_signals:
            places = [("chain", None, None, list(range(start, stop)))]
        if places:
            known = graph.entity(entity, at_ms)
            source = plan.sources[int(np.searchsorted(plan.source_signal, start))]
            head = {
                "entity": entity,
                "component": known.component if known is not None else source.component,
                "type": known.type if known is not None else entity.partition(":")[0],
            }
            may_suffer = is_victim or head["type"] == "consumer_group"  # which stands in for a job without write lag
            yield Heard(entity, orjson.dumps(head).decode().removesuffix("}") + ",", may_suffer, places)
        start = stop


def _place(
    state: ShardState,
    made: Made,
    samples: Unique,
    rows: _Rows,
    offers: Floats,
    expected_series: Bools,
    start_ms: int,
    settings: Settings,
    books: Books,
) -> list[PlacedSignals]:
    """Score the window's signals, remember them, and write out those that are heard."""
    plan, history = made.plan, state.history
    assert plan is not None and history is not None
    recorded = np.full(len(history), np.nan)
    placed: list[PlacedSignals] = []
    if plan.signals:
        recent = state.seen_ms >= start_ms - settings.family_hold_ms
        outcome = plan.work(offers, expected_series, recent, _steady(state))
        there = np.flatnonzero(~np.isnan(outcome.value))
        books.signals = len(there)
        expected = history.expect(made.key_of[there], outcome.value[there], made.floor[there], made.ends[there])
        recorded[made.key_of[there]] = outcome.value[there]
        state.key_seen_ms[made.key_of[there]] = start_ms
        if made.heard and (len(there) or outcome.due.any()):
            spoken = _speak(made, plan, outcome, there, expected, _pointers(made, plan, outcome, samples, rows))
            due = set(np.flatnonzero(outcome.due & made.is_heard).tolist())
            placed = [row for heard in made.heard for row in _written(heard, spoken, due, plan, settings)]
    history.record(recorded)
    return placed


def _speak(
    made: Made, plan: Plan, outcome: Outcome, there: Ints, expected: Expected, pointers: dict[int, list[list[Any]]]
) -> dict[int, list[Any]]:
    """The reading of each signal that is heard and has a value, by its row in the plan; NaN is null in JSON."""
    picked = np.flatnonzero(made.is_heard[there])
    rows = there[picked]
    values, levels, spreads = outcome.value[rows], expected.value[picked], expected.spread[picked]
    with np.errstate(over="ignore", invalid="ignore"):
        scores = (values - levels) / spreads
    numbers = rounded(np.stack([values, levels, spreads, scores])).tolist()
    windows = expected.windows[picked].tolist()
    sources = [plan.sources[source] for source in outcome.source[rows].tolist()]
    return {
        row: [source.signal, source.unit, *said, source.family, source.rank, pointers.get(row, [])]
        for row, source, *said in zip(rows.tolist(), sources, *numbers, windows, strict=True)
    }


def _written(
    heard: Heard, spoken: dict[int, list[Any]], due: AbstractSet[int], plan: Plan, settings: Settings
) -> list[PlacedSignals]:
    placed: list[PlacedSignals] = []
    payload, told = "", None
    affected = heard.may_suffer and any(
        row in spoken and suffers(plan.signals[row][1], spoken[row], settings)
        for _, _, _, rows in heard.places
        for row in rows
    )
    for role, victim, volume, rows in heard.places:
        if rows is not told:
            told = rows
            signals = [spoken[row] for row in rows if row in spoken]
            missing = [plan.signals[row][1].name for row in rows if row in due] if due and role == "io" else []
            payload = ""
            if signals or missing:
                said = f'"signals":{orjson.dumps(signals).decode()}'
                if missing:
                    said += f',"missing":{orjson.dumps(missing).decode()}'
                payload = f'{heard.head}"affected":{"true" if affected else "false"},{said}}}'
        if payload:
            placed.append(PlacedSignals(role, victim, volume, heard.entity, payload))
    return placed


def suffers(signal: Signal, reading: Sequence[Any], settings: Settings) -> bool:
    """Whether a victim's signal shows that it suffers: by the effect settings, and never without an expectation."""
    value, expected = reading[2:4]  # NaN without enough history: no comparison holds
    if signal.role not in ("lag", "latency"):
        return False
    margin = settings.effect_margin_s if signal.role == "lag" else 0.0
    return bool(value > settings.effect_factor * expected and value > expected + margin)


def _pointers(made: Made, plan: Plan, outcome: Outcome, samples: Unique, rows: _Rows) -> dict[int, list[list[Any]]]:
    """Of each signal that is heard, the messages that its samples of this window came in: one range a partition."""
    used = np.flatnonzero(outcome.link_used & made.is_heard[plan.link_signal])
    if not len(used) or not len(rows.sample):
        return {}
    source = samples.samples
    new = (source.topic[1:] != source.topic[:-1]) | (source.partition[1:] != source.partition[:-1])
    partition_of = np.cumsum(np.append(0, new))
    firsts = np.flatnonzero(np.append(True, new))
    message = samples.message[rows.kept]
    partition = partition_of[message]
    # Ranges a (series, partition), then a (signal, partition).
    order = np.lexsort((partition, rows.sample))
    row, partition, offset = rows.sample[order], partition[order], source.offset[message[order]]
    starts = np.flatnonzero(np.append(True, (row[1:] != row[:-1]) | (partition[1:] != partition[:-1])))
    low, high = np.minimum.reduceat(offset, starts), np.maximum.reduceat(offset, starts)
    row, partition = row[starts], partition[starts]
    begin = np.searchsorted(row, plan.row[used], "left")
    count = np.searchsorted(row, plan.row[used], "right") - begin
    signal = np.repeat(plan.link_signal[used], count)
    ranges = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(len(signal))
    order = np.lexsort((partition[ranges], signal))
    signal, ranges = signal[order], ranges[order]
    partition = partition[ranges]
    starts = np.flatnonzero(np.append(True, (signal[1:] != signal[:-1]) | (partition[1:] != partition[:-1])))
    if not len(signal):
        return {}
    low, high = np.minimum.reduceat(low[ranges], starts), np.maximum.reduceat(high[ranges], starts)
    found: dict[int, list[list[Any]]] = {}
    topics = [source.topics[topic] for topic in source.topic[firsts].tolist()]
    numbers = source.partition[firsts].tolist()
    for at, which, first, last in zip(
        signal[starts].tolist(), partition[starts].tolist(), low.tolist(), high.tolist(), strict=True
    ):
        found.setdefault(at, []).append([topics[which], numbers[which], first, last])
    return found


def rounded(values: Floats) -> Floats:
    """`values`, of any shape, to 9 significant digits, as stored numbers are; NaN and infinities stay."""
    with np.errstate(divide="ignore", invalid="ignore"):
        places = 8 - np.floor(np.log10(np.abs(values)))
        # Powers of ten up to MAX_POWER are floats, so that the result is the float that the digits mean.
        usual = np.abs(places) <= MAX_POWER
        power = POWERS[np.where(usual, np.abs(places), 0).astype(np.int64)]
        digits = np.where(places < 0, np.rint(values / power) * power, np.rint(values * power) / power)
    found: Floats = np.where(usual, digits, values)
    odd = np.flatnonzero(~usual & np.isfinite(values) & (values != 0))
    found.flat[odd] = [float(f"{value:.9g}") for value in values.flat[odd]]
    return found
