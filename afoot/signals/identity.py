"""Who a label set speaks of, by names alone: what decides the shard, before any inventory is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from zlib import crc32

from afoot.inventory.resolve import ADDRESS, DEPLOYMENT, GROUP, HOST, INSTANCE_ID, NAMESPACE, POD, TOPIC, VOLUME_ID
from afoot.telemetry.rows import Labels

Alternatives = tuple[str, ...]
PORT = re.compile(r":\d+$")  # an instance is the same host at any port

# The default rules that lead to an entity of each type, in their order: label names, all of which must be there.
HOST_RULE: tuple[Alternatives, ...] = (HOST,)
RULES: dict[str, tuple[tuple[Alternatives, ...], ...]] = {
    "pod": ((NAMESPACE, POD),),
    "container": ((NAMESPACE, POD),),
    "volume": ((("svm",), ("volume",)), (VOLUME_ID,)),
    "vm": ((INSTANCE_ID,), HOST_RULE),
    "node": ((INSTANCE_ID,), HOST_RULE),
    "broker": (HOST_RULE,),
    "consumer_group": ((GROUP,),),
    "topic": ((TOPIC,),),
    "job": ((("job_name",),),),
    "ingress": ((NAMESPACE, ("ingress",)),),
    "deployment": ((NAMESPACE, DEPLOYMENT),),
    "service": ((("service.name", "service_name", "service"),),),
    "address": ((ADDRESS,),),
}


def identity(labels: Labels, types: Sequence[str], keys: Sequence[str] = ()) -> str:
    """The part of `labels` that tells the entity: by `keys` if given, else by the default rules of `types` in order.

    Series of one entity that carry the same identifying labels get the same text, and with it the same shard. Labels
    that no rule knows are taken as a whole.
    """
    mapping = labels.mapping
    if keys:
        return "\x1f".join(f"{key}={mapping.get(key, '')}" for key in keys)
    for kind in types:
        for rule in RULES.get(kind, ()):
            values = [_first(mapping, names) for names in rule]
            if all(values):
                if rule is HOST_RULE:
                    values = [PORT.sub("", values[0])]
                return "\x1f".join([rule[-1][0], *values])
    return labels.text


def shard_of(text: str, shards: int) -> int:
    """The shard of an identity, 0 <= shard < shards."""
    return crc32(text.encode("utf-8", "surrogatepass")) % shards


def _first(mapping: Mapping[str, str], names: Alternatives) -> str:
    for name in names:
        value = mapping.get(name)
        if value:
            return value
    return ""
