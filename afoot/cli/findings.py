"""`afoot findings`: the findings of a lake, as a table for people or as rows for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from afoot.casefile import words
from afoot.cli import console
from afoot.lake.layout import FINDINGS
from afoot.lake.query import Row, open_lake
from afoot.lake.query import findings as query_findings

SEVERITY_STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "cyan"}


class Format(StrEnum):
    """How findings are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def findings(
    lake: Annotated[str, typer.Option(help="The lake: a folder or s3://bucket/prefix.")],
    history: Annotated[bool, typer.Option("--history", help="Every revision, not only the latest.")] = False,
    format: Annotated[Format, typer.Option(help="json: one object a line; csv: with a header.")] = Format.TABLE,
) -> None:
    """The latest revision of each finding, or all of them.

    Example: afoot findings --lake s3://bucket/afoot --format json
    """
    opened = open_lake(lake)
    rows = query_findings(opened, history)
    if format is Format.JSON:
        for row in rows:
            sys.stdout.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n")
    elif format is Format.CSV:
        names = FINDINGS.columns.names
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_plain(row) for row in rows)
    else:
        console.stdout().print(findings_table(rows))
    if not rows:
        console.stderr().print(f"no findings in {opened.uri}")


def findings_table(rows: Sequence[Row]) -> Table:
    """Findings as a table that is readable in 100 columns."""
    table = Table(header_style="bold", show_lines=True, expand=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("culprit → via → victim", overflow="fold", ratio=5)
    table.add_column("share, runs", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=6)
    for row in rows:
        severity = Text(words.visible(row["severity"]), SEVERITY_STYLES.get(row["severity"], ""))
        table.add_row(Text("\n").join([severity, Text(row["state"])]), _chain(row), _share(row), _when(row), _what(row))
    return table


def _chain(row: Row) -> Text:
    component = words.visible(row["culprit_component"] or row["victim_component"])
    lines = [Text(f"{component} · {words.spaced(row['kind'])}", "dim")]
    lines.append(Text(words.visible(row["culprit_entity"]) or "unknown", "bold"))
    lines += [Text(f"→ {words.visible(row[name])}") for name in ("culprit_via", "victim_entity") if row[name]]
    return Text("\n").join(lines)


def _share(row: Row) -> str:
    runs = f"{row['runs_with_effect'] or 0} of {row['runs_seen']} runs" if row["runs_seen"] else ""
    return "\n".join(filter(None, [words.percent(row["culprit_share"]), runs]))


def _when(row: Row) -> str:
    rhythm = words.rhythm(row["recurrence_period_s"], row["recurrence_phase_s"])
    scheduled = words.visible(row["schedule_expression"])
    times = [words.day_time(row["window_start"]), words.day_time(row["window_end"])]
    return "\n".join(filter(None, [*times, rhythm, scheduled and f"cron {scheduled}"]))


def _what(row: Row) -> Text:
    return Text("\n").join(
        [Text(words.visible(row["summary"])), Text(f"id {words.visible(row['finding_id'].rpartition('-')[2])}", "dim")]
    )


def _plain(row: Row) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and value - value != 0:  # NaN and infinities are no JSON numbers
        return None
    return value
