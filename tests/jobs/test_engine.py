"""The engine in a process of ours: what its JVM says, and what is said of its failures."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import cast

import pytest
from pyflink.common import JobClient
from pyflink.util.exceptions import JavaException

from afoot.errors import AfootError
from jobs.findings.crossing import JUDGE_LOAD, MAX_PARALLELISM, key_groups
from jobs.findings.engine import cause, replace_task_manager, worded_errors
from tests.servers.process import REPOSITORY

IN_A_PROCESS = """
import json, os, sys, time
from pathlib import Path
from jobs.findings import crossing, engine
from pyflink.java_gateway import get_gateway

table_env = engine.embedded({}, Path(sys.argv[1]), brief=True)
jvm = get_gateway().jvm
for number in range(3_000):
    jvm.System.err.println(f"{number:0100d}")
keys = crossing.spread_keys(200)
row, groups = jvm.org.apache.flink.types.Row(1), []
for key in keys:
    row.setField(0, key)
    groups.append(jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup(row, 120))

table_env.execute_sql("CREATE TABLE ticks (number BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')")
table_env.execute_sql("CREATE TABLE ignored (number BIGINT) WITH ('connector' = 'blackhole')")
statements = table_env.create_statement_set()
statements.add_insert_sql("INSERT INTO ignored SELECT number FROM ticks")
statements.attach_as_datastream()
job = engine.start(table_env)

def running_tasks():
    until = time.monotonic() + 60
    while time.monotonic() < until:
        tasks = engine._execution_graph(job).getAllExecutionVertices().iterator()
        states = []
        while tasks.hasNext():
            states.append(tasks.next().getExecutionState().toString())
        if set(states) == {"RUNNING"}:
            return len(states)
        time.sleep(0.1)
    return 0

runs, replaced = [running_tasks()], [engine.replace_task_manager(job)]
engine._cluster(job).terminateTaskManager(0).get()
replaced.append(engine.replace_task_manager(job))
runs.append(running_tasks())
replaced.append(engine.replace_task_manager(job))
print(json.dumps({"keys": keys, "groups": groups, "runs": runs, "replaced": replaced}), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """An engine that was started, said a lot, was asked for the keys of 200 shards, and lost its TaskManager."""
    folder = tmp_path_factory.mktemp("engine")
    return subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.slow
def test_a_jvm_that_says_a_lot_does_not_stand_still(engine: subprocess.CompletedProcess[str]) -> None:
    assert f"{2_000:0100d}" in engine.stderr


@pytest.mark.slow
def test_each_shard_has_a_key_of_its_group(engine: subprocess.CompletedProcess[str]) -> None:
    found = json.loads(engine.stdout.splitlines()[-1])
    assert found["groups"] == key_groups(200)
    assert len(set(found["keys"])) == 200


@pytest.mark.slow
def test_a_lost_task_manager_is_replaced_once(engine: subprocess.CompletedProcess[str]) -> None:
    found = json.loads(engine.stdout.splitlines()[-1])
    assert found["replaced"] == [False, True, False]
    before, after = found["runs"]
    assert before == after > 0


class Lost:
    """An engine without a TaskManager, in which none can be started."""

    def requestClusterOverview(self) -> Lost:
        return self

    def get(self) -> Lost:
        return self

    def getNumTaskManagersConnected(self) -> int:
        return 0

    def startTaskManager(self) -> None:
        raise JavaException("java.io.IOException: No space left on device")


def test_a_task_manager_that_does_not_start_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.findings.engine._cluster", lambda job: Lost())
    with (
        pytest.raises(AfootError, match=r"the job failed: .*No space left on device"),
        worded_errors(str),
    ):
        replace_task_manager(cast(JobClient, None))


@pytest.mark.parametrize("parallelism", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("shards", [8, 16, 32])
def test_instances_get_about_equal_loads(shards: int, parallelism: int) -> None:
    loads = [float(JUDGE_LOAD), *[0.0] * (parallelism - 1)]
    for group in key_groups(shards):
        loads[group * parallelism // MAX_PARALLELISM] += 1
    assert sum(loads) == shards + JUDGE_LOAD
    assert max(loads) - max(sum(loads) / parallelism, JUDGE_LOAD) <= 1


WORKER = """org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy
\tat org.apache.flink.runtime.executiongraph.ExecutionFailureHandler.handleFailure(ExecutionFailureHandler.java:219)
Caused by: java.lang.RuntimeException: Error received for instruction 2: Traceback (most recent call last):
  File "sdk_worker.py", line 311, in _execute
    response = task()
  File "decode.py", line 66, in eval
    return found.isna()
LAST

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.close(FnApiControlClient.java:1)
"""


@pytest.mark.parametrize(
    "last",
    [
        "AttributeError: 'NoneType' object has no attribute 'isna'",
        "AssertionError",
        "afoot.errors.AfootError: window from 0 to 60000: cannot be read",
        "pyarrow.lib.ArrowInvalid: offset overflow",
        "zstandard.ZstdError: cannot decompress",
        "KeyboardInterrupt",
    ],
)
def test_the_cause_is_what_a_python_worker_said(last: str) -> None:
    assert cause(WORKER.replace("LAST", last)) == last


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (
            "java.lang.Exception: no\nCaused by: java.io.IOException: No space left\n\tat x\n\t... 9 more",
            "java.io.IOException: No space left",
        ),
        ("java.lang.IllegalStateException: no\n\tat y", "java.lang.IllegalStateException: no"),
        (
            "java.io.IOException: gone\n\tat x\n\tSuppressed: java.lang.Exception: abort\n\t\tat y\n\tCaused by: z\n",
            "java.io.IOException: gone",
        ),
        (
            "java.lang.Error: no\nCaused by: x.grpc.StatusRuntimeException: CANCELLED: call already cancelled\n",
            "a Python worker died in its work: x.grpc.StatusRuntimeException: CANCELLED: call already cancelled",
        ),
        ("", "no cause was given"),
    ],
)
def test_the_cause_of_the_engines_own_failures(trace: str, expected: str) -> None:
    assert cause(trace) == expected
