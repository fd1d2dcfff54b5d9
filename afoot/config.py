"""afoot.toml: what the job reads, how long it waits, and where its findings go.

Kafka client settings pass through under their own names. Secrets come from the environment (`${NAME}` in a value)
or from files (`${file:PATH}`), and are never printed: `Config.described()` masks every value that came from either.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from afoot import kafka_settings
from afoot.durations import parse_duration_ms, parse_moment_ms
from afoot.errors import UsageError
from afoot.privacy import policy
from afoot.privacy.policy import Policy
from afoot.telemetry import formats

KINDS = ("metrics", "logs", "flows", "inventory")
_REFERENCE = re.compile(r"\$\{(file:)?([^}]+)\}")
_ELSEWHERE = "allowed are ${NAME} and ${file:PATH}; no secret stands in this file"


@dataclass(frozen=True)
class Topic:
    """A topic (or all that match a pattern): one kind, one format, and how late its points may be."""

    name: str | None
    pattern: str | None
    kind: str
    format: str
    lateness_ms: int = 30_000
    options: Mapping[str, str] = field(default_factory=dict, hash=False)  # the format's own

    def matches(self, topic: str) -> bool:
        """Whether messages of `topic` are this entry's."""
        return topic == self.name if self.name is not None else re.fullmatch(self.pattern or "", topic) is not None

    def __str__(self) -> str:
        return self.name if self.name is not None else f"/{self.pattern}/"


@dataclass(frozen=True)
class Flink:
    """How the engine runs the job."""

    checkpoints: str | None = None
    checkpoint_interval_ms: int = 30_000
    parallelism: int = 2
    state_backend: str = "hashmap"
    batch: int | None = None  # messages decoded at a time; None: as batches.py has it
    judge_apart: bool = False  # in a slot, and so a Python process, of its own
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """Task slots that the job takes."""
        return self.parallelism + self.judge_apart


@dataclass(frozen=True)
class Window:
    """Event-time windows and what may hold them back."""

    size_ms: int = 60_000
    max_skew_ms: int = 60_000
    idle_after_ms: int = 60_000
    inventory_idle_after_ms: int = 600_000
    shards: int = 8


@dataclass(frozen=True)
class Config:
    """A whole configuration, defaults filled in."""

    topics: tuple[Topic, ...]
    kafka: Mapping[str, str] = field(default_factory=dict)
    start: str = "earliest"  # or latest, or epoch ms
    window: Window = Window()
    flink: Flink = Flink()
    lake: str | None = None
    all_signals: bool = False
    alerts_topic: str | None = None
    dead_letters_topic: str | None = None
    catalogue_files: tuple[str, ...] = ()
    rules_file: str | None = None
    privacy: Policy | None = None
    source: str = "defaults"
    secrets: frozenset[str] = frozenset()

    def topic_of(self, name: str) -> Topic | None:
        """The entry that says what the messages of topic `name` are, None where no entry does."""
        return next((t for t in self.topics if t.matches(name)), None)

    def telemetry(self) -> tuple[Topic, ...]:
        """The topics that carry metrics, logs and flows."""
        return tuple(t for t in self.topics if t.kind != "inventory")

    def inventory(self) -> tuple[Topic, ...]:
        """The topics that carry the inventory's changes."""
        return tuple(t for t in self.topics if t.kind == "inventory")

    def described(self, text: str) -> str:
        """`text` with every secret of this configuration masked."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


DEFAULT_TOPICS = (
    Topic("telemetry.metrics", None, "metrics", "otlp_json"),
    Topic("telemetry.cloudwatch", None, "metrics", "cloudwatch_metric_stream", 600_000),
    Topic("telemetry.logs", None, "logs", "fluent_bit"),
    Topic("telemetry.flows", None, "flows", "goflow2_json"),
    Topic("inventory", None, "inventory", "debezium_json"),
    Topic(None, r"(.*\.)?inventory\.(entity|relation|schedule|heartbeat)", "inventory", "debezium_json"),
)

_TABLES = {
    "kafka": None,  # client settings under their own names, and `start`
    "topic": {"name", "pattern", "kind", "format", "lateness"},  # and the options of its format
    "window": {"size", "max_skew", "idle_after", "inventory_idle_after", "shards"},
    "flink": {"checkpoints", "checkpoint_interval", "parallelism", "state_backend", "batch", "judge_apart", "settings"},
    "lake": {"uri", "all_signals"},
    "alerts": {"topic"},
    "dead_letters": {"topic"},
    "catalogue": {"files"},
    "rules": {"file"},
    "privacy": {
        "key",
        "addresses",
        "ipv4_bits",
        "ipv6_bits",
        "scrub",
        "patterns",
        "drop_labels",
        "hash_labels",
        "dead_letters",
        "dead_letters_key",
    },
}


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint that names the closest allowed word, and all of them."""
    known = sorted(allowed)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def load_config(path: str | Path | None, *, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`; the default topics and no Kafka where `path` is None.

    Raises UsageError naming file, table and key, with what is allowed.
    """
    if path is None:
        return Config(DEFAULT_TOPICS)
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; nothing was started") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    return _Reader(str(path), environment).config(document)


class _Reader:
    """Reads one document; keeps the file's name for errors and the secrets it met for masking."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self.path = path
        self.environment = environment
        self.secrets: set[str] = set()

    def config(self, document: Mapping[str, Any]) -> Config:
        for table in document:
            if table not in _TABLES:
                raise UsageError(f"{self.path}: unknown table [{table}]; {nearest(table, _TABLES)}")
        read = {name: self._table(document, name) for name in _TABLES if name != "topic"}
        topics = tuple(self._topic(i, entry) for i, entry in enumerate(self._topics(document)))
        kafka = dict(read["kafka"])
        start = self._start(kafka.pop("start", "earliest"))
        settings = read["flink"].get("settings", {})
        if not isinstance(settings, dict):
            raise UsageError(f"{self.path}: [flink] settings: found {settings!r}, allowed is a table of Flink options")
        lake = read["lake"].get("uri")
        return Config(
            topics=topics or DEFAULT_TOPICS,
            kafka={k: self._client(k, v) for k, v in kafka.items()},
            start=start,
            window=self._window(read["window"]),
            flink=Flink(
                checkpoints=self._optional(read["flink"], "flink", "checkpoints"),
                checkpoint_interval_ms=self._duration(read["flink"], "flink", "checkpoint_interval", 30_000),
                parallelism=self._count(read["flink"], "flink", "parallelism", 2),
                state_backend=self._one_of(read["flink"], "flink", "state_backend", ("hashmap", "rocksdb")),
                batch=self._count(read["flink"], "flink", "batch", 0, 100_000) if "batch" in read["flink"] else None,
                judge_apart=self._flag(read["flink"], "flink", "judge_apart"),
                settings={k: self._text(v, f"[flink.settings] {k}") for k, v in settings.items()},
            ),
            lake=None if lake is None else self._place(lake, "[lake] uri"),
            all_signals=self._flag(read["lake"], "lake", "all_signals"),
            alerts_topic=self._optional(read["alerts"], "alerts", "topic"),
            dead_letters_topic=self._optional(read["dead_letters"], "dead_letters", "topic"),
            catalogue_files=tuple(self._files(read["catalogue"].get("files", []))),
            rules_file=self._beside(read["rules"]["file"], "[rules] file") if "file" in read["rules"] else None,
            privacy=self._privacy(read["privacy"]) if "privacy" in document else None,
            source=self.path,
            secrets=frozenset(self.secrets),
        )

    def _table(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"{self.path}: {name}: found {table!r}, allowed is a table, written [{name}]")
        allowed = _TABLES[name]
        for key in table:
            if allowed is not None and key not in allowed:
                raise UsageError(f"{self.path}: [{name}] unknown key {key!r}; {nearest(key, allowed)}")
        return _flattened(table) if name == "kafka" else table

    def _start(self, value: object) -> str:
        """Where reading begins: earliest, latest, or epoch ms; TOML's own times are times as well."""
        text = value.isoformat() if isinstance(value, date) else self._text(value, "[kafka] start")
        if text in ("earliest", "latest"):
            return text
        ms = parse_moment_ms(text)
        if ms is None or ms < 0:
            raise UsageError(
                f"{self.path}: [kafka] start: found {text!r}, allowed are earliest, latest, epoch milliseconds "
                "and a time such as 2026-05-09T01:30Z"
            )
        return str(ms)

    def _client(self, name: str, value: object) -> str:
        """A setting of the Kafka clients, whose secrets stand elsewhere."""
        hint = kafka_settings.unknown(name)
        if hint is not None:
            raise UsageError(f"{self.path}: [kafka] unknown key {name!r}; {hint}")
        for part in kafka_settings.secrets_in(name, str(value)):
            if not _REFERENCE.fullmatch(part):
                raise UsageError(f'{self.path}: [kafka] "{name}": {_ELSEWHERE}')
        return self._text(value, f'[kafka] "{name}"')

    def _topics(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        topics = document.get("topic", [])
        if not isinstance(topics, list) or not all(isinstance(t, dict) for t in topics):
            raise UsageError(f"{self.path}: topic: allowed are entries that each begin with [[topic]]")
        return topics

    def _topic(self, index: int, entry: dict[str, Any]) -> Topic:
        where = f"[[topic]] number {index + 1}"
        self._known(entry, where)
        name, pattern = entry.get("name"), entry.get("pattern")
        if (name is None) == (pattern is None):
            raise UsageError(f"{self.path}: {where}: exactly one of name and pattern is needed")
        if pattern is not None:
            try:
                re.compile(self._text(pattern, f"{where} pattern"))
            except re.error as error:
                raise UsageError(
                    f"{self.path}: {where}: pattern {pattern!r} is no regular expression: {error}"
                ) from error
        for key in ("kind", "format"):
            if key not in entry:
                raise UsageError(
                    f"{self.path}: {where} ({name or pattern}): {key} is missing; a topic says what it holds"
                )
        kind = self._text(entry["kind"], f"{where} kind")
        if kind not in KINDS:
            raise UsageError(f"{self.path}: {where} ({name or pattern}): kind {kind!r}; {nearest(kind, KINDS)}")
        format_name = self._text(entry["format"], f"{where} format")
        try:
            known, kinds = formats.options(format_name), formats.kinds(format_name)
        except UsageError as error:
            raise UsageError(f"{self.path}: {where} ({name or pattern}): {error}") from error
        if kind not in kinds:
            raise UsageError(
                f"{self.path}: {where} ({name or pattern}): {format_name} does not hold {kind}; {nearest(kind, kinds)}"
            )
        return Topic(
            name=name,
            pattern=pattern,
            kind=kind,
            format=format_name,
            lateness_ms=parse_duration_ms(entry.get("lateness", "30 s"), f"{self.path}: {where} lateness"),
            options={key: self._text(entry[key], f"{where} {key}") for key in entry if key in known},
        )

    def _known(self, entry: dict[str, Any], where: str) -> None:
        """Misspelt keys are named before what is missing for them; without a format, options of any are allowed."""
        stated = entry.get("format")
        of = [stated] if stated in formats.names() else formats.names()
        allowed = {*(_TABLES["topic"] or ()), *(option for name in of for option in formats.options(name))}
        for key in entry:
            if key not in allowed:
                raise UsageError(f"{self.path}: {where}: unknown key {key!r}; {nearest(key, allowed)}")

    def _window(self, table: dict[str, Any]) -> Window:
        size = self._duration(table, "window", "size", 60_000)
        if size < 1_000 or 3_600_000 % size:
            raise UsageError(
                f"{self.path}: [window] size {table['size']!r}: allowed are parts of an hour of 1 s or more"
            )
        return Window(
            size_ms=size,
            max_skew_ms=self._duration(table, "window", "max_skew", 60_000),
            idle_after_ms=self._duration(table, "window", "idle_after", 60_000),
            inventory_idle_after_ms=self._duration(table, "window", "inventory_idle_after", 600_000),
            shards=self._count(table, "window", "shards", 8),
        )

    def _privacy(self, table: dict[str, Any]) -> Policy:
        key = self._secret(table, "privacy", "key")
        if key is None or len(key) < policy.KEY_CHARS:
            found = "is missing" if key is None else f"has {len(key)} characters"
            raise UsageError(
                f"{self.path}: [privacy] key {found}; {policy.KEY_CHARS} or more are needed, which nobody can guess: "
                'key = "${AFOOT_PRIVACY_KEY}"'
            )
        dead_letters = self._one_of(table, "privacy", "dead_letters", policy.DEAD_LETTERS)
        dead_letters_key = self._secret(table, "privacy", "dead_letters_key")
        if (dead_letters_key is not None) != (dead_letters == "encrypt"):
            raise UsageError(
                f'{self.path}: [privacy] dead_letters_key belongs to dead_letters = "encrypt", and with it'
            )
        if dead_letters_key is not None and not policy.is_encryption_key(dead_letters_key):
            raise UsageError(
                f"{self.path}: [privacy] dead_letters_key: 32 bytes in base64 are needed: `openssl rand -base64 32`"
            )
        return Policy(
            key=key,
            addresses=self._one_of(table, "privacy", "addresses", policy.ADDRESSES),
            ipv4_bits=self._count(table, "privacy", "ipv4_bits", 24, 32),
            ipv6_bits=self._count(table, "privacy", "ipv6_bits", 48, 128),
            scrub=tuple(self._texts(table, "privacy", "scrub", policy.SHIPPED, policy.SHIPPED)),
            patterns=tuple(self._patterns(table.get("patterns", {}))),
            drop_labels=tuple(self._texts(table, "privacy", "drop_labels")),
            hash_labels=tuple(self._texts(table, "privacy", "hash_labels")),
            dead_letters=dead_letters,
            dead_letters_key=dead_letters_key,
        )

    def _patterns(self, table: object) -> Iterator[tuple[str, str]]:
        """Regular expressions by name, in the order of the file."""
        if not isinstance(table, dict):
            raise UsageError(
                f"{self.path}: [privacy] patterns: found {table!r}, allowed is a table of name = 'pattern'"
            )
        for name, pattern in table.items():
            where = f"[privacy.patterns] {name}"
            if not re.fullmatch(r"[a-z][a-z_]*", name) or name in policy.RESERVED:
                raise UsageError(
                    f"{self.path}: {where}: names are small letters and _, and none of {', '.join(policy.RESERVED)}"
                )
            try:
                empty = re.compile(self._text(pattern, where)).search("")
            except re.error as error:
                raise UsageError(f"{self.path}: {where}: {pattern!r} is no regular expression: {error}") from error
            if empty:
                raise UsageError(f"{self.path}: {where}: {pattern!r} matches nothing, too, so it would be everywhere")
            yield name, self._text(pattern, where)

    def _secret(self, table: dict[str, Any], name: str, key: str) -> str | None:
        """A value that must be a reference to the environment or to a file."""
        if key in table and not (isinstance(table[key], str) and _REFERENCE.fullmatch(table[key])):
            raise UsageError(f"{self.path}: [{name}] {key}: {_ELSEWHERE}")
        return self._optional(table, name, key)

    def _texts(
        self,
        table: dict[str, Any],
        name: str,
        key: str,
        default: Sequence[str] = (),
        allowed: Sequence[str] | None = None,
    ) -> Sequence[str]:
        value = table.get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise UsageError(f"{self.path}: [{name}] {key}: found {value!r}, allowed is a list of texts")
        for text in value:
            if allowed is not None and text not in allowed:
                raise UsageError(f"{self.path}: [{name}] {key}: found {text!r}; {nearest(text, allowed)}")
        return value

    def _duration(self, table: dict[str, Any], name: str, key: str, default: int) -> int:
        return parse_duration_ms(table[key], f"{self.path}: [{name}] {key}") if key in table else default

    def _count(self, table: dict[str, Any], name: str, key: str, default: int, most: int = 4096) -> int:
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise UsageError(
                f"{self.path}: [{name}] {key}: found {value!r}, allowed is a whole number from 1 to {most}"
            )
        return value

    def _flag(self, table: dict[str, Any], name: str, key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise UsageError(f"{self.path}: [{name}] {key}: found {value!r}, allowed are true and false")
        return value

    def _one_of(self, table: dict[str, Any], name: str, key: str, allowed: tuple[str, ...]) -> str:
        value = self._text(table.get(key, allowed[0]), f"[{name}] {key}")
        if value not in allowed:
            raise UsageError(f"{self.path}: [{name}] {key}: found {value!r}; {nearest(value, allowed)}")
        return value

    def _optional(self, table: dict[str, Any], name: str, key: str) -> str | None:
        return self._text(table[key], f"[{name}] {key}") if key in table else None

    def _place(self, value: object, where: str) -> str:
        """A folder or a prefix on S3; whether it can be reached, whoever uses it finds out."""
        uri = self._text(value, where)
        scheme, separator, path = uri.partition("://")
        if separator and not (scheme == "file" or (scheme in ("s3", "s3a") and path.strip("/"))):
            raise UsageError(f"{self.path}: {where}: found {uri!r}, allowed are a folder and s3://bucket/prefix")
        return uri

    def _files(self, value: object) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise UsageError(f"{self.path}: [catalogue] files: found {value!r}, allowed is a list of file names")
        return [self._beside(name, "[catalogue] files") for name in value]

    def _beside(self, name: object, where: str) -> str:
        """A file that the configuration names: beside the configuration, unless its path is absolute."""
        return str(Path(self.path).absolute().parent / self._text(name, where))

    def _text(self, value: object, where: str) -> str:
        """A value as text, its references to the environment and to files resolved."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise UsageError(f"{self.path}: {where}: found {value!r}, allowed is a text or a number")

        def resolve(match: re.Match[str]) -> str:
            if match[1]:
                try:
                    secret = Path(match[2]).read_text(encoding="utf-8").strip()
                except OSError as error:
                    raise UsageError(
                        f"{self.path}: {where}: {match[2]}: {error.strerror}; needed for its value"
                    ) from error
            elif match[2] in self.environment:
                secret = self.environment[match[2]]
            else:
                raise UsageError(f"{self.path}: {where}: the environment has no {match[2]}; export it before the start")
            if secret:
                self.secrets.add(secret)
            return secret

        return _REFERENCE.sub(resolve, str(value))


def _flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Kafka's dotted names may be written quoted or as TOML's own dotted keys; both mean the same setting."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flattened(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
