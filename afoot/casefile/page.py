"""A case as one HTML file that needs nothing else: no network, no fonts, no scripts but its own few lines."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from afoot import __version__
from afoot.casefile import chain, plots, words
from afoot.casefile.case import Case, Suspect, remark
from afoot.lake.query import Row

COMMANDS = 8  # kcat commands shown for a suspect; ranges beyond are counted

# Who did what to whom, by kind; {culprit}, {victim} and {via} are entities.
_DEEDS = {
    "shared_volume_contention": "{culprit} slows {victim} through {via}",
    "slow_consumer": "{culprit} reads more slowly than data arrives on {via}",
    "rebalance_stall": "{culprit} stands still to rebalance",
    "rate_limited": "{culprit} uses up the rate that {victim} needs at {via}",
    "load_spike": "{culprit} loads {victim} far beyond its usual traffic",
    "fan_in": "{culprit} is answered by too many at once, and {victim} waits",
    "rogue_host": "{culprit} behaves like a host that does not belong here",
    "not_ready": "{culprit} is not ready, and {victim} waits",
    "upstream_load": "{culprit} takes in more than {victim} keeps up with",
    "expected_job": "{culprit} runs as scheduled and harms nobody",
    "overdue_job": "{culprit} did not run as it was scheduled to",
    "unexplained": "{victim} suffers, and nobody can be named",
}


class Range(NamedTuple):
    """Messages of a partition, first and last offset, and the command that reads them."""

    topic: str
    partition: int
    first: int
    last: int
    command: str


def render_page(case: Case) -> str:
    """The whole page as HTML text."""
    runs, closer = case.runs(), case.closer()
    cases = [case, closer] if closer else [case]
    views = [plots.view(one, runs) for one in cases]
    script = _text("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            case=case,
            finding=case.finding,
            headline=headline(case.finding),
            rhythm=recurrence(case.finding),
            heard_during=heard_during(case),
            suspects=case.suspects(),
            pictures=[("wide", chain.wide(case)), ("tall", chain.tall(case))],
            description=chain.describe(case),
            chain_pad=chain.PAD,
            symbols=chain.SYMBOLS,
            overview=views[0],
            closer=views[1] if closer else None,
            runs=runs,
            fold=plots.fold(case),
            box=plots,
            readings=Markup(_json([plots.readings(*pair) for pair in zip(cases, views, strict=True)])),
            style=Markup(_text("page.css")),
            script=Markup(script),
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            spark=lambda row: plots.sparkline(case, row["entity"], row["signal"]),
            ranges=ranges,
            remark=remark,
            commands=COMMANDS,
            version=__version__,
        )
    )


def headline(finding: Row) -> Markup:
    """Who did what to whom, as HTML; without an entity that the sentence needs, a plainer one."""
    names = {"culprit": finding["culprit_entity"], "via": finding["culprit_via"], "victim": finding["victim_entity"]}
    deed = _DEEDS.get(finding["kind"], "{culprit} harms {victim}")
    if any(not names[name] and f"{{{name}}}" in deed for name in names):
        present = " → ".join(f"{{{name}}}" for name in names if names[name])
        deed = f"{{kind}}: {present}" if present else "{kind}"
    marked = {name: Markup('<span class="id {}">{}</span>').format(name, parted(names[name])) for name in names}
    return Markup(deed).format(**marked, kind=words.visible(words.spaced(finding["kind"])).capitalize())


def parted(entity: str | None) -> Markup:
    """An id as HTML that ends a line at its separators, and within a part only where the part alone is too long."""
    parts = re.findall(r"[^:/]*[:/]|[^:/]+", words.visible(entity))
    return Markup("").join(Markup('<span class="part">{}</span>').format(part) for part in parts)


def heard_during(case: Case) -> str:
    """The time that the numbers of the evidence are of; "" without evidence."""
    if not case.evidence:
        return ""
    starts, ends = ([row[name] for row in case.evidence] for name in ("window_start", "window_end"))
    return words.span(min(starts), max(ends))


def recurrence(finding: Row) -> str:
    """The rhythm found in the data, else nothing."""
    return words.rhythm(finding["recurrence_period_s"], finding["recurrence_phase_s"])


def ranges(suspect: Suspect) -> list[Range]:
    """The messages that a suspect's evidence rests on, merged to ranges, each with a command that reads it."""
    spans = sorted(
        (point["topic"], point["partition"], point["first_offset"], point["last_offset"])
        for row in suspect.evidence
        for point in row["pointers"] or []
    )
    return [Range(*span, command=_kcat(*span)) for span in _merged(spans)]


def _merged(spans: Iterable[tuple[str, int, int, int]]) -> list[tuple[str, int, int, int]]:
    merged: list[tuple[str, int, int, int]] = []
    for topic, partition, first, last in spans:
        if merged and merged[-1][:2] == (topic, partition) and first <= merged[-1][3] + 1:
            merged[-1] = (topic, partition, merged[-1][2], max(last, merged[-1][3]))
        else:
            merged.append((topic, partition, first, last))
    return merged


def _kcat(topic: str, partition: int, first: int, last: int) -> str:
    count = last - first + 1
    return f'kcat -C -e -b "$BROKERS" -t {shlex.quote(words.visible(topic))} -p {partition} -o {first} -c {count}'


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("afoot.casefile", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: words.visible(value) if type(value) is str else value,  # markup is of another type
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        quantity=words.quantity,
        percent=words.percent,
        spaced=words.spaced,
        cron=words.cron,
        day_time=words.day_time,
        certainty=words.certainty,
        parted=parted,
    )
    environment.globals["span"] = words.span
    return environment


def _json(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return resources.files("afoot.casefile").joinpath("page", name).read_text("utf-8")
