"""Run times of cron schedules in their own time zone, as Vixie's cron keeps them across daylight saving changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from statistics import median_low
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
ALLOWED = "allowed: minute hour day-of-month month day-of-week, or one of " + ", ".join(NICKNAMES)
MAX_LENGTH = 256
HINT_RUNS = 48  # runs that `period_hint` looks at: two days of an hourly schedule
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A run that falls into a gap moves to the gap's end; zones have skipped up to a whole day (Samoa, 2011).
LONGEST_GAP = timedelta(hours=25)


@lru_cache(maxsize=16_384)
def unusable_reason(expression: str, timezone: str) -> str:
    """Why no run times can be told for a schedule, "" if they can; an empty time zone means UTC."""
    found = f"schedule {expression[:80]!r}"
    if not expression.strip():
        return f"{found} is empty; {ALLOWED}"
    if len(expression) > MAX_LENGTH:
        return f"{found}... has {len(expression)} characters; allowed: {MAX_LENGTH}"
    if not expression.isascii():
        return f"{found} has characters that are not ASCII; {ALLOWED}"
    plain = expression.strip().lower()
    if plain == "@reboot":
        return f"{found} names no time: it runs when its host starts; {ALLOWED}"
    if plain.startswith("@") and plain not in NICKNAMES:
        return f"{found} is no nickname that cron knows; {ALLOWED}"
    fields = _fields(expression)
    if len(fields.split()) != 5:
        return f"{found} has {len(fields.split())} fields; {ALLOWED}"
    try:
        zone = _zone(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"time zone {timezone[:80]!r} is not known; allowed: IANA names such as UTC or Europe/Berlin"
    try:
        next(CronSim(fields, datetime(2000, 1, 1, tzinfo=zone)))
    except CronSimError as error:
        return f"{found} is not accepted by cron: {str(error).lower()}; {ALLOWED}"
    except StopIteration:
        return f"{found} never runs: no date fits it"
    return ""


def run_times(expression: str, timezone: str, from_ms: int, to_ms: int) -> list[int]:
    """Run times in from_ms <= t < to_ms, epoch ms, ascending, each once; [] for a schedule that is unusable.

    Where minute or hour begins with `*`, runs follow real time: an hourly entry runs in both 02:40s of an autumn night
    and none is missed in spring. Else the entry names times of day: one in spring's gap runs when the gap ends, one in
    autumn's repeated hour runs the first time only.
    """
    if to_ms <= from_ms or unusable_reason(expression, timezone):
        return []
    zone = _zone(timezone)
    fields = _fields(expression)
    real_time = any(field.startswith("*") for field in fields.split()[:2])
    start = EPOCH + timedelta(milliseconds=from_ms) - timedelta(seconds=1)
    if zone is not UTC:
        start -= LONGEST_GAP
    times: set[int] = set()
    # Matched on the wall clock alone, which shows a time once, twice or not at all: changes may be of half an hour.
    for shown in CronSim(fields, start.astimezone(zone).replace(tzinfo=None)):
        runs = [(moment - EPOCH) // timedelta(milliseconds=1) for moment in _moments(shown, zone, real_time)]
        if runs and runs[0] >= to_ms:
            break
        times.update(run for run in runs if from_ms <= run < to_ms)
    return sorted(times)


def _moments(shown: datetime, zone: tzinfo, real_time: bool) -> list[datetime]:
    """When cron runs what is due as the wall clock shows `shown` (naive), ascending."""
    earlier, later = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier <= later:
        return sorted({earlier, later}) if real_time else [earlier]
    if real_time:
        return []
    # In a gap: the clock was put forward after `later` and no later than `earlier`.
    before, after = later, earlier
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset():
            after = middle
        else:
            before = middle
    return [after.replace(microsecond=0)]


@lru_cache(maxsize=4_096)
def period_hint(expression: str, timezone: str) -> int | None:
    """The usual distance between runs in seconds (the median one), None for a schedule that is unusable."""
    if unusable_reason(expression, timezone):
        return None
    runs: list[datetime] = []
    for run in CronSim(_fields(expression), datetime(2000, 1, 1, tzinfo=_zone(timezone))):
        runs.append(run.astimezone(UTC))
        if len(runs) > HINT_RUNS or run.year > 2040:
            break
    gaps = [int((later - earlier).total_seconds()) for earlier, later in pairwise(runs)]
    return median_low(gaps) if gaps else None


def _fields(expression: str) -> str:
    return NICKNAMES.get(expression.strip().lower(), expression)


def _zone(timezone: str) -> tzinfo:
    return UTC if timezone.strip() in ("", "UTC") else ZoneInfo(timezone.strip())
