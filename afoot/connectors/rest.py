"""Kafka Connect's REST interface: what it answers, or one sentence about why not."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from afoot.errors import AfootError, UsageError

PATIENCE_S = 30.0  # for an answer, and for a rebalance to end
AUTH = "AFOOT_CONNECT_AUTH"
_BUSY = 409  # the workers are rebalancing


class Refused(AfootError):
    """An answer other than success; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Worker:
    """A Connect worker, or a group of them behind one address."""

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--connect {parts._replace(netloc='...').geturl()}: write http://HOST:8083")
        if parts.username or parts.password:
            raise UsageError(f"--connect: credentials do not belong on a command line; export {AUTH}=USER:PASSWORD")
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if secret := environment.get(AUTH):
            self._headers["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()

    def version(self) -> str:
        """Connect's version; AfootError if what answers is no Connect."""
        found = self._call("GET", "/")
        if not isinstance(found, dict) or "kafka_cluster_id" not in found:
            raise AfootError(f"what answers at {self.url} is not Kafka Connect; --connect is its REST address")
        return str(found.get("version"))

    def plugins(self) -> list[str]:
        """The classes of the connectors that the worker can run."""
        return sorted({plugin["class"] for plugin in self._call("GET", "/connector-plugins")})

    def validate(self, config: Mapping[str, str]) -> list[dict[str, Any]]:
        """What the plugin says of each key of a configuration: its definition, and the errors of its value."""
        plugin = quote(config["connector.class"], safe="")
        answer = self._call("PUT", f"/connector-plugins/{plugin}/config/validate", dict(config))
        found: list[dict[str, Any]] = answer["configs"]
        return found

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration, None where there is no such connector."""
        found: dict[str, str] | None = self._found(f"/connectors/{quote(name, safe='')}/config")
        return found

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Create a connector, or give it a configuration."""
        self._call("PUT", f"/connectors/{quote(name, safe='')}/config", dict(config))

    def status(self, name: str) -> dict[str, Any] | None:
        """The states of a connector and its tasks, None where there is no such connector, or not yet a state."""
        found: dict[str, Any] | None = self._found(f"/connectors/{quote(name, safe='')}/status")
        return found

    def restart(self, name: str, only_failed: bool) -> None:
        """Restart a connector and its tasks."""
        choice = "true" if only_failed else "false"
        self._call("POST", f"/connectors/{quote(name, safe='')}/restart?includeTasks=true&onlyFailed={choice}")

    def _found(self, path: str) -> Any:
        try:
            return self._call("GET", path)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._once(method, path, body)
            except Refused as error:
                if error.status != _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _once(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, f"{self.url} answers {error.code}: {_message(error.read())}") from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise AfootError(
                f"Kafka Connect does not answer at {self.url}: {reason}; start the worker, or mend --connect"
            ) from error
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise AfootError(
                f"what answers at {self.url} is not Kafka Connect; --connect is its REST address"
            ) from error


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")[:200] or "nothing"
