"""Captures by URI: single files, folders of them, or an archive, of which a day is enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow.fs as fs

from afoot.archive import ENDING
from afoot.errors import AfootError, UsageError
from afoot.lake.storage import Location, locate

_CAPTURE = re.compile(r"[^._].*\.jsonl(\.gz|\.zst)?")
_ARCHIVED = re.compile(r"(?:.*/)?([^/]+)/(\d{4}-\d\d-\d\d)/\d\d-\d+-\d+\.jsonl\.zst")


class Recordings(NamedTuple):
    """Files that a replay reads, and their bytes."""

    location: Location
    files: tuple[str, ...]
    size: int


def find(uri: str, day: date | None, is_inventory: Callable[[str], bool]) -> Recordings:
    """The captures at or under a URI; with a day, what an archive has of it: see `_is_of`.

    Raises UsageError where there are none, AfootError where nothing can be read.
    """
    location = locate(uri, "--capture")
    try:
        (there,) = location.filesystem.get_file_info([location.path])
        selector = fs.FileSelector(location.path, recursive=True, allow_not_found=True)
        infos = [there] if there.type == fs.FileType.File else location.filesystem.get_file_info(selector)
    except OSError as error:
        raise AfootError(f"--capture {uri}: cannot be read: {error}") from error
    found = sorted(
        (info.path, info.size or 0)
        for info in infos
        if info.type == fs.FileType.File
        and (info.path == location.path or _CAPTURE.fullmatch(info.base_name))
        and (day is None or _is_of(info.path, day, is_inventory))
    )
    if not found:
        when = f" of {day}" if day else ""
        raise UsageError(f"--capture {uri}: there is no capture{when} (.jsonl, .jsonl.gz, .jsonl.zst)")
    return Recordings(location, tuple(path for path, _ in found), sum(size for _, size in found))


def _is_of(path: str, day: date, is_inventory: Callable[[str], bool]) -> bool:
    """Whether a file of an archive is of a UTC day; of the inventory, all that was said until that day's end is."""
    named = _ARCHIVED.fullmatch(path)
    if named is None:
        return False
    of, wanted = named[2], day.isoformat()  # texts: a folder that is no archive's may be of no date
    return of == wanted or (of < wanted and is_inventory(named[1]))


def fetch(found: Recordings, folder: Path, progress: Callable[[int], None] = lambda _: None) -> list[Path]:
    """Copies in a folder: those of an archive one a topic, as compressed captures may follow each other in a file."""
    copies: dict[Path, None] = {}
    done = 0
    for number, path in enumerate(found.files):
        named = _ARCHIVED.fullmatch(path)
        copy = folder / (f"{named[1]}{ENDING}" if named else f"{number}-{path.rpartition('/')[2]}")
        copies[copy] = None
        try:
            with found.location.filesystem.open_input_stream(path, compression=None) as source, copy.open("ab") as file:
                while block := source.read(1 << 20):
                    file.write(block)
                    done += len(block)
                    progress(done)
        except OSError as error:
            raise AfootError(f"--capture {found.location.uri}: {path} cannot be copied: {error}") from error
    return list(copies)
