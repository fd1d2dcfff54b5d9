"""One effect judged: its facts, the rule that they meet, and who is named by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from afoot.inventory.placement import Chain
from afoot.verdicts.episodes import Cause, Episode
from afoot.verdicts.pressure import Pressure
from afoot.verdicts.rules import MINUTE_MS, Rule, Rules
from afoot.verdicts.shares import Past, Share, Shares, divide, divide_dark

SLOW = "slow, and none of its other tenants was heard to do more than is expected then"
SLOWER = "slow at less than it has carried without being so: it was given less, or something else keeps it busy"


class Storage(NamedTuple):
    """A volume of the victim's as an effect saw it."""

    volume: str
    pressure: Pressure
    shares: Shares | None
    dark: Shares | None

    @property
    def heard(self) -> float:
        """In which part of the windows the volume was heard."""
        return self.pressure.heard / self.pressure.windows if self.pressure.windows else 0.0

    def silence(self, rules: Rules) -> str:
        """What was missing of the volume for so long that nobody knows whether it had room; empty if nothing was.

        That is its I/O, or, where it tells any latency or queue, these: rare scrapes leave them out of most windows.
        """
        windows, strained = self.pressure.windows, self.pressure.strained
        if self.heard < rules.heard.to_clear:
            return f"no storage data in {windows - self.pressure.heard} of {windows} windows"
        if 0 < strained < rules.heard.to_accuse * windows:
            return f"no latency or queue of its storage in {windows - strained} of {windows} windows"
        return ""

    @property
    def slow(self) -> bool:
        """Whether it was pressed for most of the time, and never while the victim or another did more than usual."""
        return not self.by_others and 2 * (self.pressure.pressed - self.pressure.own) > self.pressure.strained

    @property
    def by_others(self) -> bool:
        """Whether others than the victim pressed it."""
        return self.shares is not None and self.shares.pressed > 0


class Verdict(NamedTuple):
    """What is found: the rule, who is named, through what, and on which facts."""

    rule: Rule
    culprit: str | None
    component: str | None
    via: str | None
    share: float | None
    contributors: tuple[str, ...]
    cause: Cause | Share | None
    cause_ms: int  # when the cause began, the onset where that is not known
    shares: Shares | None  # by which tenants are named, if they are
    storage: tuple[Storage, ...]
    facts: dict[str, float | None]
    why: str  # of an unexplained effect: what is missing or contradicts


def judge(
    episode: Episode,
    chain: Chain,
    components: Mapping[str, str],
    past: Callable[[str], Past],
    window_ms: int,
    rules: Rules,
) -> Verdict:
    """The verdict on an effect.

    `components` are those of the tenants; `past` is what is known of a volume from before: who is named in an open case
    stays named while nobody leads by more than the rules allow.
    """
    storage = tuple(
        Storage(volume, sums, divide(sums, past(volume), rules), divide_dark(sums))
        for volume, sums in sorted(episode.settled.items())
    )
    main = max(storage, key=_weight, default=None)
    inputs = _inputs(episode, chain)
    unready = _unready(episode.not_ready(rules), chain)
    facts = _facts(episode, main, inputs, unready, window_ms, rules)
    rule = rules.first(facts)
    common = {"storage": storage, "facts": facts}
    if rule.names in ("tenants", "dark_tenants") and main:
        shares = main.shares if rule.names == "tenants" else main.dark
        if shares and shares.tenants:
            leader = _leader(shares, past(main.volume).incumbents, rules)
            contributors = [
                share.entity
                for share in shares.tenants
                if share is not leader and share.share >= rules.shares.contributor
            ]
            load = facts["load_part"]
            if inputs and load is not None and load >= rules.shares.load_contributor:
                contributors.append(inputs[0].entity)
            return Verdict(
                rule,
                leader.entity,
                components.get(leader.entity),
                main.volume,
                leader.share
                if rule.names == "tenants"
                else None,  # of what the tenants show is not of the volume's excess
                tuple(contributors),
                leader,
                leader.first_ms,
                shares,
                why="",
                **common,  # type: ignore[arg-type]
            )
    if rule.names == "inputs" and inputs:
        cause = inputs[0]
        return Verdict(
            rule,
            cause.entity,
            cause.component,
            None,
            facts["load_part"],
            _pressing(main, facts, rules),
            cause,
            cause.first_ms,
            None,
            why="",
            **common,  # type: ignore[arg-type]
        )
    if rule.names == "unready" and unready:
        return Verdict(
            rule,
            unready.entity,
            unready.component,
            None,
            None,
            (),
            unready,
            unready.first_ms,
            None,
            why="",
            **common,  # type: ignore[arg-type]
        )
    last = rules.rules[-1]
    return Verdict(
        last,
        None,
        None,
        None,
        None,
        (),
        None,
        episode.onset_ms,
        None,
        why=_why(main, facts, rules),
        **common,  # type: ignore[arg-type]
    )


def is_first(verdict: Verdict, rules: Rules) -> float:
    """Probability that who is named is the largest of the candidates: by its lead, and by what nobody is charged with.

    A lead is measured with a normal error, and an incumbent that is a little behind is in a tie; half of a residual may
    be somebody's who was not heard.
    """
    if verdict.shares:
        shares = {share.entity: share.share for share in verdict.shares.tenants}
        lead = shares.pop(verdict.culprit or "", 0.0) - max(shares.values(), default=0.0)
        over_load = _above(1 - 2 * (verdict.facts["load_part"] or 0.0), rules)
        measure = rules.shares.guessed if verdict.shares.rival else 1.0
        return _above(lead, rules) * over_load * measure * (1 - verdict.shares.residual / 2)
    if verdict.rule.names == "inputs":
        load = verdict.facts["load_part"]
        return rules.shares.unmeasured if load is None else _above(2 * load - 1, rules)
    return 1.0


def _above(lead: float, rules: Rules) -> float:
    return 0.5 * (1 + math.erf(max(0.0, lead) / rules.shares.error / math.sqrt(2)))


def _weight(storage: Storage) -> tuple[int, float, float, str]:
    """The volume that matters: pressed before loaded before silent ones, then the one with the largest excess."""
    shares = storage.shares or storage.dark
    size = shares.excess / max(shares.expected, 1e-9) if shares else 0.0
    return (storage.shares.pressed if storage.shares else 0, size, storage.heard, storage.volume)


def _inputs(episode: Episode, chain: Chain) -> list[Cause]:
    """Entities whose input rose, first of the chain first; a pod's rise is its deployment's. One window is a blip."""
    place = {hop.entity: (hop.position, hop.entity) for hop in chain.hops if hop.type != "pod"}
    risen = [cause for cause in episode.inputs.values() if cause.entity in place and cause.windows > 1]
    return sorted(risen, key=lambda cause: place[cause.entity])


def _unready(causes: Mapping[str, Cause], chain: Chain) -> Cause | None:
    """The deployment or job that was not ready first; a pod stands for what it is part of."""
    first = min(causes.values(), key=lambda cause: (cause.first_ms, cause.entity), default=None)
    if first is None:
        return None
    hops = {hop.entity: hop for hop in chain.hops}
    for source, target, kind in chain.edges:
        hop = hops.get(target)
        if source == first.entity and kind == "part_of" and hop and hop.type in ("deployment", "job"):
            return replace(first, entity=target, component=hop.component)
    return first


def _facts(
    episode: Episode, main: Storage | None, inputs: list[Cause], unready: Cause | None, window_ms: int, rules: Rules
) -> dict[str, float | None]:
    shares = main.shares if main else None
    dark = main.dark if main else None
    rise = shares.climb / main.pressure.climb if main and shares and main.pressure.climb > 0 else None
    other = [episode.onset_ms + window_ms]
    if shares and shares.pressed:
        other.append(shares.first_ms)
    if inputs:
        other.append(inputs[0].first_ms)
    return {
        "unready_lead_minutes": (min(other) - unready.first_ms) / MINUTE_MS if unready else None,
        "pressed_windows": shares.pressed if shares else 0,
        "pressed_rise": rise,
        "stalled_windows": main.pressure.stalled if main else None,
        "foreign_part": shares.foreign_part if shares else None,
        "attributed": shares.attributed if shares else None,
        "top_share": shares.tenants[0].share if shares and shares.tenants else None,
        "volume_heard": main.heard if main else None,
        "dark_windows": dark.windows if dark else 0,
        "dark_share": dark.tenants[0].share if dark and dark.tenants else None,
        "input_windows": inputs[0].windows if inputs else 0,
        "load_part": episode.load_part(rise is not None and rise >= 0.5, rules) if inputs else None,
    }


def _leader(shares: Shares, incumbents: Collection[str], rules: Rules) -> Share:
    top = shares.tenants[0]
    for share in shares.tenants:
        if share.entity in incumbents and share.share >= top.share - rules.shares.incumbent:
            return share
    return top


def _pressing(main: Storage | None, facts: Mapping[str, float | None], rules: Rules) -> tuple[str, ...]:
    """Tenants that press a volume while more data is what drives the lag: contributors if storage has its part in it.

    That is what comes from less output; where no output is measured, what others than the victim have of the excess.
    """
    shares, load = main.shares if main else None, facts["load_part"]
    if not shares or not shares.pressed:
        return ()
    rest = shares.foreign_part if load is None else 1 - load
    if rest < rules.shares.load_contributor:
        return ()
    return tuple(share.entity for share in shares.tenants if share.share >= rules.shares.contributor)


def _why(main: Storage | None, facts: Mapping[str, float | None], rules: Rules) -> str:
    if main is None:
        return "its volumes are not known to the inventory, and nothing upstream rose"
    heard = facts["volume_heard"]
    if heard is not None and heard < rules.heard.to_accuse:
        return "unknown: no storage data"
    shares = main.shares
    silence = main.silence(rules)
    if silence and not main.by_others:
        return f"unknown: {silence}"
    if main.slow:
        return f"{main.volume} is {SLOW if shares is None else SLOWER}"
    stalled = f"it stood still while {main.volume} was calm"
    if shares is None or not main.by_others:
        room = f"{main.volume} was pressed by its own I/O alone" if main.pressure.own else "its storage has room"
        return f"{stalled if main.pressure.stalled else room}, no more comes in than usual, and its members were ready"
    if shares.foreign_part < 0.5:
        return f"most of the excess on {main.volume} is its own"
    if main.pressure.stalled:
        return f"{stalled}, whoever pressed it before or after"
    rise = facts["pressed_rise"]
    if rise is not None and rise < 0.5:
        return f"{100 * (1 - rise):.0f} % of the lag came up while nobody else pressed {main.volume}"
    return f"{100 * shares.residual:.0f} % of the excess on {main.volume} comes from no tenant that was heard"
