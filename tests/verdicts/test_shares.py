"""Shares of a volume's excess: what counts, what is left out, and that they add up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.inventory.placement import Tenant
from afoot.verdicts import shares
from afoot.verdicts.inputs import Heard, Reading
from afoot.verdicts.pressure import Pressure, pressure
from afoot.verdicts.rules import shipped_rules
from afoot.verdicts.shares import Shares, divide_dark
from afoot.verdicts.volume import NO_HISTORY, NO_PART, NO_SIGNAL, VolumeWindow, volume_window
from tests.verdicts.world import JOB

RULES = shipped_rules()
VOLUME = "volume:v"
TENANTS = tuple(
    Tenant(name, None, (JOB,) if name == "pod:own" else (), True) for name in ("pod:own", "vm:a", "vm:b", "vm:c")
)
USUAL = {VOLUME: 800.0, "pod:own": 600.0, "vm:a": 50.0, "vm:b": 100.0, "vm:c": 50.0}


def reading(signal: str, value: float, expected: float | None, floor: float = 1.0) -> Reading:
    spread = None if expected is None else max(floor, 0.05 * expected)
    score = None if spread is None or expected is None else (value - expected) / spread
    return Reading(signal, "", value, expected, spread, score)


def window(
    io: dict[str, float | None],
    latency: float | None = 0.01,
    signal: str = "total_ops",
    factor: float = 1.0,
    elsewhere: frozenset[str] = frozenset(),
) -> VolumeWindow:
    """A volume's window: operations by entity, what is not named is as usual, None is silent."""
    heard = {}
    for entity, usual in USUAL.items():
        value = io.get(entity, usual)
        readings = {}
        if value is not None:
            readings[signal] = reading(signal, value * factor, usual * factor)
        if entity == VOLUME and latency is not None:
            readings["latency"] = reading("latency", latency, 0.001, 0.0002)
        heard[entity] = Heard(entity, "", entity.partition(":")[0], False, readings)
    return volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES, elsewhere=elsewhere.__contains__)


def divide(
    sums: Pressure,
    carried: Mapping[str, float] | None = None,
    blamed: Mapping[str, int] | None = None,
    acted: Mapping[str, float] | None = None,
) -> Shares | None:
    """The shares, of a volume that has carried this much without pressure."""
    runs = blamed or {}
    past = shares.Past(carried or {}, (), lambda tenant: runs.get(tenant, 0), (acted or {}).get)
    return shares.divide(sums, past, RULES)


def summed(*windows: VolumeWindow) -> Pressure:
    total = Pressure()
    for one in windows:
        total.add(pressure(one, JOB, True, RULES))
    return total


@pytest.mark.parametrize(
    ("volume", "own", "one", "other", "elsewhere", "shares"),
    [
        pytest.param(1800, 600, 1050, 1350, ["vm:b"], {"vm:a": 1.0}, id="its burst is on another volume"),
        pytest.param(1000, 300, 550, 1350, ["vm:b"], {"vm:a": 1.0}, id="so it is where this one is full"),
        pytest.param(2300, 600, 1050, 1350, ["vm:b"], {"vm:a": 2 / 3, "vm:b": 1 / 3}, id="a part of it is here"),
        pytest.param(2300, 600, 850, 800, ["vm:b"], {"vm:a": 8 / 15, "vm:b": 7 / 15}, id="all of it is"),
        pytest.param(1800, 600, 50, 1350, ["vm:b"], {"vm:b": 1.0}, id="nobody else rose: it is charged as it was"),
        pytest.param(850, 600, 50, 1350, ["vm:b"], {"vm:b": 1.0}, id="nor where this one is full"),
        pytest.param(1800, 600, 1050, 1350, [], {"vm:a": 1000 / 2250, "vm:b": 1250 / 2250}, id="all are here alone"),
        pytest.param(1800, 600, 1050, 1350, ["vm:a", "vm:b"], {"vm:a": 1000 / 2250, "vm:b": 1250 / 2250}, id="none is"),
    ],
)
def test_a_tenant_of_several_volumes_has_what_this_one_had_of_it(
    volume: float, own: float, one: float, other: float, elsewhere: list[str], shares: dict[str, float]
) -> None:
    io: dict[str, float | None] = {VOLUME: volume, "pod:own": own, "vm:a": one, "vm:b": other}
    found = divide(summed(window(io, elsewhere=frozenset(elsewhere))))
    assert found is not None
    assert {share.entity: share.share for share in found.tenants} == pytest.approx(shares)


# operations of the volume, of the victim's own pod, of two other tenants -> shares of these two, and the residual
TABLE = [
    pytest.param(1800, 600, 1050, 100, (1.0, None), 0.0, id="one tenant takes it all"),
    pytest.param(1800, 600, 550, 600, (0.5, 0.5), 0.0, id="two take as much"),
    pytest.param(1800, 600, 800, 350, (0.75, 0.25), 0.0, id="two take more and less"),
    pytest.param(1800, 600, 550, 100, (0.5, None), 0.5, id="half of it is nobody's"),
    pytest.param(1800, 600, 50, 100, (None, None), 1.0, id="nobody takes any"),
    pytest.param(1500, 300, 1050, 100, (1.0, None), 0.0, id="the victim's dip does not hide the excess"),
    pytest.param(2300, 1100, 1050, 100, (1.0, None), 0.0, id="its catch-up is no part of the excess"),
    pytest.param(1300, 600, 1050, 100, (1.0, None), 0.0, id="tenants that count more than the volume"),
    pytest.param(1810, 600, 1050, 110, (1000 / 1010, None), 10 / 1010, id="noise of a tenant is no share"),
]


@pytest.mark.parametrize(("volume", "own", "first", "second", "expected", "residual"), TABLE)
def test_shares(
    volume: float, own: float, first: float, second: float, expected: tuple[float | None, ...], residual: float
) -> None:
    found = divide(summed(window({VOLUME: volume, "pod:own": own, "vm:a": first, "vm:b": second})))
    assert found is not None
    by_entity = {share.entity: share.share for share in found.tenants}
    assert by_entity.get("vm:a") == pytest.approx(expected[0])
    assert by_entity.get("vm:b") == pytest.approx(expected[1])
    assert found.residual == pytest.approx(residual, abs=1e-9)
    assert "pod:own" not in by_entity


@pytest.mark.parametrize(
    ("volume", "own", "loaded"),
    [
        pytest.param(925, 600, True, id="just above three spreads"),
        pytest.param(915, 600, False, id="just below"),
        pytest.param(1400, 1200, False, id="all of it is the victim's own"),
        pytest.param(800, 440, True, id="hidden by the victim's dip"),
        pytest.param(600, 400, False, id="less than usual"),
    ],
)
def test_an_excess_must_stand_out(volume: float, own: float, loaded: bool) -> None:
    assert (divide(summed(window({VOLUME: volume, "pod:own": own}))) is not None) == loaded


@pytest.mark.parametrize(
    ("latency", "first", "shares"),
    [
        pytest.param(0.01, 350, [("vm:a", 1.0)], id="it took what others lack"),
        pytest.param(0.01, 120, None, id="less than a tenth of what is usual"),
        pytest.param(0.001, 350, None, id="and nothing is pressed"),
    ],
)
def test_of_a_full_volume_the_excess_is_what_those_took_who_rose(
    latency: float, first: float, shares: list[tuple[str, float]] | None
) -> None:
    # As many operations as ever, though a tenant has 300 more: the victim 200 less, another tenant 100.
    window_of = window({VOLUME: 600, "pod:own": 600, "vm:a": first, "vm:b": 0}, latency)
    found = divide(summed(window_of))
    assert (found and [(share.entity, pytest.approx(share.share)) for share in found.tenants]) == shares


def test_largest_share_comes_first_and_numbers_are_those_of_the_windows() -> None:
    found = divide(summed(window({VOLUME: 1800, "vm:a": 300, "vm:b": 850}), window({VOLUME: 1400, "vm:b": 700})))
    assert found is not None and [share.entity for share in found.tenants] == ["vm:b", "vm:a"]
    assert (found.observed, found.expected, found.excess) == (1600, 800, 800)
    assert found.tenants[0].share == pytest.approx((750 + 600) / 1600)
    assert found.tenants[0].observed == pytest.approx(775)
    assert found.tenants[0].expected == 100


def test_a_window_in_which_a_tenant_was_not_heard_says_nothing_of_its_share() -> None:
    both = {VOLUME: 1800.0, "vm:a": 850.0, "vm:b": 300.0}
    found = divide(summed(window(both), window({**both, "vm:a": None}), window({**both, "vm:b": None})))
    assert found is not None
    first, second = found.tenants
    assert (first.entity, first.share, first.observed) == ("vm:a", pytest.approx(0.8), pytest.approx(850))
    assert (second.entity, second.share, second.observed) == ("vm:b", pytest.approx(0.2), pytest.approx(300))
    assert found.residual == pytest.approx(0)


def test_shares_add_up_to_one_when_tenants_were_heard_at_different_times() -> None:
    one, other = {VOLUME: 1800.0, "vm:a": 1050.0, "vm:b": None}, {VOLUME: 1800.0, "vm:a": None, "vm:b": 1100.0}
    found = divide(summed(window(one), window(other)))
    assert found is not None
    assert [share.share for share in found.tenants] == [pytest.approx(0.5)] * 2
    assert found.residual == 0


@pytest.mark.parametrize(
    ("latency", "pressed"), [(0.01, 1), (0.0017, 1), (0.0015, 0), (0.001, 0), pytest.param(None, 1, id="not measured")]
)
def test_pressure_is_latency_above_what_is_usual(latency: float | None, pressed: int) -> None:
    sums = summed(window({VOLUME: 1800, "vm:a": 1050}, latency))
    found = divide(sums)
    assert found is not None and found.pressed == pressed
    assert sums.strained == (latency is not None)


@pytest.mark.parametrize(("queue", "pressed"), [(6.0, 0), (6.7, 0), (6.8, 1), (12.0, 1)])
def test_a_queue_that_grows_only_as_its_operations_do_is_no_pressure(queue: float, pressed: int) -> None:
    busy = {VOLUME: 1800.0, "vm:a": 1050.0}
    heard = {
        entity: Heard(entity, "", "", False, {"total_ops": reading("total_ops", busy.get(entity, usual), usual)})
        for entity, usual in USUAL.items()
    }
    heard[VOLUME].readings["queue"] = reading("queue", queue, 2.0, 0.2)  # 4.5 at these operations
    found = divide(summed(volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES)))
    assert found is not None and found.pressed == pressed


@pytest.mark.parametrize(
    ("own", "carried", "bytes_too", "felt", "pressed"),
    [
        pytest.param(600, {}, True, None, 1, id="it never carried more"),
        pytest.param(600, {"operations": 1000.0, "bytes": 4.1e6}, True, None, 1, id="it carries about what it did"),
        pytest.param(600, {"operations": 1300.0, "bytes": 5.2e6}, True, None, 0, id="it has carried far more"),
        pytest.param(600, {"operations": 1300.0, "bytes": 5.2e6}, True, 0.4, 0, id="and few runs were felt"),
        pytest.param(600, {"operations": 1300.0, "bytes": 5.2e6}, True, 0.5, 1, id="and half of the runs were felt"),
        pytest.param(600, {"operations": 1300.0, "bytes": 4.1e6}, True, None, 1, id="of operations alone"),
        pytest.param(600, {"operations": 1300.0}, False, None, 1, id="nobody knows of bytes"),
        pytest.param(270, {}, True, None, 0, id="it carries less than usual of everything: a stall and its catch-up"),
        pytest.param(270, {}, False, None, 1, id="of operations, and nobody knows of bytes"),
    ],
)
def test_a_volume_that_is_slow_at_less_than_it_has_carried_is_not_pressed_by_load(
    own: float, carried: dict[str, float], bytes_too: bool, felt: float | None, pressed: int
) -> None:
    busy = {VOLUME: 400 + own, "vm:a": 250.0, "pod:own": own}
    heard = {}
    for entity, usual in USUAL.items():
        value = busy.get(entity, usual)
        readings = {"total_ops": reading("total_ops", value, usual)}
        if bytes_too:
            readings["total_bytes"] = reading("total_bytes", 4096 * value, 4096 * usual)
        heard[entity] = Heard(entity, "", "", False, readings)
    heard[VOLUME].readings["latency"] = reading("latency", 0.01, 0.001, 0.0002)
    acted = {} if felt is None else {"vm:a": felt}
    found = divide(summed(volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES, carried)), acted=acted)
    assert found is not None and found.pressed == pressed


def test_own_excess_under_pressure_tells_how_much_is_foreign() -> None:
    found = divide(summed(window({VOLUME: 1800, "pod:own": 1350, "vm:a": 300})))
    assert found is not None and found.foreign_part == pytest.approx(0.25)


def test_bytes_explain_what_operations_do_not() -> None:
    few_and_large = window({VOLUME: 1000, "vm:a": 60})
    of_bytes = window({VOLUME: 1800, "vm:a": 1050}, signal="write_bytes", factor=4096)
    both = few_and_large._replace(
        measures={**few_and_large.measures, **of_bytes.measures},
        tenants=tuple(
            one._replace(measures={**one.measures, **other.measures})
            for one, other in zip(few_and_large.tenants, of_bytes.tenants, strict=True)
        ),
    )
    found = divide(summed(both))
    assert found is not None and found.measure == "bytes"
    assert [(share.entity, share.signal) for share in found.tenants] == [("vm:a", "write_bytes")]


@pytest.mark.parametrize(
    ("size", "carried", "blamed", "acted", "measure"),
    [
        pytest.param(1e6, {}, {}, {}, "bytes", id="its excess is of large operations"),
        pytest.param(64e3, {}, {}, {}, "operations", id="of small ones"),
        pytest.param(1e6, {"operations": 900, "bytes": 90e6}, {}, {}, "bytes", id="it never carried as much of either"),
        pytest.param(64e3, {"operations": 1500, "bytes": 9e6}, {}, {}, "bytes", id="it has carried the operations"),
        pytest.param(1e6, {"operations": 900, "bytes": 900e6}, {}, {}, "operations", id="it has carried the bytes"),
        pytest.param(
            64e3, {"operations": 1150, "bytes": 9e6}, {}, {}, "bytes", id="it has carried most of the operations"
        ),
        pytest.param(
            1e6, {"operations": 900, "bytes": 200e6}, {}, {}, "operations", id="it has carried most of the bytes"
        ),
        pytest.param(
            64e3, {"operations": 1150, "bytes": 9e6}, {"vm:b": 1}, {}, "operations", id="but it was another's"
        ),
        pytest.param(1e6, {}, {"vm:b": 1}, {}, "operations", id="who leads by operations was named before"),
        pytest.param(64e3, {}, {"vm:a": 2, "vm:b": 1}, {}, "bytes", id="who leads by bytes was, more often"),
        pytest.param(64e3, {}, {"vm:b": 9}, {"vm:a": 1.0, "vm:b": 0.5}, "bytes", id="runs of one are felt more often"),
        pytest.param(1e6, {}, {}, {"vm:a": 0.7, "vm:b": 1.0}, "operations", id="of the other"),
        pytest.param(64e3, {}, {}, {"vm:a": 1.0}, "operations", id="of one nobody knows"),
    ],
)
def test_what_saturates_first_is_what_counts(
    size: float, carried: dict[str, float], blamed: dict[str, int], acted: dict[str, float], measure: str
) -> None:
    """One tenant reads few and large blocks, another writes many small ones, on a volume that has no room."""
    operations = window({VOLUME: 1800, "vm:a": 50 + 300, "vm:b": 100 + 700})
    io: dict[str, float | None] = {
        VOLUME: 800 + (300 * size + 700 * 4096) / 4096,
        "vm:a": 50 + 300 * size / 4096,
        "vm:b": 800,
    }
    of_bytes = window(io, signal="total_bytes", factor=4096)
    both = operations._replace(
        measures={**operations.measures, **of_bytes.measures},
        tenants=tuple(
            one._replace(measures={**one.measures, **other.measures})
            for one, other in zip(operations.tenants, of_bytes.tenants, strict=True)
        ),
    )
    found = divide(summed(both), carried, blamed, acted)
    assert found is not None and found.measure == measure
    assert found.tenants[0].entity == ("vm:a" if measure == "bytes" else "vm:b")
    told = len(acted) == 2 or carried.get("operations", 0) > 1_200 or carried.get("bytes", 0) > 500e6
    assert found.rival == (None if told else "vm:b" if measure == "bytes" else "vm:a")


def test_reads_and_writes_are_added_up() -> None:
    heard = {
        "vm:a": Heard("vm:a", "", "vm", False, {s: reading(s, 500, 20) for s in ("read_ops", "write_ops")}),
        VOLUME: Heard(VOLUME, "", "volume", False, {"total_ops": reading("total_ops", 1760, 800)}),
    }
    found = divide(summed(volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES)))
    assert found is not None and found.tenants[0].signal == "total_ops"
    assert found.tenants[0].share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spoken", "missing", "measures", "why"),
    [
        (["total_ops"], [], ["operations"], None),
        (["write_ops"], [], ["operations"], None),  # an agent that tells of writes alone
        (["read_ops"], ["write_ops"], [], NO_PART),
        (["read_ops"], ["total_ops", "write_ops"], [], NO_PART),
        (["read_ops", "write_ops"], ["total_ops"], ["operations"], None),
        (["read_ops", "write_bytes"], ["write_ops"], ["bytes"], None),
        ([], ["read_ops", "write_ops"], [], NO_SIGNAL),
    ],
)
def test_reads_alone_are_not_what_was_read_and_written(
    spoken: list[str], missing: list[str], measures: list[str], why: str | None
) -> None:
    told = Heard("vm:a", "", "vm", False, {s: reading(s, 500, 20) for s in spoken}, frozenset(missing))
    found = volume_window(0, 60_000, VOLUME, {"vm:a": told, VOLUME: told._replace(entity=VOLUME)}, TENANTS, RULES)
    assert [name for tenant in found.tenants for name in tenant.measures] == measures
    assert found.missing.get("vm:a") == why
    assert list(found.measures) == measures


def test_who_is_heard_in_part_has_the_share_of_the_rest() -> None:
    """Its writes are missing in one of three windows: what it reads is not all that it did there."""
    whole = {VOLUME: reading("total_ops", 1760, 800)}
    windows = []
    for lost in (False, True, False):
        names = ["read_ops"] if lost else ["read_ops", "write_ops"]
        readings = {name: reading(name, 30 if name == "read_ops" else 970, 20) for name in names}
        heard = {
            "vm:a": Heard("vm:a", "", "vm", False, readings, frozenset({"write_ops"} if lost else ())),
            VOLUME: Heard(VOLUME, "", "volume", False, {"total_ops": whole[VOLUME]}),
        }
        windows.append(volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES))
    found = divide(summed(*windows))
    assert found is not None
    assert [(share.entity, share.share) for share in found.tenants] == [("vm:a", pytest.approx(1.0))]


def test_a_silent_volume_leaves_its_tenants() -> None:
    silent = window({VOLUME: None, "vm:a": 1050, "vm:b": 350, "vm:c": 60}, latency=None)
    sums = summed(silent)
    assert (sums.windows, sums.heard) == (1, 0) and divide(sums) is None
    dark = divide_dark(sums)
    assert dark is not None
    assert [(share.entity, share.share) for share in dark.tenants] == [("vm:a", 0.8), ("vm:b", 0.2)]


def test_a_silent_volumes_tenants_are_weighed_by_one_measure() -> None:
    """In one of three windows the small one has lost its operations; its bytes are there, and are no operations."""
    windows = []
    for lost in (False, True, False):
        small = {"total_ops": reading("total_ops", 350, 50), "total_bytes": reading("total_bytes", 3.5e7, 5e6)}
        large = {"total_ops": reading("total_ops", 1050, 50), "total_bytes": reading("total_bytes", 1.05e8, 5e6)}
        if lost:
            del small["total_ops"]
        heard = {
            "vm:a": Heard("vm:a", "", "vm", False, large),
            "vm:b": Heard("vm:b", "", "vm", False, small, frozenset({"total_ops"} if lost else ())),
        }
        windows.append(volume_window(0, 60_000, VOLUME, heard, TENANTS, RULES))
    dark = divide_dark(summed(*windows))
    assert dark is not None
    assert dark.measure == "operations"
    shares = {share.entity: share.share for share in dark.tenants}
    assert shares["vm:a"] > 0.7 and shares["vm:b"] < 0.3


def test_who_is_not_heard_is_missing_with_the_reason() -> None:
    found = window({"vm:a": None})
    assert found.missing == {"vm:a": NO_SIGNAL}
    young = {"vm:b": Heard("vm:b", "", "vm", False, {"write_ops": reading("write_ops", 900, None)})}
    assert volume_window(0, 60_000, VOLUME, young, TENANTS, RULES).missing["vm:b"] == NO_HISTORY


def test_tenants_at_rest_are_not_remembered() -> None:
    assert window({}, latency=0.001).compact(RULES).tenants == ()
    kept = window({VOLUME: 1800, "vm:a": 1050}).compact(RULES)
    assert [tenant.entity for tenant in kept.tenants] == ["pod:own", "vm:a"]
    assert divide(summed(kept)) == divide(summed(window({VOLUME: 1800, "vm:a": 1050})))


flows = st.floats(0, 5_000)


@given(st.lists(st.tuples(flows, flows, flows, flows, flows), min_size=1, max_size=5))
def test_shares_and_residual_add_up_to_one(rows: list[tuple[float, ...]]) -> None:
    names = ("pod:own", "vm:a", "vm:b", "vm:c", VOLUME)
    found = divide(summed(*[window(dict(zip(names, row, strict=True))) for row in rows]))
    if found is not None:
        total = sum(share.share for share in found.tenants) + found.residual
        assert total == pytest.approx(1.0)
        assert all(0 <= share.share <= 1 + 1e-9 for share in found.tenants)
        assert 0 <= found.foreign_part <= 1
