"""The settings of the signal stage, with the defaults that docs/signals.md states."""

from __future__ import annotations

from dataclasses import dataclass

from afoot.errors import UsageError

DEFINED_MS = 600_000  # samplers rely on it that a shard knows a series for this long after it was defined


@dataclass(frozen=True)
class Settings:
    """How windows are evaluated. Durations are in the unit that the name ends in; a window is 60 s unless said."""

    window_ms: int = 60_000
    max_skew_ms: int = 60_000  # an event time further ahead of its record's own time is refused
    effect_factor: float = 3.0  # a victim suffers above this many times what is expected ...
    effect_margin_s: float = 10.0  # ... and, for lag, this much above it
    scrape_gap: float = 2.0  # samples bracket a window when no further apart than this many usual scrapes ...
    scrape_slack: float = 0.05  # ... give or take this part of a scrape, as agents keep time no better
    history_windows: int = 120  # what an entity's signal is compared with
    min_history: int = 10  # fewer windows than this, and nothing is expected
    season_days: int = 3  # hours of the day are remembered for this many days ...
    min_season_days: int = 2  # ... and say what is expected from this many on
    relative_floor: float = 0.05  # a spread is at least this part of the level
    family_hold_ms: int = 600_000  # a source that fell silent keeps its signal for this long
    series_retention_ms: int = 7_200_000  # a series unseen for this long is forgotten
    max_series: int = 200_000  # per shard: beyond it the series unseen for longest are forgotten first
    all_signals: bool = False  # entities outside every chain and volume too

    def __post_init__(self) -> None:
        for name, least in (
            ("window_ms", 1_000),
            ("history_windows", 2),
            ("min_history", 2),
            ("season_days", 1),
            ("min_season_days", 1),
            ("max_series", 1),
            ("family_hold_ms", DEFINED_MS),
            ("series_retention_ms", DEFINED_MS),
        ):
            found = getattr(self, name)
            if found < least:
                raise UsageError(f"signal setting {name}: found {found}; at least {least} is allowed")
        if self.min_history > self.history_windows:
            raise UsageError(
                f"signal setting min_history: found {self.min_history}, more than history_windows "
                f"({self.history_windows}): nothing would ever be expected"
            )
