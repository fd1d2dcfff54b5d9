"""Chains, tenants and scopes: who is heard for whom, and who is not."""

from __future__ import annotations

import pytest

from afoot.inventory.graph import Graph
from afoot.inventory.placement import Edge, find_cycle
from tests.inventory.changes import BACKUP, JOB, VOLUME, entity, graph, main_case, relation, relations, tenant_ids

OWN = ("consumer_group:enricher", JOB)


def hops(made: Graph, victim: str = JOB, at_ms: int = 0) -> dict[str, int]:
    return {hop.entity: hop.position for hop in made.chain(victim, at_ms).hops}


def test_the_main_case_from_router_to_volume() -> None:
    made = main_case()
    chain = made.chain(JOB, 0)
    assert [(hop.entity, hop.component, hop.position) for hop in chain.hops] == [
        ("ingress:edge/nginx", "router", 0),
        ("deployment:ingest/receiver", "ingestion", 1),
        ("pod:ingest/receiver-1", "ingestion", 1),
        ("broker:kafka-0", "broker", 2),
        ("topic:telemetry", "broker", 2),
        ("job:enricher", "processor", 3),
        ("pod:streaming/tm-0", "processor", 3),
        ("node:ip-10-0-0-12", "compute", 3),
        ("consumer_group:enricher", "service", 3),
        ("claim:streaming/flink-data", "storage", 4),
        ("persistent_volume:pv-1", "storage", 5),
        (VOLUME, "storage", 6),
    ]
    assert chain.volumes == (VOLUME,)
    assert chain.own == ("pod:streaming/tm-0",)
    assert len(chain.edges) == 11  # all relations but the vm's
    assert Edge("persistent_volume:pv-1", VOLUME, "backed_by") in chain.edges
    assert made.victims(0) == (JOB,)


def test_tenants_and_scopes_of_the_main_case() -> None:
    made = main_case()
    assert made.tenants(VOLUME, 0) == (("pod:streaming/tm-0", None, OWN, True), (BACKUP, None, (), True))
    assert made.scopes(VOLUME, 0) == ((JOB,), (VOLUME,))
    assert made.scopes(BACKUP, 0) == ((), (VOLUME,))
    assert made.scopes("pod:streaming/tm-0", 0) == ((JOB,), (VOLUME,))
    assert made.scopes("node:ip-10-0-0-12", 0) == ((JOB,), ())
    assert made.scopes("ingress:edge/nginx", 0) == ((JOB,), ())
    assert made.scopes("vm:nobody", 0) == ((), ())
    assert made.chain("vm:nobody", 0).hops == ()


def test_a_pipeline_next_door_is_not_heard() -> None:
    made = graph(
        *relations("""
        deployment:a writes topic:a
        job:a reads topic:a
        pod:s/a part_of job:a
        pod:s/a mounts claim:a
        claim:a bound_to persistent_volume:a
        persistent_volume:a backed_by volume:a
        pod:s/a runs_on node:n
        broker:k owns topic:a
        deployment:b writes topic:b
        job:b reads topic:b
        pod:s/b part_of job:b
        pod:s/b mounts claim:b
        claim:b bound_to persistent_volume:b
        persistent_volume:b backed_by volume:b
        pod:s/b runs_on node:n
        broker:k owns topic:b
        vm:busy attached_to volume:b
        """)
    )
    assert not [hop for hop in hops(made, "job:a") if hop.endswith("b")]
    assert made.scopes("broker:k", 0).victims == ("job:a", "job:b")
    assert made.scopes("node:n", 0) == (("job:a", "job:b"), ())
    assert made.scopes("vm:busy", 0).volumes == ("volume:b",)
    assert tenant_ids(made, "volume:a", 0) == ["pod:s/a"]


def test_jobs_that_share_a_task_manager_are_each_their_own_victims() -> None:
    made = graph(
        *relations("""
        job:a reads topic:a
        job:b reads topic:b
        pod:s/tm part_of job:a
        pod:s/tm part_of job:b
        pod:s/tm part_of deployment:s/tm
        pod:s/other part_of deployment:s/tm
        pod:s/tm attached_to volume:v
        """)
    )
    assert hops(made, "job:a").keys() == {"topic:a", "job:a", "pod:s/tm", "deployment:s/tm", "volume:v"}
    assert made.tenants("volume:v", 0)[0].own_of == ("job:a", "job:b")
    assert made.victims(0) == ("job:a", "job:b")


def test_a_pod_that_writes_stands_for_its_deployment() -> None:
    made = graph(
        *relations("""
        pod:i/1 writes topic:t
        pod:i/1 part_of deployment:i
        pod:i/2 part_of deployment:i
        service:lb sends_to deployment:i
        ingress:e sends_to service:lb
        job:j reads topic:t
        """)
    )
    positions = hops(made, "job:j")
    assert positions == {
        "ingress:e": 0, "service:lb": 1, "deployment:i": 2, "pod:i/1": 2, "pod:i/2": 2, "topic:t": 3, "job:j": 4
    }  # fmt: skip


def test_a_job_behind_a_job_has_both_behind_it_and_only_its_own_storage() -> None:
    made = graph(
        *relations("""
        deployment:i writes topic:raw
        job:first reads topic:raw
        job:first writes topic:clean
        job:first mounts claim:first
        claim:first backed_by volume:first
        consumer_group:second reads topic:clean
        consumer_group:second part_of job:second
        job:second writes volume:second
        volume:second part_of aggregate:ssd
        """)
    )
    positions = hops(made, "job:second")
    assert [name for name, _ in sorted(positions.items(), key=lambda item: item[1])][:4] == [
        "deployment:i", "topic:raw", "job:first", "topic:clean"
    ]  # fmt: skip
    assert made.chain("job:second", 0).volumes == ("volume:second",)
    assert positions["aggregate:ssd"] == positions["volume:second"] + 1
    assert made.scopes("job:first", 0) == (("job:first", "job:second"), ("volume:first",))
    assert made.tenants("volume:second", 0)[0].own_of == ("consumer_group:second", "job:second")


def test_many_volumes_and_topics() -> None:
    made = main_case(
        relation(JOB, "reads", "topic:extra", snapshot=True),
        relation("pod:streaming/tm-0", "attached_to", "volume:svm1/wal", snapshot=True),
        relation("node:ip-10-0-0-12", "attached_to", "volume:root", snapshot=True),
    )
    assert made.chain(JOB, 0).volumes == ("volume:root", "volume:svm1/wal", VOLUME)
    assert hops(made)["topic:extra"] == 2
    assert made.tenants("volume:root", 0) == (("node:ip-10-0-0-12", None, OWN, True),)


def test_a_node_that_carries_its_pods_volumes_is_no_tenant_and_makes_no_neighbours() -> None:
    made = main_case(
        *relations(f"""
        node:ip-10-0-0-12 attached_to {VOLUME}
        node:ip-10-0-0-12 attached_to volume:neighbour
        pod:x/neighbour runs_on node:ip-10-0-0-12
        pod:x/neighbour mounts claim:x
        claim:x bound_to persistent_volume:x
        persistent_volume:x backed_by volume:neighbour
        """)
    )
    assert made.chain(JOB, 0).volumes == (VOLUME,)
    assert tenant_ids(made, VOLUME, 0) == ["pod:streaming/tm-0", BACKUP]
    assert tenant_ids(made, "volume:neighbour", 0) == ["pod:x/neighbour"]
    assert made.scopes("node:ip-10-0-0-12", 0).volumes == ()


def test_an_attachment_holds_since_the_last_relation_of_its_shortest_lived_path() -> None:
    made = graph(
        relation("pod:p", "mounts", "claim:c", 100),
        relation("claim:c", "bound_to", "persistent_volume:v", 300),
        relation("persistent_volume:v", "backed_by", "volume:v", 200),
        relation("pod:p", "attached_to", "volume:v", 400),
    )
    assert [t.since_ms for t in made.tenants("volume:v", 300)] == [300]
    assert made.tenants("volume:v", 299) == ()
    assert made.attached_since("pod:p", "volume:v", 400) == 300  # the older way still holds
    made.apply(relation("claim:c", "bound_to", "persistent_volume:v", 500, op="delete"))
    assert made.attached_since("pod:p", "volume:v", 500) == 400


def test_who_counts_as_a_victim() -> None:
    alone = graph(
        *relations("""
        service:orders writes topic:order
        consumer_group:invoicing reads topic:order
        consumer_group:invoicing part_of deployment:invoicing
        pod:d/invoicing-1 part_of deployment:invoicing
        deployment:query sends_to service:aggregation
        deployment:backup writes volume:v
        """)
    )
    assert alone.victims(0) == ("consumer_group:invoicing", "service:aggregation")
    assert alone.chain("consumer_group:invoicing", 0).own == ("pod:d/invoicing-1",)
    assert main_case().victims(0) == (JOB,)  # its group and what feeds it are in its chain


COMPONENTS = [
    ("ingress:e/n", "router"),
    ("deployment:i/r", "ingestion"),
    ("topic:t", "broker"),
    ("broker:b", "broker"),
    ("job:j", "processor"),
    ("consumer_group:g", "service"),
    ("claim:c", "storage"),
    ("persistent_volume:p", "storage"),
    ("volume:v", "storage"),
    ("aggregate:a", "storage"),
    ("vm:v", "compute"),
    ("node:n", "compute"),
    ("service:s", "service"),
    ("address:10.0.0.1", "network"),
    ("pod:of/nobody", "compute"),
    ("toaster:t", "service"),
]


@pytest.mark.parametrize(("entity_id", "component"), COMPONENTS)
def test_the_component_of_a_type(entity_id: str, component: str) -> None:
    found = graph(entity(entity_id)).entity(entity_id, 0)
    assert found is not None
    assert found.component == component


def test_the_component_of_a_pod_is_its_owners_unless_it_says_its_own() -> None:
    made = main_case(
        entity("pod:a", snapshot=True, component="network"),
        *relations("""
        pod:a part_of job:enricher
        container:c part_of pod:streaming/tm-0
        pod:loop part_of pod:loop
        """),
    )
    found = [made.entity(e, 0) for e in ("pod:a", "container:c", "pod:ingest/receiver-1", "pod:loop")]
    assert [e.component for e in found if e] == ["network", "processor", "ingestion", "compute"]


CYCLES = [
    ("topic:telemetry reads job:enricher", "job:enricher -> topic:telemetry -> job:enricher"),
    ("volume:svm1/flexvol7 sends_to volume:svm1/flexvol7", None),  # nothing that the chain follows
    ("job:enricher writes topic:telemetry", "job:enricher -> topic:telemetry -> job:enricher"),
    ("deployment:ingest/receiver sends_to ingress:edge/nginx", "deployment:ingest/receiver"),
    ("job:enricher part_of pod:streaming/tm-0", "pod:streaming/tm-0"),
    (f"{VOLUME} backed_by claim:streaming/flink-data", "persistent_volume:pv-1"),
    ("persistent_volume:pv-1 part_of persistent_volume:pv-1", "persistent_volume:pv-1 -> persistent_volume:pv-1"),
    ("ingress:edge/nginx sends_to ingress:edge/nginx", "ingress:edge/nginx -> ingress:edge/nginx"),
]


@pytest.mark.parametrize(("line", "named"), CYCLES)
def test_a_cycle_ends_and_is_named(line: str, named: str | None) -> None:
    made = main_case(*relations(line))
    chain = made.chain(JOB, 0)
    assert chain.volumes == (VOLUME,)
    assert len({hop.entity for hop in chain.hops}) == len(chain.hops)
    assert BACKUP in tenant_ids(made, VOLUME, 0)
    assert made.scopes(JOB, 0).victims == (JOB,)
    told = [problem for problem in made.problems() if "form a cycle" in problem]
    assert len(told) == (named is not None)
    assert not named or named in told[0]


def test_a_cycle_of_ids_with_line_breaks_is_told_in_one_line() -> None:
    made = main_case(*[relation(JOB, "writes", "topic:a\nb", snapshot=True), relation(JOB, "reads", "topic:a\nb")])
    made.chain(JOB, 0)
    (problem,) = made.problems()
    assert "topic:a\\nb" in problem
    assert "\n" not in problem


def test_find_cycle() -> None:
    assert find_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) == []
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    long = {str(n): [str(n + 1)] for n in range(50_000)}
    assert find_cycle(long) == []
    assert len(find_cycle({**long, "50000": ["0"]})) == 50_002


def test_long_ways_need_no_deep_stack() -> None:
    lines = [f"service:s{n + 1} sends_to service:s{n}" for n in range(3000)]
    lines += [f"broker:b{n + 1} owns broker:b{n}" for n in range(3000)]
    made = graph(
        *relations("\n".join([*lines, "service:s0 writes topic:t", "broker:b0 owns topic:t", "job:j reads topic:t"]))
    )
    assert len(made.chain("job:j", 0).hops) == 6004
    assert made.chain("job:j", 0).hops[0].entity == "service:s3000"


def neighbours_of_one_volume(count: int) -> Graph:
    lines = []
    for n in range(count):
        lines += [f"vm:{n} attached_to volume:shared", f"pod:{n} mounts claim:{n}", f"pod:{n} part_of job:{n}"]
        lines += [f"claim:{n} bound_to persistent_volume:{n}", f"persistent_volume:{n} backed_by volume:shared"]
        lines += [f"job:{n} reads topic:{n}", f"broker:b owns topic:{n}", f"pod:{n} runs_on node:1"]
    return graph(*relations("\n".join(lines)))


def test_the_cost_of_all_scopes_grows_with_the_answers() -> None:
    steps = []
    for count in (50, 500):
        made = neighbours_of_one_volume(count)
        placement = made.placement(0)
        for n in range(count):
            for entity_id in (f"vm:{n}", f"pod:{n}", f"job:{n}", f"claim:{n}"):
                placement.scopes(entity_id)
        assert len(placement.scopes("volume:shared").victims) == count
        assert len(placement.tenants("volume:shared")) == 2 * count
        steps.append(placement.steps)
    assert steps[1] <= 10.5 * steps[0]
