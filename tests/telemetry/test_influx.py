"""InfluxDB line protocol, by its specification and Telegraf's own outputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.errors import DecodeError, UsageError
from afoot.telemetry import formats, limits
from afoot.telemetry.rows import FlowRecord, MetricPoint
from tests.telemetry.support import RECORD_MS, dead, decode, labels, rows, sample, steady


def one(line: str, **options: str) -> MetricPoint:
    (point,) = rows("influx", line.encode(), "metrics", **options)
    assert isinstance(point, MetricPoint)
    return point


def test_disk() -> None:
    found = rows("influx", sample("telegraf/influx_disk.txt"), "metrics")
    root = labels(fstype="hfs", mode="ro", path="/")
    assert found[:8] == [
        MetricPoint(f"disk_{field}", "", "unknown", root, 1_453_832_006_274_071_563, value)
        for field, value in (
            ("free", 398407520256.0),
            ("inodes_free", 97267461.0),
            ("inodes_total", 121847806.0),
            ("inodes_used", 24580345.0),
            ("total", 499088621568.0),
            ("used", 100418957312.0),
            ("used_percent", 20.131039916242397),
            ("inodes_used_percent", 20.1729894),
        )
    ]
    assert len(found) == 40
    assert found[-1].labels == labels(device="dm-1", fstype="xfs", label="lvg-lv", mode="rw", path="/mnt")


def test_diskio() -> None:
    found = rows("influx", sample("telegraf/influx_diskio.txt"), "metrics")
    writes = {point.labels.mapping["name"]: point.value for point in found if point.name == "diskio_write_bytes"}
    assert writes == {"sda1": 2117632.0, "centos/var_log": 144233131520.0, "sda": 2117632.0}
    assert len(found) == 33
    assert {point.time_ns for point in found} == {1_578_326_400_000_000_000}


def test_nginx() -> None:
    found = rows("influx", sample("telegraf/influx_nginx.txt"), "metrics")
    assert {point.name: point.value for point in found} == {
        "nginx_accepts": 605.0,
        "nginx_active": 2.0,
        "nginx_handled": 605.0,
        "nginx_reading": 0.0,
        "nginx_requests": 12132.0,
        "nginx_waiting": 1.0,
        "nginx_writing": 1.0,
    }
    assert {(point.labels, point.time_ns) for point in found} == {
        (labels(port="80", server="localhost"), 1_456_690_994_701_784_331)
    }


def test_nginx_plus() -> None:
    found = rows("influx", sample("telegraf/influx_nginx_plus_api.txt"), "metrics")
    assert found[0].name == "nginx_plus_api_processes_respawned"
    assert found[1] == MetricPoint(
        "nginx_plus_api_connections_accepted",
        "",
        "unknown",
        labels(port="80", source="demo.nginx.com"),
        1_570_696_322_000_000_000,
        68998606.0,
    )


def test_texts_are_no_metrics() -> None:
    found = rows("influx", sample("telegraf/influx_kube_inventory.txt"), "metrics")
    pod = [point for point in found if point.labels.mapping.get("pod_name") == "tick1"]
    # of the pod's last_transition_time and ready="false", and of the container's six numbers and two empty texts
    assert {point.name: point.value for point in pod} == {
        "kubernetes_pod_last_transition_time": 1547578322000000000.0,
        "kubernetes_pod_container_resource_requests_cpu_units": 0.1,
        "kubernetes_pod_container_resource_limits_memory_bytes": 524288000.0,
        "kubernetes_pod_container_resource_limits_cpu_units": 0.5,
        "kubernetes_pod_container_restarts_total": 0.0,
        "kubernetes_pod_container_state_code": 0.0,
        "kubernetes_pod_container_resource_requests_memory_bytes": 524288000.0,
    }
    tags = next(point.labels.mapping for point in pod if "container" in point.name)
    assert tags["node_selector_node-role.kubernetes.io/compute"] == "true"


def test_ipfix_flows() -> None:
    found = rows("influx", sample("telegraf/influx_netflow_ipfix_example.txt"), "flows")
    assert len(found) == 29  # the last two lines are what the exporter says of itself
    assert found[0] == FlowRecord(
        start_ns=1_666_345_513_807_000_000,
        end_ns=1_666_345_513_807_000_000,
        source_address="192.168.119.100",
        source_port=51008,
        destination_address="44.233.90.52",
        destination_port=443,
        transport="tcp",
        bytes=52,
        packets=1,
        sampling_rate=None,
        source_as=None,
        destination_as=None,
        sampler="127.0.0.1",
        labels=labels(),
    )
    assert (found[1].start_ns, found[1].end_ns) == (1_666_345_513_807_000_000, 1_666_345_513_816_000_000)


def test_netflow_v5_flows_have_times_since_the_exporter_started() -> None:
    found = rows("influx", sample("telegraf/influx_netflow_netflow_v5_example.txt"), "flows")
    assert len(found) == 8
    # Sent when it had been up for 90003.000 s; the flow lasted from 86400.660 s to 86403.316 s. The line has no time,
    # so the message's counts.
    booted = RECORD_MS - 90_003_000
    assert found[0] == FlowRecord(
        start_ns=(booted + 86_400_660) * 1_000_000,
        end_ns=(booted + 86_403_316) * 1_000_000,
        source_address="140.82.121.3",
        source_port=443,
        destination_address="192.168.119.100",
        destination_port=55516,
        transport="tcp",
        bytes=87477,
        packets=78,
        sampling_rate=None,
        source_as=None,
        destination_as=None,
        sampler="127.0.0.1",
        labels=labels(),
    )


@pytest.mark.parametrize(
    ("line", "name", "tags", "value"),
    [
        (r"m\,x,t\,a\=g=v\ 1\,2 f=1i", "m,x_f", {"t,a=g": "v 1,2"}, 1.0),
        (r"m\ n f\ g\=h=2u", "m n_f g=h", {}, 2.0),
        (r"win,path=C:\temp\logs used=3", "win_used", {"path": r"C:\temp\logs"}, 3.0),
        (r'm,t=a text="say \"hi, there\" = \\",f=4', "m_f", {"t": "a"}, 4.0),
        ('m text="two\nlines",f=5', "m_f", {}, 5.0),
        (r"m,t=a\=b=c f=6", "m_f", {"t": "a=b=c"}, 6.0),
        ("m f=-7.5e3", "m_f", {}, -7500.0),
        ("m f=t", "m_f", {}, 1.0),
        ("m f=FALSE", "m_f", {}, 0.0),
        ("# a comment\n\nm f=8\r\n", "m_f", {}, 8.0),
        ("m,pod=ü f=9", "m_f", {"pod": "ü"}, 9.0),
        (r'm,port=Rack\ 19" f=9', "m_f", {"port": 'Rack 19"'}, 9.0),
        (r'm,port="uplink" text="a=\"b",f=9', "m_f", {"port": '"uplink"'}, 9.0),
        (r'"m",port=12\",t\="=" "f"=9 5', '"m"_"f"', {'t="': '"', "port": '12\\"'}, 9.0),
        ("m,path=C:\u00a0x\u3000y f=9", "m_f", {"path": "C:\u00a0x\u3000y"}, 9.0),
        ("m\tn,t=a\x1fb f\x0b=9", "m\tn_f\x0b", {"t": "a\x1fb"}, 9.0),
        ("m,t=a  f=9   5", "m_f", {"t": "a"}, 9.0),
        ("http_requests,code=200 value=10", "http_requests", {"code": "200"}, 10.0),
        ("prometheus,pod=a container_fs_writes_total=11", "container_fs_writes_total", {"pod": "a"}, 11.0),
    ],
)
def test_names_and_escapes(line: str, name: str, tags: dict[str, str], value: float) -> None:
    point = one(line)
    assert (point.name, point.labels.mapping, point.value) == (name, tags, value)


def test_a_quote_that_opens_no_text_glues_no_lines() -> None:
    sent = r"""
interface,agent=sw1,ifAlias=Rack\ 19",ifIndex=3 ifHCInOctets=5u,ifHCOutOctets=6u 1795231028961102154
procstat,cmdline=bash\ -c\ "sleep,process_name=bash pid=1i,state="a
b, c=\"d\"",cpu=2 1795231028961102154
# a comment says "
cpu"s,host=a usage=1 1795231028961102154
cpu,host=b "usage=2 1795231028961102154
"""
    assert [(point.name, point.labels.mapping, point.value) for point in rows("influx", sent.encode(), "metrics")] == [
        ("interface_ifHCInOctets", {"agent": "sw1", "ifAlias": 'Rack 19"', "ifIndex": "3"}, 5.0),
        ("interface_ifHCOutOctets", {"agent": "sw1", "ifAlias": 'Rack 19"', "ifIndex": "3"}, 6.0),
        ("procstat_pid", {"cmdline": 'bash -c "sleep', "process_name": "bash"}, 1.0),
        ("procstat_cpu", {"cmdline": 'bash -c "sleep', "process_name": "bash"}, 2.0),
        ('cpu"s_usage', {"host": "a"}, 1.0),
        ('cpu_"usage', {"host": "b"}, 2.0),
    ]


@pytest.mark.parametrize(("field", "kind"), [("value", "unknown"), ("gauge", "gauge"), ("counter", "cumulative")])
def test_kinds_of_what_was_scraped(field: str, kind: str) -> None:
    assert one(f"go_goroutines {field}=1")[:3] == ("go_goroutines", "", kind)


@pytest.mark.parametrize(
    ("precision", "sent"),
    [("ns", "1453832006000000000"), ("us", "1453832006000000"), ("ms", "1453832006000"), ("s", "1453832006")],
)
def test_precisions(precision: str, sent: str) -> None:
    assert one(f"m f=1 {sent}", precision=precision).time_ns == 1_453_832_006_000_000_000


def test_a_line_without_a_time_has_the_message_s() -> None:
    assert one("m f=1").time_ns == RECORD_MS * 1_000_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m f=nan", "'nan'; finite numbers only"),
        ("m f=1e999", "finite numbers only"),
        ("m f=1_000i", "'1_000', not an integer"),
        ("m f=", "key=value is expected"),
        ("m =1", "key=value is expected"),
        ("m f", "key=value is expected"),
        ("m", "1 parts; measurement and tags, fields, and a time are expected"),
        ("m f=1 2 3", "4 parts"),
        ("m f=1 0", "time is missing (0)"),
        ("m f=1 soon", "'soon', not an integer"),
        ("m f=1 -5", "time is -5"),
        (",t=a f=1 5 ", "the measurement is ''; text is expected"),
        ("m,t f=1", "tag 't'; key=value is expected"),
        (r'm\ f="x', "measurement and tags, fields, and a time are expected"),
        ('m f="x",g,h=1', "field 'g,h=1'; key=value is expected"),
        ('m f=1" 5', "field 'f=1\"'; key=value is expected"),
        ("m f=1\t5", "'1\\t5', not a number"),
        ('m f="x" g', "measurement and tags, fields, and a time are expected"),
    ],
)
def test_a_line_that_cannot_be_read_costs_no_other(line: str, reason: str) -> None:
    decoded = decode("influx", f"ok f=1 5\n{line}".encode(), "metrics")
    assert [point.name for point in decoded.rows] == ["ok_f"]
    assert len(decoded.refused) == 1
    assert decoded.refused[0].startswith("line 2: ")
    assert reason in decoded.refused[0]


def test_other_messages_are_dead() -> None:
    assert "line 1" in dead("influx", b'{"a": 1}', "metrics")
    assert "not UTF-8" in dead("influx", b"m\xff f=1", "metrics")
    assert "none of in_bytes" in dead("influx", b'netflow src="a",dst="b" 5', "flows")


def test_an_unknown_precision() -> None:
    with pytest.raises(UsageError, match="precision is 'h'; allowed are ns, us, ms, s"):
        formats.decoder("influx", "metrics", {"precision": "h"})


word = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r\\"), min_size=1, max_size=5)


@steady
@given(
    word,
    st.dictionaries(word, word, max_size=3),
    word,
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.tuples(word, st.text(alphabet=st.characters(codec="utf-8"))), max_size=2),
)
def test_what_an_agent_escapes_arrives(
    measurement: str, tags: dict[str, str], field: str, value: float, texts: list[tuple[str, str]]
) -> None:
    def escaped(text: str) -> str:
        return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    if measurement.startswith("#") or measurement == "prometheus" or field in ("value", "gauge", "counter"):
        return
    series = ",".join([escaped(measurement), *(f"{escaped(key)}={escaped(text)}" for key, text in tags.items())])
    fields = [*(f"{escaped(key)}={quoted(text)}" for key, text in texts), f"{escaped(field)}={value!r}"]
    line = f"{series} {','.join(fields)} 5"
    found = rows("influx", f"{line}\n{line}".encode(), "metrics")
    assert [(point.name, point.labels.mapping, point.value) for point in found] == [
        (f"{measurement}_{field}", tags, value)
    ] * 2


@steady
@given(st.text(alphabet='m,=" \\f1i\n#', max_size=30))
def test_any_text_ends_as_rows_or_reasons(text: str) -> None:
    try:
        decoded = decode("influx", text.encode(), "metrics")
    except DecodeError as error:
        assert str(error).startswith("influx: ")
    else:
        assert all(decoded.refused)


def test_lines_over_the_limits() -> None:
    long = decode("influx", b"ok f=1 5\nm f=" + b"1" * limits.LINE_CHARS, "metrics")
    assert len(long.rows) == 1
    assert "at most 1048576 a line are read" in long.refused[0]
    assert "a text in quotes has no end" in dead("influx", b'm f="' + b"\n" * limits.LINE_CHARS, "metrics")
    quoted = decode("influx", b'ok f=1 5\nm f="' + b"1" * limits.LINE_CHARS + b'"', "metrics")
    assert len(quoted.rows) == 1
    assert "at most 1048576 a line are read" in quoted.refused[0]

    assert "at most 200000 a message are read" in dead("influx", b"m f=1 5\n" * (limits.ROWS + 1), "metrics")
