"""Numbers, times and label text: exact, or refused with what was found."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.telemetry import values
from afoot.telemetry.values import Malformed, Refused
from tests.telemetry.support import steady


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(5, 5.0), (2.5, 2.5), ("456", 456.0), ("-1.5e3", -1500.0), ("+.5", 0.5), (2**70, float(2**70))],
)
def test_numbers(sent: object, expected: float) -> None:
    assert values.number(sent) == expected


@pytest.mark.parametrize("sent", [float("nan"), float("inf"), "NaN", "+Inf", "-Infinity", "1e999", 10**400])
def test_what_no_double_holds_is_refused(sent: object) -> None:
    with pytest.raises(Refused) as caught:
        values.number(sent)
    assert type(caught.value) is Refused  # the row is of its format


@pytest.mark.parametrize("sent", [None, True, "", "1_000", " 1", "0x1f", "1,5", [], {}, "१२", "1" * 500, b"1"])
def test_what_is_no_number_is_malformed(sent: object) -> None:
    with pytest.raises(Malformed):
        values.number(sent)


@pytest.mark.parametrize(("sent", "expected"), [(7, 7), ("7", 7), ("-9223372036854775808", -(2**63)), (7.0, 7)])
def test_integers(sent: object, expected: int) -> None:
    assert values.integer(sent, "field") == expected


@pytest.mark.parametrize("sent", [7.5, float(2**60), "7.0", "--7", "7-", "", "²", "१", True, None, "9" * 21])
def test_what_is_no_integer_is_malformed(sent: object) -> None:
    with pytest.raises(Malformed):
        values.integer(sent, "field")


def test_counts_have_64_bits() -> None:
    assert values.count(2**64 - 1, "count") == 2**64 - 1
    for sent in (-1, 2**64):
        with pytest.raises(Refused):
            values.count(sent, "count")


@pytest.mark.parametrize(
    ("sent", "per_second", "expected"),
    [
        (1_458_229_140, 1, 1_458_229_140_000_000_000),
        (1_444_745_144.824, 1, 1_444_745_144_824_000_000),
        (1_554_141_513.598656, 1, 1_554_141_513_598_656_000),
        ("1554141513.598656444", 1, 1_554_141_513_598_656_444),
        ("1436357630", 1, 1_436_357_630_000_000_000),
        (1_651_679_640_000, 1_000, 1_651_679_640_000_000_000),
        (1_453_832_006_274_071_563, 1_000_000_000, 1_453_832_006_274_071_563),
    ],
)
def test_epoch_times_are_exact(sent: object, per_second: int, expected: int) -> None:
    assert values.epoch_ns(sent, per_second) == expected


@pytest.mark.parametrize("sent", [0, -5, 2**63, float("nan"), float("inf"), 1e300, "", "1e9", None, True, "-1"])
def test_what_is_no_time_is_refused(sent: object) -> None:
    with pytest.raises(Refused):
        values.epoch_ns(sent, 1)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2019-04-01T17:58:33.598656444Z", 1_554_141_513_598_656_444),
        ("2019-04-01T19:58:33.5+02:00", 1_554_141_513_500_000_000),
        ("2019-04-01 12:28:33-0530", 1_554_141_513_000_000_000),
        ("2019-04-01T17:58:33.598656+00", 1_554_141_513_598_656_000),
        ("1970-01-01T00:00:10Z", 10_000_000_000),
    ],
)
def test_rfc3339(sent: str, expected: int) -> None:
    assert values.rfc3339_ns(sent) == expected


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("2019-04-01T17:58:33", "without a time zone"),
        ("2019-02-30T17:58:33Z", "no calendar"),
        ("2019-04-01T24:58:33Z", "no clock"),
        ("1970-01-01T00:00:00Z", "missing"),
        ("1969-12-31T23:59:59Z", "allowed"),
        ("9999-01-01T00:00:00Z", "allowed"),
        ("tomorrow", "is expected"),
        (1_554_141_513, "is expected"),
        (None, "is expected"),
    ],
)
def test_what_is_no_rfc3339(sent: object, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        values.rfc3339_ns(sent)


def test_a_zone_may_be_told() -> None:
    for _ in range(2):  # what was read before is remembered, by its zone
        assert values.rfc3339_ns("2019-04-01T17:58:33", zone="-01:00") == 1_554_145_113_000_000_000
        assert values.rfc3339_ns("2019-04-01T17:58:33", zone="Z") == 1_554_141_513_000_000_000
        with pytest.raises(Refused, match="without a time zone"):
            values.rfc3339_ns("2019-04-01T17:58:33")


@steady
@given(st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1), timezones=st.timezones()))
def test_rfc3339_agrees_with_the_calendar(moment: datetime.datetime) -> None:
    moment = moment.astimezone(datetime.timezone(datetime.timedelta(minutes=90)))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    expected = (moment - epoch) // datetime.timedelta(microseconds=1) * 1_000
    assert values.rfc3339_ns(moment.isoformat()) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("text", "text"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (10, "10"),
        (637.704, "637.704"),
        (["many", "values"], '["many","values"]'),
        ({"key": [1, None]}, '{"key":[1,null]}'),
    ],
)
def test_labels_are_text(sent: object, expected: str) -> None:
    assert values.label(sent) == expected


def test_labels_that_no_text_holds() -> None:
    deep: list[object] = []
    for _ in range(2_000):
        deep = [deep]
    with pytest.raises(Refused, match="nested too deeply"):
        values.label(deep)
    with pytest.raises(Refused, match="64 bits"):
        values.label(2**80)
