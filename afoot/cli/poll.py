"""`afoot poll`: an inventory without Kafka Connect."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from afoot.cli import console
from afoot.config import load_config
from afoot.durations import parse_duration_ms
from afoot.errors import AfootError, UsageError
from afoot.poll import Fenced, Poller, topic_of
from afoot.poll import poll as read_tables


def poll(
    config: Annotated[Path, typer.Option(help="afoot.toml")],
    command: Annotated[list[str], typer.Argument(help="After --: the program that prints the rows, JSON, one a line.")],
    topic: Annotated[str | None, typer.Option(help="Where there is more than one topic in the form of polls.")] = None,
    every: Annotated[str | None, typer.Option(help='Go on, with a poll each "30 s".')] = None,
) -> None:
    """Send what the inventory's tables hold, whole: -- psql -XqAt -f connectors/polled.sql"""
    loaded = load_config(config)
    pause_s = None if every is None else parse_duration_ms(every, "--every") / 1000
    with Poller(loaded.kafka, topic_of(loaded, topic)) as poller:
        while True:
            began = time.monotonic()
            try:
                records = read_tables(command)
                poller.send(records)
            except (Fenced, UsageError):
                raise
            except AfootError as error:
                if pause_s is None:
                    raise
                console.stderr().print(f"afoot: {error}; the next poll is in {every}", soft_wrap=True)
            else:
                if pause_s is None:
                    console.stdout().print(f"{poller.topic}: {len(records):,} rows")
                    return
            time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
