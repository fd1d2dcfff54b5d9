"""Several sources of one inventory: what one says no longer, or deletes, is its own word; what holds for a time."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from afoot.inventory.graph import Graph
from afoot.inventory.sources import Leases, heard_in
from afoot.inventory.versions import Table
from afoot.telemetry.rows import InventoryChange, Labels
from tests.inventory.changes import BACKUP, JOB, VOLUME, deleted, entity, graph, main_case, relation, schedule
from tests.inventory.test_readings import end_of_all, poll, snapshot, there

HOLDS_MS = 300_000
POD, OLD, NEW = "pod:streaming/tm-0", "pod:uid/old", "pod:uid/new"
X, Y, Z = "vm:x", "vm:y", "vm:z"


def by(topic: str, *changes: InventoryChange) -> list[InventoryChange]:
    return [heard_in(topic, change) for change in changes]


def held(*changes: InventoryChange, at_ms: int | None = None, holds_ms: int = HOLDS_MS) -> list[InventoryChange]:
    """Changes as a source says them that says them again and again."""
    return [
        change._replace(source="kube", holds_ms=holds_ms, time_ms=change.time_ms if at_ms is None else at_ms)
        for change in changes
    ]


def say(made: Graph, *changes: InventoryChange) -> None:
    """Changes of a window, and then what they let run out."""
    for change in changes:
        made.apply(change)
    for change in made.expired():
        made.apply(change)


def name(made: Graph, entity_id: str, at_ms: int) -> str | None:
    found = made.entity(entity_id, at_ms)
    return found.name if found else None


# ---- no source deletes what another says -----------------------------------------------------------------------------


@pytest.mark.parametrize("read", [poll, snapshot])
def test_a_reading_of_one_source_deletes_nothing_of_another(read: Any) -> None:
    made = graph(*by("cdc", *read(100, X, Y)), *by("kube", entity(Z, 150)), *by("cdc", *read(200, X)))
    assert there(made, 200) == [X, Z]
    for change in by("cdc", *poll(300)):
        made.apply(change)
    assert there(made, 300) == [Z]


def test_the_end_of_a_snapshot_empties_no_table_of_another_source() -> None:
    made = graph(
        *by("kube", schedule("s1", X, "1 * * * *", 50)),
        *by("cdc", *snapshot(100, X, Y), end_of_all(100), *snapshot(200, X), end_of_all(200)),
    )
    assert there(made, 200) == [X]
    assert [found.id for found in made.schedules(X, 200)] == ["s1"]


def test_changes_of_another_source_do_not_break_a_snapshot_off() -> None:
    changes = by("cdc", *snapshot(100, X, Y, Z), end_of_all(100), *snapshot(200, X, Y), end_of_all(200))
    for place in range(len(changes)):
        made = graph(*changes[:place], *by("kube", entity("vm:other", 900)), *changes[place:])
        assert there(made, 200) == [X, Y]


def test_what_two_sources_have_is_there_until_both_have_not() -> None:
    made = graph(
        *by("a", entity(X, 100), relation(X, "attached_to", VOLUME, 100)),
        *by("b", entity(X, 150), relation(X, "attached_to", VOLUME, 150)),
        *by("a", deleted("entity", X, at=200), deleted("relation", X, VOLUME, "attached_to", at=200)),
        *by("b", deleted("entity", X, at=300)),
    )
    assert [name(made, X, at_ms) for at_ms in (99, 100, 200, 299, 300)] == [None, "x", "x", "x", None]
    assert [made.attached_since(X, VOLUME, at_ms) for at_ms in (180, 250)] == [100, 150]
    assert made.tenants(VOLUME, 300) == ()  # b has the relation, of an entity that is deleted


def test_columns_are_of_the_source_that_keeps_tables_and_labels_of_all() -> None:
    made = graph(
        *held(entity(POD, 100, name="kube's", attributes={"match": [{"uid": "u"}], "address": "10.0.0.9", "a": 1})),
        *by("z", entity(POD, 200, component="processor", attributes={"match": [{"app": "tm"}], "a": 2})),
    )
    found = made.entity(POD, 200)
    assert found is not None
    assert (found.name, found.component, found.attributes["a"]) == ("kube's", "processor", 2)
    for labels in ({"uid": "u"}, {"app": "tm"}, {"address": "10.0.0.9"}):
        assert made.resolve(Labels.of(labels), (), 200) == POD


# ---- what holds for a time -------------------------------------------------------------------------------------------


def scrape(at_ms: int, *ids: str) -> list[InventoryChange]:
    return held(*(entity(one) for one in ids), at_ms=at_ms)


def test_what_a_source_goes_on_without_is_gone_after_its_time() -> None:
    made = Graph()
    for at_ms in range(0, 1_000_000, 30_000):
        say(made, *scrape(at_ms, X, Y) if at_ms <= 300_000 else scrape(at_ms, X))
    assert there(made, 599_999) == [X, Y]
    assert there(made, 600_000) == [X]


def test_a_source_that_was_silent_loses_nothing() -> None:
    made = Graph()
    for at_ms in (0, 30_000, 60_000, 9_000_000, 9_030_000):
        say(made, *scrape(at_ms, X), *scrape(at_ms, Y))
    # A scrape comes in several messages, and a window may end between them.
    say(made, *scrape(20_000_000, X))
    say(made, *scrape(20_000_000, Y))
    assert there(made, 20_000_000) == [X, Y]
    say(made, *scrape(40_000_000, X), *scrape(60_000_000, X))
    assert there(made, 60_000_000) == [X, Y]
    say(made, *scrape(80_000_000, X))
    assert there(made, 80_000_000) == [X]  # three times that it spoke, it did not speak of Y


def test_what_the_first_scrape_shows_was_there_before_and_what_a_later_one_adds_was_not() -> None:
    made = Graph()
    say(made, *scrape(1_000, X), *scrape(1_000, X))  # two series of one scrape say it
    say(made, *scrape(2_000, Y))  # its second message
    say(made, *scrape(61_000, X), *scrape(61_000, Z))
    assert there(made, 0) == [X, Y]
    assert there(made, 61_000) == [X, Y, Z]
    known = {one: made.entity(one, 61_000).known_by_snapshot for one in (X, Y, Z)}  # type: ignore[union-attr]
    assert known == {X: True, Y: True, Z: False}


def test_what_was_deleted_comes_back_when_it_is_said_again() -> None:
    made = Graph()
    say(made, *scrape(0, X, Y))
    for at_ms in (100_000, 200_000, 300_000):
        say(made, *scrape(at_ms, X))
    assert there(made, 300_000) == [X]
    say(made, *scrape(330_000, X, Y))
    assert [there(made, at_ms) for at_ms in (299_999, 329_999, 330_000)] == [[X, Y], [X], [X, Y]]


def test_rows_have_their_whole_time_after_a_restart_and_no_more() -> None:
    made = Graph()
    for at_ms in (0, 100_000, 200_000):
        say(made, *scrape(at_ms, X) if at_ms else scrape(at_ms, X, Y))
    made = Graph.restore(pickle.loads(pickle.dumps(made.state())))
    made.renew()
    for at_ms in (300_000, 400_000):
        say(made, *scrape(at_ms, X))
    assert there(made, 400_000) == [X, Y]
    say(made, *scrape(500_000, X))
    assert there(made, 500_000) == [X]
    say(made, *scrape(530_000, X, Z))
    assert there(made, 529_999) == [X]  # the first round was over before the restart


def test_holding_times_of_all_lengths_share_few_clocks() -> None:
    leases = Leases()
    for number in range(20_000):
        leases.say("entity", (f"vm:{number}",), number, 180_000 + number)
    assert len(leases.began()) == 21
    assert leases.over() == []
    for at_ms in (
        80_000,
        140_000,
        200_000,
    ):  # by the clock of 181 s, which stood at 1 s: 61.333 s, 121.333 s, 181.333 s
        leases.say("entity", ("vm:0",), at_ms, 180_500)
    assert [key for (_, key), _ in leases.over()] == [(f"vm:{number}",) for number in range(1, 334)]


def test_a_deletion_ends_a_holding_time() -> None:
    made = Graph()
    say(made, *scrape(0, X, Y))
    gone = deleted("entity", Y, at=50_000)._replace(source="kube")
    say(made, gone)
    again = entity(Y, 180_000)._replace(source="kube")  # told for good, as a watch does
    for at_ms in range(60_000, 900_000, 60_000):
        say(made, *scrape(at_ms, X), *([again] if at_ms == 180_000 else []))
    assert [there(made, at_ms) for at_ms in (179_999, 180_000, 900_000)] == [[X], [X, Y], [X, Y]]
    assert [there(made, at_ms) for at_ms in (49_999, 50_000)] == [[X, Y], [X]]


# ---- all, or the only one --------------------------------------------------------------------------------------------


def test_the_only_relation_of_its_kind_ends_the_others_by_its_source() -> None:
    def runs_on(node: str, at_ms: int) -> InventoryChange:
        change = relation(POD, "runs_on", node, at_ms)
        return change._replace(row={**(change.row or {}), "only": True})

    other = relation(POD, "runs_on", "node:other", 50)
    mounts = relation(POD, "mounts", "claim:a/c", 50)
    made = graph(*by("cdc", other), *held(mounts, runs_on("node:a", 100), runs_on("node:b", 200)))

    def nodes(at_ms: int) -> list[str]:
        ends = (made.placement(at_ms).entity(f"node:{name}") for name in ("a", "b", "other"))
        return [found.name for found in ends if found]

    assert (nodes(199), nodes(200)) == (["a", "other"], ["b", "other"])
    assert made.entity("claim:a/c", 200) is not None


def test_an_entity_s_relations_are_all_that_it_has() -> None:
    def pod(at_ms: int, *relations: list[str]) -> InventoryChange:
        return entity(POD, at_ms, relations=[list(one) for one in relations])

    made = graph(
        pod(100, ["claim:a/c", "mounts"], ["node:a", "runs_on"]),
        relation("claim:a/c", "bound_to", VOLUME, 100),
        pod(200, ["node:b", "runs_on"]),
        pod(300),
        entity(POD, 400, name="x"),
    )
    assert [made.attached_since(POD, VOLUME, at_ms) for at_ms in (150, 250)] == [100, None]
    assert [made.entity("node:b", at_ms) is not None for at_ms in (199, 200, 299, 300)] == [False, True, True, False]
    for unusable in ("[[1]]", 7, [[["x"], "runs_on"]]):
        unread = graph(entity(POD, 100, relations=unusable))
        assert unread.entity(POD, 100) is not None and "allowed: [to_id, kind] each" in str(unread.problems())


def test_relations_that_have_ended_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    plain = Table.at

    def at(table: Table, key: Any, ms: int) -> Any:
        asked.append(key)
        return plain(table, key, ms)

    def runs_on(node: int, at_ms: int) -> InventoryChange:
        change = relation(POD, "runs_on", f"node:{node}", at_ms)
        return change._replace(row={**(change.row or {}), "only": True})

    made = graph(*(runs_on(number, number) for number in range(500)))
    monkeypatch.setattr(Table, "at", at)
    made.apply(runs_on(500, 500))
    assert len(asked) < 10
    # One that comes late ends what was there then.
    made.apply(runs_on(501, 250))
    nodes = {at_ms: [n for n in range(502) if made.entity(f"node:{n}", at_ms)] for at_ms in (249, 250)}
    assert nodes == {249: [249], 250: [501]}


# ---- other names -----------------------------------------------------------------------------------------------------


def by_uid(uid: str, at_ms: int, *relations: list[str]) -> InventoryChange:
    columns = {"type": "pod", "known_as": POD, "attributes": {"match": [{"k8s.pod.uid": uid}]}}
    return entity(f"pod:uid/{uid}", at_ms, relations=[list(one) for one in relations], **columns)


def test_an_entity_known_as_another_is_that_one() -> None:
    made = main_case(*held(by_uid("old", 100, ["claim:streaming/own", "mounts"])))
    assert made.entity(OLD, 100) is None
    assert made.resolve(Labels.of({"k8s.pod.uid": "old"}), ("pod",), 100) == POD
    assert "claim:streaming/own" in [hop.entity for hop in made.chain(JOB, 100).hops]
    made.apply(schedule("s1", OLD, "5 * * * *", 200))
    assert [found.entity for found in made.schedules(POD, 200)] == [POD]


def test_a_pod_made_again_under_its_name_is_another_of_the_same_name() -> None:
    changes = held(by_uid("old", 100, ["node:a", "runs_on"]), by_uid("new", 200, ["node:b", "runs_on"]))
    gone = deleted("entity", OLD, at=150)._replace(source="kube")
    late = deleted("entity", OLD, at=250)._replace(source="kube")
    for made in (graph(changes[0], gone, changes[1]), graph(*changes, late), graph(*changes, gone)):
        assert made.entity(POD, 300) is not None
        assert made.entity("node:b", 300) is not None
        assert made.entity("node:a", 300) is None
    ended = graph(*by("cdc", relation(POD, "part_of", JOB, 50)), *changes, late, late._replace(key=(NEW,), time_ms=400))
    assert ended.chain(JOB, 399).own == (POD,)
    assert ended.chain(JOB, 400).own == ()


def test_pods_of_one_name_in_two_clusters_are_told_and_one_that_is_made_again_is_not() -> None:
    def pod(uid: str, at_ms: int) -> list[InventoryChange]:
        return held(entity(POD, attributes={"match": [{"k8s.pod.uid": uid}]}), at_ms=at_ms)

    again = Graph()
    # Made again and again; once with a scrape of before that came late.
    say(again, *(change for n, uid in enumerate("abbbacdddeeffg") for change in pod(uid, n * 10_000)))
    say(again, *pod("h", 200_000), *pod("g", 200_100), *pod("h", 230_000), *pod("h", 260_000))
    assert again.problems() == {}
    both = Graph()
    for at_ms in range(0, 120_000, 30_000):
        say(both, *pod("one", at_ms), *pod("other", at_ms + 7))
    (problem,) = both.problems()
    assert problem.startswith(f"entity {POD!r} is two by turns") and "option cluster" in problem


def test_an_address_is_the_pod_s_that_got_it_last() -> None:
    def pod(name: str, *addresses: str, at_ms: int) -> InventoryChange:
        return entity(f"pod:a/{name}", at_ms, snapshot=not at_ms, attributes={"address": list(addresses)})

    made = graph(
        *by("kube", pod("ended", "10.1.0.7", at_ms=100), pod("other", "10.1.0.8", at_ms=0)),
        *by("events", entity("pod:a/next", 50)),  # another source knows it for longer, without an address
        *by("kube", pod("next", "10.1.0.7", at_ms=200), pod("moved", at_ms=0), pod("moved", "10.1.0.8", at_ms=300)),
        *by("cdc", entity("vm:a", 400, attributes={"address": "10.1.0.8"})),
    )
    found = {
        (at_ms, address): made.resolve(Labels.of({"address": address}), (), at_ms)
        for at_ms, address in ((199, "10.1.0.7"), (200, "10.1.0.7"), (299, "10.1.0.8"), (300, "10.1.0.8"))
    }
    assert list(found.values()) == ["pod:a/ended", "pod:a/next", "pod:a/other", "pod:a/moved"]
    assert made.resolution(Labels.of({"address": "10.1.0.8"}), (), 400).rule == "tie"  # a machine's is no pod's
    both = graph(pod("x", "10.1.0.9", at_ms=0), pod("y", "10.1.0.9", at_ms=0))
    assert both.resolution(Labels.of({"address": "10.1.0.9"}), (), 0).rule == "tie"


def test_a_cloud_s_id_is_the_entity_whose_match_has_it() -> None:
    kept = by(
        "cdc",
        entity("volume:data", 0, attributes={"match": [{"VolumeId": "vol-1"}]}),
        entity(BACKUP, 0, attributes={"match": [{"InstanceId": "i-1"}]}),
        relation(BACKUP, "attached_to", "volume:data", 0),
    )
    told = held(
        relation("persistent_volume:pv", "backed_by", "volume:vol-1", 10),
        relation("claim:a/c", "bound_to", "persistent_volume:pv", 10),
        relation(POD, "mounts", "claim:a/c", 10),
        entity("vm:i-1", 10, type="vm", attributes={"match": [{"host.id": "i-1"}]}),
    )
    made = graph(*kept, *told)
    assert [tenant.entity for tenant in made.tenants("volume:data", 10)] == [POD, BACKUP]
    assert made.resolve(Labels.of({"host.id": "i-1"}), ("vm", "node"), 10) == BACKUP
    assert made.entity("vm:i-1", 10) is None
    # Of two that have it, none can be said to be it.
    twice = graph(*kept, *by("cdc", entity("volume:b", 0, attributes={"match": [{"VolumeId": "vol-1"}]})), *told)
    assert [tenant.entity for tenant in twice.tenants("volume:vol-1", 10)] == [POD]


def test_a_host_without_a_holding_time_is_the_machine_of_its_cloud_s_id_too() -> None:
    made = graph(
        *by("cdc", entity(BACKUP, 0, attributes={"match": [{"InstanceId": "i-1"}]})),
        *by("otel", entity("vm:i-1", 10, attributes={"match": [{"host.id": "i-1"}]}, relations=[])),
    )
    for labels in ({"host.id": "i-1"}, {"InstanceId": "i-1"}):
        assert made.resolve(Labels.of(labels), ("vm", "node"), 10) == BACKUP


# ---- Kubernetes' own -------------------------------------------------------------------------------------------------


def test_a_replica_set_s_pods_are_its_deployment_s() -> None:
    parts = [
        relation("pod:a/p", "part_of", "replicaset:a/d-1", 100),
        relation("replicaset:a/d-1", "part_of", "deployment:a/d", 200),
        relation("pod:a/lone", "part_of", "replicaset:a/lone", 100),
    ]
    made = graph(*parts, relation("ingress:a/i", "sends_to", "deployment:a/d", 100))
    assert made.chain("deployment:a/d", 300).own == ("pod:a/p",)
    assert made.placement(300).component("pod:a/p") == "ingestion"
    assert made.entity("replicaset:a/d-1", 300) is None
    assert made.placement(300).component("pod:a/lone") == "compute"


def test_a_pod_has_the_schedules_of_its_cronjob() -> None:
    made = graph(
        relation("pod:a/backup-1-x", "part_of", "batch_job:a/backup-1", 100),
        relation("batch_job:a/backup-1", "part_of", "cronjob:a/backup", 100),
        schedule("cronjob:a/backup", "cronjob:a/backup", "40 * * * *", 100),
    )
    found = made.schedules("pod:a/backup-1-x", 100)
    assert [(one.id, one.entity, one.expression) for one in found] == [
        ("cronjob:a/backup", "pod:a/backup-1-x", "40 * * * *")
    ]


def test_the_runs_of_a_cronjob_are_the_cronjob_s() -> None:
    def run(number: int, at_ms: int) -> list[InventoryChange]:
        job, pod = f"batch_job:a/backup-{number}", f"pod:a/backup-{number}-x"
        return held(
            entity(pod, at_ms, attributes={"match": [{"k8s.pod.uid": str(number)}]}),
            relation(pod, "mounts", "claim:a/c", at_ms),
            relation(pod, "part_of", job, at_ms),
            relation(job, "part_of", "cronjob:a/backup", at_ms),
            entity("cronjob:a/backup", at_ms, name="backup"),
        )

    hour = 3_600_000
    volume = relation("claim:a/c", "bound_to", "volume:v", 0, snapshot=True)
    others = [relation("pod:a/other", "mounts", "claim:a/c", 0, snapshot=True), volume]
    made = graph(*others, *held(entity("cronjob:a/backup", 0, name="backup")))
    for number in range(1, 5):  # the three latest are kept
        say(made, *(change for one in range(max(1, number - 2), number + 1) for change in run(one, number * hour)))
        gone = deleted("entity", f"pod:a/backup-{number - 3}-x", at=number * hour)
        say(made, *([gone._replace(source="kube")] if number > 3 else []))
    at_ms = 5 * hour
    tenants = {tenant.entity: tenant.since_ms for tenant in made.tenants("volume:v", at_ms)}
    assert tenants == {"cronjob:a/backup": hour, "pod:a/other": None}
    for labels in (
        {"namespace": "a", "pod": "backup-4-x"},
        {"k8s.pod.uid": "4"},
        {"namespace": "a", "pod": "backup-2-x"},
    ):
        assert made.resolve(Labels.of(labels), ("pod", "node"), at_ms) == "cronjob:a/backup"
    assert made.entity("cronjob:a/backup", at_ms).component == "compute"  # type: ignore[union-attr]
    assert made.entity("pod:a/backup-4-x", at_ms) is None
    back = Graph.restore(pickle.loads(pickle.dumps(made.state())))
    assert back.tenants("volume:v", at_ms) == made.tenants("volume:v", at_ms)
