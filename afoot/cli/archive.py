"""`afoot archive`: keeps what topics hold, message by message, for replays of days long gone."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from afoot.archive import Archiver
from afoot.cli import console
from afoot.config import load_config
from afoot.durations import parse_duration_ms
from afoot.errors import AfootError
from afoot.lake.storage import ensure_writable


def archive(
    config: Annotated[Path, typer.Option(help="afoot.toml")],
    to: Annotated[str, typer.Option("--to", help="Where it goes: a folder or s3://bucket/prefix.")],
    every: Annotated[str, typer.Option(help="How often files are written; more often where much arrives.")] = "5 min",
    once: Annotated[bool, typer.Option("--once", help="Archive what is there by now, and end.")] = False,
) -> None:
    """Keep every message of the configured topics, until stopped; afoot replay --capture repeats a day of it.

    Example: afoot archive --config afoot.toml --to s3://lake/raw
    """
    loaded = load_config(config)
    every_s = parse_duration_ms(every, "--every") / 1000
    ensure_writable(to, "archive")
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    try:
        archiver = Archiver(loaded, to, every_s, lambda text: console.stderr().print(f"afoot: {text}", soft_wrap=True))
        archiver.run(lambda: not stopped, once)
    except AfootError as error:
        raise type(error)(loaded.described(str(error))) from error
    console.stdout().print(f"{to}: {archiver.written:,} messages", soft_wrap=True)
