"""rsyslog's records, whose keys are a template's."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.telemetry import limits
from afoot.telemetry.rows import LogRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample_lines

TIME = 1_554_141_513_598_656_000


def test_what_a_real_rsyslog_sent() -> None:
    found = [rows("rsyslog_json", line) for line in sample_lines("recorded/syslog.jsonl")]
    place = labels(host="vm", syslog__tag="storaged")
    assert found == [
        [LogRecord(1_795_230_257_582_698_000, "notice", "pool ssd rebuild 1", place)],
        [LogRecord(1_795_230_262_612_208_000, "notice", "pool ssd rebuild 2", place)],
        [LogRecord(1_795_230_267_647_508_000, "notice", "pool ssd rebuild 3", place)],
    ]


def test_rsyslog_with_another_template() -> None:
    record = {
        "timereported": "2019-04-01T19:58:33.598656+02:00",
        "hostname": "vm",
        "syslogseverity": "4",
        "programname": "kernel",
        "message": " disk slow\n",
    }
    keys = {
        "time_key": "timereported",
        "host_key": "hostname",
        "severity_key": "syslogseverity",
        "tag_key": "programname",
        "message_key": "message",
    }
    assert rows("rsyslog_json", as_json(record), **keys) == [
        LogRecord(TIME, "warning", "disk slow", labels(host="vm", syslog__tag="kernel"))
    ]


def test_rsyslog_s_own_json_of_a_message() -> None:
    # What the template "%jsonmesg%" writes; hosts, tags and times are under the properties' own names.
    record = {
        "msg": " connect from 10.0.0.7",
        "rawmsg": "<22>Apr  1 17:58:33 vm postfix/smtpd[91]: connect from 10.0.0.7",
        "timereported": "2019-04-01T17:58:33.598656+00:00",
        "hostname": "vm",
        "syslogtag": "postfix/smtpd[91]:",
        "inputname": "imuxsock",
        "fromhost": "vm",
        "fromhost-ip": "127.0.0.1",
        "pri": "22",
        "syslogfacility": "2",
        "syslogseverity": "6",
        "timegenerated": "2019-04-01T17:58:33.599100+00:00",
        "programname": "postfix",
        "protocol-version": "0",
        "structured-data": "-",
        "app-name": "postfix",
        "procid": "91",
        "msgid": "-",
        "uuid": None,
        "$!": None,
    }
    keys = {"time_key": "timereported", "host_key": "hostname", "severity_key": "syslogseverity"}
    assert rows("rsyslog_json", as_json(record), **keys, tag_key="programname") == [
        LogRecord(TIME, "info", "connect from 10.0.0.7", labels(host="vm", syslog__tag="postfix"))
    ]


@pytest.mark.parametrize("sent", ["1554141513", 1554141513])
def test_rsyslog_with_unix_times(sent: Any) -> None:
    (found,) = rows("rsyslog_json", as_json({"ts": sent, "msg": "x"}))
    assert found.time_ns == 1_554_141_513_000_000_000


GOOD: dict[str, Any] = {"ts": "2019-04-01T17:58:33Z", "msg": "x"}


@pytest.mark.parametrize(
    ("sent", "found"),
    [("1970-01-01T00:00:00Z", "missing (0)"), ("soon", "'soon'"), (None, "nothing"), ([], "an array")],
)
def test_a_record_without_a_usable_time_costs_no_other(sent: Any, found: str) -> None:
    decoded = decode("rsyslog_json", as_json([GOOD, {**GOOD, "ts": sent}]))
    assert len(decoded.rows) == 1
    assert len(decoded.refused) == 1
    assert found in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "ts is missing" in dead("rsyslog_json", b'{"unknown": 1}')
    assert "found 5; an object is expected" in dead("rsyslog_json", b"5")
    assert "not JSON" in dead("rsyslog_json", b"<34>Oct 11 22:14:15 mymachine su")


def test_a_body_over_the_limit_is_refused() -> None:
    decoded = decode("rsyslog_json", as_json({**GOOD, "msg": "x" * (limits.BODY_CHARS + 1)}))
    assert decoded.rows == []
    assert "at most 1048576 are allowed" in decoded.refused[0]
