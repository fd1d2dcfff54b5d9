"""`afoot replay`: the job over captured messages in place of Kafka, to their end."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from afoot.cli import console, outputs
from afoot.cli.job import run_job
from afoot.config import load_config
from afoot.errors import UsageError
from afoot.lake.storage import ensure_writable, holds_findings
from afoot.recordings import Recordings, fetch, find


def replay(
    capture: Annotated[
        list[str],
        typer.Option(help="Files that afoot capture, simulate or kcat -C -J wrote; a folder or s3://bucket/prefix."),
    ],
    lake: Annotated[str, typer.Option(help="Where findings go: a folder or s3://bucket/prefix.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More files of the capture, as a shell's * gives.")] = None,
    alerts: Annotated[Path | None, typer.Option(help="A file for the alerts, one JSON object a line.")] = None,
    config: Annotated[Path | None, typer.Option(help="afoot.toml; without it, the default topics.")] = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of an archive: this day in UTC, and the inventory.")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to a lake that holds findings.")] = False,
) -> None:
    """Find what a capture holds: the same job as on Kafka, bounded, on an engine in this machine.

    A day of what afoot archive keeps: --capture s3://lake/raw --day 2026-05-09

    Example: afoot replay --capture night.jsonl.zst --lake lake --alerts alerts.jsonl
    """
    loaded = load_config(config)  # its errors before anything starts
    given = [*capture, *map(str, more or [])]
    # A file on this machine is read where it is; what lies elsewhere, or in many files, is copied first.
    files = [Path(one) for one in given if day is None and "://" not in one and not Path(one).is_dir()]
    for file in files:
        if not file.exists():
            raise UsageError(f"--capture {file}: no such file")
    inventory = loaded.inventory()
    found = [
        find(one, day.date() if day else None, lambda topic: any(entry.matches(topic) for entry in inventory))
        for one in given
        if Path(one) not in files
    ]
    if alerts is not None:
        outputs.ensure_file(alerts, "--alerts")
    if not append and holds_findings(lake):
        raise UsageError(f"--lake {lake}: holds findings already; give another one, or --append to add to these")
    ensure_writable(lake)
    with tempfile.TemporaryDirectory(prefix="afoot-replay-") as folder:
        replay_files([*files, *_fetched(found, Path(folder))], lake, alerts, config)


def _fetched(found: list[Recordings], folder: Path) -> list[Path]:
    """Copies of all that is not read where it is."""
    copies: list[Path] = []
    if found:
        total = sum(part.size for part in found)
        with console.progress("fetching the capture", total=float(total)) as step:
            for number, part in enumerate(found):
                place = folder / str(number)
                place.mkdir()
                copies += fetch(part, place, lambda done: step.to(done, total))
    return copies


def replay_files(files: list[Path], lake: str, alerts: Path | None = None, config: Path | None = None) -> None:
    """Replays captures into a lake, with progress on a terminal."""
    with tempfile.TemporaryDirectory(prefix="afoot-alerts-") as folder:
        arguments = ["--lake", lake, "--alerts-path", folder]
        if config is not None:
            arguments += ["--config", str(config)]
        arguments += ["--capture", *map(str, files)]
        with console.progress("starting", total=1.0) as step:

            def told(word: dict[str, object]) -> None:
                step.say(str(word["phase"]))
                part = word.get("part")
                step.to(float(part) if isinstance(part, int | float) else 0.0, 1.0)

            run_job(arguments, f"{lake} holds a part of the capture's findings", told)
        if alerts is not None:
            parts = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name[0] not in "._")
            alerts.write_bytes(b"".join(path.read_bytes() for path in parts))
