"""`afoot capture`: records topics, to be replayed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from afoot.captures import write_captures
from afoot.cli import console, outputs
from afoot.config import Config, load_config
from afoot.durations import parse_moment_ms
from afoot.errors import AfootError, UsageError
from afoot.kafka import Reader, Slice
from afoot.telemetry.rows import Message
from afoot.topics import silent


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
            there = reader.topics()
            slices = _slices(reader, loaded, there, from_ms, to_ms)
            total = sum(part.end - part.first for part in slices)
            step.say(f"reading {total:,} messages")
            seen: set[str] = set()
            read = reader.messages(slices, lambda done: step.to(done, total))
            found = _of_these_times(read, loaded, from_ms, to_ms, seen)
            first = next(found, None)
            if first is None:
                raise UsageError(
                    f"{config}: no configured topic holds records of these times; topics: {', '.join(there)}"
                )
            count = write_captures(output, chain([first], found))
    except AfootError as error:
        raise type(error)(loaded.described(str(error))) from error
    console.stdout().print(f"{output}: {count:,} messages of {len(seen)} topics")
    if quiet := _quiet(loaded, there, seen):
        console.stderr().print(f"no records of these times: {', '.join(quiet)}", soft_wrap=True)


def moment(text: str, where: str) -> int:
    """Epoch ms of an ISO 8601 time (UTC where it names no offset) or of a number of ms."""
    found = parse_moment_ms(text)
    if found is None:
        raise UsageError(f"{where} {text}: is no time; write 2026-05-09T01:30Z or epoch milliseconds")
    return found


def _slices(reader: Reader, config: Config, there: Mapping[str, list[int]], from_ms: int, to_ms: int) -> list[Slice]:
    return [
        part
        for topic in sorted(there)
        if config.topic_of(topic) is not None
        for part in reader.between(topic, there[topic], _begin_ms(config, topic, from_ms), to_ms)
    ]


def _begin_ms(config: Config, topic: str, from_ms: int) -> int:
    """The inventory as it stood then is all that was said of it before."""
    entry = config.topic_of(topic)
    return 0 if entry is not None and entry.kind == "inventory" else from_ms


def _of_these_times(
    messages: Iterable[Message], config: Config, from_ms: int, to_ms: int, seen: set[str]
) -> Iterator[Message]:
    """Those of the messages that are wanted; `seen` gets their topics."""
    begins: dict[str, int] = {}
    for message in messages:
        topic = message.topic
        if topic not in begins:
            begins[topic] = _begin_ms(config, topic, from_ms)
        if begins[topic] <= message.timestamp_ms < to_ms:
            seen.add(topic)
            yield message


def _quiet(config: Config, there: Collection[str], seen: Collection[str]) -> list[str]:
    """What is configured and gave nothing: topics, and entries that no topic is of."""
    topics = [topic for topic in sorted(there) if config.topic_of(topic) is not None and topic not in seen]
    return [*topics, *(f"{entry} (no such topic)" for entry in silent(config, there))]
