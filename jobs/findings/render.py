"""The steps' SQL, rendered from sql/ with a configuration. What comes out is golden-tested: it is what people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from afoot.config import Config, Topic

SEPARATOR = "\x1f"  # between the fields of a text that crosses between SQL and Python
RECORD_SEPARATOR = "\x1e"  # between such texts
NOTHING = "TO_TIMESTAMP_LTZ(0, 3)"  # an event time that never moves a watermark


def render(name: str, **values: Any) -> str:
    """The SQL of sql/`name`; a value that it asks for and is not given is an error."""
    return _environment().from_string((files("jobs.findings") / "sql" / name).read_text("utf-8")).render(**values)


def statements(script: str) -> list[str]:
    """The statements of a rendered script; a line that ends in a semicolon ends one."""
    found: list[str] = []
    for part in script.split(";\n"):
        lines = [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("--")]
        if lines:
            found.append("\n".join(lines).rstrip().removesuffix(";"))
    return found


def quoted(text: object) -> str:
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def unicode_literal(character: str) -> str:
    """A control character as an SQL literal."""
    return f"u&'\\{ord(character):04x}'"


def interval(ms: int) -> str:
    """Milliseconds as an SQL interval."""
    days, rest = divmod(ms, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"INTERVAL '{days} {hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}' DAY TO SECOND"


def watermark(topics: Sequence[Topic], ts: str = "ts") -> str:
    """The event time that a record of each topic promises: its own time less the lateness of its topic."""
    latest = max((t.lateness_ms for t in topics), default=0)
    others = [t for t in topics if t.lateness_ms != latest]
    if not others:
        return f"{ts} - {interval(latest)}"
    cases = " ".join(f"WHEN {_is_topic(t)} THEN {ts} - {interval(t.lateness_ms)}" for t in others)
    return f"CASE {cases} ELSE {ts} - {interval(latest)} END"


def _is_topic(topic: Topic) -> str:
    if topic.name is not None:
        return f"topic = {quoted(topic.name)}"
    return f"REGEXP(topic, {quoted(f'^(?:{topic.pattern})$')})"


def version_time(max_skew_ms: int, ts: str = "ts") -> str:
    """The version time of an inventory change; the record's time where a message states none, nothing for a tombstone.

    A version time far ahead of its record is no promise: it counts as the record's own.
    """
    paths = ("$.source.ts_ms", "$.payload.source.ts_ms", "$.__source_ts_ms", "$.payload.__source_ts_ms")
    stated = ", ".join(f"TRY_CAST(JSON_VALUE(CAST(v AS STRING), {quoted(p)}) AS BIGINT)" for p in paths)
    time = f"TO_TIMESTAMP_LTZ(COALESCE({stated}), 3)"
    return (
        f"CASE WHEN v IS NULL THEN {NOTHING} "
        f"WHEN COALESCE({stated}) IS NULL OR {time} > {ts} + {interval(max_skew_ms)} THEN {ts} ELSE {time} END"
    )


def topic_pattern(topics: Sequence[Topic]) -> str:
    """A regular expression (Java's) that matches the names and patterns of `topics`; nothing where there are none."""
    parts = [_java_quoted(t.name) if t.name is not None else f"(?:{t.pattern})" for t in topics]
    return "|".join(parts) or "(?!)"


def _java_quoted(name: str) -> str:
    return "".join(f"\\{c}" if not (c.isalnum() or c in "_-") else c for c in name)


def kafka_options(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Kafka client settings as the connector takes them."""
    return [(f"properties.{name}", value) for name, value in sorted(settings.items())]


def sink_options(config: Config, alerts_path: str | None) -> dict[str, str | None]:
    """Where alerts and dead letters go: with files for alerts, as a replay has them, nothing goes to Kafka."""
    on_kafka = alerts_path is None
    return {
        "alerts_topic": config.alerts_topic if on_kafka else None,
        "alerts_path": alerts_path,
        "dead_letters_topic": config.dead_letters_topic if on_kafka else None,
    }


@cache
def _environment() -> Environment:
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters["quoted"] = quoted
    return environment
