"""Flink's state, as far as tests without an engine need it."""

from __future__ import annotations

from typing import Any


class State(dict[str, Any]):
    """A map as Flink's broadcast state answers, as far as the inventory's log asks."""

    def put(self, name: str, value: Any) -> None:
        self[name] = value
