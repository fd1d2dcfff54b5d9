"""What afoot makes of samples of real senders: `python -m benchmarks.formats [--samples DIR] [--rows]`.

Each sample that is known has its format and what it must give: messages, rows, refused rows and dead letters, as
counted by hand. Exit status 1 if one gives something else. A file that is not known is sniffed, as `afoot doctor` does.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from afoot.doctor import sniff
from afoot.errors import DecodeError
from afoot.telemetry import formats
from afoot.telemetry.rows import Message

Framing = Literal["whole", "lines", "records", "pairs", "fluent_bit"]
SAMPLES = Path(__file__).parents[2] / "shared" / "wire-samples"
RECORD_MS = 1_795_231_000_000  # the record's own time where a sample does not tell it
SHOWN_CHARS = 96  # of a reason, in the table


class Expected(NamedTuple):
    """A sample's format and kind, how its file holds messages, and what these must give."""

    format: str
    kind: str
    framing: Framing
    messages: int
    rows: int
    refused: int = 0
    dead: int = 0


class NoMessage(NamedTuple):
    """A sample that is nothing a topic carries, and what it is."""

    what: str


_NETAPP = "answers of a filer to its collector, which sends them on as metrics of another form"
_SCRAPED = "what an agent scrapes, not what it sends"
_OTHERS = "debezium_json", "inventory"  # tables of others: dead letters that name the table

# By the samples' names; a * stands for what differs between samples alike. Tables that are none of the inventory's end
# as dead letters, each with its table's name; tests/telemetry hold what was read of them.
KNOWN: dict[str, Expected | NoMessage] = {
    "otlp/metrics.json": Expected("otlp_json", "metrics", "whole", 1, 12),
    "otlp/metrics.derived.pb": Expected("otlp_proto", "metrics", "whole", 1, 12),
    "otlp/snake_case_test_metrics_001.json": Expected("otlp_json", "metrics", "whole", 1, 1),
    "otlp/otlp_proto_metrics_cmetrics.bin": Expected("otlp_proto", "metrics", "whole", 1, 0, 8),
    "otlp/logs.json": Expected("otlp_json", "logs", "whole", 1, 1),
    "otlp/logs.derived.pb": Expected("otlp_proto", "logs", "whole", 1, 1),
    "otlp/events.json": Expected("otlp_logs", "logs", "whole", 1, 1),
    "otlp/snake_case_test_logs_001.json": Expected("otlp_logs", "logs", "whole", 1, 4),
    "otlp/netflowreceiver_flow_log.json": Expected("otlp_json", "flows", "whole", 1, 1),
    "otel-entities/pvc_entity_state_*.json": Expected("otlp_json", "inventory", "whole", 1, 1),
    "otel-entities/*_logical.json": NoMessage("a logical example of the specification, no encoding of it"),
    "telegraf/influx_disk.txt": Expected("influx", "metrics", "whole", 1, 40),
    "telegraf/influx_diskio.txt": Expected("influx", "metrics", "whole", 1, 33),
    "telegraf/influx_nginx.txt": Expected("influx", "metrics", "whole", 1, 7),
    "telegraf/influx_nginx_plus_api.txt": Expected("influx", "metrics", "whole", 1, 363),
    "telegraf/influx_kube_inventory.txt": Expected("influx", "metrics", "whole", 1, 59),
    "telegraf/influx_netflow_ipfix_example.txt": Expected("influx", "flows", "whole", 1, 29),
    "telegraf/influx_netflow_netflow_v5_example.txt": Expected("influx", "flows", "whole", 1, 8),
    "telegraf/json_standard.json": Expected("telegraf_json", "metrics", "whole", 1, 4),
    "telegraf/json_batch.json": Expected("telegraf_json", "metrics", "whole", 1, 8),
    "telegraf/avro_*": NoMessage("what Telegraf parses, by a schema of its user's; not what it sends"),
    "cloudwatch/metric_stream_ndjson.json": Expected("cloudwatch_metric_stream", "metrics", "whole", 1, 1160),
    "prometheus-kafka-adapter/json.ndjson": Expected("prometheus_kafka_adapter", "metrics", "lines", 2, 0, 2),
    "prometheus-kafka-adapter/metric.avsc": NoMessage("a schema"),
    "collectd/write_kafka_json.ndjson": Expected("collectd_json", "metrics", "lines", 7, 6, 0, 1),
    "collectd/write_kafka_graphite.txt": Expected("collectd_graphite", "metrics", "whole", 1, 2, 1),
    "recorded/collectd.jsonl": Expected("collectd_json", "metrics", "lines", 40, 28, 32),
    "recorded/otlp_metrics.jsonl": Expected("otlp_json", "metrics", "lines", 2, 38),
    "fluent-bit/cri_docker_input.log": NoMessage("what Fluent Bit reads"),
    "fluent-bit/*.json": Expected("fluent_bit", "logs", "fluent_bit", 1, 1),
    "recorded/syslog.jsonl": Expected("rsyslog_json", "logs", "lines", 3, 3),
    "k8s-events/*.json": Expected("kubernetes_events", "logs", "whole", 1, 1),
    "goflow2/json_sflow.json": Expected("goflow2_json", "flows", "whole", 1, 1),
    "goflow2/legacy_goflow1_flowmessage.bin": Expected("goflow2_proto", "flows", "whole", 1, 1),
    "goflow2/flowmessage_length_delimited.bin": Expected("goflow2_proto", "flows", "whole", 1, 1),
    # A stream that was cut inside its second message.
    "goflow2/legacy_goflow1_flowmessage_stream.bin": Expected("goflow2_proto", "flows", "whole", 1, 0, 0, 1),
    "netobserv/flp_goflow_legacy_100.ndjson": Expected("netobserv_json", "flows", "whole", 1, 100),
    "netobserv/flp_conntrack.json": Expected("netobserv_json", "flows", "whole", 1, 0, 2),
    "recorded/netflow.jsonl": Expected("pmacct_json", "flows", "lines", 16, 16),
    "recorded/pmacct.jsonl": Expected("pmacct_json", "flows", "lines", 34, 34),
    "aws-vpc/vpc_flow_cw.json": Expected("vpc_flow_log", "flows", "whole", 1, 2),
    "aws-vpc/vpc_flow_v5_ecs.log": Expected("vpc_flow_log", "flows", "whole", 1, 1),
    "debezium/postgres_doc_*.json": Expected(*_OTHERS, "whole", 1, 0, 0, 1),
    "debezium/postgres_2.1_create_payload.json": Expected(*_OTHERS, "whole", 1, 0, 0, 1),
    "debezium/postgres_key_value_noschema.ndjson": Expected(*_OTHERS, "pairs", 4, 0, 0, 4),
    "debezium/postgres_rucd_replica_full.ndjson": Expected(*_OTHERS, "lines", 5, 0, 0, 5),
    "debezium/postgres_tombstone.json": Expected(*_OTHERS, "pairs", 1, 0),
    "debezium/unwrap-with-schema.json": Expected(*_OTHERS, "whole", 1, 0, 0, 1),
    "recorded/one-debezium-heartbeat.json": Expected(*_OTHERS, "records", 1, 1),
    "recorded/one-debezium-*-tombstone.json": Expected(*_OTHERS, "records", 1, 0),
    "recorded/one-debezium-*.json": Expected(*_OTHERS, "records", 1, 0, 0, 1),
    "recorded/cdc.inventory.volumes.json": Expected(*_OTHERS, "records", 16, 0, 0, 13),
    "recorded/jdbc.volumes.json": Expected("jdbc_json", "inventory", "records", 6, 0, 0, 6),
    "recorded/one-jdbc-source-volumes.json": Expected("jdbc_json", "inventory", "records", 1, 0, 0, 1),
    "kafka-connect/jsonconverter_literals.ndjson": Expected("jdbc_json", "inventory", "lines", 51, 0, 0, 51),
    "kafka-connect/quickstart_string_schema.ndjson": Expected("jdbc_json", "inventory", "lines", 2, 0, 0, 2),
    "librdkafka/statistics.json": NoMessage(_SCRAPED),
    "flink/rest_subtask_metrics.json": NoMessage(_SCRAPED),
    "prometheus-text/*.txt": NoMessage(_SCRAPED),
    "nginx/ingress_socket_event.json": NoMessage("what NGINX tells its exporter"),
    "netapp/*": NoMessage(_NETAPP),
}


@dataclass
class Found:
    """What a sample gave."""

    name: str
    format: str
    messages: int = 0
    rows: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    wrong: str = ""
    remark: str = ""


def read(path: Path, name: str) -> Found:
    """What a sample gives, held against what it must give."""
    expected = known(name)
    if isinstance(expected, NoMessage):
        return Found(name, "-", remark=expected.what)
    value = path.read_bytes()
    if expected is None:
        return _sniffed(name, value)
    found = Found(name, expected.format)
    _decode(found, framed(value, expected.framing), expected.kind)
    counts = found.messages, len(found.rows), len(found.refused), len(found.dead)
    if counts != expected[3:]:
        said = ", ".join(
            f"{count} {word}" for count, word in zip(expected[3:], ("messages", "rows", "refused", "dead"), strict=True)
        )
        found.wrong = f"must give {said}"
    return found


def known(name: str) -> Expected | NoMessage | None:
    """What is known of a sample: of the first pattern that its name fits."""
    return next((entry for pattern, entry in KNOWN.items() if fnmatch.fnmatchcase(name, pattern)), None)


def framed(value: bytes, framing: Framing) -> list[Message]:
    """The messages of a sample's file."""
    if framing == "whole":
        return [_message(value)]
    if framing == "lines":
        return [_message(line) for line in value.splitlines() if line.strip()]
    if framing == "pairs":
        pairs = [json.loads(line) for line in value.splitlines() if line.strip()]
        return [_message(_encoded(pair["value"]), _encoded(pair["key"])) for pair in pairs]
    if framing == "fluent_bit":  # [time, record], to which the output adds the time
        time, record = json.loads(value)
        return [_message(_encoded({"@timestamp": time, **record}))]
    records = json.loads(value)
    return [
        Message(
            record["topic"],
            record["partition"],
            record["offset"],
            record["timestamp"],
            _encoded(record["key"]),
            _encoded(record["value"]),
        )
        for record in (records if isinstance(records, list) else [records])
    ]


def _message(value: bytes | None, key: bytes | None = None) -> Message:
    return Message("topic", 0, 0, RECORD_MS, key, value)


def _encoded(part: Any) -> bytes | None:
    return None if part is None else json.dumps(part).encode()


def _decode(found: Found, messages: Sequence[Message], kind: str) -> None:
    decode = formats.decoder(found.format, kind)
    found.messages = len(messages)
    for message in messages:
        try:
            decoded = decode(message)
        except DecodeError as error:
            found.dead.append(str(error))
        else:
            found.rows += decoded.rows
            found.refused += decoded.refused


def _sniffed(name: str, value: bytes) -> Found:
    for kind in ("metrics", "logs", "flows", "inventory"):
        for framing in ("whole", "lines"):
            messages = framed(value, framing)
            if messages and (proposed := sniff(messages, kind)):
                found = Found(name, proposed[0], remark=f"sniffed: {' or '.join(proposed)}, {kind}")
                _decode(found, messages, kind)
                return found
    return Found(name, "-", remark="no format reads it")


def line(found: Found) -> str:
    """A sample's line of the table."""
    counts = f"{found.messages:>9}{len(found.rows):>7}{len(found.refused):>9}{len(found.dead):>6}"
    reason = next(iter([*found.dead, *found.refused]), found.remark)
    shown = reason if len(reason) <= SHOWN_CHARS else reason[: SHOWN_CHARS - 3] + "..."
    return f"{found.name:<62}{found.format:<26}{counts}  {'WRONG: ' + found.wrong if found.wrong else shown}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what each sample gives; 1 if one gives something else than it must."""
    parser = argparse.ArgumentParser(prog="benchmarks.formats", description=__doc__)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help=f"a folder of samples ({SAMPLES})")
    parser.add_argument("--rows", action="store_true", help="print the rows and all reasons as well")
    parser.add_argument("--json", type=Path, help="write what each sample gives to this file")
    given = parser.parse_args(arguments)
    if not given.samples.is_dir():
        print(f"benchmarks.formats: no folder {given.samples}; --samples names one", file=sys.stderr)
        return 2
    paths = sorted(path for path in given.samples.rglob("*") if path.is_file() and path.name != "INDEX.md")
    samples = [read(path, path.relative_to(given.samples).as_posix()) for path in paths]
    print(f"{'sample':<62}{'format':<26}{'messages':>9}{'rows':>7}{'refused':>9}{'dead':>6}  reason, or what it is")
    for found in samples:
        print(line(found))
        if given.rows:
            for row in found.rows:
                print(f"    {row}")
            for reason in [*found.refused, *found.dead]:
                print(f"    no row: {reason}")
    wrong = [found.name for found in samples if found.wrong]
    verdict = f"{len(wrong)} give something else than they must: {', '.join(wrong)}" if wrong else "all as they must"
    print(f"\n{len(samples)} samples: {sum(len(found.rows) for found in samples)} rows; {verdict}")
    if given.json:
        given.json.write_text(json.dumps([asdict(found) for found in samples], indent=1, default=str) + "\n", "utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
