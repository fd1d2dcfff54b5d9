"""`afoot replay`: the job over captured messages in place of Kafka, to their end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from afoot.cli import console, outputs
from afoot.cli.job import run_job
from afoot.config import load_config
from afoot.errors import UsageError
from afoot.lake.storage import ensure_writable, holds_findings


def replay(
    capture: Annotated[list[Path], typer.Option(help="Files that afoot capture, afoot simulate or kcat -C -J wrote.")],
    lake: Annotated[str, typer.Option(help="Where findings go: a folder or s3://bucket/prefix.")],
    more: Annotated[list[Path] | None, typer.Argument(help="More files of the capture, as a shell's * gives.")] = None,
    alerts: Annotated[Path | None, typer.Option(help="A file for the alerts, one JSON object a line.")] = None,
    config: Annotated[Path | None, typer.Option(help="afoot.toml; without it, the default topics.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to a lake that holds findings.")] = False,
) -> None:
    """Find what a capture holds: the same job as on Kafka, bounded, on an engine in this machine.

    Example: afoot replay --capture night.jsonl.zst --lake lake --alerts alerts.jsonl
    """
    load_config(config)  # its errors before anything starts
    files = [*capture, *(more or [])]
    for file in files:
        if not file.is_file():
            raise UsageError(f"--capture {file}: no such file")
    if alerts is not None:
        outputs.ensure_file(alerts, "--alerts")
    if not append and holds_findings(lake):
        raise UsageError(f"--lake {lake}: holds findings already; give another one, or --append to add to these")
    ensure_writable(lake)
    replay_files(files, lake, alerts, config)


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

            run_job(arguments, told)
        if alerts is not None:
            parts = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name[0] not in "._")
            alerts.write_bytes(b"".join(path.read_bytes() for path in parts))
