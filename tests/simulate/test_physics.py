"""The model's laws: nothing appears or vanishes, no volume works more than it can, shares follow from one equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afoot.simulate.physics import STEP_S, Burst, Disk, Flow, Load, Motion, run, serve

_positive = st.floats(0.01, 1e5)
_tenant = st.tuples(st.one_of(st.just(0.0), _positive), st.floats(0.01, 500), st.floats(1e-6, 0.01))


@given(st.lists(_tenant, min_size=1, max_size=8), st.floats(1e-5, 0.05))
def test_a_volume_serves_what_the_equation_says(tenants: list[tuple[float, float, float]], base: float) -> None:
    wants, depths, costs = (list(column) for column in zip(*tenants, strict=True))
    got, latency = serve(wants, depths, costs, base)
    utilisation = sum(rate * cost for rate, cost in zip(got, costs, strict=True))
    assert utilisation < 1
    assert latency == pytest.approx(base / (1 - utilisation), rel=1e-6)
    for rate, want, depth in zip(got, wants, depths, strict=True):
        assert rate == pytest.approx(min(want, depth / latency), rel=1e-9)


@given(st.lists(_tenant, min_size=1, max_size=5), st.floats(1e-5, 0.05), st.floats(1, 1e5))
def test_one_more_tenant_makes_it_slower_for_all(
    tenants: list[tuple[float, float, float]], base: float, want: float
) -> None:
    wants, depths, costs = (list(column) for column in zip(*tenants, strict=True))
    before, latency_before = serve(wants, depths, costs, base)
    after, latency_after = serve([*wants, want], [*depths, 10.0], [*costs, 0.001], base)
    assert latency_after >= latency_before * (1 - 1e-9)
    assert all(now <= once * (1 + 1e-9) for now, once in zip(after, before, strict=False))


def _crowded(rates: list[float], ops: list[tuple[float, float]], depth: float, wobble: float, steps: int) -> Motion:
    """A pipeline and a machine on one volume: the arrivals a step, and the machine's bursts (start, operations)."""
    zeros = np.zeros(steps)
    loads = [
        Load("job:j", 4.0, 4096, 0.0, [(0.0, 0)], zeros),
        Load("vm:v", depth, 65_536, 0.2, [(0.0, 0)], zeros + 3.0, [Burst(start, work, 2e4) for start, work in ops]),
    ]
    flow = Flow(np.resize(np.array(rates), steps), 900.0, 500.0, 0.5, 0)
    return run([Disk(1000.0, 1e8, 0.002)], loads, [flow], np.full((1, steps), wobble))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 2000), min_size=1, max_size=30),
    st.lists(st.tuples(st.floats(0, 600), st.floats(1, 1e6)), max_size=3),
    st.floats(0.1, 200),
    st.floats(0.7, 1.4),
)
def test_what_comes_in_is_written_or_waits(
    rates: list[float], bursts: list[tuple[float, float]], depth: float, wobble: float
) -> None:
    motion = _crowded(rates, bursts, depth, wobble, 200)
    arrived, ingested, written = (np.cumsum(part[0]) for part in (motion.arrived, motion.ingested, motion.written))
    np.testing.assert_allclose(arrived, ingested + motion.waiting[0], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(ingested, written + motion.backlog[0], rtol=1e-9, atol=1e-6)
    assert (motion.backlog >= -1e-6).all()
    assert (motion.waiting >= -1e-6).all()
    assert (motion.written[0] <= 500.0 * STEP_S + 1e-6).all()
    assert (motion.utilisation < 1).all()
    assert (motion.lag_s >= 0).all()
    np.testing.assert_allclose(motion.written[0], motion.ops[0] / 0.5 * STEP_S, rtol=1e-9, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 600), st.floats(1, 1e5)), min_size=1, max_size=3), st.floats(1, 200))
def test_a_burst_ends_when_its_work_is_done(bursts: list[tuple[float, float]], depth: float) -> None:
    motion = _crowded([50.0], bursts, depth, 1.0, 2000)
    done = float((motion.ops[1] * STEP_S).sum()) - 3.0 * 2000 * STEP_S
    assert done == pytest.approx(sum(work for _, work in bursts), rel=1e-6)
    for (start, _), end in zip(bursts, motion.burst_ends[1], strict=True):
        assert start < end < float("inf")


def test_write_lag_is_the_age_of_the_oldest_unwritten_record() -> None:
    motion = _crowded([100.0], [(300.0, 4e5)], 200.0, 1.0, 400)
    crowded = motion.lag_s[0] > 1
    assert crowded.any()
    # First in, first out at a steady rate: the backlog is what arrived within the age.
    np.testing.assert_allclose(motion.lag_s[0][crowded], motion.backlog[0][crowded] / 100.0, rtol=1e-6)
    before = slice(0, 300 // STEP_S)
    assert motion.lag_s[0][before].max() < 1
    assert motion.latency_s[0][crowded].max() > 10 * motion.latency_s[0][before].max()


def test_a_load_works_where_it_is_at_the_time() -> None:
    zeros = np.zeros(20)
    loads = [Load("vm:v", 10.0, 4096, 0.0, [(0.0, 0), (50.0, 1)], zeros + 400.0)]
    motion = run([Disk(1000.0, 1e8, 0.001)] * 2, loads, [], np.ones((2, 20)))
    assert motion.home[0].tolist() == [0] * 10 + [1] * 10
    assert motion.utilisation[0].round(3).tolist() == [0.4] * 10 + [0.0] * 10
    assert motion.utilisation[1].round(3).tolist() == [0.0] * 10 + [0.4] * 10
