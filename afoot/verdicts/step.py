"""One window at a time: effects are followed, judged and become findings; the only state is the CaseBook."""

from __future__ import annotations

from afoot.errors import AfootError
from afoot.inventory.graph import Graph
from afoot.verdicts.cases import CaseBook
from afoot.verdicts.desk import Desk
from afoot.verdicts.effects import Effects
from afoot.verdicts.inputs import VictimInput, Window
from afoot.verdicts.records import Output
from afoot.verdicts.rules import Rules
from afoot.verdicts.scheduled import ScheduledJobs

HOUR_MS = 3_600_000


def stand_ins(book: CaseBook, window: Window, graph: Graph, rules: Rules) -> dict[str, VictimInput]:
    """Consumer groups that are heard in place of jobs that never said how late they are themselves."""
    found: dict[str, VictimInput] = {}
    for job, told in sorted(window.victims.items()):
        track = book.victims.get(job)
        if told.lag is not None or (track is not None and track.last_ms):
            continue
        for edge in graph.chain(job, window.end_ms).edges:
            part = told.chain.get(edge.from_id)
            if part is None or part.type != "consumer_group" or (edge.to_id, edge.kind) != (job, "part_of"):
                continue
            if any(signal in part.readings for signal in rules.effect):
                found[part.entity] = VictimInput(part, told.chain, job)
    return found


def step(book: CaseBook, window: Window, graph: Graph, rules: Rules) -> Output:
    """What a window gives; `book` is changed in place. Windows come in order, the same ones give the same rows.

    AfootError if a window comes that is not later than the one before: rows that follow would not be reproducible.
    """
    if window.start_ms < book.end_ms:
        raise AfootError(
            f"window from {window.start_ms} comes after one that ended at {book.end_ms}; windows must come in order"
        )
    window = window._replace(victims=window.victims | stand_ins(book, window, graph, rules))
    desk = Desk(book, window, graph, rules)
    effects, jobs = Effects(desk), ScheduledJobs(desk)
    victims = sorted(window.victims.keys() | {name for name, track in book.victims.items() if track.episode})
    for volume in sorted(window.volumes):
        desk.volume(volume)
    over = [victim for victim in victims if effects.follow(victim)]
    effects.judge_volumes()
    for victim in over:
        effects.end(victim)
    for victim in victims:
        effects.decide(victim)
    effects.remember_volumes()
    for volume, of_volume in sorted(desk.volumes.items()):
        jobs.follow(volume, of_volume)
    for case in book.open_cases():
        if desk.is_over(case):
            desk.again(case, "closed", True, counted=effects.recount(case))
    desk.request_signals()
    book.end_ms = window.end_ms
    if window.end_ms // HOUR_MS > window.start_ms // HOUR_MS:
        book.forget(window.end_ms, rules)
    desk.output.books["windows"] += 1
    return desk.output._replace(books=dict(desk.output.books))
