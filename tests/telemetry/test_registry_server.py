"""Canonical rows with a real schema registry, in Confluent's wire format."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

import schemas
from afoot.errors import AfootError, DecodeError
from afoot.telemetry import formats
from afoot.telemetry.rows import MetricPoint, Stats
from tests.conftest import serve
from tests.servers.apicurio import Apicurio, apicurio
from tests.telemetry.support import as_json, framed, message, rows
from tests.telemetry.test_canonical import KINDS, LOG, LOG_ROW, POINT, POINT_ROW, STATS, array, avro

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """A registry; subjects are the test's own to name."""
    yield from serve(apicurio(tmp_path_factory.mktemp("apicurio")))


@pytest.mark.parametrize(("kind", "name", "sent", "row"), KINDS)
def test_every_kind_as_rows_and_as_arrays(
    registry: Apicurio, kind: str, name: str, sent: dict[str, Any], row: Any
) -> None:
    one, many = schemas.load(f"{name}.avsc"), array(name)
    numbers = registry.register(f"{name}-row", one), registry.register(f"{name}-rows", many)
    assert rows("avro", framed(numbers[0], avro(one, sent)), kind, registry=registry.url) == [row]
    assert rows("avro", framed(numbers[1], avro(many, [sent, sent])), kind, registry=registry.url) == [row, row]
    # JSON says itself what it holds: the registry, here one that is not there, is not asked.
    assert rows("json", framed(numbers[0], as_json(sent)), kind) == [row]


def test_schemas_that_refer_to_others(registry: Apicurio) -> None:
    whole = schemas.load("metric_point.avsc")
    point = copy.deepcopy(whole)
    (stats,) = [field for field in point["fields"] if field["name"] == "stats"]
    inner = {"namespace": whole["namespace"], **stats["type"][1]}
    full = f"{whole['namespace']}.{inner['name']}"
    stats["type"][1] = full
    registry.register("parts-stats", inner)
    registry.register("parts-point", point, [(full, "parts-stats", 1)])
    name = f"{whole['namespace']}.{whole['name']}"
    number = registry.register("parts-points", {"type": "array", "items": name}, [(name, "parts-point", 1)])
    sent = [{**POINT, "stats": STATS}, POINT]
    expected = [POINT_ROW._replace(stats=Stats(**STATS)), POINT_ROW]
    assert rows("avro", framed(number, avro(array("metric_point"), sent)), "metrics", registry=registry.url) == expected


def test_versions_of_a_schema_side_by_side(registry: Apicurio) -> None:
    first = schemas.load("log_record.avsc")
    first["fields"] = [field for field in first["fields"] if field["name"] != "severity"]
    second = schemas.load("log_record.avsc")
    second["fields"].append({"name": "trace", "type": ["null", "string"], "default": None})
    numbers = registry.register("evolving", first), registry.register("evolving", second)
    assert numbers[0] != numbers[1]
    decode = formats.decoder("avro", "logs", {"registry": registry.url})
    old = framed(numbers[0], avro(first, {key: value for key, value in LOG.items() if key != "severity"}))
    new = framed(numbers[1], avro(second, {**LOG, "trace": "t"}))
    found = [decode(message(value)).rows for value in (new, old, new)]
    assert found == [[LOG_ROW], [LOG_ROW._replace(severity="")], [LOG_ROW]]


def test_a_schema_that_nobody_registered_is_a_dead_letter(registry: Apicurio) -> None:
    with pytest.raises(DecodeError, match=f"avro: schema 987654 is not in the registry {registry.url}"):
        rows("avro", framed(987_654, b"\x00"), "logs", registry=registry.url)


def test_a_registry_that_is_down_loses_nothing(registry: Apicurio) -> None:
    schema = {**schemas.load("metric_point.avsc"), "doc": "of a registry that goes away"}
    number = registry.register("away", schema)
    value = message(framed(number, avro(schema, POINT)))
    knowing, asking = (formats.decoder("avro", "metrics", {"registry": registry.url}) for _ in range(2))
    wanted: list[MetricPoint] = [POINT_ROW]
    assert knowing(value).rows == wanted
    registry.process.stop()
    # Known schemas need no registry. Others fail the job, which reads the message again: it is no dead letter.
    assert knowing(value).rows == wanted
    with pytest.raises(AfootError, match=f"registry {registry.url} gave no schema {number}: .*refused") as caught:
        asking(value)
    assert not isinstance(caught.value, DecodeError)
    registry.process.start()
    # Its schemas were in memory alone: others take the numbers before this one's.
    others = ({"type": "fixed", "name": f"other{size}", "size": size} for size in range(1, number))
    for other in others:
        registry.register("others", other)
    assert registry.register("away", schema) == number
    assert asking(value).rows == wanted
