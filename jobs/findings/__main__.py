"""Runs the job: `python -m jobs.findings --config C`, or as the Python file of `flink run`; afoot's commands call it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from afoot.captures import Prepared, prepare
from afoot.config import Config, load_config
from afoot.errors import AfootError


def main(arguments: list[str] | None = None) -> int:
    """Builds the job and runs it to its end; returns the exit status that afoot's commands promise."""
    parser = argparse.ArgumentParser(prog="jobs.findings")
    parser.add_argument("--config", help="afoot.toml")
    parser.add_argument("--capture", nargs="+", type=Path, default=[], help="read these files in place of Kafka")
    parser.add_argument("--lake", help="in place of [lake] uri")
    parser.add_argument("--alerts-path", help="a folder for alerts in place of [alerts] topic")
    parser.add_argument("--cluster", action="store_true", help="run on the cluster that started this process")
    parser.add_argument("--bounded", action="store_true", help="end where the topics end now")
    parser.add_argument(
        "--name", default="afoot", help="of the job: prefix of its transactions, and its consumer group"
    )
    given = parser.parse_args(arguments)
    try:
        config = load_config(given.config)
        with tempfile.TemporaryDirectory(prefix="afoot-") as folder:
            run(config, given, Path(folder))
    except AfootError as error:
        print(f"afoot: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def run(config: Config, given: argparse.Namespace, folder: Path) -> None:
    """The job of a configuration, from Kafka or a capture, until it ends."""
    capture = prepared(config, given.capture, folder) if given.capture else None
    from jobs.findings import engine  # imports pyflink, which takes a second that wrong usage should not wait for
    from jobs.findings.job import Outlets, build

    options = engine.settings(config)
    if capture is not None:
        options = {**options, **engine.replay_settings(folder)}
    table_env = engine.on_cluster(options) if given.cluster else engine.embedded(options, str(folder))
    outlets = Outlets(lake=given.lake or config.lake or "", alerts_path=given.alerts_path, name=given.name)
    result = build(table_env, config, outlets, capture, given.bounded).execute()
    if not given.cluster:
        result.wait()


def prepared(config: Config, files: list[Path], folder: Path) -> Prepared:
    """A capture sorted for the job."""

    def is_inventory(topic: str) -> bool:
        entry = config.topic_of(topic)
        return entry is not None and entry.kind == "inventory"

    return prepare(files, folder, is_inventory)


if __name__ == "__main__":
    sys.exit(main())
