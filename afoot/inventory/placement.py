"""Who stands where at one instant: chains from router to storage, tenants of volumes, scopes; without history."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from afoot.inventory.versions import ALWAYS, Row

COMPONENTS = ("router", "ingestion", "broker", "processor", "compute", "storage", "service", "network")
COMPONENT_OF_TYPE = {
    "ingress": "router",
    "deployment": "ingestion",
    "topic": "broker",
    "broker": "broker",
    "consumer_group": "service",
    "job": "processor",
    "claim": "storage",
    "persistent_volume": "storage",
    "volume": "storage",
    "aggregate": "storage",
    "vm": "compute",
    "node": "compute",
    "service": "service",
    "address": "network",
}
INHERITING_TYPES = ("pod", "container")  # their component is that of what they are part of
OWNING_TYPES = ("replicaset", "statefulset", "daemonset", "cronjob", "batch_job")  # Kubernetes' own: what pods are of
TYPES = (*COMPONENT_OF_TYPE, *INHERITING_TYPES, *OWNING_TYPES)
STORAGE_TYPES = frozenset(("claim", "persistent_volume", "volume", "aggregate"))
STORAGE_KINDS = ("mounts", "bound_to", "backed_by", "attached_to", "writes", "reads", "part_of")
KINDS = ("sends_to", "writes", "reads", "part_of", "runs_on", "mounts", "bound_to", "backed_by", "attached_to", "owns")


class Entity(NamedTuple):
    """What the inventory says of an entity; where only relations mention it, `known` is False and the id says it."""

    id: str
    type: str
    name: str
    component: str
    attributes: Mapping[str, Any]
    known: bool = True
    known_by_snapshot: bool = False  # the first snapshot showed it, so that it is taken to be older than that


class Hop(NamedTuple):
    """One entity of a chain. `position` counts from the furthest upstream (0); equal positions stand side by side."""

    entity: str
    component: str
    type: str
    position: int


class Edge(NamedTuple):
    """A relation that holds a chain together, as the inventory has it."""

    from_id: str
    to_id: str
    kind: str


class Chain(NamedTuple):
    """A victim's way from router to storage: hops by position; `own` are the victim's own pods and containers."""

    victim: str
    hops: tuple[Hop, ...]
    edges: tuple[Edge, ...]
    volumes: tuple[str, ...]
    own: tuple[str, ...]


class Tenant(NamedTuple):
    """Who does I/O on a volume. `since_ms` is None where the first snapshot showed the attachment already."""

    entity: str
    since_ms: int | None
    own_of: tuple[str, ...]  # victims whose own it is, and consumer groups of these
    known_by_snapshot: bool


class Scopes(NamedTuple):
    """Where an entity matters: victims whose chains it is in, volumes that it is or is a tenant of."""

    victims: tuple[str, ...]
    volumes: tuple[str, ...]


NOWHERE = Scopes((), ())


def derived_type(entity_id: str) -> str:
    """The type in an id `type:scope/name`, "" where there is none."""
    return entity_id.partition(":")[0] if ":" in entity_id else ""


def derived_name(entity_id: str) -> str:
    """The name in an id `type:scope/name`: what follows the type and the scope."""
    return entity_id.partition(":")[2].rpartition("/")[2] or entity_id


class Placement:
    """The inventory of one instant as a graph. Answers are computed when first asked for, and kept."""

    def __init__(
        self,
        entities: Mapping[str, Row],
        relations: Iterable[tuple[str, str, str, int]],
        deleted: AbstractSet[str] = frozenset(),
        by_snapshot: AbstractSet[str] = frozenset(),
        report: Callable[[str], None] = lambda problem: None,
    ) -> None:
        """Entity rows by id, relations (from, to, kind, since ms or ALWAYS); those of a deleted entity do not count."""
        self._rows = entities
        self._by_snapshot = by_snapshot
        self._report = report
        self._out: dict[str, dict[str, list[tuple[str, int]]]] = {}
        self._into: dict[str, dict[str, list[tuple[str, int]]]] = {}
        self.steps = 0  # relations looked at, so that tests can hold the cost of an answer to its size
        mentioned: dict[str, None] = {}
        for from_id, to_id, kind, since in _past_replica_sets(relations):
            if from_id in deleted or to_id in deleted:
                continue
            self._out.setdefault(kind, {}).setdefault(from_id, []).append((to_id, since))
            self._into.setdefault(kind, {}).setdefault(to_id, []).append((from_id, since))
            mentioned[from_id] = mentioned[to_id] = None
        for by_kind in (self._out, self._into):
            for neighbours in by_kind.values():
                for ends in neighbours.values():
                    if len(ends) > 1:
                        ends.sort()
        self._mentioned = mentioned
        self._entities: dict[str, Entity] = {}
        self._types: dict[str, str] = {}
        self._components: dict[str, str] = {}
        self._claims: dict[tuple[str, bool], dict[str, int]] = {}
        self._chains: dict[str, Chain] = {}
        self._tenants: dict[str, dict[str, Tenant]] = {}
        self._victims: dict[str, None] | None = None
        self._in_chains: dict[str, list[str]] = {}
        self._scopes: dict[str, Scopes] = {}

    # Entities

    def entity(self, entity_id: str) -> Entity | None:
        """The entity, derived from its id where only relations mention it; None if nothing does."""
        found = self._entities.get(entity_id)
        if found is None and (entity_id in self._rows or entity_id in self._mentioned):
            row = self._rows.get(entity_id, {})
            found = self._entities[entity_id] = Entity(
                entity_id,
                self.type(entity_id),
                row.get("name") or derived_name(entity_id),
                self.component(entity_id),
                row.get("attributes") or {},
                entity_id in self._rows,
                entity_id in self._by_snapshot,
            )
        return found

    def type(self, entity_id: str) -> str:
        """The type by the entity's row, else by its id."""
        found = self._types.get(entity_id)
        if found is None:
            row = self._rows.get(entity_id)
            found = self._types[entity_id] = (row and row.get("type")) or derived_type(entity_id)
        return found

    def component(self, entity_id: str) -> str:
        """The component by the entity's row, else by its type; a pod's and a container's by what they are part of."""
        found = self._components.get(entity_id)
        if found is None:
            found = self._components[entity_id] = self._derived_component(entity_id)
        return found

    def _derived_component(self, entity_id: str) -> str:
        seen = {entity_id}
        ahead = deque([entity_id])
        while ahead:
            at = ahead.popleft()
            found = self._rows.get(at, {}).get("component") or COMPONENT_OF_TYPE.get(self.type(at))
            if found:
                return str(found)
            owners = [owner for owner in self._to(at, "part_of") if owner not in seen]
            owners.sort(key=lambda owner: self.type(owner) != "job")  # a job's pod may be a deployment's as well
            seen.update(owners)
            ahead += owners
        # A pod of nobody known is somebody's load; of a type that nobody knows nothing can be said but that it serves.
        return "compute" if self.type(entity_id) in (*INHERITING_TYPES, *OWNING_TYPES) else "service"

    def _is_storage(self, entity_id: str) -> bool:
        return self.type(entity_id) in STORAGE_TYPES

    # Victims and their chains

    def victims(self) -> tuple[str, ...]:
        """The jobs; consumer groups in no job's chain; deployments and services that data flows to, in no chain."""
        return tuple(self._all_chains())

    def chain(self, victim: str) -> Chain:
        """The chain of any entity as the victim; of one that nothing mentions, a chain of no hops."""
        found = self._chains.get(victim)
        if found is None:
            found = self._chains[victim] = self._walk(victim)
        return found

    def _all_chains(self) -> dict[str, None]:
        if self._victims is not None:
            return self._victims
        victims: dict[str, None] = {}
        by_type: dict[str, list[str]] = defaultdict(list)
        for entity_id in {**self._mentioned, **dict.fromkeys(self._rows)}:
            by_type[self.type(entity_id)].append(entity_id)
        for types in (("job",), ("consumer_group",), ("deployment", "service")):
            candidates = sorted(entity_id for type_ in types for entity_id in by_type[type_])
            rank = [c for c in candidates if c not in self._in_chains and (types == ("job",) or self._sources(c))]
            for victim in rank:
                victims[victim] = None
                for hop in self.chain(victim).hops:
                    self._in_chains.setdefault(hop.entity, []).append(victim)
        self._victims = victims
        return victims

    def _walk(self, victim: str) -> Chain:
        if victim not in self._rows and victim not in self._mentioned:
            return Chain(victim, (), (), (), ())
        offsets: dict[str, int] = {}  # upstream is negative, storage positive
        edges: dict[Edge, None] = {}
        own = self._place(victim, 0, offsets, edges)
        # Upstream, a distance at a time, so that each entity stands at its shortest distance.
        frontier, distance = list(own), 0
        while frontier:
            distance -= 1
            following: list[str] = []
            for entity_id in frontier:
                for source, edge in self._sources(entity_id):
                    edges[edge] = None
                    if source not in offsets:
                        following += self._place(source, distance, offsets, edges)
            frontier = following
        self._place_storage(own, offsets, edges)
        first = min(offsets.values())
        hops = [
            Hop(entity_id, self.component(entity_id), self.type(entity_id), offset - first)
            for entity_id, offset in offsets.items()
        ]
        hops.sort(key=lambda hop: (hop.position, _rank(hop.component), hop.entity))
        self._report_cycles(edges)
        return Chain(
            victim,
            tuple(hops),
            tuple(edges),
            tuple(hop.entity for hop in hops if hop.type == "volume"),
            tuple(sorted(member for member in own if member != victim and self.type(member) in INHERITING_TYPES)),
        )

    def _place(
        self, entity_id: str, offset: int, offsets: dict[str, int], edges: dict[Edge, None], whole: bool = True
    ) -> list[str]:
        """Place an entity with all that is part of it, brokers and nodes; returns those that data may come to.

        With `whole`, what it is part of comes too, with its other parts: of a pod that writes a topic the deployment.
        """
        placed: list[str] = []
        ahead = deque([(entity_id, whole, True)])
        while ahead:
            at, whole, is_fed = ahead.popleft()
            if at in offsets:
                continue
            offsets[at] = offset
            if is_fed:
                placed.append(at)
            for member in self._from(at, "part_of"):
                if not self._is_storage(member):
                    edges[Edge(member, at, "part_of")] = None
                    ahead.append((member, False, is_fed))
            for owner in self._to(at, "part_of"):
                if whole and not self._is_storage(owner):
                    edges[Edge(at, owner, "part_of")] = None
                    ahead.append((owner, True, is_fed))
                elif self.type(owner) == "deployment":
                    # Heard for its ready members; what else is part of it may be another victim's.
                    edges[Edge(at, owner, "part_of")] = None
                    offsets.setdefault(owner, offset)
            for broker in self._from(at, "owns"):
                edges[Edge(broker, at, "owns")] = None
                ahead.append((broker, False, False))
            for node in self._to(at, "runs_on"):
                edges[Edge(at, node, "runs_on")] = None
                offsets.setdefault(node, offset)
        return placed

    def _sources(self, entity_id: str) -> list[tuple[str, Edge]]:
        """Whom data comes from, with the relation that says so."""
        reads = self._to(entity_id, "reads")
        found = [(topic, Edge(entity_id, topic, "reads")) for topic in reads if not self._is_storage(topic)]
        found += [(sender, Edge(sender, entity_id, "sends_to")) for sender in self._from(entity_id, "sends_to")]
        if not self._is_storage(entity_id):
            found += [(writer, Edge(writer, entity_id, "writes")) for writer in self._from(entity_id, "writes")]
        return found

    def _place_storage(self, own: Iterable[str], offsets: dict[str, int], edges: dict[Edge, None]) -> None:
        ahead: deque[tuple[str, int]] = deque()
        nodes: dict[str, None] = {}
        for member in own:
            ahead.append((member, 0))
            nodes.update(dict.fromkeys(self._to(member, "runs_on")))
        for node in nodes:
            for volume in self._to(node, "attached_to"):
                # A node carries the volumes of all its pods; one that pods claim is theirs, and not every neighbour's.
                if self._is_storage(volume) and not self._claimants(volume):
                    edges[Edge(node, volume, "attached_to")] = None
                    if volume not in offsets:
                        offsets[volume] = 1
                        ahead.append((volume, 1))
        while ahead:
            at, offset = ahead.popleft()
            for kind in STORAGE_KINDS:
                for storage in self._to(at, kind):
                    if self._is_storage(storage):
                        edges[Edge(at, storage, kind)] = None
                        if storage not in offsets:
                            offsets[storage] = offset + 1
                            ahead.append((storage, offset + 1))

    def _report_cycles(self, edges: Iterable[Edge]) -> None:
        flow: dict[str, list[str]] = defaultdict(list)
        parts: dict[str, list[str]] = defaultdict(list)
        storage: dict[str, list[str]] = defaultdict(list)
        for from_id, to_id, kind in edges:
            if self._is_storage(to_id):
                storage[from_id].append(to_id)
            elif kind == "part_of":
                parts[from_id].append(to_id)
            elif kind == "reads":
                flow[to_id].append(from_id)
            elif kind in ("writes", "sends_to"):
                flow[from_id].append(to_id)
        for ahead in (flow, parts, storage):
            cycle = find_cycle(ahead)
            if cycle:
                path = " -> ".join(repr(entity_id)[1:-1] for entity_id in cycle)
                self._report(f"relations form a cycle: {path}; each is placed once, at its shortest distance")

    # Volumes and their tenants

    def tenants(self, volume: str) -> tuple[Tenant, ...]:
        """All that do I/O on a volume, by id: attached to it, or with claims that end there; not the nodes of these."""
        return tuple(self._tenants_of(volume).values())

    def tenant(self, entity_id: str, volume: str) -> Tenant | None:
        """The entity as a tenant of the volume, None if it is none."""
        return self._tenants_of(volume).get(entity_id)

    def wholes_of(self, entity_id: str) -> tuple[str, ...]:
        """What an entity is part of, and what that is part of, the nearest first."""
        found: dict[str, None] = {}
        ahead = deque([entity_id])
        while ahead:
            for whole in self._to(ahead.popleft(), "part_of"):
                if whole != entity_id and whole not in found:
                    found[whole] = None
                    ahead.append(whole)
        return tuple(found)

    def volumes_of(self, entity_id: str) -> tuple[str, ...]:
        """The volumes that an entity is, or is a tenant of."""
        found: set[str] = set()
        if self._is_storage(entity_id):
            if self.type(entity_id) == "volume":
                found.add(entity_id)
        else:
            seen, ahead = {entity_id}, [entity_id]
            while ahead:
                at = ahead.pop()
                for kind in STORAGE_KINDS:
                    for storage in self._to(at, kind):
                        if storage not in seen and self._is_storage(storage):
                            seen.add(storage)
                            ahead.append(storage)
            found.update(s for s in seen if self.type(s) == "volume" and entity_id in self._tenants_of(s))
        return tuple(sorted(found))

    def _tenants_of(self, volume: str) -> dict[str, Tenant]:
        found = self._tenants.get(volume)
        if found is None:
            began = self._claimants(volume, direct=True)
            nodes_of_claims = {node for claimant in self._claimants(volume) for node in self._to(claimant, "runs_on")}
            victims = self._all_chains()
            found = self._tenants[volume] = {
                entity_id: Tenant(
                    entity_id,
                    None if since == ALWAYS else since,
                    tuple(sorted(self._victims_owning(entity_id, victims))),
                    since == ALWAYS,
                )
                for entity_id, since in sorted(began.items())
                if entity_id not in nodes_of_claims
            }
        return found

    def _claimants(self, storage: str, direct: bool = False) -> dict[str, int]:
        """Who uses a piece of storage, and since when; without `direct` no nodes and machines."""
        if (storage, direct) in self._claims:
            return self._claims[storage, direct]
        best: dict[str, int] = {storage: ALWAYS}
        ahead = deque([storage])
        found: dict[str, int] = {}
        self._claims[storage, direct] = found
        while ahead:
            at = ahead.popleft()
            for kind in STORAGE_KINDS:
                for user, since in self._ends(self._into, at, kind):
                    path_since = max(best[at], since)  # a path holds since its last relation does
                    is_storage = self._is_storage(user)
                    known = (best if is_storage else found).get(user)
                    if known is not None and known <= path_since:
                        continue
                    if is_storage:
                        best[user] = path_since
                        ahead.append(user)
                    elif direct or self.type(user) not in ("node", "vm"):
                        found[user] = path_since
        return found

    def _victims_owning(self, entity_id: str, victims: Mapping[str, None]) -> set[str]:
        """The victims whose own an entity is; a job's consumer groups may stand in for it."""
        owners = self._owners(entity_id) & victims.keys()
        parts = {part for owner in owners if self.type(owner) == "job" for part in self._from(owner, "part_of")}
        return owners | {part for part in parts if self.type(part) == "consumer_group"}

    def _owners(self, entity_id: str) -> set[str]:
        """The entity and all it is part of; of a node, what its pods are part of."""
        ahead = [entity_id, *self._from(entity_id, "runs_on")]
        seen: set[str] = set()
        while ahead:
            at = ahead.pop()
            if at not in seen:
                seen.add(at)
                ahead += self._to(at, "part_of")
        return seen

    # Scopes

    def scopes(self, entity_id: str) -> Scopes:
        """The victims whose chains the entity is in, and the volumes that it is or is a tenant of."""
        found = self._scopes.get(entity_id)
        if found is None:
            if entity_id not in self._rows and entity_id not in self._mentioned:
                return NOWHERE
            self._all_chains()
            victims = tuple(sorted(self._in_chains.get(entity_id, ())))
            found = self._scopes[entity_id] = Scopes(victims, self.volumes_of(entity_id))
        return found

    # Neighbours

    def _ends(
        self, by_kind: dict[str, dict[str, list[tuple[str, int]]]], entity_id: str, kind: str
    ) -> list[tuple[str, int]]:
        neighbours = by_kind.get(kind)
        found = neighbours.get(entity_id, []) if neighbours is not None else []
        self.steps += len(found)
        return found

    def _to(self, entity_id: str, kind: str) -> list[str]:
        return [end for end, _ in self._ends(self._out, entity_id, kind)]

    def _from(self, entity_id: str, kind: str) -> list[str]:
        return [end for end, _ in self._ends(self._into, entity_id, kind)]


def _past_replica_sets(relations: Iterable[tuple[str, str, str, int]]) -> Iterable[tuple[str, str, str, int]]:
    """What a replica set of a deployment has is the deployment's: Kubernetes puts it between that and its pods."""
    listed = list(relations)
    owners = {
        from_id: (to_id, since)
        for from_id, to_id, kind, since in listed
        if kind == "part_of" and from_id.startswith("replicaset:")
    }
    if not owners:
        return listed
    return [
        (from_id, owners[to_id][0], kind, max(since, owners[to_id][1]))
        if kind == "part_of" and to_id in owners
        else (from_id, to_id, kind, since)
        for from_id, to_id, kind, since in listed
        if kind != "part_of" or from_id not in owners
    ]


def find_cycle(ahead: Mapping[str, Iterable[str]]) -> list[str]:
    """One cycle of a directed graph, from its least entity to that entity again; [] if there is none."""
    done: set[str] = set()
    for start in ahead:
        if start in done:
            continue
        path = [start]
        on_path = {start: 0}
        branches = [iter(ahead.get(start, ()))]
        while branches:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                left = path.pop()
                del on_path[left]
                done.add(left)
            elif following in on_path:
                cycle = path[on_path[following] :]
                first = cycle.index(min(cycle))
                return [*cycle[first:], *cycle[:first], cycle[first]]
            elif following not in done:
                on_path[following] = len(path)
                path.append(following)
                branches.append(iter(ahead.get(following, ())))
    return []


def _rank(component: str) -> int:
    return COMPONENTS.index(component) if component in COMPONENTS else len(COMPONENTS)
