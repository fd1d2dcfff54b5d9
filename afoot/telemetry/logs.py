"""What the log formats share: where a record's labels, severity and text are found, by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.rows import Labels
from afoot.telemetry.values import label, short

Path = tuple[str, ...]
_SYSLOG = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def at(record: Mapping[str, Any], path: Path) -> Any:
    """The value at a path of keys, None where there is none; a key of the whole path joined by dots counts as well."""
    found: Any = record
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return record.get(".".join(path)) if found is None else found


def first(record: Mapping[str, Any], *paths: Path) -> Any:
    """The value at the first of several paths that has one."""
    return next((found for path in paths if (found := at(record, path)) is not None), None)


def labels(record: Mapping[str, Any], paths: Mapping[str, Path], cache: LabelCache) -> Labels:
    """The labels at `paths`, by the names that this product gives them; those that a record has not are left out."""
    key = tuple(
        (own, label(found)) for own, path in paths.items() if (found := at(record, path)) is not None and found != ""
    )
    return cache.known.get(key) or cache.add(key, dict(key))


def syslog_severity(sent: Any) -> str:
    """A severity as its name, where it is syslog's number from 0 to 7; else as sent."""
    if type(sent) is str and len(sent) == 1 and sent in "01234567":
        return _SYSLOG[int(sent)]
    if type(sent) is int and 0 <= sent <= 7:
        return _SYSLOG[sent]
    return short(sent, "severity")
