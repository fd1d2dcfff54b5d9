"""The user's cache folder: what is in it can be fetched or made again."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """afoot's folder in the user's cache, by the XDG rules; it need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME")
    # The XDG rules call a relative path invalid, to be ignored.
    base = Path(root) if root and Path(root).is_absolute() else Path.home() / ".cache"
    return base / "afoot"
