"""Runs the SQL of steps 6 and 8 over tables of events, in a process of its own: pyflink starts one JVM for good.

Standard input: {"placed": [row...], "requests": [row...]}; `rt_ms` of a row is its event time. The last line printed:
{"cases": [[rt, heard]...], "signals": [[entity, signal, window_end_ms]...]}.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from afoot.config import Config
from jobs.findings import engine
from jobs.findings.job import KEPT_MS
from jobs.findings.render import interval, render, statements
from jobs.findings.score import PLACED

MINUTE = {"window": interval(60_000), "window_ms": 60_000}
REQUESTS = {"scope": "STRING", "window_end_ms": "BIGINT"}


def main() -> None:
    """Reads the tables, runs the views over them, and prints what they give."""
    given = json.load(sys.stdin)
    folder = Path(tempfile.mkdtemp())
    config = Config(topics=())
    table_env = engine.embedded(engine.settings(config) | engine.replay_settings(folder), folder, brief=True)
    for name, columns in (("placed", PLACED), ("requests", REQUESTS)):
        file = folder / f"{name}.jsonl"
        rows = sorted(given[name], key=lambda row: row["rt_ms"])
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        listed = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
        table_env.execute_sql(
            f"CREATE TABLE {name} ({listed}, rt_ms BIGINT, rt AS TO_TIMESTAMP_LTZ(rt_ms, 3),"
            " WATERMARK FOR rt AS rt - INTERVAL '0.001' SECOND)"
            f" WITH ('connector' = 'filesystem', 'path' = '{file.as_uri()}', 'format' = 'json')"
        )
    for script in ("06_joins.sql", "08_signals.sql"):
        for statement in statements(render(script, all_signals=False, kept=interval(KEPT_MS), **MINUTE)):
            table_env.execute_sql(statement)
    cases = "SELECT TIMESTAMPDIFF(SECOND, TO_TIMESTAMP_LTZ(0, 3), rt) AS s, heard FROM case_windows"
    signals = "SELECT entity, signal, window_end_ms FROM kept_signals"
    print(json.dumps({"cases": _rows(table_env, cases), "signals": _rows(table_env, signals)}))


def _rows(table_env: Any, query: str) -> list[list[Any]]:
    with table_env.execute_sql(query).collect() as results:
        return [list(row) for row in results]


if __name__ == "__main__":
    main()
