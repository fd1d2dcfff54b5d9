"""`afoot doctor`: what is found of an installation, and what it says to change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from afoot.catalogue.loader import load_catalogue
from afoot.cli.main import app
from afoot.config import Config, Flink, Topic, Window, load_config
from afoot.doctor import (
    INVENTORY_LEAST,
    INVENTORY_ROWS,
    INVENTORY_SAMPLE,
    TRANSACTION_TIMEOUT_MS,
    Check,
    _Heard,
    _inventory,
    _topic,
    _transactions,
    _unusable,
    examine,
    sniff,
)
from afoot.inventory.graph import Graph
from afoot.kafka import Reader, Slice
from afoot.simulate.inventory import envelope
from afoot.telemetry.rows import InventoryChange, Message
from tests.jobs.support import configure, gauge, publish
from tests.servers.kafka import Kafka

NOW_MS = 1_780_000_000_000
METRICS = Topic("t", None, "metrics", "otlp_json")
INVENTORY = Topic("t", None, "inventory", "debezium_json")
CATALOGUE = load_catalogue(())


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock stands still."""
    monkeypatch.setattr("afoot.doctor.time", SimpleNamespace(time=lambda: NOW_MS / 1000, monotonic=time.monotonic))


class Records:
    """A reader of one topic that holds these records."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = list(messages)

    def last(self, topic: str, partitions: list[int], count: int) -> list[Slice]:
        return [Slice(topic, partition, 0, count) for partition in partitions]

    def messages(self, slices: list[Slice]) -> list[Message]:
        return self._messages


class Brokers:
    """Brokers that have, or do not tell, one setting."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def broker_setting(self, name: str) -> str | None:
        assert name == "transaction.max.timeout.ms"
        return self._value


def looked_at(
    messages: list[Message], entry: Topic = METRICS, partitions: int = 1, config: Config | None = None
) -> dict[str, Check]:
    """The checks of a topic that holds these records, by what they are about."""
    reader = cast(Reader, Records(messages))
    checks = _topic("t", entry, list(range(partitions)), reader, CATALOGUE, config or Config((entry,)), None, _Heard())
    return {check.about: check for check in checks}


def message(value: bytes | None, sent_ms: int = NOW_MS, offset: int = 0) -> Message:
    return Message("t", 0, offset, sent_ms, None, value)


def lag(measured_ms: int, sent_ms: int = NOW_MS) -> Message:
    return message(gauge("write_lag_seconds", measured_ms, 1.0, job_name="j"), sent_ms)


def row(table: str, columns: dict[str, Any]) -> Message:
    return message(envelope(table, columns, "c", NOW_MS))


def test_a_healthy_topic_is_all_right() -> None:
    found = looked_at([lag(NOW_MS - 2000)] * 5)
    assert {about: check.state for about, check in found.items()} == {
        "t": "ok",
        "t: event times": "ok",
        "t: signals": "ok",
    }
    assert "of the last 5 records 5 decode as otlp_json" in found["t"].found
    assert found["t: event times"].found == "events are 2.0 s behind their records, at most 2.0 s"


def test_a_topic_without_records_asks_for_its_agent() -> None:
    assert looked_at([]) == {"t": Check("t", "look", "1 partitions, no records", "is its agent running?")}


def test_a_format_that_does_not_fit_is_replaced_by_one_that_does() -> None:
    wrong = replace(METRICS, format="influx")
    check = looked_at([lag(NOW_MS)] * 3, wrong)["t"]
    assert (check.state, check.advice) == ("wrong", "its records look like otlp_json")
    assert "of the last 3 records 0 decode as influx" in check.found


def test_records_of_no_format_are_said_to_be() -> None:
    check = looked_at([message(b"hello")] * 3)["t"]
    assert (check.state, check.advice) == ("wrong", "no format that afoot knows fits")


def test_a_few_bad_records_are_no_reason_to_change_the_format() -> None:
    found = looked_at([lag(NOW_MS), lag(NOW_MS), message(b"{")])
    assert found["t"].state == "look" and "2 decode as otlp_json: otlp_json: not JSON" in found["t"].found
    assert found["t: signals"].state == "ok"


def test_sniffing_takes_no_format_that_reads_nothing_of_it() -> None:
    assert sniff([lag(NOW_MS)], "metrics") == ["otlp_json"]
    assert sniff([message(b"[]")], "metrics") == []


@pytest.mark.parametrize(
    ("behind_s", "state", "advice"),
    [
        (30, "ok", ""),
        (31, "look", 'lateness = "1 min" for this topic'),
        (500, "look", 'lateness = "9 min" for this topic'),
        (-60, "ok", ""),
        (-61, "wrong", "mend the agent's clock"),
    ],
)
def test_event_times_are_held_against_lateness_and_skew(behind_s: int, state: str, advice: str) -> None:
    check = looked_at([lag(NOW_MS - behind_s * 1000)])["t: event times"]
    assert check.state == state and check.advice.startswith(advice)


@pytest.mark.parametrize(
    ("ahead_s", "state", "said"),
    [
        (120, "wrong", "ahead of this machine"),
        (-3600, "look", "60 min old"),
        (-7200, "look", "2 h old"),
        (-86_400 * 304, "look", "304 days old"),
        (-60, None, ""),
    ],
)
def test_record_times_are_held_against_this_machine(ahead_s: int, state: str | None, said: str) -> None:
    at_ms = NOW_MS + ahead_s * 1000
    found = looked_at([lag(at_ms, at_ms)])
    if state is None:
        assert "t: clock" not in found
    else:
        assert (found["t: clock"].state, said in found["t: clock"].found) == (state, True)


def test_metrics_that_no_signal_asks_for_are_named() -> None:
    unknown = message(gauge("my_own_metric", NOW_MS, 1.0))
    found = looked_at([lag(NOW_MS), unknown])["t: signals"]
    assert (found.state, found.found) == ("ok", "1 metric names are signals, 1 are asked for by none: my_own_metric")
    nothing = looked_at([unknown])["t: signals"]
    assert nothing.state == "wrong" and "[catalogue] files" in nothing.advice
    many = looked_at([message(gauge(f"m{n}", NOW_MS, 1.0)) for n in range(9)])["t: signals"]
    assert many.found.endswith("m0, m1, m2, m3, m4, ...")


@pytest.mark.parametrize(
    ("apart_s", "size_s", "found", "advice"),
    [
        (60, 60, None, ""),
        (62, 60, None, ""),
        (
            90,
            60,
            "1 of 2 series come up to 1.5 min apart, and windows are of 1 min: in those between, gauges are missing",
            2,
        ),
        (
            300,
            60,
            "come up to 5 min apart, and windows are of 1 min: in those between, gauges and counters are missing",
            5,
        ),
        (301, 60, "come up to 5.02 min apart", 5),
        (300, 300, None, ""),
        (30, 10, "come up to 30 s apart, and windows are of 10 s: in those between, gauges and counters", 1),
        (7200, 60, "come up to 120 min apart", 60),
    ],
)
def test_scrapes_are_held_against_the_windows(apart_s: int, size_s: int, found: str | None, advice: int | str) -> None:
    often = [message(gauge("write_lag_seconds", NOW_MS - 5000 * n, 1.0, job_name="a")) for n in range(9)]
    rare = [message(gauge("write_lag_seconds", NOW_MS - 1000 * apart_s * n, 1.0, job_name="b")) for n in range(4)]
    of_no_signal = [message(gauge("my_own_metric", NOW_MS - 7_200_000 * n, 1.0)) for n in range(4)]
    config = Config((METRICS,), window=Window(size_ms=1000 * size_s))
    check = looked_at([*often, *rare, *of_no_signal], config=config).get("t: scrapes")
    if found is None:
        assert check is None
    else:
        assert check is not None and check.state == "look" and found in check.found
        assert f'[window] size = "{advice} min"' in check.advice


def test_what_comes_twice_or_is_pre_aggregated_tells_no_scrape() -> None:
    assert "t: scrapes" not in looked_at([lag(NOW_MS), lag(NOW_MS - 300_000)])
    line = {"account_id": "1", "region": "r", "namespace": "AWS/EBS", "metric_name": "VolumeWriteOps"}
    line |= {"dimensions": {"VolumeId": "v"}, "value": {"count": 1, "sum": 1, "min": 1, "max": 1}}
    lines = [message(json.dumps({**line, "timestamp": NOW_MS - 300_000 * n}).encode()) for n in range(9)]
    found = looked_at(lines, replace(METRICS, format="cloudwatch_metric_stream"))
    assert found["t: signals"].state == "ok" and "t: scrapes" not in found


def test_the_inventory_needs_one_partition_and_a_heartbeat() -> None:
    entity = row("entity", {"id": "vm:a", "type": "vm"})
    beat = row("heartbeat", {"id": 1, "at": "2026-01-15T00:00:00Z"})
    assert looked_at([entity, beat], INVENTORY)["t: heartbeat"].state == "ok"
    quiet = looked_at([entity], INVENTORY)["t: heartbeat"]
    assert (quiet.state, quiet.found) == ("look", "1 entity, no heartbeat")
    polled = {"polled_table": "entity", "polled_at": NOW_MS, "polled_row": 1, "polled_rows": 1, "id": "vm:a"}
    repeated = looked_at([message(json.dumps(polled).encode())], replace(INVENTORY, format="jdbc_json"))["t: heartbeat"]
    assert (repeated.state, repeated.found.partition(";")[0]) == ("ok", "1 entity")
    once = looked_at([message(b'{"id": "vm:a"}')], replace(INVENTORY, format="jdbc_json", options={"table": "entity"}))
    assert once["t: heartbeat"].state == "look"
    spread = looked_at([entity, beat], INVENTORY, partitions=3)["t: order"]
    assert (spread.state, spread.advice) == ("wrong", "commit order needs one partition")


def test_label_sets_that_mean_no_entity_are_told_with_the_reason() -> None:
    class Two(Records):
        """A topic of metrics, and one that is the inventory."""

        def messages(self, slices: list[Slice]) -> list[Message]:
            return [one for one in self._messages if one.topic == slices[0].topic]

    rows = [row("entity", {"id": f"job:{name}", "type": "job"})._replace(topic="inventory") for name in ("a", "b")]
    lags = [message(gauge("write_lag_seconds", NOW_MS, 1.0, **labels)) for labels in ({"job_name": "a"}, {"x": "y"})]
    config = Config((METRICS, replace(INVENTORY, name="inventory")))
    reader = cast(Reader, Two([*rows, *lags, message(gauge("write_lag_seconds", NOW_MS, 1.0, job_name="c"))]))
    graph = _inventory(config, {"inventory": [0], "t": [0]}, reader)
    assert graph is not None

    def told(sent: list[Message]) -> Check:
        checks = _topic("t", METRICS, [0], cast(Reader, Records(sent)), CATALOGUE, config, graph, _Heard())
        return next(check for check in checks if check.about == "t: entities")

    assert told(lags[:1]).found == "1 label sets mean an entity, 0 mean none"
    assert told(lags[:1]).state == "ok"
    both = told([*lags, message(gauge("write_lag_seconds", NOW_MS, 1.0, job_name="c"))])
    assert (both.state, both.found.partition(";")[0]) == ("look", "1 label sets mean an entity, 2 mean none")
    assert "1 as no label names an entity of type job: x" in both.found
    assert "1 as job:c is not in the inventory" in both.found
    assert _inventory(Config((METRICS,)), {"t": [0]}, reader) is None


def test_of_an_inventory_that_is_said_again_and_again_the_last_rows_are_enough() -> None:
    asked: list[int] = []

    class Many(Records):
        """A topic whose records hold so many series each."""

        def last(self, topic: str, partitions: list[int], count: int) -> list[Slice]:
            asked.append(count)
            return super().last(topic, partitions, count)

    def scrape(pods: int) -> Message:
        labels = [{"namespace": "a", "pod": f"p-{n}", "node": "n"} for n in range(pods)]
        at = {"value": "1", "timestamp": "2026-05-28T20:26:40Z", "name": "kube_pod_info"}
        return message(json.dumps([at | {"labels": one} for one in labels]).encode())._replace(topic="inventory")

    repeated = replace(INVENTORY, name="inventory", format="prometheus_kafka_adapter")
    for pods in (1_000, 1, 0):
        reader = cast(Reader, Many([scrape(pods)] * 3))
        assert _inventory(Config((repeated,)), {"inventory": [0]}, reader) is not None
    rows = 2 * 1_000  # of a pod: itself, and its node
    assert asked[1::2] == [INVENTORY_ROWS // rows, INVENTORY_SAMPLE, INVENTORY_SAMPLE]
    assert set(asked[::2]) == {INVENTORY_LEAST}


def test_what_the_inventory_cannot_use_is_told() -> None:
    made = Graph()
    assert list(_unusable(made)) == []
    for name in ("a", "b"):
        kind = {"from_id": f"job:{name}", "to_id": "vm:c", "kind": "run_on"}
        made.apply(InventoryChange("relation", "upsert", tuple(kind.values()), kind, NOW_MS))
    (check,) = _unusable(made)
    assert (check.about, check.state) == ("the inventory", "look")
    assert check.found.startswith("2 times: relation kind 'run_on' is not known") and "more" not in check.found
    for number in range(4):
        kind = {"from_id": "job:a", "to_id": "vm:c", "kind": f"k{number}"}
        made.apply(InventoryChange("relation", "upsert", tuple(kind.values()), kind, NOW_MS))
    (check,) = _unusable(made)
    assert check.found.startswith("2 times: ") and check.found.endswith("; and 2 more")


@pytest.mark.parametrize(
    ("value", "interval_ms", "state"),
    [
        (str(TRANSACTION_TIMEOUT_MS), 30_000, "ok"),
        (str(TRANSACTION_TIMEOUT_MS - 1), 30_000, "wrong"),
        (str(TRANSACTION_TIMEOUT_MS), TRANSACTION_TIMEOUT_MS // 3, "ok"),
        (str(TRANSACTION_TIMEOUT_MS), TRANSACTION_TIMEOUT_MS // 3 + 1, "look"),
        (None, 30_000, "look"),
    ],
)
def test_transactions_must_outlive_checkpoints_and_be_allowed_to(
    value: str | None, interval_ms: int, state: str
) -> None:
    config = Config((METRICS,), flink=Flink(checkpoint_interval_ms=interval_ms))
    check = _transactions(config, cast(Reader, Brokers(value)))
    assert check.state == state
    assert bool(check.advice) == (state != "ok")


def test_without_brokers_and_places_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    config = configure(tmp_path / "afoot.toml", topics=[], lake={"uri": str(tmp_path / "file")})
    found = {check.about: check for check in examine(load_config(config))}
    assert {about: check.state for about, check in found.items()} == {
        "catalogue": "ok",
        "brokers": "wrong",
        "lake": "wrong",
        "checkpoints": "look",
    }
    assert "cannot be written" in found["lake"].found


def test_a_catalogue_that_would_stop_the_job_stops_the_checks(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("signals: 3\n", "utf-8")
    config = configure(tmp_path / "afoot.toml", topics=[], catalogue={"files": ["own.yaml"]})
    (check,) = examine(load_config(config))
    assert (check.about, check.state) == ("catalogue", "wrong") and "own.yaml" in check.found


def doctor(config: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit status, and the checks that the command prints as JSON."""
    result = CliRunner().invoke(app, ["doctor", "--config", str(config), "--format", "json"])
    assert result.stderr == ""
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, {row["about"]: row for row in rows}


@pytest.mark.server
def test_against_a_broker(kafka_server: Kafka, tmp_path: Path) -> None:
    for topic, partitions in (("telemetry.metrics", 2), ("telemetry.logs", 1), ("inventory", 1)):
        kafka_server.create(f"doctor.{topic}", partitions, retention_ms="-1")
    metrics = [
        Message("doctor.telemetry.metrics", n % 2, n // 2, NOW_MS, None, gauge("write_lag_seconds", NOW_MS, 1.0))
        for n in range(10)
    ]
    publish(kafka_server, metrics)
    places = {"lake": {"uri": str(tmp_path / "lake")}, "flink": {"checkpoints": str(tmp_path / "state")}}
    brokers = {"kafka": {"bootstrap.servers": kafka_server.bootstrap}}
    config = configure(
        tmp_path / "afoot.toml",
        "doctor.",
        ["telemetry.metrics", "telemetry.logs", "telemetry.flows", "inventory"],
        alerts={"topic": "doctor.alerts"},
        **places,
        **brokers,
    )
    status, found = doctor(config)
    assert status == 1
    assert {about: row["state"] for about, row in found.items()} == {
        "catalogue": "ok",
        "brokers": "ok",
        "transactions": "ok",
        "doctor.telemetry.metrics": "ok",
        "doctor.telemetry.metrics: event times": "ok",
        "doctor.telemetry.metrics: signals": "ok",
        "doctor.telemetry.logs": "look",
        "doctor.telemetry.flows": "look",
        "doctor.inventory": "look",
        "alerts": "wrong",
        "dead letters": "look",
        "lake": "ok",
        "checkpoints": "ok",
    }
    assert "of the last 10 records 10 decode" in found["doctor.telemetry.metrics"]["found"]
    assert found["doctor.telemetry.flows"]["found"] == "no such topic"
    assert found["doctor.telemetry.logs"]["found"] == "1 partitions, no records"
    publish(kafka_server, [Message("doctor.telemetry.logs", 0, 0, NOW_MS, None, b"oops")])
    status, found = doctor(config)
    assert (status, found["doctor.telemetry.logs"]["state"]) == (1, "wrong")


@pytest.mark.parametrize(
    ("records", "size", "seconds", "batch", "advice"),
    [
        pytest.param(6_000, 200, 2, None, "batch = 4000 takes less CPU", id="many small ones"),
        pytest.param(6_000, 200, 30, None, None, id="too few a second to fill a batch"),
        pytest.param(6_000, 200, 2, 4_000, None, id="as said"),
        pytest.param(600, 16_000, 1, None, None, id="of a hundred points"),
        pytest.param(60, 400_000, 60, None, "batch = 20 holds less in memory", id="large ones, however few"),
        pytest.param(0, 0, 1, None, None, id="none"),
    ],
)
def test_how_many_fit_a_batch_is_said_where_it_matters(
    records: int, size: int, seconds: int, batch: int | None, advice: str | None
) -> None:
    heard = _Heard()
    if records:
        value = bytes(size)
        heard.take(
            [
                Message("t", 0, offset, NOW_MS + offset * seconds * 1000 // records, None, value)
                for offset in range(records)
            ]
        )
    checks = list(heard.batches(Config((METRICS,), flink=Flink(batch=batch))))
    assert [check.state for check in checks] == (["look"] if advice else [])
    assert advice is None or advice in checks[0].advice
