"""Merges the many small files of a closed day into few: safe to repeat, and to kill at any moment.

The job's sink leaves a file for each checkpoint, partition and subtask. For each folder of a day that is over:

1. the merged rows are written under a hidden name,
2. a manifest names inputs and output: from here on the compaction is decided, and afoot's own readers obey it,
3. the inputs are removed,
4. the output gets its visible name, and the manifest is removed.

A compaction that was killed before 2 never happened; one that was killed later is ended by the next. Other engines see
the folder without some of its rows between 3 and 4, and never a row twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow.dataset as ds
import pyarrow.fs as fs

from afoot.lake.files import MANIFEST, Manifest, folders, hidden, read_manifest
from afoot.lake.layout import TABLES, Table
from afoot.lake.storage import Location
from afoot.lake.write import write_file

LARGE = 64 << 20  # bytes; a file of this size is left alone, and a merge takes in twice as much at most
SETTLED = timedelta(days=1)  # younger files may still be looked for by a job that resumes from its last checkpoint

_ORDER = {
    "findings": ["finding_id", "as_of", "revision"],
    "evidence": ["finding_id", "revision", "entity", "signal"],
    "signals": ["entity", "signal", "window_start"],
}


class Merged(NamedTuple):
    """A folder in which `files` became one of `rows` rows."""

    folder: str
    files: int
    rows: int


def compact(
    location: Location,
    before: date,
    *,
    settled: timedelta = SETTLED,
    report: Callable[[Merged], None] = lambda merged: None,
) -> list[Merged]:
    """Merges what is small in every partition of a day before `before`; ends what an earlier run left undone.

    Files that changed less than `settled` ago are left for the next time. OSError if the lake cannot be written; then
    nothing is lost, and a repetition ends the work. One run at a time: two would merge the same files.
    """
    done = []
    for table in TABLES.values():
        for folder, entries in sorted(folders(location, table.name).items()):
            if any(entry.base_name == MANIFEST for entry in entries):
                _finish(location, folder, read_manifest(location, folder))
                entries = folders(location, table.name).get(folder, [])
            if (day := _day(folder)) is None or day >= before:
                continue
            for group in _groups(entries, datetime.now(UTC) - settled):
                merged = Merged(folder, len(group), _merge(location, table, folder, group))
                report(merged)
                done.append(merged)
    return done


def _merge(location: Location, table: Table, folder: str, inputs: list[str]) -> int:
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    manifest = Manifest(inputs, f"compacted-{digest}.parquet")
    paths = [f"{folder}/{name}" for name in inputs]
    rows = ds.dataset(paths, schema=table.columns, format="parquet", filesystem=location.filesystem).to_table()
    if table.name in _ORDER:
        rows = rows.sort_by([(name, "ascending") for name in _ORDER[table.name]])
    write_file(location, f"{folder}/{manifest.hidden_output}", rows)
    _decide(location, folder, manifest)
    _finish(location, folder, manifest)
    return int(rows.num_rows)


def _decide(location: Location, folder: str, manifest: Manifest) -> None:
    """Writes the manifest, whole or not at all."""
    draft = f"{folder}/{MANIFEST}.draft"
    with location.filesystem.open_output_stream(draft) as stream:
        stream.write(json.dumps(manifest._asdict()).encode())
    location.filesystem.move(draft, f"{folder}/{MANIFEST}")


def _finish(location: Location, folder: str, manifest: Manifest) -> None:
    """Steps 3 and 4, as far as they are not done yet."""
    present = {entry.base_name for entry in _files(location, folder)}
    for name in manifest.inputs:
        if name in present:
            location.filesystem.delete_file(f"{folder}/{name}")
    if manifest.hidden_output in present:
        location.filesystem.move(f"{folder}/{manifest.hidden_output}", f"{folder}/{manifest.output}")
    location.filesystem.delete_file(f"{folder}/{MANIFEST}")


def _files(location: Location, folder: str) -> list[Any]:
    return list(location.filesystem.get_file_info(fs.FileSelector(folder)))


def _groups(entries: list[Any], settled: datetime) -> list[list[str]]:
    """Names of files to merge with one another: small and settled ones, in groups of bounded size."""
    small = [e for e in entries if not hidden(e.base_name) and e.size < LARGE and e.mtime <= settled]
    groups: list[list[str]] = [[]]
    size = 0
    for entry in sorted(small, key=lambda entry: str(entry.base_name)):
        if size + entry.size > 2 * LARGE:
            groups.append([])
            size = 0
        groups[-1].append(entry.base_name)
        size += entry.size
    return [group for group in groups if len(group) > 1]


def _day(folder: str) -> date | None:
    name, _, value = folder.rpartition("/")[2].partition("=")
    try:
        return date.fromisoformat(value) if name == "dt" else None
    except ValueError:
        return None
