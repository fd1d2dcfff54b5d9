"""Follows the bursts of scheduled jobs: those that keep to their schedule are expected, others are overdue."""

from __future__ import annotations

from afoot.verdicts.bursts import Burst, BurstTrack, is_bursting
from afoot.verdicts.cases import EXPECTED, OVERDUE, Case, Identity, Run
from afoot.verdicts.desk import Desk, Subject
from afoot.verdicts.evidence import Statement, measured
from afoot.verdicts.records import percent
from afoot.verdicts.recurrence import find_recurrence
from afoot.verdicts.rules import MINUTE_MS
from afoot.verdicts.schedules import Counterfactual, ScheduleMatch, due_after, match_schedule, next_run
from afoot.verdicts.volume import TenantIo, VolumeWindow
from afoot.verdicts.words import by_schedule, recurring


class ScheduledJobs:
    """The tenants of volumes in one window."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.rules = desk.rules

    def follow(self, volume: str, window: VolumeWindow) -> None:
        """Takes in a volume's window: every tenant's bursts, and what follows from them."""
        for tenant in window.tenants:
            self._follow(volume, window, tenant)

    def _follow(self, volume: str, window: VolumeWindow, tenant: TenantIo) -> None:
        start_ms, end_ms, key = window.start_ms, window.end_ms, (tenant.entity, volume)
        known = self.desk.book.bursts.get(key)
        if known is None and not is_bursting(tenant.measures, self.rules):
            return  # as almost all tenants, almost always
        track = known or BurstTrack()
        new = self.desk.book.volumes[volume].is_new(tenant.entity, start_ms, self.rules.time.ms("gap"))
        if not track.add(start_ms, end_ms, tenant.measures, self.rules, new):
            return
        self.desk.book.bursts[key] = track
        burst = track.bursts[-1]
        running = burst.end_ms == end_ms
        settling = start_ms < burst.end_ms + self.rules.time.ms("before")  # its effect may still come
        if running:
            io = self.desk.window.volumes[volume]
            for entity in (tenant.entity, volume):
                if entity in io:
                    track.listen(entity, io[entity].readings)
        if (running and window.saturated) or (settling and volume in self.desk.suffering):
            burst.harm = True
        if burst.windows == 1 and running and len(track.bursts) > 1:
            self._judge_once(key, track, track.bursts[-2])  # what comes from now on is the next run's effect
        if not settling:
            self._judge_once(key, track, burst)
        if track.due_ms is not None:
            self._watch(key, track, burst, running, track.due_ms)

    def _judge_once(self, key: tuple[str, str], track: BurstTrack, burst: Burst) -> None:
        if track.judged_ms != burst.start_ms:
            track.judged_ms = burst.start_ms
            self._judge(key, track, burst)

    def _judge(self, key: tuple[str, str], track: BurstTrack, burst: Burst) -> None:
        """A burst is over, and an effect of it would have come by now."""
        if burst.cut:
            return
        match = self._match(key, track)
        if match is None:
            track.due_ms = None
            return
        major = [other for other in track.major() if other.start_ms <= burst.start_ms]
        if burst not in major:
            return
        if track.due_ms is None:
            self._wait(track, match, burst.end_ms)
        why = track.off_usual(burst, True, self.rules)
        if why and track.warned_ms != burst.start_ms:
            track.warned_ms = burst.start_ms
            self._overdue(key, track, match, Run(burst.start_ms, burst.start_ms, burst.end_ms), why)
        latest = major[-self.rules.recurrence.runs :]
        identity = Identity(EXPECTED, key[0], None, key[1])
        if any(other.harm for other in latest):
            known = self.desk.book.cases.get(identity.finding_id)
            if known and known.state == "open":
                self.desk.again(known, "closed", True)
            return
        case = self.desk.book.case(identity, latest[0].start_ms)
        opened = case.state != "open"
        for run in latest if not case.runs else [burst]:
            case.add_run(Run(run.start_ms, run.start_ms, run.end_ms))
        case.recurrence = find_recurrence(track.starts(), self.desk.window_ms, self.rules.recurrence)
        self._revise(case, track, match, opened, "")

    def _match(self, key: tuple[str, str], track: BurstTrack) -> ScheduleMatch | None:
        """The schedule that a tenant's runs on a volume follow since it is attached."""
        schedules = self.desk.graph.schedules(key[0], self.desk.end_ms)
        if not schedules:
            return None
        starts = track.starts()
        beat = find_recurrence(starts, self.desk.window_ms, self.rules.recurrence)
        return match_schedule(
            schedules,
            starts,
            self.desk.graph.attached_since(*key, self.desk.end_ms),
            beat.period_ms if beat else None,
            self.desk.end_ms,
            self.desk.window_ms,
            self.rules,
        )

    def _wait(self, track: BurstTrack, match: ScheduleMatch, after_ms: int) -> None:
        """Waits for the first scheduled run later than a time."""
        track.due_ms = next_run(match.schedule, after_ms)
        track.due_by_ms = (track.due_ms or 0) + match.tolerance_ms + self.desk.window_ms

    def _watch(self, key: tuple[str, str], track: BurstTrack, burst: Burst, running: bool, due_ms: int) -> None:
        """A matched schedule: a run that does not come, comes late, or does not end is told."""
        if running and track.warned_ms != burst.start_ms:
            why = track.off_usual(burst, False, self.rules)
            match = self._match(key, track) if why else None
            if match:
                track.warned_ms = burst.start_ms
                self._overdue(key, track, match, Run(burst.start_ms, burst.start_ms, burst.end_ms), why)
        if track.missing and running:
            track.missing = False
            case = self.desk.book.cases.get(Identity(OVERDUE, key[0], None, key[1]).finding_id)
            match = self._match(key, track)
            if case and match and burst.start_ms < due_ms - self.desk.window_ms:
                missed = case.runs[-1]
                late = f"its run came {(burst.start_ms - missed.onset_ms) // MINUTE_MS} min late"
                self._overdue(key, track, match, missed._replace(end_ms=self.desk.end_ms), late)
        if self.desk.end_ms < track.due_by_ms:
            return
        match = self._match(key, track)
        if match is None:
            track.due_ms, track.missing = None, False
            return
        came = any(due_ms - self.desk.window_ms <= start <= due_ms + match.tolerance_ms for start in track.starts())
        if not came and not running and track.heard.covers(due_ms, self.desk.end_ms):
            track.missing = True
            self._overdue(key, track, match, Run(due_ms, due_ms, self.desk.end_ms), "its run did not come")
        self._wait(track, match, due_ms)

    def _overdue(self, key: tuple[str, str], track: BurstTrack, match: ScheduleMatch, run: Run, why: str) -> None:
        case = self.desk.book.case(Identity(OVERDUE, key[0], None, key[1]), run.onset_ms)
        opened = case.state != "open"
        case.add_run(run)
        self._revise(case, track, match, opened, why)

    def _revise(self, case: Case, track: BurstTrack, match: ScheduleMatch, opened: bool, why: str) -> None:
        """A revision about a scheduled job: nobody suffers by it."""
        tenant, volume = case.identity.culprit or "", case.identity.via or ""
        rule = self.rules.jobs[case.identity.kind]
        entity = self.desk.graph.entity(tenant, self.desk.end_ms)
        component = entity.component if entity else ""
        seen = sum(track.heard.covers(time, time + self.desk.window_ms) for time in match.times)
        words = {
            "culprit": tenant,
            "via": volume,
            "by_schedule": by_schedule(match.schedule),
            "recurring": recurring(case.recurrence, None),
            "matched": percent(match.matched),
            "why": why,
        }
        changed = case.schedule_id != match.schedule.id
        case.schedule_id = match.schedule.id
        case.due_ms = due_after(match.schedule, case.runs[-1].cause_ms, self.desk.window_ms)
        subject = Subject(
            f"{case.identity.kind}@{rule.version}",
            rule.confidence.confidence(1.0, 1.0, match.runs, match.matched, True),
            case.identity.kind,
            words,
            culprit_component=component,
            schedule=match.schedule,
            counted=Counterfactual(seen, 0),
        )
        run = case.runs[-1]
        around = self.rules.time.ms("signals_around")
        self.desk.want("volume", volume, self.desk.end_ms - around, self.desk.end_ms + around)
        statements = _statements(tenant, volume, component, track, why)
        self.desk.revise(case, "open", subject, opened or changed, statements, (run.onset_ms, run.end_ms))


def _statements(tenant: str, volume: str, component: str, track: BurstTrack, why: str) -> list[Statement]:
    """The job's latest run, and what the volume did meanwhile."""
    found = []
    for (entity, signal), reading in sorted(track.loudest.items(), key=lambda item: (item[0][0] != tenant, item[0])):
        said = f"at the highest of its latest run {measured(reading)}"
        if entity == tenant:
            reason = f"{why}; {said}" if why else said
            found.append(Statement(entity, component, "culprit", reason, reading, signal, reading.unit))
        else:
            found.append(
                Statement(volume, "storage", "cleared", f"during the run {said}", reading, signal, reading.unit)
            )
    return found
