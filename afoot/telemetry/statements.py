"""Rows of the inventory by senders that say again and again what is there: their ids, and how long they hold.

Ids are `type:scope/name`. A statement is of the time that its sender gives, and of no later one than its message's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afoot.errors import UsageError
from afoot.telemetry import limits
from afoot.telemetry.inventory import removed, upserted
from afoot.telemetry.payload import shown
from afoot.telemetry.rows import InventoryChange
from afoot.telemetry.values import Malformed, Refused

CLUSTER = ("cluster", "the label that names the cluster, where several send; ids then begin with its value")
EXPIRES = (
    "expires_s",
    "seconds after which what is not said again is gone, while its sender goes on; each page has its default",
)
VOLUME = ("volume", "the volume's name behind a persistent volume, with {handle} and {handle_} (- as _) in it")
OPTIONS: dict[str, str] = dict((CLUSTER, EXPIRES, VOLUME))
_MAX_EXPIRES_S = 30 * 86_400


class Settings:
    """A topic's options, read once."""

    def __init__(self, format_name: str, kind: str, options: Mapping[str, str]) -> None:
        for name in options:
            if kind != "inventory":
                raise UsageError(f"format {format_name!r} with kind {kind!r}: {name} is an option of kind inventory")
        self.cluster = options.get("cluster", "")
        self.volume = options.get("volume", "{handle}")
        expires = options.get("expires_s")
        self.expires_ms: int | None = None
        if expires is not None:
            if not expires.isdecimal() or not 1 <= int(expires) <= _MAX_EXPIRES_S:
                raise UsageError(
                    f"format {format_name!r}: expires_s is {expires!r}; 1 to {_MAX_EXPIRES_S} seconds are allowed"
                )
            self.expires_ms = int(expires) * 1_000
        rest = self.volume.replace("{handle_}", "").replace("{handle}", "")
        if "{" in rest or "}" in rest or rest == self.volume:
            raise UsageError(
                f"format {format_name!r}: volume is {self.volume!r}; a name with {{handle}} or {{handle_}} is needed"
            )

    def cluster_of(self, labels: Mapping[str, Any]) -> str:
        """The cluster that labels name, "" where none is asked for; Refused where it is, and they name none."""
        if not self.cluster:
            return ""
        found = labels.get(self.cluster)
        if type(found) is not str or not found:
            raise Refused(f"no label {self.cluster!r} names the cluster, which the option `cluster` asks for")
        return found

    def volume_of(self, handle: str) -> str:
        """The id of the volume with a driver's handle."""
        return f"volume:{self.volume.replace('{handle_}', handle.replace('-', '_')).replace('{handle}', handle)}"


class Statement:
    """The rows that one statement is: of one time, one source, one cluster."""

    def __init__(self, time_ms: int, source: str, holds_ms: int | None, cluster: str = "") -> None:
        if len(source) > limits.NAME_CHARS:
            raise Refused(f"its source has {len(source)} characters; at most {limits.NAME_CHARS} are allowed")
        self.time_ms = time_ms
        self.cluster = cluster
        self.rows: list[InventoryChange] = []
        self._source = source
        self._holds_ms = holds_ms

    def id(self, type_: str, *parts: object) -> str:
        """The id of what a cluster has: its namespace, if it has one, and its name."""
        for part in parts:
            if type(part) is not str:
                raise Malformed(f"the {type_}'s name is {shown(part)}; text is expected")
        return f"{type_}:{'/'.join(str(part) for part in (self.cluster, *parts) if part)}"

    def entity(
        self,
        entity_id: str,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        relations: Iterable[tuple[str, str]] | None = None,
        **columns: str,
    ) -> None:
        """An entity is there. `relations`, each (to_id, kind), are all that it has by this source."""
        row: dict[str, Any] = {"id": entity_id, "type": entity_id.partition(":")[0], "name": name, **columns}
        if attributes:
            row["attributes"] = dict(attributes)
        if relations is not None:
            row["relations"] = [list(relation) for relation in dict.fromkeys(relations)]
            for to_id, kind in row["relations"]:
                upserted("relation", {"from_id": entity_id, "to_id": to_id, "kind": kind}, self.time_ms, False)
        self._upsert("entity", row)

    def relation(self, from_id: str, kind: str, to_id: str, *, only: bool = False) -> None:
        """A relation holds; `only`: and none of its kind to anything else, by this source."""
        row: dict[str, Any] = {"from_id": from_id, "to_id": to_id, "kind": kind}
        self._upsert("relation", {**row, "only": True} if only else row)

    def schedule(
        self,
        entity_id: str,
        expression: str,
        timezone: str,
        command: str | None = None,
        schedule_id: str | None = None,
    ) -> None:
        """An entity runs by a schedule, which has its id unless it has one of its own; what it runs may not be said."""
        row = {"id": schedule_id or entity_id, "entity_id": entity_id, "expression": expression, "timezone": timezone}
        self._upsert("schedule", row if command is None else {**row, "command": command})

    def gone(self, table: str, **key: str) -> None:
        """A row is there no more."""
        self.rows.append(removed(table, key, self.time_ms)._replace(source=self._source))

    def _upsert(self, table: str, row: dict[str, Any]) -> None:
        change = upserted(table, row, self.time_ms, snapshot=False)
        self.rows.append(change._replace(source=self._source, holds_ms=self._holds_ms))
