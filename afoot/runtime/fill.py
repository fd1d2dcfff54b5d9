"""Configuration files with ${NAME} and ${NAME:-default}: the same files serve images, compose and tests."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from afoot.errors import AfootError, UsageError

_PLACEHOLDER = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled; a value that is neither given nor defaulted is a UsageError."""
    missing = sorted({m["name"] for m in _PLACEHOLDER.finditer(text) if m["default"] is None} - values.keys())
    if missing:
        raise UsageError(f"no value for {', '.join(missing)}: set it in the environment")
    return _PLACEHOLDER.sub(lambda match: values.get(match["name"], match["default"] or ""), text)


def fill_file(template: Path, target: Path, values: Mapping[str, str]) -> Path:
    """Write the filled template to target, readable by its owner alone since it may hold secrets; returns target."""
    try:
        filled = fill(template.read_text(encoding="utf-8"), values)
    except UsageError as error:
        raise UsageError(f"{template}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(filled, encoding="utf-8")
    return target


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m afoot.runtime.fill TEMPLATE TARGET; values come from the environment")
    try:
        fill_file(Path(sys.argv[1]), Path(sys.argv[2]), os.environ)
    except AfootError as error:
        sys.exit(str(error))
