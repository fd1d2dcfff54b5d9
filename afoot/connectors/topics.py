"""Topics compared with their layout. What is missing is made; what is there is others' data, and stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from afoot.connectors.files import TopicLayout
from afoot.errors import AfootError
from afoot.kafka import PATIENCE_S, client_settings


class TopicState(NamedTuple):
    """A topic beside its layout: `differs` has a line for each setting that is another."""

    layout: TopicLayout
    there: bool
    differs: list[str]


class Topics:
    """The brokers' topics."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        self._servers = kafka.get("bootstrap.servers", "")
        try:
            self._admin = AdminClient({**client_settings(kafka), "log_level": "0"})
        except KafkaException as error:
            raise AfootError(f"[kafka]: the client refuses these settings: {_words(error)}") from error

    def compare(self, layouts: list[TopicLayout]) -> Iterator[TopicState]:
        """Each topic of the layout as it is now."""
        try:
            found = self._admin.list_topics(timeout=PATIENCE_S).topics
        except KafkaException as error:
            raise AfootError(
                f"brokers {self._servers} do not answer within {PATIENCE_S:.0f} s: {_words(error)}"
            ) from error
        for layout in layouts:
            if layout.name not in found:
                yield TopicState(layout, False, [])
                continue
            differs = []
            if (partitions := len(found[layout.name].partitions)) != layout.partitions:
                differs.append(f"partitions is {partitions}, the layout has {layout.partitions}")
            settings = self._settings(layout.name)
            for key, wanted in layout.config.items():
                if key not in settings:
                    differs.append(f"{key} is no setting that the brokers know, the layout has {wanted}")
                elif settings[key] != wanted:
                    differs.append(f"{key} is {settings[key]}, the layout has {wanted}")
            yield TopicState(layout, True, differs)

    def create(self, layout: TopicLayout) -> None:
        """Make a topic with the brokers' own replication; one that somebody made meanwhile is as good."""
        (made,) = self._admin.create_topics([NewTopic(layout.name, layout.partitions, config=layout.config)]).values()
        try:
            made.result(timeout=60)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise AfootError(f"topic {layout.name} cannot be created: {_words(error)}") from error

    def _settings(self, topic: str) -> dict[str, Any]:
        (future,) = self._admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        try:
            return {name: entry.value for name, entry in future.result(timeout=PATIENCE_S).items()}
        except KafkaException as error:
            raise AfootError(f"the settings of topic {topic} cannot be had: {_words(error)}") from error


def _words(error: KafkaException) -> str:
    found = error.args[0]
    return str(found.str()) if isinstance(found, KafkaError) else str(found)
