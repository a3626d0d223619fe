"""Great Expectations on DuckDB: the data source it lacks, one validation run, and its Data Docs.

Great Expectations fetches a result after giving its connection back, which DuckDB answers with
nothing at all. A data source that keeps one connection for the length of a run, and closes it at
the end, is all that is missing.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: nothing leaves the machine

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations import UnexpectedRowsExpectation
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render import (
    CollapseContent,
    LegacyDiagnosticRendererType,
    RenderedTableContent,
)
from great_expectations.render.renderer.renderer import renderer
from sqlalchemy.dialects import registry

from orchestration.expectations.laws import Law

# two packages may claim the name duckdb; this is the one we depend on
registry.register("duckdb", "duckdb_engine", "Dialect")

_SEVERITY = {"error": FailureSeverity.CRITICAL, "warning": FailureSeverity.WARNING}


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Runs metrics over one DuckDB connection, kept until closed."""

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """The one connection, opened when first asked for and kept."""
        if self._connection is None:
            self._connection = self.engine.connect()
            # it is drawn on standard output
            self._connection.exec_driver_sql("set enable_progress_bar = false")
        yield self._connection

    def close(self) -> None:
        """Give the file back, so that dbt or another process can open it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.engine.dispose()


class DuckDBDatasource(SQLDatasource):
    """A DuckDB file as a Great Expectations data source: `context.data_sources.add_duckdb(...)`."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> builtins.type[DuckDBExecutionEngine]:
        """The engine above, which keeps its connection."""
        return DuckDBExecutionEngine


class ExpectNoRowToBreakTheLaw(UnexpectedRowsExpectation):
    """Fails if its query finds a row, and shows the first of them in Data Docs with the columns
    that say which rows they are."""

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[RenderedTableContent | CollapseContent] | None:
        rows = (
            result.result.get("details", {}).get("unexpected_rows") if result is not None else None
        )
        if not rows:
            return None
        cells = [["" if value is None else value for value in row.values()] for row in rows[:20]]
        styling = {"body": {"classes": ["table-bordered", "table-sm", "mt-3"]}}
        return [
            RenderedTableContent(
                content_block_type="table", header_row=list(rows[0]), table=cells, styling=styling
            )
        ]


@contextmanager
def validation(warehouse: Path) -> Iterator[Validation]:
    """A validation run over a warehouse that nobody is writing to; every handle is closed on
    leaving, so that dbt gets the lock."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_duckdb(
        "warehouse",
        connection_string=f"duckdb:///{warehouse}",
        create_temp_table=False,
        kwargs={"connect_args": {"read_only": True}},
    )
    try:
        yield Validation(context, source)
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


class Validation:
    """One context and one data source, asked table by table."""

    def __init__(self, context: Any, source: DuckDBDatasource) -> None:
        self.context, self._source = context, source

    def of(self, table: str, laws: Mapping[str, Law]) -> dict[str, Any]:
        """Validate one table; a result per law name. laws: the SQL to run per name, `{batch}`
        standing for the table."""
        schema, name = table.split(".")
        asset = self._source.add_table_asset(table, table_name=name, schema_name=schema)
        suite = gx.ExpectationSuite(name=table.replace(".", "_"))
        for law_name, law in laws.items():
            suite.add_expectation(
                ExpectNoRowToBreakTheLaw(
                    unexpected_rows_query=(
                        f"select columns(*)::varchar from ({law.broken_by}) as broken"
                    ),
                    description=law.description,
                    severity=_SEVERITY[law.severity],
                    meta={"law": law_name},
                )
            )
        rows = asset.add_batch_definition_whole_table("all")
        definition = gx.ValidationDefinition(
            name=table, data=rows, suite=self.context.suites.add(suite)
        )
        found = self.context.validation_definitions.add(definition).run(result_format="COMPLETE")
        return {result.expectation_config.meta["law"]: result for result in found.results}
