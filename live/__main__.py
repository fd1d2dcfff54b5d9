"""The experiment from start to end: exit status 0 only if afoot names the disturber and its schedule, and no other."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from live.agents import agents
from live.disk import Contention, measure
from live.pipeline import JOB, METRICS, RECORDS
from tests.connectors.inventory import CONNECTORS, DATABASE, prepared
from tests.servers.connect import connect
from tests.servers.kafka import kafka
from tests.servers.postgres import postgres
from tests.servers.process import REPOSITORY, Process, ServerError, alive

# Every five minutes: an effect ends when it pauses for three, and the fourth run in a row is the first whose beat is no
# chance (docs/rules). No shorter schedule is named sooner.
SCHEDULE, BACKUP_S = "*/5 * * * *", 50
MEASURE_S = 8.0
FACTOR = 20  # commits must be this many times slower under the load, or there is nothing to find
OVER = 8  # records come this many times faster than they can be committed under the load ...
MOST_RATE = 200  # ... and at most so many a second, so that the writer catches up within a minute
PATIENCE_S = 50 * 60
HOST = "live-1"
VICTIM, CULPRIT, BYSTANDER, VOLUME, ENTRY = "job:writer", "job:backup", "job:reports", "volume:live/disk", "cron:backup"
SOURCE, BROKER = "deployment:live/source", "service:live/kafka"
ROLE = "afoot_connect"
AFOOT = [str(Path(sys.executable).with_name("afoot"))]


def main() -> int:
    """Run it all; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m live", description=__doc__)
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="a folder on the disk to use")
    results = Path("live-results") / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    parser.add_argument("--output", type=Path, default=results, help="a new folder for the lake, the logs and the page")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that what was started ends, too
    output: Path = options.output.absolute()
    if output.exists() and any(output.iterdir()):
        parser.error(f"--output {output}: is not empty; give another folder")
    logs = output / "logs"
    logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="afoot-live-", dir=options.disk) as folder:
        data = Path(folder)
        device = disk_of(data)
        said(f"the disk is {device}; measuring whether it can be made to contend")
        found = measure(data, MEASURE_S)
        said(
            f"commits/s: {found.idle:,.0f} idle, {found.loaded:,.0f} beside a bulk load of {found.bulk / 1e6:,.0f} MB/s"
            f", {found.factor:,.0f} times slower"
        )
        if found.factor < FACTOR:
            said(f"under {FACTOR} times slower: this disk cannot be made to contend; try another one with --disk")
            return 1
        try:
            return experiment(data, output, logs, device, found)
        except ServerError as error:
            said(str(error))
            return 1


def experiment(data: Path, output: Path, logs: Path, device: str, contention: Contention) -> int:
    """Everything started, then waited for; the exit status."""
    rate = min(MOST_RATE, round(OVER * contention.loaded))
    lake, config, syslog = output / "lake", output / "afoot.toml", data / "syslog"
    with ExitStack() as stack:
        broker = stack.enter_context(kafka(logs))
        for topic in (RECORDS, METRICS):
            broker.create(topic)
        config.write_text(configuration(broker.bootstrap, lake, output / "state"))
        database = stack.enter_context(postgres(logs))
        password = secrets.token_urlsafe(16)
        prepared(database, ROLE, password).sql(inventory(device))
        login = {"HOST": "127.0.0.1", "PORT": str(database.port), "USER": ROLE, "PASSWORD": password, "DB": DATABASE}
        environment = {f"POSTGRES_{name}": value for name, value in login.items()}
        worker = stack.enter_context(connect(logs, broker.bootstrap, environment))
        options = ["--connect", worker.url, "--config", str(config), "--dir", str(CONNECTORS)]
        applied = afoot("connectors", "apply", *options)
        said("; ".join(line.partition(", cleanup")[0] for line in applied.splitlines() if line[0] != " "))
        stack.enter_context(agents(logs, broker.bootstrap, HOST, syslog))
        programs = {
            "backup": ["live.backup", str(data), str(syslog), SCHEDULE, str(BACKUP_S)],
            "reports": ["live.pipeline", "reports", str(data), str(syslog)],
            "writer": ["live.pipeline", "writer", broker.bootstrap, str(data), str(syslog)],
            "source": ["live.pipeline", "source", broker.bootstrap, str(rate)],
        }
        running = []
        for name, arguments in programs.items():
            command = [sys.executable, "-m", *arguments]
            process = Process(name, command, logs / f"{name}.log", lambda: True, {"PYTHONPATH": str(REPOSITORY)})
            running.append(stack.enter_context(process))
        said(f"the pipeline commits {rate} records/s; the backup runs for {BACKUP_S} s at {SCHEDULE}")
        began = time.monotonic()
        job = stack.enter_context(product(config, logs))
        stack.callback(job.stop, patience_s=120)  # time for a savepoint
        running.append(job)
        wait(lake, running)
        (logs / "doctor.txt").write_text(afoot("doctor", "--config", str(config), check=False))
    minutes = (time.monotonic() - began) / 60
    print_runs(logs)
    return verdict(output, minutes)


def wait(lake: Path, running: Sequence[Process]) -> None:
    """Tell of findings as they come, until the right one has, or patience is at its end."""
    deadline = time.monotonic() + PATIENCE_S
    known: dict[str, tuple[Any, ...]] = {}
    while time.monotonic() < deadline:
        for process in running:
            if not alive(process.pid):
                raise ServerError(f"{process.name} has ended; its log is {process.log}")
        rows = findings(lake)
        for row in rows:
            seen = tuple(row[key] for key in ("state", "severity", "schedule_id", "runs_seen"))
            if known.get(row["finding_id"]) != seen:
                known[row["finding_id"]] = seen
                said(f"{row['kind']}, {row['state']}, {row['severity']}, sure to {row['confidence']}: {row['summary']}")
        if any(is_named(row) for row in rows):
            return
        time.sleep(15)


def verdict(output: Path, minutes: float) -> int:
    """What was found, as cases; the exit status."""
    rows = findings(output / "lake")
    right = [row for row in rows if is_named(row)]
    wrong = [row for row in rows if row["severity"] != "info" and row["culprit_entity"] not in (None, CULPRIT)]
    for row in (*right, *wrong):
        case = ["case", row["finding_id"], "--lake", str(output / "lake")]
        print(afoot(*case, "--format", "text"))
        afoot(*case, "-o", str(output / f"{row['finding_id']}.html"))
    if wrong:
        said(f"after {minutes:.0f} minutes {wrong[0]['culprit_entity']} is accused, who did nothing")
    elif not right:
        said(f"after {minutes:.0f} minutes {CULPRIT} is not named with its schedule")
    else:
        said(
            f"{CULPRIT} and its schedule {SCHEDULE} were named after {minutes:.0f} minutes, and nobody else was accused"
        )
    return 0 if right and not wrong else 1


def is_named(finding: Mapping[str, Any]) -> bool:
    """Whether a finding names the disturber of the pipeline, through the disk, and the schedule that it follows."""
    wanted = {
        "kind": "shared_volume_contention",
        "victim_entity": VICTIM,
        "culprit_entity": CULPRIT,
        "culprit_via": VOLUME,
        "schedule_id": ENTRY,
    }
    return all(finding[key] == value for key, value in wanted.items())


def disk_of(folder: Path) -> str:
    """The whole disk that a folder lies on, as the kernel names it."""
    found = folder.stat().st_dev
    path = Path(f"/sys/dev/block/{os.major(found)}:{os.minor(found)}")
    if not path.exists():
        raise SystemExit(f"{folder} lies on no disk of this machine; give a folder that does with --disk")
    path = path.resolve()
    return path.parent.name if (path / "partition").exists() else path.name


def entities(device: str) -> list[tuple[str, str, str]]:
    """What a CMDB knows of the experiment: ids, components, and by which name collectd measures each."""
    return [
        (SOURCE, "ingestion", ""),
        (f"topic:{RECORDS}", "broker", ""),
        ("broker:live-kafka", "broker", ""),
        (BROKER, "service", "kafka"),
        (VICTIM, "processor", JOB),
        (CULPRIT, "compute", "backup"),
        (BYSTANDER, "compute", "reports"),
        (VOLUME, "storage", device),
    ]


RELATIONS = [
    (SOURCE, f"topic:{RECORDS}", "writes"),
    ("broker:live-kafka", f"topic:{RECORDS}", "owns"),
    (VICTIM, f"topic:{RECORDS}", "reads"),
    (VICTIM, VOLUME, "writes"),
    (CULPRIT, VOLUME, "attached_to"),
    (BYSTANDER, VOLUME, "attached_to"),
    (BROKER, VOLUME, "attached_to"),
]


def attributes(plugin_instance: str) -> dict[str, Any]:
    """By which labels an entity is measured, if it is."""
    return {"match": [{"host": HOST, "plugin_instance": plugin_instance}]} if plugin_instance else {}


def inventory(device: str) -> str:
    """The inventory as SQL."""
    rows = []
    for entity_id, component, measured in entities(device):
        kind, _, name = entity_id.partition(":")
        rows.append(str((entity_id, kind, name.rpartition("/")[2], component, json.dumps(attributes(measured)))))
    return f"""
INSERT INTO inventory.entity VALUES {", ".join(rows)};
INSERT INTO inventory.relation VALUES {", ".join(map(str, RELATIONS))};
INSERT INTO inventory.schedule VALUES ('{ENTRY}', '{CULPRIT}', '{SCHEDULE}', 'UTC', 'live.backup');
"""


def configuration(bootstrap: str, lake: Path, state: Path) -> str:
    """afoot.toml: the topics as the headers of the agents' files say, and the pipeline's own."""
    headers = [(CONNECTORS / "agents" / f"{name}.conf").read_text() for name in ("collectd", "pmacct", "rsyslog")]
    lines = [line[1:].strip() for text in headers for line in text.splitlines() if line[:1] in ("#", "!")]
    topics = "\n".join(line for line in lines if line == "[[topic]]" or re.fullmatch(r'[a-z_]+ = ".*"', line))
    return f"""[kafka]
"bootstrap.servers" = "{bootstrap}"
{topics}
[[topic]]
name = "{METRICS}"
kind = "metrics"
format = "json"
[[topic]]
name = "inventory"
kind = "inventory"
format = "debezium_json"
[flink]
checkpoints = "{state.as_uri()}"
checkpoint_interval = "20 s"
[lake]
uri = "{lake}"
[alerts]
topic = "afoot.alerts"
[dead_letters]
topic = "afoot.dead-letters"
"""


def product(config: Path, logs: Path) -> Process:
    """`afoot run`; it is stopped as a user stops it, with a savepoint."""
    return Process("afoot", [*AFOOT, "run", "--config", str(config)], logs / "afoot.log", lambda: True)


def afoot(*arguments: str, check: bool = True) -> str:
    """Runs a command of afoot; what it printed, or a ServerError with it."""
    done = subprocess.run([*AFOOT, *arguments], capture_output=True, text=True, timeout=300, check=False)
    if check and done.returncode:
        raise ServerError(
            f"afoot {' '.join(arguments)} ended with status {done.returncode}: {done.stdout}{done.stderr}"
        )
    return (done.stdout + done.stderr).strip()


def findings(lake: Path) -> list[dict[str, Any]]:
    """The latest revision of each finding; none while there is no lake."""
    if not (lake / "findings").exists():
        return []
    return [json.loads(line) for line in afoot("findings", "--lake", str(lake), "--format", "json").splitlines()]


def print_runs(logs: Path) -> None:
    """What the backup and the writer said themselves: each run, and how late the writer was in it and else."""
    runs: list[list[float]] = []  # start, end
    for stamp, line in _lines(logs / "backup.log"):
        if "starts" in line:
            runs.append([stamp, stamp + BACKUP_S])
        elif "done" in line and runs:
            runs[-1][1] = stamp
    lags = [(stamp, float(line.split()[2])) for stamp, line in _lines(logs / "writer.log") if "write lag" in line]
    print("\n| backup began (UTC) | lasted | greatest write lag in it | in the minutes until the next |")
    print("|---|--:|--:|--:|")
    for index, (start, end) in enumerate(runs):
        until = runs[index + 1][0] if index + 1 < len(runs) else float("inf")
        within = [lag for stamp, lag in lags if start <= stamp < end + 5]
        after = [lag for stamp, lag in lags if end + 30 <= stamp < until]
        print(
            f"| {datetime.fromtimestamp(start, UTC):%H:%M:%S} | {end - start:.0f} s "
            f"| {max(within, default=float('nan')):.1f} s | {max(after, default=float('nan')):.2f} s |"
        )
    print()


def _lines(path: Path) -> Iterator[tuple[float, str]]:
    for line in path.read_text().splitlines():
        found = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (.*)", line)
        if found:
            yield datetime.fromisoformat(found[1]).timestamp() + int(found[2]) / 1000, found[3]


def said(text: str) -> None:
    """Print with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
