"""`afoot compact`: merges the many small files of days that are over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from afoot.cli import console
from afoot.errors import AfootError
from afoot.lake.compact import compact as compact_lake
from afoot.lake.storage import existing


def compact(
    lake: Annotated[str, typer.Option(help="The lake: a folder or s3://bucket/prefix.")],
    before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only days before this one. [default: today, UTC]")
    ] = None,
) -> None:
    """Merges the small files of days that are over; a run that was stopped is ended by the next.

    Example: afoot compact --lake s3://bucket/afoot
    """
    location = existing(lake)
    day = (before or datetime.now(UTC)).date()
    with console.progress(f"compacting {lake}") as step:
        try:
            done = compact_lake(location, day, report=lambda merged: step.say(merged.folder))
        except OSError as error:
            raise AfootError(f"lake {lake}: cannot be compacted: {error}; nothing is lost, run it again") from error
    files = sum(merged.files for merged in done)
    console.stdout().print(f"{files} files of {len(done)} partitions became {len(done)}")
