"""The published snapshot, kept open: a page that opens it again waits for nothing."""

from __future__ import annotations

from threading import Lock

import duckdb

from orchestration.facts import snapshots
from orchestration.home import Home


class Held:
    """One connection to the current version, renewed when a newer one is published."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.version = 0
        self.connection: duckdb.DuckDBPyConnection | None = None
        self.lock = Lock()

    def renew(self) -> None:
        """Hold the current version; nothing before the first publication."""
        with self.lock:
            try:
                snapshot = snapshots.current(self.home.published)
            except snapshots.PublishError:
                return
            if snapshot.version == self.version:
                return
            self.close()
            self.connection = duckdb.connect(str(snapshot.path), read_only=True)
            self.version = snapshot.version

    def close(self) -> None:
        """Let go of what is held."""
        if self.connection is not None:
            self.connection.close()
        self.connection, self.version = None, 0
