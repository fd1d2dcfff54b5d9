"""Plans the job in a process of its own and prints the nodes of the whole graph as JSON."""

import json
import sys
import tempfile
from pathlib import Path

from afoot.captures import Prepared
from afoot.config import load_config
from jobs.findings import engine
from jobs.findings.job import Outlets, build


def main(config_file: str | None, from_capture: bool) -> None:
    """One line of JSON on standard output: id, type, contents, parallelism and slot sharing group of each node."""
    folder = Path(tempfile.mkdtemp())
    config = load_config(config_file)
    capture = None
    if from_capture:
        for name in ("telemetry", "inventory"):
            (folder / f"{name}.jsonl.gz").write_bytes(b"")
        telemetry, inventory = folder / "telemetry.jsonl.gz", folder / "inventory.jsonl.gz"
        capture = Prepared(telemetry, inventory, folder / "heard", 1, {"telemetry.metrics": 1}, payload_bytes=0)
    table_env = engine.embedded(engine.settings(config) | engine.replay_settings(folder), folder, brief=True)
    inserts = build(table_env, config, Outlets(lake=str(folder / "lake")), capture)
    inserts.attach_as_datastream()
    environment = table_env._j_tenv.execEnv()
    graph = environment.getStreamGraph(False)
    found = json.loads(graph.getStreamingPlanAsJSON())["nodes"]
    for node in found:
        node["slot_group"] = graph.getStreamNode(node["id"]).getSlotSharingGroup()
    keys = ("id", "type", "pact", "contents", "parallelism", "slot_group")
    print(json.dumps([{key: node[key] for key in keys} for node in found]))


if __name__ == "__main__":
    main(sys.argv[2] if len(sys.argv) > 2 else None, sys.argv[1] == "capture")
