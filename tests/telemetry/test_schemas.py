"""schemas/: the words that all rooms use agree with the rows that decoders return and the alerts that are sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import jsonschema
import pytest

import schemas
from afoot.telemetry.rows import FlowRecord, InventoryChange, LogRecord, MetricPoint, Stats
from afoot.verdicts.records import Finding
from tests.telemetry.support import decode

NAMES = {
    "metric_point": MetricPoint,
    "log_record": LogRecord,
    "flow_record": FlowRecord,
    "inventory_change": InventoryChange,
}
KINDS = {"metric_point": "metrics", "log_record": "logs", "flow_record": "flows", "inventory_change": "inventory"}
FOLDER = Path(schemas.__file__).parent


@pytest.mark.parametrize("name", NAMES)
def test_a_row_has_the_fields_of_its_schemas(name: str) -> None:
    avro = schemas.load(f"{name}.avsc")
    fastavro.parse_schema(avro)
    row: Any = NAMES[name]
    assert sorted(field["name"] for field in avro["fields"]) == sorted(row._fields)
    document = schemas.load(f"{name}.schema.json")
    assert sorted(document["$defs"]["row"]["properties"]) == sorted(row._fields)
    if name == "metric_point":
        stats = avro["fields"][-1]["type"][1]
        assert [field["name"] for field in stats["fields"]] == list(Stats._fields)
        assert list(document["$defs"]["stats"]["properties"]) == list(Stats._fields)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.schema.json")), ids=lambda path: path.name)
def test_json_schemas_are_schemas(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["title"]
    assert document["description"]


POINT = {"name": "m", "labels": {"pod": "a"}, "time_ns": 5, "value": 1.5}
LOG = {"time_ns": 5, "body": "b", "labels": {}}
FLOW = {"start_ns": 5, "end_ns": 6, "source_address": "a", "destination_address": "b", "bytes": 1, "packets": 1}
CHANGE = {"table": "entity", "op": "upsert", "row": {"id": "vm:a", "attributes": {}}, "time_ms": 5}


@pytest.mark.parametrize(
    ("name", "good", "changes"),
    [
        (
            "metric_point",
            POINT,
            [
                {"name": ""},
                {"value": "one"},
                {"time_ns": 0},
                {"time_ns": 2**63},
                {"kind": "counter"},
                {"labels": {"pod": 1}},
                {"stats": {"count": 0, "sum": 0, "min": 0, "max": 0, "period_s": 60}},
            ],
        ),
        ("log_record", LOG, [{"time_ns": "now"}, {"time_ns": 0}, {"body": None}, {"labels": []}]),
        ("flow_record", FLOW, [{"bytes": -1}, {"packets": None}, {"source_address": ""}, {"start_ns": 0}]),
        (
            "inventory_change",
            CHANGE,
            [
                {"op": "replace"},
                {"table": "pods"},
                {"time_ms": 0},
                {"row": []},
                {"reading": "middle"},
                {"reading_rows": -1},
            ],
        ),
    ],
)
def test_the_decoder_and_the_json_schema_agree(name: str, good: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load(f"{name}.schema.json"))
    assert validator.is_valid(good)
    assert validator.is_valid([good, good])
    assert len(decode("json", json.dumps([good, good]).encode(), KINDS[name]).rows) == 2
    for change in changes:
        bad = {**good, **change}
        assert not validator.is_valid(bad), change
        assert len(decode("json", json.dumps([good, bad]).encode(), KINDS[name]).refused) == 1, change


def test_an_alert_has_the_columns_of_a_finding_and_its_suspects() -> None:
    document = schemas.load("alert.schema.json")
    assert list(document["properties"]) == [*Finding._fields, "suspects", "suspects_omitted"]
    assert document["required"] == list(document["properties"])
