"""A SQLite file of the house may be opened by any number of others in the same moment."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from orchestration.home.sqlite import make_durable

TOGETHER, TIMES = 4, 40


def _open_many(folder: Path, gate: Barrier) -> None:
    for number in range(TIMES):
        gate.wait(timeout=60)
        with closing(sqlite3.connect(folder / f"{number}.sqlite", timeout=30)) as connection:
            make_durable(connection, patience=30)
            connection.execute("CREATE TABLE IF NOT EXISTS met (who INTEGER)")


def test_all_who_open_one_file_at_once_get_in(tmp_path: Path) -> None:
    gate = Barrier(TOGETHER)
    with ThreadPoolExecutor(TOGETHER) as pool:
        for opened in [pool.submit(_open_many, tmp_path, gate) for _ in range(TOGETHER)]:
            opened.result(timeout=120)


def test_a_file_that_stays_locked_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0.1)) as late,
    ):
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            make_durable(late, patience=0.2)


def test_other_faults_are_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "no.sqlite"
    path.write_bytes(b"this is no database at all, and will never be one" * 40)
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.DatabaseError, match="not a database"),
    ):
        make_durable(connection, patience=30)
