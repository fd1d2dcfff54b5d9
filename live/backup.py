"""The disturber: a backup daemon that works by a crontab entry. It knows nothing of the pipeline beside it.

python -m live.backup FOLDER SYSLOG SCHEDULE SECONDS
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from afoot.inventory.cron import run_times
from live.disk import bulk_load
from live.said import to_syslog

HOUR_MS = 3_600_000


def main(folder: Path, syslog: str, schedule: str, seconds: float) -> None:
    """Back up at every time of the schedule (UTC), for so many seconds, until ended."""
    to_syslog("backup", syslog)
    while True:
        now_ms = int(time.time() * 1000)
        due_ms = run_times(schedule, "UTC", now_ms + 1, now_ms + HOUR_MS)[0]
        time.sleep((due_ms - now_ms) / 1000)
        logging.info("backup starts")
        end = time.monotonic() + seconds
        written = bulk_load(folder, lambda end=end: time.monotonic() < end)  # type: ignore[misc]
        logging.info("backup done, %.1f GB", written / 1e9)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
