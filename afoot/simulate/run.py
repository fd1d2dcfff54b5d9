"""A scenario from its seed to its files: the world is built, played, measured, judged and written."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from afoot.errors import UsageError
from afoot.simulate import agents, chatter, cloudwatch, inventory
from afoot.simulate.capture import Record, arrive, write
from afoot.simulate.measures import Meter
from afoot.simulate.physics import STEP_S, FloatArray, Motion, minutes
from afoot.simulate.scenarios import SCENARIOS, Cause, Scenario, Story, Timetable, timetable
from afoot.simulate.truth import Expected, Truth
from afoot.simulate.world import Size, World

Progress = Callable[[str, float], None]
PROMPT_MS = 30_000
LATENESS_MS = {
    agents.TOPIC: PROMPT_MS,
    chatter.LOGS: PROMPT_MS,
    chatter.FLOWS: PROMPT_MS,
    inventory.TOPIC: PROMPT_MS,
    cloudwatch.TOPIC: 600_000,
}


@dataclass
class Play:
    """A scenario that was played: all that its files are written from."""

    scenario: Scenario
    table: Timetable
    world: World
    story: Story
    motion: Motion


def play(scenario: str, seed: int, hours: float | None = None, size: Size | None = None) -> Play:
    """Builds the world of a seed and lets a scenario happen in it; an unknown name is a UsageError."""
    if scenario not in SCENARIOS:
        near = difflib.get_close_matches(scenario, SCENARIOS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"No scenario is called {scenario!r}.{hint} There are: {', '.join(SCENARIOS)}.")
    if seed < 0:
        raise UsageError(f"A seed is 0 or a greater whole number, not {seed}.")
    if hours is not None and not 0.5 <= hours <= 168:
        raise UsageError(f"A capture is from 0.5 to 168 hours long, not {hours:g}.")
    found = SCENARIOS[scenario]
    table = timetable(found, seed, hours)
    world = World(seed, table.start_s, table.seconds, size)
    story = found.play(world, table)
    return Play(found, table, world, story, world.play())


def simulate(
    scenario: str,
    seed: int,
    hours: float | None,
    out: Path,
    progress: Progress | None = None,
    size: Size | None = None,
) -> Truth:
    """Writes `out`/capture.jsonl.zst and `out`/truth.json, and returns the truth. The same seed gives the same bytes.

    A disordered scenario writes its twin in order to `out`/ordered/ordered.jsonl.zst: the same messages, sent in order
    of their event times. `progress` is called with a word and the part done, 0 to 1. `size` is for captures of a size
    that no seed draws.
    """
    say = progress or (lambda word, part: None)
    say("playing", 0.0)
    played = play(scenario, seed, hours, size)
    world = played.world
    out.mkdir(parents=True, exist_ok=True)
    begin_ms, span_ms = world.start_s * 1000, world.seconds * 1000
    passes = 2 if played.scenario.disorder else 1

    def told(records: Iterable[Record], done: int) -> Iterator[Record]:
        for number, record in enumerate(records):
            if number % 250 == 0:
                part = min(1.0, max(0.0, (record.oldest_ms - begin_ms) / span_ms))
                say("writing", (done + part) / passes)
            yield record

    if played.scenario.disorder:
        twin = out / "ordered"
        twin.mkdir(exist_ok=True)
        ordered = in_order(told(measured(played), 0))
        write(arrive(ordered, world.rng("offsets")), twin / "ordered.jsonl.zst")
    records = told(measured(played), passes - 1)
    if played.scenario.disorder:
        records = disordered(records, world.rng("disorder"))
    write(arrive(records, world.rng("offsets")), out / "capture.jsonl.zst")
    truth = judge(played)
    truth.write(out / "truth.json")
    say("done", 1.0)
    return truth


def measured(played: Play) -> Iterator[Record]:
    """Everything that the agents of a played scenario send, in order of the oldest event of each message."""
    world, motion = played.world, played.motion
    meter = Meter(world, motion)
    rng = world.rng("agents")
    metrics = agents.records(
        meter.targets(),
        world.start_s,
        world.steps,
        integers_as_text=world.style.integers_as_text,
        collectors=world.style.collectors,
        partitions=world.style.partitions[agents.TOPIC],
        rng=rng,
    )
    others = cloudwatch.records(world, meter) + chatter.logs(world, motion) + chatter.flows(world, motion)
    telemetry = heapq.merge(metrics, sorted(others, key=_oldest), key=_oldest)
    yield from heapq.merge(agents.twice(telemetry, world.rng("twice")), inventory.records(world), key=_oldest)


def _oldest(record: Record) -> int:
    return record.oldest_ms


def in_order(records: Iterable[Record]) -> Iterator[Record]:
    """The records sent at once and in order of their event times. A topic that is minutes late by nature stays so."""
    last: dict[tuple[str, int], int] = {}
    for record in records:
        if LATENESS_MS[record.topic] != PROMPT_MS or record.topic == inventory.TOPIC:
            yield record
            continue
        place = (record.topic, record.partition)
        last[place] = max(last.get(place, 0), record.newest_ms + 300)
        yield replace(record, sent_ms=last[place])


def disordered(records: Iterable[Record], rng: np.random.Generator) -> Iterator[Record]:
    """The records with delays that bring them out of order, and keep all event times within the topic's lateness."""
    for record in records:
        room_ms = LATENESS_MS[record.topic] - (record.sent_ms - record.oldest_ms) - 1_000
        if record.topic == inventory.TOPIC or room_ms <= 0:
            yield record  # a log of commits has one order
        else:
            yield replace(record, sent_ms=record.sent_ms + int(rng.uniform(0, room_ms)))


# -- the truth ---------------------------------------------------------------------------------------------------


def write_lag(played: Play) -> FloatArray:
    """The victim's write lag (s) by step, before any agent's noise."""
    victim = played.world.pipelines[0]
    return np.asarray(played.motion.lag_s[victim.flow] + victim.flush_s)


def _runs(played: Play, cause: Cause) -> list[dict[str, Any]]:
    lag = minutes(write_lag(played))
    normal = float(np.median(lag))
    start_ms = played.world.start_s * 1000
    found = []
    pending = {machine.id: list(zip(played.world.loads[machine.load].bursts,
                                    played.motion.burst_ends[machine.load], strict=True))
               for machine in cause.machines}  # fmt: skip
    for at_s, ran in cause.runs:
        ends = [
            end for bursts in pending.values() for burst, end in bursts if at_s <= burst.start_s < at_s + 60 and ran
        ]
        end_s = min(max(ends, default=at_s), played.world.seconds)
        window = lag[int(at_s // 60) : int(end_s // 60) + 4]
        effect = bool(len(window) and window.max() > max(3 * normal, normal + 10))
        found.append(
            {
                "start": start_ms + round(at_s * 1000),
                "end": start_ms + round(end_s * 1000),
                "ran": ran,
                "effect": effect and cause.victim,
                "schedule": cause.schedule.id if cause.schedule else None,
            }
        )
    return found


def shares(played: Play, cause: Cause) -> dict[str, float]:
    """The part of each tenant in the excess operations/s (or bytes/s) of the cause's volume while its machines work.

    A tenant's excess is its mean above its own median of the time when they do not; the victim's is left out.
    """
    world, motion = played.world, played.motion
    if not cause.machines:
        return {}
    volume = world.loads[cause.machines[0].load].homes[0][1] if cause.from_s == 0 else cause.volume
    acting = np.zeros(world.steps, dtype=bool)
    times = np.arange(world.steps) * float(STEP_S)
    for machine in cause.machines:
        ends = motion.burst_ends[machine.load]
        for burst, end in zip(world.loads[machine.load].bursts, ends, strict=True):
            acting |= (times >= burst.start_s) & (times < end)
    inside = (times >= cause.from_s) & (times < cause.to_s)
    victims = {pipeline.load for pipeline in world.pipelines}
    excess = {}
    for index, load in enumerate(world.loads):
        here = inside & (motion.home[index] == volume)
        if index in victims or not (here & acting).any() or not (here & ~acting).any():
            continue
        above = float(motion.ops[index, here & acting].mean() - np.median(motion.ops[index, here & ~acting]))
        excess[load.entity] = max(above, 0.0) * (load.op_bytes if cause.by_bytes else 1.0)
    total = sum(excess.values())
    found = {entity: round(above / total, 4) for entity, above in excess.items() if above > 0.01 * total}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def judge(played: Play) -> Truth:
    """The truth of a played scenario."""
    world, story = played.world, played.story
    start_ms, end_ms = world.start_s * 1000, (world.start_s + world.seconds) * 1000
    victim = world.pipelines[0]
    expected, runs, schedules = [], [], []
    contributors: dict[str, float] = {}
    for cause in story.causes:
        own = _runs(played, cause)
        runs += own
        acted = [run["start"] for run in own if run["ran"]] + [start_ms + round(s * 1000) for s, _ in cause.spans]
        stopped = [run["end"] for run in own if run["ran"]] + [start_ms + round(e * 1000) for _, e in cause.spans]
        if not acted:
            continue  # the capture is too short for it to happen
        found = shares(played, cause)
        contributors = contributors or found
        schedules.append(cause.schedule)
        period_s = played.table.period_s if cause.recurring and len(acted) >= 3 else None
        expected.append(
            Expected(
                kind=cause.kind,
                culprit=cause.culprit,
                victim=victim.victim if cause.victim else None,
                via=world.volumes[cause.volume].id if cause.volume is not None else None,
                schedule=cause.schedule.id if cause.schedule else None,
                period_s=period_s,
                phase_s=acted[0] // 1000 % period_s if period_s else None,
                from_ms=acted[0],
                to_ms=stopped[-1],
                shares=found if cause.culprit else {},
                max_confidence=cause.max_confidence,
                at_random=cause.at_random,
                state=cause.state,
            )
        )
    first = expected[0] if expected else None
    schedule = schedules[0] if schedules else None
    culprits = list(dict.fromkeys(entry.culprit for entry in expected if entry.culprit))
    guilty = {*culprits, *contributors}
    chain = [
        f"ingress:{'/'.join(victim.ingress)}",
        f"deployment:{'/'.join(victim.deployment)}",
        f"topic:{victim.topic}",
    ]
    tenants = [machine.id for machine in world.machines] + [pod.id for work in world.workloads for pod in work.pods]
    blamed = first is not None and first.kind in ("shared_volume_contention", "unexplained")
    return Truth(
        scenario=played.scenario.name,
        seed=world.seed,
        start_ms=start_ms,
        end_ms=end_ms,
        kind=first.kind if first else None,
        culprit=first.culprit if first else None,
        culprits=culprits,
        contributors=contributors,
        victim=first.victim if first else None,
        via=first.via if first else None,
        schedule=asdict(schedule) if schedule else None,
        period_s=first.period_s if first else None,
        phase_s=first.phase_s if first else None,
        runs=sorted(runs, key=lambda run: int(run["start"])),
        expected=expected,
        allowed=story.allowed,
        never_named=story.never_named,
        innocents=[name for name in [*chain, *tenants] if name not in guilty],
        cleared=[name for name in chain if name not in guilty] if blamed else [world.volumes[0].id],
        unknown=story.not_cleared,
        changes=[
            {
                "at": start_ms + round(change.at_s * 1000),
                "upserts": [list(row) for row in change.upserts],
                "deletes": [list(row) for row in change.deletes],
            }
            for change in sorted(world.changes, key=lambda change: change.at_s)
        ],
        pipelines=[
            {
                "victim": pipeline.victim,
                "ingress": f"ingress:{'/'.join(pipeline.ingress)}",
                "deployment": f"deployment:{'/'.join(pipeline.deployment)}",
                "topic": f"topic:{pipeline.topic}",
                "consumer_group": f"consumer_group:{pipeline.group}",
                "pods": [pod.id for pod in pipeline.workers],
                "volume": world.volumes[pipeline.claim.volume].id,
            }
            for pipeline in world.pipelines
        ],
        style={**asdict(world.style), "partitions": dict(world.style.partitions)},
    )
