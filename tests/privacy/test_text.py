"""Texts: what is found, what is left alone, and what hostile texts may cost."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afoot.privacy.policy import Policy
from afoot.privacy.text import TextRedactor

KEY = "a key that nobody can guess"
HASHED = TextRedactor(Policy(KEY))
WORDS = st.text(st.sampled_from(" abz:.-_/=@'\"[]{}"), max_size=8)


def policy(**more: Any) -> TextRedactor:
    return TextRedactor(Policy(KEY, **more))


@pytest.mark.parametrize(
    ("text", "secret", "kind"),
    [
        ("to bob@example.com, done", "bob@example.com", "mail"),
        ("?to=bob%40example.com&x", "bob%40example.com", "mail"),
        ("<jörg.müller+x@mail.example.co.uk>", "jörg.müller+x@mail.example.co.uk", "mail"),
        ("password=hunter2 next", "hunter2", "token"),
        ('{"token": "abc def", "n": 1}', "abc def", "token"),
        (r"{\"api_key\":\"abc def\",\"n\":1}", "abc def", "token"),
        ("db_passwd: 'a b c'", "a b c", "token"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "token"),
        ("got Bearer abcdefgh12345 there", "abcdefgh12345", "token"),
        ("backup --db-password hunter2 --all", "hunter2", "token"),
        ("postgres://user:hunter2@db/x", "hunter2", "token"),
        ("jwt eyJhbGciOi.eyJzdWIi.c2ln.", "eyJhbGciOi.eyJzdWIi.c2ln", "token"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "token"),
        ("ghp_0123456789abcdefghij0123456789abcdef", "ghp_0123456789abcdefghij0123456789abcdef", "token"),
        ("card 4111 1111 1111 1111, 12/30", "4111 1111 1111 1111", "card"),
        ("2024 5500-0000-0000-0004 123", "5500-0000-0000-0004", "card"),
        ("x378282246310005y", "378282246310005", "card"),
        ("from 10.0.0.12:443", "10.0.0.12", "addr"),
        ("10.0.0.12.443 > there", "10.0.0.12", "addr"),
        ("[2001:db8::1]:9100", "2001:db8::1", "addr"),
        ("address:2001:DB8::1", "2001:DB8::1", "addr"),
        ("node:fe80::1%eth0", "fe80::1", "addr"),
        ("::ffff:10.0.0.12 said", "::ffff:10.0.0.12", "addr"),
        ("1:2:3:4:5:6:7:8/64", "1:2:3:4:5:6:7:8", "addr"),
        ("from 2001:db8::1: denied", "2001:db8::1", "addr"),
        ("node:ip-10-0-0-12.internal", "10-0-0-12", "addr"),
        ("10_0_0_12", "10_0_0_12", "addr"),
    ],
)
def test_what_is_found_is_replaced_and_nothing_else(text: str, secret: str, kind: str) -> None:
    before, after = text.split(secret)
    shown = HASHED.text(text)
    assert shown.startswith(f"{before}{kind}-") and shown.endswith(after)
    assert len(shown) == len(before + after) + len(kind) + 17


@pytest.mark.parametrize(
    "text",
    [
        "pod:streaming/flink-taskmanager-0",
        "2026-11-21T12:34:56.789Z",
        "00:11:22:33:44:55",
        "1.3.6.1.4.1.9",
        "999.1.1.1",
        "std::vector a :: b",
        "1790000000005 and 1790000000000000000",
        "4111 1111 1111 1112",
        "tokens: 12 token_count=5 secretary",
        "kafka@home",
        "40 * * * *",
        "token=",
        "",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert HASHED.text(text) == text


def test_equal_values_get_equal_pseudonyms_wherever_they_stand() -> None:
    whole = HASHED.text("10.0.0.12")
    assert HASHED.text("vm:ip-10-0-0-12") == f"vm:ip-{whole}"
    assert HASHED.text("010.000.000.012") == whole
    assert HASHED.text("2001:DB8:0::1") == HASHED.text("2001:db8::1")
    assert HASHED.text("10.0.0.13") != whole
    assert TextRedactor(Policy(KEY)).text("10.0.0.12") == whole
    assert TextRedactor(Policy(KEY + "!")).text("10.0.0.12") != whole


def test_truncated_addresses_keep_their_network_and_names_of_hosts_stay_apart() -> None:
    shown = policy(addresses="truncate")
    assert shown.text("10.1.2.3:80 2001:db8:1:2::3 ::1") == "10.1.2.0:80 2001:db8:1:: ::"
    assert (
        policy(addresses="truncate", ipv4_bits=20, ipv6_bits=32).text("10.1.99.3 2001:db8:1::")
        == "10.1.96.0 2001:db8::"
    )
    assert shown.text("ip-10-1-2-3") == HASHED.text("ip-10-1-2-3")


def test_a_policy_leaves_alone_what_it_does_not_name() -> None:
    text = "bob@example.com 10.0.0.1 password=x 4111111111111111"
    assert policy(addresses="keep", scrub=()).text(text) == text
    assert policy(addresses="keep", scrub=("card",)).text(text).startswith("bob@example.com 10.0.0.1 password=x card-")


def test_patterns_of_one_s_own_replace_their_first_group_or_all_of_it() -> None:
    shown = policy(patterns=(("employee", r"E-\d{6}"), ("order", r"order (\w+)"))).text("E-123456 did order abc now")
    first, rest = shown.split(" did ")
    assert first.startswith("employee-") and rest.startswith("order order-") and rest.endswith(" now")


@given(WORDS, st.ip_addresses(), WORDS)
def test_no_address_is_left(before: str, address: IPv4Address | IPv6Address, after: str) -> None:
    # Letters, digits and colons next to an address of six would make it another one, or none.
    text = f"{before.rstrip('abz:._-')} {address} {after}"
    if int(address):
        assert f" {address} " not in HASHED.text(text)
        assert HASHED.text(str(address)) in HASHED.text(text)


@given(st.text(), st.sampled_from(["hash", "truncate"]))
def test_any_text_is_taken(text: str, addresses: str) -> None:
    policy(addresses=addresses).text(text)


PIECES = [
    "a:",
    "::",
    "a",
    "a@",
    "password",
    "password=",
    "://",
    "eyJ-.",
    "1.",
    "1-",
    "ffff:",
    "-----BEGIN",
    "@a.",
    "://a:",
]


@pytest.mark.parametrize(
    "piece", [*PIECES, " ", "1 ", "password ", 'password="', "password\\", "-----BEGIN PRIVATE KEY-----"]
)
def test_a_hostile_text_costs_time_in_proportion(piece: str) -> None:
    def cost(chars: int) -> float:
        text = f"{piece * (chars // len(piece))}!"
        began = time.process_time()
        HASHED.text(text)
        return time.process_time() - began

    cost(1_000)
    assert cost(160_000) < 16 * max(cost(20_000), 0.005)  # quadratic: 64 times as much
