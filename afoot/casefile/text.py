"""A case as one screen of text, for terminals."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from afoot.casefile import words
from afoot.casefile.case import Case, Suspect
from afoot.casefile.chain import SYMBOLS
from afoot.casefile.page import headline, recurrence
from afoot.lake.query import Row

_STYLES = {
    "culprit": "bold red",
    "contributor": "yellow",
    "victim": "bold magenta",
    "cleared": "green",
    "unknown": "bright_black",
}


def render_text(case: Case) -> RenderableType:
    """The case in short: who, what, since when, how sure; the suspects with their numbers; what to do."""
    finding = case.finding
    title = Text(headline(finding).striptags(), "bold")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bright_black", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(finding):
        facts.add_row(name, Text(value))
    border = "red" if finding["severity"] == "critical" else "yellow" if finding["severity"] == "warning" else "cyan"
    state = Text(f"{words.visible(finding['severity'])} · {words.visible(finding['state'])}")
    head = Panel(
        Group(title, Text(words.visible(finding["summary"])), Text(), facts),
        title=state,
        title_align="left",
        border_style=border,
    )
    return Group(head, _suspects(case.suspects()))


def _facts(finding: Row) -> list[tuple[str, str]]:
    facts = [("since", words.span(finding["window_start"], finding["window_end"]))]
    if finding["victim_entity"]:
        observed, expected = (
            words.quantity(finding[f"victim_{name}"], finding["victim_unit"]) for name in ("observed", "expected")
        )
        facts.append((words.spaced(words.visible(finding["victim_signal"])), f"{observed}, expected {expected}"))
    if finding["culprit_share"] is not None:
        facts.append(("share", f"{words.percent(finding['culprit_share'])} of the excess"))
    facts.append(
        ("how sure", f"{words.certainty(finding['confidence'])}, confidence {words.percent(finding['confidence'])}")
    )
    if recurrence(finding):
        runs = f"{finding['runs_with_effect'] or 0} of {finding['runs_seen'] or 0} runs had the effect"
        facts.append(("recurs", f"{recurrence(finding)}; {runs}"))
    if finding["schedule_expression"]:
        facts.append(
            ("schedule", words.visible(f"{finding['schedule_expression']} {finding['schedule_command'] or ''}".strip()))
        )
    if finding["remedy"]:
        facts.append(("what to do", words.visible(finding["remedy"])))
    return facts


def _suspects(suspects: list[Suspect]) -> Table:
    table = Table(header_style="bold", expand=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("suspect", overflow="fold", ratio=3)
    table.add_column("share", no_wrap=True, justify="right")
    table.add_column("numbers", overflow="fold", ratio=4)
    for one in suspects:
        verdict = Text(f"{SYMBOLS.get(one.verdict, '?')} {words.visible(one.verdict)}", _STYLES.get(one.verdict, ""))
        share = "" if one.share is None else words.percent(one.share)
        table.add_row(verdict, Text(words.visible(one.entity)), share, Text("\n".join(map(_numbers, one.evidence))))
    return table


def _numbers(row: Row) -> str:
    name, observed = words.spaced(words.visible(row["signal"])), words.quantity(row["observed"], row["unit"])
    return f"{name} {observed}" + (
        f", expected {words.quantity(row['expected'], row['unit'])}" if row["expected"] is not None else ""
    )
