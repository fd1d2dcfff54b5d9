"""How often the findings are right: `python -m benchmarks.scenarios --seeds 0-19`.

Each scenario and seed is simulated, run and judged by its truth. Exit status 1 if a criterion is missed.
`--formats all` sends one scenario in every format instead, and asks whether the verdict is the same in each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from afoot.cli.replay import replay_files
from afoot.config import load_config
from afoot.errors import AfootError, UsageError
from afoot.lake.query import open_lake
from afoot.simulate.run import simulate
from afoot.simulate.scenarios import SCENARIOS
from benchmarks import forms, inprocess
from benchmarks.judging import ANSWERS, judge

Rows = tuple[list[dict[str, Any]], list[dict[str, Any]]]  # findings, evidence

# Parts of the captures that must be right; all of them where nothing is said.
NEEDED = {"hourly_backup": 0.95, "backup_moved": 0.95, "inventory_change": 0.95, "random_runs": 0.95}
CRITERIA = {
    "hourly_backup": "W1: culprit, victim, volume, schedule and period",
    "backup_moved": "W1, fixed: the same, and the finding closes and stays closed",
    "inventory_change": "C1: each machine is the culprit while it is on the volume",
    "roomy_volume": "N1: nothing above info",
    "load_rise": "N3: the load is named and the volume cleared",
    "unrelated_vm": "N4: the unrelated machine is never named",
    "two_tenants": "N5: both tenants, shares within 0.15",
    "no_storage_data": "N6: unknown, and nothing cleared without data",
    "out_of_order": "N7: equal to its ordered twin row by row",
    "wrong_schedule": "N8: no schedule is claimed",
    "random_runs": "started by hand: neither a schedule nor a period is claimed",
    "large_reads": "bytes/s run out: who takes them is named, and not who sends more operations",
    "own_stall": "the job stands still by itself: nobody is named, and the volume is not to blame",
    "slow_volume": "the volume is slow by itself: nobody is named, and it is not cleared",
    "steady": "nothing above info",
    "skipped_run": "W1 with a run that did not come",
    "dst": "W1 over a change of the clocks",
}


@dataclass
class Outcome:
    """One capture, judged."""

    scenario: str
    seed: int
    answers: dict[str, bool]
    right: bool
    wrong: list[str]
    claims: list[tuple[float, bool]]
    seconds: float


def in_process(files: list[Path], folder: Path, config: Path | None = None) -> Rows:
    """The rows of captures, by the job's steps in this process."""
    found = inprocess.replay(files, load_config(config))
    return (
        [{**finding._asdict(), "component": finding.component} for finding in found.findings],
        [{**row._asdict(), "pointers": tuple(tuple(pointer) for pointer in row.pointers)} for row in found.evidence],
    )


def flink(files: list[Path], folder: Path, config: Path | None = None) -> Rows:
    """The rows of captures, as `afoot replay` writes them into a lake in `folder`."""
    lake = str(folder / "lake")
    replay_files(files, lake, config=config)
    opened = open_lake(lake)
    return (_plain(opened.sql("SELECT * FROM findings")), _plain(opened.sql("SELECT * FROM evidence")))


def _plain(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the lake with times in epoch ms and pointers as tuples, as the job has them inside."""
    found = []
    for row in rows:
        plain: dict[str, Any] = {
            name: round(value.timestamp() * 1000) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        del plain["dt"]
        if "pointers" in plain:
            plain["pointers"] = tuple(tuple(pointer.values()) for pointer in plain["pointers"])
        found.append(plain)
    return found


ENGINES: dict[str, Callable[[list[Path], Path], Rows]] = {"in-process": in_process, "flink": flink}


def run(scenario: str, seed: int, engine: str) -> Outcome:
    """Simulates, runs and judges one capture."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="afoot-scenario-") as name:
        folder = Path(name)
        truth = asdict(simulate(scenario, seed, None, folder))
        findings, evidence = ENGINES[engine]([folder / "capture.jsonl.zst"], folder)
        found = judge(truth, findings, evidence)
        twin = folder / "ordered" / "ordered.jsonl.zst"
        if twin.exists():
            in_order = ENGINES[engine]([twin], folder / "ordered")
            for table, rows, others in zip(("findings", "evidence"), (findings, evidence), in_order, strict=True):
                found.check(_told(rows) == _told(others), f"{table} differ from those of the ordered twin")
    seconds = time.perf_counter() - begun
    return Outcome(scenario, seed, found.answers, found.right, found.wrong, found.claims, seconds)


def _run(case: tuple[str, int, str]) -> Outcome:
    return run(*case)


def _told(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Rows to compare without regard to order; offsets are those of the order in which messages were sent."""
    return sorted(repr({name: value for name, value in row.items() if name != "pointers"}) for row in rows)


def seeds_of(text: str) -> list[int]:
    """`0-19,42` as a list."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found.extend(range(int(first), int(last or first) + 1))
        except ValueError as error:
            raise UsageError(f"--seeds {text!r}: allowed are numbers and ranges, as in 0-19,42") from error
    return found


def table(outcomes: list[Outcome]) -> tuple[list[str], bool]:
    """The lines of the table, and whether every criterion is met."""
    lines = [f"{'scenario':<17}" + "".join(f"{answer:>10}" for answer in (*ANSWERS, "all", "needed")) + "  criterion"]
    met = True
    for scenario in dict.fromkeys(outcome.scenario for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.scenario == scenario]
        right = sum(outcome.right for outcome in own)
        needed = -int(-NEEDED.get(scenario, 1.0) * len(own) // 1)
        met = met and right >= needed
        counts = [sum(outcome.answers[answer] for outcome in own) for answer in ANSWERS]
        cells = "".join(f"{f'{count}/{len(own)}':>10}" for count in (*counts, right, needed))
        lines.append(f"{scenario:<17}{cells}  {'met   ' if right >= needed else 'MISSED'} {CRITERIA[scenario]}")
    return lines, met


def calibration(outcomes: list[Outcome]) -> list[str]:
    """The lines of a table: how often those who were accused at a confidence were to blame."""
    claims = sorted(claim for outcome in outcomes for claim in outcome.claims)
    lines = [f"{'confidence':<17}{'revisions':>10}{'mean':>10}{'right':>10}"]
    for tenth in range(10):
        low, high = tenth / 10, (tenth + 1) / 10
        own = [(said, right) for said, right in claims if low <= said < high or said == high == 1.0]
        if own:
            mean, right = sum(said for said, _ in own) / len(own), sum(right for _, right in own) / len(own)
            lines.append(f"{f'{low:.1f} to {high:.1f}':<17}{len(own):>10}{mean:>10.3f}{right:>10.3f}")
    return lines


def machine() -> dict[str, Any]:
    """What the figures were measured with."""
    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "afoot": version("afoot"),
        "apache-flink": version("apache-flink"),
        "numpy": version("numpy"),
    }


def main() -> int:
    """Runs what was asked for, prints the table, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.scenarios", description=__doc__)
    parser.add_argument("--seeds", default="0-19", help="as in 0-19,42")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="names, with commas between them")
    parser.add_argument("--engine", choices=list(ENGINES), default="in-process")
    parser.add_argument("--jobs", type=int, help="captures at a time; all CPUs unless the engine is flink")
    parser.add_argument("--json", type=Path, help="write every capture's judgement to this file")
    parser.add_argument("--formats", nargs="+", help="one scenario and seed in these formats, or in all")
    given = parser.parse_args()
    if given.formats:
        unknown = set(given.formats) - {"all", *(form.format for form in forms.forms())}
        if unknown or given.engine == "flink":
            print(
                f"benchmarks.scenarios: --formats {' '.join(given.formats)}: in-process, all or formats",
                file=sys.stderr,
            )
            return 2
        first = given.scenarios.split(",")[0] if given.scenarios != ",".join(SCENARIOS) else "hourly_backup"
        return forms.compare(first, seeds_of(given.seeds)[0], given.formats, given.jobs or os.cpu_count() or 1)
    try:
        seeds, names = seeds_of(given.seeds), given.scenarios.split(",")
        jobs = given.jobs or (1 if given.engine == "flink" else os.cpu_count() or 1)
        outcomes: list[Outcome] = []
        print(f"engine: {given.engine}; seeds {given.seeds}; {jobs} at a time", flush=True)
        with ProcessPoolExecutor(jobs) as pool:
            for outcome in pool.map(_run, [(name, seed, given.engine) for name in names for seed in seeds]):
                outcomes.append(outcome)
                if sys.stderr.isatty():
                    print(f"\r{outcome.scenario} {outcome.seed}\x1b[K", end="", file=sys.stderr, flush=True)
    except AfootError as error:
        print(f"benchmarks.scenarios: {error}", file=sys.stderr)
        return error.exit_status
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    lines, met = table(outcomes)
    print("\n".join([*lines, "", *calibration(outcomes), ""]))
    for outcome in outcomes:
        for wrong in outcome.wrong:
            print(f"  {outcome.scenario} seed {outcome.seed}: {wrong}")
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(f"{len(outcomes)} captures, {seconds / len(outcomes):.1f} s each")
    if given.json:
        report = {"engine": given.engine, **machine(), "met": met, "rows": [asdict(outcome) for outcome in outcomes]}
        given.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
