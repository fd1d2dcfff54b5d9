"""InfluxDB line protocol, as Telegraf's Kafka output writes it (data_format = "influx"): lines of several fields.

A field is a metric named measurement_field; what Telegraf scraped from Prometheus endpoints keeps the name that it had
there. True and false are 1 and 0, and texts are not metrics. A line without a time has the message's, as the protocol
says of the server that receives it. Kind flows reads the lines of Telegraf's netflow input.
"""

from __future__ import annotations

import re
from typing import Any

from afoot.errors import DecodeError, UsageError
from afoot.telemetry import limits, telegraf
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import check_rows, shown, text, unpacked
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, Refused, epoch_ns, integer, name, number

KINDS = ("metrics", "flows")
OPTIONS = {"precision": "unit of the times: ns (unless told otherwise), us, ms or s"}
_FORMAT = "influx"
_PER_SECOND = {"ns": 1_000_000_000, "us": 1_000_000, "ms": 1_000, "s": 1}
# A line is measurement and tags, fields, and a time. Only a field's value may be a text in quotes: elsewhere, as in the
# description of a port that SNMP gives as a tag, a quote is a character like others. What may come next is told by one
# character each time, so that nothing is tried twice; possessive groups would say so, but early 3.11 gets them wrong.
_SERIES = r"(?=[^ ])[^ \\]*(?:\\.[^ \\]*)*"
_IN_TEXT = r'[^"\\]*(?:\\.[^"\\]*)*'
_FIELDS = rf'[^ =\\]*(?:(?:\\.|=(?!")|="{_IN_TEXT}")[^ =\\]*)*'
_LINE = re.compile(rf"({_SERIES}) +((?=[^ ]){_FIELDS})(?: +(-?\d+))? *", re.DOTALL)
_FIELD = re.compile(rf'((?=[^,=])[^,=\\]*(?:\\.[^,=\\]*)*)=("{_IN_TEXT}"|[^,"]+)(?:,|$)', re.DOTALL)
# What ends within a text: a line, and one that begins within a text.
_OPEN = rf'{_FIELDS}="{_IN_TEXT}\\?'
_OPENS = re.compile(rf" *(?!#){_SERIES} +{_OPEN}", re.DOTALL)
_STAYS_OPEN = re.compile(rf'{_IN_TEXT}(?:\\?|"{_OPEN})', re.DOTALL)
_COMMA = re.compile(r"((?:[^,\\]|\\.|\\$)*)(?:,|$)", re.DOTALL)
_EQUALS = re.compile(r"((?:[^=\\]|\\.)+)=((?:[^\\]|\\.|\\$)*)", re.DOTALL)
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_IN_TEXT = re.compile(r'\\(["\\])')
_TRUE = ("t", "T", "true", "True", "TRUE")
_FALSE = ("f", "F", "false", "False", "FALSE")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one kind."""
    precision = options.get("precision", "ns")
    if precision not in _PER_SECOND:
        raise UsageError(f"format {_FORMAT!r}: precision is {precision!r}; allowed are {', '.join(_PER_SECOND)}")
    return _Reader(kind == "flows", _PER_SECOND[precision]).decode


class _Reader:
    def __init__(self, flows: bool, per_second: int) -> None:
        self._flows = flows
        self._per_second = per_second
        self._cache = LabelCache()

    def decode(self, message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        lines = _lines(text(unpacked(message, _FORMAT), _FORMAT))
        for index, line in enumerate(lines, start=1):
            try:
                series, fields, sent_time = _parts(line)
                if sent_time:
                    time_ns = epoch_ns(integer(sent_time, "time"), self._per_second)
                else:
                    time_ns = epoch_ns(message.timestamp_ms, 1_000, "the message's time")
                if self._flows:
                    if _measurement(series) == telegraf.FLOW_OPTIONS:
                        continue
                    values = {key: _typed(value) for key, value in fields}
                    flow = telegraf.flow(self._labels(series).mapping, values, time_ns)
                    if flow is not None:
                        collected.rows.append(flow)
                else:
                    self._points(series, fields, time_ns, index, collected)
                collected.check()
            except UNREADABLE as error:
                collected.refuse(f"line {index}", error)
        return collected.decoded()

    def _points(
        self, series: str, fields: list[tuple[str, str]], time_ns: int, index: int, collected: Collected
    ) -> None:
        labels = self._labels(series)
        collected.check(len(fields))
        measurement = name(_measurement(series), "the measurement")
        for key, value in fields:
            if value[0] == '"':
                continue
            try:
                metric_name, kind = telegraf.series(measurement, key)
                point = MetricPoint(metric_name, "", kind, labels, time_ns, number(_typed(value), shown(key)))
                collected.rows.append(point)
            except UNREADABLE as error:
                collected.refuse(f"line {index}", error)

    def _labels(self, series: str) -> Labels:
        return self._cache.known.get(series) or self._cache.add(series, _tags(series))


def _lines(source: str) -> list[str]:
    """Lines that are neither empty nor comments; a text in quotes may hold line ends."""
    found: list[str] = []
    parts: list[str] = []  # of a line whose text in quotes is open
    size = 0
    for line in source.split("\n"):
        if parts or '"' in line:
            is_open = (_STAYS_OPEN if parts else _OPENS).fullmatch(line)
            parts.append(line)
            size += len(line) + 1
            if is_open:
                if size > limits.LINE_CHARS:
                    raise DecodeError(f"{_FORMAT}: a text in quotes has no end after {size} characters")
                continue
            line = "\n".join(parts)
            parts, size = [], 0
        line = line.strip("\r ")
        if line and line[0] != "#":
            found.append(line)
            check_rows(len(found), _FORMAT)
    if parts:
        found.append("\n".join(parts))
    return found


def _parts(line: str) -> tuple[str, list[tuple[str, str]], str]:
    """Measurement and tags, fields, time; the last is empty where there is none."""
    if len(line) > limits.LINE_CHARS:
        raise Refused(f"it has {len(line)} characters; at most {limits.LINE_CHARS} a line are read")
    if "\\" not in line and '"' not in line:
        parts = line.split(" ")
        if "" in parts:  # several blanks
            parts = [part for part in parts if part]
        if not 2 <= len(parts) <= 3:
            raise Malformed(f"it has {len(parts)} parts; measurement and tags, fields, and a time are expected")
        pairs = [tuple(field.split("=")) for field in parts[1].split(",")]
        for pair in pairs:
            if len(pair) != 2 or not pair[0] or not pair[1]:
                raise Malformed(f"field {shown('='.join(pair))}; key=value is expected")
        return parts[0], pairs, parts[2] if len(parts) == 3 else ""  # type: ignore[return-value]
    match = _LINE.fullmatch(line)
    if match is None:
        raise Malformed(f"found {shown(line)}; measurement and tags, fields, and a time are expected")
    series, fields, sent_time = match.groups()
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(fields):
        field = _FIELD.match(fields, position)
        if field is None:
            raise Malformed(f"field {shown(fields[position:])}; key=value is expected")
        found.append((_ESCAPED.sub(r"\1", field[1]), field[2]))
        position = field.end()
    return series, found, sent_time or ""


def _typed(value: str) -> Any:
    """A field's value: a number, a truth value as 1 or 0, or a text."""
    if value[0] == '"':
        return _ESCAPED_IN_TEXT.sub(r"\1", value[1:-1])
    if value[-1] in "iu":
        return integer(value[:-1], "a field")
    if value in _TRUE:
        return 1
    if value in _FALSE:
        return 0
    return number(value, "a field")


def _measurement(series: str) -> str:
    if "\\" not in series:
        return series.partition(",")[0]
    match = _COMMA.match(series)
    return _ESCAPED.sub(r"\1", match[1]) if match else series


def _tags(series: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if "\\" not in series:
        parts = series.split(",")[1:]
    else:
        parts = [match[1] for match in _COMMA.finditer(series)][1:]
        parts = parts[:-1] if parts and not parts[-1] else parts
    for part in parts:
        match = _EQUALS.fullmatch(part)
        if match is None:
            raise Malformed(f"tag {shown(part)}; key=value is expected")
        found[_ESCAPED.sub(r"\1", match[1])] = _ESCAPED.sub(r"\1", match[2])
    return found
