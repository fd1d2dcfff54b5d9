"""The chain as a picture: a lane a component, in the way of the data, each entity with its verdict.

Only geometry is decided here; the page's template draws it, and escapes what it writes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from afoot.casefile import words
from afoot.casefile.case import VERDICTS, Case, Suspect, gravity

# Data flows from one lane to the next; compute sits behind storage, as the tenants that share it with the pipeline.
LANES = {
    "network": "Network",
    "router": "Router",
    "ingestion": "Ingestion",
    "broker": "Broker",
    "service": "Service",
    "processor": "Processor",
    "storage": "Storage",
    "compute": "Tenants",
}
_TYPES = {"volume": "storage", "aggregate": "storage", "topic": "broker", "broker": "broker", "address": "network"}
SYMBOLS = {"culprit": "▲", "contributor": "△", "victim": "◆", "cleared": "✓", "unknown": "?"}
_SPINE = ("ingress:", "deployment:", "topic:", "service:", "job:", "volume:")  # what data passes, before its parts
SHOWN = 6  # entities in a lane; the rest is counted, and stands in the table of suspects

_NODE_HEIGHT, _NODE_GAP, _HEAD = 70, 12, 30


class Node(NamedTuple):
    """A box: `lines` hold the name, `note` the verdict in words."""

    x: float
    y: float
    width: float
    height: float
    entity: str
    kind: str
    lines: list[str]
    verdict: str
    symbol: str
    note: str
    via: bool


class Lane(NamedTuple):
    """A component's background and title."""

    x: float
    y: float
    width: float
    height: float
    title: str
    more: str


class Edge(NamedTuple):
    """An arrow; `role` is flow, or the verdict of the tenant that it comes from."""

    path: str
    role: str


class Picture(NamedTuple):
    """A drawing of `width` by `height`, and what it says in words."""

    width: float
    height: float
    lanes: list[Lane]
    nodes: list[Node]
    edges: list[Edge]


def describe(case: Case) -> str:
    """The picture in words, for those who do not see it."""
    parts = []
    for component, members in _members(case):
        heard = ", ".join(f"{words.visible(one.entity)} {_note(one)}" for one in members)
        parts.append(f"{_title(component)}: {heard}")
    return "; ".join(parts) + "."


def wide(case: Case) -> Picture:
    """Lanes side by side, for a desk."""
    groups = _members(case)
    width, gap = 1120.0, 36.0
    lane_width = min(230.0, (width - gap * (len(groups) - 1)) / max(len(groups), 1))
    width = lane_width * len(groups) + gap * (len(groups) - 1)
    tallest = max((min(len(members), SHOWN) for _, members in groups), default=0)
    height = _HEAD + tallest * (_NODE_HEIGHT + _NODE_GAP) + _NODE_GAP + (18 if _crowded(groups) else 0)
    lanes, nodes, edges = [], [], []
    firsts: dict[str, list[Node]] = {}
    for index, (component, members) in enumerate(groups):
        x = index * (lane_width + gap)
        lanes.append(Lane(x, 0, lane_width, height, _title(component), _more(members)))
        firsts[component] = [
            _node(case, one, x + 8, _HEAD + row * (_NODE_HEIGHT + _NODE_GAP), lane_width - 16)
            for row, one in enumerate(members[:SHOWN])
        ]
        nodes += firsts[component]
    for left, right in _pairs(groups):
        start, end = firsts[left][0], firsts[right][0]
        if right != "compute":
            edges.append(_straight(start, end))
        else:
            edges += [_elbow(tenant, start) for tenant in reversed(firsts[right])]
    return Picture(width, height, lanes, nodes, edges)


def tall(case: Case) -> Picture:
    """Lanes one below the other, for a phone and for paper."""
    width, gap, y = 360.0, 30.0, 0.0
    lanes, nodes, edges = [], [], []
    firsts: dict[str, list[Node]] = {}
    blocks: dict[str, Lane] = {}
    groups = _members(case)
    for component, members in groups:
        rows = min(len(members), SHOWN)
        more = _more(members)
        height = _HEAD + rows * (_NODE_HEIGHT + _NODE_GAP) + (18 if more else 0)
        lane = blocks[component] = Lane(0, y, width, height, _title(component), more)
        lanes.append(lane)
        firsts[component] = [
            _node(case, one, 10, y + _HEAD + row * (_NODE_HEIGHT + _NODE_GAP), width - 20)
            for row, one in enumerate(members[:SHOWN])
        ]
        nodes += firsts[component]
        y += height + gap
    for upper, lower in _pairs(groups):
        top, bottom = blocks[upper].y + blocks[upper].height, blocks[lower].y
        role = firsts[lower][0].verdict if lower == "compute" else "flow"
        path = (
            f"M{width / 2:.0f} {bottom:.0f}V{top + 3:.0f}"
            if lower == "compute"
            else f"M{width / 2:.0f} {top:.0f}V{bottom - 3:.0f}"
        )
        edges.append(Edge(path, role))
    return Picture(width, max(y - gap, 0), lanes, nodes, edges)


def _members(case: Case) -> list[tuple[str, list[Suspect]]]:
    """Suspects by component, in the order of the lanes; the finding's own entities are there even without evidence."""
    heard = {one.entity: one for one in case.suspects()}
    finding = case.finding
    for name, component, verdict in (
        ("culprit_entity", finding["culprit_component"], "culprit"),
        ("victim_entity", finding["victim_component"], "victim"),
        ("culprit_via", None, "unknown"),
    ):
        entity = finding[name]
        if entity and entity not in heard:
            place = component or _TYPES.get(entity.partition(":")[0], "storage")
            heard[entity] = Suspect(entity, place, verdict, None, None, [])
    groups: dict[str, list[Suspect]] = {}
    for one in heard.values():
        groups.setdefault(one.component, []).append(one)
    order = [*LANES, *sorted(groups.keys() - LANES)]
    via = finding["culprit_via"]
    for members in groups.values():
        members.sort(key=lambda one: (one.entity != via, gravity(one.verdict), not one.entity.startswith(_SPINE)))
    return [(name, groups[name]) for name in order if name in groups]


def _pairs(groups: list[tuple[str, list[Suspect]]]) -> list[tuple[str, str]]:
    names = [name for name, _ in groups]
    return list(pairwise(names))


def _node(case: Case, one: Suspect, x: float, y: float, width: float) -> Node:
    kind, separator, name = words.visible(one.entity).partition(":")
    verdict = one.verdict if one.verdict in VERDICTS else "unknown"
    lines = _fit(name if separator else kind, int((width - 22) / 7.2))
    via = one.entity == case.finding["culprit_via"]
    return Node(
        x, y, width, _NODE_HEIGHT, words.visible(one.entity), kind, lines, verdict, SYMBOLS[verdict], _note(one), via
    )


def _note(one: Suspect) -> str:
    return f"{one.verdict}, {words.percent(one.share)}" if one.share else one.verdict


def _fit(name: str, room: int) -> list[str]:
    """A name on one line, or on two, the middle left out if it needs more."""
    if len(name) <= room:
        return [name]
    cut = max((name.rfind(mark, 0, room) for mark in "/-._"), default=-1) + 1
    if cut < room // 2 or len(name) - cut > room:
        cut = room
    rest = name[cut:]
    return [name[:cut], rest if len(rest) <= room else "…" + rest[-(room - 1) :]]


def _title(component: str) -> str:
    return LANES.get(component, words.visible(component).capitalize())


def _more(members: list[Suspect]) -> str:
    rest = members[SHOWN:]
    return f"and {len(rest)} more, see the suspects" if rest else ""


def _crowded(groups: list[tuple[str, list[Suspect]]]) -> bool:
    return any(len(members) > SHOWN for _, members in groups)


def _straight(start: Node, end: Node) -> Edge:
    y = start.y + _NODE_HEIGHT / 2
    return Edge(f"M{start.x + start.width:.0f} {y:.0f}H{end.x - 3:.0f}", "flow")


def _elbow(tenant: Node, volume: Node) -> Edge:
    """From a tenant leftwards into the volume: tenants are on its right, and join on the way."""
    x, y = tenant.x, tenant.y + _NODE_HEIGHT / 2
    target_x, target_y = volume.x + volume.width + 3, volume.y + _NODE_HEIGHT / 2
    if tenant.y == volume.y:
        return Edge(f"M{x:.0f} {y:.0f}H{target_x:.0f}", tenant.verdict)
    middle = (x + target_x) / 2
    return Edge(f"M{x:.0f} {y:.0f}H{middle:.0f}V{target_y + 9:.0f}H{target_x:.0f}", tenant.verdict)
