"""The findings job, its steps in the order of the data. The SQL of a step is in sql/ under the same number.

1. Sources: topics (or a capture) as bytes, event time per partition.
2. Decode: messages to frames: sample blocks, inventory changes, counts, refusals. Python, a batch of messages a call.
3. Windows: the blocks of a shard and a minute, joined into one row. SQL.
4. Inventory: changes to every instance of the stages that place and judge.
5. Score and place: blocks to signals, with what was to be expected, placed by the inventory as of their window. Python.
6. Joins: write lag with chain, flows and volume I/O, window by window. SQL.
7. Judge: verdicts and cases. Python.
8. Signals around cases: what was measured an hour each side. SQL.
9. Sinks: findings, evidence, signals and books to the lake, alerts, dead letters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pyflink.datastream import DataStream, KeyedStream
from pyflink.table import StatementSet, StreamTableEnvironment, Table

from afoot.captures import Prepared
from afoot.config import Config
from afoot.lake.layout import TABLES, flink_columns
from afoot.lake.storage import with_scheme
from jobs.findings.crossing import keyed_rows, own_time_schema, row_type, spread_keys, timed_schema
from jobs.findings.decode import decode_messages
from jobs.findings.inventory import CHANGES
from jobs.findings.judge import JUDGED, Judge
from jobs.findings.render import (
    RECORD_SEPARATOR,
    SEPARATOR,
    interval,
    kafka_options,
    render,
    sink_options,
    statements,
    topic_pattern,
    unicode_literal,
    version_time,
    watermark,
)
from jobs.findings.score import SCORED, WINDOW, ScoreAndPlace

SHARDS_REPLAYED = 2  # an instance
KEPT_MS = 72 * 60_000  # placed signals are kept for as long as a request may reach back: 70 minutes, and two windows
CAPTURE_TIME = "TO_TIMESTAMP_LTZ(ms, 3)"  # of a record in a prepared capture
TRANSACTION_TIMEOUT_MS = 900_000  # the most that brokers allow unless told otherwise
CASE_WINDOWS = "SELECT 0 AS `key`, CAST(ROW(heard) AS ROW<heard STRING>) AS data, rt FROM case_windows"
RECORDS = {
    "k": "BYTES",
    "v": "BYTES",
    "topic": "STRING",
    "partition": "INT",
    "offset": "BIGINT",
    "ts": "TIMESTAMP_LTZ(3)",
    "heard": "TIMESTAMP_LTZ(3)",
    "passed_ms": "BIGINT",
}
DECODED = {
    "kind": "STRING",
    "shard": "INT",
    "window_ms": "BIGINT",
    "messages": "BIGINT",
    "points": "BIGINT",
    "reason": "STRING",
    "body": "STRING",
    "topic": "STRING",
    "partition": "INT",
    "offset": "BIGINT",
    "ts": "TIMESTAMP_LTZ(3)",
    "k": "BYTES",
    "v": "BYTES",
    "counted_at": "TIMESTAMP_LTZ(3)",
    "heard": "TIMESTAMP_LTZ(3)",
}
FRAMES = {name: kind for name, kind in DECODED.items() if name not in ("counted_at", "heard")} | {
    "late": "BOOLEAN",
    "rt": "TIMESTAMP_LTZ(3)",
}


class Outlets(NamedTuple):
    """Where results go: the lake's URI, and files in place of topics for a replay."""

    lake: str
    alerts_path: str | None = None
    name: str = "afoot"  # prefix of the sinks' transactions: one a running job


def build(
    table_env: StreamTableEnvironment,
    config: Config,
    outlets: Outlets,
    capture: Prepared | None = None,
    bounded: bool = False,
) -> StatementSet:
    """The whole job as one statement set; from Kafka, or from a capture that was prepared."""
    if capture is not None:
        # A replay resumes nothing that other shards have written, and few of them cost least.
        shards = min(config.window.shards, SHARDS_REPLAYED * config.flink.parallelism)
        config = replace(config, window=replace(config.window, shards=shards))
    values = {"separator": unicode_literal(SEPARATOR), "record_separator": unicode_literal(RECORD_SEPARATOR)}
    window = {"window": interval(config.window.size_ms), "window_ms": config.window.size_ms}

    _sources(table_env, config, outlets, capture, bounded)
    frames = _frames(table_env, config, values, window["window_ms"], capture is not None)
    table_env.create_temporary_view("frames", frames)
    keys = spread_keys(config.window.shards)
    by_shard = render("03_windows.sql", keys=[keys[0], *keys], **values, **window)  # NOWHERE, then 0, 1, ...
    windows = keyed_rows(table_env, by_shard, WINDOW)
    changes = table_env.to_data_stream(table_env.sql_query(render("04_inventory.sql", **values, **window)))
    scored = _scored(windows, changes, config, capture)
    table_env.create_temporary_view("scored", table_env.from_data_stream(scored, timed_schema(SCORED)))
    table_env.create_temporary_view("placed", table_env.sql_query(render("05_placed.sql")))
    for statement in statements(render("06_joins.sql", **window)):
        table_env.execute_sql(statement)
    cases = keyed_rows(table_env, CASE_WINDOWS, {"heard": "STRING"})
    judged = _judged(cases, changes, config)
    table_env.create_temporary_view("judged", table_env.from_data_stream(judged, timed_schema(JUDGED)))
    table_env.execute_sql(
        "CREATE TEMPORARY VIEW requests AS "
        "SELECT `scope`, window_end AS window_end_ms, rt FROM judged WHERE row_kind = 'request'"
    )
    around = render("08_signals.sql", all_signals=config.all_signals, kept=interval(KEPT_MS), **window)
    return _sinks(table_env, config, outlets, around, window)


def _sources(
    table_env: StreamTableEnvironment, config: Config, outlets: Outlets, capture: Prepared | None, bounded: bool
) -> None:
    skew = config.window.max_skew_ms
    if capture is not None:
        lateness_ms = capture_lateness(config, capture)
        script = render(
            "01_sources_capture.sql",
            lateness=interval(lateness_ms),
            lateness_ms=lateness_ms,
            version_time=version_time(skew, CAPTURE_TIME),
            telemetry_path=capture.telemetry.absolute().as_uri(),
            inventory_path=capture.inventory.absolute().as_uri(),
        )
    else:
        script = render(
            "01_sources_kafka.sql",
            watermark=watermark(config.telemetry()),
            version_time=version_time(skew),
            telemetry_pattern=topic_pattern(config.telemetry()),
            inventory_pattern=topic_pattern(config.inventory()),
            kafka_options=[*kafka_options(config.kafka), *_startup(config.start, bounded)],
            group_id=outlets.name,
            idle_after_ms=config.window.idle_after_ms,
            inventory_idle_after_ms=config.window.inventory_idle_after_ms,
        )
    for statement in statements(script):
        table_env.execute_sql(statement)
    if capture is not None:
        # One file has one reader, but every instance is to decode.
        columns = ", ".join(f"`{name}`" for name in RECORDS)
        stream = table_env.to_data_stream(table_env.sql_query(f"SELECT {columns} FROM captured")).rebalance()
        table_env.create_temporary_view(
            "telemetry", table_env.from_data_stream(stream, own_time_schema(RECORDS, "heard"))
        )
    table_env.create_temporary_function("decode_messages", decode_messages(config, capture is not None))


def capture_lateness(config: Config, capture: Prepared) -> int:
    """Merged by record time, the capture's topics move together: no faster than the latest of them may be, in ms."""
    topics = [config.topic_of(name) for name in capture.topics]
    return max((topic.lateness_ms for topic in topics if topic is not None and topic.kind != "inventory"), default=0)


def _startup(start: str, bounded: bool) -> list[tuple[str, str]]:
    if start in ("earliest", "latest"):
        options = [("scan.startup.mode", f"{start}-offset")]
    else:
        options = [("scan.startup.mode", "timestamp"), ("scan.startup.timestamp-millis", start)]
    if bounded:
        options.append(("scan.bounded.mode", "latest-offset"))
    return options


def _frames(
    table_env: StreamTableEnvironment, config: Config, values: dict[str, str], window_ms: object, from_capture: bool
) -> Table:
    sources = [("telemetry", "ts", from_capture)]
    if config.inventory():
        sources.append(("inventory", "heard", False))
    decoded = " UNION ALL ".join(
        render("02_decode.sql", source=source, counted_at=counted_at, passed=passed, **values)
        for source, counted_at, passed in sources
    )
    stream = table_env.to_data_stream(table_env.sql_query(decoded)).rebalance()
    table_env.create_temporary_view("decoded", table_env.from_data_stream(stream, own_time_schema(DECODED, "heard")))
    # Streams are frozen once converted: everything behind this one shares these sources and this decoding.
    stream = table_env.to_data_stream(
        table_env.sql_query(render("02_late.sql", window_ms=window_ms, from_capture=from_capture))
    )
    return table_env.from_data_stream(stream, own_time_schema(FRAMES, "rt"))


def _scored(windows: KeyedStream, changes: DataStream, config: Config, capture: Prepared | None) -> DataStream:
    function = (
        ScoreAndPlace(config)
        if capture is None
        else ScoreAndPlace(config, capture.heard, capture_lateness(config, capture))
    )
    return (
        windows.connect(changes.broadcast(CHANGES))
        .process(function, row_type(SCORED))
        .name("score and place")
        .uid("score-and-place")
    )


def _judged(cases: KeyedStream, changes: DataStream, config: Config) -> DataStream:
    # What writes findings, evidence and alerts follows the judge into its slot.
    return (
        cases.connect(changes.broadcast(CHANGES))
        .process(Judge(config), row_type(JUDGED))
        .name("judge")
        .uid("judge")
        .set_parallelism(1)
        .slot_sharing_group("judge" if config.flink.judge_apart else "default")
    )


def _sinks(
    table_env: StreamTableEnvironment, config: Config, outlets: Outlets, around: str, window: dict[str, object]
) -> StatementSet:
    lake_tables = [name for name in TABLES if name != "dead_letters"]
    options = sink_options(config, outlets.alerts_path)
    script = render(
        "09_sinks.sql",
        lake=with_scheme(outlets.lake),
        lake_tables=[(name, flink_columns(name)) for name in lake_tables],
        partitions={name: ", ".join(TABLES[name].partitions) for name in lake_tables},
        kafka_options=kafka_options(config.kafka),
        transactions=outlets.name,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        **options,
    )
    for statement in [*statements(script), *statements(around)]:
        table_env.execute_sql(statement)
    inserts = table_env.create_statement_set()
    for statement in statements(render("09_inserts.sql", **window, **options)):
        inserts.add_insert_sql(statement)
    return inserts
