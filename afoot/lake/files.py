"""Which files of a table are data: those whose name does not begin with . or _, as all engines agree.

A folder that is being compacted holds a manifest, and then what the manifest says is data: its output in place of its
inputs, under whichever of its two names it has by then. So nothing is counted twice or missed, at any moment.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pyarrow.fs as fs

from afoot.lake.storage import Location

MANIFEST = "_compaction.json"
_TRIES = 5


class Manifest(NamedTuple):
    """A compaction that is decided: `inputs` are replaced by `output`, which is `hidden_output` until they are gone."""

    inputs: list[str]
    output: str

    @property
    def hidden_output(self) -> str:
        """The name that keeps the output from other readers."""
        return f"_{self.output}"


def data_files(location: Location, table: str) -> list[str]:
    """Paths of a table's data files, sorted; none if the table has no folder yet."""
    for _ in range(_TRIES):
        try:
            return sorted(
                entry.path for entries in folders(location, table).values() for entry in _data(location, entries)
            )
        except FileNotFoundError:
            continue  # a compaction ended between the listing and the look at its manifest: list again
    raise OSError(f"{location.table(table)}: its files change faster than they can be listed")


def folders(location: Location, table: str) -> dict[str, list[Any]]:
    """All files of a table, hidden ones too, by folder."""
    selector = fs.FileSelector(location.table(table), recursive=True, allow_not_found=True)
    found: dict[str, list[Any]] = {}
    for entry in location.filesystem.get_file_info(selector):
        if entry.type == fs.FileType.File:
            found.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    return found


def hidden(name: str) -> bool:
    """Whether a file of this name is no data: markers, and files that are still being written."""
    return name.startswith((".", "_"))


def read_manifest(location: Location, folder: str) -> Manifest:
    """The manifest in a folder; FileNotFoundError if there is none."""
    with location.filesystem.open_input_stream(f"{folder}/{MANIFEST}") as stream:
        return Manifest(**json.loads(stream.read()))


def _data(location: Location, entries: list[Any]) -> list[Any]:
    shown = {entry.base_name: entry for entry in entries if not hidden(entry.base_name)}
    compacting = next((entry for entry in entries if entry.base_name == MANIFEST), None)
    if compacting is not None:
        manifest = read_manifest(location, compacting.path.rpartition("/")[0])
        for name in manifest.inputs:
            shown.pop(name, None)
        if manifest.output not in shown:
            staged = [entry for entry in entries if entry.base_name == manifest.hidden_output]
            if not staged:  # it was renamed while this was listed
                raise FileNotFoundError(manifest.output)
            shown[manifest.output] = staged[0]
    return list(shown.values())
