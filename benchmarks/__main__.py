"""Throughput, memory and cost a point of the findings job: `python -m benchmarks`, explained in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from afoot.simulate.load import FORMATS
from benchmarks import report
from benchmarks.day import replay_day
from benchmarks.encodings import METRICS
from benchmarks.findings import PARALLELISM, Unbalanced, run_findings
from benchmarks.machine import machine
from benchmarks.process import Run, folder_for, module, watched
from benchmarks.topics import Filled, Load, fill
from tests.servers.kafka import Kafka, kafka
from tests.servers.process import free_port

ENTITIES = (1_000, 10_000)
POINTS, QUICK_POINTS = 14_400_000, 480_000  # an hour of ten thousand entities: start and compiling weigh little
REPEATS, QUICK_REPEATS = 3, 1
SINGLE = 4  # with one point a message, a run has so many times fewer points
OTHERS = tuple(name for name in METRICS if name not in FORMATS)
NAMES = (*FORMATS, "single", "day")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what is asked for; 1 if a run lost something or an aim was missed by --strict."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and once: to see that it works, not for figures")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="these parts only")
    parser.add_argument(
        "--formats",
        nargs="*",
        choices=OTHERS,
        help="these other metric formats, or all others, with the fewest entities, and nothing else without --only",
    )
    parser.add_argument("--points", type=int, help=f"a run ({POINTS:,}; {QUICK_POINTS:,} with --quick)")
    parser.add_argument("--entities", nargs="+", type=int, default=list(ENTITIES))
    parser.add_argument("--repeats", type=int, help=f"of each run ({REPEATS}; {QUICK_REPEATS} with --quick)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/latest.json"), help="where figures go")
    parser.add_argument("--strict", action="store_true", help="fail where an aim is missed")
    given = parser.parse_args(arguments)
    only = given.only if given.only is not None else [] if given.formats is not None else list(NAMES)
    others = given.formats if given.formats else OTHERS if given.formats is not None else ()
    points = given.points or (QUICK_POINTS if given.quick else POINTS)
    repeats = given.repeats or (QUICK_REPEATS if given.quick else REPEATS)

    document: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks", *(sys.argv[1:] if arguments is None else arguments)]),
        "machine": machine(),
        "parallelism": PARALLELISM,
        "loads": [],
    }
    with tempfile.TemporaryDirectory(prefix="afoot-bench-") as folder:
        base = Path(folder)
        loads = [Load(f, n, points) for f in FORMATS if f in only for n in given.entities]
        loads += [Load(f, min(given.entities), points) for f in others]
        if "single" in only:
            loads += [Load(f, given.entities[0], points // SINGLE, per_message=1) for f in ("avro", "json")]
        try:
            for load in loads:
                # A broker of its own each: what is left of an earlier topic is neither read nor cached.
                with kafka(folder_for(base, "kafka")) as broker:
                    document["loads"].append(measure(broker, load, repeats, base, say))
            if "day" in only:
                document["day"] = replay_day(base, 1.0 if given.quick else 24.0, say)
        except Unbalanced as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    document["cost_ratio"] = report.cost_ratios(document["loads"])
    document["aims"] = report.aims(document)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print(report.text(document))
    print(f"\n{given.json}: the same and more as JSON")
    return int(given.strict and any(not aim["met"] for aim in document["aims"]))


def measure(broker: Kafka, load: Load, repeats: int, base: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """A load's figures: scans and runs of the job in turn, so that both meet the same machine."""
    tell(f"{load.name}: filling topics with {load.points:,} points")
    filled = fill(broker, load)
    runs: list[Run] = []
    scans: dict[str, list[Run]] = {"raw": [], **({"json": []} if load.format == "json" else {})}
    books: dict[str, int] = {}
    for number in range(repeats):
        for format_name, found in scans.items():
            tell(f"{load.name}: bare scan as {format_name}, {number + 1} of {repeats}")
            found.append(scan(broker, filled, format_name))
        tell(f"{load.name}: the job, {number + 1} of {repeats}")
        run, books = run_findings(filled, broker.bootstrap, broker.process.pid, folder_for(base, "job"))
        runs.append(run)
        tell(f"{load.name}: {filled.points / run.reading_s:,.0f} points/s, engine start left out")
    return figures(filled, runs, scans, books)


def scan(broker: Kafka, filled: Filled, format_name: str) -> Run:
    """The bare scan of a filled topic."""
    port = free_port()
    arguments = ["--bootstrap", broker.bootstrap, "--topic", filled.telemetry]
    arguments += ["--format", format_name, "--port", str(port)]
    return watched(module("benchmarks.scan", *arguments), port, broker.process.pid)


def figures(filled: Filled, runs: list[Run], scans: dict[str, list[Run]], books: dict[str, int]) -> dict[str, Any]:
    """What a load's runs say: medians and extremes, and each run as it was."""
    points = filled.points
    reading = median(run.reading_s for run in runs)
    parts = sorted({part for run in runs for part in run.reading_cpu_s})
    by_part = {part: 1e6 * median(run.reading_cpu_s.get(part, 0.0) for run in runs) / points for part in parts}
    return {
        **filled.load._asdict(),
        "name": filled.load.name,
        "points": points,
        "messages": filled.messages,
        "malformed": filled.malformed,
        "payload_bytes": filled.payload_bytes,
        "simulated_s": filled.simulated_s,
        "points_per_s_whole": points / median(run.wall_s for run in runs),
        "points_per_s": points / reading,
        "points_per_s_extremes": sorted(points / run.reading_s for run in runs)[:: max(1, len(runs) - 1)],
        "cpu_us_per_point": 1e6 * median(run.total_reading_cpu_s for run in runs) / points,
        "cpu_us_per_point_broker": 1e6 * median(run.broker_cpu_s for run in runs) / points,
        "cpu_us_per_point_by_part": dict(sorted(by_part.items(), key=lambda item: -item[1])),
        "start_s": median(run.first_read_s or 0.0 for run in runs),
        "peak_bytes": max(run.peak_bytes for run in runs),
        "ratio_to_scan": {kind: reading / median(run.reading_s for run in found) for kind, found in scans.items()},
        "books": books,
        "runs": [_shown(run) for run in runs],
        "scans": {kind: [_shown(run) for run in found] for kind, found in scans.items()},
    }


def _shown(run: Run) -> dict[str, Any]:
    return {
        **run._asdict(),
        "reading_s": run.reading_s,
        "total_cpu_s": run.total_cpu_s,
        "total_reading_cpu_s": run.total_reading_cpu_s,
        "load_1min_after": os.getloadavg()[0],
    }


def say(word: str) -> None:
    """Progress, a line each."""
    print(word, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
