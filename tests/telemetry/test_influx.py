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


# Of Telegraf's own test of its sFlow decoder: an interface's counters, and three sampled frames.
SFLOW = b"""
netflow,source=127.0.0.1,version=sFlowV5 agent_ip="192.168.227.2",in_bytes=21286022420858u,in_snmp=101u,\
in_unicast_packets_total=1153749508u,interface=101u,ip_version="IPv4",out_bytes=8929238553590u,seq_number=300415u,\
speed=1000000000u,status="up",sys_uptime=2042523538u 1778580951857895855
netflow,source=127.0.0.1,version=sFlowV5 agent_ip="192.168.227.2",agent_subid=0u,datalink_frame_type="IPv4",\
direction="ingress",dst="192.168.101.2",dst_port=2055u,fragment_flags="........",in_snmp=96u,in_total_packets=687103949u,\
ip_total_len=1248u,ip_version="IPv4",ipv4_total_len=1268u,l2_bytes=1286u,l2_protocol="ETHERNET-ISO8023",out_snmp=95u,\
protocol="udp",sampling_drops=8731u,sampling_interval=200u,seq_number=2404916u,src="192.168.227.2",src_port=49469u,\
sys_uptime=2042523538u,ttl=63u 1778580951857895855
netflow,source=127.0.0.1,version=sFlowV5 agent_ip="192.168.227.2",datalink_frame_type="IPv6",direction="egress",\
dst="ff02::16",in_snmp=76u,in_total_packets=1062946518u,ip_total_len=56u,ip_version="IPv6",ipv6_total_len=56u,\
l2_bytes=114u,protocol="hopopt",sampling_drops=30750u,sampling_interval=200u,src="fe80::f3a8:9738:cab4:2286",\
sys_uptime=2042523538u 1778580951857895855
netflow,source=127.0.0.1,version=sFlowV5 agent_ip="192.168.227.2",datalink_frame_type="ARP",direction="egress",\
in_snmp=76u,in_total_packets=1062946519u,ip_version="IPv4",l2_bytes=64u,sampling_drops=30750u,sampling_interval=200u,\
sys_uptime=2042523538u 1778580951857895855
""".replace(b"\\\n", b"")


def test_sflow_samples_are_a_packet_each() -> None:
    decoded = decode("influx", SFLOW, "flows")
    assert decoded.rows == [
        FlowRecord(
            start_ns=1_778_580_951_857_895_855,
            end_ns=1_778_580_951_857_895_855,
            source_address="192.168.227.2",
            source_port=49469,
            destination_address="192.168.101.2",
            destination_port=2055,
            transport="udp",
            bytes=1286,
            packets=1,
            sampling_rate=200,
            source_as=None,
            destination_as=None,
            sampler="127.0.0.1",
            labels=labels(),
        ),
        FlowRecord(
            start_ns=1_778_580_951_857_895_855,
            end_ns=1_778_580_951_857_895_855,
            source_address="fe80::f3a8:9738:cab4:2286",
            source_port=0,
            destination_address="ff02::16",
            destination_port=0,
            transport="hopopt",
            bytes=114,
            packets=1,
            sampling_rate=200,
            source_as=None,
            destination_as=None,
            sampler="127.0.0.1",
            labels=labels(),
        ),
    ]
    assert decoded.refused == ["line 4: src is missing: the sampled frame is not IP"]


def flow(fields: str, version: str = "IPFIX", tags: str = "") -> FlowRecord:
    addresses = 'src="10.0.0.1",dst="10.0.0.2",' if not tags else ""
    line = f"netflow,source=127.0.0.1,version={version}{tags} {addresses}{fields} 1701440347872006922"
    (found,) = rows("influx", line.encode(), "flows")
    assert isinstance(found, FlowRecord)
    return found


def test_sflow_s_paths_to_a_destination_are_no_autonomous_system() -> None:
    found = flow(
        "in_total_packets=9u,sampling_interval=10u,eth_total_len=70u,bgp_src_as=64500u,bgp_dst_as=1u", "sFlowV5"
    )
    assert (found.bytes, found.packets, found.source_as, found.destination_as) == (70, 1, 64500, None)


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        # as Telegraf's tests have them: seconds beside milliseconds, unset, and alone
        (
            "flow_end_ms=1684767922502u,flow_start=1684767922u,flow_end=1684767922u,flow_start_ms=1684767922501u",
            1_684_767_922_501_000_000,
            1_684_767_922_502_000_000,
        ),
        ("flow_start=0u,flow_end=0u", 1_701_440_347_872_006_922, 1_701_440_347_872_006_922),
        ("flow_start_ms=0u,flow_end_ms=0u", 1_701_440_347_872_006_922, 1_701_440_347_872_006_922),
        ("flow_start=1701440300u,flow_end=1701440340u", 1_701_440_300_000_000_000, 1_701_440_340_000_000_000),
        ("flow_start_ms=1701440300001u", 1_701_440_300_001_000_000, 1_701_440_347_872_006_922),
        ("flow_end=1701440340u", 1_701_440_340_000_000_000, 1_701_440_340_000_000_000),
        (
            "sys_uptime=5000u,first_switched=1000u,last_switched=4000u",
            1_701_440_343_872_006_922,
            1_701_440_346_872_006_922,
        ),
        ("first_switched=1000u,last_switched=4000u", 1_701_440_347_872_006_922, 1_701_440_347_872_006_922),
    ],
)
def test_the_times_of_a_flow(times: str, start: int, end: int) -> None:
    found = flow(f"in_bytes=256u,in_packets=1u,{times}")
    assert (found.start_ns, found.end_ns) == (start, end)


def test_a_flow_does_not_end_before_it_starts() -> None:
    times = "flow_start_ms=1701440340000u,flow_end_ms=1701440300000u"
    line = f'netflow src="10.0.0.1",dst="10.0.0.2",in_bytes=256u,in_packets=1u,{times} 1701440347872006922'
    decoded = decode("influx", line.encode(), "flows")
    assert decoded.rows == []
    assert decoded.refused == [
        "line 1: the flow ends at 1701440300000000000 ns, before it starts at 1701440340000000000 ns"
    ]


def test_a_flow_that_was_counted_on_its_way_out() -> None:
    found = flow("out_bytes=256u,out_packets=2u", "NetFlowV9")
    assert (found.bytes, found.packets) == (256, 2)
    found = flow("out_bytes=256u,out_packets=2u,in_bytes=300u,in_packets=3u", "NetFlowV9")
    assert (found.bytes, found.packets) == (300, 3)


@pytest.mark.parametrize(
    ("version", "sent", "rate"),
    [
        ("NetFlowV5", "sampling_interval=0u", None),
        ("NetFlowV5", "sampling_interval=16484u", 100),  # 0x4064: mode 1, one in 100
        ("NetFlowV9", "sampling_interval=16484u", 16484),
        ("NetFlowV9", "sampling_interval=0u,flow_sampler_interval=100u", 100),
        ("IPFIX", "flow_sampler_interval=100u", 100),
        ("IPFIX", "seq_number=1u", None),
    ],
)
def test_the_sampling_of_flows(version: str, sent: str, rate: int | None) -> None:
    assert flow(f"in_bytes=256u,in_packets=2u,{sent}", version).sampling_rate == rate


def test_what_a_processor_made_tags_of_a_flow_s_fields() -> None:
    # The converter that the page of Telegraf's input recommends for outputs that need series to differ.
    found = flow(
        "in_bytes=256u,in_packets=2u", tags=",protocol=tcp,src=10.0.0.1,src_port=443,dst=10.0.0.2,dst_port=50202"
    )
    assert found[2:9] == ("10.0.0.1", 443, "10.0.0.2", 50202, "tcp", 256, 2)


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
        # of the pages of Telegraf's parsers; OpenMetrics has counters without their _total, which no line tells
        (
            "prometheus_remote_write,job=prometheus,quantile=0.99 go_gc_duration_seconds=4.63",
            "go_gc_duration_seconds",
            {"job": "prometheus", "quantile": "0.99"},
            4.63,
        ),
        (
            "openmetric,unit=seconds process_cpu_seconds=4200722.46",
            "process_cpu_seconds",
            {"unit": "seconds"},
            4200722.46,
        ),
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
