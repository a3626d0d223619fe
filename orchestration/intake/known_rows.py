"""Which rows of an API have been handed over, so that one deleted there is noticed: beside the
source's mark, a row a key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.home.sqlite import make_durable
from orchestration.intake.answers import at
from orchestration.intake.deliveries import json_line
from orchestration.intake.options import Gone, Rest
from orchestration.landing import ContractError

FILE = "known_rows.sqlite"
DELETED_AT = "_deleted_at"
PATIENCE = 10.0
#: Of so many rows or more, not the larger part is deleted at once: who asks has lost a right.
MANY = 10


def deleted_at() -> str:
    """When a row was noticed to be gone: now (UTC)."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")


class KnownRows:
    """The rows of one source as they were handed over last; of a source without `gone`, none."""

    def __init__(
        self, connection: sqlite3.Connection | None, gone: Gone | None, where: str
    ) -> None:
        self._connection, self._gone, self._where = connection, gone, where

    @classmethod
    def of(cls, folder: Path, options: Rest, where: str) -> KnownRows:
        """Open what is known of the source with this inbox."""
        if options.gone is None:
            return cls(None, None, where)
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(folder / FILE, timeout=PATIENCE)
        make_durable(connection, patience=PATIENCE)
        with connection:
            connection.execute("create table if not exists rows (key text primary key, said text)")
        return cls(connection, options.gone, where)

    def __enter__(self) -> KnownRows:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def keep(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Remember rows that have been handed over, the newest of each key."""
        if self._connection is not None:
            said = [(self._key(row), json_line(row)) for row in rows]
            with self._connection:
                self._connection.executemany("insert or replace into rows values (?, ?)", said)

    def gone(self, left: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The known rows that are not among what is left, by key, as they last were.

        Raises ContractError where the larger part of many rows would be: nobody deletes so much,
        and rows that may not be read any more look the same.
        """
        if self._connection is None:
            return []
        keys = {self._key(row) for row in left}
        known = self._connection.execute("select key, said from rows order by key").fetchall()
        gone = [json.loads(said) for key, said in known if key not in keys]
        if len(known) >= MANY and 2 * len(gone) > len(known):
            raise ContractError(
                f"{len(gone):,} of {len(known):,} known rows, the larger part, are gone",
                where=self._where,
                mend=f"may they still be read? If they were deleted, remove {FILE} beside the mark",
            )
        return gone

    def forget(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Let go of rows that have been handed over as gone."""
        if self._connection is not None:
            with self._connection:
                keys = [(self._key(row),) for row in rows]
                self._connection.executemany("delete from rows where key = ?", keys)

    def _key(self, row: Mapping[str, Any]) -> str:
        name = self._gone.key if self._gone else ""
        found = at(row, name)
        if found is None or isinstance(found, (dict, list)):
            raise ContractError(f"a row has no key `{name}`", where=self._where, mend="see `gone`")
        return str(found)
