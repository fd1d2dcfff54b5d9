"""The scenarios: who works when on which volume, and what a verdict must then say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np

from afoot.simulate.clock import run_times
from afoot.simulate.physics import STEP_S
from afoot.simulate.world import Change, Machine, Schedule, World, entity

ZONES = ("UTC", "UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Adelaide",
         "Asia/Kathmandu", "Asia/Tokyo")  # fmt: skip
CHANGING_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Adelaide", "Australia/Lord_Howe")


@dataclass(frozen=True)
class Timetable:
    """A crontab line, its zone, the usual seconds between its runs, and when the capture begins and ends (Unix s)."""

    expression: str
    timezone: str
    period_s: int
    start_s: int
    seconds: int


@dataclass
class Cause:
    """Something that makes the victim suffer (or, without a victim, is merely to be listed)."""

    kind: str
    culprit: str | None
    machines: list[Machine]
    volume: int | None
    schedule: Schedule | None
    runs: list[tuple[float, bool]]  # start in seconds, and whether it ran
    recurring: bool = True
    at_random: bool = False  # no beat may be claimed
    victim: bool = True
    from_s: float = 0.0
    to_s: float = float("inf")
    state: Literal["open", "closed", "any"] = "open"
    spans: list[tuple[float, float]] = field(default_factory=list)  # where there are no runs: when it acted
    by_bytes: bool = False  # the volume runs out of bytes/s: shares are of these
    max_confidence: float = 1.0


@dataclass
class Story:
    """What a scenario says about its world."""

    causes: list[Cause] = field(default_factory=list)
    allowed: list[str] = field(default_factory=lambda: ["expected_job", "overdue_job"])
    never_named: list[str] = field(default_factory=list)
    not_cleared: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """A scenario: its name, what happens in it, how many runs its default length holds, and how it is played."""

    name: str
    summary: str
    runs: int
    play: Callable[[World, Timetable], Story]
    daylight: bool = False  # the clocks change in the middle
    disorder: bool = False  # records are delayed and disordered within the lateness


def _rng(seed: int, aspect: str) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(aspect.encode())])


def timetable(scenario: Scenario, seed: int, hours: float | None) -> Timetable:
    """When a seed's schedule runs, and the stretch of time that a capture of `scenario` covers."""
    rng = _rng(seed, "timetable")
    if scenario.daylight:
        return _over_daylight(scenario, rng, hours)
    period_s = 3600 if seed == 0 else int(rng.choice([1800, 3600, 7200], p=[0.15, 0.65, 0.2]))
    minute = 40 if seed == 0 else int(rng.integers(0, 60))
    zone = "UTC" if seed == 0 else str(rng.choice(ZONES))
    if period_s == 1800:
        expression = "*/30 * * * *" if rng.random() < 0.4 else f"{minute % 30},{minute % 30 + 30} * * * *"
    elif period_s == 3600:
        expression = f"{minute} * * * *"
    else:
        expression = f"{minute} {rng.choice(['*/2', '1-23/2'])} * * *"
    lead_s = int(rng.uniform(0.6, 0.8) * period_s) if period_s < 7200 else int(rng.uniform(2400, 6000))
    seconds = lead_s + (scenario.runs - 1) * period_s + int(min(0.72 * period_s, 3000))
    moment = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 350 * 86_400)))
    local = ZoneInfo(zone)
    while moment.astimezone(local).utcoffset() != (moment + timedelta(days=3)).astimezone(local).utcoffset():
        moment += timedelta(days=4)
    day = moment + timedelta(days=1)
    first = run_times(expression, zone, day.timestamp(), day.timestamp() + 10_800)[0]
    return Timetable(expression, zone, period_s, _whole(first - lead_s), _whole(hours * 3600 if hours else seconds))


def _whole(seconds: float) -> int:
    return int(seconds) // 60 * 60


def _over_daylight(scenario: Scenario, rng: np.random.Generator, hours: float | None) -> Timetable:
    """Every other hour, half of the runs before and half after a change of the clocks that skips or repeats none."""
    zone = str(rng.choice(CHANGING_ZONES))
    local = ZoneInfo(zone)
    year = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [year + timedelta(minutes=30 * number) for number in range(365 * 48)]
    offsets = [moment.astimezone(local).utcoffset() or timedelta() for moment in moments]
    changes = [number for number in range(1, len(moments)) if offsets[number] != offsets[number - 1]]
    number = changes[int(rng.integers(len(changes)))]
    # Cron sees no hour that is skipped, and twice one that is repeated: those hours have no run here.
    touched = moments[number] + min(offsets[number], offsets[number - 1])
    hours_field = "1-23/2" if touched.hour % 2 == 0 else "*/2"
    expression = f"{rng.integers(0, 60)} {hours_field} * * *"
    change_s = int(moments[number].timestamp())
    half = scenario.runs // 2
    first = run_times(expression, zone, change_s - 86_400, change_s)[-half]
    last = run_times(expression, zone, change_s, change_s + 86_400)[half - 1]
    start_s = _whole(first - int(rng.uniform(2400, 5000)))
    seconds = last + 3000 - start_s
    return Timetable(expression, zone, 7200, start_s, _whole(hours * 3600 if hours else seconds))


# -- what may happen ---------------------------------------------------------------------------------------------


def _cast(world: World) -> None:
    """The innocent: steady and scheduled machines on the victim's volume and elsewhere, and quiet inventory changes."""
    rng = world.rng("cast")
    if rng.random() < 0.5:
        limit = world.volumes[0].disk.ops_limit
        world.add_machine("steady", 0, rate=limit * float(rng.uniform(0.01, 0.03)))
    for pipeline in world.pipelines[1:]:
        if rng.random() < 0.5:
            machine = world.add_machine(f"beside {pipeline.flow}", pipeline.claim.volume)
            schedule = world.add_schedule(machine, f"{rng.integers(0, 60)} * * * *", "UTC")
            _work_with_room(world, machine, world.starts(schedule), part=0.15)
    gone = entity(f"vm:{world.names.machine()}", "compute")
    born_s, gone_s = sorted(rng.uniform(0.1, 0.9, 2) * world.seconds)
    world.changes.append(Change(float(born_s), upserts=[("entity", gone)]))
    world.changes.append(Change(float(gone_s), deletes=[("entity", gone)]))
    volume = world.volumes[world.spare]
    grown = entity(volume.id, "storage", {**volume.attributes, "size_gb": 16_000})
    world.changes.append(Change(float(rng.uniform(0.2, 0.8)) * world.seconds, upserts=[("entity", grown)]))


def _work_with_room(world: World, machine: Machine, starts: list[float], part: float) -> None:
    """Lets a machine work at a rate that takes only `part` of its volume's time, for several minutes."""
    rng = world.rng(f"room {machine.name}")
    load = world.loads[machine.load]
    disk = world.volumes[load.homes[0][1]].disk
    rate = part / disk.cost_s(load.op_bytes)
    depth = rate * disk.base_latency_s * 40
    world.add_bursts(machine, starts, rate * float(rng.uniform(240, 540)), depth, rate)


def _strength(world: World, table: Timetable) -> tuple[float, float]:
    """The part of its need that the victim keeps, and the seconds of a run."""
    rng = world.rng("strength")
    if table.period_s <= 1800:
        return 1 - float(rng.uniform(0.3, 0.55)), float(rng.uniform(220, 330))
    return 1 - float(rng.uniform(0.3, 0.65)), float(rng.uniform(240, 660))


def _crowd_out(world: World, table: Timetable, machine: Machine, starts: list[float], share: float = 1.0) -> None:
    """Lets a machine crowd the victim out of its volume from each start; with a `share`, another does the rest."""
    keep, seconds = _strength(world, table)
    depth, rate = world.pressure(machine, keep, 0)
    world.add_bursts(machine, starts, rate * share * seconds, depth * share, rate * share * 2)


def _scheduled(world: World, table: Timetable, aspect: str) -> tuple[Machine, Schedule]:
    """A machine on the victim's volume with the seed's schedule."""
    published = world.seed == 0 and aspect == "culprit"
    machine = world.add_machine(aspect, 0, name="frosa-system-backup" if published else None)
    command = "/opt/backups/system_backup.sh" if published else None
    return machine, world.add_schedule(machine, table.expression, table.timezone, command=command)


def _contention(
    world: World, machines: list[Machine], schedule: Schedule | None, starts: list[float], skipped: int | None = None
) -> Cause:
    runs = [(start, number != skipped) for number, start in enumerate(starts)]
    return Cause("shared_volume_contention", machines[0].id, machines, 0, schedule, runs)


def hourly_backup(world: World, table: Timetable) -> Story:
    """A scheduled backup crowds the victim's job out of the volume that both use."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _crowd_out(world, table, machine, starts)
    return Story([_contention(world, [machine], schedule, starts)])


def skipped_run(world: World, table: Timetable) -> Story:
    """One run of the backup does not happen, and in that hour nothing is late."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    skipped = min(3, len(starts) - 1)
    _crowd_out(world, table, machine, [start for number, start in enumerate(starts) if number != skipped])
    return Story([_contention(world, [machine], schedule, starts, skipped)])


def _between_runs(world: World, starts: list[float], number: int) -> float:
    """A moment well after run `number` and its catching up, before the next one."""
    if len(starts) <= number:
        return 0.8 * world.seconds
    following = starts[number + 1] if len(starts) > number + 1 else float(world.seconds)
    return starts[number] + float(world.rng("between").uniform(0.7, 0.9)) * (following - starts[number])


def backup_moved(world: World, table: Timetable) -> Story:
    """After some runs the machine is attached to another volume: it goes on working, and the lag is gone."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _crowd_out(world, table, machine, starts)
    moved_s = _between_runs(world, starts, 3)
    world.changes.append(world.move(machine, moved_s, world.spare))
    cause = _contention(world, [machine], schedule, [start for start in starts if start < moved_s])
    return Story([replace(cause, to_s=moved_s, state="closed")])


def inventory_change(world: World, table: Timetable) -> Story:
    """Two machines with equal schedules change places: each is the culprit while it is on the victim's volume."""
    first, schedule = _scheduled(world, table, "culprit")
    second = world.add_machine("successor", world.spare)
    own = world.add_schedule(second, table.expression, table.timezone)
    _cast(world)
    starts = world.starts(schedule)
    moved_s = _between_runs(world, starts, 3)
    _crowd_out(world, table, first, starts)
    away, here = world.loads[first.load], world.loads[second.load]
    here.op_bytes, here.depth = away.op_bytes, away.depth
    here.bursts = [replace(burst, start_s=burst.start_s + 2) for burst in away.bursts]
    leaves, comes = world.move(first, moved_s, world.spare), world.move(second, moved_s, 0)
    world.changes.append(Change(moved_s, leaves.upserts + comes.upserts, leaves.deletes + comes.deletes))
    before = _contention(world, [first], schedule, [start for start in starts if start < moved_s])
    after = _contention(world, [second], own, [start for start in starts if start >= moved_s])
    return Story([replace(before, to_s=moved_s, state="closed"), replace(after, from_s=moved_s)])


def roomy_volume(world: World, table: Timetable) -> Story:
    """The backup runs, but its volume has room: nobody suffers."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _work_with_room(world, machine, starts, part=0.3)
    cause = Cause("expected_job", machine.id, [machine], 0, schedule, [(start, True) for start in starts], victim=False)
    return Story([replace(cause, state="any")])


def _rise(world: World, begins: list[float]) -> list[tuple[float, float]]:
    """More data arrives at the victim's pipeline, more than its job can process; returns when (seconds from, to)."""
    rng = world.rng("rise")
    flow = world.flows[world.pipelines[0].flow]
    factor = flow.processor_limit / float(np.mean(flow.arrivals)) * float(rng.uniform(1.3, 1.6))
    times = np.arange(world.steps) * float(STEP_S)
    profile = np.ones(world.steps)
    spans = []
    for begin in begins:
        ramp, length = float(rng.uniform(120, 240)), float(rng.uniform(480, 840))
        shape = np.clip((times - begin) / ramp, 0, 1) * np.clip((begin + length - times) / ramp, 0, 1)
        profile += shape * (factor - 1)
        spans.append((begin, begin + length))
    flow.arrivals = flow.arrivals * profile
    return spans


def _risen(world: World, spans: list[tuple[float, float]]) -> Cause:
    ingress = f"ingress:{'/'.join(world.pipelines[0].ingress)}"
    return Cause("upstream_load", ingress, [], None, None, [], recurring=False, state="any", spans=spans)


def load_rise(world: World, table: Timetable) -> Story:
    """More data arrives than the job can process; the storage has room, also for a job that happens to run on it."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    rng = world.rng("load rise")
    if rng.random() < 0.5:
        _work_with_room(world, machine, world.starts(schedule), part=0.12)
    count = 1 if world.seconds < 4 * 3600 else 2
    spans = _rise(
        world, [world.seconds * (0.35 + 0.4 * number) + float(rng.uniform(0, 600)) for number in range(count)]
    )
    return Story([_risen(world, spans)])


def unrelated_vm(world: World, table: Timetable) -> Story:
    """A machine saturates a volume that the pipeline does not use; if that suffers, another is to blame."""
    other = world.add_machine("unrelated", world.spare)
    schedule = world.add_schedule(other, table.expression, table.timezone)
    kind = world.seed % 3
    story = Story(never_named=[other.id])
    starts = world.starts(schedule)
    if kind == 1:
        machine, own = _scheduled(world, table, "culprit")
        _crowd_out(world, table, machine, starts)
        story.causes.append(_contention(world, [machine], own, starts))
    _cast(world)
    _work_with_room(world, other, starts, part=0.9)
    if kind == 2:
        story.causes.append(_risen(world, _rise(world, [start + 20.0 for start in starts[1::2]])))
    return story


def two_tenants(world: World, table: Timetable) -> Story:
    """Two machines work on the victim's volume at once, one more than the other."""
    first, schedule = _scheduled(world, table, "culprit")
    second, _ = _scheduled(world, table, "second")
    _cast(world)
    larger, smaller = world.loads[first.load], world.loads[second.load]
    smaller.op_bytes, smaller.read_part = larger.op_bytes, larger.read_part
    share = float(world.rng("two").uniform(0.6, 0.75))
    starts = world.starts(schedule)
    _crowd_out(world, table, first, starts, share)
    _crowd_out(world, table, second, starts, 1 - share)
    return Story([_contention(world, [first, second], schedule, starts)])


def no_storage_data(world: World, table: Timetable) -> Story:
    """The backup crowds the job out, but nobody measures the volume, and in some seeds none of its tenants' I/O."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _crowd_out(world, table, machine, starts)
    since_s = max(0.0, starts[0] - 900) if starts else 0.0
    volume = world.volumes[0].id
    world.silent.append((volume, since_s, float(world.seconds)))
    cause = _contention(world, [machine], schedule, starts)
    if world.seed % 2:
        return Story([replace(cause, max_confidence=0.6)], not_cleared=[volume])
    world.silent.append(("tenants", since_s, float(world.seconds)))
    tenants = [load.entity for load in world.loads if load.homes[0][1] == 0 and load.entity.startswith("vm:")]
    pods = [pod.id for workload in world.workloads for pod in workload.pods]
    blind = replace(cause, kind="unexplained", culprit=None, volume=None, schedule=None, recurring=False, state="any")
    return Story([blind], not_cleared=[volume, *tenants, *pods])


def wrong_schedule(world: World, table: Timetable) -> Story:
    """The machine works at another minute than its crontab entry says: no entry explains it."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    apart_s = 60 * int(world.rng("apart").integers(table.period_s // 240, table.period_s * 3 // 240))
    room_s = 900  # for the last run; one left out any earlier would be a job that has stopped
    starts = [at + apart_s for at in world.starts(schedule) if at + apart_s < world.seconds - room_s]
    _crowd_out(world, table, machine, starts)
    return Story([_contention(world, [machine], None, starts)])


def random_runs(world: World, table: Timetable) -> Story:
    """Somebody starts the machine's work by hand, whenever it suits: there is no beat to be found, and no entry."""
    machine, _ = _scheduled(world, table, "culprit")
    _cast(world)
    rng = world.rng("by hand")
    entry = world.starts(world.schedules[0]) or [0.0]  # of a capture of less than a period perhaps none
    starts = [entry[0] + float(rng.uniform(0.0, 600.0))]
    while (following := starts[-1] + table.period_s * (0.5 + float(rng.exponential(0.5)))) < world.seconds - 900:
        starts.append(following)
    _crowd_out(world, table, machine, starts)
    cause = _contention(world, [machine], None, starts)
    return Story([replace(cause, recurring=False, at_random=True, state="any")])


def large_reads(world: World, table: Timetable) -> Story:
    """A scheduled scan reads megabytes from a volume that runs out of bytes/s; another sends more operations then."""
    volume = world.volumes[0]
    volume.disk = replace(volume.disk, bytes_limit=volume.disk.ops_limit * 56e3)
    scanner, schedule = _scheduled(world, table, "culprit")
    busy = world.add_machine("busy", 0)
    _cast(world)
    large, small = world.loads[scanner.load], world.loads[busy.load]
    large.op_bytes, large.read_part, small.op_bytes = float(2**20), 0.95, 4096.0
    starts = world.starts(schedule)
    _crowd_out(world, table, scanner, starts)
    # Three times as many operations as the scan can have in all, which are a small part of what the volume could do.
    rate = 3 * volume.disk.bytes_limit / large.op_bytes
    _, seconds = _strength(world, table)
    world.add_bursts(busy, starts, rate * seconds, rate * volume.disk.base_latency_s * 400, rate)
    return Story([replace(_contention(world, [scanner], schedule, starts), by_bytes=True)])


def own_stall(world: World, table: Timetable) -> Story:
    """The job stands still by itself, in the midst of a machine's harmless runs, and its catch-up loads the volume."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _work_with_room(world, machine, starts, part=0.12)
    rng = world.rng("stall")
    begins = [start + float(rng.uniform(20, 160)) for start in starts[2::2]]
    spans = [(begin, begin + float(rng.uniform(55, 110))) for begin in begins]
    world.flows[world.pipelines[0].flow].stops += spans
    return Story([_nobodys(spans)])


def slow_volume(world: World, table: Timetable) -> Story:
    """The volume itself becomes slow for some minutes, in the midst of one of a machine's harmless runs."""
    machine, schedule = _scheduled(world, table, "culprit")
    _cast(world)
    starts = world.starts(schedule)
    _work_with_room(world, machine, starts, part=0.12)
    rng = world.rng("slow")
    begins = [start + float(rng.uniform(20, 100)) for start in starts[3:4] or starts[-1:]]
    spans = [(begin, begin + float(rng.uniform(360, 600))) for begin in begins]
    world.slow += [(0, *span, float(rng.uniform(8, 12))) for span in spans]
    return Story([_nobodys(spans)], not_cleared=[world.volumes[0].id])


def _nobodys(spans: list[tuple[float, float]]) -> Cause:
    """What makes the victim suffer is none of those that are heard."""
    return Cause("unexplained", None, [], None, None, [], recurring=False, state="any", spans=spans)


def steady(world: World, table: Timetable) -> Story:
    """Nothing happens."""
    _scheduled(world, table, "culprit")
    _cast(world)
    return Story()


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("hourly_backup", "a scheduled backup crowds a job out of its volume", 6, hourly_backup),
        Scenario("backup_moved", "the same, until the machine is attached to another volume", 7, backup_moved),
        Scenario(
            "inventory_change", "two machines change volumes, and the culprit changes with them", 8, inventory_change
        ),
        Scenario("roomy_volume", "the backup runs and nobody suffers", 6, roomy_volume),
        Scenario("load_rise", "more data arrives than the job can process", 6, load_rise),
        Scenario("unrelated_vm", "another machine is busy at the same minute on another volume", 6, unrelated_vm),
        Scenario("two_tenants", "two machines work on the volume at once", 6, two_tenants),
        Scenario("no_storage_data", "the volume is not measured while the backup runs", 6, no_storage_data),
        Scenario("out_of_order", "the hourly backup with late and disordered records", 6, hourly_backup, disorder=True),
        Scenario("wrong_schedule", "the crontab entry names another minute than the bumps", 6, wrong_schedule),
        Scenario("random_runs", "the machine's work is started by hand, at no regular times", 8, random_runs),
        Scenario("large_reads", "few large reads take a volume's bytes/s, many small writes do not", 6, large_reads),
        Scenario("own_stall", "the job stands still by itself while a machine does its harmless run", 6, own_stall),
        Scenario("slow_volume", "the volume is slow by itself while a machine does its harmless run", 6, slow_volume),
        Scenario("steady", "nothing happens", 5, steady),
        Scenario("skipped_run", "one run of the backup does not happen", 7, skipped_run),
        Scenario("dst", "the clocks change between two runs of the backup", 8, hourly_backup, daylight=True),
    )
}
