"""The folder of connectors: NAME.json with name and config, as Connect's REST interface takes them, and topics.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from afoot.errors import UsageError

TOPICS = "topics.yaml"


class Connector(NamedTuple):
    """A connector as its file has it; `config` is complete, its name included."""

    name: str
    config: dict[str, str]
    file: Path

    @property
    def plugin(self) -> str:
        """The class that runs it."""
        return self.config["connector.class"]


class TopicLayout(NamedTuple):
    """A topic as it should be; a setting that is not named is the brokers' own."""

    name: str
    partitions: int
    config: dict[str, str]
    why: str


def load_connectors(folder: Path) -> list[Connector]:
    """The connectors of a folder, by name; UsageError names the file, what was found and what is needed."""
    if not folder.is_dir():
        raise UsageError(f"--dir {folder}: there is no such folder; it holds the connectors, a JSON file each")
    found: dict[str, Connector] = {}
    for file in sorted(folder.glob("*.json")):
        connector = _connector(file)
        if connector.name in found:
            raise UsageError(f"{file}: {connector.name} is the name of {found[connector.name].file} already")
        found[connector.name] = connector
    if not found:
        raise UsageError(f"--dir {folder}: no file there ends in .json, so there is no connector")
    return [found[name] for name in sorted(found)]


def load_topics(folder: Path) -> list[TopicLayout]:
    """The topics of a folder's topics.yaml, in its order; none where there is no such file."""
    file = folder / TOPICS
    if not file.is_file():
        return []
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"{file}: is no YAML: {error}") from error
    if not isinstance(entries, list):
        raise UsageError(f"{file}: found {type(entries).__name__}, needed is a list of topics")
    return [_topic(file, number, entry) for number, entry in enumerate(entries, 1)]


def _connector(file: Path) -> Connector:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file}: is no JSON: {error}") from error
    if not isinstance(found, dict) or found.keys() != {"name", "config"}:
        raise UsageError(f"{file}: needed is an object with name and config, and nothing else")
    name, config = found["name"], found["config"]
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file}: name: found {name!r}, needed is a text")
    if not isinstance(config, dict):
        raise UsageError(f"{file}: config: found {type(config).__name__}, needed is an object")
    for key, value in config.items():
        if not isinstance(value, str):
            # Connect takes numbers and gives texts back: the configuration would never be as the file has it.
            raise UsageError(f"{file}: config: {key}: found {type(value).__name__}, needed is a text in quotes")
    if not config.get("connector.class"):
        raise UsageError(f"{file}: config: connector.class is missing; it names the plugin")
    if config.get("name", name) != name:
        raise UsageError(f"{file}: config: name is {config['name']!r}, and the connector's is {name!r}; leave it out")
    return Connector(name, {**config, "name": name}, file)


def _topic(file: Path, number: int, entry: Any) -> TopicLayout:
    where = f"{file}: topic {number}"
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise UsageError(f"{where}: needed is a name, with partitions, config and why")
    where = f"{file}: {entry['name']}"
    if unknown := entry.keys() - {"name", "partitions", "config", "why"}:
        raise UsageError(f"{where}: {', '.join(sorted(unknown))}: not known; allowed: name, partitions, config, why")
    partitions, config = entry.get("partitions"), entry.get("config", {})
    if type(partitions) is not int or partitions < 1:
        raise UsageError(f"{where}: partitions: found {partitions!r}, needed is a whole number from 1")
    if not isinstance(config, dict) or not all(isinstance(value, str) for value in config.values()):
        raise UsageError(f"{where}: config: needed are Kafka's topic settings, their values as texts in quotes")
    return TopicLayout(entry["name"], partitions, config, str(entry.get("why", "")))
