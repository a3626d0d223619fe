"""How a SQLite file of the house is opened: write-ahead, on the disk at commit, patient."""

from __future__ import annotations

import sqlite3
import time

PAUSE = 0.01


def make_durable(connection: sqlite3.Connection, *, patience: float) -> None:
    """Put a new connection in WAL mode, flushed at every commit.

    patience: seconds to wait for others that open or leave the file in the same moment. SQLite's
    own time-out does not cover the change of mode (two that make it at once would deadlock, so one
    is refused at once), and the last one out holds the file while it folds the log away. Raises
    sqlite3.OperationalError when the file is still locked after that.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
    connection.execute("PRAGMA synchronous = FULL")
