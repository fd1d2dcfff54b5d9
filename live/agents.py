"""collectd, pmacct and rsyslog with the configurations of connectors/agents, for this machine's broker and disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.process import REPOSITORY, Process, ServerError

AGENTS = REPOSITORY / "connectors" / "agents"
# What collectd calls the processes that it watches, and how it knows them by their command lines.
PROCESSES = {
    "backup": r"live\\.backup",
    "writer": r"live\\.pipeline writer",
    "reports": r"live\\.pipeline reports",
    "kafka": r"UseSerialGC -Dlog4j2",  # its class is named behind a class path that is longer than collectd reads
}


def configurations(folder: Path, bootstrap: str, host: str, syslog: Path) -> dict[str, str]:
    """What each program is configured with; `host` is what collectd calls this machine, `syslog` rsyslog's socket."""
    matches = "\n".join(f'  ProcessMatch "{name}" "{pattern}"' for name, pattern in PROCESSES.items())
    collectd = _shipped("collectd.conf", bootstrap, {'  ProcessMatch "backup" "^/usr/bin/backup "': matches})
    # What the file's header says of pmacctd.
    changed = {
        "nfacctd_port: 2055": "pcap_interface: lo",
        "peer_src_ip, ": "",
        ", src_as, dst_as, timestamp_start, timestamp_end": "",
    }
    inputs = f"""
global(workDirectory="{folder}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{syslog}")
"""
    return {
        "collectd": f'Hostname "{host}"\nBaseDir "{folder}"\n{collectd}',
        "pmacctd": _shipped("pmacct.conf", bootstrap, changed),
        "rsyslogd": inputs + _shipped("rsyslog.conf", bootstrap, {}),
    }


@contextmanager
def agents(folder: Path, bootstrap: str, host: str, syslog: Path) -> Iterator[None]:
    """All of them, running, with configurations and logs in folder."""
    options = {
        "collectd": ["-f", "-P", str(folder / "collectd.pid"), "-C"],
        "pmacctd": ["-f"],
        "rsyslogd": ["-n", "-i", str(folder / "rsyslogd.pid"), "-f"],
    }
    with ExitStack() as stack:
        for program, text in configurations(folder, bootstrap, host, syslog).items():
            found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
            if found is None:
                raise ServerError(f"{program} is missing: make servers installs it")
            file = folder / f"{program}.conf"
            file.write_text(text)
            ready = syslog.exists if program == "rsyslogd" else _at_once
            command = [found, *options[program], str(file)]
            stack.enter_context(Process(program, command, folder / f"{program}.log", ready))
        yield


def _at_once() -> bool:
    return True


def _shipped(name: str, bootstrap: str, replaced: dict[str, str]) -> str:
    """A file of connectors/agents with this broker, and with a few texts replaced, each of which must be there."""
    text = (AGENTS / name).read_text()
    for old, new in replaced.items():
        if old not in text:
            raise ServerError(f"{AGENTS / name}: {old!r} is not there any more; the experiment replaces it")
        text = text.replace(old, new)
    host, port = bootstrap.split(":")
    text = text.replace("kafka:9092", bootstrap)
    return text.replace("_broker_host[afoot]: kafka", f"_broker_host[afoot]: {host}").replace(
        "_broker_port[afoot]: 9092", f"_broker_port[afoot]: {port}"
    )
