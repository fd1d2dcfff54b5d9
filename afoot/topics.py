"""Which topics of a configuration are there, and what follows where one is not."""

from __future__ import annotations

from collections.abc import Collection

from afoot.config import Config, Topic
from afoot.kafka import Reader

CREATION = "auto.create.topics.enable"


def outputs(config: Config) -> list[tuple[str, str]]:
    """The tables that name a topic to write to, each with its topic."""
    named = (("alerts", config.alerts_topic), ("dead_letters", config.dead_letters_topic))
    return [(table, topic) for table, topic in named if topic is not None]


def silent(config: Config, there: Collection[str]) -> list[Topic]:
    """The entries whose name or pattern is that of no topic."""
    matched = {config.topic_of(name) for name in there}
    return [entry for entry in config.topics if entry not in matched]


def made_by_brokers(reader: Reader) -> bool | None:
    """Whether writing to a topic makes it; None where the brokers do not tell."""
    found = reader.broker_setting(CREATION)
    return None if found is None else found == "true"


def advice(table: str, topic: str) -> str:
    """What follows from an output topic that is not there and that nobody will make, and what to do."""
    return (
        f"the job would stall at its first checkpoint and write nothing: create {topic}, let the client see it, "
        f"or leave [{table}] topic out"
    )
