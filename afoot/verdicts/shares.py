"""Who took how much of a volume's excess: sums of windows become shares that add up to 1 with their residual."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from afoot.verdicts.pressure import Excess, Pressure, Silence, TenantExcess
from afoot.verdicts.rules import Rules
from afoot.verdicts.tally import score_of
from afoot.verdicts.volume import total_signal


class Share(NamedTuple):
    """A tenant's share of an excess; observed and expected are means over its windows."""

    entity: str
    share: float
    observed: float
    expected: float
    spread: float
    score: float
    signal: str
    first_ms: int
    part: TenantExcess


class Shares(NamedTuple):
    """How an excess divides: shares, largest first, add up to 1 with the residual."""

    measure: str
    windows: int
    pressed: int
    observed: float  # of the volume, mean over the windows
    expected: float
    score: float
    excess: float  # mean, the victim's own change left out
    foreign_part: float  # of the excess under pressure: 1 where the victim's own was not up
    attributed: float
    residual: float
    tenants: tuple[Share, ...]
    first_ms: int
    climb: float  # by how much the victim's lag went up while others pressed the volume
    rival: str | None = None  # who leads by the other measure, where nothing tells which of both counts


class Past(NamedTuple):
    """What is known of a volume and its tenants from before."""

    carried: Mapping[str, float]  # by measure, the most that the volume has carried without pressure
    incumbents: Collection[str]  # who is named in open cases of the victim's
    blamed: Callable[[str], int]  # runs of a tenant for which it was named to be what the victim suffered by
    acted: Callable[[str], float | None]  # part of a tenant's runs that the victim felt, None while they are few


def divide(sums: Pressure, past: Past, rules: Rules) -> Shares | None:
    """The shares of a volume's excess: by operations, by bytes where those saturate first; None without any excess.

    A measure that explains less than half of its own excess gives way to one that explains more.
    """
    found = [_divided(measure, excess, past, rules) for measure, excess in sums.measures.items() if excess.windows]
    if len(found) < 2:
        return found[0] if found else None
    operations, of_bytes = found
    if min(operations.attributed, of_bytes.attributed) < 0.5:
        return of_bytes if of_bytes.attributed > operations.attributed else operations
    told = _bytes_first(operations, of_bytes, past, rules)
    if told is not None:
        return of_bytes if told else operations
    # What is left is a guess: few volumes allow many bytes an operation.
    large = of_bytes.excess >= rules.raised.bytes_an_operation * operations.excess
    leaders = [one.tenants[0].entity for one in (operations, of_bytes)]
    if leaders[0] == leaders[1]:
        return of_bytes if large else operations
    # It is kept to from run to run. Before, one measure may be much nearer than the other to what was carried.
    runs = [past.blamed(leader) for leader in leaders]
    near = _had_room(operations, of_bytes, past, rules.raised.carried_near)
    if runs[0] != runs[1]:
        large = runs[1] > runs[0]
    elif near is not None:
        large = near
    return of_bytes._replace(rival=leaders[0]) if large else operations._replace(rival=leaders[1])


def _divided(measure: str, excess: Excess, past: Past, rules: Rules) -> Shares:
    """The shares by one measure; a volume that carries less than it does without pressure was given less.

    Unless the runs of the one who leads are mostly felt: it takes room that the volume has only for a while (credits
    run out), or more of it than it counts (a disk seeks for it).
    """
    shares = _divide(measure, excess)
    felt = past.acted(shares.tenants[0].entity) if shares.tenants and excess.idle.windows else None
    if felt is None or felt < rules.shares.felt:
        return shares
    return shares._replace(
        pressed=excess.pressed.windows + excess.idle.windows, climb=excess.pressed.climb + excess.idle.climb
    )


def _bytes_first(operations: Shares, of_bytes: Shares, past: Past, rules: Rules) -> bool | None:
    """Whether a volume ran out of bytes/s rather than of operations/s; None if nothing tells.

    What it has carried without pressure is not what it ran out of. Then it is told by who leads in which: the one whose
    runs were felt more often.
    """
    room = _had_room(operations, of_bytes, past, rules.raised.carried_part)
    if room is not None:
        return room
    acted = [past.acted(one.tenants[0].entity) for one in (operations, of_bytes)]
    if acted[0] is not None and acted[1] is not None and abs(acted[0] - acted[1]) >= rules.shares.acted:
        return acted[1] > acted[0]
    return None


def _had_room(operations: Shares, of_bytes: Shares, past: Past, part: float) -> bool | None:
    """Whether a volume has carried this part of its operations without pressure, and not of its bytes.

    False if it is the other way round, None if both or neither.
    """
    had = [past.carried.get(one.measure, 0.0) >= part * one.observed for one in (operations, of_bytes)]
    return None if had[0] == had[1] else had[0]


def divide_dark(sums: Pressure) -> Shares | None:
    """The shares of what the tenants alone show while the volume is silent; the residual is not known.

    By the measure in which they were up in most windows, operations first.
    """
    measure, excess = max(sums.dark.items(), key=lambda item: item[1].windows)
    return _divide(measure, excess) if excess.windows else None


def _divide(measure: str, excess: Excess) -> Shares:
    tenants = [_share(entity, part, excess) for entity, part in excess.tenants.items()]
    claimed = sum(share.share for share in tenants)
    if claimed > 1:  # of tenants that were heard in different windows
        tenants = [share._replace(share=share.share / claimed) for share in tenants]
    tenants.sort(key=lambda share: (-share.share, share.entity))
    attributed = min(1.0, claimed)
    value, expected, spread = (total / excess.windows for total in (excess.value, excess.expected, excess.spread))
    return Shares(
        measure,
        excess.windows,
        excess.pressed.windows,
        value,
        expected,
        score_of(value, expected, spread),
        excess.total / excess.windows,
        excess.total / (excess.total + excess.own),
        attributed,
        1.0 - attributed,
        tuple(tenants),
        excess.first_ms,
        excess.pressed.climb,
    )


def _share(entity: str, part: TenantExcess, excess: Excess) -> Share:
    """A tenant in those of the excess's windows in which it was heard: missing is not zero.

    Where it was heard and not up, it is taken to be as expected.
    """
    silence = excess.silent.get(entity, Silence())
    expected, spread = part.expected / part.windows, part.spread / part.windows
    observed = expected + part.excess / (excess.windows - silence.windows)
    signal = part.signals[0] if len(part.signals) == 1 else total_signal(part.signals)
    return Share(
        entity,
        part.excess / (excess.total - silence.total),
        observed,
        expected,
        spread,
        score_of(observed, expected, spread),
        signal,
        part.first_ms,
        part,
    )
