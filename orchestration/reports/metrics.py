"""The semantic layer: each metric defined once in dbt, asked at any grain, answered from what is
published.

MetricFlow writes the SQL in this process; its own command line asks the internet for updates, so it
is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import (
    parse_manifest_from_dbt_generated_manifest,
)
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from orchestration.facts.published_snapshots import Snapshot
from orchestration.home.sql import frame, literal, quote

GRAINS = ("week", "month", "quarter", "year")


@dataclass(frozen=True)
class Semantics:
    """The metrics of a dbt project, by what dbt wrote when it read it."""

    manifest: Any

    @classmethod
    def load(cls, path: Path) -> Semantics:
        """path: dbt's semantic_manifest.json."""
        return cls(parse_manifest_from_dbt_generated_manifest(path.read_text(encoding="utf-8")))

    @cached_property
    def metrics(self) -> dict[str, str]:
        """What each metric is, by name."""
        return {
            one.name: f"{one.label}. {one.description or ''}".strip()
            for one in self.manifest.metrics
        }

    @cached_property
    def groups(self) -> dict[str, str]:
        """What a metric can be taken by, as people say it, and what MetricFlow calls it."""
        found = {grain: f"metric_time__{grain}" for grain in GRAINS}
        for model in self.manifest.semantic_models:
            (key,) = (one.name for one in model.entities if one.type.value == "primary")
            found |= {
                one.name: f"{key}__{one.name}"
                for one in model.dimensions
                if one.type.value == "categorical"
            }
        return found

    def sql(
        self,
        metrics: Sequence[str],
        by: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> str:
        """The query for these metrics by these groups, on the tables dbt built.

        since, until: the first and the last day of the weeks that count, as their Mondays. Raises
        ValueError for a name that none has.
        """
        for name in metrics:
            _known("metric", name, self.metrics)
        for name in by:
            _known("group", name, self.groups)
        engine = MetricFlowEngine(SemanticManifestLookup(self.manifest), _Renderer())
        asked = MetricFlowQueryRequest.create(
            metric_names=list(metrics),
            group_by_names=[self.groups[name] for name in by],
            time_constraint_start=since,
            time_constraint_end=until,
        )
        return str(engine.explain(asked).sql_statement.sql)

    def ask(
        self,
        snapshot: Snapshot,
        metrics: Sequence[str],
        by: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.DataFrame:
        """The metrics as published, one row a group in the groups' order: the groups' columns as
        they were asked for, then the metrics'."""
        query = self.sql(metrics, by, since, until)
        (database,) = {m.node_relation.database for m in self.manifest.semantic_models}
        with duckdb.connect() as con:
            con.execute(f"attach {literal(str(snapshot.path))} as {quote(database)} (read_only)")
            found = frame(con, query)
        renamed = found.rename({self.groups[name]: name for name in by}).select(*by, *metrics)
        grains = [pl.col(name).cast(pl.Date) for name in by if name in GRAINS]
        return renamed.with_columns(grains).sort(*by) if by else renamed


class _Renderer:
    """What MetricFlow has to know of DuckDB to write SQL for it; it runs none."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()


def _known(what: str, name: str, known: dict[str, str]) -> None:
    if name not in known:
        raise ValueError(f"there is no {what} '{name}'; there are {', '.join(sorted(known))}")
