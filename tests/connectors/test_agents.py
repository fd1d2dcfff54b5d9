"""The agents' configurations: what each sends, and to which topic, is what its own header tells afoot."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import socket
import struct
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from afoot.config import Config, load_config
from afoot.connectors.files import load_topics
from afoot.telemetry import formats, kubernetes
from afoot.telemetry.rows import FlowRecord, LogRecord, Message, MetricPoint
from tests.connectors.inventory import CONNECTORS
from tests.servers.kafka import Kafka
from tests.servers.process import REPOSITORY, Process, ServerError, free_port

AGENTS = CONNECTORS / "agents"
FILES = sorted(path.name for path in AGENTS.iterdir() if path.name != "README.md")
KUBERNETES = "inventory.kubernetes"  # no default: it would hold windows back where no cluster fills it
PATIENCE_S = 60.0


def text(name: str) -> str:
    return (AGENTS / name).read_text()


def header(name: str) -> str:
    """The [[topic]] entries of a file's first comment, as they go into afoot.toml."""
    lines = [line[1:].strip() for line in text(name).splitlines() if line[:1] in ("#", "!")]
    return "\n".join(line for line in lines if line == "[[topic]]" or re.fullmatch(r'[a-z_]+ = ".*"', line))


def configured(name: str, tmp_path: Path) -> Config:
    file = tmp_path / "afoot.toml"
    file.write_text(header(name))
    return load_config(file)


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_the_topic_and_the_format_that_afoot_needs(name: str, tmp_path: Path) -> None:
    config = configured(name, tmp_path)
    defaults = {topic.name for topic in load_topics(CONNECTORS)} | {KUBERNETES}
    assert config.topics
    assert {topic.name for topic in config.topics} <= defaults
    body = "\n".join(line for line in text(name).splitlines() if line[:1] not in ("#", "!"))
    assert set(re.findall(r"(?:telemetry|inventory)\.\w+", body)) == {topic.name for topic in config.topics}
    for topic in config.topics:
        formats.decoder(topic.format, topic.kind, topic.options)
        assert (REPOSITORY / "docs" / "formats" / f"{topic.format}.md").is_file()


def test_the_table_names_every_file_and_its_format(tmp_path: Path) -> None:
    rows = re.findall(
        r"^\| \[(.+?)\]\(\1\) \|.*\| \[(\w+)\]\(\.\./\.\./docs/formats/\2\.md\) \|$", text("README.md"), re.M
    )
    assert sorted(file for file, _ in rows) == FILES
    for file, format_name in rows:
        assert {topic.format for topic in configured(file, tmp_path).topics} == {format_name}


# ---- syntax, topics and encodings of those that cannot be run here ---------------------------------------------------


def test_the_opentelemetry_collector() -> None:
    found = yaml.safe_load(text("otel-collector.yaml"))
    exporter = found["exporters"]["kafka"]
    assert exporter["metrics"] == {"topic": "telemetry.metrics", "encoding": "otlp_json"}
    assert exporter["logs"] == {"topic": "telemetry.logs", "encoding": "otlp_json"}
    (limit,) = (
        topic.config["max.message.bytes"] for topic in load_topics(CONNECTORS) if topic.name == "telemetry.logs"
    )
    assert exporter["producer"]["max_message_bytes"] <= int(limit)
    for pipeline in found["service"]["pipelines"].values():
        for role, names in pipeline.items():
            assert set(names) <= found[role].keys()


def test_the_opentelemetry_collector_of_a_cluster() -> None:
    found = yaml.safe_load(text("otel-collector-inventory.yaml"))
    for pipeline in found["service"]["pipelines"].values():
        for role, names in pipeline.items():
            assert set(names) <= found[role].keys()
    inventory = found["exporters"]["kafka/inventory"]
    assert inventory["metrics"] == inventory["logs"] == {"topic": KUBERNETES, "encoding": "otlp_json"}
    assert inventory["sending_queue"]["num_consumers"] == 1
    # Its filter lets through what tells of entities, and nothing else.
    (condition,) = found["processors"]["filter/entities"]["metrics"]["metric"]
    pattern = re.fullmatch(r'not IsMatch\(name, "(.*)"\)', condition)
    assert pattern is not None
    for name in (*kubernetes.SERIES, "kube_pod_status_phase", "kube_deployment_spec_replicas", "up"):
        assert bool(re.search(pattern[1], name)) == kubernetes.says(name), name
    # Objects by the plural of a kind that the format reads.
    plurals = {f"{kind.lower()}s" for kind in (*kubernetes.KINDS, "Event")}
    assert {watched["name"] for watched in found["receivers"]["k8sobjects"]["objects"]} <= plurals


def test_fluent_bit() -> None:
    (output,) = yaml.safe_load(text("fluent-bit.yaml"))["pipeline"]["outputs"]
    assert (output["name"], output["format"], output["timestamp_key"]) == ("kafka", "json", "@timestamp")
    assert output["timestamp_format"] in ("double", "iso8601", "iso8601_ns")


def test_vector() -> None:
    found = yaml.safe_load(text("vector.yaml"))
    (sink,) = found["sinks"].values()
    assert (sink["type"], sink["encoding"]["codec"]) == ("kafka", "json")
    assert set(sink["inputs"]) <= found["sources"].keys()


def test_telegraf() -> None:
    found = tomllib.loads(text("telegraf.conf"))
    (output,) = found["outputs"]["kafka"]
    assert output["data_format"] == "influx"
    assert output["use_batch_format"] is True
    assert found["inputs"]["prometheus"][0]["metric_version"] == 2


def test_goflow2() -> None:
    unit = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text("goflow2.service").replace("\\\n", " "))
    options = dict(part.lstrip("-").split("=", 1) for part in shlex.split(unit["Service"]["ExecStart"])[1:])
    assert (options["format"], options["transport"]) == ("json", "kafka")
    assert options["transport.kafka.topic"] == "telemetry.flows"


# ---- those that Debian has, as they are shipped, against a broker ----------------------------------------------------


@contextmanager
def agent(program: str, options: Callable[[Path], list[str]], config: str, folder: Path) -> Iterator[Process]:
    """An agent that runs with a configuration, its log in folder; outside CI skipped where it is not installed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        if os.environ.get("CI"):
            raise ServerError(f"{program} is missing: make servers installs it")
        pytest.skip(f"{program} is not installed")
    file = folder / f"{program}.conf"
    file.write_text(config)
    with Process(program, [found, *options(file)], folder / f"{program}.log", lambda: True) as process:
        yield process


def shipped(name: str, topic: str, kafka: Kafka, **replaced: str) -> str:
    """A file with this broker, a topic of the test's own, and a few texts replaced, each of which must be there."""
    config = text(name)
    for old, new in {"telemetry." + topic.rpartition(".")[2]: topic, **replaced}.items():
        assert old in config
        config = config.replace(old, new)
    host, port = kafka.bootstrap.split(":")
    return (
        config.replace("kafka:9092", kafka.bootstrap)
        .replace(": kafka\n", f": {host}\n")
        .replace(": 9092\n", f": {port}\n")
    )


def rows(name: str, topic: str, kafka: Kafka, tmp_path: Path, send: Callable[[], None] = lambda: None) -> list[Any]:
    """The rows of what an agent sent, once there are any, by the format that its header tells."""
    (entry,) = configured(name, tmp_path).topics
    decode = formats.decoder(entry.format, entry.kind, entry.options)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        send()
        time.sleep(0.5)
        found: list[Any] = []
        for record in kafka.messages(topic):
            found += decode(
                Message(topic, 0, record.offset(), record.timestamp()[1], record.key(), record.value())
            ).rows
        if found:
            return found
    raise AssertionError(f"{name} sent no row to {topic} in {PATIENCE_S} s")


@pytest.mark.server
@pytest.mark.slow
def test_collectd_sends_what_disks_do(kafka_server: Kafka, tmp_path: Path) -> None:
    topic = "agents.metrics"
    kafka_server.create(topic)
    config = 'Hostname "node-1"\n' + shipped("collectd.conf", topic, kafka_server, **{"Interval 10": "Interval 1"})
    with agent("collectd", lambda file: ["-f", "-C", str(file), "-P", str(tmp_path / "pid")], config, tmp_path):
        found = rows("collectd.conf", topic, kafka_server, tmp_path)
    assert all(type(row) is MetricPoint and row.labels.mapping["host"] == "node-1" for row in found)
    assert {row.name.split("_")[1] for row in found} & {"cpu", "disk", "interface", "load", "memory"}


@pytest.mark.server
@pytest.mark.slow
def test_rsyslog_sends_what_programs_say(kafka_server: Kafka, tmp_path: Path) -> None:
    topic, port = "agents.logs", free_port()
    kafka_server.create(topic)
    inputs = f"""
        global(workDirectory="{tmp_path}")
        module(load="imptcp")
        input(type="imptcp" address="127.0.0.1" port="{port}")
    """
    config = inputs + shipped("rsyslog.conf", topic, kafka_server)

    def send() -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
                link.sendall(b'<11>1 2026-11-21T03:17:08.961102+02:00 node-1 registry - - - 429 "Quota" Exceeded\\n\n')
        except ConnectionRefusedError:
            return  # it is not up yet

    options = ["-n", "-i", str(tmp_path / "pid")]
    with agent("rsyslogd", lambda file: [*options, "-f", str(file)], config, tmp_path):
        found = rows("rsyslog.conf", topic, kafka_server, tmp_path, send)
    wanted = ("err", '429 "Quota" Exceeded\\n', {"host": "node-1", "syslog.tag": "registry"}, 1_795_223_828_961_102_000)
    assert all(type(row) is LogRecord for row in found)
    assert wanted in [(row.severity, row.body, row.labels.mapping, row.time_ns) for row in found]


def netflow(count: int, now_s: int) -> bytes:
    """A NetFlow v5 packet of one flow: 10.0.0.1:50001 to 10.0.0.2:443, six packets of 409 bytes."""
    uptime_ms = 60_000
    head = struct.pack("!HHIIIIBBH", 5, 1, uptime_ms, now_s, 0, count, 0, 0, 0)
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0])
    flow = struct.pack(
        "!HHIIIIHHBBBBHHBBH", 1, 2, 6, 409, 50_000, 59_000, 50_001, 443, 0, 24, 6, 0, 64_500, 0, 24, 24, 0
    )
    return head + addresses + flow


@pytest.mark.server
@pytest.mark.slow
def test_pmacct_sends_the_flows_that_it_is_told_of(kafka_server: Kafka, tmp_path: Path) -> None:
    topic, port = "agents.flows", free_port()
    kafka_server.create(topic)
    sooner = {
        "2055": str(port),
        "kafka_refresh_time[afoot]: 60": "kafka_refresh_time[afoot]: 1",
    }
    config = shipped("pmacct.conf", topic, kafka_server, **sooner)
    now_s = int(time.time())
    sent = iter(range(1_000_000))

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(netflow(next(sent), now_s), ("127.0.0.1", port))

    with agent("nfacctd", lambda file: ["-f", str(file)], config, tmp_path):
        found = rows("pmacct.conf", topic, kafka_server, tmp_path, send)
    flow = found[0]
    assert type(flow) is FlowRecord
    ends = (flow.source_address, flow.source_port, flow.destination_address, flow.destination_port, flow.transport)
    assert ends == ("10.0.0.1", 50_001, "10.0.0.2", 443, "tcp")
    assert (flow.packets % 6, flow.bytes % 409, flow.sampler) == (0, 0, "127.0.0.1")
    assert abs(flow.start_ns / 1e9 - now_s) < 120
    assert json.dumps(flow.source_as) in ("64500", "null")
