"""pmacct's JSON output (pmacctd, nfacctd, sfacctd to Kafka): one record a message, its counts since the purge before.

A flow's times are timestamp_start and timestamp_end, or _min and _max, else the one at which a collector or an exporter
observed it; records that aggregate have the time bin of stamp_inserted and stamp_updated instead. stamp_updated is the
clock at the purge, in whole seconds, and so no end of a flow that has a time of its own. Times are RFC 3339, or epoch
seconds as "s.us" text; a time without a zone is in the option's.
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
from afoot.telemetry.values import Malformed, Refused, epoch_ns, label, rfc3339_ns

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


def _flow(record: dict[str, Any], zone: str, cache: LabelCache) -> FlowRecord | None:
    if record.get("event_type") in _MARKERS:
        return None
    start, end = _first(record, _STARTS), _first(record, _ENDS)
    if not start and not end:
        start = _first(record, _OBSERVED)
    if not start and not end:
        start, end = _first(record, _BIN_STARTS), _first(record, _BIN_ENDS)
    start, end = start or end, end or start
    if start is None or end is None:
        if any(field in record for field in _TIMES):
            raise Refused("none of the record's times is set: no timestamp_, and no stamp_ of kafka_history")
        raise Malformed(f"none of {', '.join(_TIMES)} is there; a flow has a time")
    key = tuple((field, label(record[field])) for field in _LABELS if record.get(field))
    labels = cache.known.get(key) or cache.add(key, dict(key))
    return flow(record, _NAMES, _ns(*start, zone), _ns(*end, zone), labels)


def _first(record: dict[str, Any], fields: tuple[str, ...]) -> tuple[Any, str] | None:
    """The first of several times that is set, and its field's name."""
    for field in fields:
        sent = record.get(field, 0)
        if sent not in _UNSET and not (type(sent) is str and sent.startswith(_UNSET_BEGINS)):
            return sent, field
    return None


def _ns(sent: Any, what: str, zone: str) -> int:
    if type(sent) is str and "-" in sent:
        return rfc3339_ns(sent, what, zone)
    return epoch_ns(sent, 1, what)


_MARKERS = ("purge_init", "purge_close")  # kafka_markers: where a purge begins and ends
_STARTS = ("timestamp_start", "timestamp_min")
_ENDS = ("timestamp_end", "timestamp_max")
_OBSERVED = ("timestamp_arrival", "timestamp_export")
_BIN_STARTS, _BIN_ENDS = ("stamp_inserted",), ("stamp_updated",)
_TIMES = (*_STARTS, *_ENDS, *_OBSERVED, *_BIN_STARTS, *_BIN_ENDS)
# What pmacct writes for a time that was never set: zeros, and before 1.7.6 the beginning of 1970 in the machine's zone,
# which east and west of Greenwich is one day or the other. No flow is of those days.
_UNSET = ("0", 0)
_UNSET_BEGINS = ("0.", "0000-00-00", "1970-01-01", "1969-12-31")
