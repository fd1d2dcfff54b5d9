"""Formats by name: what a configuration may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest

from afoot.errors import UsageError
from afoot.telemetry import formats

OF_THE_CONTRACT = {
    "avro": ("metrics", "logs", "flows", "inventory"),
    "json": ("metrics", "logs", "flows", "inventory"),
    "otlp_json": ("metrics", "logs", "flows", "inventory"),
    "otlp_proto": ("metrics", "logs", "flows", "inventory"),
    "otlp_logs": ("logs",),
    "influx": ("metrics", "flows"),
    "telegraf_json": ("metrics",),
    "collectd_json": ("metrics",),
    "collectd_graphite": ("metrics",),
    "prometheus_kafka_adapter": ("metrics", "inventory"),
    "cloudwatch_metric_stream": ("metrics",),
    "fluent_bit": ("logs",),
    "vector": ("logs",),
    "filebeat": ("logs",),
    "rsyslog_json": ("logs",),
    "kubernetes_events": ("logs", "inventory"),
    "goflow2_json": ("flows",),
    "goflow2_proto": ("flows",),
    "pmacct_json": ("flows",),
    "netobserv_json": ("flows",),
    "vpc_flow_log": ("flows",),
    "debezium_json": ("inventory",),
    "jdbc_json": ("inventory",),
}


def test_every_format_of_the_contract_is_there_with_its_kinds() -> None:
    assert OF_THE_CONTRACT.items() <= {name: formats.kinds(name) for name in formats.names()}.items()


@pytest.mark.parametrize("name", OF_THE_CONTRACT)
def test_every_kind_has_a_decoder(name: str) -> None:
    for kind in OF_THE_CONTRACT[name]:
        assert callable(formats.decoder(name, kind))


def test_an_unknown_format_is_told_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        formats.decoder("otlp_jsn", "metrics")
    assert "unknown format 'otlp_jsn' (did you mean 'otlp_json'?)" in str(caught.value)
    assert "vpc_flow_log" in str(caught.value)


def test_a_kind_that_a_format_has_not() -> None:
    with pytest.raises(UsageError, match="format 'influx' with kind 'logs': it decodes metrics, flows"):
        formats.decoder("influx", "logs")


def test_a_format_of_several_kinds_must_be_told_which() -> None:
    with pytest.raises(UsageError, match="format 'json' with no kind: it decodes metrics, logs, flows, inventory"):
        formats.decoder("json")


def test_an_unknown_option_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="no option 'precison' \\(did you mean 'precision'\\?\\): it has precision"):
        formats.decoder("influx", "metrics", {"precison": "s"})


def test_options_are_described() -> None:
    assert "timestamp_units" in formats.options("telegraf_json")
    assert all(meaning for name in formats.names() for meaning in formats.options(name).values())
