"""What figures were taken on: without it they mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afoot.runtime.java import java

PACKAGES = ("apache-flink", "numpy", "orjson", "pandas", "pyarrow", "confluent-kafka")


def machine() -> dict[str, Any]:
    """CPU, memory, load and versions."""
    cpu = next((v for k, v in _pairs("/proc/cpuinfo") if k == "model name"), platform.processor())
    memory = next((v for k, v in _pairs("/proc/meminfo") if k == "MemTotal"), "0 kB")
    said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True).stderr
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.split()[0]) / 2**20, 1),
        "load_1min_at_start": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            "java": said.splitlines()[0],
            **{name: version(name) for name in PACKAGES},
        },
    }


def _pairs(path: str) -> list[tuple[str, str]]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
