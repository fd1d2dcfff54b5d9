"""The chain as a picture: a lane a component, in the way of the data, each entity with its verdict.

Only geometry is decided here; the page's template draws it, and escapes what it writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from unicodedata import east_asian_width

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

_NODE_GAP, _HEAD = 12, 30
_WIDE, _TALL, _LANE_GAP, _LANE_MOST = 1120.0, 360.0, 28.0, 230.0
_INSET, PAD = 7.0, 9.0  # of a box in its lane, of text in its box
_LINES = 4  # of a name, at most
_LONGEST = 120  # characters of a name that a lane gets wider for
_PART = 100.0  # of a part of a name: up to this a lane has room for it in one piece
# Sizes of text as page.css has them, in the picture's units; what is not bold is a tenth narrower.
_TITLE, _MORE, _KIND, _NAME, _NOTE = 12.5, 11.0 * 0.9, 10.5 * 0.9, 12.5, 11.5
# Advance of a character in ems: a little more than in the widest of the usual bold fonts. page.js squeezes what is
# wider still.
_EMS = {
    0.44: "ijlI.,:;|!'`",
    0.54: "-/\\()[]frt ",
    0.9: "ABCDEFGHJKLNOPQRSTUVXYZ+<>=~#^&",
    1.15: "mwMW%@",
}
_EM = {character: em for em, characters in _EMS.items() for character in characters}


class Node(NamedTuple):
    """A box: `lines` hold the name, `note` the verdict in words; text may be `room` wide."""

    x: float
    y: float
    width: float
    height: float
    room: float
    entity: str
    kind: str
    lines: list[str]
    verdict: str
    symbol: str
    note: str
    via: bool


class Lane(NamedTuple):
    """A component's background and title, which may be `room` wide."""

    x: float
    y: float
    width: float
    height: float
    room: float
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
    """Lanes side by side, for a desk: each as wide as its names want, as far as there is room."""
    groups = _members(case)
    gaps = _LANE_GAP * (len(groups) - 1)
    widths = _widths([_least(case, *group) for group in groups], [members for _, members in groups], _WIDE - gaps)
    drawn = [_boxes(case, members, width - 2 * _INSET) for (_, members), width in zip(groups, widths, strict=True)]
    box = _box_height(drawn)
    tallest = max(map(len, drawn), default=0)
    height = _HEAD + tallest * (box + _NODE_GAP) + (18 if any(map(_more, (members for _, members in groups))) else 0)
    lanes, nodes, edges = [], [], []
    firsts: dict[str, list[Node]] = {}
    x = 0.0
    for (component, members), width, boxes in zip(groups, widths, drawn, strict=True):
        lanes.append(_lane(x, 0, width, height, component, members))
        firsts[component] = _placed(boxes, x + _INSET, _HEAD, box)
        nodes += firsts[component]
        x += width + _LANE_GAP
    for left, right in _pairs(groups):
        start, end = firsts[left][0], firsts[right][0]
        if right != "compute":
            edges.append(_straight(start, end))
        else:
            edges += [_elbow(tenant, start) for tenant in reversed(firsts[right])]
    return Picture(x - _LANE_GAP if groups else 0, height, lanes, nodes, edges)


def tall(case: Case) -> Picture:
    """Lanes one below the other, for a phone and for paper."""
    gap, y = 30.0, 0.0
    lanes, nodes, edges = [], [], []
    firsts: dict[str, list[Node]] = {}
    blocks: dict[str, Lane] = {}
    groups = _members(case)
    for component, members in groups:
        boxes = _boxes(case, members, _TALL - 2 * _INSET)
        box = _box_height([boxes])
        height = _HEAD + len(boxes) * (box + _NODE_GAP) + (18 if _more(members) else 0)
        lane = blocks[component] = _lane(0, y, _TALL, height, component, members)
        lanes.append(lane)
        firsts[component] = _placed(boxes, _INSET, y + _HEAD, box)
        nodes += firsts[component]
        y += height + gap
    for upper, lower in _pairs(groups):
        top, bottom = blocks[upper].y + blocks[upper].height, blocks[lower].y
        role = firsts[lower][0].verdict if lower == "compute" else "flow"
        path = (
            f"M{_TALL / 2:.0f} {bottom:.0f}V{top + 3:.0f}"
            if lower == "compute"
            else f"M{_TALL / 2:.0f} {top:.0f}V{bottom - 3:.0f}"
        )
        edges.append(Edge(path, role))
    return Picture(_TALL, max(y - gap, 0), lanes, nodes, edges)


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


def _lane(x: float, y: float, width: float, height: float, component: str, members: list[Suspect]) -> Lane:
    room = width - 2 * _INSET
    title = _fit(_title(component), room, _TITLE, 1)[0]
    return Lane(x, y, width, height, room, title, _more(members))


def _boxes(case: Case, members: list[Suspect], width: float) -> list[Node]:
    """The boxes of a lane, each still at the origin."""
    return [_node(case, one, width) for one in members[:SHOWN]]


def _placed(boxes: list[Node], x: float, y: float, height: float) -> list[Node]:
    """Boxes of one height, one below the other."""
    return [box._replace(x=x, y=y + row * (height + _NODE_GAP), height=height) for row, box in enumerate(boxes)]


def _box_height(lanes: Sequence[Sequence[Node]]) -> float:
    """What the longest name needs: boxes of a picture are of one height, so that a row is a row."""
    return 47.0 + 13 * max((len(box.lines) for boxes in lanes for box in boxes), default=1)


def _node(case: Case, one: Suspect, width: float) -> Node:
    kind, name = _named(one)
    verdict = one.verdict if one.verdict in VERDICTS else "unknown"
    room = width - 2 * PAD
    via = one.entity == case.finding["culprit_via"]
    return Node(
        x=0,
        y=0,
        width=width,
        height=0,
        room=room,
        entity=words.visible(one.entity),
        kind=_fit(kind + _shared(via), room, _KIND, 1)[0],
        lines=_fit(name, room, _NAME, _LINES),
        verdict=verdict,
        symbol=SYMBOLS[verdict],
        note=_fit(_note(one), room - _breadth(SYMBOLS[verdict] + " ", _NOTE), _NOTE, 1)[0],
        via=via,
    )


def _named(one: Suspect) -> tuple[str, str]:
    """Type and name of an entity; one without a type has its name twice."""
    kind, separator, name = words.visible(one.entity).partition(":")
    return kind, name if separator else kind


def _shared(via: bool) -> str:
    return " · shared" if via else ""


def _note(one: Suspect) -> str:
    return f"{words.visible(one.verdict)}, {words.percent(one.share)}" if one.share else words.visible(one.verdict)


def _widths(least: Sequence[float], lanes: Sequence[list[Suspect]], available: float) -> list[float]:
    """A width a lane, none below its least: what whole names need, then what saves a line at the lowest price."""
    wishes = [[_wish(members, lines) for lines in range(_LINES, 0, -1)] for members in lanes]
    widths = list(least)
    for upto in (1, _LINES):
        while True:
            room = available - sum(widths)
            more = [
                (wish - width, at)
                for at, width in enumerate(widths)
                for wish in wishes[at][:upto]
                if 0 < wish - width <= room
            ]
            if not more:
                break
            price, at = min(more)
            widths[at] += price
    spare = max(available - sum(widths), 0) / max(len(widths), 1)
    return [max(width, min(width + spare, _LANE_MOST)) for width in widths]


def _least(case: Case, component: str, members: list[Suspect]) -> float:
    """What a lane needs at least: for its title, for types, verdicts, and the parts of names in it."""
    needs = [_breadth(_title(component), _TITLE) - 2 * PAD, _breadth(_more(members), _MORE) - 2 * PAD]
    for one in members[:SHOWN]:
        shared = _shared(one.entity == case.finding["culprit_via"])
        needs.append(_breadth(_named(one)[0] + shared, _KIND))
        needs.append(_breadth(f"{SYMBOLS['culprit']} {_note(one)}", _NOTE))
        needs.append(min(max(_breadth(part, _NAME) for part in _parts(_named(one)[1][:_LONGEST])), _PART))
    return min(max(needs) + 2 * (PAD + _INSET) + 1, _LANE_MOST)


def _wish(members: list[Suspect], lines: int) -> float:
    """The narrowest lane in which every name stands whole in so many lines, and breaks at separators only."""
    names = [_parts(_named(one)[1][:_LONGEST]) for one in members[:SHOWN]]
    rooms = range(60, int(_LANE_MOST))
    wanted = (next((room for room in rooms if _stands(parts, room, lines)), int(_LANE_MOST)) for parts in names)
    return 2 * (PAD + _INSET) + max(wanted)


def _stands(parts: list[str], room: float, lines: int) -> bool:
    return all(_breadth(part, _NAME) <= room for part in parts) and len(_filled(parts, room, _NAME)) <= lines


def _fit(text: str, room: float, size: float, lines: int) -> list[str]:
    """`text` in at most so many lines, its middle left out if it needs more: whole parts of it where that will do."""
    parts, most = _parts(text), int(room / (size * min(_EMS)) + 1) * lines  # no more characters than this have room
    if len(text) <= most and len(filled := _filled(parts, room, size)) <= lines:
        return filled
    kept = min(len(text) - 1, most)
    if len(parts) <= most:
        spans = [(i, j) for i in range(1, len(parts)) for j in range(i + 1, len(parts))]
        spans.sort(key=lambda span: len("".join(parts[span[0] : span[1]])))
        for i, j in spans:
            whole = [*parts[:i], "…" + parts[j], *parts[j + 1 :]]
            if len("".join(whole)) < len(text) / 2:
                break
            if len(filled := _filled(whole, room, size)) <= lines:
                return filled
    while True:
        head, tail = text[: kept // 2], text[len(text) - (kept - kept // 2) :]
        filled = _filled([*_parts(head), "…", *_parts(tail)], room, size)
        if len(filled) <= lines or not kept:
            return filled
        kept -= 1


def _parts(name: str) -> list[str]:
    """A name cut behind its separators, where a line may end."""
    return re.findall(r"[^/\-._:@ ]*[/\-._:@ ]|[^/\-._:@ ]+", name) or [""]


def _filled(parts: Sequence[str], room: float, size: float) -> list[str]:
    """Lines filled with parts; a part that is wider than a line is broken where the line ends."""
    lines = [""]
    for part in parts:
        if lines[-1] and _breadth(lines[-1] + part, size) > room:
            lines.append("")
        for character in part:
            if lines[-1] and _breadth(lines[-1] + character, size) > room:
                lines.append("")
            lines[-1] += character
    return lines


def _breadth(text: str, size: float) -> float:
    """How wide a text is at most, in a usual font."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    wide = east_asian_width(character) in "WF" or not character.isascii()
    return _EM.get(character, 1.15 if wide else 0.76)


def _title(component: str) -> str:
    return LANES.get(component, words.visible(component).capitalize())


def _more(members: list[Suspect]) -> str:
    rest = members[SHOWN:]
    return f"and {len(rest)} more below" if rest else ""


def _straight(start: Node, end: Node) -> Edge:
    y = start.y + start.height / 2
    return Edge(f"M{start.x + start.width:.0f} {y:.0f}H{end.x - 3:.0f}", "flow")


def _elbow(tenant: Node, volume: Node) -> Edge:
    """From a tenant leftwards into the volume: tenants are on its right, and join on the way."""
    x, y = tenant.x, tenant.y + tenant.height / 2
    target_x, target_y = volume.x + volume.width + 3, volume.y + volume.height / 2
    if tenant.y == volume.y:
        return Edge(f"M{x:.0f} {y:.0f}H{target_x:.0f}", tenant.verdict)
    middle = (x + target_x) / 2
    return Edge(f"M{x:.0f} {y:.0f}H{middle:.0f}V{target_y + 9:.0f}H{target_x:.0f}", tenant.verdict)
