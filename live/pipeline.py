"""The pipeline: a source that produces records, and a writer that commits each to a disk and measures how late it is.

python -m live.pipeline source BOOTSTRAP RATE
python -m live.pipeline writer BOOTSTRAP FOLDER SYSLOG
python -m live.pipeline reports FOLDER SYSLOG          a neighbour on the same disk that harms nobody
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer

from live.disk import RECORD, Log
from live.said import to_syslog

RECORDS, METRICS = "live.orders", "telemetry.app"
JOB = "writer"
TELL_S = 5.0  # between two reports of the writer
REPORT_S, REPORT_RECORDS = 2.0, 200
LATE_S = 10.0  # a lag that is worth a line in the log


def source(bootstrap: str, rate: float) -> None:
    """Produce `rate` records a second, each stamped when it is made."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    began, made = time.monotonic(), 0
    while True:
        while made < (time.monotonic() - began) * rate:
            producer.produce(RECORDS, RECORD, timestamp=int(time.time() * 1000))
            made += 1
        producer.poll(0.01)


def writer(bootstrap: str, folder: Path, syslog: str) -> None:
    """Commit every record, one at a time; tell the greatest write lag and the records written every few seconds."""
    to_syslog("writer", syslog)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": JOB, "auto.offset.reset": "latest"})
    consumer.subscribe([RECORDS])
    metrics = Producer({"bootstrap.servers": bootstrap})
    log = Log(folder / "orders.log")
    written, lag, told = 0, 0.0, time.monotonic()
    while True:
        for record in consumer.consume(20, 0.1):
            if record.error() is None:
                log.commit(record.value() or b"")
                written += 1
                lag = max(lag, time.time() - record.timestamp()[1] / 1000)
            if time.monotonic() - told >= TELL_S:
                _tell(metrics, lag, written)
                lag, told = 0.0, time.monotonic()


def _tell(metrics: Producer, lag: float, written: int) -> None:
    now_ns, labels = time.time_ns(), {"job_name": JOB}
    points = [
        {"name": "write_lag_seconds", "unit": "s", "kind": "gauge", "value": lag},
        {"name": "records_written_total", "unit": "{record}", "kind": "cumulative", "value": written},
    ]
    metrics.produce(METRICS, json.dumps([{**point, "time_ns": now_ns, "labels": labels} for point in points]))
    metrics.poll(0)
    level = logging.WARNING if lag > LATE_S else logging.INFO
    logging.log(level, "write lag %.3f s, %d records", lag, written)


def reports(folder: Path, syslog: str) -> None:
    """Write a small report every few seconds."""
    to_syslog("reports", syslog)
    log = Log(folder / "reports.log")
    while True:
        for _ in range(REPORT_RECORDS):
            log.commit(RECORD)
        logging.info("report written")
        time.sleep(REPORT_S)


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "source":
        source(rest[0], float(rest[1]))
    elif role == "writer":
        writer(rest[0], Path(rest[1]), rest[2])
    else:
        reports(Path(rest[0]), rest[1])
