"""Which files of a table are data: every file whose name does not begin with . or _, as all engines agree."""

from __future__ import annotations

import pyarrow.fs as fs

from afoot.lake.storage import Location


def data_files(location: Location, table: str) -> list[str]:
    """Paths of a table's data files, sorted; none if the table has no folder yet."""
    found = location.filesystem.get_file_info(
        fs.FileSelector(location.table(table), recursive=True, allow_not_found=True)
    )
    return sorted(entry.path for entry in found if entry.type == fs.FileType.File and not hidden(entry.base_name))


def hidden(name: str) -> bool:
    """Whether a file of this name is no data: markers, and files that are still being written."""
    return name.startswith((".", "_"))
