"""Which entity a label set means: by attributes.match, else by the default rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from afoot.inventory.placement import derived_name, derived_type
from afoot.inventory.versions import Row
from afoot.privacy.pseudonyms import is_address
from afoot.telemetry.rows import Labels

Pairs = tuple[tuple[str, str], ...]
Types = tuple[str, ...]

MEMO_LIMIT = 500_000  # label sets remembered per instant; beyond it the memory starts anew

NAMESPACE = ("namespace", "k8s.namespace.name")
POD = ("pod", "k8s.pod.name")
DEPLOYMENT = ("deployment", "k8s.deployment.name")
GROUP = ("consumergroup", "group", "group_id")
TOPIC = ("topic", "topic_name")
VOLUME_ID = ("VolumeId", "volume_id")
INSTANCE_ID = ("InstanceId", "instance_id", "host.id")
HOST = ("instance", "host.name", "host")
ADDRESS = ("address",)
HOST_TYPES = ("vm", "node", "broker")


class Resolution(NamedTuple):
    """The entity that a label set means, or None and the reason; `rule` is "match" or the names a default rule read."""

    entity: str | None
    rule: str
    reason: str = ""


class Resolver:
    """The label sets of all entities of one instant."""

    def __init__(
        self,
        entities: Mapping[str, Row],
        mentioned: Iterable[str],
        unresolved: Counter[str],
        names: Mapping[str, str] | None = None,
        addressed_ms: Callable[[str], int] = lambda entity_id: 0,
    ) -> None:
        """Entity rows by id, and the ids that relations mention; `unresolved` counts label sets by reason.

        `names` has the ids that answers have in place of others: of entities that go by another than a source's.
        `addressed_ms` says since when an entity has its addresses.
        """
        self._names = names or {}
        self._addressed_ms = addressed_ms
        self._unresolved = unresolved
        self._memo: dict[Types, dict[Labels, Resolution]] = {}
        self._plans: dict[Types, list[tuple[_Rule, Types]]] = {}
        # An entity's label set is found by its rarest pair, so that one that all share costs nothing.
        self._by_pair: dict[tuple[str, str], list[tuple[Pairs, str, str]]] = defaultdict(list)
        self._by_id: dict[tuple[str, str], set[str]] = defaultdict(set)  # (type, cloud id) -> entities
        self._by_name: dict[tuple[str, str], set[str]] = defaultdict(set)  # (type, host name) -> entities
        self._by_address: dict[str, set[tuple[str, str]]] = defaultdict(set)  # address -> (type, entity)
        often = Counter(pair for row in entities.values() for pairs in row.get("match") or () for pair in pairs)
        for entity_id, row in entities.items():
            type_ = row.get("type") or derived_type(entity_id)
            for pairs in row.get("match") or ():
                rarest = min(pairs, key=lambda pair: (often[pair], pair))
                self._by_pair[rarest].append((pairs, type_, entity_id))
                for name, value in pairs:
                    if name in VOLUME_ID or name in INSTANCE_ID:
                        self._by_id[type_, value].add(entity_id)
                    address = _as_address(value)
                    if address:
                        self._by_address[address].add((type_, entity_id))
            for address in row.get("addresses") or ():
                self._by_address[_as_address(address) or address].add((type_, entity_id))
            if type_ in HOST_TYPES:
                self._add_host(type_, entity_id)
                if row.get("name"):
                    self._by_name[type_, row["name"]].add(entity_id)
        for entity_id in mentioned:
            if entity_id not in entities and derived_type(entity_id) in HOST_TYPES:
                self._add_host(derived_type(entity_id), entity_id)

    def _add_host(self, type_: str, entity_id: str) -> None:
        self._by_name[type_, derived_name(entity_id)].add(entity_id)
        self._by_name[type_, entity_id.partition(":")[2]].add(entity_id)

    def resolve(self, labels: Labels, types: Types) -> Resolution:
        """The entity that `labels` mean, among `types` in their order (empty: any)."""
        memo = self._memo.get(types)
        if memo is None:
            memo = self._memo[types] = {}
        found = memo.get(labels)
        if found is None:
            if len(memo) >= MEMO_LIMIT:
                memo.clear()
            found = self._match(labels, types) or self._default(labels.mapping, types)
            if found.entity is not None and found.entity in self._names:
                found = found._replace(entity=self._names[found.entity])
            memo[labels] = found
            if found.entity is None:
                self._unresolved[found.rule] += 1
        return found

    def _match(self, labels: Labels, types: Types) -> Resolution | None:
        mapping = labels.mapping
        best: dict[str, tuple[int, set[str]]] = {}  # type -> most labels, the entities with so many
        for pair in labels.items:
            for pairs, type_, entity_id in self._by_pair.get(pair, ()):
                if types and type_ not in types:
                    continue
                most, entities = best.get(type_, (0, set()))
                if len(pairs) >= most and all(mapping.get(name) == value for name, value in pairs):
                    best[type_] = (len(pairs), entities | {entity_id} if len(pairs) == most else {entity_id})
        if not best:
            return None
        if types:
            most, entities = next(best[type_] for type_ in types if type_ in best)
        else:
            most = max(count for count, _ in best.values())
            entities = {entity_id for count, found in best.values() if count == most for entity_id in found}
        return self._only(entities, "match", f"{most} labels each")

    def _default(self, mapping: Mapping[str, str], types: Types) -> Resolution:
        plan = self._plans.get(types)
        if plan is None:
            plan = self._plans[types] = [
                (rule, (type_,)) for type_ in types for rule in _RULES if rule.allows(type_)
            ] or [(rule, rule.types) for rule in _RULES if not types]
        missed = ""
        for rule, wanted in plan:
            found = rule.apply(self, mapping, wanted)
            if found is not None:
                if found.entity is not None or found.rule == "tie":
                    return found
                missed = missed or found.reason
        if missed:
            return Resolution(None, "unknown name", missed)
        wanted_types = f" of type {', '.join(types)}" if types else ""
        return Resolution(
            None, "no rule", f"no label names an entity{wanted_types}: {', '.join(mapping) or 'no labels'}"
        )

    def _only(self, entities: Iterable[str], rule: str, how: str) -> Resolution:
        found = sorted({self._names.get(entity, entity) for entity in entities})
        if len(found) == 1:
            return Resolution(found[0], rule)
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        return Resolution(None, "tie", f"{shown} match equally well ({how})")

    # What the default rules look up

    def volume(self, mapping: Mapping[str, str], wanted: Types) -> Resolution | None:
        """The volume whose match has the volume id, else one of that id."""
        value = _first(mapping, VOLUME_ID)
        if value is None:
            return None
        owners = self._by_id.get(("volume", value))
        return (
            self._only(owners, "VolumeId", "the same VolumeId") if owners else Resolution(f"volume:{value}", "VolumeId")
        )

    def machine(self, mapping: Mapping[str, str], wanted: Types) -> Resolution | None:
        """The vm or node whose match has the instance id, else a vm of that id."""
        value = _first(mapping, INSTANCE_ID)
        if value is None:
            return None
        owners: set[str] = set()
        for type_ in wanted:
            owners |= self._by_id.get((type_, value), set())
        if owners:
            return self._only(owners, "InstanceId", "the same InstanceId")
        return Resolution(f"vm:{value}", "InstanceId") if "vm" in wanted else None

    def host(self, mapping: Mapping[str, str], wanted: Types) -> Resolution | None:
        """The vm, node or broker of the name that instance, host.name or host gives, with or without its port.

        Where none of them is a name, as targets of a scrape often are not, the one that has the address.
        """
        missed: Resolution | None = None
        said = [(label, mapping[label]) for label in HOST if mapping.get(label)]
        for label, value in said:
            for name in dict.fromkeys((value, _without_port(value))):
                owners = {owner for type_ in wanted for owner in self._by_name.get((type_, name), ())}
                if owners:
                    return self._only(owners, label, f"the name {name!r}")
            missed = missed or Resolution(None, "unknown name", f"no {' or '.join(wanted)} is named {value!r}")
        for label, value in said:
            having = self._by_address.get(_as_address(value) or "", ())
            owners = {owner for type_ in wanted for kind, owner in having if kind == type_}
            if owners:
                return self._only(owners, label, f"the address {value!r}")
        return missed

    def address(self, mapping: Mapping[str, str], wanted: Types) -> Resolution | None:
        """The entity whose match or attributes.address has the address, else the address itself."""
        value = _first(mapping, ADDRESS)
        if value is None:
            return None
        value = _as_address(value) or value
        anybody = not wanted or "address" in wanted  # an address is whoever has it, else itself
        found = {(type_, owner) for type_, owner in self._by_address.get(value, ()) if anybody or type_ in wanted}
        owners = {owner for _, owner in found}
        if len(owners) > 1 and {type_ for type_, _ in found} == {"pod"}:
            # The address of a pod that has ended goes to another, and both are listed.
            last_ms = max(map(self._addressed_ms, owners))
            owners = {owner for owner in owners if self._addressed_ms(owner) == last_ms}
        if owners:
            return self._only(owners, "address", "the same address")
        if anybody:
            return Resolution(f"address:{value}", "address")
        return Resolution(None, "unknown name", f"no {' or '.join(wanted)} has address {value!r}")


class _Rule(NamedTuple):
    """A default rule: the types that it can give (empty: any), and how."""

    types: Types
    apply: Callable[[Resolver, Mapping[str, str], Types], Resolution | None]

    def allows(self, type_: str) -> bool:
        return not self.types or type_ in self.types


def _named(type_: str, form: str, *label_names: Sequence[str]) -> _Rule:
    """The rule that makes an id out of labels that must all be there: `form` takes their values in order."""
    rule = "+".join(names[0] for names in label_names)

    def apply(resolver: Resolver, mapping: Mapping[str, str], wanted: Types) -> Resolution | None:
        values = []
        for names in label_names:
            value = _first(mapping, names)
            if value is None:
                return None
            values.append(value)
        return Resolution(type_ + ":" + form.format(*values), rule)

    return _Rule((type_,), apply)


_RULES = (
    _named("pod", "{}/{}", NAMESPACE, POD),
    _named("volume", "{}/{}", ("svm",), ("volume",)),
    _Rule(("volume",), Resolver.volume),
    _Rule(("vm", "node"), Resolver.machine),
    _named("consumer_group", "{}", GROUP, TOPIC),
    _named("topic", "{}", TOPIC),
    _named("job", "{}", ("job_name",)),
    _named("ingress", "{}/{}", NAMESPACE, ("ingress",)),
    _named("deployment", "{}/{}", NAMESPACE, DEPLOYMENT),
    _Rule(HOST_TYPES, Resolver.host),
    _Rule((), Resolver.address),
)


def _first(mapping: Mapping[str, str], names: Iterable[str]) -> str | None:
    for name in names:
        value = mapping.get(name)
        if value:
            return value
    return None


def _without_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):
        return value
    return host.strip("[]")


def _as_address(value: str) -> str | None:
    """The canonical text of an IP address, or the pseudonym of one, its port left off; None for anything else."""
    if not value or not (value[0].isdigit() or value[0] == "[" or ":" in value or value.startswith("addr-")):
        return None
    for text in (value, _without_port(value)):
        if is_address(text):
            return text
        try:
            return str(ip_address(text))
        except ValueError:
            continue
    return None


def match_of(attributes: Mapping[str, Any]) -> tuple[tuple[Pairs, ...], list[str]]:
    """The label sets of attributes.match, each sorted by name, and the problems found in it."""
    stated = attributes.get("match")
    if stated is None:
        return (), []
    if isinstance(stated, Mapping):
        stated = [stated]
    if not isinstance(stated, list):
        return (), [f"match is {type(stated).__name__}, allowed: a list of label sets; it is ignored"]
    found: list[Pairs] = []
    problems: list[str] = []
    for labels in stated:
        if not isinstance(labels, Mapping) or not labels:
            problems.append(f"match has {labels!r:.60}, allowed: label sets with at least one label; it is ignored")
        elif any(isinstance(value, bool) or not isinstance(value, str | int) for value in labels.values()):
            problems.append(f"match has {labels!r:.60}, allowed as values: text and whole numbers; it is ignored")
        else:
            found.append(tuple(sorted((str(name), str(value)) for name, value in labels.items())))
    return tuple(found), problems


def addresses_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of attributes.address: a text or a list of them."""
    stated = attributes.get("address")
    listed = stated if isinstance(stated, list) else [stated]
    return tuple(address for address in listed if isinstance(address, str) and address)
