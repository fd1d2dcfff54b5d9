"""`afoot doctor`: what is wrong with an installation, and what to change."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from afoot.cli import console
from afoot.config import load_config
from afoot.doctor import examine

STYLES = {"ok": "green", "look": "yellow", "wrong": "bold red"}


class Format(StrEnum):
    """How checks are printed."""

    TABLE = "table"
    JSON = "json"


def doctor(
    config: Annotated[Path, typer.Option(help="afoot.toml")],
    format: Annotated[Format, typer.Option(help="json: one object a line.")] = Format.TABLE,
) -> None:
    """Check brokers, topics, formats, event times, transactions and the lake. Exit status 1 if something is wrong.

    Example: afoot doctor --config afoot.toml
    """
    loaded = load_config(config)
    checks = []
    with console.progress("looking") as step:
        for check in examine(loaded):
            step.say(check.about)
            checks.append(check)
    if format is Format.JSON:
        for check in checks:
            sys.stdout.write(json.dumps(check._asdict()) + "\n")
    else:
        table = Table(header_style="bold", show_lines=False, expand=True)
        table.add_column("check", overflow="fold", ratio=3)
        table.add_column("", no_wrap=True)
        table.add_column("found", overflow="fold", ratio=6)
        table.add_column("what to do", overflow="fold", ratio=5)
        for check in checks:
            table.add_row(
                Text(check.about), Text(check.state, STYLES[check.state]), Text(check.found), Text(check.advice)
            )
        console.stdout().print(table)
    if any(check.state == "wrong" for check in checks):
        raise typer.Exit(1)
