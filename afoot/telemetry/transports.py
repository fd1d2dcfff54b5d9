"""Transport protocols by name, as flow records have them."""

from __future__ import annotations

from typing import Any

from afoot.telemetry.payload import shown
from afoot.telemetry.values import Refused

_BY_NUMBER = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
}  # of IANA's protocol numbers those that carry traffic worth a name; others stay numbers


def transport(value: Any) -> str:
    """An IP protocol, sent as a number or a name in any case: "tcp", or the number as text where it has no name."""
    if type(value) is int and 0 <= value <= 255:
        return _BY_NUMBER.get(value, str(value))
    if type(value) is str and len(value) <= 64:
        if value.isdecimal() and value.isascii():
            return transport(int(value))
        found = value.lower()
        return "ipv6-icmp" if found in ("icmp6", "icmpv6") else found
    raise Refused(f"the protocol is {shown(value)}; 0 to 255 or a name is expected")
