"""An incident whose disturber is a cronjob of Kubernetes: each run is a pod of another name, of one culprit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from afoot.config import load_config
from afoot.simulate.capture import write
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Labels, Message, MetricPoint
from benchmarks import encodings, forms, inprocess
from benchmarks.statements import _text

HOUR_MS = 3_600_000
SEED = 7  # its machines have node_exporter
MEASURED = {  # of a machine's disk, and of a container's
    "node_disk_writes_completed_total": "container_fs_writes_total",
    "node_disk_written_bytes_total": "container_fs_writes_bytes_total",
    "node_disk_reads_completed_total": "container_fs_reads_total",
    "node_disk_read_bytes_total": "container_fs_reads_bytes_total",
}


class Cronjob:
    """The machine of the truth as a cronjob: pods by the hour, between its runs, three of which are always there."""

    def __init__(self, messages: list[Message], machine: str) -> None:
        decode = formats.decoder("debezium_json", "inventory")
        self._changes = {message: decode(message).rows for message in messages if message.topic == "inventory"}
        rows = [change for some in self._changes.values() for change in some]
        self._machine = machine
        (self.volume,) = {
            change.key[1] for change in rows if change.key[:1] == (machine,) and change.table == "relation"
        }
        (run,) = {
            change.row["expression"]
            for change in rows
            if change.table == "schedule" and change.row and change.row["entity_id"] == machine
        }
        self.expression = run
        self._half_past_ms = (int(run.split()[0]) + 30) % 60 * 60_000
        self._metrics = formats.decoder("otlp_json", "metrics")
        self._scraped_ms = 0

    def told(self, messages: list[Message]) -> list[Message]:
        found: list[Message] = []
        for message in messages:
            if message.topic == "inventory":
                found += self._inventory(message, self._changes[message], len(found))
            elif message.topic == "telemetry.metrics":
                rows = [row for row in self._metrics(message).rows if self._kept(row)]
                if rows:
                    found.append(
                        message._replace(value=encodings.otlp_json_metrics([self._of_pod(row) for row in rows]))
                    )
            else:
                found.append(message)
        return found

    def _is_its(self, row: MetricPoint) -> bool:
        return self._machine.partition(":")[2] in row.labels.mapping.values()

    def _kept(self, row: MetricPoint) -> bool:
        return not self._is_its(row) or (row.name in MEASURED and row.labels.mapping["device"] == "nvme1n1")

    def _of_pod(self, row: MetricPoint) -> MetricPoint:
        if not self._is_its(row):
            return row
        pod = f"dump-{self._run(row.time_ns // 1_000_000)}-x"
        labels = {"namespace": "ops", "pod": pod, "container": "dump", "device": "/dev/nvme1n1"}
        return row._replace(name=MEASURED[row.name], labels=Labels.of(labels))

    def _run(self, at_ms: int) -> int:
        return (at_ms - self._half_past_ms) // HOUR_MS

    def _inventory(self, message: Message, changes: list[InventoryChange], offset: int) -> list[Message]:
        if any(self._machine in (*change.key, (change.row or {}).get("entity_id")) for change in changes):
            return []
        beats = any(change.table == "heartbeat" for change in changes)
        if not beats or message.timestamp_ms - self._scraped_ms < 30_000:
            return [message]
        self._scraped_ms = message.timestamp_ms
        value = orjson.dumps(self._series(message.timestamp_ms))
        return [message, message._replace(topic=forms.KUBERNETES, offset=offset, key=None, value=value)]

    def _series(self, at_ms: int) -> list[dict[str, Any]]:
        def one(name: str, **labels: str) -> dict[str, Any]:
            return {"value": "1", "timestamp": _text(at_ms), "name": f"kube_{name}", "labels": labels}

        claim = {"namespace": "ops", "persistentvolumeclaim": "dump"}
        found = [
            one("persistentvolumeclaim_info", **claim, volumename="pv-dump"),
            one("persistentvolume_info", persistentvolume="pv-dump", csi_volume_handle=self.volume.partition(":")[2]),
            one("cronjob_info", namespace="ops", cronjob="dump", schedule=self.expression, timezone="local"),
        ]
        for run in range(self._run(at_ms) - 2, self._run(at_ms) + 1):
            job = f"dump-{run}"
            pod = {"namespace": "ops", "pod": f"{job}-x"}
            found += [
                one("pod_info", **pod, node="n", uid=f"uid-{run}"),
                one("pod_owner", **pod, owner_kind="Job", owner_name=job),
                one("job_owner", namespace="ops", job_name=job, owner_kind="CronJob", owner_name="dump"),
                one("pod_spec_volumes_persistentvolumeclaims_info", **pod, persistentvolumeclaim="dump"),
            ]
        return found


@pytest.mark.slow
def test_the_runs_of_a_cronjob_are_one_culprit_with_its_schedule(tmp_path: Path) -> None:
    simulated = forms.simulated("hourly_backup", SEED)
    (verdict,) = forms._verdicts(simulated.findings)
    kind, machine, victim, volume, _, period_s = verdict
    cronjob = Cronjob(simulated.messages, machine)
    assert cronjob.volume == volume
    write(cronjob.told(simulated.messages), tmp_path / "capture.jsonl")
    (form,) = (form for form in forms.forms() if (form.kind, form.way) == ("inventory", "kube-state-metrics"))
    (tmp_path / "afoot.toml").write_text(forms._config(form), "utf-8")
    found = inprocess.replay([tmp_path / "capture.jsonl"], load_config(tmp_path / "afoot.toml"))
    rows = [{**finding._asdict(), "component": finding.component} for finding in found.findings]
    assert forms._verdicts(rows) == [(kind, "cronjob:ops/dump", victim, volume, "cronjob:ops/dump", period_s)]
    last = max(rows, key=lambda row: (row["as_of"], row["revision"]))
    assert last["runs_seen"] == last["runs_with_effect"] >= 3
    assert last["schedule_expression"] == cronjob.expression
