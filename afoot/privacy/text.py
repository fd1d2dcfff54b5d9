"""What a text must not show, replaced by a pseudonym: `mail-…`, `token-…`, `card-…`, `addr-…`, or a name of one's own.

A pseudonym is a keyed hash, so that what was equal stays equal, here and in the inventory, and what differed differs.
Only truncated addresses lose that. All expressions take time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

from afoot.privacy.policy import SHIPPED, Policy
from afoot.privacy.pseudonyms import ADDRESS, pseudonym

_SECRET = (
    r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key"
    r"|authorization|credentials?|session[_-]?id|cookie)"
)
# Where an expression has groups, the one that matched is what is replaced, else all of it.
_TOKENS = (
    r"-----BEGIN [A-Z ]*+PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*+PRIVATE KEY-----|\Z)",
    r"(?<![\w-])eyJ[\w-]++\.[\w-]++\.[\w-]*+",  # JSON web tokens
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}+|github_pat_\w{20,}+|glpat-[\w-]{20,}+"
    r"|xox[a-z]-[\w-]{10,}+|[sr]k_(?:live|test)_\w{10,}+|sk-[\w-]{20,}+|AIza[\w-]{35}|npm_\w{30,}+|pypi-[\w-]{20,}+"
    r"|hvs\.[\w-]{20,}+)",
    r"(?i)\bbearer\s++([\w.~+/=-]{8,}+)",
    # password=..., "token": "...", Authorization: Basic ...
    rf"(?i){_SECRET}\\?[\"']?\s*+[=:]\s*+(?:\\?\"(?:basic\s++|bearer\s++)?((?:[^\"\\]|\\[^\"])++)"
    r"|'([^']++)|(?:(?:basic|bearer|digest|negotiate)\s++)?([^\s\"'\\,;&)}\]]++))",
    rf"(?i)(?<![\w-])--?[\w-]*{_SECRET}\s++(?!-)(\S++)",  # --password ...
    r"(?<=://)[^\s/:@]*+:([^\s/@]++)@",  # user:password@host
)
_MAILS = (r"(?<![\w.+-])[\w.+-]++(?:@|%40)[\w-]++(?:\.[\w-]++)+",)
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}+")
_DIGIT_GROUPS = re.compile(r"[0-9]+|[ -]")
_CARD_DIGITS = range(13, 20)

_QUAD = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
# With up to one number behind it, as tcpdump writes ports; more make an object identifier.
_IPV4 = re.compile(rf"(?<![0-9])(?<![0-9]\.){_QUAD}(?![0-9]|\.[0-9]+\.[0-9])")
_HEX = r"[0-9A-Fa-f]{1,4}"
_IPV6 = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?:{_HEX}:){{6}}{_QUAD}|(?:{_HEX}:){{7}}{_HEX}"
    rf"|(?:{_HEX}(?::{_HEX}){{0,6}})?::(?:(?:{_HEX}:){{0,6}}(?:{_QUAD}|{_HEX}))?)(?![0-9A-Za-z])"
)
# In names of hosts, such as ip-10-0-0-12 and 10_0_0_12.
_IN_NAMES = re.compile(
    r"(?<![0-9])(?<![0-9][-_])([0-9]{1,3})([-_])([0-9]{1,3})\2([0-9]{1,3})\2([0-9]{1,3})(?![-_]?[0-9])"
)


class TextRedactor:
    """Redacts texts by a policy."""

    def __init__(self, policy: Policy) -> None:
        self._key = policy.key.encode("utf-8", "surrogatepass")
        self._policy = policy
        self._patterns = [(name, re.compile(pattern)) for name, pattern in policy.patterns]
        for name in SHIPPED:
            if name in policy.scrub and name != "card":
                self._patterns += [(name, re.compile(one)) for one in (_TOKENS if name == "token" else _MAILS)]
        self._scrubs = [(pattern, self._replacing(name)) for name, pattern in self._patterns]

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for a value: the same for the same kind and value, wherever the key is the same."""
        return pseudonym(self._key, kind, value)

    def text(self, text: str) -> str:
        """The text with pseudonyms in place of what the policy names."""
        for pattern, replace in self._scrubs:
            text = pattern.sub(replace, text)
        if "card" in self._policy.scrub:
            text = _DIGITS.sub(self._cards, text)
        if self._policy.addresses != "keep":
            text = _IPV6.sub(self._ipv6, text)
            text = _IPV4.sub(self._ipv4, text)
            text = _IN_NAMES.sub(self._in_name, text)
        return text

    def _replacing(self, name: str) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            group = match.lastindex or 0
            found = match[0]
            start, end = (at - match.start() for at in match.span(group))
            return found[:start] + self.pseudonym(name, found[start:end]) + found[end:]

        return replace

    def _cards(self, match: re.Match[str]) -> str:
        """A run of digits in groups: numbers of cards are whole groups of it."""
        parts = _DIGIT_GROUPS.findall(match[0])  # digits at even places, what is between them at odd ones
        found: list[str] = []
        at = 0
        while at < len(parts):
            end = _card_end(parts, at) if at % 2 == 0 else at
            if end == at:
                found.append(parts[at])
                at += 1
            else:
                found.append(self.pseudonym("card", "".join(parts[at:end:2])))
                at = end
        return "".join(found)

    def _ipv4(self, match: re.Match[str]) -> str:
        address = _quad(match[0].split("."))
        return match[0] if address is None else self._address(address)

    def _ipv6(self, match: re.Match[str]) -> str:
        try:
            address = IPv6Address(match[0])
        except ValueError:
            return match[0]
        return match[0] if int(address) == 0 else self._address(address)

    def _in_name(self, match: re.Match[str]) -> str:
        # Always hashed: truncated, the names of all hosts of a network would be one.
        address = _quad(match.group(1, 3, 4, 5))
        return match[0] if address is None else self.pseudonym(ADDRESS, str(address))

    def _address(self, address: IPv4Address | IPv6Address) -> str:
        if self._policy.addresses == "hash":
            return self.pseudonym(ADDRESS, str(address))
        bits = self._policy.ipv4_bits if address.version == 4 else self._policy.ipv6_bits
        return str(ip_network(f"{address}/{bits}", strict=False).network_address)


def _quad(octets: tuple[str, ...] | list[str]) -> IPv4Address | None:
    numbers = [int(octet) for octet in octets]
    return IPv4Address(bytes(numbers)) if max(numbers) < 256 else None


def _card_end(parts: list[str], begin: int) -> int:
    """The place behind a card's number that begins at one of these groups of digits, `begin` if none does."""
    digits = ""
    for place in range(begin, len(parts), 2):
        digits += parts[place]
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(digits) in _CARD_DIGITS and digits[0] in "23456" and _luhn(digits):
            return place + 1
    return begin


def _luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    total = sum(map(int, digits[-1::-2]))
    for digit in digits[-2::-2]:
        total += sum(divmod(2 * int(digit), 10))
    return total % 10 == 0
