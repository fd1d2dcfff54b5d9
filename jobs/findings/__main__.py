"""Runs the job: `python -m jobs.findings --config C`, or as the file of `flink run`; afoot's commands call it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import orjson

from afoot.captures import Prepared, prepare
from afoot.config import Config, load_config
from afoot.errors import AfootError, UsageError

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Somebody asked the job to stop."""


def main(arguments: list[str] | None = None) -> int:
    """Builds the job and runs it to its end; returns the exit status that afoot's commands promise."""
    parser = argparse.ArgumentParser(prog="jobs.findings")
    parser.add_argument("--config", help="afoot.toml")
    parser.add_argument("--capture", nargs="+", type=Path, default=[], help="read these files in place of Kafka")
    parser.add_argument("--lake", help="in place of [lake] uri")
    parser.add_argument("--alerts-path", help="a folder for alerts in place of [alerts] topic")
    parser.add_argument("--cluster", action="store_true", help="run on the cluster that started this process")
    parser.add_argument("--bounded", action="store_true", help="end where the topics end now")
    parser.add_argument("--from", dest="state", help="resume from this savepoint or checkpoint")
    parser.add_argument(
        "--name", default="afoot", help="of the job: prefix of its transactions, and its consumer group"
    )
    parser.add_argument("--tell", action="store_true", help="print progress, a JSON object a line")
    given = parser.parse_args(arguments)
    try:
        config = load_config(given.config)
        with tempfile.TemporaryDirectory(prefix="afoot-") as folder:
            run(config, given, Path(folder))
    except AfootError as error:
        print(f"afoot: {error}", file=sys.stderr, flush=True)
        return error.exit_status
    except Interrupted:
        return 0
    return 0


def run(config: Config, given: argparse.Namespace, folder: Path) -> None:
    """The job of a configuration, from Kafka or a capture, until it ends or is told to stop."""
    lake = given.lake or config.lake
    if lake is None:
        raise UsageError(f"{config.source}: [lake] uri is missing; it says where findings go")

    def tell(phase: str, part: float | None = None) -> None:
        if given.tell:
            print(orjson.dumps({"phase": phase, "part": part}).decode(), flush=True)

    for number in INTERRUPTS:
        signal.signal(number, _interrupted)
    capture = prepared(config, given.capture, folder, tell) if given.capture else None
    tell("starting the engine")
    # Imported here: pyflink takes a second that wrong usage should not wait for.
    from jobs.findings import engine
    from jobs.findings.job import Outlets, build

    options = engine.settings(config)
    if capture is not None:
        options |= engine.replay_settings(folder)
    if given.state:
        options["execution.state-recovery.path"] = given.state
    table_env = engine.on_cluster(options) if given.cluster else engine.embedded(options, folder)
    outlets = Outlets(lake=lake, alerts_path=given.alerts_path, name=given.name)
    tell("planning the job")
    inserts = build(table_env, config, outlets, capture, given.bounded)
    result = inserts.execute()
    if given.cluster:
        return
    with engine.worded_errors(config.described):
        done = threading.Event()
        watch = threading.Thread(target=engine.watch, args=(result, capture, tell, done), daemon=True)
        watch.start()
        try:
            result.wait()
        except Interrupted:
            tell("taking a savepoint")
            engine.stop(result, config)
        finally:
            done.set()


def prepared(config: Config, files: list[Path], folder: Path, tell: Any) -> Prepared:
    """A capture sorted for the job."""

    def is_inventory(topic: str) -> bool:
        entry = config.topic_of(topic)
        return entry is not None and entry.kind == "inventory"

    return prepare(files, folder, is_inventory, lambda count: tell(f"sorting the capture: {count:,} messages"))


def _interrupted(number: int, frame: Any) -> NoReturn:
    for other in INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if "--cluster" in sys.argv:
        # The client of a cluster goes on to report what was submitted, unless there is nothing to report.
        if status:
            sys.exit(status)
    else:
        # The gateway's threads and the engine's JVM would outlive an ordinary exit by seconds.
        os._exit(status)
