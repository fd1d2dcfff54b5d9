"""A lake of one case: a VM's hourly backup at :40 makes a job late through the volume that both write to."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from afoot.lake.write import write_rows

START = datetime(2026, 11, 19, 18, 0, tzinfo=UTC)
HOURS = 24
SKIPPED = START + timedelta(hours=11, minutes=40)  # the run that did not come, and after which nothing was late
CULPRIT = "vm:frosa-system-backup"
VOLUME = "volume:svm1/flexvol7"
JOB = "job:enricher"
FINDING = "3f9c2a71d04be8a6"

Row = dict[str, Any]

# entity, component, signal, unit, level, noise, what a run adds to it
SERIES = [
    ("ingress:edge/nginx", "router", "request_rate", "{request}/s", 1840, 0.03, 0),
    ("ingress:edge/nginx", "router", "request_latency", "s", 0.021, 0.05, 0),
    ("deployment:ingest/receiver", "ingestion", "bytes_in", "By/s", 41e6, 0.03, 0),
    ("deployment:ingest/receiver", "ingestion", "cpu", "1", 2.4, 0.04, 0),
    ("topic:telemetry", "broker", "bytes_in", "By/s", 39e6, 0.03, 0),
    ("topic:telemetry", "broker", "bytes_out", "By/s", 39e6, 0.03, -27e6),
    ("broker:kafka-0", "broker", "request_time", "s", 0.004, 0.06, 0),
    (JOB, "processor", "write_lag", "s", 2.1, 0.2, 0),
    (JOB, "processor", "records_out", "{record}/s", 18200, 0.03, -13100),
    (VOLUME, "storage", "total_ops", "{op}/s", 910, 0.05, 3350),
    (VOLUME, "storage", "latency", "s", 0.0011, 0.08, 0.0094),
    ("pod:streaming/tm-0", "processor", "write_ops", "{op}/s", 430, 0.06, 0),
    ("pod:streaming/tm-1", "processor", "write_ops", "{op}/s", 415, 0.06, 0),
    (CULPRIT, "compute", "write_ops", "{op}/s", 14, 0.2, 3120),
    ("vm:reporting-db", "compute", "write_ops", "{op}/s", 48, 0.1, 190),
]


def series(entity: str, signal: str) -> tuple[Any, ...]:
    """The entry of SERIES for a signal of an entity."""
    return next(entry for entry in SERIES if (entry[0], entry[2]) == (entity, signal))


def running(time: datetime) -> float:
    """How much of the backup runs at a time, 0..1."""
    minute = time.minute - 40
    run = time - timedelta(minutes=minute)
    if run == SKIPPED or not 0 <= minute < 11:
        return 0.0
    return 0.6 if minute in (0, 10) else 1.0


def lag(time: datetime) -> float:
    """Write lag above its level: it grows while the backup runs and drains in the seven minutes after."""
    minute = time.minute - 40
    if time - timedelta(minutes=minute) == SKIPPED or minute < 1:
        return 0.0
    return 38.0 * minute if minute <= 11 else max(0.0, 418.0 - 58.0 * (minute - 11))


def signals(seed: int = 1) -> Iterator[Row]:
    """Every signal of the chain and the tenants, a row a minute."""
    rng = random.Random(seed)
    for step in range(HOURS * 60):
        time = START + timedelta(minutes=step)
        day = 1 + 0.12 * math.sin(step / 1440 * 2 * math.pi)
        for entity, component, signal, unit, level, noise, bump in SERIES:
            if entity == "broker:kafka-0" and 300 <= step < 330:
                continue  # half an hour without data
            expected = level * day
            value = expected * (1 + rng.gauss(0, noise)) + bump * running(time)
            if signal == "write_lag":
                value += lag(time)
            yield {
                "window_start": time,
                "window_end": time + timedelta(minutes=1),
                "entity": entity,
                "component": component,
                "signal": signal,
                "unit": unit,
                "value": float(f"{max(value, 0):.9g}"),
                "expected": float(f"{expected:.9g}"),
                "score": float(f"{(value - expected) / (expected * noise):.9g}"),
            }


def finding(**changes: Any) -> Row:
    """The finding at its latest revision."""
    end = START + timedelta(hours=HOURS - 1, minutes=59)
    return {
        "finding_id": FINDING,
        "revision": 25,
        "as_of": end,
        "component": "compute",
        "state": "open",
        "kind": "shared_volume_contention",
        "severity": "critical",
        "window_start": START + timedelta(minutes=41),
        "window_end": end,
        "victim_entity": JOB,
        "victim_component": "processor",
        "victim_signal": "write_lag",
        "victim_observed": 418.0,
        "victim_expected": 2.2,
        "victim_unit": "s",
        "culprit_entity": CULPRIT,
        "culprit_component": "compute",
        "culprit_via": VOLUME,
        "culprit_share": 0.93,
        "confidence": 0.96,
        "schedule_id": "cron:frosa-system-backup/1",
        "schedule_expression": "40 * * * *",
        "schedule_command": "/opt/backups/system_backup.sh",
        "recurrence_period_s": 3600,
        "recurrence_phase_s": 2400,
        "runs_seen": 24,
        "runs_with_effect": 23,
        "summary": f"{CULPRIT} makes {JOB} late by up to 6 min 58 s through {VOLUME}: 93 % of the volume's extra "
        "operations are its own, hourly at :40, as its cron entry 40 * * * * says.",
        "remedy": f"Attach {CULPRIT} to another volume, or limit its operations on {VOLUME} (QoS), "
        "or move its run to an hour when the job can be late.",
        "rule": "shared_volume_contention@2",
    } | changes


def evidence(**changes: Any) -> Iterator[Row]:
    """What clears or accuses each entity, at the finding's latest revision."""
    case = finding()
    verdicts = {
        CULPRIT: ("culprit", 0.93, "Its writes rise by 3,120 op/s in 23 of 24 runs, two minutes before the lag does."),
        "vm:reporting-db": ("contributor", 0.05, "Writes rise at the same minutes, by a twentieth of the excess."),
        JOB: ("victim", None, "Write lag is 190 times what is expected while its input is steady."),
        VOLUME: ("unknown", None, "Saturated: latency is nine times what is expected, as the load on it explains."),
        "broker:kafka-0": ("unknown", None, "No request times between 23:00 and 23:30."),
        "topic:telemetry": ("cleared", None, "Bytes in are steady; bytes out dip because the job reads less."),
    }
    pointers = [
        {"topic": "telemetry.metrics", "partition": p, "first_offset": 88120 + 300 * p, "last_offset": 88164 + 300 * p}
        for p in range(3)
    ]
    said: set[str] = set()
    for entity, component, signal, unit, level, _, bump in SERIES:
        verdict, share, reason = verdicts.get(
            entity, ("cleared", 0.0 if entity.startswith("pod") else None, "Steady: within its usual band throughout.")
        )
        if entity in said:
            reason = ""
        said.add(entity)
        missing = entity == "broker:kafka-0"
        observed = 418.0 if signal == "write_lag" else level * 1.01 + bump
        yield {
            "finding_id": case["finding_id"],
            "revision": case["revision"],
            "as_of": case["as_of"],
            "entity": entity,
            "component": component,
            "verdict": verdict,
            "share": share,
            "reason": reason,
            "signal": signal,
            "observed": None if missing else observed,
            "expected": level,
            "unit": unit,
            "score": None if missing else 41.3 if bump or signal == "write_lag" else 0.3,
            "window_start": case["window_start"],
            "window_end": case["window_end"],
            "pointers": [] if missing else pointers,
        } | changes


def books() -> list[Row]:
    """A minute: 3 messages, one of them dead, of 9 points, of which 7 are in signals and one is a duplicate."""
    counts = [
        ("telemetry.metrics", "messages", "decoded", 2),
        ("telemetry.metrics", "messages", "dead_letters", 1),
        ("telemetry.metrics", "points", "windows", 8),
        ("telemetry.metrics", "points", "late", 1),
        ("", "points", "signals", 7),
        ("", "points", "duplicates", 1),
    ]
    return [
        {"as_of": START, "topic": topic, "counted": counted, "account": account, "detail": None, "count": count}
        for topic, counted, account, count in counts
    ]


def write_lake(lake: str) -> None:
    """Writes the case with its three turns: opened, schedule matched, latest."""
    at = START + timedelta(minutes=43)
    none = dict.fromkeys(
        ("schedule_id", "schedule_expression", "schedule_command", "recurrence_period_s", "recurrence_phase_s")
    )
    early = finding(revision=1, as_of=at, window_end=at, severity="warning", confidence=0.62, runs_seen=1)
    matched = finding(revision=3, as_of=at + timedelta(hours=2), window_end=at + timedelta(hours=2), runs_seen=3)
    rows = [early | none | {"runs_with_effect": 1}, matched | {"runs_with_effect": 3}, finding()]
    for row in rows:
        write_rows(lake, "findings", [row])
    write_rows(lake, "evidence", evidence())
    write_rows(lake, "signals", signals())
    write_rows(lake, "books", books())
