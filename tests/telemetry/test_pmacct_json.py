"""pmacct's JSON, by its configuration keys and by what real collectors sent."""

from __future__ import annotations

from typing import Any

import pytest

from afoot.errors import UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import FlowRecord
from tests.telemetry.support import as_json, dead, decode, labels, rows, sample_lines

PMACCT: dict[str, Any] = {
    "event_type": "purge",
    "peer_ip_src": "192.0.2.1",
    "iface_in": 3,
    "as_src": 64500,
    "as_dst": 0,
    "ip_src": "10.0.0.1",
    "ip_dst": "10.0.0.2",
    "port_src": 48104,
    "port_dst": 18083,
    "ip_proto": "tcp",
    "sampling_rate": 1000,
    "timestamp_start": "2026-11-21T03:12:42.477000Z",
    "timestamp_end": "2026-11-21T03:12:42.486000Z",
    "packets": 6,
    "bytes": 409,
    "writer_id": "default_kafka/6589",
}


def test_what_a_real_nfacctd_sent() -> None:
    lines = sample_lines("recorded/netflow.jsonl")
    found = [rows("pmacct_json", line)[0] for line in lines]
    assert len(found) == 16
    assert found[0] == FlowRecord(
        1_795_230_762_477_000_000,  # 2026-11-21T03:12:42.477Z
        1_795_230_762_486_000_000,
        "127.0.0.1",
        48104,
        "127.0.0.1",
        18083,
        "tcp",
        409,
        6,
        None,
        None,
        None,
        "127.0.0.1",
        labels(),
    )
    # Eight requests of 6 packets and 409 bytes, each with an answer of 4 packets and 392 bytes.
    assert [(row.packets, row.bytes) for row in found] == [(6, 409), (4, 392)] * 8


def test_what_a_real_pmacctd_sent_has_the_bin_s_times() -> None:
    found = [rows("pmacct_json", line)[0] for line in sample_lines("recorded/pmacct.jsonl")]
    assert found[0] == FlowRecord(
        1_795_230_240_000_000_000,  # stamp_inserted 2026-11-21 03:04:00
        1_795_230_261_000_000_000,  # stamp_updated 03:04:21
        "127.0.0.1",
        60998,
        "127.0.0.1",
        15432,
        "tcp",
        14834,
        166,
        None,
        None,
        None,
        "",
        labels(),
    )
    # The same ports in three purges of one bin: each counts what came since the purge before.
    assert [row.packets for row in found if row.source_port == 60998] == [166, 298, 292]


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        ("1795230762.477001", "1795230762.486000", "Z", (1_795_230_762_477_001_000, 1_795_230_762_486_000_000)),
        ("2026-11-21 03:12:42.477000", "0.000000", "Z", (1_795_230_762_477_000_000, 1_795_230_762_477_000_000)),
        (
            "2026-11-21 05:12:42",
            "2026-11-21 05:12:43",
            "+02:00",
            (1_795_230_762_000_000_000, 1_795_230_763_000_000_000),
        ),
    ],
)
def test_pmacct_times(start: str, end: str, zone: str, expected: tuple[int, int]) -> None:
    (found,) = rows("pmacct_json", as_json({**PMACCT, "timestamp_start": start, "timestamp_end": end}), zone=zone)
    assert (found.start_ns, found.end_ns) == expected
    assert (found.sampling_rate, found.source_as, found.destination_as) == (1000, 64500, None)
    assert (found.bytes, found.labels) == (409, labels(iface_in="3"))


def test_pmacct_records_without_a_time_or_a_zone() -> None:
    timeless = {key: value for key, value in PMACCT.items() if not key.startswith("timestamp")}
    assert "none of timestamp_start, timestamp_min, " in dead("pmacct_json", as_json(timeless))
    assert "timestamp_start is 'soon'" in dead("pmacct_json", as_json({**PMACCT, "timestamp_start": "soon"}))
    with pytest.raises(UsageError, match="zone is 'CET'; \"Z\" or an offset like"):
        formats.decoder("pmacct_json", "flows", {"zone": "CET"})


TIMELESS = {key: value for key, value in PMACCT.items() if not key.startswith("timestamp")}
START_NS = 1_795_230_762_477_000_000  # 2026-11-21T03:12:42.477Z
BIN = {"stamp_inserted": "2026-11-21 03:12:00", "stamp_updated": "2026-11-21 03:13:01"}


@pytest.mark.parametrize(
    "unset",
    [
        # compose_timestamp in src/util.c, of a tv_sec of 0: since 1.7.6, with timestamps_rfc3339, and since epoch.
        "0000-00-00 00:00:00.000000",
        "0000-00-00T00:00:00.000000+00:00",
        "0000-00-00T00:00:00.000000Z",
        "0.000000",
        # Until 1.7.5 strftime of localtime: in UTC, in Berlin, in New York, and with an offset.
        "1970-01-01 00:00:00.000000",
        "1970-01-01 01:00:00.000000",
        "1969-12-31 19:00:00.000000",
        "1970-01-01T01:00:00.000000+01:00",
    ],
)
@pytest.mark.parametrize("zone", ["Z", "+01:00", "-05:00"])
def test_times_that_were_never_set(unset: str, zone: str) -> None:
    start = "2026-11-21T03:12:42.477000Z"

    def times(**sent: str) -> tuple[int, int]:
        (found,) = rows("pmacct_json", as_json({**TIMELESS, **sent}), zone=zone)
        return found.start_ns, found.end_ns

    assert times(timestamp_start=start, timestamp_end=unset) == (START_NS, START_NS)
    assert times(timestamp_start=unset, timestamp_end=start) == (START_NS, START_NS)
    assert times(timestamp_start=unset, timestamp_end=unset, timestamp_arrival=start) == (START_NS, START_NS)
    decoded = decode("pmacct_json", as_json({**TIMELESS, "timestamp_start": unset, "timestamp_end": unset}))
    assert decoded.rows == []
    assert decoded.refused[0].startswith("record 0: none of the record's times is set")


@pytest.mark.parametrize(
    ("times", "start_ns", "end_ns"),
    [
        # sfacctd knows no other; nfacctd's timestamp_export is the second of the packet's header.
        ({"timestamp_arrival": "2026-11-21 03:12:42.477000"}, START_NS, START_NS),
        ({"timestamp_export": "2026-11-21 03:12:42.000000"}, 1_795_230_762_000_000_000, 1_795_230_762_000_000_000),
        (
            {"timestamp_export": "2026-11-21 03:12:40.000000", "timestamp_arrival": "2026-11-21 03:12:42.477000"},
            START_NS,
            START_NS,
        ),
        # nfacctd_stitching, with kafka_history: what is aggregated has times of its own.
        (
            {"timestamp_min": "2026-11-21 03:12:42.477000", "timestamp_max": "2026-11-21 03:12:42.486000", **BIN},
            START_NS,
            1_795_230_762_486_000_000,
        ),
        # stamp_updated is time(NULL) of the purge, before or after the flow: no end of it.
        ({"timestamp_start": "2026-11-21 03:12:42.477000", **BIN}, START_NS, START_NS),
        (
            {"timestamp_start": "2026-11-21 03:12:42.477000", **BIN, "stamp_updated": "2026-11-21 03:12:42"},
            START_NS,
            START_NS,
        ),
        ({"timestamp_arrival": "2026-11-21 03:12:42.477000", **BIN}, START_NS, START_NS),
        (
            {"timestamp_start": "0000-00-00 00:00:00.000000", "timestamp_end": "0000-00-00 00:00:00.000000", **BIN},
            1_795_230_720_000_000_000,
            1_795_230_781_000_000_000,
        ),
    ],
)
def test_which_times_are_a_flow_s(times: dict[str, str], start_ns: int, end_ns: int) -> None:
    (found,) = rows("pmacct_json", as_json({**TIMELESS, **times}))
    assert (found.start_ns, found.end_ns) == (start_ns, end_ns)


def test_markers_of_a_purge_are_no_flows() -> None:
    # kafka_markers: compose_purge_init_json and compose_purge_close_json in src/plugin_cmn_json.c.
    writer = {"writer_id": "default_kafka/6589"}
    assert rows("pmacct_json", as_json({"event_type": "purge_init", **writer})) == []
    closing = {"event_type": "purge_close", **writer, "purged_entries": 2, "total_entries": 2, "duration": 0}
    assert rows("pmacct_json", as_json(closing)) == []
