"""The rendered SQL is what people read: golden files, and the parts that a configuration decides.

To renew the golden files after a change that is meant: AFOOT_RENEW=1 pytest tests/jobs/test_render.py; read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from afoot.config import DEFAULT_TOPICS, Config, Topic
from afoot.lake.layout import TABLES, flink_columns
from jobs.findings.render import (
    interval,
    quoted,
    render,
    sink_options,
    statements,
    topic_pattern,
    version_time,
    watermark,
)

GOLDEN = Path(__file__).parent / "golden"
WINDOW = {"window": interval(60_000), "window_ms": 60_000}
SEPARATORS = {"separator": "u&'\\001f'", "record_separator": "u&'\\001e'"}
LAKE_TABLES = [name for name in TABLES if name != "dead_letters"]
TELEMETRY = tuple(topic for topic in DEFAULT_TOPICS if topic.kind != "inventory")
INVENTORY = tuple(topic for topic in DEFAULT_TOPICS if topic.kind == "inventory")
SINKS = {
    "lake": "s3://lake/afoot",
    "lake_tables": [(name, flink_columns(name)) for name in LAKE_TABLES],
    "partitions": {name: ", ".join(TABLES[name].partitions) for name in LAKE_TABLES},
    "kafka_options": [("properties.bootstrap.servers", "kafka-0:9092")],
    "transactions": "afoot",
    "transaction_timeout_ms": 900_000,
    "alerts_path": None,
}
ON_KAFKA = {"alerts_topic": "afoot.alerts", "dead_letters_topic": "afoot.dead-letters"}
IN_FILES = {"alerts_topic": None, "dead_letters_topic": None}
DECODE = {"source": "telemetry", "counted_at": "ts", **SEPARATORS}

RENDERED = {
    "01_sources_kafka": lambda: render(
        "01_sources_kafka.sql",
        watermark=watermark(TELEMETRY),
        version_time=version_time(60_000),
        telemetry_pattern=topic_pattern(TELEMETRY),
        inventory_pattern=topic_pattern(INVENTORY),
        kafka_options=[("properties.bootstrap.servers", "kafka-0:9092"), ("scan.startup.mode", "earliest-offset")],
        group_id="afoot",
        idle_after_ms=60_000,
        inventory_idle_after_ms=600_000,
    ),
    "01_sources_capture": lambda: render(
        "01_sources_capture.sql",
        lateness=interval(30_000),
        lateness_ms=30_000,
        version_time=version_time(60_000, "TO_TIMESTAMP_LTZ(ms, 3)"),
        telemetry_path="file:///capture/telemetry.jsonl.gz",
        inventory_path="file:///capture/inventory.jsonl.gz",
    ),
    "02_decode_kafka": lambda: render("02_decode.sql", **DECODE, passed=False),
    "02_decode_capture": lambda: render("02_decode.sql", **DECODE, passed=True),
    "02_late_kafka": lambda: render("02_late.sql", window_ms=60_000, from_capture=False),
    "02_late_capture": lambda: render("02_late.sql", window_ms=60_000, from_capture=True),
    "03_windows": lambda: render("03_windows.sql", keys=[0, 3, 4], **SEPARATORS, **WINDOW),
    "04_inventory": lambda: render("04_inventory.sql", **SEPARATORS, **WINDOW),
    "05_placed": lambda: render("05_placed.sql"),
    "06_joins": lambda: render("06_joins.sql", **WINDOW),
    "08_signals": lambda: render("08_signals.sql", all_signals=False, kept=interval(3_720_000), **WINDOW),
    "08_all_signals": lambda: render("08_signals.sql", all_signals=True, kept=interval(3_720_000), **WINDOW),
    "09_sinks_kafka": lambda: render("09_sinks.sql", **SINKS, **ON_KAFKA),
    "09_sinks_files": lambda: render("09_sinks.sql", **{**SINKS, "alerts_path": "file:///alerts"}, **IN_FILES),
    "09_inserts_kafka": lambda: render("09_inserts.sql", **WINDOW, **ON_KAFKA),
    "09_inserts_files": lambda: render("09_inserts.sql", **WINDOW, **{**IN_FILES, "alerts_path": "file:///alerts"}),
}


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_the_sql_is_what_was_read(name: str) -> None:
    path, text = GOLDEN / f"{name}.sql", RENDERED[name]()
    if os.environ.get("AFOOT_RENEW"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1, "INTERVAL '0 00:00:00.001' DAY TO SECOND"),
        (90_000, "INTERVAL '0 00:01:30.000' DAY TO SECOND"),
        (90_061_007, "INTERVAL '1 01:01:01.007' DAY TO SECOND"),
    ],
)
def test_intervals(ms: int, text: str) -> None:
    assert interval(ms) == text


def test_texts_cannot_end_their_literal() -> None:
    assert quoted("it's") == "'it''s'"


def test_each_topic_promises_by_its_own_lateness() -> None:
    topics = (Topic("a", None, "metrics", "influx", 30_000), Topic(None, "b.*", "logs", "vector", 600_000))
    assert watermark(topics) == (
        "CASE WHEN topic = 'a' THEN ts - INTERVAL '0 00:00:30.000' DAY TO SECOND "
        "ELSE ts - INTERVAL '0 00:10:00.000' DAY TO SECOND END"
    )
    assert watermark(topics[:1]) == "ts - INTERVAL '0 00:00:30.000' DAY TO SECOND"


def test_names_of_topics_are_no_patterns() -> None:
    topics = (Topic("a.b", None, "metrics", "influx"), Topic(None, "c|d", "logs", "vector"))
    assert topic_pattern(topics) == r"a\.b|(?:c|d)"
    assert topic_pattern(()) == "(?!)"


def test_statements_end_at_a_semicolon_that_ends_a_line() -> None:
    assert statements("-- one;\nSELECT ';' AS a;\n\nSELECT 2;\n") == ["SELECT ';' AS a", "SELECT 2"]


def test_a_replay_sends_nothing_to_kafka_whatever_its_configuration_names() -> None:
    config = Config(DEFAULT_TOPICS, alerts_topic="afoot.alerts", dead_letters_topic="afoot.dead-letters")
    assert sink_options(config, "alerts") == {**IN_FILES, "alerts_path": "alerts"}
    assert sink_options(config, None) == {**ON_KAFKA, "alerts_path": None}
