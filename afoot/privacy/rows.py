"""Redaction of what decoders give: rows, and the reasons of refusals. Nothing behind it sees what was there before."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Any

from afoot.errors import DecodeError
from afoot.privacy.policy import Policy
from afoot.privacy.text import TextRedactor
from afoot.telemetry import limits
from afoot.telemetry.formats import Decoder
from afoot.telemetry.rows import (
    Decoded,
    FlowRecord,
    InventoryChange,
    Labels,
    LogRecord,
    Message,
    MetricPoint,
    Points,
)

# A label that keeps series apart which only a dropped label, or the rest of a truncated address, told apart.
SERIES = "afoot.redacted"
_MEMO_CHARS = 64 * 1024 * 1024  # of the label sets and series that are remembered; then the memory starts anew
_ENTRY_CHARS = 200  # what one costs beside its text
_MEMO_HEADS = 400_000  # points of the shapes that are remembered
_MEMO_TEXTS = 65_536
_QUOTED = re.compile(r"(?<!\w)b?(?:'(?:[^'\\]|\\.)*+(?:'|\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\Z))", re.DOTALL)
_WITHHELD = "***"

_new_point = tuple.__new__  # the constructor of a NamedTuple without its Python frame: this runs once a point


class Redactor:
    """Redacts decoded messages by a policy.

    What it remembers (of label sets and shapes, by identity) is a cache: a new redactor gives the same.
    """

    def __init__(self, policy: Policy) -> None:
        redactor = TextRedactor(policy)
        self._truncates = policy.addresses == "truncate"
        self._pseudonym = redactor.pseudonym
        self._text = redactor.text
        self._word = lru_cache(_MEMO_TEXTS)(redactor.text)  # of short texts: names, addresses
        self._dropped = _names(policy.drop_labels)
        self._hashed = _names(policy.hash_labels)
        # Keys hold id(...) of an object, which stays that object's as long as the entry holds on to it.
        self._sets: dict[int, tuple[Labels, Labels]] = {}
        self._series: dict[tuple[str, int], tuple[str, Labels] | None] = {}
        self._chars = 0
        self._shapes: dict[int, tuple[tuple[MetricPoint, ...], tuple[MetricPoint, ...]]] = {}
        self._heads = 0

    def decoder(self, decode: Decoder) -> Decoder:
        """A decoder whose rows, reasons and failures hold nothing that the policy names."""

        def redacted(message: Message) -> Decoded:
            try:
                return self.decoded(decode(message))
            except DecodeError as error:
                raise DecodeError(self.reason(str(error))) from None
            except Exception as error:
                place = f"{message.topic}, partition {message.partition}, offset {message.offset}"
                raise RuntimeError(
                    f"{place}: a {type(error).__name__} of its decoder; [privacy] withholds its text, "
                    "which may quote the message"
                ) from None

        return redacted

    def decoded(self, decoded: Decoded) -> Decoded:
        """The rows and reasons, redacted; points of a known shape at no cost a point."""
        self._forget()
        rows = decoded.rows
        refused = [self.reason(reason) for reason in decoded.refused]
        if type(rows) is Points and rows.lasting:
            return Decoded(Points(self._shape(rows.heads), rows.time_ns, rows.value), refused)
        if type(rows) is Points:
            return Decoded(self._points(list(rows)), refused)
        if rows and type(rows[0]) is MetricPoint and all([type(row) is MetricPoint for row in rows]):
            return Decoded(self._points(rows), refused)
        return Decoded([self._row(row) for row in rows], refused)

    def reason(self, reason: str) -> str:
        """A reason without what it quotes of a message, which may be a part of what is to be redacted."""
        return self._text(_QUOTED.sub(_WITHHELD, reason))

    def _row(self, row: Any) -> Any:
        if type(row) is MetricPoint:
            return self._points([row])[0]
        if type(row) is LogRecord:
            severity, body = self._word(row.severity), self._text(row.body)
            return row._replace(severity=severity, body=body, labels=self._labels(row.labels))
        if type(row) is FlowRecord:
            return self._flow(row)
        if type(row) is InventoryChange:
            return row._replace(
                key=tuple(self._word(part) for part in row.key),
                row=None if row.row is None else {name: self._value(value) for name, value in row.row.items()},
                source=self._word(row.source),
            )
        raise TypeError(f"row of type {type(row).__name__}: a decoder gives the row types of telemetry.rows only")

    # ---- metric points ---------------------------------------------------------------------------------------------

    def _shape(self, heads: tuple[MetricPoint, ...]) -> tuple[MetricPoint, ...]:
        found = self._shapes.get(id(heads))
        if found is None:
            self._heads += len(heads)
            if self._heads > _MEMO_HEADS:
                self._shapes.clear()
                self._heads = len(heads)
            points = self._points(heads)
            found = self._shapes[id(heads)] = (heads, heads if points is heads else tuple(points))
        return found[1]

    def _points(self, rows: Sequence[MetricPoint]) -> Sequence[MetricPoint]:
        """The points; the very same sequence where the policy names nothing in them."""
        series = self._series
        try:
            found = [series[row[0], id(row[3])] for row in rows]
        except KeyError:
            found = [series[key] if (key := (row[0], id(row[3]))) in series else self._meet(row) for row in rows]
        if not any(found):
            return rows
        return [
            row if new is None else _new_point(MetricPoint, (new[0], row[1], row[2], new[1], row[4], row[5], row[6]))
            for row, new in zip(rows, found, strict=True)
        ]

    def _meet(self, point: MetricPoint) -> tuple[str, Labels] | None:
        name, labels = self._word(point.name), self._labels(point.labels)
        found = None if name == point.name and labels is point.labels else (name, labels)
        self._series[point.name, id(point.labels)] = found
        self._chars += _ENTRY_CHARS
        return found

    # ---- labels ----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        if self._chars > _MEMO_CHARS:
            self._sets.clear()
            self._series.clear()
            self._chars = 0

    def _labels(self, labels: Labels) -> Labels:
        found = self._sets.get(id(labels))
        if found is None:
            self._chars += len(labels.text) + _ENTRY_CHARS
            found = self._sets[id(labels)] = (labels, self._redacted(labels))
        return found[1]

    def _redacted(self, labels: Labels) -> Labels:
        kept: dict[str, str] = {}
        lost: list[tuple[str, str]] = []
        for name, value in labels.items:
            if self._dropped(name):
                lost.append((name, value))
                continue
            shown = self._pseudonym("hash", value) if self._hashed(name) else self._text(value)
            kept[self._word(name)] = shown
            if self._truncates and shown != value:
                lost.append((name, value))
        if lost:
            kept[SERIES] = self._pseudonym("series", json.dumps(lost))
        elif kept == labels.mapping:
            return labels
        return Labels.of(kept)

    # ---- the others ------------------------------------------------------------------------------------------------

    def _flow(self, row: FlowRecord) -> FlowRecord:
        source, destination = self._word(row.source_address), self._word(row.destination_address)
        sampler = self._word(row.sampler)
        if self._truncates:
            # A flow is counted once by what it says: those of two hosts must not say the same.
            ends = self._pseudonym("flow", f"{row.source_address}\x00{row.destination_address}\x00{row.sampler}")
            sampler = f"{sampler} {ends}"
        return row._replace(
            source_address=source, destination_address=destination, sampler=sampler, labels=self._labels(row.labels)
        )

    def _value(self, value: Any, depth: int = 0) -> Any:
        """A column of the inventory. In objects, attributes.match among them, names are those of labels."""
        if type(value) is str:
            return self._text(value)
        if type(value) is int:
            shown = self._text(str(value))
            return value if shown == str(value) else shown
        if isinstance(value, dict | list) and depth > limits.DEPTH:
            return None
        if isinstance(value, list):
            # A label set of nothing but dropped labels would mean every entity, or none.
            return [new for item in value if (new := self._value(item, depth + 1)) != {} or item == {}]
        if isinstance(value, dict):
            return {
                self._word(name): self._pseudonym("hash", str(item))
                if self._hashed(name) and isinstance(item, str | int)
                else self._value(item, depth + 1)
                for name, item in value.items()
                if not self._dropped(name)
            }
        return value


def _names(patterns: Sequence[str]) -> Any:
    """Whether a label's name is one of these; * stands for any characters."""
    if not patterns:
        return lambda name: False
    return lru_cache(_MEMO_TEXTS)(re.compile("|".join(map(translate, patterns))).fullmatch)
