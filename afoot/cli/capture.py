"""`afoot capture`: records topics, to be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afoot.captures import write_captures
from afoot.cli import console, outputs
from afoot.config import Config, load_config
from afoot.durations import parse_moment_ms
from afoot.errors import AfootError, UsageError
from afoot.kafka import Reader, Slice


def capture(
    config: Annotated[Path, typer.Option(help="afoot.toml")],
    begin: Annotated[str, typer.Option("--from", help="First record time: 2026-05-09T01:30Z, or epoch ms.")],
    end: Annotated[str, typer.Option("--to", help="Record time to stop before, likewise.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A file; .gz and .zst are compressed.")],
) -> None:
    """Record what the configured topics held between two times; afoot replay reads it.

    Example: afoot capture --config afoot.toml --from 2026-05-09T01:30Z --to 2026-05-09T04:00Z -o night.jsonl.zst
    """
    loaded = load_config(config)
    from_ms, to_ms = moment(begin, "--from"), moment(end, "--to")
    if from_ms >= to_ms:
        raise UsageError(f"--from {begin} is not before --to {end}; nothing would be recorded")
    outputs.ensure_file(output, "-o")
    try:
        with Reader(loaded.kafka) as reader, console.progress("looking for the records") as step:
            slices = _slices(reader, loaded, from_ms, to_ms)
            total = sum(part.end - part.first for part in slices)
            step.say(f"recording {total:,} messages")
            count = write_captures(output, reader.messages(slices, lambda done: step.to(done, total)))
    except AfootError as error:
        raise type(error)(loaded.described(str(error))) from error
    console.stdout().print(f"{output}: {count:,} messages of {len({part.topic for part in slices})} topics")


def moment(text: str, where: str) -> int:
    """Epoch ms of an ISO 8601 time (UTC where it names no offset) or of a number of ms."""
    found = parse_moment_ms(text)
    if found is None:
        raise UsageError(f"{where} {text}: is no time; write 2026-05-09T01:30Z or epoch milliseconds")
    return found


def _slices(reader: Reader, config: Config, from_ms: int, to_ms: int) -> list[Slice]:
    there = reader.topics()
    found: list[Slice] = []
    for topic in sorted(there):
        entry = config.topic_of(topic)
        if entry is not None:
            # The inventory as it stood then is all that was said of it before.
            begin_ms = 0 if entry.kind == "inventory" else from_ms
            found += reader.between(topic, there[topic], begin_ms, to_ms)
    if not found:
        raise UsageError(
            f"{config.source}: no configured topic holds records of these times; topics: {', '.join(there)}"
        )
    return found
