"""What the desk keeps open, the published snapshot and the ledger, so that a page that looks at
them waits for nothing."""

from __future__ import annotations

import os
from threading import Lock

import duckdb

from orchestration.app import procurement
from orchestration.app.procurement import Desk
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.ledger import Ledger

#: Seconds that a page waits for the ledger before it says that somebody else is writing.
PATIENCE = 5.0


class Held:
    """One ledger, and one connection to the current version, renewed when a newer is published."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.version = 0
        self.link = ""  # where `current` led when the version was last looked at
        self.connection: duckdb.DuckDBPyConnection | None = None
        self.ledger: Ledger | None = None
        self.kept: tuple[tuple[int, int], Desk] | None = None
        self.lock = Lock()

    def desk(self) -> Desk:
        """The home's desk now. Raises as procurement.open_desk does."""
        return self.state()[1]

    def state(self) -> tuple[tuple[int, int], Desk]:
        """The desk, and of which publication and which last event it is: whatever is read there is
        the same as long as these are."""
        with self.lock:
            self._renew()
            if self.ledger is None:
                self.ledger = Ledger.of(self.home, PATIENCE)
            state = (self.version, self.ledger.age()[0])
            if self.kept is None or self.kept[0] != state or not self.version:
                self.kept = (state, procurement.desk_of(self.home, self.ledger))
            return self.kept

    def _renew(self) -> None:
        """Hold the current version; nothing before the first publication."""
        try:
            link = os.readlink(self.home.published / "current")
        except OSError:
            link = ""
        if link and link == self.link:
            return
        try:
            snapshot = published_snapshots.current(self.home.published)
        except published_snapshots.PublishError:
            return
        if snapshot.version != self.version:
            if self.connection is not None:
                self.connection.close()
            self.connection = duckdb.connect(str(snapshot.path), read_only=True)
            self.version = snapshot.version
        self.link = link

    def close(self) -> None:
        """Let go of what is held."""
        if self.connection is not None:
            self.connection.close()
        if self.ledger is not None:
            self.ledger.close()
        self.connection, self.ledger, self.kept = None, None, None
        self.version, self.link = 0, ""
