"""The joins as tables of events: what is heard together, and what lies just outside."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.servers.process import REPOSITORY

pytestmark = pytest.mark.slow
DAY_S = 86_400
JOB, OTHER, VOLUME = "job:a", "job:b", "volume:v"


def placed(role: str, entity: str, at_s: float, victim: str = "", volume: str = "", **more: Any) -> dict[str, Any]:
    """A placed row at a second of its case's day; its signals tell when they were measured."""
    payload = {"entity": entity, "component": "processor", "signals": [[f"at {at_s:g}", "1", 1.0, None]]}
    return {
        "role": role,
        "victim": victim,
        "volume": volume,
        "scope": volume if role == "io" else victim,
        "account": "",
        "window_end_ms": 0,
        "payload": json.dumps(payload) if role not in ("tick", "book") else "",
        "at_s": at_s,
        **more,
    }


def lag(at_s: float, victim: str = JOB, volume: str = VOLUME) -> dict[str, Any]:
    return placed("lag", victim, at_s, victim, volume)


def chain(at_s: float, entity: str = "pod:p", victim: str = JOB) -> dict[str, Any]:
    return placed("chain", entity, at_s, victim)


def flow(at_s: float, victim: str = JOB) -> dict[str, Any]:
    return placed("flow", "address:1.2.3.4", at_s, victim)


def io(at_s: float, entity: str = "vm:t", volume: str = VOLUME) -> dict[str, Any]:
    return placed("io", entity, at_s, volume=volume)


def several(*rows: dict[str, Any]) -> dict[str, Any]:
    """Rows of one shard that say the same of several entities, as one."""
    return {**rows[0], "payload": ",".join(row["payload"] for row in rows)}


TICK = placed("tick", "", 90)

# The rows of a case, and what is heard in its windows: by second of the window's end, by volume: the entities whose I/O
# is heard, and by victim the times of its lag, of its chain's signals and of its flows. Empty groups are left out.
JOINS: dict[str, tuple[list[dict[str, Any]], dict[int, Any]]] = {
    "all sides in one window": (
        [lag(60), chain(60), flow(60), io(60)],
        {120: {VOLUME: (["vm:t"], {JOB: (["at 60"], ["at 60"], ["at 60"])})}},
    ),
    "a window's first and last moment are one window": (
        [lag(60), chain(119.999), flow(119.999), io(119.999)],
        {120: {VOLUME: (["vm:t"], {JOB: (["at 60"], ["at 119.999"], ["at 119.999"])})}},
    ),
    "the next window's first moment is another window": (
        [lag(119.999), chain(120), flow(120), io(120)],
        {
            120: {VOLUME: ([], {JOB: (["at 119.999"], [], [])})},
            180: {VOLUME: (["vm:t"], {}), "": ([], {JOB: ([], ["at 120"], ["at 120"])})},
        },
    ),
    "the last moment before is another window": (
        [chain(59.999), flow(59.999), io(59.999), lag(60)],
        {
            60: {VOLUME: (["vm:t"], {}), "": ([], {JOB: ([], ["at 59.999"], ["at 59.999"])})},
            120: {VOLUME: ([], {JOB: (["at 60"], [], [])})},
        },
    ),
    "a victim without chain, flows and I/O is heard": ([lag(60)], {120: {VOLUME: ([], {JOB: (["at 60"], [], [])})}}),
    "a victim without a volume is heard by itself": (
        [lag(60, volume=""), chain(60), io(60)],
        {120: {"": ([], {JOB: (["at 60"], ["at 60"], [])}), VOLUME: (["vm:t"], {})}},
    ),
    "a chain without a lag is heard": ([chain(60)], {120: {"": ([], {JOB: ([], ["at 60"], [])})}}),
    "flows alone make nobody a victim": ([flow(60), TICK], {120: {}}),
    "a window in which nothing was placed is heard as empty": ([TICK], {120: {}}),
    "a book is no signal": ([placed("book", "signals", 60)], {}),
    "rows of several entities, from several shards, are heard as one": (
        [lag(60), several(chain(60), chain(60, "pod:q")), several(io(60), io(60, "vm:u")), io(60, "vm:w")],
        {120: {VOLUME: (["vm:t", "vm:u", "vm:w"], {JOB: (["at 60"], ["at 60", "at 60"], [])})}},
    ),
    "two victims of one volume are heard together": (
        [lag(60), lag(60, OTHER), chain(60, victim=OTHER), io(60), io(60, "vm:u")],
        {120: {VOLUME: (["vm:t", "vm:u"], {JOB: (["at 60"], [], []), OTHER: (["at 60"], ["at 60"], [])})}},
    ),
    "a victim whose lateness comes from two shards is heard with both": (
        [lag(60), lag(61)],
        {120: {VOLUME: ([], {JOB: (["at 60", "at 61"], [], [])})}},
    ),
    "a victim of two volumes is heard with both": (
        [lag(60), lag(60, volume="volume:w"), chain(60), io(60, volume="volume:w")],
        {
            120: {
                VOLUME: ([], {JOB: (["at 60"], ["at 60"], [])}),
                "volume:w": (["vm:t"], {JOB: (["at 60"], ["at 60"], [])}),
            }
        },
    ),
    "a name that is no plain text": (
        [lag(60, 'job:"q"\n<b>\\', 'volume:"v"\n'), io(60, volume='volume:"v"\n')],
        {120: {'volume:"v"\n': (["vm:t"], {'job:"q"\n<b>\\': (["at 60"], [], [])})}},
    ),
}

WINDOW_END_S, KEPT_S = 7_200, 72 * 60  # a window placed at its end and a minute, asked for by requests at other times
# When a request comes (s before or after that) and for which window, and whether the signals of the window leave.
REQUESTS: dict[str, tuple[list[tuple[float, int, str]], int]] = {
    "at once": ([(0, WINDOW_END_S, JOB)], 1),
    "as late as is kept": ([(KEPT_S, WINDOW_END_S, JOB)], 1),
    "a millisecond too late": ([(KEPT_S + 0.001, WINDOW_END_S, JOB)], 0),
    "a window ahead": ([(-60, WINDOW_END_S, JOB)], 1),
    "more than a window ahead": ([(-60.001, WINDOW_END_S, JOB)], 0),
    "for another window": ([(0, WINDOW_END_S + 60, JOB)], 0),
    "by another scope": ([(0, WINDOW_END_S, OTHER)], 0),
    "twice": ([(0, WINDOW_END_S, JOB), (300, WINDOW_END_S, JOB)], 1),
    "by two scopes": ([(0, WINDOW_END_S, JOB), (60, WINDOW_END_S, VOLUME)], 1),
    "not at all": ([], 0),
}
DAYS = {name: day for day, name in enumerate([*JOINS, *REQUESTS])}


@cache
def ran() -> dict[str, Any]:
    """What the SQL makes of all cases, each on a day of its own: one engine for all of them."""
    rows, requests = [], []
    for name, (events, _) in JOINS.items():
        rows += [_on_day(event, DAYS[name]) for event in events]
    for name, (asked, _) in REQUESTS.items():
        placed_at = WINDOW_END_S + 60 - 0.001
        both = placed("chain", "pod:p", placed_at, JOB), placed("io", "pod:p", placed_at, volume=VOLUME)
        end_ms = DAYS[name] * DAY_S * 1000 + WINDOW_END_S * 1000
        rows += [_on_day({**row, "window_end_ms": end_ms}, DAYS[name]) for row in both]
        for after_s, window_end_s, scope in asked:
            window_end_ms = (DAYS[name] * DAY_S + window_end_s) * 1000
            request = {"scope": scope, "window_end_ms": window_end_ms, "at_s": placed_at + after_s}
            requests.append(_on_day(request, DAYS[name]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.joining"],
        input=json.dumps({"placed": rows, "requests": requests}),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _on_day(row: dict[str, Any], day: int) -> dict[str, Any]:
    at_s = row["at_s"]
    return {**{k: v for k, v in row.items() if k != "at_s"}, "rt_ms": day * DAY_S * 1000 + round(at_s * 1000)}


def _times(payloads: list[dict[str, Any]]) -> list[str]:
    return sorted(reading[0] for payload in payloads for reading in payload["signals"])


@pytest.mark.parametrize("name", JOINS)
def test_what_is_heard_together(name: str) -> None:
    found: dict[int, dict[str, Any]] = {}
    for at_s, heard in ran()["cases"]:
        if at_s // DAY_S == DAYS[name]:
            volumes = found.setdefault(at_s % DAY_S + 1, {})  # rt is the window's last millisecond
            for group in json.loads(heard)["groups"]:
                victims = {
                    victim["victim"]: (
                        _times(victim["lag"]),
                        _times(victim["chain"]),
                        _times(victim["flow"]),
                    )
                    for victim in group["victims"]
                }
                tenants = sorted(payload["entity"] for payload in group["io"])
                if tenants or victims:
                    volumes[group["volume"]] = (tenants, victims)
    assert found == JOINS[name][1]


@pytest.mark.parametrize("name", REQUESTS)
def test_which_signals_leave(name: str) -> None:
    end_ms = (DAYS[name] * DAY_S + WINDOW_END_S) * 1000
    found = [row for row in ran()["signals"] if row[2] == end_ms]
    assert len(found) == REQUESTS[name][1]
