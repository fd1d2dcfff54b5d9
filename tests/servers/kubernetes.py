"""What a cluster of Kubernetes answers: lists and watches of its API, and the page of kube-state-metrics.

No cluster: just enough of the API for a client of it, from objects that a test states.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

GROUPS = {  # paths of group versions, and the kinds below them by plural
    "/api/v1": {
        "pods": "Pod",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "persistentvolumes": "PersistentVolume",
    },
    "/apis/batch/v1": {"cronjobs": "CronJob"},
    "/apis/events.k8s.io/v1": {"events": "Event"},
}
LONGEST_S = 600  # that a watch is held open


@dataclass
class Kubernetes:
    """A running stand-in. `objects` (by plural) are what lists give; `happen` tells those who watch."""

    url: str
    objects: dict[str, list[dict[str, Any]]]
    metrics: str  # kube-state-metrics' page
    _watchers: list[tuple[str, queue.Queue[dict[str, Any]]]] = field(default_factory=list)

    def happen(self, plural: str, kind: str, thing: dict[str, Any]) -> None:
        """An event of a watch: ADDED, MODIFIED or DELETED."""
        for watched, events in list(self._watchers):
            if watched == plural:
                events.put({"type": kind, "object": thing})

    def watched(self) -> set[str]:
        """The plurals that somebody watches."""
        return {plural for plural, _ in self._watchers}

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads a client here."""
        file = folder / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": self.url}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
        config |= {"clusters": [cluster], "contexts": [context], "users": [{"name": "u", "user": {"token": "t"}}]}
        file.write_text(json.dumps(config))
        return file


@contextlib.contextmanager
def kubernetes(objects: dict[str, list[dict[str, Any]]], metrics: str) -> Iterator[Kubernetes]:
    """A stand-in at a port of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        cluster = Kubernetes(f"http://127.0.0.1:{server.server_port}", objects, metrics)
        server.cluster = cluster  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cluster
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        cluster: Kubernetes = self.server.cluster  # type: ignore[attr-defined]
        asked = urlsplit(self.path)
        group, _, plural = asked.path.rpartition("/")
        if asked.path == "/metrics":
            self._answer(cluster.metrics.encode(), "text/plain; version=0.0.4")
        elif asked.path in GROUPS:
            self._answer(json.dumps(_resources(asked.path)).encode())
        elif asked.path == "/api":
            self._answer(json.dumps({"kind": "APIVersions", "versions": ["v1"]}).encode())
        elif asked.path == "/apis":
            self._answer(json.dumps(_groups()).encode())
        elif plural not in GROUPS.get(group, {}):
            self.send_error(404)
        elif parse_qs(asked.query).get("watch", ["false"])[0] in ("true", "1"):
            self._watch(cluster, plural)
        else:
            items = cluster.objects.get(plural, [])
            kind = GROUPS[group][plural]
            found = {"kind": f"{kind}List", "apiVersion": group.split("/", 2)[2], "metadata": {"resourceVersion": "7"}}
            self._answer(json.dumps({**found, "items": items}).encode())

    def _answer(self, body: bytes, content: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, cluster: Kubernetes, plural: str) -> None:
        events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        cluster._watchers.append((plural, events))
        with contextlib.suppress(queue.Empty, OSError):
            while True:
                line = json.dumps(events.get(timeout=LONGEST_S)).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _resources(path: str) -> dict[str, Any]:
    found = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": True,
            "kind": kind,
            "verbs": ["get", "list", "watch"],
        }
        for plural, kind in GROUPS[path].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path.split("/", 2)[2], "resources": found}


def _groups() -> dict[str, Any]:
    found = []
    for path in GROUPS:
        if path.startswith("/apis/"):
            _, _, name, version = path.split("/")
            known = {"groupVersion": f"{name}/{version}", "version": version}
            found.append({"name": name, "versions": [known], "preferredVersion": known})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}
