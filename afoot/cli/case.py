"""`afoot case`: one finding as a page that a person reads, or as a screen of text."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from afoot.casefile.case import load_case
from afoot.casefile.page import render_page
from afoot.casefile.text import render_text
from afoot.cli import console
from afoot.errors import UsageError
from afoot.lake.query import open_lake


class Format(StrEnum):
    """How a case is shown."""

    HTML = "html"
    TEXT = "text"


def case(
    finding_id: Annotated[str, typer.Argument(help="The finding, or the beginning of its id.")],
    lake: Annotated[str, typer.Option(help="The lake: a folder or s3://bucket/prefix.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="The page's file, - for standard output. [default: case-ID.html]"),
    ] = None,
    format: Annotated[Format, typer.Option(help="html: a page that stands alone; text: for a terminal.")] = Format.HTML,
) -> None:
    """One finding: the chain, the plots, the suspects and what clears or accuses them.

    Example: afoot case shared_volume_contention-3f --lake lake -o case.html
    """
    loaded = load_case(open_lake(lake), finding_id)
    if format is Format.TEXT:
        console.stdout().print(render_text(loaded))
        return
    page = render_page(loaded)
    if output == "-":
        sys.stdout.write(page)
        return
    path = Path(output or f"case-{_safe(loaded.finding['finding_id'])}.html")
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written: {error.strerror}") from error
    console.stdout().print(str(path), soft_wrap=True)


def _safe(finding_id: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in finding_id)
