"""The desk as its users have it: `stockhouse desk` in a process of its own, which may be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx


class Served:
    """A desk under its own port. start, and kill as a power cut does."""

    def __init__(self, home: Path, more: Mapping[str, str] | None = None) -> None:
        self.home, self.environment = home, {**os.environ, **(more or {})}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str) -> httpx.Client:
        """A script's client of it."""
        headers = {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=20)

    def start(self) -> None:
        """Open the desk, and wait until it answers."""
        told = ["desk", "--home", str(self.home), "--port", str(self.port)]
        command = [sys.executable, "-c", "from orchestration.cli import app; app()", *told]
        self.process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                httpx.get(f"{self.url}/api/v1/state", timeout=5)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the desk did not open")

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
