"""Follows effects from window to window, and turns the verdicts on them into cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from afoot.inventory.placement import Tenant
from afoot.verdicts.cases import UNEXPLAINED, Case, Identity, Run
from afoot.verdicts.desk import Desk, Subject
from afoot.verdicts.episodes import Episode, VictimTrack, VolumeTrack, chain_window
from afoot.verdicts.evidence import Scene, hear
from afoot.verdicts.inputs import Heard, Reading, VictimInput
from afoot.verdicts.records import percent, quantity
from afoot.verdicts.recurrence import find_recurrence
from afoot.verdicts.schedules import Counterfactual, ScheduleMatch, count_runs, due_after, match_schedule, period_ms
from afoot.verdicts.shares import Past, Share
from afoot.verdicts.tally import Tally
from afoot.verdicts.verdict import Verdict, is_first, judge
from afoot.verdicts.volume import unit_of
from afoot.verdicts.words import by_schedule, or_schedule, recurring

HOUR_MS = 3_600_000


class Effects:
    """The effects on victims in one window."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rules = desk.rules

    def follow(self, victim: str) -> bool:
        """Takes in what the window says of a victim; whether its effect has ended.

        An effect that ended in an earlier window than this one's new effect gives way to it at once.
        """
        heard = self.desk.window.victims.get(victim, VictimInput(None, {}))
        track = self.desk.book.victims.get(victim)
        if track is None:
            entity = self.desk.graph.entity(victim, self.desk.end_ms)
            component = heard.lag.component if heard.lag else entity.component if entity else ""
            track = self.desk.book.victims[victim] = VictimTrack(component)
        chain = self.desk.graph.chain(victim, self.desk.end_ms)
        window = chain_window(self.desk.start_ms, self.desk.end_ms, heard.chain, chain, self.rules)
        lag = self._effect(heard.lag)
        if lag is not None:
            track.last_ms = self.desk.end_ms
            if lag.expected is not None:
                track.heard.add(self.desk.start_ms, self.desk.end_ms, self.rules.time.ms("gap"))
        affected = lag is not None and heard.lag is not None and heard.lag.affected
        gap_ms = self.rules.time.ms("gap")
        least = math.inf
        if affected and track.episode is not None and self.desk.start_ms - track.affected_ms >= gap_ms:
            if lag is not None and lag.signal == track.episode.lag.signal:
                least = track.episode.least  # which still lasts when what came on top of it is over
            self.end(victim)
            self._rest(chain.volumes)
        over = track.episode is not None and self.desk.start_ms - track.episode.end_ms >= gap_ms
        lasts = not affected and not over and lag is not None and self._lasts(track, lag)
        climbed = None
        if lag is not None and (affected or lasts):
            self.desk.suffering.update(chain.volumes)
            if track.episode is None:
                track.episode = self._begin(victim, track, lag, chain.volumes)
                track.episode.least = least
            track.episode.end_ms = self.desk.end_ms
            if affected:
                self.desk.output.books["affected"] += 1
                track.affected_ms = self.desk.end_ms
                climbed = track.episode.add_lag(lag)
            around = self.rules.time.ms("signals_around")
            first, last = track.episode.onset_ms - around, self.desk.end_ms + around
            self.desk.want("victim", heard.scope or victim, first, last)
            for volume in chain.volumes:
                self.desk.want("volume", volume, first, last)
        if track.episode is not None and not over:
            track.episode.add_chain(window, self.rules)
            for volume in chain.volumes:
                track.episode.add_volume(volume, self.desk.volume(volume), victim, self.rules)
            if climbed is not None:
                track.episode.settle(climbed)
        track.recent.append(window.compact(self.rules))
        while track.recent[0].end_ms <= self.desk.end_ms - self.rules.time.ms("before"):
            track.recent.popleft()
        return over

    def _lasts(self, track: VictimTrack, lag: Reading) -> bool:
        """Whether a victim is as badly off as it was in its effect, though by now that is what is expected of it."""
        episode = track.episode
        if episode is None or lag.signal != episode.lag.signal or lag.value < episode.least:
            return False
        return self.desk.end_ms - track.affected_ms <= self.rules.time.ms("lasting")

    def _effect(self, lag: Heard | None) -> Reading | None:
        """The signal that a victim suffers by."""
        if lag is None:
            return None
        return next((lag.readings[name] for name in self.rules.effect if name in lag.readings), None)

    def _begin(self, victim: str, track: VictimTrack, lag: Reading, volumes: tuple[str, ...]) -> Episode:
        episode = Episode(self.desk.start_ms, self.desk.end_ms, Tally(lag.signal, lag.unit), 0.0, 0.0)
        episode.cut = track.heard.first_ms == self.desk.start_ms
        since = track.effects[-1][1] if track.effects else 0  # what was in an earlier effect is no cause of this one
        for past in track.recent:
            if past.start_ms >= since:
                episode.add_chain(past, self.rules)
        for volume in volumes:
            known = self.desk.book.volumes.setdefault(volume, VolumeTrack())
            for earlier in [window for window in known.recent if window.start_ms >= since]:
                episode.add_volume(volume, earlier, victim, self.rules)
                if earlier.pressed and not known.loudest:
                    known.judge(earlier)
        self.desk.output.books["effects"] += 1
        return episode

    def judge_volumes(self) -> None:
        """Of volumes with a suffering victim, hears every tenant."""
        for volume in sorted(self._running()):
            self.desk.book.volumes.setdefault(volume, VolumeTrack()).judge(self.desk.volume(volume))

    def remember_volumes(self) -> None:
        for volume, window in sorted(self.desk.volumes.items()):
            self.desk.book.volumes.setdefault(volume, VolumeTrack()).remember(window, self.rules)
        self._rest(self.desk.volumes)

    def _running(self) -> set[str]:
        """The volumes of victims that suffer."""
        return {
            volume
            for track in self.desk.book.victims.values()
            if track.episode
            for volume in (*track.episode.settled, *track.episode.pending)
        }

    def _rest(self, volumes: Iterable[str]) -> None:
        running = self._running()
        for volume in volumes:
            if volume not in running and volume in self.desk.book.volumes:
                self.desk.book.volumes[volume].rest()

    def end(self, victim: str) -> None:
        track = self.desk.book.victims[victim]
        episode = track.episode
        if episode is None:
            return
        self._verdict(victim, track, episode, True)
        track.effects.append((episode.onset_ms, track.affected_ms))
        track.episode = None

    def decide(self, victim: str) -> None:
        track = self.desk.book.victims[victim]
        episode = track.episode
        if episode is None or self.desk.end_ms < episode.onset_ms + self.rules.time.ms("decide_after"):
            return
        if episode.end_ms == self.desk.end_ms or episode.finding_id is None:
            self._verdict(victim, track, episode, False)

    def _verdict(self, victim: str, track: VictimTrack, episode: Episode, final: bool) -> None:
        if episode.cut:
            self.desk.output.books["cut"] += final
            return
        chain = self.desk.graph.chain(victim, self.desk.end_ms)
        tenants = {volume: self.desk.graph.tenants(volume, self.desk.end_ms) for volume in episode.settled}
        components = self._components(episode, tenants)
        incumbents = {
            case.identity.culprit
            for case in self.desk.book.open_cases()
            if case.identity.victim == victim and case.identity.culprit
        }

        def past(volume: str) -> Past:
            known = self.desk.book.volumes.get(volume)

            def blamed(tenant: str) -> int:
                named = Identity("shared_volume_contention", tenant, victim, volume).finding_id
                return len(self.desk.book.cases[named].runs) if named in self.desk.book.cases else 0

            def acted(tenant: str) -> float | None:
                return self._acted(track, tenant, volume)

            return Past(known.carried if known else {}, incumbents, blamed, acted)

        found = judge(episode, chain, components, past, self.desk.window_ms, self.rules)
        identity = Identity(found.rule.kind, found.culprit, victim, found.via)
        current = self.desk.book.cases.get(episode.finding_id) if episode.finding_id else None
        if current and current.identity != identity and current.identity.kind != UNEXPLAINED:
            # A culprit that is named gives way to another one only if a second window says so, and never to nobody.
            confirmed = found.culprit is not None and episode.challenger == identity.finding_id
            episode.challenger = identity.finding_id
            if not confirmed:
                self._extend(current, episode, final)
                return
        episode.challenger = None
        scene = Scene(
            victim,
            track.component,
            episode.lag.signal,
            episode,
            found,
            chain,
            tenants,
            components,
            self.desk.book.volumes,
            self.rules,
        )
        self._update(scene, track, identity, final)

    def _components(self, episode: Episode, tenants: dict[str, tuple[Tenant, ...]]) -> dict[str, str]:
        """The components of all tenants, those that left in mid-effect included."""
        names = {tenant.entity for of_volume in tenants.values() for tenant in of_volume}
        for sums in episode.settled.values():
            for excess in (*sums.measures.values(), *sums.dark.values()):
                names.update(excess.tenants)
        found = {}
        for name in names:
            entity = self.desk.graph.entity(name, self.desk.end_ms) or self.desk.graph.entity(name, episode.onset_ms)
            found[name] = entity.component if entity else ""
        return found

    def _update(self, scene: Scene, track: VictimTrack, identity: Identity, final: bool) -> None:
        """The case of a verdict takes in its effect; a revision where something is new."""
        episode, verdict, rules = scene.episode, scene.verdict, self.rules
        case = self.desk.book.case(identity, episode.onset_ms)
        opened = case.state != "open"
        if opened:
            case.severity, case.contributors = "info", ()
        cause_ms = self._cause_ms(case, verdict, episode, track)
        new_run = case.add_run(Run(cause_ms, episode.onset_ms, episode.end_ms))
        before = (case.severity, case.contributors, case.schedule_id)
        case.worsen(self._severity(episode))
        case.contributors = tuple(sorted({*case.contributors, *verdict.contributors}))
        episode.finding_id = identity.finding_id
        changed = before[:2] != (case.severity, case.contributors)
        if not (opened or new_run or changed or (final and episode.end_ms > episode.written_ms)):
            return
        episode.written_ms = episode.end_ms
        if new_run:
            case.recurrence = find_recurrence(case.causes(), self.desk.window_ms, rules.recurrence)
        match = self._match(case)
        case.schedule_id = match.schedule.id if match else None
        case.due_ms = due_after(match.schedule, case.runs[-1].cause_ms, self.desk.window_ms) if match else None
        changed = changed or before[2] != case.schedule_id
        subject = self._subject(scene, case, match, self._count(track, case, match))
        start = min(cause_ms, episode.onset_ms)
        self.desk.revise(case, "open", subject, opened or changed, hear(scene), (start, episode.end_ms))
        if verdict.culprit:
            self._supersede(scene.victim, episode, cause_ms, identity.finding_id)

    def _cause_ms(self, case: Case, verdict: Verdict, episode: Episode, track: VictimTrack) -> int:
        """When the run began that is behind an effect."""
        volume = self.desk.book.volumes.get(verdict.via or "")
        if not verdict.shares or not volume or not verdict.culprit:
            return episode.onset_ms
        if volume.is_new(verdict.culprit, verdict.cause_ms, self.rules.time.ms("gap")):
            return episode.onset_ms
        # Under way as the effect before ended, which this case has as a run: lag that flickers is still of that one.
        if track.effects and verdict.cause_ms == track.effects[-1][1] and case.runs:
            last = case.runs[-1]
            if last.onset_ms == track.effects[-1][0]:
                return last.cause_ms
        return verdict.cause_ms

    def _severity(self, episode: Episode) -> str:
        rule = self.rules.severity
        long = episode.end_ms - episode.onset_ms > rule.critical_minutes * 60_000
        return "critical" if long or episode.factor >= rule.critical_factor else "warning"

    def recount(self, case: Case) -> Counterfactual | None:
        """The runs of a case that is about to close: those without an effect count by now.

        None if it has no victim, or if its culprit was detached: later runs are no runs on this volume.
        """
        _, culprit, victim, via = case.identity
        track = self.desk.book.victims.get(victim or "")
        tenants = self.desk.graph.tenants(via, self.desk.end_ms) if via else ()
        if track is None or (via and all(tenant.entity != culprit for tenant in tenants)):
            return None
        return self._count(track, case, self._match(case))

    def _match(self, case: Case) -> ScheduleMatch | None:
        """The schedule that a case's runs follow, if a tenant of a volume is its culprit."""
        _, culprit, _, via = case.identity
        if culprit is None or via is None:
            return None
        return match_schedule(
            self.desk.graph.schedules(culprit, self.desk.end_ms),
            case.causes(),
            self.desk.graph.attached_since(culprit, via, self.desk.end_ms),
            case.recurrence.period_ms if case.recurrence else None,
            self.desk.end_ms,
            self.desk.window_ms,
            self.rules,
        )

    def _count(self, track: VictimTrack, case: Case, match: ScheduleMatch | None) -> Counterfactual:
        """Runs and their effects: scheduled times, else the culprit's bursts, else the effects themselves."""
        bursts = self.desk.book.bursts.get((case.identity.culprit or "", case.identity.via or ""))
        counted = Counterfactual(0, 0)
        if match:
            half = (period_ms(match.schedule) or HOUR_MS) // 2
            counted = self._felt(track, match.times, min(half, self.rules.time.ms("close_after")))
        elif bursts:
            counted = self._felt(track, bursts.starts())
        return counted if counted.seen else Counterfactual(len(case.runs), len(case.runs))

    def _acted(self, track: VictimTrack, tenant: str, volume: str) -> float | None:
        """Which part of a tenant's runs on a volume the victim felt, None while they are too few to tell."""
        bursts = self.desk.book.bursts.get((tenant, volume))
        counted = self._felt(track, bursts.starts()) if bursts else Counterfactual(0, 0)
        return counted.with_effect / counted.seen if counted.seen >= self.rules.recurrence.runs else None

    def _felt(self, track: VictimTrack, times: Sequence[int], reach_ms: int | None = None) -> Counterfactual:
        """How many runs there were at these times, and how many a victim felt: within `reach_ms`."""
        episode = track.episode
        effects = [*track.effects, *([(episode.onset_ms, episode.end_ms)] if episode else [])]
        # An effect may come as late as this: a case that closes knows the outcome of the run that it waited for.
        reach_ms = reach_ms or self.rules.time.ms("close_after")
        return count_runs(times, effects, track.heard, reach_ms, self.desk.window_ms, self.desk.end_ms)

    def _subject(self, scene: Scene, case: Case, match: ScheduleMatch | None, counted: Counterfactual) -> Subject:
        """What a verdict says, in numbers and words."""
        episode, verdict = scene.episode, scene.verdict
        schedule = match.schedule if match else None
        lag = episode.lag.mean()
        heard = [storage.heard for storage in scene.verdict.storage if storage.volume == verdict.via] or [1.0]
        if verdict.shares and scene.verdict.storage and not any(s.pressure.strained for s in verdict.storage):
            heard = [0.0]  # latency was not measured: that the volume was pressed is inferred
        effect = counted.with_effect / counted.seen if counted.seen >= self.rules.recurrence.runs else 0.5
        # Runs that mostly harm nobody speak against this one: it may have been there by chance.
        first = is_first(verdict, self.rules) * min(1.0, 0.5 + effect)
        confidence = verdict.rule.confidence.confidence(first, min(heard), len(case.runs), effect, match is not None)
        words = {
            "culprit": verdict.culprit or "",
            "victim": scene.victim,
            "via": verdict.via or "",
            "share": percent(verdict.share),
            "measure": "",
            "observed": quantity(episode.peak, lag.unit),
            "expected": quantity(lag.expected, lag.unit),
            "cause_observed": "",
            "cause_expected": "",
            "by_schedule": by_schedule(schedule),
            "or_schedule": or_schedule(schedule),
            "recurring": recurring(case.recurrence, counted),
            "matched": "",
            "why": verdict.why,
            "missing": _advice(verdict),
        }
        if verdict.shares and isinstance(verdict.cause, Share):
            unit = unit_of(verdict.cause.signal)
            excess = quantity(verdict.shares.excess, unit)
            of = f" over its usual {quantity(verdict.shares.expected, unit)}" if verdict.shares.expected else ""
            words["measure"] = excess if verdict.share is None else f" ({excess}{of})"
        elif verdict.cause is not None and not isinstance(verdict.cause, Share):
            cause = verdict.cause.tally.mean()
            words["cause_observed"] = f"{cause.signal} {quantity(cause.value, cause.unit)}"
            words["cause_expected"] = quantity(cause.expected, cause.unit)
        return Subject(
            verdict.rule.label,
            confidence,
            verdict.rule.name,
            words,
            scene.component,
            lag.signal,
            lag._replace(value=episode.peak),
            verdict.component,
            verdict.share,
            schedule,
            counted,
        )

    def _extend(self, case: Case, episode: Episode, final: bool) -> None:
        """An effect goes on, and this window alone would not name its culprit: the verdict stays."""
        case.add_run(Run(case.runs[-1].cause_ms, episode.onset_ms, episode.end_ms))
        severity = case.severity
        case.worsen(self._severity(episode))
        changed = severity != case.severity
        if case.last and (changed or (final and episode.end_ms > episode.written_ms)):
            episode.written_ms = episode.end_ms
            self.desk.again(case, "open", changed)

    def _supersede(self, victim: str, episode: Episode, cause_ms: int, by: str) -> None:
        """Unexplained findings of the same effect, or of the same beat, now have their culprit."""
        for case in self.desk.book.open_cases():
            if case.identity.kind != UNEXPLAINED or case.identity.victim != victim:
                continue
            same = case.runs[-1].onset_ms == episode.onset_ms
            off = abs(case.recurrence.nearest(cause_ms) - cause_ms) if case.recurrence else None
            if same or (off is not None and off <= self.rules.time.ms("before")):
                self.desk.again(case, "superseded", True, superseded_by=by)


def _advice(verdict: Verdict) -> str:
    """What would let an unexplained effect be explained."""
    if verdict.why.startswith("unknown"):
        return "Send the telemetry of the volume and its tenants: without it storage is neither accused nor cleared."
    return "See the evidence: what is unknown there has no telemetry, or no entry in the inventory."
