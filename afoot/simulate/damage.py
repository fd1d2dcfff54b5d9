"""Bad input for a good capture: broken, hostile and impossible messages among the others, and what each should cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import orjson

from afoot.simulate.agents import attributes
from afoot.simulate.inventory import KEYS, envelope
from afoot.simulate.world import entity, relation
from afoot.telemetry.rows import Message

Fate = Literal["dead", "refused", "kept"]
METRICS, INVENTORY = "telemetry.metrics", "inventory"
HOSTILE_ID = 'vm:"quoted"\nsecond line <script>alert(1)</script> \' ; -- \u202e\u0000'
YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True)
class Injected:
    """One injected message: where it is, and what must become of it.

    dead: unreadable as a whole; refused: readable, but its one row is not; kept: it is a row like any other.
    """

    name: str
    topic: str
    partition: int
    offset: int
    fate: Fate


def _metric(name: str, at_ms: int, value: str, *, kind: str = "gauge", labels: dict[str, str] | None = None) -> bytes:
    """A message of one point; `value` is JSON, so that it can be none."""
    named = attributes(labels or {"job_name": "j"})
    point = f'{{"attributes":{named},"timeUnixNano":"{at_ms}000000","asDouble":{value}}}'
    tail = ',"aggregationTemporality":2,"isMonotonic":true' if kind == "sum" else ""
    metric = f'{{"name":"{name}","{kind}":{{"dataPoints":[{point}]{tail}}}}}'
    return (
        f'{{"resourceMetrics":[{{"resource":{{}},"scopeMetrics":[{{"scope":{{}},"metrics":[{metric}]}}]}}]}}'.encode()
    )


def _inventory(table: str, row: dict[str, Any], at_ms: int) -> bytes:
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    return envelope(table, {**row, "updated_at": stamp}, "c", at_ms)


def _key(table: str, row: dict[str, Any]) -> bytes:
    return orjson.dumps({name: row[name] for name in KEYS[table]})


@dataclass(frozen=True)
class Damage:
    """A kind of bad input: its topic, what becomes of it, and its key and value at a time (ms)."""

    name: str
    topic: str
    fate: Fate
    make: Callable[[int], tuple[bytes | None, bytes | None]]


def _value(make: Callable[[int], bytes]) -> Callable[[int], tuple[bytes | None, bytes | None]]:
    return lambda at_ms: (None, make(at_ms))


def _row(table: str, row: dict[str, Any]) -> Callable[[int], tuple[bytes | None, bytes | None]]:
    return lambda at_ms: (_key(table, row), _inventory(table, row, at_ms))


_LAG = "write_lag_seconds"
DAMAGES: tuple[Damage, ...] = (
    Damage(
        "truncated gzip", METRICS, "dead", _value(lambda at: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x2a")
    ),
    Damage("broken JSON", METRICS, "dead", _value(lambda at: _metric(_LAG, at, "3.5")[:-40])),
    Damage("not UTF-8", METRICS, "dead", _value(lambda at: b'{"resourceMetrics":"\xff\xfe\xfa"}')),
    Damage(
        "another topic's message", METRICS, "dead", _value(lambda at: _inventory("entity", entity("vm:x", None), at))
    ),
    Damage("an array of numbers", METRICS, "dead", _value(lambda at: b"[1,2,3]")),
    Damage("NaN", METRICS, "refused", _value(lambda at: _metric(_LAG, at, '"NaN"'))),
    Damage("Infinity", METRICS, "refused", _value(lambda at: _metric(_LAG, at, '"Infinity"'))),
    Damage("10^400", METRICS, "refused", _value(lambda at: _metric(_LAG, at, "1" + "0" * 400))),
    Damage("the year 1970", METRICS, "kept", _value(lambda at: _metric(_LAG, 86_400_000, "3.5"))),
    Damage("next year", METRICS, "kept", _value(lambda at: _metric(_LAG, at + YEAR_MS, "3.5"))),
    Damage("a changed type", METRICS, "kept", _value(lambda at: _metric(_LAG, at, "3.5", kind="sum"))),
    Damage(
        "a hostile label", METRICS, "kept", _value(lambda at: _metric(_LAG, at, "3.5", labels={"job_name": HOSTILE_ID}))
    ),
    Damage("broken JSON", INVENTORY, "dead", _value(lambda at: _inventory("entity", entity("vm:x", None), at)[:-30])),
    Damage("another topic's message", INVENTORY, "dead", _value(lambda at: _metric(_LAG, at, "3.5"))),
    Damage("a hostile id", INVENTORY, "kept", _row("entity", entity(HOSTILE_ID, "compute"))),
    Damage("a cycle", INVENTORY, "kept", _row("relation", relation("claim:loop/a", "claim:loop/b", "bound_to"))),
    Damage("a cycle", INVENTORY, "kept", _row("relation", relation("claim:loop/b", "claim:loop/a", "bound_to"))),
    Damage("a cycle of one", INVENTORY, "kept", _row("relation", relation("job:ring", "job:ring", "part_of"))),
    Damage(
        "a schedule that no cron accepts",
        INVENTORY,
        "kept",
        _row(
            "schedule",
            {"id": "cron:odd", "entity_id": "vm:x", "expression": "61 25 * * *", "timezone": "UTC", "command": "true"},
        ),
    ),
    Damage(
        "a schedule in no time zone",
        INVENTORY,
        "kept",
        _row(
            "schedule",
            {
                "id": "cron:lost",
                "entity_id": "vm:x",
                "expression": "5 * * * *",
                "timezone": "Mars/Base",
                "command": "true",
            },
        ),
    ),
    Damage(
        "attributes that are no JSON", INVENTORY, "dead", _row("entity", {**entity("vm:bent", None), "attributes": "{"})
    ),
)


def damage(
    messages: Iterable[Message], seed: int, repeat: int = 1, damages: Iterable[Damage] = DAMAGES
) -> tuple[list[Message], list[Injected]]:
    """The messages with bad ones among them, `repeat` of each kind and some messages twice, and what was injected.

    Offsets are given anew, so that the capture is one that a broker could hold. A message that is injected takes the
    time of the one before it; nothing that was there is changed or lost.
    """
    rng = np.random.default_rng(seed)
    old = list(messages)
    places: dict[str, list[int]] = {}
    for index, message in enumerate(old):
        places.setdefault(message.topic, []).append(index)
    extra: dict[int, list[tuple[str, Fate, Message]]] = {}
    for found in damages:
        for _ in range(repeat if found.topic in places else 0):
            index = places[found.topic][int(rng.integers(len(places[found.topic])))]
            near = old[index]
            key, value = found.make(near.timestamp_ms)
            extra.setdefault(index, []).append((found.name, found.fate, near._replace(key=key, value=value)))
    for topic in places.keys() - {INVENTORY}:
        for index in rng.choice(places[topic], size=min(3 * repeat, len(places[topic]))).tolist():
            extra.setdefault(index, []).append(("a duplicate", "kept", old[index]))
    offsets: dict[tuple[str, int], int] = {}
    new: list[Message] = []
    injected = []
    for index, message in enumerate(old):
        place = message[:2]
        offsets.setdefault(place, message.offset)
        new.append(message._replace(offset=offsets[place]))
        offsets[place] += 1
        for name, fate, added in extra.get(index, ()):
            new.append(added._replace(offset=offsets[place]))
            injected.append(Injected(name, *place, offsets[place], fate))
            offsets[place] += 1
    return new, injected
