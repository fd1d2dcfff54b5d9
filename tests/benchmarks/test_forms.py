"""A scenario in other forms: what is written anew keeps its rows, and what differs is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from afoot.config import load_config
from afoot.inventory.graph import Graph
from afoot.inventory.sources import heard_in
from afoot.simulate import cloudwatch, inventory
from afoot.simulate.capture import arrive
from afoot.simulate.world import World
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Labels, Message, MetricPoint
from benchmarks import encodings, forms, statements

TIME = 1_795_231_028_961_000_000
DISK = MetricPoint(
    "node_disk_writes_completed_total",
    "",
    "cumulative",
    Labels.of({"instance": "db-1:9100", "device": "nvme1n1"}),
    TIME,
    7.0,
)
OTHER = MetricPoint("write_lag_seconds", "s", "gauge", Labels.of({"job_name": "j"}), TIME, 2.0)


def test_every_format_of_every_kind_is_a_form() -> None:
    # debezium_avro's registry and what its messages hold are the forms' own; all else is by the formats' names.
    assert {(form.format, form.kind) for form in forms.forms()} == {
        (name, kind) for name in formats.names() for kind in formats.kinds(name)
    }


@pytest.mark.parametrize("form", forms.forms(), ids=lambda form: f"{form.kind} {form.name}")
def test_a_form_s_configuration_is_one(form: forms.Form, tmp_path: Path) -> None:
    path = tmp_path / "afoot.toml"
    path.write_text(forms._config(form), "utf-8")
    config = load_config(path)
    special = {"collectd_json": forms.COLLECTD, "collectd_graphite": forms.COLLECTD}
    special["cloudwatch_metric_stream"] = cloudwatch.TOPIC
    topic = special.get(form.format, forms.BASE[form.kind][0])
    if form.kind == "inventory" and form.format in statements.FORMATS:
        topic = forms.KUBERNETES
    entry = config.topic_of(f"{topic}.entity" if form.format == "jdbc_json" else topic)
    assert entry is not None
    assert (entry.format, entry.kind) == (form.format, form.kind)


def test_disks_go_to_collectd_and_the_rest_stays() -> None:
    message = Message("telemetry.metrics", 1, 5, 1, None, encodings.otlp_json_metrics([DISK, OTHER]))
    disks, rest = forms._formed([message], forms.Form("metrics", "collectd_json", "disks"))
    assert disks.topic == forms.COLLECTD
    (disk,) = formats.decoder("collectd_json", "metrics", {"store_rates": "false"})(disks).rows
    assert (disk.name, disk.value) == ("collectd_disk_disk_ops_write_total", 7.0)
    assert list(formats.decoder("otlp_json", "metrics")(rest).rows) == [OTHER]


def test_a_row_that_has_gone_is_told_by_a_poll_of_its_whole_table() -> None:
    at = TIME // 1_000_000
    rows = [InventoryChange("entity", "upsert", (name,), {"id": name, "type": "vm"}, at) for name in ("vm:a", "vm:b")]
    gone = InventoryChange("entity", "delete", ("vm:a",), None, at + 1_000)
    sent = [
        Message("inventory", 0, number, at, encodings.debezium_key(change), encodings.debezium_value(change))
        for number, change in enumerate([*rows, gone])
    ]
    decode = formats.decoder("jdbc_json", "inventory")
    found = [
        row for message in forms._formed(sent, forms.Form("inventory", "jdbc_json")) for row in decode(message).rows
    ]
    assert [(row.key, row.reading, row.reading_rows) for row in found] == [
        (("vm:a",), "", None),
        (("vm:b",), "", None),
        (("vm:b",), "last", 1),
    ]
    assert found[-1].time_ms == at + 1_000


def test_what_differs_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = ("shared_volume_contention", "vm:a", "job:j", "volume:v", "cron:1", 3600)
    other = (*verdict[:1], "vm:b", *verdict[2:])

    class Pool:
        def __init__(self, jobs: int) -> None:
            pass

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def map(self, _: object, *parts: object) -> list[forms.Told]:
            return [
                forms.Told("json", "metrics", 3, [verdict], [verdict], True, []),
                forms.Told("influx", "metrics", 3, [other], [verdict], False, ["culprit vm:b, truth vm:a"]),
            ]

    monkeypatch.setattr(forms, "ProcessPoolExecutor", Pool)
    assert forms.compare("hourly_backup", 3, ["all"], 1) == 1
    out = capsys.readouterr().out
    assert "vm:a, job:j, volume:v, cron:1, 3600" in out
    assert "DIFFERENT" in out
    assert "culprit vm:b, truth vm:a" in out


def graph_of(messages: list[Message], form: forms.Form | None = None) -> Graph:
    """The inventory that messages of its topics make, by their own decoders."""
    base = formats.decoder(forms.BASE["inventory"][1], "inventory")
    decoders = {forms.BASE["inventory"][0]: base}
    if form is not None:
        decoders[forms.KUBERNETES] = formats.decoder(form.format, "inventory")
    graph = Graph()
    for sent in messages:
        found = decoders[sent.topic](sent)
        assert found.refused == []
        for change in found.rows:
            graph.apply(heard_in(sent.topic, change))
        for change in graph.expired():
            graph.apply(change)
    return graph


@pytest.mark.parametrize("name", statements.FORMATS)
def test_an_inventory_that_is_said_again_and_again_is_the_same_one(name: str) -> None:
    world = World(7, 1_795_219_200, 3 * 3_600)
    messages = list(arrive(inventory.records(world), world.rng("offsets")))
    (form,) = (form for form in forms.forms() if (form.kind, form.format) == ("inventory", name))
    formed = list(forms._formed(messages, form))
    assert {sent.topic for sent in formed} >= {forms.KUBERNETES}
    simulated, stated = graph_of(messages), graph_of(formed, form)
    last_ms = messages[-1].timestamp_ms
    for at_ms in (world.start_s * 1_000, world.start_s * 1_000 + 3_600_000, last_ms):
        assert stated.victims(at_ms) == simulated.victims(at_ms)
        for victim in simulated.victims(at_ms):
            expected = simulated.chain(victim, at_ms)
            assert stated.chain(victim, at_ms).hops == expected.hops
            for volume in expected.volumes:
                assert stated.tenants(volume, at_ms) == simulated.tenants(volume, at_ms)
                for tenant in expected.hops:
                    runs = [(run.id, run.expression) for run in simulated.schedules(tenant.entity, at_ms)]
                    assert [(run.id, run.expression) for run in stated.schedules(tenant.entity, at_ms)] == runs
