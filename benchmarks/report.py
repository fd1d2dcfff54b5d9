"""What was measured as a table, and against what is aimed at."""

from __future__ import annotations

from collections import Counter
from typing import Any

AIM_POINTS_PER_S = {"avro": 150_000, "json": 150_000, "otlp_json": 100_000}
AIM_OTHERS_PER_S = 50_000  # in any other format
AIM_PEAK_BYTES = 6 * 2**30
AIM_COST_RATIO = 1.3
AIM_DAY_S = 180
GIB = 2**30
SMALL = 0.1  # microseconds a point
# What the threads of a job's JVM are for, by how their names begin (the kernel keeps 15 characters of them).
THREADS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("jvm: compiling itself", ("C1 ", "C2 ", "Sweeper")),
    ("jvm: garbage collection", ("GC ", "G1 ")),
    ("jvm: reading topics", ("Source", "kafka-")),
    ("jvm: crossing to Python and back", ("PythonCalc", "grpc-", "score and place", "judge", "OutputFlusher", "Async")),
    ("jvm: frames", ("ConstraintEnfor",)),
    ("jvm: windows and joins", ("GlobalWindow", "LocalWindow", "Window", "IntervalJoin", "Calc", "Join")),
    ("jvm: sinks", ("StreamingFileWr", "PartitionCommit", "end", "alerts", "lake", "dead")),
    ("jvm: running the cluster", ("flink-", "Flink-", "jobmanager", "pekko", "Checkpoint")),
)


def cost_ratios(loads: list[dict[str, Any]]) -> dict[str, float]:
    """Of each format, the CPU cost of a point with most entities to that with fewest."""
    found = {}
    for format_name in dict.fromkeys(load["format"] for load in loads):
        of_format = sorted(
            (load for load in loads if load["format"] == format_name and load["per_message"] > 1),
            key=lambda load: load["entities"],
        )
        if len(of_format) > 1:
            found[format_name] = of_format[-1]["cpu_us_per_point"] / of_format[0]["cpu_us_per_point"]
    return found


def aims(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each aim that this run can speak of: what is aimed at, what was measured, and whether it is met."""
    found = []
    for load in document["loads"]:
        if load["per_message"] > 1:
            aim = AIM_POINTS_PER_S.get(load["format"], AIM_OTHERS_PER_S)
            found.append(_aim(f"{load['name']}: points/s", aim, load["points_per_s"], load["points_per_s"] >= aim))
    if document["loads"]:
        peak = max(load["peak_bytes"] for load in document["loads"])
        found.append(_aim("peak memory of all processes, GiB", 6, peak / GIB, peak < AIM_PEAK_BYTES))
    for format_name, ratio in document["cost_ratio"].items():
        found.append(
            _aim(f"{format_name}: cost of a point, most to fewest entities", 1.3, ratio, ratio <= AIM_COST_RATIO)
        )
    if "day" in document and document["day"]["hours"] == 24:  # a part of a day says nothing of a whole one
        wall = document["day"]["wall_s"]
        found.append(_aim("a day replayed, s", AIM_DAY_S, wall, wall < AIM_DAY_S))
    return found


def folded(parts: dict[str, float]) -> dict[str, float]:
    """Costs by part with the JVM's threads by what they do, greatest first."""
    found: Counter[str] = Counter()
    for part, cost in parts.items():
        thread = part.removeprefix("jvm: ")
        found[next((name for name, begins in THREADS if part != thread and thread.startswith(begins)), part)] += cost
    other = sum(cost for part, cost in found.items() if part.startswith("jvm: ") and cost < SMALL)
    shown = {part: cost for part, cost in found.items() if not part.startswith("jvm: ") or cost >= SMALL}
    return dict(sorted({**shown, "jvm: other threads": other}.items(), key=lambda item: -item[1]))


def _aim(name: str, aim: float, measured: float, met: bool) -> dict[str, Any]:
    return {"name": name, "aim": aim, "measured": measured, "met": met}


def text(document: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    on = document["machine"]
    lines = [
        f"{document['command']}",
        f"{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, load {on['load_1min_at_start']} at start; "
        + ", ".join(f"{name} {number}" for name, number in on["versions"].items()),
        f"Parallelism {document['parallelism']}. Medians; in brackets the slowest and the fastest run.",
        "",
        "| load | points | points/s | with engine start | of a bare scan's | CPU us a point | broker's | start s "
        "| peak GiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for load in document["loads"]:
        low, high = load["points_per_s_extremes"][0], load["points_per_s_extremes"][-1]
        ratios = ", ".join(f"{100 / ratio:.1f} % ({kind})" for kind, ratio in load["ratio_to_scan"].items())
        lines.append(
            f"| {load['name']} | {load['points']:,} | {load['points_per_s']:,.0f} ({low:,.0f}-{high:,.0f}) "
            f"| {load['points_per_s_whole']:,.0f} | {ratios} | {load['cpu_us_per_point']:.2f} "
            f"| {load['cpu_us_per_point_broker']:.2f} | {load['start_s']:.1f} | {load['peak_bytes'] / GIB:.2f} |"
        )
    for load in document["loads"]:
        lines += ["", f"CPU microseconds a point, {load['name']}:", ""]
        lines += [f"    {part:40} {cost:6.2f}" for part, cost in folded(load["cpu_us_per_point_by_part"]).items()]
    if "day" in document:
        day = document["day"]
        lines += [
            "",
            f"{day['hours']:g} h of {day['scenario']}, {day['entities']} entities at {day['scrape_s']} s: replayed in "
            f"{day['wall_s']:.0f} s with {day['cpu_s']:.0f} CPU s ({day['messages']:,} messages, "
            f"peak {day['peak_bytes'] / GIB:.2f} GiB); findings: {day['findings']}",
        ]
    lines += ["", "| aim | at | measured | |", "|---|--:|--:|---|"]
    for aim in document["aims"]:
        verdict = "met" if aim["met"] else "missed"
        lines.append(f"| {aim['name']} | {aim['aim']:,} | {aim['measured']:,.2f} | {verdict} |")
    return "\n".join(lines)
