"""A bare Flink scan of a topic, to compare the job with: `python -m benchmarks.scan`.

The same engine with the same options reads the same bytes and counts them; a blackhole takes the count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.process import flink_settings

ROW = "name STRING, unit STRING, kind STRING, labels MAP<STRING, STRING>, time_ns BIGINT, `value` DOUBLE"
COLUMNS = {"raw": "v BYTES", "json": ROW}
COUNTED = {"raw": "v", "json": "`value`"}


def main() -> int:
    """Scans to the end that the topic has now."""
    parser = argparse.ArgumentParser(prog="benchmarks.scan")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--format", choices=sorted(COLUMNS), default="raw")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()

    from afoot.config import Config
    from jobs.findings import engine

    with tempfile.TemporaryDirectory(prefix="afoot-scan-") as folder:
        options = engine.settings(Config(topics=())) | flink_settings(given.port)
        table_env = engine.embedded(options, Path(folder))
        lenient = ", 'json.ignore-parse-errors' = 'true'" if given.format == "json" else ""
        table_env.execute_sql(
            f"CREATE TABLE scanned ({COLUMNS[given.format]}) WITH ('connector' = 'kafka', 'topic' = '{given.topic}', "
            f"'properties.bootstrap.servers' = '{given.bootstrap}', 'scan.startup.mode' = 'earliest-offset', "
            f"'scan.bounded.mode' = 'latest-offset', 'format' = '{given.format}'{lenient})"
        )
        table_env.execute_sql("CREATE TABLE counted (n BIGINT) WITH ('connector' = 'blackhole')")
        table_env.get_config().set("table.exec.mini-batch.enabled", "true")
        table_env.get_config().set("table.exec.mini-batch.allow-latency", "1 s")
        table_env.get_config().set("table.exec.mini-batch.size", "100000")
        table_env.get_config().set("table.optimizer.agg-phase-strategy", "TWO_PHASE")
        table_env.execute_sql(f"INSERT INTO counted SELECT COUNT({COUNTED[given.format]}) FROM scanned").wait()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
