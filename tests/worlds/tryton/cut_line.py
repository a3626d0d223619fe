"""A line to Tryton that can be cut: before a call arrives there, between what it did and its answer,
or after the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

#: Asked at each call, by its method: where the line is cut, if it is.
Cut = Callable[[str], str | None]


class CutLine:
    """A door on loopback that hands calls on to Tryton; `cut` decides, and may do more."""

    def __init__(self, port: int) -> None:
        self.cut: Cut = lambda method: None
        #: What happens at the cut; the line itself is cut but after the answer.
        self.kill: Callable[[], None] = lambda: None
        self.upstream = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        line = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                where = line.cut(json.loads(body)["method"])
                if where == "before":
                    line.kill()
                    self.close_connection = True
                    return
                about = {
                    name: self.headers[name]
                    for name in ("Authorization", "Content-Type")
                    if name in self.headers
                }
                said = line.upstream.post(self.path, content=body, headers=about)
                if where == "between":
                    line.kill()
                    self.close_connection = True
                    return
                self.send_response(said.status_code)
                self.send_header("Content-Length", str(len(said.content)))
                self.end_headers()
                self.wfile.write(said.content)
                if where == "after":
                    line.kill()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_port)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@contextmanager
def line_to(port: int) -> Iterator[CutLine]:
    """A line to the Tryton behind a port."""
    line = CutLine(port)
    yield line
    line.server.shutdown()
    line.server.server_close()
    line.upstream.close()
