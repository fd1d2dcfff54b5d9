"""Every component heard: a verdict for each, with the numbers that accuse or clear it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from afoot.inventory.placement import Chain, Hop, Tenant
from afoot.verdicts.episodes import Episode, VolumeTrack, dipped
from afoot.verdicts.inputs import Heard, Reading
from afoot.verdicts.records import Evidence, Ruling, percent, quantity, rounded
from afoot.verdicts.rules import MINUTE_MS, Hearing, Rules
from afoot.verdicts.shares import Share, Shares
from afoot.verdicts.tally import Tally, is_up, listed
from afoot.verdicts.verdict import SLOW, SLOWER, Storage, Verdict
from afoot.verdicts.volume import UNITS, unit_of

ALWAYS_HEARD = ("ingress", "ingestion/deployment", "topic", "broker")  # silent ones of these are unknown, not left out


class Statement(NamedTuple):
    """A row of evidence before it belongs to a revision."""

    entity: str
    component: str
    verdict: Ruling
    reason: str
    reading: Reading | None
    signal: str
    unit: str
    share: float | None = None


class Scene(NamedTuple):
    """All that the hearing of one effect needs."""

    victim: str
    component: str
    effect: str  # the victim's signal
    episode: Episode
    verdict: Verdict
    chain: Chain
    tenants: Mapping[str, tuple[Tenant, ...]]  # by volume
    components: Mapping[str, str]  # of tenants
    volumes: Mapping[str, VolumeTrack]
    rules: Rules


def rows(
    statements: list[Statement], finding_id: str, revision: int, as_of: int, start: int, end: int
) -> list[Evidence]:
    """Statements as rows of a revision, at most one an entity and signal: the first said."""
    found: dict[tuple[str, str], Evidence] = {}
    for said in statements:
        reading = said.reading
        found.setdefault(
            (said.entity, said.signal),
            Evidence(
                finding_id,
                revision,
                said.entity,
                said.component,
                said.verdict,
                rounded(said.share),
                said.reason,
                said.signal,
                rounded(reading.value) if reading else None,
                rounded(reading.expected) if reading else None,
                said.unit,
                rounded(reading.score) if reading else None,
                start,
                end,
                as_of,
                listed(reading.pointers) if reading else (),
            ),
        )
    return list(found.values())


def hear(scene: Scene) -> list[Statement]:
    """Everybody's verdict: the victim, its chain upstream first, its volumes, and their tenants."""
    statements = _victim(scene)
    tenants = {tenant.entity for volume in scene.tenants.values() for tenant in volume}
    for hop in sorted(scene.chain.hops, key=lambda hop: (hop.position, hop.entity)):
        if hop.entity != scene.victim:
            statements += _chain_entity(scene, hop, hop.entity in tenants)
    for storage in scene.verdict.storage:
        statements += _volume(scene, storage)
        statements += _tenants(scene, storage)
    return statements


def measured(reading: Reading) -> str:
    """`request_rate 812 requests/s against 805 expected (score 0.3)`."""
    text = f"{reading.signal} {quantity(reading.value, reading.unit)}"
    if reading.expected is None:
        return f"{text}, expected unknown: not enough history"
    score = "" if reading.score is None else f" (score {reading.score:.1f})"
    return f"{text} against {quantity(reading.expected, reading.unit)} expected{score}"


def _victim(scene: Scene) -> list[Statement]:
    episode, verdict = scene.episode, scene.verdict
    lag = episode.lag.mean()
    minutes = (episode.end_ms - episode.onset_ms) // MINUTE_MS
    reason = f"{measured(lag)}, mean of {minutes} min; at most {quantity(episode.peak, lag.unit)}"
    found = [Statement(scene.victim, scene.component, "victim", reason, lag, lag.signal, lag.unit)]
    if verdict.culprit == scene.victim:
        found += _accused(scene)
    for tally in episode.tallies.get(scene.victim, {}).values():
        mean = tally.mean()
        found.append(Statement(scene.victim, scene.component, "victim", measured(mean), mean, mean.signal, mean.unit))
    return found


def _accused(scene: Scene) -> list[Statement]:
    """The row of a culprit in the chain: the signal that accuses it, over the windows of the cause."""
    verdict = scene.verdict
    cause = verdict.cause
    if cause is None or isinstance(cause, Share) or verdict.culprit is None:
        return []
    mean = cause.tally.mean()
    lead = (scene.episode.onset_ms - cause.first_ms) // MINUTE_MS
    when = f"{lead} min before the lag" if lead > 0 else "with the lag" if lead == 0 else f"{-lead} min into the lag"
    reason = f"{measured(mean)}: first in its chain, {when}"
    component = verdict.component or ""
    return [Statement(verdict.culprit, component, "culprit", reason, mean, mean.signal, mean.unit, verdict.share)]


def _chain_entity(scene: Scene, hop: Hop, is_tenant: bool) -> list[Statement]:
    hearing = scene.rules.hearing_of(hop.component, hop.type)
    if hearing is None:
        return []
    tallies = scene.episode.tallies.get(hop.entity, {})
    if hop.entity == scene.verdict.culprit:
        ruling: Ruling = "culprit"
        found = _accused(scene)
        reason = found[0].reason if found else ""
    elif is_tenant:
        return []  # heard with its I/O; a restart of it counts for what it is part of
    elif not tallies and not _always_heard(hop):
        return []
    else:
        found = []
        ruling, reason, signal = _rule_on(scene, hop, hearing, tallies)
        mean = tallies[signal].mean() if signal in tallies else None
        unit = tallies[signal].unit if signal in tallies else ""
        found.append(Statement(hop.entity, hop.component, ruling, reason, mean, signal, unit))
    for signal in hearing.signals:
        if signal in tallies:
            mean = tallies[signal].mean()
            note = measured(mean)
            if signal == hearing.output and dipped(_as_heard(hop, mean), hearing, scene.rules):
                note += ": less is taken out, an effect of what slows the victim"
            found.append(Statement(hop.entity, hop.component, ruling, note, mean, signal, mean.unit))
    return found


def _always_heard(hop: Hop) -> bool:
    return hop.type in ALWAYS_HEARD or f"{hop.component}/{hop.type}" in ALWAYS_HEARD


def _as_heard(hop: Hop, reading: Reading) -> Heard:
    return Heard(hop.entity, hop.component, hop.type, False, {reading.signal: reading})


def _rule_on(scene: Scene, hop: Hop, hearing: Hearing, tallies: Mapping[str, Tally]) -> tuple[Ruling, str, str]:
    """Verdict, reason and deciding signal of an entity of the chain that is not the culprit."""
    episode, verdict, rules = scene.episode, scene.verdict, scene.rules
    deciding = [signal for signal in hearing.deciding if signal in tallies]
    if not hearing.deciding:
        means = {signal: tally.mean() for signal, tally in tallies.items()}
        for signal, mean in means.items():
            ratio = rules.raised.input_ratio if signal in rules.effect else rules.raised.strain_ratio
            if is_up(mean.value, mean.expected, mean.score, rules.raised.score, ratio):
                if signal in rules.effect:
                    return "victim", f"{measured(mean)}: suffers with {scene.victim}", signal
                return "unknown", f"{measured(mean)}: up, and no rule ties it to this effect", signal
        signal, mean = next(iter(means.items()))
        return ("unknown", measured(mean), signal) if mean.expected is None else _steady(mean, signal)
    signal = hearing.input if hearing.input else (deciding or hearing.deciding)[0]
    windows = episode.chain_windows
    heard = tallies[signal].count if signal in tallies else 0
    if not windows or heard < rules.heard.to_clear_chain * windows:
        return "unknown", f"no {signal} in {windows - heard} of {windows} windows: neither accused nor cleared", signal
    mean = tallies[signal].mean()
    if tallies[signal].judged < rules.heard.to_clear_chain * windows:
        return "unknown", f"{measured(mean)}: neither accused nor cleared", signal
    unready = episode.not_ready(rules).get(hop.entity)
    if unready:
        reading = unready.tally.mean()
        later = verdict.culprit is not None and unready.first_ms > verdict.cause_ms
        ruling: Ruling = "victim" if later else "unknown"
        order = "after the cause began" if later else "and no rule ties it to this effect"
        return ruling, f"not ready: {measured(reading)}, {order}", signal
    risen = episode.inputs.get(hop.entity)
    if risen and risen.windows > 1:
        return (*_risen(scene, hop.entity, risen.tally.mean()), signal)
    for name in deciding:
        reading = tallies[name].mean()
        ratio = rules.raised.input_ratio if name == hearing.input else rules.raised.strain_ratio
        if is_up(reading.value, reading.expected, reading.score, rules.raised.score, ratio):
            if name == hearing.input:
                return "cleared", f"{measured(reading)}: it rose only after the effect had begun", name
            return "unknown", f"{measured(reading)}: up, and no rule ties it to this effect", name
    return _steady(mean, signal)


def _steady(mean: Reading, signal: str) -> tuple[Ruling, str, str]:
    return "cleared", f"{measured(mean)}: not above what is usual", signal


def _risen(scene: Scene, entity: str, mean: Reading) -> tuple[Ruling, str]:
    """An entity whose input rose although something else is named."""
    verdict = scene.verdict
    load = verdict.facts["load_part"]
    if entity in verdict.contributors:
        return "contributor", f"{measured(mean)}: {percent(load)} of the backlog's growth comes from more input"
    if verdict.rule.names == "inputs":
        return "cleared", f"{measured(mean)}: it follows {verdict.culprit}, which is upstream of it"
    if verdict.culprit:
        return "cleared", f"{measured(mean)}: up, yet only {percent(load)} of the backlog's growth"
    return "unknown", f"{measured(mean)}: up, and no rule ties it to this effect"


def _volume(scene: Scene, storage: Storage) -> list[Statement]:
    rules, sums, shares, verdict = scene.rules, storage.pressure, storage.shares, scene.verdict
    silence = storage.silence(rules)
    named = verdict.shares is not None and verdict.via == storage.volume
    pressing = [share.entity for share in shares.tenants if share.entity in verdict.contributors] if shares else []
    if sums.windows == 0 or sums.heard == 0:
        ruling: Ruling = "unknown"
        reason = "unknown: no storage data"
    elif named and shares and verdict.shares is shares:
        ruling = "victim"
        reason = f"pressed by {verdict.culprit}"
    elif silence:
        ruling = "unknown"
        reason = f"unknown: {silence}"
    elif storage.slow and not verdict.culprit:
        ruling = "unknown"
        reason = SLOW if shares is None else SLOWER
    elif not storage.by_others:
        ruling = "cleared"
        reason = "not pressed by others" if shares is None else f"loaded by others, and {_room(storage)}"
    elif verdict.rule.names == "inputs" and pressing:
        ruling = "victim"
        reason = f"pressed by {' and '.join(pressing)} while the input was up"
    elif verdict.culprit and shares and shares.foreign_part < 0.5:
        ruling = "cleared"
        reason = f"{percent(1 - shares.foreign_part)} of its excess are the victim's own writes"
    elif verdict.culprit:
        ruling = "cleared"
        reason = "pressed, and the backlog grew by more input, not by less output"
    else:
        ruling = "unknown"
        reason = f"pressed, and {verdict.why}"
    tallies = sums.strain if ruling == "victim" else sums.calm
    found = []
    for signal in (*rules.strain, *sorted(set(sums.calm) - set(rules.strain))):
        if signal in tallies:
            mean = tallies[signal].mean()
            said = f"{measured(mean)}: {reason}"
            if reason.startswith("unknown"):
                said = f"{reason}; in the others {measured(mean)}"
            found.append(_storage(storage, ruling, said, mean))
    if shares and ruling == "victim":
        found.insert(0, _residual(storage, shares, scene))
    return found or [Statement(storage.volume, "storage", ruling, reason, None, "total_ops", UNITS["operations"])]


def _storage(storage: Storage, ruling: Ruling, reason: str, mean: Reading) -> Statement:
    return Statement(storage.volume, "storage", ruling, reason, mean, mean.signal, mean.unit)


def _room(storage: Storage) -> str:
    """Why a volume that is loaded by others is not pressed by them."""
    return "the victim's own I/O alone pressed it" if storage.pressure.own else "it has room"


def _residual(storage: Storage, shares: Shares, scene: Scene) -> Statement:
    """The volume's row that carries the part of its excess which nobody is charged with."""
    unit = UNITS[shares.measure]
    names = [name for name in storage.pressure.calm if name.endswith("bytes") == (shares.measure == "bytes")]
    signal = next((name for name in names if name not in scene.rules.strain), "total_ops")
    mean = Reading(signal, unit, shares.observed, shares.expected, None, shares.score, ())
    reason = (
        f"{measured(mean)}, an excess of {quantity(shares.excess, unit)} with the victim's own change left out; "
        f"residual: {percent(shares.residual)} of it is attributed to no tenant"
    )
    return Statement(storage.volume, "storage", "victim", reason, mean, signal, unit, shares.residual)


def _tenants(scene: Scene, storage: Storage) -> list[Statement]:
    shares = storage.shares or storage.dark
    by_entity = {share.entity: share for share in shares.tenants} if shares else {}
    own = {tenant.entity: scene.victim in tenant.own_of for tenant in scene.tenants.get(storage.volume, ())}
    found = []
    for entity in sorted(own.keys() | by_entity.keys(), key=lambda name: (-_share_of(by_entity, name), name)):
        said = _tenant(scene, storage, entity, own.get(entity, False), by_entity.get(entity), shares)
        if shares and entity == shares.rival and said.verdict == "cleared":
            other = next(measure for measure in UNITS if measure != shares.measure)
            reason = f"{said.reason}; yet it leads by {other}, and nothing tells which of both the volume ran out of"
            said = said._replace(verdict="unknown", reason=reason)
        found.append(said)
    return found


def _share_of(by_entity: Mapping[str, Share], entity: str) -> float:
    share = by_entity.get(entity)
    return share.share if share else 0.0


def _tenant(
    scene: Scene, storage: Storage, entity: str, own: bool, share: Share | None, shares: Shares | None
) -> Statement:
    component = scene.components.get(entity, "")
    verdict, rules = scene.verdict, scene.rules
    if share is not None:
        unit = unit_of(share.signal)
        pointers = share.part.pointers.listed()
        mean = Reading(share.signal, unit, share.observed, share.expected, share.spread, share.score, pointers)
        ruling, reason = _on_share(scene, storage, share, mean)
        counted = share.share if storage.shares is not None and storage.shares is verdict.shares else None
        return Statement(entity, component, ruling, reason, mean, share.signal, unit, counted)
    track = scene.volumes.get(storage.volume)
    loudest = track.loudest.get(entity) if track else None
    part = track.heard_part(entity) if track else 0.0
    if loudest is None or part < rules.heard.to_clear:
        why = "no signal of its I/O with an expectation"
        reason = f"{why} in {percent(1 - part)} of the windows that matter: neither accused nor cleared"
        return Statement(entity, component, "unknown", reason, None, "total_ops", UNITS["operations"])
    if own:
        up = is_up(loudest.value, loudest.expected, loudest.score, rules.raised.score, rules.raised.input_ratio)
        note = "its catch-up, left out of the excess" if up else "not above what is usual"
        reason = f"the victim's own I/O, at its highest {measured(loudest)}: {note}"
        return Statement(entity, component, "cleared", reason, loudest, loudest.signal, loudest.unit)
    raised = rules.raised
    up = is_up(loudest.value, loudest.expected, loudest.score, raised.score, raised.burst_ratio)
    if up and not verdict.culprit and (storage.silence(rules) or storage.by_others):
        reason = f"at its highest {measured(loudest)}: up, and no rule ties it to this effect"
        return Statement(entity, component, "unknown", reason, loudest, loudest.signal, loudest.unit)
    if storage.slow and not verdict.culprit:
        # What is expected of it may be what makes the volume slow: it may do much for most of the time.
        reason = f"at its highest {measured(loudest)}: no more than usual, on a volume that is slow"
        return Statement(entity, component, "unknown", reason, loudest, loudest.signal, loudest.unit)
    reason = f"at its highest {measured(loudest)}: no part of an excess"
    counted = 0.0 if storage.shares is not None and storage.shares is verdict.shares else None
    return Statement(entity, component, "cleared", reason, loudest, loudest.signal, loudest.unit, counted)


def _on_share(scene: Scene, storage: Storage, share: Share, mean: Reading) -> tuple[Ruling, str]:
    """Verdict and reason of a tenant that has a part in an excess."""
    verdict = scene.verdict
    took = f"{measured(mean)}: {percent(share.share)} of the excess"
    if verdict.shares is not None and verdict.via == storage.volume:
        alone = "" if storage.shares else " that tenants show; of the volume itself there is no data"
        if share.entity == verdict.culprit:
            return "culprit", took + alone
        if share.entity in verdict.contributors:
            return "contributor", took + alone
        return "cleared", f"{took}{alone}, too little to matter"
    if share.entity in verdict.contributors:
        return "contributor", f"{took} of others than the victim, on a volume that is pressed"
    if storage.shares is None:
        return "unknown", f"{took} that tenants show, and of the volume there is no data"
    if storage.slow and not verdict.culprit:
        return "unknown", f"{took}, and the volume was slow in other windows"
    if not storage.by_others:
        return "cleared", f"{took}, and {_room(storage)}"
    if verdict.rule.names == "inputs" and (load := verdict.facts["load_part"]) is not None:
        return "cleared", f"{took}, and {percent(load)} of the backlog's growth comes from more input"
    if verdict.culprit:
        return "cleared", f"{took} of others than the victim, which is {percent(storage.shares.foreign_part)} of all"
    return "unknown", f"{took}, and {verdict.why}"
