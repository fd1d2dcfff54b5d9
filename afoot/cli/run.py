"""`afoot run` and `afoot submit`: the job on Kafka, on an engine of its own or on a Flink cluster."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from afoot.cli import console
from afoot.cli.job import entry_point, run_job
from afoot.config import Config, load_config
from afoot.errors import AfootError, UsageError
from afoot.kafka import Reader
from afoot.lake.storage import ensure_writable
from afoot.recovery import newest_state
from afoot.runtime.flink_home import flink_home
from afoot.runtime.java import java_home
from afoot.topics import advice, made_by_brokers, outputs, silent

PATIENCE_S = 10.0  # for a server to accept a connection

ConfigFile = Annotated[Path, typer.Option(help="afoot.toml")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew: ignore savepoints and checkpoints.")]
Resume = Annotated[str | None, typer.Option("--from", help="Resume from this savepoint or checkpoint.")]


def run(config: ConfigFile, fresh: Fresh = False, resume: Resume = None) -> None:
    """Find culprits as telemetry arrives, until stopped. Ctrl-C takes a savepoint; the next start resumes from it.

    Example: afoot run --config afoot.toml
    """
    loaded = _for_kafka(config)
    ensure_writable(loaded.lake or "")
    _ensure_reachable(loaded.kafka["bootstrap.servers"])
    _ensure_topics(loaded)
    state = _state(loaded, fresh, resume)
    if state:
        console.stderr().print(f"resuming from {state[1]}", soft_wrap=True)
    with console.progress("starting") as step:

        def told(word: dict[str, object]) -> None:
            if word["phase"] == "stopped":
                console.stderr().print(_farewell(word.get("state")), soft_wrap=True)
            elif word["phase"] == "starting again":
                console.stderr().print(
                    f"the job failed, and starts again: {word['cause']}", soft_wrap=True, markup=False
                )
            else:
                step.say(str(word["phase"]))

        run_job(["--config", str(config), *state], _left(loaded), told)


def submit(
    config: ConfigFile,
    jobmanager: Annotated[str, typer.Option(help="HOST:PORT of the cluster's REST interface.")],
    fresh: Fresh = False,
    resume: Resume = None,
    python: Annotated[
        str, typer.Option(help="The cluster's Python that has afoot installed, as its task managers see it.")
    ] = sys.executable,
    check: Annotated[
        bool, typer.Option(help="Try brokers and lake from here first; not where only the cluster reaches them.")
    ] = True,
) -> None:
    """Submit the job to a Flink cluster (session, standalone or Kubernetes) and return; prints the job's id.

    Example: afoot submit --config afoot.toml --jobmanager flink-jobmanager:8081
    """
    loaded = _for_kafka(config)
    if not re.fullmatch(r"[^\s:/]+:\d{1,5}", jobmanager):
        raise UsageError(f"--jobmanager {jobmanager}: allowed is HOST:PORT")
    _ensure_reachable(jobmanager, "the cluster's REST interface")
    if check:
        ensure_writable(loaded.lake or "")
        _ensure_reachable(loaded.kafka["bootstrap.servers"])
        _ensure_topics(loaded)
    state = _state(loaded, fresh, resume)
    command = [str(flink_home() / "bin" / "flink"), "run", "--detached", "--jobmanager", jobmanager]
    if state:
        command += ["--fromSavepoint", state[1]]
    command += ["-pyclientexec", sys.executable, "-pyexec", python, "--python", str(entry_point())]
    command += ["--config", str(config.absolute()), "--cluster"]
    environment = {**os.environ, "JAVA_HOME": str(java_home()), "PYFLINK_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"JobID ([0-9a-f]{32})", done.stdout)
    if done.returncode or found is None:
        raise AfootError(loaded.described(f"{jobmanager} did not take the job: {_cause(done.stdout + done.stderr)}"))
    console.stdout().print(found[1])


def _for_kafka(path: Path) -> Config:
    config = load_config(path)
    if "bootstrap.servers" not in config.kafka:
        raise UsageError(f'{path}: [kafka] "bootstrap.servers" is missing; it names the brokers to read from')
    if config.lake is None:
        raise UsageError(f"{path}: [lake] uri is missing; it says where findings go")
    if not config.telemetry():
        raise UsageError(f"{path}: no [[topic]] holds metrics, logs or flows; there is nothing to judge by")
    return config


def _ensure_reachable(servers: str, what: str = "the brokers") -> None:
    """Connects to one of `servers` (HOST:PORT,...); whatever speaks there, the clients of the job tell."""
    reasons = []
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{server.strip()}: {getattr(error, 'strerror', None) or error}")
    raise AfootError(f"{what} cannot be reached, and nothing was started: {'; '.join(reasons)}")


def _ensure_topics(config: Config) -> None:
    """What is written to is there, or is made by writing; what is read may come later, and is named."""
    try:
        with Reader(config.kafka) as reader:
            there = reader.topics()
            missing = [(table, topic) for table, topic in outputs(config) if topic not in there]
            made = made_by_brokers(reader) if missing else None
    except AfootError as error:
        # The job's own client is another one, and may be given settings that this one does not know.
        _remark(config.described(f"topics were not looked at: {error}"))
        return
    if missing and made is False:
        table, topic = missing[0]
        raise UsageError(
            f"{config.source}: [{table}] no topic {topic} is there, and the brokers make none: {advice(table, topic)}"
        )
    for table, topic in missing if made is None else []:
        _remark(f"[{table}] no topic {topic} is there; unless the brokers make it: {advice(table, topic)}")
    if waited := silent(config, there):
        _remark(f"no topic is there yet of {', '.join(map(str, waited))}; what they would say is unknown until then")


def _remark(text: str) -> None:
    console.stderr().print(text, soft_wrap=True)


def _farewell(state: object) -> str:
    if state is None:
        return "stopped; [flink] checkpoints names no place for a savepoint, so the next start begins anew"
    return f"stopped; the next start resumes from {state}"


def _left(config: Config) -> str:
    if config.flink.checkpoints is None:
        return "there are no checkpoints, and the next start begins anew"
    return f"no savepoint was waited for, and the next start resumes from what is newest in {config.flink.checkpoints}"


def _state(config: Config, fresh: bool, resume: str | None) -> list[str]:
    if resume is not None:
        return ["--from", resume]
    found = None if fresh or config.flink.checkpoints is None else newest_state(config.flink.checkpoints)
    return [] if found is None else ["--from", found]


def _cause(text: str) -> str:
    causes = [
        line.strip() for line in text.splitlines() if line.startswith("Caused by: ") or line.startswith("afoot: ")
    ]
    return causes[-1].removeprefix("Caused by: ").removeprefix("afoot: ") if causes else text.strip()[-800:]
