"""OTLP/JSON log records: otlp_json for a topic of kind logs, under the name that a configuration may prefer."""

from __future__ import annotations

from afoot.telemetry.formats import Decoder
from afoot.telemetry.wire import otlp_json

KINDS = ("logs",)
OPTIONS: dict[str, str] = {}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of log records."""
    return otlp_json.make(kind, options, "otlp_logs")
