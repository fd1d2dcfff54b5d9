"""AWS VPC Flow Logs: lines of words, times in seconds; a line that names the fields says their order.

Without such a line the fields are those of the option, or of the default format (version 2). A message may be lines as
S3 has them, {"message": line} as Firehose delivers them, or CloudWatch Logs' subscription envelope, gzipped or not. An
interval without traffic (NODATA) is no flow and no error; one in which AWS lost records (SKIPDATA) is refused, and so
is a line without a flow in a format without log-status, which may be either.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import DecodeError, UsageError
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.flows import Names, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown, text, unpacked
from afoot.telemetry.rows import Decoded, FlowRecord, Labels, Message
from afoot.telemetry.values import Malformed, Refused, epoch_ns

KINDS = ("flows",)
OPTIONS = {"fields": "the fields in their order, as in the flow log's format: those of version 2 unless told otherwise"}
_FORMAT = "vpc_flow_log"
_DEFAULT = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
_NEEDED = ("srcaddr", "dstaddr", "packets", "bytes", "start", "end")
_OF_A_FLOW = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes")
_NAMES = Names("srcaddr", "srcport", "dstaddr", "dstport", "protocol", "bytes", "packets", "", "", "", "interface-id")
_USED = frozenset((*_NAMES[:-1], "start", "end", "version", "log-status", "tcp-flags"))
_ABSENT = "-"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of flow logs."""
    configured = [word.strip("${}") for word in options.get("fields", _DEFAULT).split()]
    missing = [field for field in _NEEDED if field not in configured]
    if missing:
        raise UsageError(f"format {_FORMAT!r}: fields lack {', '.join(missing)}; a flow needs {', '.join(_NEEDED)}")
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        fields = configured
        for index, line in enumerate(_lines(message), start=1):
            words = line.split()
            if "srcaddr" in words and "dstaddr" in words:  # a line of names: no address is spelled so
                fields = words
                continue
            try:
                row = _flow(words, fields, cache)
                if row is not None:
                    collected.rows.append(row)
                collected.check()
            except UNREADABLE as error:
                collected.refuse(f"line {index}", error)
        return collected.decoded()

    return decode


def _lines(message: Message) -> list[str]:
    value = unpacked(message, _FORMAT)
    if not value.startswith(b"{"):
        found = text(value, _FORMAT).splitlines()
    else:
        found = [line for document in documents(message, _FORMAT) for line in _wrapped(document)]
    return [line for line in found if line and not line.isspace()]


def _wrapped(document: Any) -> list[str]:
    """The lines in CloudWatch's envelope, or in Firehose's object of one record."""
    try:
        if "logEvents" not in document and "message" in document:
            return document["message"].splitlines()  # type: ignore[no-any-return]
        if document.get("messageType") == "CONTROL_MESSAGE":  # CloudWatch's test that the destination is reached
            return []
        return [line for event in document["logEvents"] for line in event["message"].splitlines()]
    except (LookupError, TypeError, AttributeError):
        raise DecodeError(f"{_FORMAT}: logEvents is no array of objects with a message") from None


def _flow(words: list[str], fields: list[str], cache: LabelCache) -> FlowRecord | None:
    if len(words) != len(fields):
        raise Malformed(f"{len(words)} words; {len(fields)} fields are expected: {shown(' '.join(fields))}")
    record: dict[str, Any] = {field: word for field, word in zip(fields, words, strict=True) if word != _ABSENT}
    status = record.get("log-status", "OK")
    if status == "NODATA":
        return None
    if status != "OK":
        raise Refused(f"log-status is {shown(status)}: AWS lost records of this interval")
    if "log-status" not in fields and not any(field in record for field in _OF_A_FLOW):
        raise Refused("no traffic, or AWS lost records: log-status, which tells, is not among the fields")
    return flow(
        record,
        _NAMES,
        epoch_ns(record["start"], 1, "start"),
        epoch_ns(record["end"], 1, "end"),
        _labels(record, cache),
    )


def _labels(record: dict[str, str], cache: LabelCache) -> Labels:
    key = tuple((field, word) for field, word in record.items() if field not in _USED)
    return cache.known.get(key) or cache.add(key, dict(key))
