"""A PostgreSQL server with logical decoding, from Debian's package."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import Process, ServerError, free_port

ADMIN = "postgres"


@dataclass(frozen=True)
class Postgres:
    """A running server; everyone who connects needs the password of a role."""

    port: int
    password: str  # of ADMIN
    process: Process

    def sql(self, text: str, database: str = "postgres", **variables: str) -> str:
        """Run SQL in one session as ADMIN, with psql's variables; the rows, unaligned and without a header."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", ADMIN]
        settings = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
        done = subprocess.run(
            [*command, *settings, "-d", database, "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": self.password},
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"psql ended with status {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def restart(self) -> None:
        """Stop it as an administrator does, its sessions ended at once, and start it again."""
        _interrupt(self.process)
        self.process.start()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A server with its log in folder. Its data lies where the user that it has to run as gets to."""
    port, password = free_port(), secrets.token_urlsafe(16)
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="afoot-postgres-") as place:
        data, as_user = Path(place) / "data", _as_user(Path(place))
        given = Path(place) / "password"
        given.write_text(password)
        given.chmod(0o644)
        made = subprocess.run(
            [*as_user, programs / "initdb", "-D", data, "-U", ADMIN, "-A", "scram-sha-256", f"--pwfile={given}", "-N"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"initdb ended with status {made.returncode}: {made.stdout}{made.stderr}")
        settings = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": place,
            "wal_level": "logical",
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        process = Process(
            "postgres",
            [*as_user, str(programs / "postgres"), "-D", str(data), *options],
            folder / "postgres.log",
            lambda: subprocess.run(ready, check=False).returncode == 0,
        )
        with process:
            try:
                yield Postgres(port, password, process)
            finally:
                _interrupt(process)


def _programs() -> Path:
    """The folder of the server's programs, of the newest version that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        raise ServerError("PostgreSQL is missing: apt-get install postgresql")
    return versions[-1]


def _as_user(place: Path) -> list[str]:
    """What runs a program as a user other than root, which PostgreSQL refuses; `place` becomes that user's."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError as error:
        raise ServerError("PostgreSQL does not run as root, and there is no user postgres") from error
    os.chown(place, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _interrupt(process: Process) -> None:
    """A fast shutdown: SIGTERM would wait for the sessions, replication among them."""
    with contextlib.suppress(ServerError, ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
        process.wait()
