"""Where feature rows lie: a table of the warehouse, or Parquet through Feast's own FileSource."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import duckdb
from feast import FileSource, RepoConfig, ValueType
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto

from feature_repo.asof import literal, quote
from feature_repo.warehouse import open_warehouse

#: A DuckDB type's value type in Feast; a DATE is served as the instant of its midnight, UTC.
VALUE_TYPES = {
    "VARCHAR": ValueType.STRING,
    "BOOLEAN": ValueType.BOOL,
    "INTEGER": ValueType.INT32,
    "BIGINT": ValueType.INT64,
    "SMALLINT": ValueType.INT32,
    "TINYINT": ValueType.INT32,
    "FLOAT": ValueType.FLOAT,
    "DOUBLE": ValueType.DOUBLE,
    "DATE": ValueType.UNIX_TIMESTAMP,
    "TIMESTAMP": ValueType.UNIX_TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": ValueType.UNIX_TIMESTAMP,
    "BLOB": ValueType.BYTES,
}


class WarehouseSource(DataSource):
    """A table of the warehouse, named schema.table; `timestamp_field` is event_at,
    `created_timestamp_column` known_at, both UTC."""

    def __init__(self, table: str, **kwargs: Any) -> None:
        """Raises ValueError where `table` is not written schema.table."""
        if len(table.split(".")) != 2:
            raise ValueError(f"a warehouse table is written schema.table, not {table!r}")
        super().__init__(name=kwargs.pop("name", None) or table, **kwargs)
        self.table = table

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, WarehouseSource)
            and super().__eq__(other)
            and self.table == other.table
        )

    __hash__ = DataSource.__hash__

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        """A kind of source of our own, as Feast's registry names it."""
        return DataSourceProto.CUSTOM_SOURCE

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> WarehouseSource:
        """The source as Feast's registry has kept it."""
        return WarehouseSource(
            json.loads(data_source.custom_options.configuration)["table"],
            name=data_source.name,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{type(self).__module__}.{type(self).__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(
                configuration=json.dumps({"table": self.table}).encode()
            ),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            field_mapping=self.field_mapping,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )

    def get_table_query_string(self) -> str:
        """The table as SQL after FROM, each part of its name quoted."""
        return ".".join(map(quote, self.table.split(".")))

    def validate(self, config: RepoConfig) -> None:
        """Raise LookupError, saying how to mend it, where the warehouse lacks the table."""
        self.get_table_column_names_and_types(config)

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """The table's columns as (name, DuckDB type), read from the warehouse."""
        with open_warehouse(config.offline_store.path) as connection:
            return list(column_types(connection, self, str(config.repo_path)).items())

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """A function from DuckDB's type to Feast's; decimals are served as doubles, other kinds as
        unknown."""
        return lambda kind: VALUE_TYPES.get(
            kind, ValueType.DOUBLE if kind.startswith("DECIMAL") else ValueType.UNKNOWN
        )


def relation(source: DataSource, repo_path: str) -> str:
    """The source as SQL after FROM."""
    if isinstance(source, WarehouseSource):
        return source.get_table_query_string()
    if isinstance(source, FileSource):
        path = FileSource.get_uri_for_file_path(repo_path=repo_path, uri=source.path)
        pattern = path if path.endswith(".parquet") else f"{path.rstrip('/')}/*.parquet"
        return f"read_parquet({literal(pattern)})"
    raise TypeError(
        f"source {source.name!r} is a {type(source).__name__}; this store reads WarehouseSource "
        "and Parquet FileSource"
    )


def row_id(connection: duckdb.DuckDBPyConnection, source: DataSource) -> str | None:
    """SQL that numbers the source's rows as stored, or None for a view of the warehouse, whose rows
    have no place."""
    if isinstance(source, FileSource):
        return "(CAST(file_index AS BIGINT) * 4294967296 + file_row_number)"
    if not isinstance(source, WarehouseSource):
        return None
    is_table = (
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'warehouse' AND schema_name = "
        "? AND table_name = ?"
    )
    found = connection.execute(is_table, source.table.split(".")).fetchone()
    return "rowid" if found and found[0] else None


def column_types(
    connection: duckdb.DuckDBPyConnection, source: DataSource, repo_path: str
) -> dict[str, str]:
    """The source's columns with their DuckDB types; LookupError, saying how to mend it, where there
    is no such table or file."""
    try:
        rows = connection.execute(
            f"DESCRIBE SELECT * FROM {relation(source, repo_path)}"
        ).fetchall()
    except (duckdb.CatalogException, duckdb.IOException) as error:
        where = (
            source.table
            if isinstance(source, WarehouseSource)
            else source.path
            if isinstance(source, FileSource)
            else source.name
        )
        raise LookupError(
            f"source {where} does not exist: run `stockhouse run` to build the features ({error})"
        ) from error
    return {name: kind for name, kind, *_ in rows}
