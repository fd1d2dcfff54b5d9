"""`afoot connectors`: brings Kafka Connect and the topics to what the folder connectors/ says, and says how they do."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from afoot.cli import console
from afoot.config import load_config
from afoot.connectors import sync
from afoot.connectors.files import TOPICS, load_connectors, load_topics
from afoot.connectors.rest import Worker
from afoot.connectors.secrets import Secrets
from afoot.connectors.topics import Topics, TopicState
from afoot.errors import AfootError

STYLES = {"running": "green", "there": "green", "failed": "bold red", "missing": "bold red"}
Url = Annotated[str, typer.Option("--connect", help="A worker's REST address: http://HOST:8083.")]
Folder = Annotated[Path, typer.Option("--dir", help="The folder of the connectors.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="afoot.toml, for its brokers: topics too.")]


class Format(StrEnum):
    """How states are printed."""

    TABLE = "table"
    JSON = "json"


def apply(
    connect: Url,
    dir: Folder = Path("connectors"),
    config: ConfigFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Create and change what differs from the folder, topics that are missing first; a second time does nothing."""
    connectors, worker = load_connectors(dir), Worker(connect)
    worker.version()
    # All are looked at before any is touched.
    plans = [sync.plan(worker, connector) for connector in connectors]
    _apply_topics(dir, config, dry_run)
    failed = []
    for plan in plans:
        name, done = plan.connector.name, "unchanged"
        if plan.differences:
            done = ("would be " if dry_run else "") + ("created" if plan.new else "changed")
        _say(f"connector {name}: {done}")
        for difference in plan.differences:
            for sign, value in (("-", difference.there), ("+", difference.wanted)):
                if value is not None:
                    _say(f"  {sign} {difference.key} = {value}")
        if dry_run:
            continue
        with console.progress(f"waiting for {name}"):
            state = sync.carry_out(worker, plan)
        _say(f"connector {name}: {_words(state)}")
        if state.state != "running":
            failed.append(name)
    if failed:
        raise AfootError(f"{', '.join(failed)}: not running; mend the cause, then: afoot connectors restart")


def status(
    connect: Url,
    dir: Folder = Path("connectors"),
    config: ConfigFile = None,
    format: Annotated[Format, typer.Option(help="json: one object a line.")] = Format.TABLE,
) -> None:
    """Say how connectors and topics do, and where they differ from the folder. Exit status 1 if one does not run."""
    connectors, worker = load_connectors(dir), Worker(connect)
    worker.version()
    rows = []
    for connector in connectors:
        there = worker.config(connector.name)
        secrets = Secrets((), connector.config, there)
        state = sync.state(worker, connector.name, secrets)
        keys = [d.key for d in sync.differences(there, connector.config, secrets)] if there is not None else []
        found = state.cause or (f"{state.running} of {state.tasks} tasks run" if there is not None else "")
        if keys:
            found += f"{'; ' if found else ''}differs from {connector.file.name}: {', '.join(keys)}"
        rows.append({"kind": "connector", "name": connector.name, "state": state.state, "found": found})
    rows += [
        {
            "kind": "topic",
            "name": topic.layout.name,
            "state": "there" if topic.there else "missing",
            "found": "; ".join(topic.differs) if topic.there else topic.layout.why,
        }
        for topic in _topics(dir, config)[1]
    ]
    if format is Format.JSON:
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
    else:
        console.stdout().print(_table(rows))
    if any(row["state"] != "running" for row in rows if row["kind"] == "connector"):
        raise typer.Exit(1)


def restart(
    connect: Url,
    names: Annotated[list[str] | None, typer.Argument(help="Connectors; all of the folder if none is named.")] = None,
    dir: Folder = Path("connectors"),
    everything: Annotated[bool, typer.Option("--all", help="What runs, too, and not only what failed.")] = False,
) -> None:
    """Restart what failed, after its cause is mended."""
    worker = Worker(connect)
    worker.version()
    failed = []
    for name in names or [connector.name for connector in load_connectors(dir)]:
        with console.progress(f"waiting for {name}"):
            state = sync.restart(worker, name, everything)
        _say(f"connector {name}: {_words(state)}")
        if state.state != "running":
            failed.append(name)
    if failed:
        raise AfootError(f"{', '.join(failed)}: not running")


def _apply_topics(folder: Path, config: Path | None, dry_run: bool) -> None:
    topics, states = _topics(folder, config)
    for layout, there, differs in states:
        if topics is not None and not there:
            if not dry_run:
                topics.create(layout)
            settings = "".join(f", {key} {value}" for key, value in layout.config.items())
            done = "would be created" if dry_run else "created"
            _say(f"topic {layout.name}: {done} with {layout.partitions} partition(s){settings}")
        for line in differs:
            _say(f"topic {layout.name}: {line}; it stays as it is")


def _topics(folder: Path, config: Path | None) -> tuple[Topics | None, list[TopicState]]:
    """The brokers' topics and their states; nothing where no configuration names the brokers."""
    layouts = load_topics(folder)
    if config is None:
        if layouts:
            remark = f"the topics of {folder / TOPICS} are not looked at: --config names the brokers"
            console.stderr().print(remark, soft_wrap=True)
        return None, []
    topics = Topics(load_config(config).kafka)
    return topics, list(topics.compare(layouts))


def _words(state: sync.State) -> str:
    tasks = f"{state.running} of {state.tasks} tasks run"
    return f"{state.state}, {tasks}" + (f": {state.cause}" if state.cause else "")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold", expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("name", overflow="fold", ratio=3)
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=8)
    for row in rows:
        style = STYLES.get(row["state"], "yellow")
        table.add_row(row["kind"], Text(row["name"]), Text(row["state"], style), Text(row["found"]))
    return table


def _say(line: str) -> None:
    console.stdout().print(line, soft_wrap=True)
