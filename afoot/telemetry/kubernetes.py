"""What Kubernetes says of itself as rows of the inventory: series of kube-state-metrics, objects of its API, Events.

Each is read for itself. Series name no deletion, and each scrape has them all; pulled objects are the same; a watch of
objects tells of deletions; Events tell of a few changes, in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from afoot.telemetry.payload import shown
from afoot.telemetry.rows import InventoryChange
from afoot.telemetry.statements import Settings, Statement
from afoot.telemetry.values import Malformed, Refused, rfc3339_ns

SERIES_HOLD_MS = 5 * 60_000  # ten scrapes of half a minute
OBJECTS_HOLD_MS = 3 * 3_600_000  # three pulls: the receiver's default is one an hour
EVENTS_HOLD_MS = 6 * 3_600_000
OWNERS = {  # kinds that own pods, or what owns pods, by the type that their ids have
    "Deployment": "deployment",
    "ReplicaSet": "replicaset",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "Job": "batch_job",  # a `job` streams: this one ends
    "CronJob": "cronjob",
}
_MS = 1_000_000
_AWS = re.compile(r"aws:///?[^/]*/((?:i|vol)-[0-9a-z]+)")  # how a provider's id names an instance, and an old volume
_Names = Mapping[str, str]
_Read = Callable[[Statement, str, dict[str, Any], Settings], None]


# ---- kube-state-metrics ----------------------------------------------------------------------------------------------


def says(series: str) -> bool:
    """Whether a series of this name tells of an entity."""
    return series in _SERIES


def series_changes(series: str, labels: Mapping[str, str], time_ms: int, settings: Settings) -> list[InventoryChange]:
    """The rows that a sample of a series is: whatever its value, what its labels name is there. Refused if they do not.

    A Prometheus that keeps its own labels calls those of kube-state-metrics exported_namespace and so on.
    """
    named = {**labels, **{name[9:]: value for name, value in labels.items() if name.startswith("exported_")}}
    cluster = settings.cluster_of(labels)
    said = Statement(time_ms, _source(cluster), settings.expires_ms or SERIES_HOLD_MS, cluster)
    _SERIES[series](said, named, settings)
    return said.rows


def _pod_info(said: Statement, labels: _Names, settings: Settings) -> None:
    pod = _id(said, "pod", labels, "namespace", "pod")
    # A pod on the host's network has the node's address: it would make two of one address.
    address = labels.get("pod_ip", "") if labels.get("host_network") != "true" else ""
    known_by = _known_by(said, settings, "pod", labels.get("namespace", ""), labels["pod"], labels.get("uid"))
    said.entity(pod, labels["pod"], {**known_by, **_addresses([address])})
    if labels.get("node"):
        said.relation(pod, "runs_on", said.id("node", labels["node"]), only=True)
    _owned(said, pod, labels, "created_by_kind", "created_by_name")


def _owner_of(type_: str, label: str) -> Callable[[Statement, _Names, Settings], None]:
    def read(said: Statement, labels: _Names, settings: Settings) -> None:
        _owned(said, _id(said, type_, labels, "namespace", label), labels, "owner_kind", "owner_name")

    return read


def _owned(said: Statement, owned: str, labels: _Names, kind: str, name: str) -> None:
    if labels.get(kind) in OWNERS and labels.get(name):
        said.relation(owned, "part_of", said.id(OWNERS[labels[kind]], labels["namespace"], labels[name]))


def _mount(said: Statement, labels: _Names, settings: Settings) -> None:
    pod = _id(said, "pod", labels, "namespace", "pod")
    said.relation(pod, "mounts", _id(said, "claim", labels, "namespace", "persistentvolumeclaim"))


def _claim_info(said: Statement, labels: _Names, settings: Settings) -> None:
    claim = _id(said, "claim", labels, "namespace", "persistentvolumeclaim")
    said.entity(claim, labels["persistentvolumeclaim"])
    if labels.get("volumename"):
        said.relation(claim, "bound_to", said.id("persistent_volume", labels["volumename"]), only=True)


def _volume_info(said: Statement, labels: _Names, settings: Settings) -> None:
    persistent = _id(said, "persistent_volume", labels, "persistentvolume")
    said.entity(persistent, labels["persistentvolume"])
    handle = labels.get("csi_volume_handle") or _cloud_id(labels.get("ebs_volume_id", ""))
    if handle:
        said.relation(persistent, "backed_by", settings.volume_of(handle), only=True)


def _node_info(said: Statement, labels: _Names, settings: Settings) -> None:
    node = _id(said, "node", labels, "node")
    said.entity(node, labels["node"], _machine(labels.get("provider_id", ""), labels.get("internal_ip", "")))


def _there(type_: str, label: str) -> Callable[[Statement, _Names, Settings], None]:
    def read(said: Statement, labels: _Names, settings: Settings) -> None:
        own = _id(said, type_, labels, "namespace", label)
        said.entity(own, labels[label], _known_by(said, settings, type_, labels.get("namespace", ""), labels[label]))

    return read


def _service_info(said: Statement, labels: _Names, settings: Settings) -> None:
    service = _id(said, "service", labels, "namespace", "service")
    said.entity(service, labels["service"], _addresses([labels.get("cluster_ip", "")]))


def _cronjob_info(said: Statement, labels: _Names, settings: Settings) -> None:
    cronjob = _id(said, "cronjob", labels, "namespace", "cronjob")
    said.entity(cronjob, labels["cronjob"])
    if labels.get("schedule"):
        said.schedule(cronjob, labels["schedule"], _zone(labels.get("timezone")))


_SERIES: dict[str, Callable[[Statement, _Names, Settings], None]] = {
    "kube_pod_info": _pod_info,
    "kube_pod_owner": _owner_of("pod", "pod"),
    "kube_pod_spec_volumes_persistentvolumeclaims_info": _mount,
    "kube_replicaset_owner": _owner_of("replicaset", "replicaset"),
    "kube_job_owner": _owner_of("batch_job", "job_name"),
    "kube_persistentvolumeclaim_info": _claim_info,
    "kube_persistentvolume_info": _volume_info,
    "kube_node_info": _node_info,
    "kube_service_info": _service_info,
    "kube_cronjob_info": _cronjob_info,
    **{
        f"kube_{kind}_{series}": _there(kind, kind)
        for kind in ("deployment", "statefulset", "daemonset")
        for series in ("created", "labels")
    },
}
SERIES = tuple(_SERIES)


# ---- objects ---------------------------------------------------------------------------------------------------------


def objects(found: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a document, each with what happened to it: a watch's type, "" for one that was read or pulled."""
    if isinstance(found.get("object"), dict):
        yield str(found.get("type") or ""), found["object"]
    elif isinstance(found.get("items"), list):
        kind = str(found.get("kind") or "").removesuffix("List")  # a list's items need not repeat it
        for item in found["items"]:
            yield "", {"kind": kind, **item} if isinstance(item, dict) else item
    else:
        yield "", dict(found)


def object_changes(
    happened: str, found: Any, time_ms: int, settings: Settings, labels: Mapping[str, Any]
) -> list[InventoryChange]:
    """The rows that an object is, observed at `time_ms`; one that was ADDED is as old as it says.

    `labels` may name the cluster. Refused for kinds that the inventory has no place for.
    """
    if not isinstance(found, dict):
        raise Malformed(f"found {shown(found)}; an object of Kubernetes is expected")
    if happened in ("PullEnd", "BOOKMARK"):
        return []
    kind = found.get("kind")
    cluster = settings.cluster_of(labels)
    if kind == "Event" or (kind is None and ("involvedObject" in found or "regarding" in found)):
        return [] if happened == "DELETED" else _event_changes(found, cluster, time_ms, settings)
    if happened not in ("", "ADDED", "MODIFIED", "DELETED"):
        raise Malformed(f"type is {shown(happened)}; ADDED, MODIFIED and DELETED are known")
    read = _OBJECTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise Malformed(f"kind is {shown(kind)}; {', '.join(_OBJECTS)} and Event are known")
    meta = _part(found, "metadata")
    created_ms = time_ms
    if happened == "ADDED" and meta.get("creationTimestamp"):
        created_ms = min(time_ms, rfc3339_ns(meta["creationTimestamp"], "metadata.creationTimestamp") // _MS)
    holds_ms = None if happened else settings.expires_ms or OBJECTS_HOLD_MS
    rows = []
    # It was there since it was made, and is now: an older one of its name may have been deleted in between.
    for at_ms in dict.fromkeys((created_ms, time_ms)):
        said = Statement(at_ms, _source(cluster), holds_ms, cluster)
        _say(said, happened, kind, read, found, settings)
        rows += said.rows
    return rows


def _say(said: Statement, happened: str, kind: Any, read: _Read, found: dict[str, Any], settings: Settings) -> None:
    meta = _part(found, "metadata")
    own = said.id(_TYPES[str(kind)], meta.get("namespace") or "", _text(meta, "name"))
    if happened == "DELETED":
        said.gone("entity", id=own)
        if kind == "CronJob":
            said.gone("schedule", id=own)
    else:
        read(said, own, found, settings)


def _pod(said: Statement, pod: str, found: dict[str, Any], settings: Settings) -> None:
    meta, spec, status = _part(found, "metadata"), _part(found, "spec"), _part(found, "status")
    namespace, name = meta.get("namespace") or "", _text(meta, "name")
    relations = _owners(said, meta)
    if spec.get("nodeName"):
        relations.append((said.id("node", spec["nodeName"]), "runs_on"))
    relations += _mounts(said, namespace, name, spec)
    address = "" if spec.get("hostNetwork") else status.get("podIP") or ""
    known_by = _known_by(said, settings, "pod", namespace, name, meta.get("uid"))
    said.entity(pod, name, {**known_by, **_addresses([address])}, relations)


def _mounts(said: Statement, namespace: str, pod: str, spec: dict[str, Any]) -> list[tuple[str, str]]:
    """The claims that a pod's specification mounts; those that are made with a pod have its name in theirs."""
    found = []
    for volume in _list(spec, "volumes"):
        claimed = _part(volume, "persistentVolumeClaim").get("claimName")
        if claimed is None and pod and volume.get("ephemeral"):
            claimed = f"{pod}-{_text(volume, 'name')}"
        if claimed:
            found.append((said.id("claim", namespace, claimed), "mounts"))
    return found


def _claim(said: Statement, claim: str, found: dict[str, Any], settings: Settings) -> None:
    volume = _part(found, "spec").get("volumeName")
    relations = [(said.id("persistent_volume", volume), "bound_to")] if volume else []
    said.entity(claim, _name(found), None, relations)


def _persistent_volume(said: Statement, persistent: str, found: dict[str, Any], settings: Settings) -> None:
    spec = _part(found, "spec")
    handle = _part(spec, "csi").get("volumeHandle") or _cloud_id(
        _part(spec, "awsElasticBlockStore").get("volumeID") or ""
    )
    if handle is not None and type(handle) is not str:
        raise Malformed(f"spec.csi.volumeHandle is {shown(handle)}; text is expected")
    said.entity(persistent, _name(found), None, [(settings.volume_of(handle), "backed_by")] if handle else [])


def _node(said: Statement, node: str, found: dict[str, Any], settings: Settings) -> None:
    listed = _list(_part(found, "status"), "addresses")
    internal = [one.get("address") for one in listed if isinstance(one, dict) and one.get("type") == "InternalIP"]
    provider = _part(found, "spec").get("providerID") or ""
    said.entity(node, _name(found), _machine(provider, *internal))


def _service(said: Statement, service: str, found: dict[str, Any], settings: Settings) -> None:
    said.entity(service, _name(found), _addresses([_part(found, "spec").get("clusterIP") or ""]))


def _cronjob(said: Statement, cronjob: str, found: dict[str, Any], settings: Settings) -> None:
    spec = _part(found, "spec")
    template = _part(_part(_part(_part(spec, "jobTemplate"), "spec"), "template"), "spec")
    namespace = _part(found, "metadata").get("namespace") or ""
    said.entity(cronjob, _name(found), None, _mounts(said, namespace, "", template))
    if spec.get("suspend"):
        said.gone("schedule", id=cronjob)
        return
    words = [
        word
        for container in _list(template, "containers")[:1]
        for part in ("command", "args")
        for word in _list(container, part)
        if isinstance(word, str)
    ]
    said.schedule(cronjob, _text(spec, "schedule"), _zone(spec.get("timeZone")), " ".join(words)[:1_000])


def _other(said: Statement, own: str, found: dict[str, Any], settings: Settings) -> None:
    meta = _part(found, "metadata")
    type_, namespace, name = own.partition(":")[0], meta.get("namespace") or "", _name(found)
    said.entity(own, name, _known_by(said, settings, type_, namespace, name), _owners(said, meta))


def _owners(said: Statement, meta: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (said.id(OWNERS[owner["kind"]], meta.get("namespace") or "", _text(owner, "name")), "part_of")
        for owner in _list(meta, "ownerReferences")
        if isinstance(owner, dict) and owner.get("kind") in OWNERS
    ]


_OBJECTS: dict[str, _Read] = {
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _persistent_volume,
    "Node": _node,
    "Service": _service,
    "CronJob": _cronjob,
    **dict.fromkeys(("Job", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Ingress"), _other),
}
KINDS = tuple(_OBJECTS)
_TYPES = {
    **OWNERS,
    "Pod": "pod",
    "PersistentVolumeClaim": "claim",
    "PersistentVolume": "persistent_volume",
    "Node": "node",
    "Service": "service",
    "Ingress": "ingress",
}


# ---- Events ----------------------------------------------------------------------------------------------------------

_TIMES = ("lastTimestamp", "deprecatedLastTimestamp", "eventTime")
# What controllers write: Created pod: x; Deleted job x; create Pod x in StatefulSet y successful.
_MADE = re.compile(r"(created?|deleted?) (pod|job):? ([a-z0-9.-]+)(?: |$)", re.IGNORECASE)
_MADE_TYPES = {"pod": "pod", "job": "batch_job"}


def _event_changes(event: dict[str, Any], cluster: str, time_ms: int, settings: Settings) -> list[InventoryChange]:
    about = _part(event, "involvedObject") or _part(event, "regarding")
    kind, reason = about.get("kind"), event.get("reason")
    stated = next((event[name] for name in _TIMES if event.get(name)), None)
    if stated is not None:
        time_ms = min(time_ms, rfc3339_ns(stated, "lastTimestamp") // _MS)
    said = Statement(time_ms, _source(cluster), settings.expires_ms or EVENTS_HOLD_MS, cluster)
    namespace = about.get("namespace") or ""
    if kind == "Pod":
        # A kubelet speaks of the pods of its own node only.
        node = _kubelet(event)
        if node:
            said.relation(said.id("pod", namespace, _text(about, "name")), "runs_on", said.id("node", node), only=True)
    elif kind in OWNERS and reason in ("SuccessfulCreate", "SuccessfulDelete"):
        made = _MADE.match(str(event.get("message") or event.get("note") or ""))
        if made:
            owned = said.id(_MADE_TYPES[made[2].lower()], namespace, made[3])
            if made[1].lower().startswith("create"):
                owner = said.id(OWNERS[str(kind)], namespace, _text(about, "name"))
                # It was not there before, though this may be the first that its source says.
                before = Statement(time_ms - 1, _source(cluster), None, cluster)
                before.gone("entity", id=owned)
                before.gone("relation", from_id=owned, to_id=owner, kind="part_of")
                said.entity(owned, made[3])
                said.relation(owned, "part_of", owner)
                return before.rows + said.rows
            said.gone("entity", id=owned)
    return said.rows


def _kubelet(event: dict[str, Any]) -> str:
    for part in ("source", "deprecatedSource"):
        sender = _part(event, part)
        if sender.get("component") == "kubelet" and sender.get("host"):
            return _text(sender, "host")
    if event.get("reportingComponent") == "kubelet" or event.get("reportingController") == "kubelet":
        return str(event.get("reportingInstance") or "")
    return ""


# ---- what these share ------------------------------------------------------------------------------------------------


def _source(cluster: str) -> str:
    """Series, objects and Events of a cluster are one source: what a watch sees deleted, a scrape had a moment ago."""
    return f"kubernetes {cluster}" if cluster else "kubernetes"


def _id(said: Statement, type_: str, labels: _Names, *names: str) -> str:
    for name in names[-1:]:
        if not labels.get(name):
            raise Refused(f"label {name!r} is missing; it names the {type_}")
    return said.id(type_, *(labels.get(name, "") for name in names))


def _known_by(
    said: Statement, settings: Settings, type_: str, namespace: str, name: str, uid: Any = None
) -> dict[str, Any]:
    """attributes.match: the uid, which tells it from others of its name; its names, where a cluster is part of its id.

    Without clusters the catalogue's default rules find it by its names.
    """
    match: list[dict[str, str]] = []
    if type(uid) is str and uid:
        match.append({f"k8s.{type_}.uid": uid})
    if said.cluster:
        cluster = {settings.cluster: said.cluster}
        match.append({**cluster, "namespace": namespace, type_: name})
        match.append({**cluster, "k8s.namespace.name": namespace, f"k8s.{type_}.name": name})
    return {"match": match} if match else {}


def _machine(provider: Any, *addresses: Any) -> dict[str, Any]:
    instance = _cloud_id(provider) if type(provider) is str and provider.startswith("aws:") else ""
    match = [{"InstanceId": instance}, {"host.id": instance}] if instance else []
    return {**({"match": match} if match else {}), **_addresses(addresses)}


def _addresses(addresses: Any) -> dict[str, Any]:
    found = [address for address in addresses if type(address) is str and address not in ("", "None")]
    return {"address": found} if found else {}


def _cloud_id(text: str) -> str:
    if type(text) is not str:
        raise Malformed(f"a volume's id is {shown(text)}; text is expected")
    match = _AWS.fullmatch(text)
    return match[1] if match else text


def _zone(sent: Any) -> str:
    """A time zone; `local`, which is what kube-state-metrics has for none, is the controller's: UTC as a rule."""
    return sent if type(sent) is str and sent not in ("", "local") else "UTC"


def _part(found: Any, key: str) -> dict[str, Any]:
    part = found.get(key) if isinstance(found, dict) else None
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise Malformed(f"{key} is {shown(part)}; an object is expected")
    return part


def _list(found: Any, key: str) -> list[Any]:
    part = found.get(key) if isinstance(found, dict) else None
    if part is None:
        return []
    if not isinstance(part, list):
        raise Malformed(f"{key} is {shown(part)}; an array is expected")
    return part


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if type(value) is not str or not value:
        raise Malformed(f"{key} is {shown(value)}; text is expected")
    return value


def _name(found: dict[str, Any]) -> str:
    return _text(_part(found, "metadata"), "name")
