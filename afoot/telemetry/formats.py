"""Formats by name. A format is one module of afoot/telemetry/wire, named as in the configuration.

Such a module has `KINDS`, the kinds of topic that it decodes, and either
  `decode(message) -> Decoded`, or
  `OPTIONS`, a dict of option name to its meaning, and `make(kind, options) -> Decoder`.
A decoder raises DecodeError for a message that is unreadable as a whole, and otherwise returns the rows that it holds
and a reason for each that it had to refuse. It remembers nothing between messages that would change what it returns.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Literal, cast

from afoot.errors import UsageError
from afoot.telemetry import wire
from afoot.telemetry.rows import Decoded, Message

Kind = Literal["metrics", "logs", "flows", "inventory"]
Decoder = Callable[[Message], Decoded]


def names() -> list[str]:
    """The names of all formats, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(wire.__path__))


def kinds(format_name: str) -> tuple[Kind, ...]:
    """The kinds of topic that a format can fill; UsageError for an unknown format."""
    return cast(tuple[Kind, ...], _module(format_name).KINDS)


def options(format_name: str) -> dict[str, str]:
    """A format's options and their meaning; UsageError for an unknown format."""
    return dict(getattr(_module(format_name), "OPTIONS", {}))


def decoder(format_name: str, kind: str | None = None, settings: Mapping[str, str] | None = None) -> Decoder:
    """The decoder of a topic; `kind` is needed where a format has several, `settings` are the format's options.

    UsageError names an unknown format, a kind that the format has not, or an unknown option, and what is allowed.
    """
    module = _module(format_name)
    allowed: tuple[str, ...] = module.KINDS
    if kind is None and len(allowed) == 1:
        kind = allowed[0]
    if kind not in allowed:
        found = "no kind" if kind is None else f"kind {kind!r}"
        raise UsageError(f"format {format_name!r} with {found}: it decodes {_listed(allowed)}")
    known: Mapping[str, str] = getattr(module, "OPTIONS", {})
    for name in settings or {}:
        if name not in known:
            raise UsageError(
                f"format {format_name!r} has no option {name!r}{_nearest(name, known)}: it has {_listed(known)}"
            )
    if hasattr(module, "make"):
        return cast(Decoder, module.make(kind, dict(settings or {})))
    return cast(Decoder, module.decode)


def _module(format_name: str) -> ModuleType:
    known = names()
    if format_name not in known:
        nearest = _nearest(format_name, known)
        raise UsageError(f"unknown format {format_name!r}{nearest}: allowed are {_listed(known)}")
    return importlib.import_module(f"{wire.__name__}.{format_name}")


def _nearest(name: str, known: Mapping[str, str] | list[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _listed(known: Mapping[str, str] | list[str] | tuple[str, ...]) -> str:
    return ", ".join(known) or "none"
