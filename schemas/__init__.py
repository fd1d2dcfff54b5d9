"""The words that all rooms use: Avro and JSON Schemas of the rows that are decoded and of the alerts that are sent."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any


def load(file_name: str) -> Any:
    """A schema as Python has it, by its file name: `metric_point.avsc`, `alert.schema.json`, ..."""
    return json.loads(importlib.resources.files(__name__).joinpath(file_name).read_text(encoding="utf-8"))
