"""A day of the hourly backup with 300 entities at ten-second steps, simulated and then replayed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afoot.captures import read_captures
from afoot.simulate import simulate
from afoot.simulate.inventory import rows
from afoot.simulate.world import Size, World
from benchmarks.findings import Unbalanced, booked_messages, found
from benchmarks.process import folder_for, watched
from tests.servers.process import free_port

SCENARIO, SEED, ENTITIES, SCRAPE_S = "hourly_backup", 7, 300, 10
START_S = 1_772_323_200  # any will do: a world has as many entities at one time as at another


def replay_day(base: Path, hours: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """Simulates `hours` of it, replays them by `afoot replay`, and says how long that took."""
    size = sized(ENTITIES)
    folder = folder_for(base, "day")
    tell(f"day: simulating {hours:g} h with {size.pipelines} pipelines")
    truth = simulate(SCENARIO, SEED, hours, folder, size=size)
    capture, lake = folder / "capture.jsonl.zst", folder / "lake"
    tell("day: replaying")
    command = [str(Path(sys.executable).with_name("afoot")), "replay", "--capture", str(capture), "--lake", str(lake)]
    run = watched(command, free_port(), None)
    messages = sum(1 for _ in read_captures([capture]))
    if (booked := booked_messages(lake)) != messages:
        raise Unbalanced(f"the day: {messages} messages in the capture, {booked} in the books")
    return {
        "scenario": SCENARIO,
        "hours": hours,
        "entities": entities(size),
        "scrape_s": SCRAPE_S,
        "messages": messages,
        "wall_s": run.wall_s,
        "cpu_s": run.total_cpu_s,
        "peak_bytes": run.peak_bytes,
        "cpu_s_by_part": dict(sorted(run.cpu_s.items(), key=lambda item: -item[1])),
        "truth": truth.kind,
        "findings": sorted(map(str, found(lake))),
    }


def sized(wanted: int) -> Size:
    """The smallest world of as many entities as wanted."""
    pipelines = 1
    while entities(Size(pipelines, SCRAPE_S)) < wanted:
        pipelines += 1
    return Size(pipelines, SCRAPE_S)


def entities(size: Size) -> int:
    """Entities that the inventory of a world of this size holds."""
    return sum(table == "entity" for table, _ in rows(World(SEED, START_S, 3600, size)))
