"""An incident whose telemetry and inventory hold what must not be told, in every place that a sender could put it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import orjson

from afoot.privacy.policy import Policy
from afoot.simulate import Size, Truth, simulate
from afoot.simulate.capture import read
from afoot.simulate.damage import Damage, damage
from afoot.telemetry.rows import Message
from tests.jobs.support import gauge, pushers, renumbered

MAIL, TOKEN, CARD, DROPPED, HASHED = (
    "bob.planted@example.org",
    "hunter2-planted",
    "4111111111111111",
    "dropped-planted",
    "hashed-planted",
)
OUTSIDE = ("198.51.100.77", "2001:db8:77::99")  # addresses in texts alone
POLICY = Policy(
    "a key that nobody can guess",
    drop_labels=("user",),
    hash_labels=("customer",),
    dead_letters="encrypt",
    dead_letters_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
)
TELLTALE = f"{MAIL} paid with 4111 1111 1111 1111, password={TOKEN} from {OUTSIDE[0]} and [{OUTSIDE[1]}]:443"
_YEAR_MS = 365 * 86_400_000
_HOST = re.compile(rb"(?<![0-9.])10\.[0-9]+\.[0-9]+\.[0-9]+|203\.0\.113\.[0-9]+")


@dataclass(frozen=True)
class Planted:
    """The messages of the incident, its truth, and each text of which nothing may be told."""

    messages: list[Message]
    truth: Truth
    secrets: frozenset[bytes]

    def told_in(self, data: bytes) -> set[bytes]:
        """The secrets that stand in these bytes."""
        return {secret for secret in self.secrets if secret in data}


def planted(folder: Path) -> Planted:
    """A small incident: its culprit's name has an address in it, its volume's name a card's number."""
    truth = simulate("hourly_backup", 3, 2.5, folder, size=Size(2, 60))
    machine, volume = truth.culprit.partition(":")[2], truth.via.rpartition("/")[2]
    command = orjson.dumps(truth.schedule["command"]).strip(b'"')
    renamed = {
        machine.encode(): b"mimas-10-77-66-55",
        volume.encode(): f"vesper_{CARD}".encode(),
        command: command + f" --password {TOKEN} --report {MAIL}".encode(),
        b'"resource":{"attributes":[': b'"resource":{"attributes":[' + _labels(),
        b'"log":"': f'"log":"{TELLTALE} '.encode(),
        b'"stderr"': f'"stderr","user":"{DROPPED}"'.encode(),
    }
    messages = []
    for message in renumbered(read(folder / "capture.jsonl.zst")):
        key, value = message.key, message.value
        for old, new in renamed.items():
            key = None if key is None else key.replace(old, new)
            value = None if value is None else value.replace(old, new)
        messages.append(message._replace(key=key, value=value))
    hosts = {host for message in messages for host in _HOST.findall(message.value or b"")} | {b"10.77.66.55"}
    secrets = {address.encode() for address in OUTSIDE}
    for host in hosts:
        secrets |= {host, host.replace(b".", b"-"), host.replace(b".", b"_")}
    secrets |= {text.encode() for text in (MAIL, TOKEN, CARD, "4111 1111", DROPPED, HASHED, "bob.planted", "planted")}
    messages, _ = damage(messages, seed=5, repeat=2, damages=_bad())
    return Planted(messages + pushers(messages), truth, frozenset(secrets))


def _labels() -> bytes:
    named = {"owner": MAIL, "user": DROPPED, "customer": HASHED, "client": OUTSIDE[1]}
    return b"".join(orjson.dumps({"key": name, "value": {"stringValue": text}}) + b"," for name, text in named.items())


def _bad() -> list[Damage]:
    """Messages that cannot be read, or cannot be used: their bytes are kept, and their reasons quote them."""
    key = MAIL.encode()

    def lag(at_ms: int, **labels: str) -> bytes:
        return gauge("write_lag_seconds", at_ms, 3.5, job_name="j", **labels)

    return [
        Damage("cut off", "telemetry.metrics", "dead", lambda at: (key, lag(at, owner=MAIL)[:-20])),
        Damage(
            "late", "telemetry.metrics", "kept", lambda at: (key, lag(at - _YEAR_MS, owner=MAIL, client=OUTSIDE[0]))
        ),
        Damage(
            "no number",
            "telemetry.metrics",
            "refused",
            lambda at: (key, lag(at).replace(b"3.5", b'"%s"' % TELLTALE.encode())),
        ),
        Damage("unasked", "telemetry.metrics", "kept", lambda at: (key, gauge(f"count.{OUTSIDE[0]}.{MAIL}", at, 1.0))),
        Damage("no log", "telemetry.logs", "dead", lambda at: (key, orjson.dumps({"date": MAIL, "log": TELLTALE}))),
        Damage("no flow", "telemetry.flows", "dead", lambda at: (key, orjson.dumps({"src_addr": TELLTALE}))),
        Damage("no change", "inventory", "dead", lambda at: (key, orjson.dumps({"op": TELLTALE, "source": MAIL}))),
    ]
