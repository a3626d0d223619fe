"""Feast's offline store over DuckDB, with the known-at cutoff always on: nothing is served before
it was known.

Reads tables of the warehouse (read-only, closed after each query) and Parquet. For an entity row at
time t a view answers with its last event at or before t, in the version last known at or before t;
see `feature_repo.asof` for how one ASOF join does both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, FileSource, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.saved_dataset import SavedDatasetStorage

from feature_repo.asof import FeatureRows, as_of, quote
from feature_repo.entity_rows import check_times, time_column, to_arrow
from feature_repo.sources import WarehouseSource, column_types, relation, row_id
from feature_repo.warehouse import open_warehouse, write_parquet

#: A view so many times as long as what is asked of it is read for the asked keys alone.
FEW = 4
#: Types that compare with one another; a key of another family is the wrong entity.
FAMILIES = {
    "text": ("VARCHAR", "ENUM", "UUID"),
    "number": (
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
    ),
    "time": ("DATE", "TIMESTAMP"),
}


class WarehouseOfflineStoreConfig(FeastConfigBaseModel):
    """path: the warehouse file (None: Parquet sources only). now: SQL for the latest time that may
    be asked for, such as 'SELECT now_at FROM raw.world'. memory_limit: such as '4GB'. spill: folder
    for what does not fit in memory."""

    type: Literal["feature_repo.offline_store.WarehouseOfflineStore"] = (
        "feature_repo.offline_store.WarehouseOfflineStore"
    )
    path: str | None = None
    now: str | None = None
    memory_limit: str | None = None
    spill: str | None = None


class WarehouseOfflineStore(OfflineStore):
    """Feast's offline store over the DuckDB warehouse: training rows as known at their own time,
    and the newest rows for serving."""

    supports_filter_by_created_timestamp = True  # and it cannot be switched off

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **kwargs: Any,
    ) -> RetrievalJob:
        """Every entity row with what was known of it at its own time.

        entity_df: pandas, or anything that speaks Arrow (pyarrow, polars), or SQL over the
        warehouse; one column `event_timestamp` (or a single zoned timestamp) with the time, and the
        join keys of every view. Rows come back in the order given. Raises LookupError for an
        unknown feature, key or table, TypeError for a wrong key type, ValueError for times without
        zone, null, or later than the warehouse's Now.
        """
        if OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry):
            raise NotImplementedError(
                "on-demand views run Python from the registry; compute the feature in dbt instead"
            )
        with _open(config) as connection:
            asked = to_arrow(connection, entity_df)
            at = time_column(asked)
            check_times(connection, config.offline_store.now, asked, at)
            connection.register("asked", asked)
            kinds = {
                name: kind for name, kind, *_ in connection.execute("DESCRIBE asked").fetchall()
            }
            views, late, few = [], [], []
            for view in feature_views:
                rows = _feature_rows(
                    connection, config, view, feature_refs, full_feature_names, kinds
                )
                views.append(rows)
                length = _length(connection, rows)
                late.append(_is_long_and_wide(length, rows, asked.num_rows))
                few.append(FEW * asked.num_rows < length)
        sql = as_of("asked", at, asked.column_names, views, late, few)
        earliest, latest = pc.min_max(asked[at]).as_py().values()
        keys = [name for name in asked.column_names if name != at]
        return WarehouseJob(
            config,
            sql,
            asked,
            full_feature_names,
            RetrievalMetadata(feature_refs, keys, earliest, latest),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Each key's last event within [start_date, end_date], in the version last known at
        end_date."""
        with _open(config) as connection:
            known = _kept(connection, config, data_source, created_timestamp_column)
            names = {name: name for name in feature_name_columns}
            keys = {name: name for name in join_key_columns}
            place = relation(data_source, str(config.repo_path))
            rows = FeatureRows(
                place, keys, names, timestamp_field, known, row_id=row_id(connection, data_source)
            )
        return WarehouseJob(config, rows.last(_literal(start_date), _literal(end_date)))

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Every stored row whose event lies within [start_date, end_date]; an end left out is
        open."""
        times = [name for name in (timestamp_field, created_timestamp_column) if name]
        columns = ", ".join(
            map(quote, dict.fromkeys([*join_key_columns, *feature_name_columns, *times]))
        )
        event = f"CAST({quote(timestamp_field)} AS TIMESTAMP)"
        bounds = [
            f"{event} {sign} {_literal(end)}"
            for sign, end in ((">=", start_date), ("<=", end_date))
            if end
        ]
        where = f"WHERE {' AND '.join(bounds)}" if bounds else ""
        return WarehouseJob(
            config, f"SELECT {columns} FROM {relation(data_source, str(config.repo_path))} {where}"
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Appends rows to the view's source; a single Parquet file is rewritten aside and
        switched."""
        source = _source(feature_view)
        with _open(config, read_only=not isinstance(source, WarehouseSource)) as connection:
            kinds = column_types(connection, source, str(config.repo_path))
            if set(kinds) != set(table.column_names):
                raise ValueError(
                    f"view {feature_view.name}: rows have columns {table.column_names}, its source "
                    f"has {list(kinds)}"
                )
            connection.register("written", table)
            place = relation(source, str(config.repo_path))
            if isinstance(source, WarehouseSource):
                connection.execute(f"INSERT INTO {place} BY NAME SELECT * FROM written")
            else:
                written = ", ".join(
                    f"CAST({quote(name)} AS {kind}) AS {quote(name)}"
                    for name, kind in kinds.items()
                )
                _append_parquet(
                    connection, f"SELECT {written} FROM written", place, Path(_path(config, source))
                )
        if progress:
            progress(table.num_rows)


class WarehouseJob(RetrievalJob):
    """A query, run when its result is asked for; as pandas, Arrow, or written to Parquet without
    passing through Python."""

    def __init__(
        self,
        config: RepoConfig,
        sql: str,
        asked: pa.Table | None = None,
        full_feature_names: bool = False,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._config, self._sql, self._asked = config, sql, asked
        self._full_feature_names, self._metadata = full_feature_names, metadata

    @contextmanager
    def _run(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _open(self._config) as connection:
            if self._asked is not None:
                numbers = pa.array(np.arange(self._asked.num_rows))
                connection.register("asked", self._asked.append_column("__row", numbers))
            yield connection

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with self._run() as connection:
            return connection.execute(self._sql).to_arrow_table()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def to_sql(self) -> str:
        """The query that would be run, for reading; running it elsewhere needs the job's entity
        rows."""
        return self._sql

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Writes the result to the storage's Parquet file, aside and then switched; an existing
        file needs allow_overwrite."""
        path = _path(self._config, storage.to_data_source())
        if os.path.exists(path) and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=path)
        with self._run() as connection:
            write_parquet(connection, self._sql, Path(path))

    @property
    def full_feature_names(self) -> bool:
        """Whether feature columns are called view__feature, so that two views may have one name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """None: a feature is worked out in the warehouse, never by code in the registry."""
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Which features, keys and span of time were asked for; None where a job was not made from
        entity rows."""
        return self._metadata


@contextmanager
def _open(config: RepoConfig, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    store: WarehouseOfflineStoreConfig = config.offline_store
    with open_warehouse(
        store.path, read_only=read_only, memory_limit=store.memory_limit, spill=store.spill
    ) as connection:
        yield connection


def _feature_rows(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    view: FeatureView,
    refs: list[str],
    full: bool,
    asked: dict[str, str],
) -> FeatureRows:
    """The view's rows with the features asked of it, its names checked against the source and the
    entity rows."""
    name, source = view.projection.name_to_use(), _source(view)
    kinds = column_types(connection, source, str(config.repo_path))
    origin = {feature: column for column, feature in source.field_mapping.items()}
    columns = [ref.split(":", 1)[1] for ref in refs if ref.split(":", 1)[0] == name]
    features = {}
    for feature in columns:
        column, answer = origin.get(feature, feature), f"{name}__{feature}" if full else feature
        if column not in kinds:
            raise LookupError(
                f"feature {name}:{feature}: its source {source.name} has no column {column}; it "
                f"has {sorted(kinds)}"
            )
        if answer in asked:
            raise ValueError(
                f"feature {name}:{feature} and an entity column are both called {answer}: rename "
                "the column"
            )
        features[column] = answer
    keys = {}
    for entity in view.entity_columns:
        column, target = (
            origin.get(entity.name, entity.name),
            view.projection.join_key_map.get(entity.name, entity.name),
        )
        if target not in asked:
            raise LookupError(
                f"view {name} is joined by {target}, which the entity rows lack; they have "
                f"{sorted(asked)}"
            )
        if _family(kinds[column]) != _family(asked[target]):
            raise TypeError(
                f"entity column {target} is {asked[target]}, but view {name} is keyed by "
                f"{kinds[column]}: cast the column"
            )
        keys[column] = target
    created = _kept(connection, config, source, source.created_timestamp_column)
    place = relation(source, str(config.repo_path))
    return FeatureRows(
        place, keys, features, source.timestamp_field, created, view.ttl, row_id(connection, source)
    )


def _source(view: FeatureView) -> DataSource:
    if view.batch_source is None:
        raise LookupError(f"view {view.name} has no batch source, so it has no history to read")
    return view.batch_source


def _family(kind: str) -> str:
    base = re.sub(r"\W.*", "", kind)
    return next((family for family, kinds in FAMILIES.items() if base in kinds), kind)


def _kept(
    connection: duckdb.DuckDBPyConnection,
    config: RepoConfig,
    source: DataSource,
    column: str | None,
) -> str | None:
    """The known-at column; a source that names one but lacks it would leak, so that is an error."""
    if column and column not in column_types(connection, source, str(config.repo_path)):
        raise LookupError(
            f"source {source.name} has no column {column}, which says when each row could be known"
        )
    return column or None


def _length(connection: duckdb.DuckDBPyConnection, rows: FeatureRows) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {rows.relation}").fetchall()[0][0])


def _is_long_and_wide(length: int, rows: FeatureRows, asked: int) -> bool:
    """Whether sorting the features costs more than fetching them afterwards, from timings on M5
    (13.6M rows x 37 features)."""
    if rows.row_id is None:
        return False
    return length * len(rows.features) > 16 * (length + asked)


def _literal(time: datetime) -> str:
    """A time as SQL, UTC without zone; a time without zone is taken as UTC."""
    utc = time.astimezone(UTC) if time.tzinfo else time
    return f"TIMESTAMP '{utc.replace(tzinfo=None).isoformat(sep=' ')}'"


def _path(config: RepoConfig, source: DataSource) -> str:
    if not isinstance(source, FileSource):
        raise TypeError(
            f"{source.name} is a {type(source).__name__}: a data set is saved to Parquet, as "
            "SavedDatasetFileStorage"
        )
    return str(
        FileSource.get_uri_for_file_path(repo_path=str(config.repo_path), uri=source.path)
    ).removeprefix("file://")


def _append_parquet(
    connection: duckdb.DuckDBPyConnection, rows: str, place: str, path: Path
) -> None:
    if path.suffix == ".parquet":
        write_parquet(connection, f"SELECT * FROM {place} UNION ALL {rows}", path)
    else:
        write_parquet(
            connection, rows, path / f"part-{len(list(path.glob('*.parquet'))):06d}.parquet"
        )
