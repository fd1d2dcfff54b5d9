"""The settings that Kafka clients have: those of the job's (Java, and Flink's connector) and of the commands beside it.

Plug-ins of either client bring settings of their own, so a name that is not here is wrong only if it is nearly one of
these. The names are those of kafka-clients 4.3 and of librdkafka 2.16; `start` is afoot's own.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

_CLOSE = 0.85  # of the letters the same: one or two of a name are missing, too many or exchanged
_ALIKE = 0.6  # ... which is asked of names without a dot, since no plug-in has such
_SECRET = re.compile(r"password|secret|^ssl\.key\.pem$|^ssl\.keystore\.key$", re.IGNORECASE)
_JAAS = "sasl.jaas.config"
_JAAS_SECRET = re.compile(r"""[\w.]*(?:password|secret)[\w.]*\s*=\s*("[^"]*"|'[^']*'|[^\s;]*)""", re.IGNORECASE)

NAMES = frozenset(Path(__file__).with_suffix(".txt").read_text("ascii").split())


def unknown(name: str) -> str | None:
    """A hint for a name that is no setting, with the one meant; None where it is one, or may be a plug-in's."""
    if name in NAMES:
        return None
    close = difflib.get_close_matches(name, NAMES, n=1, cutoff=_CLOSE if "." in name else _ALIKE)
    if not close and "." in name:
        return None
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed are start and the settings of Kafka's clients, under their own names"


def secrets_in(name: str, value: str) -> list[str]:
    """The parts of a setting's value that are secrets: all of it, some of a login module's options, or none."""
    if _SECRET.search(name):
        return [value]
    return [found.strip("\"'") for found in _JAAS_SECRET.findall(value)] if name == _JAAS else []
