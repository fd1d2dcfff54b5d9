"""What a case gathers from the lake, and what it makes of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from afoot.casefile.case import Case, load_case, remark
from afoot.errors import UsageError
from afoot.lake.query import open_lake
from afoot.lake.write import write_rows
from tests.casefile.cases import case
from tests.lake.w1 import CULPRIT, FINDING, JOB, SKIPPED, START, VOLUME, evidence, finding, signals, write_lake


@pytest.fixture(scope="module")
def w1(tmp_path_factory: pytest.TempPathFactory) -> Case:
    lake = str(tmp_path_factory.mktemp("lake"))
    write_lake(lake)
    return load_case(open_lake(lake), FINDING)


def test_suspects_are_heard_gravest_first(w1: Case) -> None:
    heard = [(one.verdict, one.entity) for one in w1.suspects()]
    assert heard[:3] == [("culprit", CULPRIT), ("contributor", "vm:reporting-db"), ("victim", JOB)]
    assert [verdict for verdict, _ in heard[3:]] == ["unknown"] * 2 + ["cleared"] * 5
    assert [row["signal"] for row in w1.suspects()[2].evidence] == ["write_lag", "records_out"]


def test_the_series_that_tell_the_story(w1: Case) -> None:
    victim, culprit = w1.victim(), w1.culprit()
    assert victim and culprit
    assert (victim.entity, victim.signal, victim.unit) == (JOB, "write_lag", "s")
    assert (culprit.entity, culprit.signal) == (CULPRIT, "write_ops")
    assert len(victim.times) == 1440
    assert w1.step_s == 60
    assert w1.start == START


def test_each_due_run_is_told_from_the_one_that_did_not_come(w1: Case) -> None:
    runs = w1.runs()
    assert [run.due for run in runs] == [START + timedelta(hours=hour, minutes=40) for hour in range(24)]
    assert [run.due for run in runs if run.end is None] == [SKIPPED]
    for run in runs:
        assert run.culprit_peak is not None and run.victim_peak is not None
        if run.end:
            assert run.end == run.due + timedelta(minutes=11)
            assert run.culprit_peak > 3000 and run.victim_peak > 400
        else:
            assert run.culprit_peak < 100 and run.victim_peak < 10


def test_the_closer_look_is_an_hour_around_the_worst_run(w1: Case) -> None:
    closer = w1.closer()
    assert closer
    victim = closer.victim()
    assert victim
    assert closer.end - closer.start == timedelta(hours=1)
    assert max(v for v in victim.values if v is not None) == max(run.victim_peak or 0 for run in w1.runs())
    assert any(closer.start < run.due < closer.end for run in w1.runs())
    assert closer.closer() is None


def test_a_long_case_is_drawn_for_its_latest_periods_and_keeps_peaks_and_dips(tmp_path: Path) -> None:
    rows = [row for row in signals() if row["signal"] in ("write_lag", "records_out")]
    month = [
        {
            **row,
            "window_start": row["window_start"] - timedelta(days=d),
            "window_end": row["window_end"] - timedelta(days=d),
        }
        for d in range(9)
        for row in rows
    ]
    begun = finding()["window_start"] - timedelta(days=30)
    found = case(
        tmp_path, {"window_start": begun, "recurrence_period_s": 86400, "recurrence_phase_s": 2400}, measured=month
    )
    assert timedelta(days=7, hours=22) < found.end - found.start <= timedelta(days=8)
    assert found.step_s == 360
    lag, records = found.series[JOB, "write_lag"], found.series[JOB, "records_out"]
    assert max(v for v in lag.values if v is not None) > 400
    assert min(v for v in records.values if v is not None) < 6000


def test_the_beginning_of_an_id_is_enough_if_no_other_has_it(tmp_path: Path) -> None:
    for finding_id in ("abc1", "abd2"):
        write_rows(str(tmp_path), "findings", [finding(finding_id=finding_id)])
    lake = open_lake(str(tmp_path))
    assert load_case(lake, "abc").finding["finding_id"] == "abc1"
    write_rows(str(tmp_path), "findings", [finding(finding_id="slow_consumer-77e1")])
    lake = open_lake(str(tmp_path))
    assert load_case(lake, "77").finding["finding_id"] == "slow_consumer-77e1"
    with pytest.raises(UsageError, match=r"'ab': several begin so: abc1, abd2"):
        load_case(lake, "ab")
    with pytest.raises(UsageError, match=r"'x': not in lake .*; it holds abc1, abd2, slow_consumer-77e1"):
        load_case(lake, "x")


def test_an_empty_lake_says_that_it_holds_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it holds none"):
        load_case(open_lake(str(tmp_path)), "x")


def test_evidence_is_of_the_latest_revision_that_has_some(tmp_path: Path) -> None:
    old = [row | {"revision": 1, "as_of": START, "verdict": "unknown"} for row in evidence()]
    write_rows(str(tmp_path), "evidence", old)
    found = case(tmp_path, {"revision": 26, "state": "closed", "as_of": START + timedelta(hours=25)})
    assert found.finding["state"] == "closed"
    assert {row["revision"] for row in found.evidence} == {25}


def test_a_case_without_signals_or_evidence_is_still_a_case(tmp_path: Path) -> None:
    found = case(tmp_path, heard=[], measured=[])
    assert (found.suspects(), found.runs(), found.victim(), found.closer()) == ([], [], None, None)
    assert found.start < found.end


def test_missing_volume_signals_are_missing_and_not_zero(tmp_path: Path) -> None:
    found = case(tmp_path, measured=[row for row in signals() if row["entity"] != VOLUME])
    assert found.leading(VOLUME, ("total_ops",)) is None
    assert found.victim() is not None


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("write_lag 34 s against 1 s expected (score 66.0), mean of 10 min", "mean of 10 min"),
        ("write_lag 34 s against 1 s expected: not above what is usual", "not above what is usual"),
        ("write_lag 34 s against 1 s expected (score 66.0)", ""),
        (
            "write_lag 34 s, expected unknown: not enough history",
            "write_lag 34 s, expected unknown: not enough history",
        ),
        ("at its highest write_lag 34 s against 1 s expected", "at its highest write_lag 34 s against 1 s expected"),
        ("unknown: no storage data", "unknown: no storage data"),
        (None, ""),
    ],
)
def test_a_reason_does_not_repeat_the_numbers_beside_it(reason: str | None, left: str) -> None:
    assert remark({"signal": "write_lag", "reason": reason}) == left


def test_what_is_nobodys_is_no_share_of_the_volume(tmp_path: Path) -> None:
    heard = [row | ({"share": 0.02, "verdict": "victim"} if row["entity"] == VOLUME else {}) for row in evidence()]
    volume = next(one for one in case(tmp_path, heard=heard).suspects() if one.entity == VOLUME)
    assert (volume.verdict, volume.share, volume.residual) == ("victim", None, 0.02)
