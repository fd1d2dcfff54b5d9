"""Rows with their history: what a table held at any time, and how often that changed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

Row = dict[str, Any]
Key = tuple[str, ...]

TableState = tuple[int | None, list[tuple[Key, list[int], list[Row | None], list[Row | None]]]]

ALWAYS = -(1 << 62)  # version time of rows that a first snapshot showed: they hold for any earlier window


class History:
    """The versions of one row: `rows[i]` (None: deleted) holds from `times[i]` until `times[i + 1]`.

    `patches[i]` is what the change said: a column that it left out (an unchanged TOAST value) keeps its older value.
    """

    __slots__ = ("patches", "rows", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.patches: list[Row | None] = []
        self.rows: list[Row | None] = []

    def at(self, ms: int) -> Row | None:
        """The row as of `ms`, None where there is none."""
        index = bisect_right(self.times, ms) - 1
        return self.rows[index] if index >= 0 else None

    def last(self, ms: int) -> Row | None:
        """The row that stood last at or before `ms`, though it may be deleted since."""
        index = bisect_right(self.times, ms) - 1
        return next((row for row in reversed(self.rows[: index + 1]) if row is not None), None)

    def known_at(self, ms: int) -> bool:
        """Whether anything, a deletion included, was said of the row at or before `ms`."""
        return bool(self.times) and self.times[0] <= ms

    def since(self, ms: int, columns: Sequence[str] = ()) -> int:
        """When the row as of `ms` began to be there without a break and with these columns. Epoch ms or ALWAYS."""
        index = bisect_right(self.times, ms) - 1
        held = self.rows[index]
        assert held is not None
        while index > 0:
            before = self.rows[index - 1]
            if before is None or any(before.get(column) != held.get(column) for column in columns):
                break
            index -= 1
        return self.times[index]

    def put(self, ms: int, patch: Row | None, columns: Sequence[str]) -> bool:
        """Add a version; within one millisecond the later call wins. False if nothing changes by it."""
        index = bisect_right(self.times, ms) - 1
        if index >= 0 and self.times[index] == ms:
            replaced = self.patches[index]
            if patch is not None:
                # What stood at this very millisecond came earlier in commit order: absent columns are its.
                patch = {**(replaced if replaced is not None else dict.fromkeys(columns)), **patch}
            row = self._merged(index, patch)
            if row == self.rows[index]:
                return False
            self.patches[index], self.rows[index] = patch, row
        else:
            row = self._merged(index + 1, patch)
            if index >= 0 and row == self.rows[index]:
                return False
            index += 1
            self.times.insert(index, ms)
            self.patches.insert(index, patch)
            self.rows.insert(index, row)
        for later in range(index + 1, len(self.times)):  # only where a change arrives after a newer one
            row = self._merged(later, self.patches[later])
            if row == self.rows[later]:
                break
            self.rows[later] = row
        return True

    def forget(self, horizon_ms: int) -> bool:
        """Drop the versions that ended by `horizon_ms`; True if nothing is left that could matter."""
        keep = max(bisect_right(self.times, horizon_ms) - 1, 0)
        if keep:
            self.patches[keep] = self.rows[keep]  # what it was merged with goes away
            del self.times[:keep], self.patches[:keep], self.rows[:keep]
        return len(self.times) == 1 and self.rows[0] is None and self.times[0] <= horizon_ms

    def _merged(self, index: int, patch: Row | None) -> Row | None:
        base = self.rows[index - 1] if index > 0 else None
        return patch if patch is None or not base else {**base, **patch}


class Table:
    """The rows of one inventory table by primary key, each with its history."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.rows: dict[Key, History] = {}
        self.streaming_ms: int | None = None  # time of the first change that is no snapshot's

    def put(self, key: Key, ms: int, patch: Row | None, snapshot: bool = False) -> int | None:
        """Add a version. Returns the time from which answers change by it, None if none does.

        A row of the first snapshot (read before anything was streamed) that has no earlier version holds ALWAYS; a row
        of a later snapshot is a change like any other, and none if it repeats what is known.
        """
        history = self.rows.get(key)
        if history is None:
            history = self.rows[key] = History()
        if snapshot:
            if (self.streaming_ms is None or ms <= self.streaming_ms) and not history.known_at(ms):
                ms = ALWAYS
        elif self.streaming_ms is None or ms < self.streaming_ms:
            self.streaming_ms = ms
        return ms if history.put(ms, patch, self.columns) else None

    def truncate(self, ms: int) -> bool:
        """Delete every row that stands at `ms`. True if there was one."""
        if self.streaming_ms is None or ms < self.streaming_ms:
            self.streaming_ms = ms
        changed = False
        for history in self.rows.values():
            if history.at(ms) is not None:
                changed = history.put(ms, None, self.columns) or changed
        return changed

    def at(self, key: Key, ms: int) -> Row | None:
        """The row of `key` as of `ms`, None where there is none."""
        history = self.rows.get(key)
        return history.at(ms) if history is not None else None

    def as_of(self, ms: int) -> Iterator[tuple[Key, Row, History]]:
        """All rows that stand at `ms`, with their histories."""
        for key, history in self.rows.items():
            row = history.at(ms)
            if row is not None:
                yield key, row, history

    def forget(self, horizon_ms: int, keep: AbstractSet[Key] = frozenset()) -> None:
        """Drop what ended by `horizon_ms`; of the keys in `keep` the deletion stays known."""
        gone = [key for key, history in self.rows.items() if history.forget(horizon_ms) and key not in keep]
        for key in gone:
            del self.rows[key]

    def state(self) -> TableState:
        """The table as plain data."""
        return self.streaming_ms, [(key, list(h.times), list(h.patches), list(h.rows)) for key, h in self.rows.items()]

    def restore(self, state: TableState) -> None:
        """Take back what `state` gave."""
        self.streaming_ms, rows = state
        for key, times, patches, merged in rows:
            history = self.rows[key] = History()
            history.times, history.patches, history.rows = list(times), list(patches), list(merged)


class Clock:
    """Tells times apart at which answers may differ, by a number: equal numbers, equal answers.

    A change later than anything asked so far only starts a new number. One that amends what may have been asked
    already renumbers everything.
    """

    AMENDED = 1 << 40

    def __init__(self) -> None:
        self.times: list[int] = []
        self.forgotten = 0
        self.amendments = 0
        self.asked_ms = ALWAYS - 1

    def note(self, ms: int) -> None:
        """Something changes from `ms` on."""
        if ms <= self.asked_ms:
            self.amendments += 1
        if ms > ALWAYS:
            if not self.times or ms > self.times[-1]:
                self.times.append(ms)
            elif self.times[bisect_left(self.times, ms)] != ms:
                insort(self.times, ms)

    def epoch(self, ms: int) -> int:
        """The number of the span of time that `ms` is in."""
        if ms > self.asked_ms:
            self.asked_ms = ms
        return self.amendments * self.AMENDED + self.forgotten + bisect_right(self.times, ms)

    def forget(self, horizon_ms: int) -> None:
        """Drop times at or before `horizon_ms`, without a change of number for later ones."""
        gone = bisect_right(self.times, horizon_ms)
        self.forgotten += gone
        del self.times[:gone]

    def state(self) -> tuple[list[int], int, int, int]:
        """The clock as plain data."""
        return list(self.times), self.forgotten, self.amendments, self.asked_ms

    def restore(self, state: tuple[list[int], int, int, int]) -> None:
        """Take back what `state` gave."""
        times, self.forgotten, self.amendments, self.asked_ms = state
        self.times = list(times)
