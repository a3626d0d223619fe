"""The rows a feature store is asked about: Arrow, with a time in UTC that is not later than the
warehouse's Now."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def to_arrow(connection: duckdb.DuckDBPyConnection, entity_df: Any) -> pa.Table:
    """The entity rows as one Arrow table, however they were given."""
    if isinstance(entity_df, str):
        return connection.execute(entity_df).to_arrow_table()
    if isinstance(entity_df, pd.DataFrame):
        return pa.Table.from_pandas(entity_df, preserve_index=False)
    if hasattr(entity_df, "__arrow_c_stream__"):
        return pa.table(entity_df)
    raise TypeError(
        f"entity rows are a pandas, polars or Arrow table or SQL, not {type(entity_df).__name__}"
    )


def time_column(asked: pa.Table) -> str:
    """The column with the time each row asks for: `event_timestamp`, or the only zoned timestamp;
    ValueError where it has no zone."""
    times = [field.name for field in asked.schema if pa.types.is_timestamp(field.type)]
    zoned = [name for name in times if asked.schema.field(name).type.tz]
    at = (
        "event_timestamp"
        if "event_timestamp" in asked.column_names
        else zoned[0]
        if len(zoned) == 1
        else None
    )
    if at is None and (zoned or not times):
        raise ValueError(
            "entity rows need one column event_timestamp with the time asked for; they have "
            f"{asked.column_names}"
        )
    if at not in zoned:
        raise ValueError(
            f"entity column {at or times[0]} has no time zone: give it as UTC, such as "
            ".dt.replace_time_zone('UTC') in polars, "
            "tz_localize('UTC') in pandas, or timezone('UTC', column) in SQL"
        )
    return str(at)


def check_times(
    connection: duckdb.DuckDBPyConnection, now: str | None, asked: pa.Table, at: str
) -> None:
    """ValueError where a time is null or later than the warehouse's Now (`now`: SQL that returns
    it, None: no limit)."""
    if asked[at].null_count:
        raise ValueError(
            f"entity column {at} is null in {asked[at].null_count} rows: every row needs the time "
            "it is asked for"
        )
    if now and asked.num_rows:
        found = connection.execute(now).fetchone()
        if found is None or found[0] is None:
            raise LookupError(
                f"the warehouse does not say what Now is ({now} returns nothing): run `stockhouse "
                "run`"
            )
        latest, limit = pc.max(asked[at]).as_py().astimezone(UTC), found[0].replace(tzinfo=UTC)
        if latest > limit:
            raise ValueError(
                f"entity column {at} asks for {latest}, later than the warehouse's Now {limit}: "
                "nothing is known then yet"
            )
