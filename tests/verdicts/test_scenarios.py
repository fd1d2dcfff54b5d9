"""The incident and its look-alikes as hand-made windows: who is named, who is cleared, who is unknown."""

from __future__ import annotations

import pytest

from tests.verdicts.world import (
    BACKUP,
    BROKER,
    BURST,
    BUSY,
    CATCH_UP,
    DAY,
    DEPLOYMENT,
    GROUP,
    HOUR,
    INGRESS,
    JOB,
    LATE,
    LOAD,
    MINUTE,
    OTHER,
    POD,
    RECEIVERS,
    REPORT,
    ROOM,
    TOPIC,
    USUAL,
    VOLUME,
    World,
    at,
    both,
    shares,
    silent,
)


@pytest.fixture(scope="module")
def backup() -> World:
    """Five hourly runs of the backup, each felt, and the third one skipped."""
    world = World()
    for hour in range(6):
        world.until(hour, 40)
        if hour != 3:
            world.backup_run()
    world.until(6, 30)
    return world


def test_the_backup_is_named_with_its_schedule_and_its_beat(backup: World) -> None:
    found = backup.only("shared_volume_contention")
    assert (found.culprit_entity, found.culprit_component, found.culprit_via) == (BACKUP, "compute", VOLUME)
    assert (found.victim_entity, found.victim_component, found.victim_signal) == (JOB, "processor", "write_lag")
    assert (found.victim_observed, found.victim_expected, found.victim_unit) == (40, 2, "s")
    assert (found.schedule_expression, found.schedule_command) == ("40 * * * *", "/opt/job.sh")
    assert (found.recurrence_period_s, found.recurrence_phase_s) == (3600, 2400)
    assert found.culprit_share == pytest.approx(1.0)
    assert found.window_start == at(0, 41)
    assert found.window_end == at(5, 51)
    assert found.rule == "shared_volume_contention@2"
    assert 0.95 < found.confidence <= 0.98
    for words in (BACKUP, "40 * * * *", "100 %", VOLUME, JOB, "hourly at :40", "5 of 6 runs"):
        assert words in found.summary
    assert "Attach vm:backup to another volume" in found.remedy


def test_a_skipped_run_without_an_effect_is_evidence(backup: World) -> None:
    found = backup.only("shared_volume_contention")
    assert (found.runs_seen, found.runs_with_effect) == (6, 5)


def test_everybody_is_heard(backup: World) -> None:
    found = backup.only("shared_volume_contention")
    assert backup.verdicts(found) == {
        BACKUP: "culprit",
        JOB: "victim",
        VOLUME: "victim",
        INGRESS: "cleared",
        DEPLOYMENT: "cleared",
        RECEIVERS[0]: "cleared",
        RECEIVERS[1]: "cleared",
        TOPIC: "cleared",
        BROKER: "cleared",
        POD: "cleared",
        REPORT: "cleared",
    }


def test_the_numbers_that_accuse_and_clear(backup: World) -> None:
    rows = backup.heard(backup.only("shared_volume_contention"))
    accused = rows[BACKUP, "write_ops"]
    assert (accused.observed, accused.expected, accused.share) == (1500, 10, pytest.approx(1.0))
    volume = rows[VOLUME, "total_ops"]
    assert (volume.observed, volume.expected) == (2040, 800)
    assert "residual: 0 %" in volume.reason
    assert rows[VOLUME, "latency"].observed == 0.009
    router = rows[INGRESS, "request_rate"]
    assert (router.observed, router.expected, router.score) == (500, 500, 0)
    assert router.reason == (
        "request_rate 500 requests/s against 500 requests/s expected (score 0.0): not above what is usual"
    )
    assert "bytes_in 2 MB/s against 2 MB/s" in rows[DEPLOYMENT, "bytes_in"].reason  # the sum of its pods
    assert rows[TOPIC, "bytes_out"].verdict == "cleared"
    assert "its catch-up, left out of the excess" in rows[POD, "write_ops"].reason
    assert accused.pointers == (("telemetry.metrics", 0, 10, 12),)
    assert sum(shares(rows.values()).values()) == pytest.approx(1.0)


def test_after_the_fix_the_finding_closes_and_stays_closed() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.backup_run()
    world.until(4, 10)
    world.relate(BACKUP, "attached_to", VOLUME, world.now, "delete")
    world.relate(BACKUP, "attached_to", OTHER, world.now)
    for hour in range(4, 8):
        world.until(hour, 40)
        world.minutes(8, {BACKUP: {"write_ops": 1500}, OTHER: {"total_ops": 1600}})
    found = world.only("shared_volume_contention")
    assert (found.state, found.as_of) == ("closed", at(4, 55))
    assert (found.runs_seen, found.runs_with_effect) == (4, 4)  # what runs elsewhere is no run on this volume
    assert world.only("expected_job").culprit_via == OTHER
    assert not world.latest("overdue_job")


def test_n1_a_run_with_room_is_an_expected_job() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.minutes(8, ROOM)
    world.until(4, 30)
    found = world.only("expected_job")
    assert world.latest() == [found]
    assert (found.severity, found.victim_entity, found.state) == ("info", None, "open")
    assert (found.culprit_entity, found.culprit_via, found.schedule_expression) == (BACKUP, VOLUME, "40 * * * *")
    assert (found.recurrence_period_s, found.recurrence_phase_s, found.runs_seen) == (3600, 2400, 4)
    assert found.window_start == at(0, 40)
    assert len(world.alerts) == 1
    assert world.heard(found)[BACKUP, "write_ops"].observed == 1500


@pytest.mark.parametrize("lead", [0, 3, 9])
def test_n3_more_data_is_the_load_and_storage_is_cleared(lead: int) -> None:
    world = World()
    world.until(1)
    world.minutes(lead, LOAD)
    world.minutes(10, LOAD, LATE)
    found = world.only("upstream_load")
    assert (found.culprit_entity, found.culprit_component, found.culprit_via) == (INGRESS, "router", None)
    verdicts = world.verdicts(found)
    assert verdicts.pop(INGRESS) == "culprit" and verdicts.pop(JOB) == "victim"
    assert set(verdicts.values()) == {"cleared"}
    assert world.heard(found)[INGRESS, "request_rate"].observed == 800
    assert "it follows ingress:edge/nginx" in world.heard(found)[TOPIC, "bytes_in"].reason
    assert world.latest() == [found]


def test_members_that_share_a_load_are_as_unusual_together_as_each_of_them() -> None:
    world = World()
    world.until(1)
    world.minutes(6, LOAD, LATE)
    rows = world.heard(world.only("upstream_load"))
    assert rows[RECEIVERS[0], "bytes_in"].score == pytest.approx(12)
    assert rows[DEPLOYMENT, "bytes_in"].score == pytest.approx(12)


def _arriving(part: float) -> dict[str, dict[str, float]]:
    """This part of what usually arrives."""
    arriving = {INGRESS: {"request_rate": 500 * part}, TOPIC: {"bytes_in": 2e6 * part}}
    return {**arriving, **{receiver: {"bytes_in": 1e6 * part} for receiver in RECEIVERS}}


def test_what_rose_before_the_lag_and_was_taken_out_did_not_cause_it() -> None:
    world = World()
    world.until(1, 35)
    world.minutes(3, _arriving(1.6))
    world.until(1, 40)
    world.minutes(6, BURST, LATE)
    found = world.only("shared_volume_contention")
    assert (world.latest(), found.culprit_entity) == ([found], BACKUP)
    assert world.verdicts(found)[INGRESS] == "cleared"


def test_a_blip_of_one_window_neither_explains_nor_hides_a_cause() -> None:
    world = World()
    world.until(1, 40)
    world.minutes(1, both(_arriving(2), BURST, LATE))
    world.minutes(5, BURST, LATE)
    found = world.only("shared_volume_contention")
    assert ({finding.kind for finding in world.findings}, found.culprit_entity) == ({found.kind}, BACKUP)


def test_an_output_that_falls_within_its_noise_still_lets_the_backlog_grow() -> None:
    slower = {JOB: {"records_out": 4_300}, TOPIC: {"bytes_out": 1.8e6}}  # scores of -2.8 and -2
    world = World()
    world.until(1, 38)
    world.minutes(1, _arriving(1.16))
    world.minutes(1)
    world.minutes(1, both(BURST, _arriving(1.16), slower, LATE))
    world.minutes(3, both(BURST, slower, LATE))
    found = world.only("shared_volume_contention")
    assert ({finding.kind for finding in world.findings}, found.culprit_entity) == ({found.kind}, BACKUP)


def test_n3_the_first_of_the_chain_that_rose_is_named() -> None:
    world = World()
    world.until(1)
    world.minutes(6, {**LOAD, INGRESS: {}}, LATE)
    assert world.only("upstream_load").culprit_entity == DEPLOYMENT


@pytest.mark.parametrize(("missed", "verdict"), [(1, "cleared"), (2, "unknown")])
def test_a_component_that_was_heard_in_half_of_the_windows_can_be_cleared(missed: int, verdict: str) -> None:
    world = World()
    world.until(1)
    world.minutes(missed, BURST, LATE, silent(TOPIC))
    world.minutes(2 - missed, BURST, LATE)
    assert world.verdicts(world.only("shared_volume_contention"))[TOPIC] == verdict


def test_n3_without_the_pods_the_topic_is_the_first_that_is_heard() -> None:
    world = World()
    world.until(1)
    world.minutes(6, LOAD, LATE, silent(INGRESS, *RECEIVERS))
    found = world.only("upstream_load")
    assert found.culprit_entity == TOPIC
    assert world.verdicts(found)[INGRESS] == "unknown"
    assert world.verdicts(found)[DEPLOYMENT] == "unknown"


def test_catch_up_is_not_taken_for_more_data() -> None:
    world = World()
    world.until(1)
    world.minutes(2, BURST, LATE)
    world.minutes(6, CATCH_UP, LATE, {JOB: {"write_lag": 30}})
    assert world.only("shared_volume_contention").culprit_entity == BACKUP
    assert not world.latest("upstream_load")


STALL: dict[str, dict[str, float]] = {  # the job stands still by itself, and its volume is at rest
    JOB: {"write_lag": 60, "records_out": 0},
    POD: {"write_ops": 0},
    TOPIC: {"bytes_out": 0},
}


def _stall(world: World, tenant: float, catch_up: float = 600, late: float = 61, group: bool = False) -> None:
    """A stall, and a catch-up that presses the volume, while the backup does `tenant` operations/s."""
    rebalance = {GROUP: {"rebalance_latency": 60.0, "rebalances": 0.0}} if group else {}
    small = {BACKUP: {"write_ops": tenant}}
    world.minutes(7, small, {VOLUME: {"total_ops": 790 + tenant}})
    world.minute(small, STALL, {VOLUME: {"total_ops": 90 + tenant}}, rebalance)
    pressed = {VOLUME: {"total_ops": 790 + catch_up + tenant, "latency": 0.004}}
    world.minute(small, CATCH_UP, {POD: {"write_ops": 700 + catch_up}, JOB: {"write_lag": late}}, pressed, rebalance)
    world.minutes(3, small, CATCH_UP, {POD: {"write_ops": 700 + catch_up}}, pressed)


def test_a_small_run_during_a_stall_is_no_culprit_where_the_jobs_own_catch_up_presses_the_volume() -> None:
    world = World()
    world.until(1)
    _stall(world, 200)
    world.until(2)
    found = world.only("unexplained")
    assert f"it stood still while {VOLUME} was calm, no more comes in than usual" in found.summary
    rows = world.heard(found)
    assert world.verdicts(found)[BACKUP] == world.verdicts(found)[VOLUME] == "cleared"
    assert "the victim's own I/O alone pressed it" in rows[BACKUP, "write_ops"].reason
    assert "the victim's own I/O alone pressed it" in rows[VOLUME, "latency"].reason


def test_a_stall_whose_catch_up_is_seen_in_part_is_no_contention() -> None:
    """The second minute's latency is that of the catch-up, its operations are few for the stall, a tenant is busy."""
    world = World()
    world.until(1)
    small = {BACKUP: {"write_ops": 150.0}}
    world.minute(small, {POD: {"write_ops": 300.0}, VOLUME: {"total_ops": 540.0}, JOB: {"write_lag": 16}})
    part = {POD: {"write_ops": 650.0}, VOLUME: {"total_ops": 890.0, "latency": 0.003}}
    world.minute(small, part, {JOB: {"write_lag": 68}})
    world.minutes(2, small, CATCH_UP, {JOB: {"write_lag": 40}})
    world.until(1, 30)
    found = world.only("unexplained")
    assert f"it stood still while {VOLUME} was calm" in found.summary
    assert world.verdicts(found)[BACKUP] == "unknown"


@pytest.mark.parametrize(
    ("own", "latency", "named"),
    [
        pytest.param(300.0, 0.001, False, id="it stood still"),
        pytest.param(600.0, 0.001, True, id="a fluctuation"),
        pytest.param(300.0, None, True, id="of the latency nobody knows"),
    ],
)
def test_who_stands_still_does_clearly_less_while_the_latency_is_known(
    own: float, latency: float | None, named: bool
) -> None:
    world = World()
    world.until(1)
    first = {POD: {"write_ops": own}, VOLUME: {"total_ops": 110 + own, "latency": latency, "queue": 0.0}}
    world.minute({JOB: {"write_lag": 14}}, first)
    for minute in range(8):
        world.minute(BURST, {JOB: {"write_lag": 40.0 + 20 * minute}})
    assert bool(world.latest("shared_volume_contention")) == named


def test_a_stall_in_the_midst_of_a_harmless_run_is_no_contention() -> None:
    """A run that doubles the latency each hour, and delays nothing; in one of them the job stands still by itself."""
    world = World()
    run = {BACKUP: {"write_ops": 600.0}, VOLUME: {"total_ops": 1_390.0, "latency": 0.002}}
    for hour in range(1, 6):
        world.until(hour, 40)
        world.minutes(3, run)
        if hour == 4:
            world.minute(run, STALL, {VOLUME: {"total_ops": 690.0, "latency": 0.001}})
            world.minutes(3, run, CATCH_UP, {VOLUME: {"total_ops": 1_900.0, "latency": 0.005}, JOB: {"write_lag": 65}})
        world.minutes(4, run)
    world.until(6)
    assert not world.latest("shared_volume_contention")
    found = world.only("unexplained")
    assert f"it stood still while {VOLUME} was calm, whoever pressed it before or after" in found.summary
    assert world.verdicts(found)[BACKUP] == "unknown"


def test_a_lag_that_comes_with_the_jobs_own_writes_is_told_so() -> None:
    world = World()
    world.until(1)
    world.minutes(5, {POD: {"write_ops": 1_400.0}, VOLUME: {"total_ops": 1_500.0, "latency": 0.004}}, LATE)
    found = world.only("unexplained")
    assert f"{VOLUME} was pressed by its own I/O alone, no more comes in than usual" in found.summary
    assert world.verdicts(found)[VOLUME] == "cleared"


def test_who_presses_a_volume_when_the_lag_is_there_already_did_not_cause_it() -> None:
    world = World()
    world.until(1)
    world.minute({JOB: {"write_lag": 60}})
    world.minutes(6, BURST, {JOB: {"write_lag": 70}})
    found = world.only("unexplained")
    why = f"85 % of the lag came up while nobody else pressed {VOLUME}"
    rows = world.heard(found)
    assert all(
        why in said for said in (found.summary, rows[BACKUP, "write_ops"].reason, rows[VOLUME, "latency"].reason)
    )
    assert world.verdicts(found)[BACKUP] == world.verdicts(found)[VOLUME] == "unknown"


def test_where_it_is_a_guess_what_the_volume_ran_out_of_both_leaders_are_told() -> None:
    world = World()
    world.until(1)
    first = {BACKUP: {"write_bytes": 6e6}, REPORT: {"write_ops": 100.0, "write_bytes": 60e6}}
    both = {VOLUME: {"total_ops": 2_120.0, "total_bytes": 66e6, "latency": 0.009}}
    for minute in range(8):
        world.minute(BURST, first, both, {JOB: {"write_lag": 20.0 + 15 * minute}})
    found = world.only("shared_volume_contention")
    rows = world.heard(found)
    assert found.culprit_entity == BACKUP
    assert world.verdicts(found)[REPORT] == "unknown"
    assert "it leads by bytes, and nothing tells which of both" in rows[REPORT, "write_ops"].reason
    assert 0.5 < found.confidence < 0.6
    told = shares(rows.values())
    assert sum(told.values()) == pytest.approx(1)


def test_a_volume_is_remembered_by_what_it_has_carried_without_pressure() -> None:
    world = World()
    world.until(1)
    world.minutes(5, ROOM)
    world.minutes(5, BURST, {VOLUME: {"total_ops": 3_000, "latency": 0.009}})
    known = world.book.volumes[VOLUME]
    assert known.carried == {"operations": pytest.approx(2_290, rel=0.01)}
    world.until(13, 4)
    assert known.carried == {"operations": pytest.approx(2_290 / 2, rel=0.01)}


def test_a_flicker_of_lag_right_before_a_run_does_not_hide_its_cause() -> None:
    world = World()
    world.until(1)
    world.minute({JOB: {"write_lag": 13}})
    world.minute(BURST)
    for minute in range(8):
        world.minute(BURST, {JOB: {"write_lag": 20.0 + 15 * minute}})
    assert world.only("shared_volume_contention").culprit_entity == BACKUP


def test_a_group_that_rebalances_is_not_cleared_by_its_count() -> None:
    world = World()
    world.relate(GROUP, "part_of", JOB, DAY)
    world.until(1)
    _stall(world, 120, group=True)
    found = world.only("unexplained")
    assert world.verdicts(found)[GROUP] == "unknown"
    assert "rebalance_latency 60 against" in world.heard(found)[GROUP, "rebalance_latency"].reason


def test_more_data_on_a_volume_that_others_fill_is_told_as_both() -> None:
    """Either alone would have been taken: a quarter more data, and a backup that leaves the job what is usual."""
    world = World()
    world.until(1)
    more = {
        INGRESS: {"request_rate": 625.0},
        RECEIVERS[0]: {"bytes_in": 1.25e6},
        RECEIVERS[1]: {"bytes_in": 1.25e6},
        TOPIC: {"bytes_in": 2.5e6, "bytes_out": 1.98e6},
        JOB: {"records_out": 4_950.0},
    }
    full = {BACKUP: {"write_ops": 1_300.0}, POD: {"write_ops": 700.0}, VOLUME: {"total_ops": 2_090.0, "latency": 0.01}}
    world.minute(more, full)
    for minute in range(8):
        world.minute(more, full, {JOB: {"write_lag": 15.0 + 12 * minute}})
    found = world.only("shared_volume_contention")
    assert world.verdicts(found) | {BACKUP: "culprit", INGRESS: "contributor"} == world.verdicts(found)
    assert 0.5 < found.confidence < 0.8  # nearly a tie


@pytest.mark.parametrize(
    ("taken_out", "verdict"), [(1.5e6, "contributor"), (1.8e6, "contributor"), (2.0e6, "cleared"), (2.4e6, "cleared")]
)
def test_a_backup_during_more_data_is_a_contributor_where_no_more_is_taken_out(taken_out: float, verdict: str) -> None:
    world = World()
    world.until(1)
    out = {"bytes_out": taken_out}  # 2e6 is usual
    pressing = {BACKUP: {"write_ops": 700}, VOLUME: {"total_ops": 1_690, "latency": 0.006}, TOPIC: out}
    world.minutes(8, LOAD, LATE, both(LOAD, pressing))
    found = world.only("upstream_load")
    assert found.culprit_entity == INGRESS
    assert world.verdicts(found)[BACKUP] == verdict


def test_n3_an_input_that_rises_in_mid_effect_did_not_cause_it() -> None:
    world = World()
    world.until(1)
    world.minutes(4, LATE)
    world.minutes(6, LOAD, LATE)
    world.until(1, 20)
    assert world.latest("upstream_load") == []
    row = world.heard(world.only("unexplained"))[INGRESS, "request_rate"]
    assert row.verdict == "cleared" and "it rose only after the effect had begun" in row.reason


def test_n4_a_busy_vm_elsewhere_is_never_named() -> None:
    elsewhere = {BUSY: {"write_ops": 2_000}, OTHER: {"total_ops": 2_050, "latency": 0.03}}
    world = World()
    world.until(1)
    world.minutes(10, elsewhere, LATE)  # late for another reason
    world.until(2, 40)
    world.minutes(8, BURST, LATE, elsewhere)  # late by the backup
    world.until(3)
    assert {finding.culprit_entity for finding in world.findings} == {None, BACKUP}
    assert BUSY not in {row.entity for row in world.evidence}
    unexplained = world.only("unexplained")
    assert "its storage has room" in unexplained.summary
    assert world.verdicts(unexplained)[VOLUME] == world.verdicts(unexplained)[BACKUP] == "cleared"


def test_a_volume_that_is_slow_at_its_usual_load_has_no_room_and_its_tenants_are_not_cleared() -> None:
    """A culprit that is busy for most of the time is expected to be: all that is known is that the volume is slow."""
    world = World()
    world.until(1)
    world.minutes(8, LATE, {VOLUME: {"latency": 0.02}})
    world.until(1, 20)
    found = world.only("unexplained")
    assert (
        f"{VOLUME} is slow, and none of its other tenants was heard to do more than is expected then" in found.summary
    )
    rows = world.heard(found)
    assert world.verdicts(found)[VOLUME] == world.verdicts(found)[BACKUP] == "unknown"
    assert "no more than usual, on a volume that is slow" in rows[BACKUP, "write_ops"].reason
    assert "slow, and none of its other tenants" in rows[VOLUME, "latency"].reason
    assert world.verdicts(found)[POD] == world.verdicts(found)[INGRESS] == "cleared"


def test_a_volume_that_was_slow_for_a_part_of_an_effect_has_room() -> None:
    world = World()
    world.until(1)
    world.minutes(3, LATE, {VOLUME: {"latency": 0.02}})
    world.minutes(5, LATE)
    world.until(1, 20)
    found = world.only("unexplained")
    assert "its storage has room" in found.summary
    assert world.verdicts(found)[VOLUME] == world.verdicts(found)[BACKUP] == "cleared"


TWO = {
    BACKUP: {"write_ops": 1_000},
    REPORT: {"write_ops": 520},
    POD: {"write_ops": 500},
    VOLUME: {"total_ops": 2_100, "latency": 0.01},
}


def test_n5_two_candidates_have_shares_and_a_residual() -> None:
    world = World()
    world.until(1)
    world.minutes(8, TWO, LATE)
    found = world.only("shared_volume_contention")
    assert found.culprit_entity == BACKUP
    rows = world.heard(found)
    assert world.verdicts(found)[REPORT] == "contributor"
    assert shares(rows.values()) == {
        BACKUP: pytest.approx(990 / 1500),
        REPORT: pytest.approx(500 / 1500),
        VOLUME: pytest.approx(10 / 1500),
    }
    assert "residual: 1 %" in rows[VOLUME, "total_ops"].reason
    assert {one["entity"] for one in world.alerts[0]["suspects"][:2]} == {BACKUP, REPORT}


@pytest.mark.parametrize(("report", "verdict"), [(175, "contributor"), (165, "cleared")])
def test_n5_a_tenth_of_the_excess_makes_a_contributor(report: float, verdict: str) -> None:
    world = World()
    world.until(1)
    pressed = {VOLUME: {"total_ops": 2_300, "latency": 0.01}}
    world.minutes(8, pressed, {REPORT: {"write_ops": report}, BACKUP: {"write_ops": 1_350}}, LATE)
    assert world.verdicts(world.only("shared_volume_contention"))[REPORT] == verdict


def test_n6_without_storage_data_nothing_of_it_is_cleared() -> None:
    world = World()
    world.until(1)
    world.minutes(12, BURST, LATE, silent(VOLUME, BACKUP, REPORT, POD))
    found = world.only("unexplained")
    assert (found.culprit_entity, found.culprit_via, found.confidence) == (None, None, 0)
    assert "unknown: no storage data" in found.summary
    verdicts = world.verdicts(found)
    assert {verdicts[entity] for entity in (VOLUME, BACKUP, REPORT, POD)} == {"unknown"}
    assert world.heard(found)[VOLUME, "total_ops"].reason.startswith("unknown: no storage data in 2 of 3 windows")
    assert verdicts[INGRESS] == "cleared"


@pytest.mark.parametrize(
    ("told", "verdict", "why"),
    [
        ((True, True, False, False), "cleared", "its storage has room"),
        ((True, False, False, False), "unknown", "unknown: no latency or queue of its storage in 2 of 3 windows"),
        ((False, False, False, False), "cleared", "its storage has room"),  # what never tells any is known by its I/O
    ],
)
def test_n6_a_volume_whose_latency_is_rarely_told_is_not_said_to_have_room(
    told: tuple[bool, ...], verdict: str, why: str
) -> None:
    world, quiet = World(), {VOLUME: {"latency": None}}
    world.until(1)
    world.minute(quiet)
    for number, heard in enumerate(told):
        world.minute({} if heard else quiet, {JOB: {"write_lag": 40 + 10 * number}})
    world.minutes(3, quiet, {JOB: {"write_lag": 5}})
    found = world.only("unexplained")
    assert why in found.summary
    assert world.verdicts(found)[VOLUME] == verdict


def test_n6_a_volume_that_never_sent_anything_has_no_number() -> None:
    world = World()
    while world.now < at(1):
        world.minute(silent(VOLUME))
    world.minutes(3, LATE, silent(VOLUME))
    row = world.heard(world.only("unexplained"))[VOLUME, "total_ops"]
    assert (row.verdict, row.reason, row.observed) == ("unknown", "unknown: no storage data", None)


@pytest.mark.parametrize(("report", "low", "high"), [(100, 0.85, 0.98), (720, 0.7, 0.85), (790, 0.45, 0.55)])
def test_two_that_are_nearly_equal_are_told_apart_with_little_confidence(
    report: float, low: float, high: float
) -> None:
    world = World()
    world.until(1)
    load = {BACKUP: {"write_ops": 800}, REPORT: {"write_ops": report}, VOLUME: {"total_ops": 1_340 + report}}
    world.minutes(8, BURST, LATE, both(BURST, LATE, load))
    found = world.only("shared_volume_contention")
    assert found.culprit_entity == BACKUP
    assert low < found.confidence < high


def test_n6_tenants_alone_may_name_with_little_confidence() -> None:
    world = World()
    world.until(1)
    world.minutes(12, BURST, LATE, silent(VOLUME))
    found = world.only("shared_volume_contention")
    assert (found.culprit_entity, found.culprit_share, found.rule) == (BACKUP, None, "tenant_io_alone@1")
    assert 0 < found.confidence < 0.6
    assert "no storage data" in found.summary
    assert world.verdicts(found)[VOLUME] == "unknown"


@pytest.mark.parametrize("gaps", [1, 2])
def test_n6_a_volume_that_is_silent_while_it_mattered_is_not_cleared_by_calm_minutes(gaps: int) -> None:
    world = World()
    world.until(1)
    world.minutes(1 + gaps, LATE, silent(VOLUME, BACKUP, REPORT))
    world.minutes(2, LATE)
    found = world.only("unexplained")
    assert world.verdicts(found)[VOLUME] == "unknown"
    assert world.verdicts(found)[BACKUP] == "unknown"


def test_a_culprit_that_sends_nothing_is_unknown_and_the_residual_says_how_much_is_missing() -> None:
    world = World()
    world.until(1)
    world.minutes(8, BURST, LATE, silent(BACKUP))
    found = world.only("unexplained")
    assert "100 % of the excess on volume:svm1/main comes from no tenant that was heard" in found.summary
    assert world.verdicts(found)[BACKUP] == "unknown"
    assert world.verdicts(found)[VOLUME] == "unknown"
    assert world.verdicts(found)[REPORT] == "cleared"


def test_n8_bumps_off_the_schedule_claim_no_match() -> None:
    world = World()
    for hour in range(5):
        world.until(hour, 10)
        world.backup_run()
    found = world.only("shared_volume_contention")
    assert (found.recurrence_period_s, found.recurrence_phase_s) == (3600, 600)
    assert (found.schedule_id, found.schedule_expression, found.schedule_command) == (None, None, None)
    assert "40 * * * *" not in found.summary + found.remedy
    assert (found.runs_seen, found.runs_with_effect) == (5, 5)
    assert not world.latest("overdue_job")


def test_c1_a_vm_is_a_suspect_only_while_it_is_a_tenant() -> None:
    world = World()
    world.until(11, 40)
    world.backup_run()
    world.until(12, 10)
    world.relate(BACKUP, "attached_to", VOLUME, world.now, "delete")
    world.until(12, 40)
    world.minutes(8, LATE, {BACKUP: {"write_ops": 1_500}, VOLUME: {"total_ops": 2_300, "latency": 0.01}})
    named = world.only("shared_volume_contention")
    assert named.culprit_entity == BACKUP and named.window_end < at(12)
    unexplained = world.only("unexplained")
    assert BACKUP not in world.verdicts(unexplained)
    assert "comes from no tenant that was heard" in unexplained.summary


def test_n4_a_burst_on_another_volume_is_not_charged_on_this_one() -> None:
    world = World()
    world.relate(BUSY, "attached_to", VOLUME, world.now)
    world.until(1)
    world.minutes(6, BURST, LATE, {BUSY: {"write_ops": 4_000}, OTHER: {"total_ops": 4_050}})
    found = world.only("shared_volume_contention")
    assert (found.culprit_entity, found.culprit_share) == (BACKUP, pytest.approx(1.0))
    assert world.verdicts(found)[BUSY] == "cleared"


@pytest.mark.parametrize(("moved", "suspect"), [(0, False), (1, True)])
def test_c1_a_window_uses_the_inventory_as_of_its_end(moved: int, suspect: bool) -> None:
    world = World()
    world.until(1)
    world.relate(BACKUP, "attached_to", VOLUME, at(1, 1) + moved, "delete")
    world.minute(BURST, LATE)
    world.minutes(2, LATE)
    assert (BACKUP in {finding.culprit_entity for finding in world.findings}) == suspect


def test_a_pipeline_without_a_volume_is_told_so() -> None:
    world = World()
    world.relate(POD, "mounts", "claim:streaming/data", world.now, "delete")
    world.until(1)
    world.minutes(5, LATE)
    found = world.only("unexplained")
    assert "its volumes are not known to the inventory" in found.summary


def test_s1_members_that_were_not_ready_first_explain_the_lag() -> None:
    world = World()
    world.until(1)
    world.minutes(2, {DEPLOYMENT: {"ready_members": 1}})
    world.minutes(6, {DEPLOYMENT: {"ready_members": 1}}, LATE)
    found = world.only("not_ready")
    assert (found.culprit_entity, found.culprit_via) == (DEPLOYMENT, None)
    assert "ready_members 1 member against 2 members" in found.summary or "ready_members 1" in found.summary
    assert world.verdicts(found)[DEPLOYMENT] == "culprit"
    assert world.verdicts(found)[VOLUME] == "cleared"


def test_s1_missing_members_say_more_than_the_restart_before() -> None:
    world = World()
    world.until(1)
    world.minute({DEPLOYMENT: {"restarts": 1.0}})
    world.minutes(6, {DEPLOYMENT: {"ready_members": 1.0}}, LATE)
    found = world.only("not_ready")
    assert f"{DEPLOYMENT} was not ready (ready_members 1 members against 2 members)" in found.summary


def test_s1_a_restart_of_the_job_itself() -> None:
    world = World()
    world.until(1)
    world.minute({JOB: {"restarts": 1}})
    world.minutes(6, LATE)
    found = world.only("not_ready")
    assert (found.culprit_entity, found.victim_entity) == (JOB, JOB)


def test_s1_a_restart_that_comes_after_storage_is_its_effect() -> None:
    world = World()
    world.until(1)
    world.minutes(2, BURST)
    world.minute(BURST, LATE, {DEPLOYMENT: {"ready_members": 1}})
    world.minutes(5, BURST, LATE)
    found = world.only("shared_volume_contention")
    assert found.culprit_entity == BACKUP
    assert world.verdicts(found)[DEPLOYMENT] == "victim"


def test_s1_members_that_have_always_been_missing_explain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USUAL, DEPLOYMENT, {"ready_members": (1.0, "{member}"), "desired_members": (2.0, "{member}")})
    world = World()
    world.until(1)
    world.minutes(6, BURST, LATE)
    found = world.only("shared_volume_contention")
    assert found.culprit_entity == BACKUP
    assert world.verdicts(found)[DEPLOYMENT] == "cleared"


def test_s1_members_that_are_wanted_and_do_not_come_explain_the_lag() -> None:
    world = World()
    world.until(1)
    world.minutes(2, {DEPLOYMENT: {"desired_members": 3}})
    world.minutes(6, {DEPLOYMENT: {"desired_members": 3}}, LATE)
    assert world.only("not_ready").culprit_entity == DEPLOYMENT


@pytest.mark.parametrize(("quiet", "named"), [(2, DEPLOYMENT), (3, BACKUP)])
def test_s1_what_was_over_three_minutes_before_the_effect_explains_nothing(quiet: int, named: str) -> None:
    world = World()
    world.until(1)
    world.minute({DEPLOYMENT: {"ready_members": 1}})
    world.minutes(quiet)
    world.minutes(6, BURST, LATE)
    found = world.latest()[-1]
    assert found.culprit_entity == named
    assert world.verdicts(found)[DEPLOYMENT] == ("culprit" if named == DEPLOYMENT else "cleared")


def test_no_verdict_without_an_effect() -> None:
    world = World()
    world.until(1)
    world.minutes(10, BURST)
    world.minutes(10, LOAD)
    world.until(2)
    assert world.latest() == []


def test_a_lag_without_history_is_no_effect_and_one_missing_is_none_either() -> None:
    world = World()
    world.until(1)
    world.minutes(5, BURST, {JOB: {"write_lag": None}})
    assert world.latest() == []
    assert world.now == at(1, 5) and MINUTE == 60_000


BEHIND: dict[str, dict[str, float]] = {GROUP: {"lag_seconds": 40}}
MUTE: dict[str, dict[str, float | None]] = {JOB: {"write_lag": None}}


def test_of_a_job_without_write_lag_the_consumer_group_is_the_victim() -> None:
    world = World()
    world.relate(GROUP, "part_of", JOB, DAY - HOUR, snapshot=True)
    world.minutes(40, MUTE)
    world.minute(BURST, MUTE)
    world.minutes(7, BURST, {POD: {"write_ops": 1_400}, VOLUME: {"total_ops": 3_000}}, BEHIND, MUTE)
    world.minutes(3, CATCH_UP, MUTE)
    (found,) = world.latest()
    assert (found.kind, found.culprit_entity, found.culprit_via) == ("shared_volume_contention", BACKUP, VOLUME)
    assert (found.victim_entity, found.victim_component, found.victim_signal) == (GROUP, "service", "lag_seconds")
    assert (found.victim_observed, found.victim_expected) == (40, 1)
    said = world.verdicts(found)
    assert said[GROUP] == "victim"
    assert said[POD] == "cleared", "the job's own pod is no neighbour of its consumer group"
    # What is kept around the case is asked for by the job, whose chain it is.
    assert {request.scope for request in world.requests} == {JOB, VOLUME}


def test_a_job_that_says_how_late_it_is_suffers_by_itself() -> None:
    world = World()
    world.relate(GROUP, "part_of", JOB, DAY - HOUR, snapshot=True)
    world.until(0, 40)
    world.minute(BURST)
    world.minutes(3, BURST, LATE, BEHIND)
    world.minutes(2, BURST, BEHIND, MUTE)  # that it is missing for a while makes nobody else the victim
    world.minutes(2, BURST, LATE, BEHIND)
    assert {found.victim_entity for found in world.latest()} == {JOB}
