"""Runs the job: `python -m jobs.findings --config C`, or as the file of `flink run`; afoot's commands call it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

import orjson

from afoot.batches import fitting
from afoot.captures import Prepared
from afoot.config import Config, load_config
from afoot.errors import AfootError, UsageError
from jobs.findings.sorting import Sorting

BRIEF_BYTES = 512 * 1024 * 1024  # that a capture holds: a minute or so for the job
WATCH_EVERY_S = 5  # for failures
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Somebody asked for a stop before the job had begun."""


class Interrupts:
    """Stops that were asked for by signal. The first one is granted in order, a second one ends the process."""

    def __init__(self) -> None:
        self.asked = False
        self.job_began = False
        for number in INTERRUPTS:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        for other in INTERRUPTS:
            signal.signal(other, signal.SIG_DFL)
        self.asked = True
        if not self.job_began:
            raise Interrupted


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
        # A job that hangs goes on writing there until its engine ends.
        with (
            tempfile.TemporaryDirectory(prefix="afoot-", ignore_cleanup_errors=True) as folder,
            Sorting(config, given.capture, Path(folder)) if given.capture else nullcontext() as sorting,
        ):
            run(config, given, Path(folder), sorting)
    except AfootError as error:
        print(f"afoot: {error}", file=sys.stderr, flush=True)
        return error.exit_status
    except Interrupted:
        if given.capture:
            print("afoot: interrupted before anything was replayed", file=sys.stderr, flush=True)
        return 1 if given.capture else 0
    return 0


def run(config: Config, given: argparse.Namespace, folder: Path, sorting: Sorting | None = None) -> None:
    """The job of a configuration, from Kafka or a capture that is being sorted, until it ends or is told to stop."""
    lake = given.lake or config.lake
    if lake is None:
        raise UsageError(f"{config.source}: [lake] uri is missing; it says where findings go")

    interrupts = Interrupts()

    def tell(phase: str, **more: object) -> None:
        if not given.tell:
            return
        try:
            print(orjson.dumps({"phase": phase, **more}).decode(), flush=True)
        except BrokenPipeError:
            # Whoever started the job is gone, and nobody else would ever stop it.
            given.tell, interrupts.asked = False, True

    def sorting_goes_on(so_far: Prepared | None) -> None:
        if interrupts.asked:
            raise Interrupted
        if so_far is not None:
            tell(f"sorting the capture: {so_far.messages:,} messages")

    # Of a long capture, all but its messages is known before they are sorted; a brief one is sorted soon.
    capture = sorting.begun(BRIEF_BYTES, sorting_goes_on) if sorting else None
    tell("starting the engine")
    # Imported here: pyflink takes a second that wrong usage should not wait for.
    from jobs.findings import engine
    from jobs.findings.job import Outlets, build, capture_lateness

    # From here on a signal sets a mark, and no exception leaves the Java gateway in the middle of an answer.
    interrupts.job_began = True
    brief = capture is not None and capture.payload_bytes < BRIEF_BYTES
    if not given.cluster and not brief:
        # One Python process more takes seconds to start, and then all CPUs are of use: see docs/decisions.md.
        config = replace(config, flink=replace(config.flink, judge_apart=True))
    if capture is not None and capture.messages and config.flink.batch is None:
        batch = fitting(capture.payload_bytes / capture.messages)
        config = replace(config, flink=replace(config.flink, batch=batch))
    options = engine.settings(config)
    if capture is not None:
        options |= engine.replay_settings(folder)
    if given.state:
        options["execution.state-recovery.path"] = given.state
    with engine.worded_errors(config.described):
        table_env = engine.on_cluster(options) if given.cluster else engine.embedded(options, folder, brief=brief)
        outlets = Outlets(lake=lake, alerts_path=given.alerts_path, name=given.name)
        tell("planning the job")
        build(table_env, config, outlets, capture, given.bounded).attach_as_datastream()
        if sorting is not None and capture is not None:
            planned_ms = capture_lateness(config, capture)
            capture = sorting.ended(sorting_goes_on)
            if capture_lateness(config, capture) != planned_ms:  # by a topic that had not come by then
                table_env = engine.another(table_env)
                build(table_env, config, outlets, capture).attach_as_datastream()
        if interrupts.asked:
            raise Interrupted
        job = engine.start(table_env)
        if given.cluster:
            return
        ended = ThreadPoolExecutor(1).submit(job.get_job_execution_result().result)
        failed: engine.Failure | None = None
        for second in count():
            if ended.done() or interrupts.asked:
                break
            if capture is None and second % WATCH_EVERY_S == 0:  # a replay is not started again
                failure = engine.last_failure(job)
                if failure is not None and failure != failed:
                    failed = failure
                    tell("starting again", cause=config.described(failure.cause))
                if failed is not None:
                    engine.replace_task_manager(job)
            tell("finding culprits")
            wait([ended], timeout=1.0)
        if ended.done():
            ended.result()
        elif capture is not None:
            engine.cancel(job)
            raise AfootError(f"interrupted: {lake} holds a part of the capture's findings")
        elif config.flink.checkpoints is None:
            engine.cancel(job)
            tell("stopped", state=None)
        else:
            tell("taking a savepoint; a second Ctrl-C ends at once")
            state = engine.stop(job)
            wait([ended], timeout=engine.CANCEL_S)  # for the engine to remove the checkpoints before
            tell("stopped", state=state)


if __name__ == "__main__":
    status = 1
    try:
        status = main()
    except Exception:  # a defect: shown here, as os._exit below shows nothing, and told by the status
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    if "--cluster" in sys.argv:
        # The client of a cluster goes on to report what was submitted, unless there is nothing to report.
        if status:
            sys.exit(status)
    else:
        # The gateway's threads and the engine's JVM would outlive an ordinary exit by seconds.
        os._exit(status)
