"""The jars beside the Python packages: fetched from Maven Central, held to jars.lock, kept in the user's cache."""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from afoot.errors import AfootError, UsageError
from afoot.runtime.cache import cache_dir

FLINK = ("flink", "flink-s3")  # the groups that a job needs; the others are servers


class Jar(NamedTuple):
    """One line of jars.lock."""

    group: str
    coordinates: str  # group:artifact[:type:classifier]:version, as Maven writes them
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, as in a Maven repository."""
        _, artifact, kind, classifier, version = self._parts()
        return f"{artifact}-{version}{'-' + classifier if classifier else ''}.{kind}"

    @property
    def path(self) -> Path:
        """Where the cache keeps it; by checksum too, so that a changed lock never finds an old file."""
        return cache_dir() / "jars" / self.sha256[:16] / self.name

    def _parts(self) -> tuple[str, str, str, str, str]:
        group, artifact, *rest = self.coordinates.split(":")
        kind, classifier, version = rest if len(rest) == 3 else ("jar", "", rest[0])
        return group, artifact, kind, classifier, version

    def download(self, into: Path, pauses_s: tuple[float, ...] = (1.0, 5.0)) -> Path:
        """Fetch it into a folder, unverified, with a pause before each further try of a line that fails.

        AFOOT_MAVEN_REPOSITORY names a mirror. A jar that cannot be had is an AfootError.
        """
        import requests
        from jgo.maven import MavenContext

        mirror = os.environ.get("AFOOT_MAVEN_REPOSITORY")
        context = MavenContext(
            repo_cache=Path(tempfile.mkdtemp(dir=into)),  # jgo takes what a broken try left behind for the file
            remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
            timeout=60,
        )
        group, artifact, kind, classifier, version = self._parts()
        try:
            return context.project(group, artifact).at_version(version).artifact(classifier, kind).resolve()
        except (requests.RequestException, RuntimeError) as error:  # the latter: no repository has it
            if isinstance(error, RuntimeError) or not pauses_s:
                raise AfootError(
                    f"{self.coordinates} cannot be fetched: {error}. What was fetched stays; run the same again"
                ) from error
        time.sleep(pauses_s[0])
        return self.download(into, pauses_s[1:])


def lock() -> list[Jar]:
    """The jars of jars.lock."""
    text = files("afoot.runtime").joinpath("jars.lock").read_text(encoding="utf-8")
    return [Jar(*line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def jars(*groups: str) -> list[Path]:
    """Paths of the jars of these groups, each fetched if it is not in the cache yet."""
    return [fetch(jar) for jar in select(groups)]


def select(groups: Iterable[str]) -> list[Jar]:
    """The jars of these groups; a group that the lock does not have is a UsageError."""
    locked = lock()
    known = dict.fromkeys(jar.group for jar in locked)
    for group in groups:
        if group not in known:
            raise UsageError(f"there is no group {group!r} of jars; there are {', '.join(known)}")
    return [jar for jar in locked if jar.group in groups]


def fetch(jar: Jar, download: Callable[[Jar, Path], Path] = Jar.download) -> Path:
    """Path of the jar in the cache, where only files of the locked checksum get to."""
    if jar.path.exists():
        return jar.path
    jar.path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own, then a rename: two processes may fetch at once, and one may be killed half-way.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache_dir()) as folder:
        found = download(jar, Path(folder))
        verify(jar, found)
        found.replace(jar.path)
    return jar.path


def verify(jar: Jar, path: Path) -> None:
    """AfootError unless the file has the locked checksum."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise AfootError(f"{path} is not {jar.coordinates}: its SHA-256 is {found}, jars.lock says {jar.sha256}")


def main(groups: Iterable[str]) -> None:
    """Fetch what is missing of these groups (none named: of all), verify all of them; one line on stderr says so."""
    wanted = select(list(groups) or dict.fromkeys(jar.group for jar in lock()))
    missing = [jar for jar in wanted if not jar.path.exists()]
    terminal = sys.stderr.isatty()
    for number, jar in enumerate(missing, 1):
        if terminal:
            print(f"\r\033[Kjars: {number} of {len(missing)}: {jar.name}", end="", file=sys.stderr, flush=True)
        fetch(jar)
    if missing and terminal:
        print("\r\033[K", end="", file=sys.stderr)
    for jar in wanted:
        verify(jar, jar.path)
    print(f"jars: {len(wanted)} verified, {len(missing)} of them fetched", file=sys.stderr)


if __name__ == "__main__":
    # --path GROUP prints a class path; group names alone fetch and verify.
    try:
        if sys.argv[1:2] == ["--path"]:
            print(":".join(str(path) for path in jars(*sys.argv[2:])))
        else:
            main(sys.argv[1:])
    except AfootError as error:
        sys.exit(f"jars: {error}")
