"""The engine that a job runs on: Flink in this process, or whatever cluster `flink run` has put us on."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pyflink import java_gateway
from pyflink.common import Configuration, JobClient
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.pyflink_gateway_server import get_jvm_opts, prepare_environment_variables
from pyflink.table import StreamTableEnvironment

from afoot import batches
from afoot.config import Config
from afoot.errors import AfootError
from afoot.lake.storage import with_scheme
from afoot.runtime.flink_home import flink_home
from afoot.runtime.java import java_home
from jobs.findings import forks
from jobs.findings.crossing import MAX_PARALLELISM

# A stop is over in less than the 90 s that service managers usually grant; see also afoot.cli.job.
SAVEPOINT_S = 60  # until a savepoint is there
CANCEL_S = 10  # until the parts of a job that is cancelled have closed what they write to

ALWAYS = {
    "pipeline.name": "afoot: findings",
    # Nested rows are not copied between chained steps: no function here keeps its input.
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
    "pipeline.max-parallelism": str(MAX_PARALLELISM),
    # Of the one table operator that keeps state by wall time: which signals have left for the lake, see 08_signals.sql.
    "table.exec.state.ttl": "3 h",
    # What waits for a Python worker waits at most this long.
    "python.fn-execution.bundle.time": "1000",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}
EMBEDDED = {
    # A server that is away for some minutes is waited for; what never works ends the job after half an hour of trying.
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "1 s",
    "restart-strategy.exponential-delay.backoff-multiplier": "2",
    "restart-strategy.exponential-delay.max-backoff": "1 min",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "30",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "10 min",
    "taskmanager.memory.managed.size": "2g",
    "taskmanager.memory.network.min": "128m",
    "taskmanager.memory.network.max": "128m",
    "blob.server.port": "0",
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "rest.bind-port": "0",
}
# Of the embedded engine, the Python workers come on top. Windows are strings of megabytes, which G1 keeps apart and
# starts a concurrent cycle for.
MEMORY = "-Xmx2g -XX:+UseParallelGC"
# The optimising compiler takes what runs most, at four times the JVM's own thresholds, and puts less into one piece
# than it would: planned SQL is much code that runs little, and compiling it took a fifth of all CPU.
COMPILER = " ".join(
    f"-XX:{name}={value}"
    for name, value in {
        "Tier4InvocationThreshold": 4 * 5000,
        "Tier4MinInvocationThreshold": 4 * 600,
        "Tier4CompileThreshold": 4 * 15000,
        "Tier4BackEdgeThreshold": 4 * 40000,
        "FreqInlineSize": 100,
        "InlineSmallCode": 800,
        "MaxInlineLevel": 6,
    }.items()
)
# A short run ends before that compiler has paid back its own time, which measured a third of all CPU.
BRIEF = "-XX:TieredStopAtLevel=1"
# How the engine tells that a worker has gone, of which Beam knows that it was to answer.
WORKER_GONE = "StatusRuntimeException: CANCELLED"
# Of Python workers. What batches of megabytes leave behind is used again: had the system it back each time, new pages
# would cost more than what is written to them (4.7 million page faults in 9.6 million points, and 0.3 million now).
# Left to itself, glibc's allocator keeps as much for each thread, and there are many.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}


def settings(config: Config) -> dict[str, str]:
    """Flink's options for a configuration; what [flink.settings] says goes last."""
    flink = config.flink
    batch = flink.batch or batches.MESSAGES
    found = {
        **ALWAYS,
        "python.fn-execution.bundle.size": str(2 * batch),
        "python.fn-execution.arrow.batch.size": str(batch),
        "parallelism.default": str(flink.parallelism),
        "taskmanager.numberOfTaskSlots": str(flink.slots),  # of the embedded engine; a cluster has its own
        "execution.checkpointing.interval": f"{flink.checkpoint_interval_ms} ms",
        "state.backend.type": flink.state_backend,
    }
    if flink.checkpoints:
        checkpoints = with_scheme(flink.checkpoints)
        found["execution.checkpointing.dir"] = checkpoints
        found["execution.checkpointing.savepoint-dir"] = f"{checkpoints}/savepoints"
    return {**found, **flink.settings}


def embedded(options: Mapping[str, str], folder: Path, brief: bool = False) -> StreamTableEnvironment:
    """Flink in this process, for a job that is soon done if it is `brief`. Call it once, before anything of pyflink."""
    os.environ["JAVA_HOME"] = str(java_home())
    os.environ["FLINK_HOME"] = str(flink_home())  # with the connectors, which no job then has to bring
    os.environ["FLINK_LOG_DIR"] = str(folder)
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - threads of this process would share a core
    os.environ.update({name: os.environ.get(name, value) for name, value in ALLOCATOR.items()})
    environment = dict(os.environ)
    prepare_environment_variables(environment)
    os.environ["FLINK_ENV_JAVA_OPTS"] = " ".join([*get_jvm_opts(environment), MEMORY, BRIEF if brief else COMPILER])
    jvm = _gateway().jvm
    values = {
        **EMBEDDED,
        **storage(),
        "io.tmp.dirs": str(folder),
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "python.executable": str(forks.interpreter(folder)),
        "python.client.executable": sys.executable,
        **options,
    }
    java: Any = jvm.org.apache.flink.configuration.Configuration()
    for name, value in values.items():
        java.setString(name, value)
    # The embedded cluster loads no plugins by itself, and S3 is one.
    plugins = jvm.org.apache.flink.core.plugin.PluginUtils.createPluginManagerFromRootFolder(java)
    jvm.org.apache.flink.core.fs.FileSystem.initialize(java, plugins)
    return _environment(Configuration(j_configuration=java))


def another(table_env: StreamTableEnvironment) -> StreamTableEnvironment:
    """A new environment of the same options, for a job that is planned again."""
    return _environment(Configuration(j_configuration=table_env._j_tenv.execEnv().getConfiguration().clone()))


def _gateway() -> Any:
    """PyFlink's gateway to a JVM of ours. What that writes to standard error goes to ours.

    PyFlink makes a pipe of it that nobody reads: after 64 KiB (a port scan is enough) a JVM that writes stands still,
    and with it the thread that serves the Python workers.
    """
    launch, launched = java_gateway.launch_gateway_server_process, []

    def launch_and_keep(*arguments: Any) -> Any:
        launched.append(launch(*arguments))
        return launched[-1]

    java_gateway.launch_gateway_server_process = launch_and_keep
    try:
        gateway = java_gateway.get_gateway()
    finally:
        java_gateway.launch_gateway_server_process = launch
    for process in launched:
        threading.Thread(target=_pass_on, args=(process.stderr,), daemon=True, name="remarks of the JVM").start()
    return gateway


def _pass_on(remarks: Iterable[bytes]) -> None:
    for line in remarks:
        with suppress(OSError):  # nobody reads ours any more: the JVM's has to be read all the same
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


def on_cluster(options: Mapping[str, str]) -> StreamTableEnvironment:
    """The cluster that `flink run` or an application's entry point has made this process a client of."""
    configuration = Configuration()
    for name, value in options.items():
        configuration.set_string(name, value)
    return _environment(configuration)


def storage() -> dict[str, str]:
    """Flink's S3 options, from where the AWS tools have theirs; nothing where there are no credentials."""
    import boto3
    from botocore.credentials import RefreshableCredentials

    credentials = boto3.Session().get_credentials()
    found: dict[str, str] = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        found |= {"s3.endpoint": endpoint, "s3.path.style.access": "true"}
    # Those of a role expire and are renewed; the engine finds a role by itself.
    if credentials is not None and not isinstance(credentials, RefreshableCredentials):
        found |= {"s3.access-key": credentials.access_key, "s3.secret-key": credentials.secret_key}
        if credentials.token:
            provider = "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider"
            found |= {"s3.session.token": credentials.token, "s3.aws.credentials.provider": provider}
    return found


def _environment(configuration: Configuration) -> StreamTableEnvironment:
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    return StreamTableEnvironment.create(environment)


def replay_settings(folder: Path) -> dict[str, str]:
    """Options of a bounded run: it starts over rather than resumes, and its checkpoints go with it."""
    return {
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "NO_EXTERNALIZED_CHECKPOINTS",
        "restart-strategy.type": "none",
    }


def start(table_env: StreamTableEnvironment) -> JobClient:
    """Submits the job that was attached to an environment; translating it, which takes seconds, was done with that."""
    environment = StreamExecutionEnvironment(table_env._j_tenv.execEnv())
    return environment.execute_async(table_env.get_config().get("pipeline.name", ALWAYS["pipeline.name"]))


class Failure(NamedTuple):
    """Why a job failed that may have been started again."""

    at_ms: int
    cause: str


def last_failure(job: JobClient) -> Failure | None:
    """The last time that a job of the embedded engine failed; None if it never did, or has ended."""
    return _failure(_execution_graph(job))


def stop(job: JobClient) -> str:
    """Ends a running job, and returns the URI of its savepoint; AfootError if none is to be had in time."""
    client: Any = job._j_job_client
    known = _execution_graph(job)
    # Not by PyFlink's own method: it calls a signature that Flink's client no longer has.
    canonical = java_gateway.get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.CANONICAL
    savepoint = client.stopWithSavepoint(False, None, canonical)
    if _done(savepoint, SAVEPOINT_S):
        try:
            return str(savepoint.get())
        except _java_errors() as error:
            why = cause(str(error))
            if "Not all required tasks are currently running" in why:
                why = "the job was starting"
    else:
        # Beam waits three minutes for a worker that was killed in its first batch, and longer for one that hangs; the
        # client of S3 waits for minutes.
        why = f"it was not there after {SAVEPOINT_S} s"
    # Of a job that is starting again no savepoint can be taken, and what the engine says of that hides why.
    known = _execution_graph(job) or known
    failed = _failure(known)
    last = f". The job last failed of: {failed.cause}" if failed else ""
    cancel(job)
    raise AfootError(f"no savepoint was taken, and the next start {_next_start(known)}: {why}{last}")


def cancel(job: JobClient) -> None:
    """Ends a running job without a savepoint; what has not closed after CANCEL_S ends with its engine."""
    client: Any = job._j_job_client
    with suppress(*_java_errors()):  # it has ended
        client.cancel()
        _done(client.getJobExecutionResult(), CANCEL_S)


def replace_task_manager(job: JobClient) -> bool:
    """Starts another TaskManager if the embedded engine has lost its own; whether it had.

    What PyFlink throws in closing a stage whose worker was killed in the middle of a batch is fatal to the TaskManager,
    and a cluster's gets another from whoever runs it. The embedded engine's job would wait for one without end.
    """
    cluster = _cluster(job)
    try:
        if cluster.requestClusterOverview().get().getNumTaskManagersConnected():
            return False
    except _java_errors():  # the engine is about to end, which its result words
        return False
    cluster.startTaskManager()  # one that cannot be had ends the job with the reason, rather than wait for it again
    return True


def _cluster(job: JobClient) -> Any:
    """The embedded engine. The client of its job has it, and no method that asks it for more than a state."""
    client: Any = job._j_job_client
    field = client.getClass().getDeclaredField("miniCluster")
    field.setAccessible(True)
    return field.get(client)


def _execution_graph(job: JobClient) -> Any:
    """What the embedded engine knows of a job now; None of one that has ended."""
    client: Any = job._j_job_client
    try:
        return _cluster(job).getExecutionGraph(client.getJobID()).get()
    except _java_errors():  # the engine is about to end, which its result words
        return None


def _failure(graph: Any) -> Failure | None:
    failure = None if graph is None else graph.getFailureInfo()
    return None if failure is None else Failure(failure.getTimestamp(), cause(failure.getExceptionAsString()))


def _next_start(graph: Any) -> str:
    """Where the next start begins. The engine is asked, as the storage may be what is away."""
    if graph is None:
        return "resumes from the newest checkpoint"
    saved = graph.getCheckpointStatsSnapshot()
    last = saved.getHistory().getLatestCompletedCheckpoint() or saved.getLatestRestoredCheckpoint()
    return "begins anew" if last is None else f"resumes from {last.getExternalPath()}"


def _done(future: Any, patience_s: float) -> bool:
    """Waits for one of Java's futures. It is asked time and again: an answer that Java owes cannot be interrupted."""
    until = time.monotonic() + patience_s
    while not future.isDone():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def worded_errors(described: Callable[[str], str]) -> Iterator[None]:
    """Failures of the engine as one message that names the cause, secrets masked."""
    try:
        yield
    except AfootError as error:
        raise type(error)(described(str(error))) from error
    except _java_errors() as error:
        raise AfootError(described(f"the job failed: {cause(str(error))}")) from error


def _java_errors() -> tuple[type[Exception], ...]:
    """What Java's exceptions are here: py4j's, and PyFlink's, which it puts in place of most of them."""
    from py4j.protocol import Py4JJavaError
    from pyflink.util.exceptions import JavaException

    return Py4JJavaError, JavaException


def cause(trace: str) -> str:
    """The innermost cause in a Java stack trace; what a Python worker said where it was one, or that it died."""
    python: list[str] = []
    java: list[str] = []
    in_python = False
    for line in trace.splitlines():
        if line.endswith("Traceback (most recent call last):"):
            in_python = True
        elif in_python:
            # Frames are indented; what was raised follows them, and may be any class.
            if line and not line[0].isspace():
                python.append(line.strip())
                in_python = False
        # What is indented is frames, and what was suppressed: that came after the cause, in closing what had failed.
        elif line.strip() and not line.startswith("\t") and not line.lstrip().startswith(("at ", "...")):
            java.append(line.strip().removeprefix("Caused by: "))
    found = (python or java or ["no cause was given"])[-1]
    return f"a Python worker died in its work: {found}" if WORKER_GONE in found else found
