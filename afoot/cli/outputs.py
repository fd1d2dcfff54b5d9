"""Where commands write: looked at before long work begins, which would else end in vain."""

from __future__ import annotations

from pathlib import Path

from afoot.errors import UsageError


def ensure_file(path: Path, option: str) -> None:
    """A file can be written there; UsageError that names the option and says what is in the way."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {folder}")
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        return  # a pipe, or a terminal: to open it would already say something
    new = not path.exists()
    try:
        # Rights do not tell all: some file systems refuse whoever asks.
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be written: {error.strerror}") from error


def ensure_folder(path: Path, option: str) -> None:
    """The folder is there, made if need be; UsageError that names the option and says what is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{option} {path}: is a file; give a folder") from error
    except OSError as error:
        raise UsageError(f"{option} {path}: the folder cannot be made: {error.strerror}") from error
