"""Keeps the online store equal to what is known now: late rows, corrections, pushes and deletions
included.

Beside the registry lies one Parquet file a view with the rows being served. A refresh compares
everything known at Now with that file, so it goes by content, never by a high-water mark that a
late row could slip under (feast#4133). By default these files are the online store; another one is
told the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3, compute_table_id
from feast.types import Bool, FeastType, Float32, Int64, String, UnixTimestamp
from feast.utils import _convert_arrow_to_proto

from feature_repo.asof import FeatureRows, literal, quote
from feature_repo.served_files import ServedFilesOnlineStoreConfig, times_of, writing
from feature_repo.sources import column_types, relation, row_id
from feature_repo.warehouse import open_warehouse, write_parquet

BATCH = 10_000
#: A Feast type as DuckDB keeps it among the served rows; a key that is a time is a day.
KEPT: dict[FeastType, str] = {
    Float32: "FLOAT",
    Int64: "BIGINT",
    String: "VARCHAR",
    Bool: "BOOLEAN",
    UnixTimestamp: "DATE",
}


def materialize_online(
    store: FeatureStore, now: datetime, is_settled: Callable[[], bool] = lambda: False
) -> int:
    """Bring every online view up to what was known at `now` (UTC), and return how many rows were
    written or deleted.

    Views about a target day serve that day and later. Rows pushed since, with a later event or
    known time, keep serving; once `is_settled` says that the warehouse has been told of every
    event, only those known after `now` do, and what it refused ends. If it fails, what was served
    before goes on serving, and the next call does the rest. Raises LookupError for a missing table.
    """
    return sum(
        _refresh(store, view, now, is_settled) for view in store.list_feature_views() if view.online
    )


def push(store: FeatureStore, view_name: str, rows: pl.DataFrame) -> int:
    """Serve rows of a view before the warehouse knows them, such as an event just received; returns
    how many were newer than the served.

    rows: the view's join keys, all its features and its times (naive times are UTC). They serve
    until the warehouse knows as much. The warehouse is not opened, so a run that writes to it is
    neither waited for nor disturbed.
    """
    view = _view(store, view_name)
    with _alone(store) as con:
        _create_told(con, view)
        expected = [name for name, *_ in con.execute("DESCRIBE told").fetchall()]
        if set(rows.columns) != set(expected):
            raise LookupError(
                f"rows pushed to {view_name} need exactly the columns {expected}; they have "
                f"{rows.columns}"
            )
        con.register("given", rows.to_arrow())
        con.execute("INSERT INTO told BY NAME SELECT * FROM given")
        _load_served(con, store, view)
        con.execute(f"""
            CREATE TEMP TABLE newer AS SELECT told.*, true AS is_pushed FROM told LEFT
                JOIN served USING ({_keys(view)})
            WHERE served.is_pushed IS NULL OR {_version(view, "told")} > {_version(view, "served")}
            QUALIFY row_number() OVER (PARTITION BY {_keys(view)}
                ORDER BY {_version(view, "told")} DESC) = 1""")
        con.execute(
            "CREATE TEMP TABLE next AS FROM newer UNION ALL BY NAME FROM served ANTI JOIN newer "
            f"USING ({_keys(view)})"
        )
        return _serve(con, store, view)


def delete_entity(store: FeatureStore, join_key: str, value: str) -> int:
    """Stop serving everything about one entity, such as ('item_id', '85123A'), in every view keyed
    by it; returns the rows deleted.

    A later refresh serves it again if the warehouse still knows it.
    """
    deleted = 0
    for view in store.list_feature_views():
        if view.online and join_key in view.join_keys:
            with _alone(store) as con:
                _create_told(con, view)
                _load_served(con, store, view)
                con.execute(
                    f"CREATE TEMP TABLE next AS FROM served WHERE CAST({quote(join_key)} AS "
                    "VARCHAR) <> ?",
                    [value],
                )
                deleted += _serve(con, store, view)
    return deleted


def _refresh(
    store: FeatureStore, view: FeatureView, now: datetime, is_settled: Callable[[], bool]
) -> int:
    with _alone(store, store.config.offline_store.path) as con:
        _load_told(con, store, view, now)
        _load_served(con, store, view)
        con.execute(f"""
            CREATE TEMP TABLE kept AS SELECT served.* FROM served LEFT
                JOIN told USING ({_keys(view)})
            WHERE served.is_pushed
                AND coalesce({_version(view, "served")} > {_version(view, "told")}, true)""")
        if con.execute("SELECT 1 FROM kept LIMIT 1").fetchone() and is_settled():
            con.execute(f"DELETE FROM kept WHERE {quote(times_of(view)[-1])} <= {_literal(now)}")
        con.execute(f"""
            CREATE TEMP TABLE next AS FROM kept UNION ALL BY NAME
            SELECT *, false AS is_pushed FROM told ANTI JOIN kept USING ({_keys(view)})""")
        return _serve(con, store, view)


def _serve(con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView) -> int:
    """Serve `next` instead of `served`; returns how many rows differ."""
    changed = (
        "SELECT * EXCLUDE (is_pushed) FROM next EXCEPT SELECT * EXCLUDE (is_pushed) FROM served"
    )
    gone = f"SELECT * EXCLUDE (is_pushed) FROM served ANTI JOIN next USING ({_keys(view)})"
    if not _is_file(store):
        _tell(con, store, view, changed, gone)
    differ = con.execute(
        f"SELECT (SELECT count(*) FROM ({changed})) + (SELECT count(*) FROM ({gone}))"
    ).fetchall()
    write_parquet(con, f"FROM next ORDER BY {_keys(view)}", _served_file(store, view))
    return int(differ[0][0])


def _is_file(store: FeatureStore) -> bool:
    """Whether the files are the online store themselves."""
    return isinstance(store.config.online_store, ServedFilesOnlineStoreConfig)


def _tell(
    con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView, changed: str, gone: str
) -> None:
    """Write to the online store which rows are others now, and which are no more."""
    provider, rows = store._get_provider(), _protos(con, view, changed)
    for start in range(0, len(rows), BATCH):
        provider.online_write_batch(store.config, view, rows[start : start + BATCH], None)
    if keys := [key for key, *_ in _protos(con, view, gone)]:
        _delete(store, view, keys)


def _create_told(con: duckdb.DuckDBPyConnection, view: FeatureView) -> None:
    """Table `told`, empty: the view's keys, features and times."""
    columns = [
        f"{quote(field.name)} {KEPT[field.dtype]}"
        for field in (*view.entity_columns, *view.features)
    ]
    columns += [f"{quote(name)} TIMESTAMP WITH TIME ZONE" for name in times_of(view)]
    con.execute(f"CREATE TEMP TABLE told ({', '.join(columns)})")


def _load_told(
    con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView, now: datetime
) -> None:
    """Table `told`: each key's answer at Now."""
    _create_told(con, view)
    con.execute(f"INSERT INTO told BY NAME {_rows(con, store, view).last(None, _literal(now))}")
    if "target_on" in view.join_keys:
        con.execute(f"DELETE FROM told WHERE target_on < CAST({_literal(now)} AS DATE)")


def _load_served(con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView) -> None:
    """Table `served`: the rows the online store holds, with the columns of `told`; empty where the
    view's columns changed or the store lost what it was given, so that everything is written
    anew."""
    con.execute("CREATE TEMP TABLE served AS SELECT *, false AS is_pushed FROM told LIMIT 0")
    file = _served_file(store, view)
    if file.is_file():
        served = f"read_parquet({literal(str(file))})"
        columns = [name for name, *_ in con.execute(f"DESCRIBE FROM {served}").fetchall()]
        if columns == [name for name, *_ in con.execute("DESCRIBE served").fetchall()]:
            con.execute(f"INSERT INTO served BY NAME FROM {served}")
    if not _is_file(store) and _is_lost(con, store, view):
        con.execute("DELETE FROM served")


def _is_lost(con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView) -> bool:
    """Whether the online store does not know the first row it was given, by the time it has of it:
    Redis dates what it does not know to 1970."""
    sql = "SELECT * EXCLUDE (is_pushed) FROM served LIMIT 1"
    for key, values, event_at, _ in _protos(con, view, sql):
        read = store._get_provider().online_read(store.config, view, [key], list(values))
        at = read[0][0]
        return at is None or abs(_utc(at) - _utc(event_at)) >= timedelta(seconds=1)
    return False


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _protos(con: duckdb.DuckDBPyConnection, view: FeatureView, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query as Feast's (entity key, values, event time, known time)."""
    days = [
        f"timezone('UTC', CAST({key} AS TIMESTAMP)) AS {key}"
        for key in view.join_keys
        if key == "target_on"
    ]
    table: pa.Table = con.execute(
        f"SELECT * {f'REPLACE ({days[0]})' if days else ''} FROM ({sql})"
    ).to_arrow_table()
    kinds = {entity.name: entity.dtype.to_value_type() for entity in view.entity_columns}
    batches = [batch for batch in table.to_batches(BATCH) if batch.num_rows]
    return [row for batch in batches for row in _convert_arrow_to_proto(batch, view, kinds)]


def _delete(store: FeatureStore, view: FeatureView, keys: list[Any]) -> None:
    """Remove keys of a view; Feast offers no such call, so each kind of store is told in its own
    language."""
    config = store.config
    online: Any = store._get_provider().online_store
    serialized = [
        serialize_entity_key(key, config.entity_key_serialization_version) for key in keys
    ]
    table = compute_table_id(
        config.project, view, config.registry.enable_online_feature_view_versioning
    )
    kind = type(online).__name__
    if kind == "PostgreSQLOnlineStore":
        with online._get_conn(config) as connection, connection.cursor() as cursor:
            cursor.executemany(
                f"DELETE FROM {quote(table)} WHERE entity_key = %s", [(key,) for key in serialized]
            )
            connection.commit()
    elif kind == "RedisOnlineStore":
        fields = [_mmh3(f"{view.name}:{feature.name}") for feature in view.features] + [
            f"_ts:{view.name}".encode()
        ]
        with online._get_client(config.online_store).pipeline(transaction=False) as pipe:
            for key in serialized:
                pipe.hdel(key + config.project.encode(), *fields)
            pipe.execute()
    else:
        raise NotImplementedError(
            f"deleting from a {kind} is not known here; use postgres, redis or files"
        )


def _rows(con: duckdb.DuckDBPyConnection, store: FeatureStore, view: FeatureView) -> FeatureRows:
    source = view.batch_source
    if source is None:
        raise LookupError(f"view {view.name} has no batch source, so there is nothing to serve")
    keys, features = (
        {name: name for name in names}
        for names in (view.join_keys, [feature.name for feature in view.features])
    )
    # says what to do where the table is missing
    column_types(con, source, str(store.config.repo_path))
    place = relation(source, str(store.config.repo_path))
    known = source.created_timestamp_column or None
    return FeatureRows(
        place, keys, features, source.timestamp_field, known, row_id=row_id(con, source)
    )


@contextmanager
def _alone(
    store: FeatureStore, warehouse: str | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to what is served (and to the warehouse, if given) while no other process
    changes it; a killed one lets go."""
    settings = store.config.offline_store
    with (
        writing(_served_folder(store)),
        open_warehouse(warehouse, memory_limit=settings.memory_limit, spill=settings.spill) as con,
    ):
        yield con


def _view(store: FeatureStore, name: str) -> FeatureView:
    views = {view.name: view for view in store.list_feature_views() if view.online}
    if name not in views:
        raise LookupError(f"there is no online view {name}; there are {sorted(views)}")
    return views[name]


def _version(view: FeatureView, table: str) -> str:
    """The (event, known) order of a row, as SQL; null where the row is missing."""
    times = [f"{table}.{quote(name)}" for name in times_of(view)]
    return f"CASE WHEN {times[0]} IS NOT NULL THEN row({', '.join(times)}) END"


def _keys(view: FeatureView) -> str:
    return ", ".join(map(quote, view.join_keys))


def _literal(time: datetime) -> str:
    return f"TIMESTAMP '{_utc(time).isoformat(sep=' ')}'"


def _served_folder(store: FeatureStore) -> Path:
    return Path(str(store.config.repo_path)) / "served"


def _served_file(store: FeatureStore, view: FeatureView) -> Path:
    return _served_folder(store) / f"{view.name}.parquet"
