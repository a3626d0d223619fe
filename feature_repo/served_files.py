"""The online store of a home: Feast answers from one Parquet file a view, the rows being served,
which each refresh writes whole.

Feast's own SQLite store keeps a row a feature: at 30,490 series 1.2 GB, and two minutes a refresh,
for what is 3 MB here.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values

from feature_repo.warehouse import replacing

TYPE: Literal["feature_repo.served_files.ServedFilesOnlineStore"] = (
    "feature_repo.served_files.ServedFilesOnlineStore"
)
#: Which rows were pushed by whoever uses Feast's own calls, or told to us by an event.
PUSHED = "is_pushed"
#: What Feast's interface calls a row: its key, its values, its event time and its known time.
Told = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class ServedFilesOnlineStoreConfig(FeastConfigBaseModel):
    """Where the files lie."""

    type: Literal["feature_repo.served_files.ServedFilesOnlineStore"] = TYPE
    path: str


@dataclass(frozen=True)
class Served:
    """The rows of a view, found by key: each value of a key has a number, and the numbers of a row
    are one."""

    rows: pl.DataFrame
    codes: tuple[Mapping[str, int], ...]
    #: Rising, with the row that each belongs to.
    numbers: np.ndarray[Any, np.dtype[np.int64]]
    positions: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def read(cls, file: Path, keys: Sequence[str]) -> Served:
        """The rows of one file."""
        rows = pl.read_parquet(file)
        numbers, codes = np.zeros(len(rows), dtype=np.int64), []
        for key in keys:
            written = rows[key].cast(pl.String)
            values = written.unique().sort()
            codes.append({value: code for code, value in enumerate(values)})
            numbers = numbers * len(values) + written.cast(pl.Enum(values)).to_physical().to_numpy()
        positions = np.argsort(numbers, kind="stable")
        return cls(rows, tuple(codes), numbers[positions], positions)

    def find(self, keys: Sequence[Sequence[str]]) -> list[int | None]:
        """The row of each key, its values in the order of the view's; None where nothing is
        served."""
        if not len(self.numbers):
            return [None] * len(keys)
        asked = np.array([self._number(key) for key in keys], dtype=np.int64)
        places = np.minimum(np.searchsorted(self.numbers, asked), len(self.numbers) - 1)
        there = self.numbers[places] == asked
        rows = self.positions[places]
        return [int(row) if is_there else None for row, is_there in zip(rows, there, strict=True)]

    def _number(self, key: Sequence[str]) -> int:
        number = 0
        for value, codes in zip(key, self.codes, strict=True):
            if value not in codes:
                return -1
            number = number * len(codes) + codes[value]
        return number


class ServedFilesOnlineStore(OnlineStore):
    """Feast's interface to the files of a home."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[tuple[int, int, int], Served]] = {}

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """What is served of each key; (None, None) where nothing is."""
        served = self._served(config, table)
        if served is None:
            return [(None, None)] * len(entity_keys)
        found = served.find([_written(key, table.join_keys) for key in entity_keys])
        there = served.rows[[row for row in found if row is not None]]
        asked = requested_features or [field.name for field in table.features]
        values = {
            field.name: python_values_to_proto_values(
                there[field.name].to_list(), field.dtype.to_value_type()
            )
            for field in table.features
            # a feature that came since the last refresh is not served yet
            if field.name in asked and field.name in there.columns
        }
        answers = zip(
            there[times_of(table)[0]].to_list(),
            [dict(zip(values, one, strict=True)) for one in zip(*values.values(), strict=True)],
            strict=True,
        )
        return [(None, None) if row is None else next(answers) for row in found]

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Told],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Serve rows that somebody writes through Feast itself (`FeatureStore.push`, `feast
        materialize`), until a refresh of ours knows as much."""
        file = _file(config, table)
        with writing(file.parent):
            if not file.is_file():
                raise LookupError(f"{table.name} serves nothing yet: run `stockhouse run` first")
            before = pl.read_parquet(file)
            rows = pl.DataFrame([_row(one, table) for one in data], schema=before.schema)
            rows = rows.unique(table.join_keys, keep="last", maintain_order=True)
            after = pl.concat([before.join(rows, on=table.join_keys, how="anti"), rows])
            with replacing(file) as aside:
                after.sort(table.join_keys).write_parquet(aside)
        if progress:
            progress(len(data))

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Forget what was served of views that are no more."""
        self.teardown(config, tables_to_delete, entities_to_delete)

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Serve nothing of these views."""
        for table in tables:
            _file(config, table).unlink(missing_ok=True)

    def _served(self, config: RepoConfig, view: FeatureView) -> Served | None:
        """The rows of a view, read again once its file is another."""
        file = _file(config, view)
        try:
            found = file.stat()
        except FileNotFoundError:
            return None
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        known = self._read.get(view.name)
        if known is None or known[0] != stamp:
            known = self._read[view.name] = (stamp, Served.read(file, view.join_keys))
        return known[1]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Alone among the writers of the files in a folder; a killed one lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def times_of(view: FeatureView) -> list[str]:
    """The columns with a row's event time, and its known time where the view has one of its own."""
    source = view.batch_source
    return (
        [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
        if source
        else []
    )


def _file(config: RepoConfig, view: FeatureView) -> Path:
    return Path(config.online_store.path) / f"{view.name}.parquet"


def _written(key: EntityKey, join_keys: Sequence[str]) -> tuple[str, ...]:
    values = dict(zip(key.join_keys, key.entity_values, strict=True))
    return tuple(str(_plain(values[name])) for name in join_keys)


def _plain(value: Value) -> Any:
    """A key's value as the files have it: a time is a day."""
    plain = feast_value_type_to_python_type(value)
    return plain.astimezone(UTC).date() if isinstance(plain, datetime) else plain


def _row(told: Told, view: FeatureView) -> dict[str, Any]:
    key, values, event_at, known_at = told
    keys = {
        name: _plain(value) for name, value in zip(key.join_keys, key.entity_values, strict=True)
    }
    features = {name: feast_value_type_to_python_type(value) for name, value in values.items()}
    times = (event_at, known_at or event_at)
    aware = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in times]
    return {**keys, **features, **dict(zip(times_of(view), aware, strict=False)), PUSHED: True}
