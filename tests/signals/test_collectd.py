"""What collectd sends of disks and processes becomes I/O of volumes, machines and jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afoot.inventory.graph import Graph
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from tests.signals.helpers import MINUTE, T0, Run, by_window, message, value

WRITES = {"disk_ops": [30.0, 200.0], "disk_octets": [4e5, 8e6], "disk_time": [2.0, 5.0]}
DISK_VOLUME, OTHER_DISK = "vda", "vdb"


def known() -> Graph:
    """A volume that is a disk of a node, the node itself, and a job that is one of its processes."""
    match: dict[str, list[dict[str, str]]] = {
        "volume:node-1/data": [{"host": "node-1", "plugin_instance": DISK_VOLUME}],
        "job:backup": [{"host": "node-1", "plugin_instance": "backup"}],
        "node:node-1": [],
    }
    graph = Graph()
    for entity, sets in match.items():
        kind, _, name = entity.partition(":")
        row = {"id": entity, "type": kind, "name": name, "attributes": {"match": sets} if sets else {}}
        graph.apply(InventoryChange("entity", "upsert", (entity,), row, T0, True))
    return graph


def value_list(plugin: str, instance: str, type_name: str, names: list[str], values: list[float], second: int) -> Any:
    """A value list as write_kafka sends it with StoreRates."""
    return {
        "values": values,
        "dstypes": ["derive"] * len(values),
        "dsnames": names,
        "time": T0 / 1000 + second,
        "interval": 10.0,
        "host": "node-1",
        "plugin": plugin,
        "plugin_instance": instance,
        "type": type_name,
        "type_instance": "",
    }


def disk(instance: str, second: int) -> list[Any]:
    """Of one disk at one time: what it does, and 6 ms of waiting for each of its 230 operations."""
    lists = [value_list("disk", instance, name, ["read", "write"], values, second) for name, values in WRITES.items()]
    waited = value_list("disk", instance, "disk_io_time", ["io_time", "weighted_io_time"], [500.0, 1380.0], second)
    return [*lists, waited]


def window(lists: list[Any], options: dict[str, str]) -> list[Any]:
    """The signals of the first minute."""
    decode = formats.decoder("collectd_json", "metrics", options)
    rows = decode(Message("t", 0, 0, T0 + 3 * MINUTE, None, json.dumps(lists).encode())).rows
    return Run(graph=known()).window(0, by_window(message(rows)))


def as_counters(lists: list[Any]) -> list[Any]:
    """The same, from agents that send counters and not rates."""
    return [{**one, "values": [value * (one["time"] - T0 / 1000 + 100) for value in one["values"]]} for one in lists]


@pytest.mark.parametrize("store_rates", ["true", "false"])
def test_a_disk_is_a_volume_where_the_inventory_says_so_and_else_its_machines(store_rates: str) -> None:
    names = (DISK_VOLUME, OTHER_DISK, "vdc", "vda1", "dm-0", "md0", "loop3", "nvme0n1p1")
    lists = [part for second in range(0, 121, 10) for name in names for part in disk(name, second)]
    lists += [
        value_list("processes", "backup", "disk_octets", ["read", "write"], [0.0, 7.5e6], second)
        for second in range(0, 121, 10)
    ]
    placed = window(lists if store_rates == "true" else as_counters(lists), {"store_rates": store_rates})
    wanted = {
        "volume:node-1/data": {
            "read_ops": 30,
            "write_ops": 200,
            "read_bytes": 4e5,
            "write_bytes": 8e6,
            "latency": 0.006,
            "read_latency": 0.002,
            "write_latency": 0.005,
            "queue": 1.38,
        },
        "node:node-1": {"write_ops": 400, "write_bytes": 16e6},  # two disks; what they are divided into is no third
        "job:backup": {"write_bytes": 7.5e6, "read_bytes": 0},
    }
    found = {entity: {name: value(placed, entity, name) for name in signals} for entity, signals in wanted.items()}
    assert found == {entity: pytest.approx(signals) for entity, signals in wanted.items()}
    assert value(placed, "node:node-1", "write_bytes") == pytest.approx(16e6)  # and no process is added to it
