"""rsyslog's omkafka with a JSON template: one record a message, under whatever keys the template gives.

Unless told otherwise the keys are those of the template under connectors/: ts, host, severity, tag and msg; ts is
RFC 3339 (dateFormat="rfc3339"), or whole seconds since 1970 (dateFormat="unixtimestamp").
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry import logs
from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import body, epoch_ns, label, rfc3339_ns

KINDS = ("logs",)
OPTIONS = {
    "time_key": 'the template\'s key of timereported: "ts" unless told otherwise',
    "host_key": 'of hostname: "host"',
    "severity_key": 'of syslogseverity-text or syslogseverity: "severity"',
    "tag_key": 'of programname or syslogtag: "tag"',
    "message_key": 'of msg: "msg"',
}
_FORMAT = "rsyslog_json"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that rsyslog fills."""
    cache = LabelCache()
    time_key, body_key = options.get("time_key", "ts"), options.get("message_key", "msg")
    severity_key = options.get("severity_key", "severity")
    paths = {"host": (options.get("host_key", "host"),), "syslog.tag": (options.get("tag_key", "tag"),)}

    def read(record: dict[str, Any]) -> LogRecord:
        return LogRecord(
            _time(record[time_key], time_key),
            logs.syslog_severity(record.get(severity_key)),
            body(label(record[body_key]).strip("\n").removeprefix(" ")),  # msg keeps the blank after the tag
            logs.labels(record, paths, cache),
        )

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "record", read)

    return decode


def _time(sent: Any, what: str) -> int:
    if type(sent) is int or (type(sent) is str and sent.isascii() and sent.isdecimal()):
        return epoch_ns(sent, 1, what)
    return rfc3339_ns(sent, what)
