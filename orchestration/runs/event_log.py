"""Dagster's history of a home, written without closing the file after every event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, StaticPool, create_engine, event


class KeptOpenEventLog(SqliteEventLogStorage):
    """Dagster's own event files, kept open from a run's first event to its last.

    Dagster opens and closes a file for each of a run's some thousand events, and SQLite then writes
    to the disk three times before the next: half of a small run's time. The files are the same, so
    that every other process reads them as before. Overrides a private method of Dagster's, for
    which it has no public place; without the override everything works, slower.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> KeptOpenEventLog:
        """Made by Dagster from an instance's settings."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard not in self._engines:
            with super()._connect(shard):
                pass  # makes the file with its tables where there is none
        with self._db_lock:
            engine = self._engines.get(shard) or self._open(shard)
            with engine.begin() as connection:
                yield connection

    def _open(self, shard: str) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": 60, "check_same_thread": False},  # one at a time, by the lock
        )

        @event.listens_for(engine, "connect")
        def quick(connection: Any, _: Any) -> None:
            # with a write-ahead log nothing of this can tear; a power cut costs the last events
            connection.execute("pragma synchronous = normal")

        self._engines[shard] = engine
        return engine

    def dispose(self) -> None:
        """Close the files."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def instance_at(folder: Path) -> dg.DagsterInstance:
    """The Dagster instance whose settings and files lie in a folder, for a run of our own."""
    settings = InstanceRef.from_dir(str(folder))
    kept_in = settings.storage_data
    if kept_in is None or kept_in.class_name != "DagsterSqliteStorage":
        return dg.DagsterInstance.from_ref(settings)
    kept_open = {
        "module": KeptOpenEventLog.__module__,
        "class": KeptOpenEventLog.__name__,
        "config": {"base_dir": str(folder / "history" / "runs")},
    }
    return dg.DagsterInstance.from_ref(
        InstanceRef.from_dir(str(folder), overrides={"event_log_storage": kept_open})
    )
