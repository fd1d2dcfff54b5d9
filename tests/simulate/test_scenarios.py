"""Each scenario does what its truth says, in the model's own series, for seeds of every variant."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from afoot.errors import UsageError
from afoot.simulate.clock import run_times
from afoot.simulate.physics import STEP_S, minutes
from afoot.simulate.run import Play, judge, play, write_lag
from afoot.simulate.scenarios import SCENARIOS
from afoot.simulate.truth import Truth

SEEDS = (0, 1, 2, 3)
CONTENTION = "shared_volume_contention"


@functools.cache
def _played(scenario: str, seed: int) -> tuple[Play, Truth]:
    found = play(scenario, seed)
    return found, judge(found)


def _late_minutes(found: Play) -> list[int]:
    """Minutes (ms) in which the victim suffers, as the contract has it."""
    lag = minutes(write_lag(found))
    normal = float(np.median(lag))
    late = np.flatnonzero(lag > max(3 * normal, normal + 10))
    return [found.world.start_s * 1000 + int(minute) * 60_000 for minute in late]


def _explained(late: list[int], spans: list[tuple[int, int]], slack_ms: int) -> bool:
    return all(any(start - 60_000 < at < end + slack_ms for start, end in spans) for at in late)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", ["hourly_backup", "two_tenants", "wrong_schedule", "skipped_run", "dst"])
def test_lag_follows_the_runs_and_nothing_else(scenario: str, seed: int) -> None:
    found, truth = _played(scenario, seed)
    lag = minutes(write_lag(found))
    ran = [run for run in truth.runs if run["ran"]]
    assert len(ran) >= 5
    assert all(run["effect"] == run["ran"] for run in truth.runs)
    assert all(180_000 < run["end"] - run["start"] < 16 * 60_000 for run in ran)
    late = _late_minutes(found)
    assert _explained(late, [(run["start"], run["end"]) for run in ran], 20 * 60_000)
    assert 40 < lag.max() < 600
    assert 1 < np.median(lag) < 5
    expected = truth.expected[0]
    assert (expected.kind, expected.victim) == (CONTENTION, found.world.pipelines[0].victim)
    assert expected.culprit == found.world.machines[0].id
    assert expected.via == found.world.volumes[0].id


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_else_suffers(seed: int) -> None:
    for scenario in ("hourly_backup", "inventory_change"):
        found, _ = _played(scenario, seed)
        for pipeline in found.world.pipelines[1:]:
            assert found.motion.lag_s[pipeline.flow].max() < 10


@pytest.mark.parametrize("seed", SEEDS)
def test_few_large_reads_take_what_the_volume_runs_out_of(seed: int) -> None:
    found, truth = _played("large_reads", seed)
    motion, (scanner, busy) = found.motion, found.world.machines[:2]
    acting = motion.ops[scanner.load] > 0
    of_scanner, of_busy = (motion.ops[machine.load][acting].mean() for machine in (scanner, busy))
    assert of_busy > 1.5 * of_scanner
    assert motion.utilisation[0][acting].mean() > 0.8
    assert all(run["effect"] for run in truth.runs)
    (expected,) = truth.expected
    assert expected.culprit == scanner.id
    assert expected.shares[scanner.id] > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stall_delays_by_itself_what_its_volume_has_room_for(seed: int) -> None:
    found, truth = _played("own_stall", seed)
    spans = [(entry.from_ms, entry.to_ms) for entry in truth.expected]
    late = _late_minutes(found)
    assert late and _explained(late, spans, 6 * 60_000)
    assert found.motion.utilisation[0].max() < 0.8
    stops = found.world.flows[0].stops
    assert len(stops) == 2
    times = np.arange(found.world.steps) * STEP_S
    for since, until in stops:
        during = (times >= since) & (times < until)
        assert found.motion.written[0][during].max() == 0
        assert found.motion.ops[found.world.machines[0].load][during].max() > 0
    assert (truth.kind, truth.culprit) == ("unexplained", None)
    assert found.world.machines[0].id in truth.innocents


@pytest.mark.parametrize("seed", SEEDS)
def test_a_volume_that_becomes_slow_delays_with_fewer_operations(seed: int) -> None:
    found, truth = _played("slow_volume", seed)
    ((_, since, until, factor),) = found.world.slow
    times = np.arange(found.world.steps) * STEP_S
    during = (times >= since) & (times < until)
    total = found.motion.ops[found.motion.home[:, 0] == 0].sum(axis=0)
    assert total[during].mean() < 0.9 * np.median(total[~during])
    assert found.motion.latency_s[0][during].mean() > factor * np.median(found.motion.latency_s[0][~during])
    assert _explained(_late_minutes(found), [(truth.expected[0].from_ms, truth.expected[0].to_ms)], 20 * 60_000)
    assert found.world.machines[0].id in truth.innocents
    assert truth.unknown == [found.world.volumes[0].id]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_schedule_tells_the_runs_in_its_own_time_zone(seed: int) -> None:
    _, truth = _played("hourly_backup", seed)
    assert truth.schedule is not None
    assert truth.period_s is not None
    planned = run_times(
        truth.schedule["expression"], truth.schedule["timezone"], truth.start_ms / 1000, truth.end_ms / 1000
    )
    assert [run["start"] for run in truth.runs] == [at * 1000 for at in planned]
    assert {at % truth.period_s for at in planned} == {truth.phase_s}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_run_is_at_the_time_of_a_wrong_schedule(seed: int) -> None:
    found, truth = _played("wrong_schedule", seed)
    planned = np.array(found.world.starts(found.world.schedules[0])) + found.world.start_s
    period_s = found.table.period_s
    for run in truth.runs:
        after = (run["start"] / 1000 - planned) % period_s
        assert ((after > period_s / 10 + 60) & (after < period_s - 120)).all()
    assert truth.schedule is None
    assert truth.expected[0].schedule is None


@pytest.mark.parametrize("seed", SEEDS)
def test_work_that_is_started_by_hand_has_no_beat(seed: int) -> None:
    found, truth = _played("random_runs", seed)
    gaps = np.diff([run["start"] for run in truth.runs])
    assert len(gaps) >= 3
    assert gaps.max() > 1.2 * gaps.min()
    assert gaps.min() >= 500 * found.table.period_s
    assert all(run["effect"] for run in truth.runs)
    (expected,) = truth.expected
    assert expected.at_random
    assert (expected.period_s, expected.schedule) == (None, None)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_fix_the_machine_works_on_and_nothing_is_late(seed: int) -> None:
    found, truth = _played("backup_moved", seed)
    moved_ms = next(change["at"] for change in truth.changes if change["deletes"] and change["upserts"])
    late = _late_minutes(found)
    assert late
    assert max(late) < moved_ms
    machine = found.world.machines[0]
    after = np.arange(found.world.steps) * STEP_S * 1000 + truth.start_ms > moved_ms
    assert found.motion.ops[machine.load][after].max() > 0
    assert len(found.world.loads[machine.load].bursts) - len(truth.runs) >= 2
    assert truth.expected[0].state == "closed"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_culprit_changes_with_the_inventory(seed: int) -> None:
    found, truth = _played("inventory_change", seed)
    first, second = truth.expected
    assert (first.culprit, second.culprit) == tuple(machine.id for machine in found.world.machines[:2])
    assert first.culprit != second.culprit
    assert first.via == second.via
    assert first.to_ms < second.from_ms
    assert all(run["effect"] for run in truth.runs)
    assert [entry.shares[entry.culprit or ""] > 0.95 for entry in truth.expected] == [True, True]
    change = next(change for change in truth.changes if change["deletes"] and change["upserts"])
    assert first.to_ms < change["at"] < second.from_ms
    assert len(change["deletes"]) == len(change["upserts"]) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_volume_with_room_makes_nobody_late(seed: int) -> None:
    found, truth = _played("roomy_volume", seed)
    assert _late_minutes(found) == []
    assert truth.kind == "expected_job"
    assert truth.victim is None
    assert found.motion.utilisation[0].max() < 0.8
    machine = found.world.machines[0]
    assert found.motion.ops[machine.load].max() > 0.1 * np.median(found.motion.ops[found.world.pipelines[0].load])


@pytest.mark.parametrize("seed", SEEDS)
def test_more_data_comes_before_the_lag_and_the_volume_has_room(seed: int) -> None:
    found, truth = _played("load_rise", seed)
    assert [entry.kind for entry in truth.expected] == ["upstream_load"]
    assert truth.expected[0].culprit == truth.pipelines[0]["ingress"]
    assert truth.expected[0].via is None
    arrivals = minutes(found.motion.arrived[found.world.pipelines[0].flow])
    late = _late_minutes(found)
    assert late
    first = (late[0] - truth.start_ms) // 60_000
    assert arrivals[first - 1] > 1.15 * np.median(arrivals)
    assert found.motion.utilisation[0].max() < 0.8
    assert truth.cleared == [found.world.volumes[0].id]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_unrelated_machine_never_touches_the_victims_volume(seed: int) -> None:
    found, truth = _played("unrelated_vm", seed)
    (other,) = truth.never_named
    load = next(load for load in found.world.loads if load.entity == other)
    assert load.bursts
    assert {home for _, home in load.homes} == {found.world.spare}
    assert all(pipeline.claim.volume != found.world.spare for pipeline in found.world.pipelines)
    assert truth.kind == (None, CONTENTION, "upstream_load")[seed % 3]
    assert bool(_late_minutes(found)) == (seed % 3 != 0)
    assert other not in truth.culprits


@pytest.mark.parametrize("seed", SEEDS)
def test_two_tenants_share_the_excess(seed: int) -> None:
    found, truth = _played("two_tenants", seed)
    first, second = (machine.id for machine in found.world.machines[:2])
    assert list(truth.contributors) == [first, second]
    assert truth.contributors[first] - truth.contributors[second] > 0.1
    assert sum(truth.contributors.values()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_measured_is_not_cleared(seed: int) -> None:
    found, truth = _played("no_storage_data", seed)
    assert truth.unknown[0] == found.world.volumes[0].id
    assert not set(truth.unknown) & set(truth.cleared)
    with_tenants = seed % 2 == 1
    assert truth.kind == (CONTENTION if with_tenants else "unexplained")
    assert (truth.culprit is None) != with_tenants
    assert found.world.is_silent("tenants", found.world.seconds - 60) != with_tenants
    assert _late_minutes(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_a_steady_world_nothing_happens(seed: int) -> None:
    found, truth = _played("steady", seed)
    assert _late_minutes(found) == []
    assert truth.expected == []
    assert truth.kind is None


@pytest.mark.parametrize("seed", range(6))
def test_the_clocks_change_in_the_middle(seed: int) -> None:
    _, truth = _played("dst", seed)
    starts = [run["start"] // 1000 for run in truth.runs]
    gaps = {later - earlier for earlier, later in itertools.pairwise(starts)}
    assert gaps - {7200} in ({3600}, {10_800}, {5400}, {9000})  # Lord Howe's clocks change by half an hour
    assert len(starts) >= 8


def test_seeds_differ_in_what_may_differ() -> None:
    found = [play("hourly_backup", seed, 1.0) for seed in range(24)]
    styles = [one.world.style for one in found]
    assert {style.volume_family for style in styles} == {"harvest", "ebs"}
    assert {style.machine_family for style in styles} == {"ec2", "node"}
    assert len({style.write_lag for style in styles}) == 3
    assert len({style.consumer_lag for style in styles}) == 4
    assert len({style.host_label for style in styles}) == 3
    assert {style.scrape_s for style in styles} == {10, 15, 30, 60}
    assert {one.table.period_s for one in found} == {1800, 3600, 7200}
    assert len({one.table.timezone for one in found}) >= 4
    assert len({one.world.machines[0].name for one in found}) > 15
    rates = [one.world.pipelines[0].rate for one in found]
    assert max(rates) > 100 * min(rates)
    assert {len(one.world.pipelines) for one in found} >= {1, 2, 3}


@pytest.mark.parametrize("seed", range(12))
def test_no_two_things_share_a_name(seed: int) -> None:
    world = play("inventory_change", seed, 1.0).world
    for ids in (
        [volume.id for volume in world.volumes],
        [pipeline.victim for pipeline in world.pipelines],
        [pipeline.topic for pipeline in world.pipelines],
        [pipeline.group for pipeline in world.pipelines],
        [pipeline.ingress for pipeline in world.pipelines],
        [one.deployment for one in world.pipelines] + [one.deployment for one in world.workloads],
        [machine.id for machine in world.machines],
        [pod.id for pipeline in world.pipelines for pod in (*pipeline.receivers, *pipeline.workers)],
    ):
        assert len(ids) == len(set(ids))


def test_seed_zero_is_the_published_case() -> None:
    _, truth = _played("hourly_backup", 0)
    assert (truth.culprit, truth.via) == ("vm:frosa-system-backup", "volume:svm1/flexvol7")
    assert truth.schedule is not None
    assert truth.schedule["expression"] == "40 * * * *"
    assert truth.schedule["command"] == "/opt/backups/system_backup.sh"
    assert (truth.period_s, truth.phase_s) == (3600, 2400)


def test_every_scenario_says_what_it_is() -> None:
    assert all(scenario.summary and name == scenario.name for name, scenario in SCENARIOS.items())


@pytest.mark.parametrize(
    ("scenario", "seed", "hours", "message"),
    [
        ("hourly_backups", 0, None, "Did you mean hourly_backup"),
        ("zzz", 0, None, "There are: hourly_backup, "),
        ("steady", -1, None, "A seed is 0 or"),
        ("steady", 0, 0.1, "from 0.5 to 168 hours"),
        ("steady", 0, float("nan"), "from 0.5 to 168 hours"),
    ],
)
def test_bad_usage_is_named(scenario: str, seed: int, hours: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        play(scenario, seed, hours)
