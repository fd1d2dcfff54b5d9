"""A Flink home for clusters and for `flink run`: what the apache-flink wheel brings, and the connectors beside it."""

import hashlib
import shutil
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from afoot.errors import AfootError
from afoot.runtime.cache import cache_dir
from afoot.runtime.jars import FLINK, jars, select


def wheel_home() -> Path:
    """The folder of the installed pyflink package, which holds lib, bin, opt, conf and plugins."""
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise AfootError("apache-flink is not installed in this environment: run make setup")
    return Path(spec.origin).parent


def flink_home() -> Path:
    """A Flink home in the cache, assembled if need be; never written to, so that clusters may share it.

    Give each cluster folders of its own by FLINK_CONF_DIR, FLINK_LOG_DIR and FLINK_PID_DIR.
    """
    wheel = wheel_home()
    parts = [version("apache-flink"), str(wheel), *(jar.sha256 for jar in select(FLINK))]
    home = cache_dir() / "flink" / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".assemble-", dir=home.parent) as folder:
            assembled = Path(folder) / "home"
            assemble(wheel, assembled)
            try:
                assembled.rename(home)
            except OSError:
                if not home.exists():  # else another process was faster, with the same content
                    raise
    return home


def assemble(wheel: Path, home: Path) -> None:
    """Lay out a Flink home: jars are links, but every folder is real."""
    # config.sh takes the folder that its own resolved path is in for the home; opt is walked without following links.
    for folder in ("bin", "conf"):
        shutil.copytree(wheel / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__", "masters"))
    for folder in ("lib", "opt"):
        _link(home / folder, *(wheel / folder).glob("*.jar"))
    for plugin in (path for path in (wheel / "plugins").iterdir() if path.is_dir()):
        _link(home / "plugins" / plugin.name, *plugin.glob("*.jar"))
    _link(home / "lib", *jars("flink"))
    _link(home / "plugins" / "s3-fs-hadoop", *jars("flink-s3"))
    (home / "log").mkdir()


def _link(folder: Path, *files: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).symlink_to(file)


if __name__ == "__main__":
    # A folder that is named is assembled there, as an image wants it.
    try:
        if len(sys.argv) > 1:
            assemble(wheel_home(), Path(sys.argv[1]))
        else:
            print(flink_home())
    except AfootError as error:
        sys.exit(str(error))
