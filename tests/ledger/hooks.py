"""A subscriber of order events on loopback, which checks every signature."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from orchestration.ledger.webhooks import Subscriber

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


class Receiver:
    """A subscriber's server, which checks signatures as others' library does."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[], int] = lambda: 204
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                said = Webhook(SECRET).verify(body.decode(), dict(self.headers.items()))
                status = mine.answer()
                if status < 300:
                    mine.told.append((self.headers["webhook-id"], said))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def types(self) -> list[str]:
        return [said["type"] for _, said in self.told]

    def subscriber(self, name: str, *events: str) -> Subscriber:
        return Subscriber(name, f"http://127.0.0.1:{self.server.server_port}/", "HOOK", events)
