"""The graph's history: every version's boundary just inside and just outside."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from afoot.errors import DecodeError, UsageError
from afoot.inventory.graph import Graph
from afoot.telemetry.rows import InventoryChange, Labels
from tests.inventory.changes import (
    BACKUP,
    JOB,
    MAIN_CASE,
    MINUTE,
    VOLUME,
    deleted,
    entity,
    graph,
    heartbeat,
    main_case,
    relation,
    relations,
    schedule,
    tenant_ids,
    truncate,
)

NOON = 1_700_000_000_000 // MINUTE * MINUTE


def name_at(made: Graph, entity_id: str, at_ms: int) -> str | None:
    found = made.entity(entity_id, at_ms)
    return found.name if found is not None else None


X = "vm:x"
VERSIONS: list[tuple[str, list[InventoryChange], list[tuple[int, str | None]]]] = [
    ("holds from its time on", [entity(X, 100, name="a")], [(99, None), (100, "a"), (101, "a")]),
    ("until the next", [entity(X, 100, name="a"), entity(X, 200, name="b")], [(199, "a"), (200, "b")]),
    ("a snapshot's row holds before it too", [entity(X, 100, name="a", snapshot=True)], [(-1, "a"), (99, "a")]),
    (
        "and ends when it changes",
        [entity(X, 100, name="a", snapshot=True), entity(X, 150, name="b")],
        [(0, "a"), (149, "a"), (150, "b")],
    ),
    (
        "in one millisecond the later in commit order wins",
        [entity(X, 100, name="a"), entity(X, 100, name="b"), entity(X, 100, name="c")],
        [(99, None), (100, "c")],
    ),
    (
        "a delete and its tombstone are one deletion",
        [entity(X, 100, name="a"), deleted("entity", X, at=200), deleted("entity", X, at=205)],
        [(199, "a"), (200, None), (210, None)],
    ),
    (
        "delete and create in one millisecond, as a key change that is taken back",
        [entity(X, 100, name="a"), deleted("entity", X, at=200), entity(X, 200, name="b")],
        [(199, "a"), (200, "b")],
    ),
    ("a delete of what nobody knew", [deleted("entity", X, at=100)], [(99, None), (100, None)]),
    (
        "a change that arrives after a newer one is put in its place",
        [entity(X, 100, name="a"), entity(X, 300, name="c"), entity(X, 200, name="b")],
        [(199, "a"), (200, "b"), (299, "b"), (300, "c")],
    ),
    ("truncate ends all", [entity(X, 100, name="a"), truncate("entity", 200)], [(199, "a"), (200, None)]),
    (
        "truncate and reload",
        [entity(X, 100, name="a"), truncate("entity", 200), entity(X, 200, name="b")],
        [(199, "a"), (200, "b")],
    ),
    ("truncate of another table", [entity(X, 100, name="a"), truncate("relation", 200)], [(200, "a")]),
]


@pytest.mark.parametrize(("what", "changes", "expected"), VERSIONS, ids=[what for what, _, _ in VERSIONS])
def test_a_version_holds_from_its_time(
    what: str, changes: list[InventoryChange], expected: list[tuple[int, str | None]]
) -> None:
    made = graph(*changes)
    assert [(at_ms, name_at(made, X, at_ms)) for at_ms, _ in expected] == expected
    again = graph(*changes, *changes)  # delivered twice, from the start
    assert [(at_ms, name_at(again, X, at_ms)) for at_ms, _ in expected] == expected


def test_a_tombstone_that_is_dated_later_ends_nothing_that_was_made_anew_in_between() -> None:
    made = graph(entity(X, 100, name="a"), deleted("entity", X, at=200), deleted("entity", X, at=230))
    made.apply(entity(X, 220, name="b"))
    seen = [name_at(made, X, at_ms) for at_ms in (199, 200, 219, 220, 230, 231)]
    assert seen == ["a", None, None, "b", "b", "b"]


def test_a_moved_vm_is_a_suspect_before_and_none_after() -> None:
    moved = NOON + 10 * MINUTE
    made = main_case(
        relation(BACKUP, "attached_to", VOLUME, moved, op="delete"),
        relation(BACKUP, "attached_to", "volume:svm1/other", moved),
    )
    for at_ms, before in ((NOON - 20 * MINUTE, True), (moved - 1, True), (moved, False), (NOON + 40 * MINUTE, False)):
        assert (BACKUP in tenant_ids(made, VOLUME, at_ms)) is before
        assert (BACKUP in tenant_ids(made, "volume:svm1/other", at_ms)) is not before
        assert made.scopes(BACKUP, at_ms).volumes == ((VOLUME,) if before else ("volume:svm1/other",))
    assert made.attached_since(BACKUP, VOLUME, moved - 1) is None
    assert made.attached_since(BACKUP, "volume:svm1/other", moved) == moved
    first, second = made.tenants(VOLUME, NOON)[1], made.tenants("volume:svm1/other", moved)[0]
    assert first == (BACKUP, None, (), True)
    assert second == (BACKUP, moved, (), False)


def test_a_key_change_is_a_deletion_and_a_creation() -> None:
    made = graph(
        entity("vm:old", 0, snapshot=True),
        relation("vm:old", "attached_to", VOLUME, snapshot=True),
        deleted("entity", "vm:old", at=100),
        entity("vm:new", 100),
        relation("vm:old", "attached_to", VOLUME, 100, op="delete"),
        relation("vm:new", "attached_to", VOLUME, 100),
    )
    assert tenant_ids(made, VOLUME, 99) == ["vm:old"]
    assert tenant_ids(made, VOLUME, 100) == ["vm:new"]


def test_relations_of_a_deleted_entity_do_not_count_and_those_of_an_unknown_one_do() -> None:
    made = main_case(entity(BACKUP, snapshot=True), deleted("entity", BACKUP, at=100))
    assert BACKUP in tenant_ids(made, VOLUME, 99)
    assert BACKUP not in tenant_ids(made, VOLUME, 100)
    assert made.entity(BACKUP, 100) is None
    unknown = made.entity(VOLUME, 100)
    assert unknown is not None
    assert (unknown.type, unknown.name, unknown.component, unknown.known) == ("volume", "flexvol7", "storage", False)


def test_a_column_that_the_source_left_out_keeps_its_value() -> None:
    made = graph(
        entity(X, 100, name="a", type="vm", attributes='{"rack": 7}'),
        entity(X, 200, name="b"),
        entity(X, 200, component="compute"),
        deleted("entity", X, at=300),
        entity(X, 400, name="c"),
    )
    seen = [made.entity(X, at_ms) for at_ms in (100, 200, 400)]
    assert [(e.name, dict(e.attributes)) for e in seen if e] == [("a", {"rack": 7}), ("b", {"rack": 7}), ("c", {})]


def test_a_late_change_reaches_the_columns_that_later_ones_left_out() -> None:
    made = graph(entity(X, 100, name="a", attributes={"rack": 1}), entity(X, 300, name="c"))
    before = made.entity(X, 300)
    made.apply(entity(X, 200, name="b", attributes={"rack": 2}))
    after = made.entity(X, 300)
    assert before and after
    assert (before.name, before.attributes, after.name, after.attributes) == ("c", {"rack": 1}, "c", {"rack": 2})


def test_a_second_snapshot_erases_no_history() -> None:
    made = main_case(relation(BACKUP, "attached_to", "volume:svm1/other", 1000), heartbeat(1500))
    made.apply(relation(BACKUP, "attached_to", "volume:svm1/other", 2000, snapshot=True))
    made.apply(relation("vm:fresh", "attached_to", VOLUME, 2000, snapshot=True))
    assert made.attached_since(BACKUP, "volume:svm1/other", 3000) == 1000
    assert tenant_ids(made, "volume:svm1/other", 999) == []
    # What only the later snapshot shows came while nobody listened: it is not taken to be older than what was heard.
    assert "vm:fresh" not in tenant_ids(made, VOLUME, 1999)
    assert made.attached_since("vm:fresh", VOLUME, 2000) == 2000


def test_a_first_snapshot_that_is_read_again_after_a_crash_stays_the_first() -> None:
    made = main_case(*relations(MAIN_CASE, 50), relation("vm:late", "attached_to", VOLUME, 60, snapshot=True))
    assert [(t.entity, t.known_by_snapshot) for t in made.tenants(VOLUME, 0)][1:] == [(BACKUP, True), ("vm:late", True)]


def test_entities_say_that_the_snapshot_knew_them() -> None:
    made = graph(entity("vm:a", 50, snapshot=True), entity("vm:b", 60), entity("vm:a", 70, name="renamed"))
    known = {e.id: e.known_by_snapshot for e in (made.entity("vm:a", 80), made.entity("vm:b", 80)) if e}
    assert known == {"vm:a": True, "vm:b": False}


def test_changes_may_run_ahead_of_the_times_asked_for() -> None:
    ahead = main_case(*(entity(X, at_ms, name=str(at_ms)) for at_ms in range(100, 1100, 100)))
    assert [name_at(ahead, X, at_ms) for at_ms in (50, 150, 1050, 250)] == [None, "100", "1000", "200"]


# Epochs


def test_equal_epochs_lie_between_changes() -> None:
    made = main_case(entity(X, 100, name="a"), entity(X, 200, name="b"), entity("vm:y", 200))
    assert made.epoch(0) == made.epoch(99) == 0
    assert made.epoch(100) == made.epoch(199) == 1
    assert made.epoch(200) == made.epoch(10**15) == 2


def test_heartbeats_and_repeated_rows_move_time_and_no_epoch() -> None:
    made = main_case(entity(X, 100, name="a"))
    before = made.epoch(5000)
    for change in (heartbeat(4000), entity(X, 4500, name="a", updated_at="2024-01-01"), *relations(MAIN_CASE, 4600)):
        made.apply(change)
    assert made.epoch(5000) == before
    assert made.heard_ms == 4600


def test_amended_history_renumbers_what_was_asked_and_nothing_else() -> None:
    made = main_case(entity(X, 100, name="a"))
    asked = made.epoch(300)
    made.apply(entity("vm:y", 400))
    assert made.epoch(300) == asked  # later than anything asked for
    assert made.epoch(400) != asked
    made.apply(entity("vm:z", 250))
    assert made.epoch(300) != asked
    assert made.entity("vm:z", 300) is not None


def test_an_answer_is_not_that_of_a_moment_before() -> None:
    made = main_case()
    assert made.entity("vm:new", 100) is None
    made.apply(entity("vm:new", 100, attributes={"match": [{"host": "new"}]}))
    assert made.entity("vm:new", 100) is not None
    assert made.resolve(Labels.of({"host": "new"}), (), 100) == "vm:new"


# Schedules


def test_schedules_as_of_a_time() -> None:
    made = graph(
        schedule("s1", BACKUP, "40 * * * *", snapshot=True, command="backup.sh"),
        schedule("s2", BACKUP, "61 * * * *", 50),
        schedule("s1", BACKUP, "10 * * * *", 100, command="backup.sh"),
        schedule("s1", "vm:other", "10 * * * *", 200, command="backup.sh"),
        deleted("schedule", "s2", at=200),
    )
    at_0, at_50, at_100 = (made.schedules(BACKUP, at_ms) for at_ms in (0, 99, 100))
    assert [(s.id, s.expression, s.since_ms, s.unusable) for s in at_0] == [("s1", "40 * * * *", None, "")]
    assert at_0[0].run_times(0, 2 * 60 * MINUTE) == [40 * MINUTE, 100 * MINUTE]
    assert [s.id for s in at_50] == ["s1", "s2"]
    assert "bad minute" in at_50[1].unusable
    assert at_50[1].run_times(0, 60 * MINUTE) == []
    assert (at_100[0].expression, at_100[0].since_ms) == ("10 * * * *", 100)
    assert made.schedules(BACKUP, 200) == ()
    assert [(s.id, s.since_ms) for s in made.schedules("vm:other", 200)] == [("s1", 200)]
    assert [problem for problem in made.problems() if "61 * * * *" in problem]


def test_a_pod_has_the_schedules_of_what_it_is_part_of() -> None:
    made = graph(
        relation("pod:x/compact-0", "part_of", "job:compact", 100),
        relation("job:compact", "part_of", "service:lakehouse", 100),
        relation("service:lakehouse", "part_of", "job:compact", 100),  # a circle, as inventories have them
        schedule("hourly", "job:compact", "5 * * * *", 0),
        schedule("nightly", "service:lakehouse", "0 3 * * *", 0),
        schedule("other", "job:other", "5 * * * *", 0),
        deleted("relation", "pod:x/compact-0", "job:compact", "part_of", at=200),
    )
    assert [made.schedules("pod:x/compact-0", at_ms) for at_ms in (99, 200)] == [(), ()]
    found = made.schedules("pod:x/compact-0", 100)
    assert [(s.id, s.entity) for s in found] == [("hourly", "pod:x/compact-0"), ("nightly", "pod:x/compact-0")]


# What cannot be used


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ('{"match": [', "attributes are no JSON"),
        ("[1, 2]", "attributes are list"),
        (7, "attributes are int"),
        ('{"a": 1e999}', None),
        ("[" * 100_000, "attributes are no JSON"),
        ({"match": "svm1"}, "match is str"),
        ({"match": [{}]}, "match has {}"),
        ({"match": [{"a": [1]}]}, "allowed as values"),
        ("", None),
        (None, None),
    ],
)
def test_malformed_attributes_keep_the_entity(attributes: Any, problem: str | None) -> None:
    made = graph(entity(X, 100, type="vm", attributes=attributes))
    assert made.entity(X, 100) is not None
    if problem is None:
        assert list(made.problems().values()) in ([], [1])
    else:
        ((text, count),) = made.problems().items()
        assert problem in text
        assert repr(X) in text
        assert count == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (InventoryChange("racks", "upsert", ("a",), {}, 1), "'racks' is no inventory table"),
        (InventoryChange("relation", "upsert", ("a",), {}, 1), "needed: from_id, to_id, kind"),
        (InventoryChange("entity", "upsert", ("",), {}, 1), "needed: id"),
        (relation("a:b", "loves", "c:d"), "relation kind 'loves' is not known"),
        (entity("toaster:kitchen"), "entity type 'toaster' is not known"),
        (entity("no-type-at-all"), "entity type '' is not known"),
        (entity(X, component="kitchen"), "component 'kitchen' is not known"),
        (schedule("s", X, "@reboot"), "runs when its host starts"),
    ],
)
def test_what_cannot_be_used_is_told(change: InventoryChange, problem: str) -> None:
    made = main_case(change)
    assert [text for text in made.problems() if problem in text]
    assert made.chain(JOB, 0).volumes == (VOLUME,)


def test_problems_are_bounded() -> None:
    made = graph(*(entity(f"toaster-{n}:x") for n in range(1500)))
    assert len(made.problems()) == 1001
    assert sum(made.problems().values()) == 1500


def test_a_change_that_came_by_json_has_a_list_for_a_key() -> None:
    change = relation("vm:x", "attached_to", VOLUME, 100)
    made = main_case(change._replace(key=list(change.key)))  # type: ignore[arg-type]
    assert "vm:x" in tenant_ids(made, VOLUME, 100)


def test_ids_may_be_anything() -> None:
    odd = 'vm:a"b\n<script>/ü'
    made = main_case(relation(odd, "attached_to", VOLUME, 100))
    found = made.entity(odd, 100)
    assert odd in tenant_ids(made, VOLUME, 100)
    assert found is not None
    assert (found.type, found.name) == ("vm", "ü")


# Reconciliation of polled tables


def rows(text: str) -> list[dict[str, Any]]:
    return [dict(change.row or {}) for change in relations(text)]


def test_a_reconciled_poll_ends_with_the_inventory_that_a_log_gives() -> None:
    moved = MAIN_CASE.replace(f"{BACKUP}      attached_to  {VOLUME}", f"{BACKUP}      attached_to  volume:svm1/other")
    log = main_case(
        relation(BACKUP, "attached_to", VOLUME, 1000, op="delete"),
        relation(BACKUP, "attached_to", "volume:svm1/other", 1000),
    )
    polled = Graph()
    for text, at_ms in ((MAIN_CASE, 10), (MAIN_CASE, 500), (moved, 1000)):
        for change in polled.reconcile("relation", rows(text), at_ms):
            polled.apply(change)
    for at_ms in (0, 999, 1000, 2000):
        assert polled.chain(JOB, at_ms) == log.chain(JOB, at_ms)
        for volume in (VOLUME, "volume:svm1/other"):
            assert polled.tenants(volume, at_ms) == log.tenants(volume, at_ms)
    assert polled.reconcile("relation", rows(moved), 2000) == []


def test_a_poll_that_cannot_be_read_deletes_nothing() -> None:
    made = main_case()
    with pytest.raises(DecodeError, match="needed: from_id, to_id, kind"):
        made.reconcile("relation", [{"from_id": "a"}], 100)
    with pytest.raises(UsageError, match="'racks' is no inventory table"):
        made.reconcile("racks", [], 100)


# Memory


def test_state_restores_the_same_answers() -> None:
    made = main_case(
        entity(X, 100, name="a", attributes={"match": [{"host": "x"}]}),
        schedule("s1", BACKUP, "40 * * * *", 100),
        relation(BACKUP, "attached_to", VOLUME, 200, op="delete"),
    )
    epochs = [made.epoch(at_ms) for at_ms in (50, 150, 250)]
    back = Graph.restore(pickle.loads(pickle.dumps(made.state())))
    assert [back.epoch(at_ms) for at_ms in (50, 150, 250)] == epochs
    for at_ms in (50, 150, 250):
        assert back.chain(JOB, at_ms) == made.chain(JOB, at_ms)
        assert back.tenants(VOLUME, at_ms) == made.tenants(VOLUME, at_ms)
        assert back.schedules(BACKUP, at_ms) == made.schedules(BACKUP, at_ms)
        assert back.entity(X, at_ms) == made.entity(X, at_ms)
    assert back.heard_ms == made.heard_ms
    with pytest.raises(UsageError, match="allowed: 2"):
        Graph.restore({"version": 3})


def test_closed_versions_are_kept_as_long_as_promised() -> None:
    made = Graph(retain_ms=1000)
    for at_ms in range(0, 10_000, 10):
        made.apply(entity(f"pod:n/p{at_ms}", at_ms))
        made.apply(deleted("entity", f"pod:n/p{at_ms}", at=at_ms + 10))
    made.entity("pod:n/p0", 9_000)
    assert len(made.state()["sources"][""]["tables"]["entity"][1]) == 200  # those that ended after 8,000
    assert name_at(made, "pod:n/p8000", 8_009) == "p8000"  # ended 990 ms before the latest time asked for
    assert name_at(made, "pod:n/p9990", 9_990) == "p9990"  # later than anything asked for
    assert name_at(made, "pod:n/p7980", 7_985) is None  # forgotten: answered as of the horizon
    assert name_at(made, "pod:n/p8000", 7_985) == "p8000"


def test_forgetting_alters_no_later_answer_and_no_later_epoch() -> None:
    made = main_case(
        *(entity(X, at_ms, name=str(at_ms)) for at_ms in (100, 200, 300)), entity(X, 250, attributes={"a": 1})
    )
    before = [(made.epoch(at_ms), made.entity(X, at_ms), made.chain(JOB, at_ms)) for at_ms in (220, 260, 300)]
    made.forget(220)
    assert [(made.epoch(at_ms), made.entity(X, at_ms), made.chain(JOB, at_ms)) for at_ms in (220, 260, 300)] == before
    assert made.tenants(VOLUME, 300)[1].known_by_snapshot
