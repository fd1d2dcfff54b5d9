"""pmacct's JSON output (pmacctd, nfacctd, sfacctd to Kafka): one record a message, its counts since the purge before.

A flow's times are timestamp_start and timestamp_end, or _min and _max; records that aggregate have the time bin of
stamp_inserted and stamp_updated instead. Times are RFC 3339, or epoch seconds as "s.us" text; a time without a zone is
in the option's.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import UsageError
from afoot.telemetry.collected import each
from afoot.telemetry.flows import Names, flow
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, FlowRecord, Message
from afoot.telemetry.values import Refused, epoch_ns, label, rfc3339_ns

KINDS = ("flows",)
OPTIONS = {"zone": 'offset of times that name none, such as "+02:00": "Z" (timestamps_utc: true) unless told otherwise'}
_FORMAT = "pmacct_json"
_NAMES = Names(
    "ip_src",
    "port_src",
    "ip_dst",
    "port_dst",
    "ip_proto",
    "bytes",
    "packets",
    "sampling_rate",
    "as_src",
    "as_dst",
    "peer_ip_src",
)
_LABELS = ("iface_in", "iface_out", "vlan", "label", "tag")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that pmacct fills."""
    zone = options.get("zone", "Z")
    try:
        rfc3339_ns("2000-01-01T00:00:00", zone=zone)
    except (Refused, ValueError):
        raise UsageError(f'format {_FORMAT!r}: zone is {zone!r}; "Z" or an offset like "+02:00" is expected') from None
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "record", lambda record: _flow(record, zone, cache))

    return decode


def _flow(record: dict[str, Any], zone: str, cache: LabelCache) -> FlowRecord:
    start = next((record[field] for field in _STARTS if field in record), None)
    end = next((record[field] for field in _ENDS if field in record), start)
    start_ns = _time(start, "timestamp_start", zone)
    end_ns = _time(end, "timestamp_end", zone) if end not in _UNSET else start_ns
    key = tuple((field, label(record[field])) for field in _LABELS if record.get(field))
    return flow(record, _NAMES, start_ns, end_ns, cache.known.get(key) or cache.add(key, dict(key)))


def _time(sent: Any, what: str, zone: str) -> int:
    if type(sent) is str and "-" in sent:
        return rfc3339_ns(sent, what, zone)
    return epoch_ns(sent, 1, what)


_STARTS = ("timestamp_start", "timestamp_min", "stamp_inserted")
_ENDS = ("timestamp_end", "timestamp_max", "stamp_updated")
# What pmacct writes for the end of a flow that has none.
_UNSET = ("0.000000", "0", 0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "1970-01-01 00:00:00.000000")
