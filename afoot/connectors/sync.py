"""Connectors on a worker compared with, and brought to, what their files say."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Literal, NamedTuple

from afoot.connectors.files import Connector
from afoot.connectors.rest import Refused, Worker
from afoot.connectors.secrets import Secrets
from afoot.errors import AfootError, UsageError

START_S = 60.0  # for a connector to run, or fail, after it was created, changed or restarted
_SETTLE_S = 1.5  # a task that fails does so at once, and is running before it
_CAUSE = re.compile(r"^Caused by: (.*)$", re.MULTILINE)
_CLASS = re.compile(r"^(?:[\w$]+\.)+([\w$]+)")


class Difference(NamedTuple):
    """One key that differs, its values as they may be shown; None where it has none."""

    key: str
    there: str | None
    wanted: str | None


class Plan(NamedTuple):
    """What a worker has to be told so that a connector is as its file says; nothing, if there are no differences."""

    connector: Connector
    new: bool
    differences: list[Difference]
    secrets: Secrets


class State(NamedTuple):
    """How a connector does; `cause` is why it failed."""

    name: str
    state: Literal["running", "starting", "paused", "failed", "missing"]
    tasks: int
    running: int
    cause: str = ""


def plan(worker: Worker, connector: Connector) -> Plan:
    """Compare; a configuration that the worker would refuse is a UsageError that names file and keys."""
    plugins = worker.plugins()
    if not any(_is_plugin(connector.plugin, name) for name in plugins):
        raise UsageError(
            f"{connector.file}: connector.class {connector.plugin} is no plugin of the worker at {worker.url}; it has "
            f"{', '.join(plugins) or 'none'}. Unpack the plugin into a folder of plugin.path, and restart the worker"
        )
    there = worker.config(connector.name)
    try:
        described = worker.validate(connector.config)
    except Refused as error:
        raise Refused(error.status, Secrets((), connector.config).text(str(error))) from None
    secrets = Secrets(described, connector.config, there)
    errors = [(entry["value"]["name"], error) for entry in described for error in entry["value"]["errors"]]
    if errors:
        lines = "".join(f"\n  {key}: {secrets.text(error)}" for key, error in errors)
        raise UsageError(f"{connector.file}: the worker refuses the configuration, nothing is changed:{lines}")
    return Plan(connector, there is None, differences(there or {}, connector.config, secrets), secrets)


def differences(there: Mapping[str, str], wanted: Mapping[str, str], secrets: Secrets) -> list[Difference]:
    """The keys whose values differ, by name."""
    return [
        Difference(
            key,
            secrets.value(key, there[key]) if key in there else None,
            secrets.value(key, wanted[key]) if key in wanted else None,
        )
        for key in sorted(there.keys() | wanted.keys())
        if there.get(key) != wanted.get(key)
    ]


def carry_out(worker: Worker, plan: Plan) -> State:
    """Give the worker what differs, and wait until the connector runs or has failed."""
    if plan.differences:
        try:
            worker.put(plan.connector.name, plan.connector.config)
        except Refused as error:  # its words may be the configuration's
            raise Refused(error.status, plan.secrets.text(str(error))) from None
        return settled(worker, plan.connector.name, plan.secrets)
    return state(worker, plan.connector.name, plan.secrets)


def state(worker: Worker, name: str, secrets: Secrets | None = None) -> State:
    """How a connector does now."""
    found = worker.status(name)
    if found is None:
        return State(name, "missing", 0, 0)
    parts = [found["connector"], *found["tasks"]]
    states = [part["state"] for part in parts]
    tasks, running = len(found["tasks"]), sum(task["state"] == "RUNNING" for task in found["tasks"])
    for part in parts:
        if part["state"] == "FAILED":
            why = cause(part.get("trace", ""))
            return State(name, "failed", tasks, running, secrets.text(why) if secrets else why)
    if "PAUSED" in states or "STOPPED" in states:
        return State(name, "paused", tasks, running)
    return State(name, "running" if tasks and running == tasks else "starting", tasks, running)


def settled(worker: Worker, name: str, secrets: Secrets | None = None) -> State:
    """How a connector does once it runs and goes on running, has failed, or has had its time."""
    deadline = time.monotonic() + START_S
    since: float | None = None
    while True:
        found = state(worker, name, secrets)
        now = time.monotonic()
        since = (since or now) if found.state == "running" else None
        if found.state in ("failed", "paused") or now > deadline or (since and now - since > _SETTLE_S):
            return found
        time.sleep(0.2)


def restart(worker: Worker, name: str, everything: bool) -> State:
    """Restart what failed of a connector, or all of it, and wait."""
    there = worker.config(name)
    if there is None:
        raise AfootError(f"there is no connector {name} on the worker at {worker.url}; afoot connectors apply makes it")
    worker.restart(name, only_failed=not everything)
    time.sleep(0.5)  # the answer is that the restart is asked for
    return settled(worker, name, Secrets((), there))


def cause(trace: str) -> str:
    """The last cause of a Java stack trace, in a line: the class without its package, and its message."""
    causes = _CAUSE.findall(trace)
    lines = causes[-1:] or trace.splitlines()[:1]
    return _CLASS.sub(r"\1", lines[0].strip()) if lines else "no reason is given; the worker's log has it"


def _is_plugin(wanted: str, plugin: str) -> bool:
    """Connect takes a class's name with and without its package, and without the word Connector at its end."""
    short = plugin.rpartition(".")[2]
    return wanted in (plugin, short, short.removesuffix("Connector"))
