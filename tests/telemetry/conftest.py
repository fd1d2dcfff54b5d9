"""A schema registry for the tests of formats that need one."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from tests.telemetry.support import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    known = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.path)
            known.authorization = self.headers["Authorization"]
            number = int(self.path.rpartition("/")[2])
            status = 503 if number == 503 else 200 if number in known.schemas else 404
            body = json.dumps({"schema": known.schemas.get(number, "")}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_address[1]}/apis/ccompat/v7/"
    yield known
    server.shutdown()
    thread.join()
    server.server_close()
