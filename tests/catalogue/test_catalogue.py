"""The shipped catalogue, what a user adds to it, and how its errors read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afoot.catalogue import Catalogue, load_catalogue
from afoot.errors import UsageError
from afoot.verdicts.rules import shipped_rules

SHIPPED = load_catalogue()

# The names that agents send, by the signal that each must be known for.
PROMISED = {
    "request_rate": ["nginx_ingress_controller_requests"],
    "error_rate": ["nginx_ingress_controller_requests"],
    "request_latency": ["nginx_ingress_controller_request_duration_seconds_sum",
                        "nginx_ingress_controller_request_duration_seconds_count"],
    "bytes_in": ["container_network_receive_bytes_total", "kafka_server_brokertopicmetrics_bytesin_total"],
    "bytes_out": ["container_network_transmit_bytes_total", "kafka_server_brokertopicmetrics_bytesout_total"],
    "cpu": ["container_cpu_usage_seconds_total", "node_cpu_seconds_total", "CPUUtilization"],
    "memory": ["container_memory_working_set_bytes"],
    "restarts": ["kube_pod_container_status_restarts_total", "flink_jobmanager_job_numRestarts"],
    "desired_members": ["kube_deployment_spec_replicas"],
    "ready_members": ["kube_deployment_status_replicas_ready"],
    "request_time": ["kafka_network_requestmetrics_totaltimems"],
    "under_replicated": ["kafka_server_replicamanager_underreplicatedpartitions"],
    "lag_records": ["kafka_consumergroup_lag", "kminion_kafka_consumer_group_topic_partition_lag",
                    "kafka_consumergroup_group_lag", "kafka.consumer_group.lag", "records_lag", "records_lag_max"],
    "lag_seconds": ["kafka_consumergroup_group_lag_seconds"],
    "rebalances": ["kafka_consumer_coordinator_metrics_rebalance_total"],
    "rebalance_latency": ["kafka_consumer_coordinator_metrics_rebalance_latency_avg"],
    "write_lag": ["write_lag_seconds", "flink_taskmanager_job_task_operator_write_lag_seconds",
                  "flink_taskmanager_job_task_operator_currentEmitEventTimeLag"],
    "records_out": ["flink_taskmanager_job_task_operator_numRecordsOutPerSecond"],
    "busy": ["flink_taskmanager_job_task_busyTimeMsPerSecond"],
    "back_pressured": ["flink_taskmanager_job_task_backPressuredTimeMsPerSecond"],
    "checkpoint_duration": ["flink_jobmanager_job_lastCheckpointDuration"],
    "read_ops": ["volume_read_ops", "VolumeReadOps", "EBSReadOps", "diskio_reads"],
    "read_bytes": ["volume_read_data", "EBSReadBytes", "diskio_read_bytes"],
    "write_ops": ["volume_write_ops", "VolumeWriteOps", "container_fs_writes_total", "EBSWriteOps",
                  "node_disk_writes_completed_total", "collectd_disk_disk_ops_write",
                  "collectd_disk_disk_ops_write_total", "diskio_writes"],
    "total_ops": ["volume_total_ops", "VolumeReadOps", "VolumeWriteOps", "qos_ops"],
    "write_bytes": ["volume_write_data", "VolumeWriteBytes", "container_fs_writes_bytes_total", "EBSWriteBytes",
                    "node_disk_written_bytes_total", "qos_write_data", "collectd_disk_disk_octets_write",
                    "collectd_processes_disk_octets_write", "diskio_write_bytes"],
    "latency": ["volume_avg_latency", "VolumeTotalWriteTime"],
    "queue": ["VolumeQueueLength"],
    "io_wait": ["node_cpu_seconds_total"],
    "load": ["node_load1"],
    "latency_p95": ["http_server_request_duration_seconds_bucket", "http.server.request.duration_bucket",
                    "query_duration_seconds_bucket"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "metric"), [(name, metric) for name, metrics in PROMISED.items() for metric in metrics]
)
def test_what_agents_send_is_known(name: str, metric: str) -> None:
    assert name in {use.source.signal for use in SHIPPED.uses(metric)}


@pytest.mark.parametrize(
    ("disk", "whole"),
    [
        ("sda", True),
        ("nvme0n1", True),
        ("sda1", False),
        ("nvme0n1p1", False),
        ("dm-0", False),
        ("centos/var_log", False),
    ],
)
def test_telegraf_and_collectd_count_a_disk_once(disk: str, whole: bool) -> None:
    for metric, label in (("diskio_writes", "name"), ("collectd_disk_disk_ops_write_total", "plugin_instance")):
        (source,) = (use.source for use in SHIPPED.uses(metric) if use.source.signal == "write_ops")
        assert source.admits({"host": "backup", label: disk}) == whole


def test_logs_and_flows_are_signals_too() -> None:
    assert {source.signal for source in SHIPPED.logs} == {"errors", "throttled"}
    assert {source.signal for source in SHIPPED.flows} == {
        "flow_bytes_in", "flow_bytes_out", "flow_packets_in", "flow_packets_out", "flow_sources"
    }  # fmt: skip


def test_what_harvest_tells_is_the_mean_since_its_last_poll() -> None:
    harvest = [name for name in SHIPPED.metrics if re.match(r"(volume|qos)[._]", name)]
    assert len(harvest) == 26
    assert {use.source.how for name in harvest for use in SHIPPED.uses(name)} == {"poll_mean"}


def test_what_victims_suffer_by_and_volumes_are_pressed_by_strays_up() -> None:
    up = {name for name, signal in SHIPPED.signals.items() if signal.strays == "up"}
    assert up >= {name for name, signal in SHIPPED.signals.items() if signal.role in ("lag", "latency")}
    rules = shipped_rules()
    assert up >= {*rules.effect, *rules.strain}
    assert not up & {"write_ops", "bytes_in", "records_out", "ready_members"}


def test_what_nobody_asks_for_is_used_by_nobody() -> None:
    assert SHIPPED.uses("go_gc_duration_seconds") == ()


def test_every_signal_says_what_it_is() -> None:
    for signal in SHIPPED.signals.values():
        assert signal.about != signal.name
        assert signal.floor > 1e-9
        assert signal.sources


def load(tmp_path: Path, *texts: str) -> Catalogue:
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"my-{number}.yaml")
        files[-1].write_text(text)
    return load_catalogue(files)


NEW = """
signals:
  queue_depth:
    unit: "{message}"
    sources:
      mine: {component: service, entity: [service], metrics: [my_queue], how: gauge}
"""


def test_a_file_adds_a_signal(tmp_path: Path) -> None:
    catalogue = load(tmp_path, NEW)
    assert [use.source.signal for use in catalogue.uses("my_queue")] == ["queue_depth"]
    assert len(catalogue.signals) == len(SHIPPED.signals) + 1


def test_a_file_adds_a_metric_name_to_a_source(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "signals: {write_ops: {sources: {harvest: {metrics: [netapp_write_ops]}}}}")
    use = catalogue.uses("netapp_write_ops")[0]
    assert (use.source.signal, use.source.family, use.source.rank, use.spelling) == ("write_ops", "harvest", 0, 2)


def test_a_later_file_adds_to_an_earlier_one(tmp_path: Path) -> None:
    catalogue = load(tmp_path, NEW, "signals: {queue_depth: {sources: {mine: {metrics: [other_queue]}}}}")
    assert catalogue.uses("other_queue")[0].source.terms == (("my_queue", "other_queue"),)


ARRAY = "{component: storage, entity: [volume], metrics: [array_ops], how: gauge%s}"


@pytest.mark.parametrize(("before", "rank"), [("", len(SHIPPED.signals["write_ops"].sources)), (", before: ebs", 1)])
def test_a_file_adds_a_source(tmp_path: Path, before: str, rank: int) -> None:
    catalogue = load(tmp_path, "signals: {write_ops: {sources: {array: " + ARRAY % before + "}}}")
    sources = catalogue.signals["write_ops"].sources
    assert [source.rank for source in sources] == list(range(len(sources)))
    assert sources[rank].family == "array"


SOURCE = "signals: {s: {unit: '1', sources: {f: {%s}}}}"
GOOD = "component: storage, entity: [volume], metrics: [m], how: gauge"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signals: [", "my-0.yaml: not YAML"),
        ("[]", "my-0.yaml: top level: found []; allowed is a mapping"),
        ("signal: {}", "top level: unknown key 'signal'; the nearest is 'signals'; allowed are version, signals"),
        ("version: 2", "version: found 2; allowed is 1"),
        ("signals: {Ops: {}}", "signals.Ops: the name 'Ops' is not allowed; lower-case letters, digits and _ are"),
        ("signals: {s: {}}", "signals.s: the key 'unit' is missing"),
        ("signals: {s: {unit: '1'}}", "signals.s: the key 'sources' is missing"),
        ("signals: {s: {unit: 1, sources: {f: {}}}}", "signals.s.unit: found 1; allowed is text"),
        ("signals: {1: {}}", "signals: found 1; allowed is a key that is text"),
        ("signals: {s: {unit: '1', unit: '2'}}", "key 'unit' twice"),
        ("signals: {s: {unit: '1', role: lags, sources: {f: {}}}}",
         "signals.s.role: found 'lags'; the nearest is 'lag'"),
        ("signals: {s: {unit: '1', strays: down, sources: {f: {}}}}",
         "signals.s.strays: found 'down'; allowed are both, up"),
        ("signals: {s: {unit: '1', floor: 0, sources: {f: {}}}}",
         "signals.s.floor: found 0; allowed is a number above 0"),
        (SOURCE % "metrcs: [m]", "signals.s.sources.f: unknown key 'metrcs'; the nearest is 'metrics'; allowed are"),
        (SOURCE % "component: storage", "one of 'metrics', 'sum_of', 'log' and 'flow' says what to read; found none"),
        (SOURCE % f"{GOOD}, log: {{body: x}}", "found 'metrics' and 'log'"),
        (SOURCE % "metrics: [m], how: gauge", "signals.s.sources.f: the key 'component' is missing"),
        (SOURCE % "component: storage, entity: [volume], metrics: [m]", "the key 'how' is missing; allowed are gauge,"),
        (SOURCE % "component: storage, entity: [volum], metrics: [m], how: gauge",
         "signals.s.sources.f.entity: found 'volum'; the nearest is 'volume'; allowed are ingress"),
        (SOURCE % "component: disk, entity: [volume], metrics: [m], how: gauge",
         "component: found 'disk'; allowed are"),
        (SOURCE % "component: storage, entity: [volume], metrics: m, how: gauge",
         "metrics: found 'm'; allowed is a list"),
        (SOURCE % "component: storage, entity: [volume], metrics: [], how: gauge",
         "metrics: found []; allowed is a list"),
        (SOURCE % f"{GOOD}, scale: -1", "scale: found -1; allowed is a number above 0"),
        (SOURCE % f"{GOOD}, scale: .inf", "scale: found inf; allowed is"),
        (SOURCE % f"{GOOD}, where: {{a: '('}}", "where.a: '(' is not a regular expression"),
        (SOURCE % f"{GOOD}, where: {{a: 5}}", "where.a: found 5; allowed is a regular expression"),
        (SOURCE % f"{GOOD}, quantile: 0.5", "quantile: has no meaning beside how: gauge"),
        (SOURCE % f"{GOOD}, over: [a]", "over: found 'a'; allowed is a list"),
        (SOURCE % "component: storage, entity: [volume], metrics: [m], how: quantile, quantile: 95",
         "quantile: found 95; allowed is a number between 0 and 1"),
        (SOURCE % "component: storage, entity: [volume], metrics: [m], how: quantile",
         "quantile: found None; allowed is"),
        (SOURCE % "component: service, entity: [pod], log: {body: x}, how: rate", "how: has no meaning beside 'log'"),
        (SOURCE % "component: service, entity: [pod], log: {}", "log: say which records count"),
        (SOURCE % "component: service, entity: [address], flow: {address: source}", "flow: the key 'count' is missing"),
        (SOURCE % "component: storage, entity: [vm], metrics: [volume_write_ops], how: gauge",
         "signals.s.sources.f.entity: [vm] differs from [volume] of signals.write_ops.sources.harvest, which reads "
         "'volume_write_ops' too"),
        (SOURCE % "component: storage, entity: [volume], metrics: [volume_write_ops], how: rate",
         "f.how: counter differs from poll_mean"),
        ("signals: {write_ops: {unit: By}}",
         "signals.write_ops.unit: 'By' differs from '{op}/s', which is known already"),
        ("signals: {write_ops: {sources: {harvest: {how: rate}}}}", "harvest.how: 'rate' differs from 'poll_mean'"),
        ("signals: {write_ops: {sources: {a: {before: harvst, metrics: [m]}}}}",
         "before: found 'harvst'; the nearest is"),
        ("signals: {total_ops: {sources: {ebs: {metrics: [m]}}}}", "source 'ebs' has no 'metrics' to add to"),
    ],
)  # fmt: skip
def test_errors_say_where_what_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "my-0.yaml"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent.yaml: the signal catalogue cannot be read: .*No such file"):
        load_catalogue([tmp_path / "absent.yaml"])


def test_labels_admit_by_any_of_their_names_and_in_full(tmp_path: Path) -> None:
    catalogue = load(tmp_path, SOURCE % f"{GOOD}, where: {{'a|b': '5..', c: '(?!x).*'}}")
    source = catalogue.signals["s"].sources[0]
    for labels, admitted in (
        ({"a": "500"}, True),
        ({"b": "500"}, True),
        ({"a": "200", "b": "500"}, False),
        ({"a": "5000"}, False),
        ({"a": "500", "c": "x1"}, False),
        ({}, False),
    ):
        assert source.admits(labels) is admitted
