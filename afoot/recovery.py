"""What a job resumes from: the newest savepoint or completed checkpoint in its folder."""

from __future__ import annotations

import pyarrow.fs as fs

from afoot.errors import AfootError
from afoot.lake.storage import locate


def newest_state(checkpoints: str) -> str | None:
    """The URI of the newest state that is complete (has its `_metadata`), None where there is none."""
    location = locate(checkpoints)
    try:
        found = location.filesystem.get_file_info(fs.FileSelector(location.path, recursive=True, allow_not_found=True))
    except OSError as error:
        raise AfootError(f"{checkpoints}: cannot be looked at for a state to resume from: {error}") from error
    complete = [info for info in found if info.base_name == "_metadata"]
    if not complete:
        return None
    newest = max(complete, key=lambda info: (info.mtime_ns, info.path))
    folder = newest.path.removesuffix("/_metadata")
    scheme = "file://" if isinstance(location.filesystem, fs.LocalFileSystem) else "s3://"
    return f"{scheme}{folder}"
