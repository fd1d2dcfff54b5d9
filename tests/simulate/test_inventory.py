"""The inventory: well-formed Debezium events in commit order, and the chain of five hops in them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from afoot.simulate import inventory
from afoot.simulate.inventory import KEYS
from afoot.simulate.run import play
from tests.simulate.support import Capture


def _events(capture: Capture) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    return [
        (json.loads(message.key or b""), json.loads(message.value) if message.value is not None else None)
        for message in capture.messages
        if message.topic == "inventory"
    ]


@pytest.mark.parametrize("name", ["harvest", "moved"])
def test_events_are_well_formed(name: str, harvest: Capture, moved: Capture) -> None:
    events = _events(harvest if name == "harvest" else moved)
    last_ms = last_lsn = 0
    for place, (key, event) in enumerate(events):
        if event is None:  # a tombstone follows its delete
            before_key, before = events[place - 1]
            assert before is not None
            assert before["op"] == "d"
            assert before_key == key
            continue
        source = event["source"]
        assert tuple(key) == KEYS[source["table"]]
        assert source["ts_ms"] >= last_ms
        assert source["lsn"] > last_lsn
        assert event["ts_ms"] >= source["ts_ms"]
        last_ms, last_lsn = source["ts_ms"], source["lsn"]
        state = event["before"] if event["op"] == "d" else event["after"]
        assert {column: state[column] for column in key} == key
        assert (event["op"] == "r") == (source["snapshot"] != "false")
        if event["op"] == "d":
            assert event["after"] is None
            assert events[place + 1] == (key, None)
        elif source["table"] == "entity":
            json.loads(state["attributes"])


def test_the_snapshot_is_marked_from_first_to_last(harvest: Capture) -> None:
    marks = [event["source"]["snapshot"] for _, event in _events(harvest) if event and event["op"] == "r"]
    assert (marks[0], marks[-1]) == ("first", "last")
    assert set(marks[1:-1]) == {"true"}


def test_heartbeats_move_time_on_at_their_interval(harvest: Capture) -> None:
    beats = [
        event["source"]["ts_ms"] for _, event in _events(harvest) if event and event["source"]["table"] == "heartbeat"
    ]
    assert {later - earlier for earlier, later in itertools.pairwise(beats)} == {
        int(harvest.played.world.style.heartbeat_s * 1000)
    }
    assert beats[-1] > harvest.truth.end_ms - 30_000


def _relations(capture: Capture) -> set[tuple[str, str, str]]:
    return {
        (state["from_id"], state["kind"], state["to_id"])
        for _, event in _events(capture)
        if event and event["op"] == "r" and event["source"]["table"] == "relation"
        for state in [event["after"]]
    }


def test_the_chain_leads_from_each_ingress_to_its_volume(harvest: Capture) -> None:
    relations = _relations(harvest)

    def targets(start: str, kind: str) -> set[str]:
        return {to for from_id, of_kind, to in relations if (from_id, of_kind) == (start, kind)}

    def sources(end: str, kind: str) -> set[str]:
        return {from_id for from_id, of_kind, to in relations if (to, of_kind) == (end, kind)}

    assert len(harvest.truth.pipelines) == 3
    for pipeline in harvest.truth.pipelines:
        assert targets(pipeline["ingress"], "sends_to") == {pipeline["deployment"]}
        assert targets(pipeline["deployment"], "writes") == {pipeline["topic"]}
        assert sources(pipeline["topic"], "reads") == {pipeline["victim"]}
        assert sources(pipeline["topic"], "owns")
        pods = {name for name in sources(pipeline["victim"], "part_of") if name.startswith("pod:")}
        assert pods == set(pipeline["pods"])
        assert pipeline["consumer_group"] in sources(pipeline["victim"], "part_of")
        for pod in pods:
            assert targets(pod, "runs_on")
            (claim,) = targets(pod, "mounts")
            (backing,) = targets(claim, "bound_to")
            assert targets(backing, "backed_by") == {pipeline["volume"]}
    assert harvest.truth.culprit in sources(harvest.truth.pipelines[0]["volume"], "attached_to")


def test_every_relation_joins_two_known_entities(harvest: Capture) -> None:
    known = {
        event["after"]["id"]
        for _, event in _events(harvest)
        if event and event["op"] == "r" and event["source"]["table"] == "entity"
    }
    assert {name for from_id, _, to_id in _relations(harvest) for name in (from_id, to_id)} <= known


def test_a_move_is_a_delete_and_a_create_in_one_transaction(moved: Capture) -> None:
    machine = moved.truth.culprit
    changes = [
        event
        for key, event in _events(moved)
        if event and key.get("from_id") == machine and key.get("kind") == "attached_to" and event["op"] != "r"
    ]
    assert [event["op"] for event in changes] == ["d", "c"]
    assert len({event["source"]["txId"] for event in changes}) == 1
    assert len({event["source"]["ts_ms"] for event in changes}) == 1
    assert changes[1]["after"]["to_id"] != moved.truth.via


def test_a_connector_that_stops_delays_and_loses_nothing() -> None:
    seed = next(seed for seed in range(20) if play("steady", seed, 0.5).world.style.connector_pause_s > 60)
    world = play("backup_moved", seed, 5.0).world
    records = inventory.records(world)
    assert [record.sent_ms for record in records] == sorted(record.sent_ms for record in records)
    assert max(record.sent_ms - record.oldest_ms for record in records) > 60_000
