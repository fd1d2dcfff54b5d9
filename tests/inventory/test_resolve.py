"""Which entity a label set means: attributes.match first, then the default rules in their order."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry.rows import InventoryChange, Labels
from tests.inventory.changes import deleted, entity, graph, relation


def matching(entity_id: str, *match: dict[str, Any], at: int = 0, **attributes: Any) -> InventoryChange:
    return entity(entity_id, at, snapshot=not at, attributes={"match": list(match), **attributes})


INVENTORY = (
    matching("volume:svm1/flexvol7", {"svm": "svm1", "volume": "flexvol7"}, {"volume_id": "vol-0abc"}),
    matching("vm:backup", {"InstanceId": "i-1"}, {"host.name": "backup"}, {"host": "b", "region": "eu"}),
    matching("node:n1", {"instance": "n1:9100"}, {"instance_id": "i-2"}, address="10.0.0.12"),
    matching("service:agg", {"address": "10.0.0.12", "port": "14999"}, {"service.name": "agg"}),
    matching("service:any", {"service.name": "agg", "zone": "a"}),
    matching("job:numbers", {"job_id": 7}),
    entity("broker:kafka-0", snapshot=True, name="kafka-zero", attributes={"address": ["10.1.1.1", "2001:DB8::1"]}),
    entity("vm:dc1/web", snapshot=True),
    entity("vm:dc2/web", snapshot=True),
    entity("node:twin", snapshot=True),
    entity("vm:twin", snapshot=True),
    relation("vm:only-mentioned", "attached_to", "volume:svm1/flexvol7", snapshot=True),
)

TABLE: list[tuple[dict[str, str], tuple[str, ...], str | None]] = [
    # attributes.match, by subset
    ({"svm": "svm1", "volume": "flexvol7", "node": "x"}, ("volume",), "volume:svm1/flexvol7"),
    ({"volume_id": "vol-0abc"}, (), "volume:svm1/flexvol7"),
    ({"job_id": "7"}, ("job",), "job:numbers"),
    ({"host": "b"}, ("vm",), None),  # only half of the label set, and no vm of that name
    ({"host": "b", "region": "eu", "x": "y"}, ("vm",), "vm:backup"),
    # the type that is named decides first, then the most labels
    ({"host.name": "backup", "instance": "n1:9100"}, ("node", "vm"), "node:n1"),
    ({"host.name": "backup", "instance": "n1:9100"}, ("vm", "node"), "vm:backup"),
    ({"host.name": "backup", "instance": "n1:9100"}, ("vm",), "vm:backup"),
    ({"host.name": "backup", "instance": "n1:9100"}, (), None),  # a tie
    ({"service.name": "agg", "zone": "a"}, ("service",), "service:any"),
    ({"service.name": "agg", "zone": "b"}, ("service",), "service:agg"),
    ({"service.name": "agg", "address": "10.0.0.12", "port": "14999", "zone": "a"}, ("service",), None),  # 2 and 2
    # default rules, in their order
    ({"namespace": "s", "pod": "p", "topic": "t", "job_name": "j"}, (), "pod:s/p"),
    ({"k8s.namespace.name": "s", "k8s.pod.name": "p"}, (), "pod:s/p"),
    ({"pod": "p"}, (), None),
    ({"svm": "s", "volume": "v", "VolumeId": "vol-1"}, (), "volume:s/v"),
    ({"VolumeId": "vol-0abc"}, (), "volume:svm1/flexvol7"),
    ({"VolumeId": "vol-9", "InstanceId": "i-9"}, (), "volume:vol-9"),
    ({"InstanceId": "i-9", "topic": "t"}, (), "vm:i-9"),
    ({"InstanceId": "i-2"}, (), "node:n1"),
    ({"InstanceId": "i-2"}, ("vm",), "vm:i-2"),
    ({"InstanceId": "i-9"}, ("node",), None),
    ({"consumergroup": "g", "topic": "t"}, (), "consumer_group:g"),
    ({"group": "g", "topic_name": "t"}, (), "consumer_group:g"),
    ({"group_id": "g", "topic": "t"}, (), "consumer_group:g"),
    ({"consumergroup": "g"}, (), None),
    ({"topic": "t", "job_name": "j"}, (), "topic:t"),
    ({"job_name": "j", "namespace": "n", "ingress": "i"}, (), "job:j"),
    ({"namespace": "n", "ingress": "i", "deployment": "d"}, (), "ingress:n/i"),
    ({"namespace": "n", "deployment": "d", "host": "kafka-0"}, (), "deployment:n/d"),
    # hosts, with and without port, by id, by name, and where only a relation mentions them
    ({"instance": "kafka-0:9404"}, (), "broker:kafka-0"),
    ({"instance": "kafka-zero:9404"}, (), "broker:kafka-0"),
    ({"host": "kafka-0"}, (), "broker:kafka-0"),
    ({"instance": "10.0.0.99:9100", "host.name": "n1"}, (), "node:n1"),
    ({"host.name": "only-mentioned"}, (), "vm:only-mentioned"),
    ({"host.name": "dc1/web"}, (), "vm:dc1/web"),
    ({"host.name": "web"}, (), None),  # a tie
    ({"host.name": "twin"}, (), None),  # a tie
    ({"host.name": "twin"}, ("node", "vm"), "node:twin"),
    ({"host.name": "nobody"}, (), None),
    # a host by its address, where nothing that is said is its name
    ({"instance": "10.1.1.1:9404"}, (), "broker:kafka-0"),
    ({"instance": "[2001:db8::1]:9404"}, ("broker",), "broker:kafka-0"),
    ({"host": "10.0.0.12"}, ("vm", "node"), "node:n1"),
    ({"instance": "10.0.0.12:9100", "host.name": "kafka-0"}, ("node", "broker"), "node:n1"),
    ({"instance": "10.0.0.12:9100", "host.name": "kafka-0"}, ("broker",), "broker:kafka-0"),
    ({"instance": "10.0.0.12:9100", "host.name": "kafka-0"}, (), "broker:kafka-0"),
    ({"instance": "10.0.0.12:9100"}, ("vm",), None),
    ({"instance": "10.0.0.12:9100"}, ("service",), None),  # no host: its address is said by its match alone
    ({"instance": "10.9.9.9:9100"}, (), None),
    # addresses
    ({"address": "10.0.0.12"}, ("node",), "node:n1"),
    ({"address": "10.1.1.1"}, (), "broker:kafka-0"),
    ({"address": "2001:db8:0::1"}, ("address",), "broker:kafka-0"),
    ({"address": "10.9.9.9"}, (), "address:10.9.9.9"),
    ({"address": "10.9.9.9"}, ("address",), "address:10.9.9.9"),
    ({"address": "10.9.9.9"}, ("node",), None),
    # the types that a signal names hold for default rules too
    (
        {"namespace": "n", "pod": "exporter", "consumergroup": "g", "topic": "t"},
        ("consumer_group",),
        "consumer_group:g",
    ),
    ({"namespace": "n", "pod": "state-metrics", "deployment": "d"}, ("deployment", "pod"), "deployment:n/d"),
    ({"namespace": "n", "pod": "p"}, ("topic",), None),
    ({}, (), None),
]


@pytest.mark.parametrize(("labels", "types", "expected"), TABLE)
def test_what_labels_mean(labels: dict[str, str], types: tuple[str, ...], expected: str | None) -> None:
    made = graph(*INVENTORY)
    assert made.resolve(Labels.of(labels), types, 0) == expected
    assert made.resolve(Labels.of(labels), list(types), 0) == expected
    assert bool(made.unresolved_reason(Labels.of(labels), types, 0)) is (expected is None)
    assert sum(made.unresolved.values()) == (expected is None)


def test_reasons_name_what_was_found() -> None:
    made = graph(*INVENTORY)
    tie = made.resolution(Labels.of({"host.name": "twin"}), (), 0)
    assert tie == (None, "tie", "node:twin, vm:twin match equally well (the name 'twin')")
    unknown = made.resolution(Labels.of({"instance": "nobody:1"}), ("vm",), 0)
    assert unknown == (None, "unknown name", "no vm is named 'nobody:1'")
    nothing = made.resolution(Labels.of({"color": "red"}), ("vm",), 0)
    assert nothing == (None, "no rule", "no label names an entity of type vm: color")
    assert made.unresolved == {"tie": 1, "unknown name": 1, "no rule": 1}


def test_a_match_holds_for_the_time_of_its_entity() -> None:
    labels = Labels.of({"volume_id": "vol-1"})
    made = graph(
        matching("volume:a", {"volume_id": "vol-1"}, at=100),
        deleted("entity", "volume:a", at=200),
        matching("volume:b", {"volume_id": "vol-1"}, at=200),
        matching("volume:b", {"volume_id": "vol-2"}, at=300),
    )
    times = (99, 100, 199, 200, 299, 300)
    expected = ["volume:vol-1", "volume:a", "volume:a", "volume:b", "volume:b", "volume:vol-1"]
    assert [made.resolve(labels, ("volume",), at_ms) for at_ms in times] == expected


def test_many_entities_that_share_a_pair_are_told_apart() -> None:
    made = graph(*(matching(f"pod:n/p{n}", {"cluster": "c", "uid": f"u{n}"}) for n in range(200)))
    assert made.resolve(Labels.of({"cluster": "c", "uid": "u77"}), ("pod",), 0) == "pod:n/p77"
    assert made.resolve(Labels.of({"cluster": "c"}), ("pod",), 0) is None
