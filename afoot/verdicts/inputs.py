"""What comes in: one window of gathered signals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from afoot.errors import AfootError


class Pointer(NamedTuple):
    """Messages that a number rests on: offsets from first to last of a topic's partition."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


Range = Sequence[Any]  # a Pointer, or the array of JSON that means one


class Reading(NamedTuple):
    """A signal in one window: what was measured, what was expected (None: not enough history), how far off it is."""

    signal: str
    unit: str
    value: float
    expected: float | None
    spread: float | None
    score: float | None
    pointers: Sequence[Range] = ()  # a partition may be there several times
    rank: int = 0  # of the source that it was read from: the lowest is the one to read
    family: str = ""


class Readings(Mapping[str, Reading]):
    """The readings of a payload by signal. Most are never asked for, so each is made when it is."""

    __slots__ = ("_items",)

    def __init__(self, signals: Iterable[list[Any]]) -> None:
        self._items: dict[str, Any] = {item[0]: item for item in signals if item[2] is not None}

    def __getitem__(self, signal: str) -> Reading:
        found = self._items[signal]
        if type(found) is list:
            found = self._items[signal] = _reading(found)
        reading: Reading = found
        return reading

    def get(self, signal: str, default: Any = None) -> Any:
        found = self._items.get(signal, default)
        if type(found) is list:
            found = self._items[signal] = _reading(found)
        return found

    def __contains__(self, signal: object) -> bool:
        return signal in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Heard(NamedTuple):
    """All signals of an entity in one window, by name."""

    entity: str
    component: str
    type: str
    affected: bool
    readings: Mapping[str, Reading]
    missing: frozenset[str] = frozenset()  # I/O signals that had to be there: a sum without them is none


class VictimInput(NamedTuple):
    """What a window says of a possible victim; `lag` is None where its own signal is missing.

    `scope` is whose chain it is where a consumer group stands in for its job.
    """

    lag: Heard | None
    chain: dict[str, Heard]
    scope: str | None = None


class Window(NamedTuple):
    """One window: possible victims with their chains, and the I/O of volumes (the volume itself and its tenants)."""

    start_ms: int
    end_ms: int
    victims: dict[str, VictimInput]
    volumes: dict[str, dict[str, Heard]]

    @classmethod
    def from_json(cls, start_ms: int, end_ms: int, text: str | bytes) -> Window:
        """Reads {"groups": [{"volume", "victims": [{"victim", "lag", "chain", "flow"}], "io"}]}; groups are merged."""
        try:
            groups = orjson.loads(text)["groups"]
            victims: dict[str, VictimInput] = {}
            volumes: dict[str, dict[str, Heard]] = {}
            for group in groups:
                if group["volume"]:
                    merge(volumes.setdefault(group["volume"], {}), group.get("io"))
                for item in group.get("victims") or ():
                    known = victims.get(item["victim"], VictimInput(None, {}))
                    told: dict[str, Heard] = {known.lag.entity: known.lag} if known.lag else {}
                    merge(told, item.get("lag"))
                    lag = next(iter(told.values()), None)
                    merge(known.chain, item.get("chain"))
                    merge(known.chain, item.get("flow"))
                    victims[item["victim"]] = VictimInput(lag, known.chain)
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
            what = f"window from {start_ms} to {end_ms}: cannot be read, so that no verdict is possible"
            raise AfootError(f"{what}: {error!r}") from error
        return cls(start_ms, end_ms, victims, volumes)


def merge(into: dict[str, Heard], payloads: Sequence[Mapping[str, Any]] | None) -> None:
    """Adds payloads to the entities known.

    Signals of one entity that come in several payloads are put together; of a signal that comes from several sources
    the one of the lowest rank is read, whatever the order of the payloads.
    """
    for payload in payloads or ():
        found = heard(payload)
        known = into.get(found.entity)
        if known is None:
            into[found.entity] = found
            continue
        readings: dict[str, Reading] = dict(known.readings)
        for signal, reading in found.readings.items():
            other = readings.get(signal)
            if other is None or _preference(reading) < _preference(other):
                readings[signal] = reading
        missing = (known.missing | found.missing) - readings.keys()
        into[found.entity] = known._replace(
            affected=known.affected or found.affected, readings=readings, missing=missing
        )


def _preference(reading: Reading) -> tuple[int, str, float]:
    return reading.rank, reading.family, reading.value


def heard(payload: Mapping[str, Any]) -> Heard:
    """A payload of placed signals as an object; a signal without a value is left out."""
    return Heard(
        payload["entity"],
        payload.get("component") or "",
        payload.get("type") or "",
        bool(payload.get("affected")),
        Readings(payload["signals"]),
        frozenset(payload.get("missing", ())),
    )


def _reading(item: list[Any]) -> Reading:
    """A reading as signals.windows.READING has it."""
    signal, unit, value, expected, spread, score, _, family, rank, pointers = item
    return Reading(signal, unit, value, expected, spread, score, pointers, rank, family)
