"""publish: metrics over facts and decisions, then a read-only snapshot for BI and a dashboard to
look at."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.app import publishing
from orchestration.defs.resources import OWNERS, PROJECT, TRANSLATOR, Lakehouse
from orchestration.reports.dashboard import write_dashboard


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=TRANSLATOR,
    select="tag:decisions",
    name="publish__metrics",
)
def metrics(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse, dbt: DbtCliResource
) -> Iterator[Any]:
    """What needs this run's decisions is built after they exist."""
    home = lakehouse.open_home()
    yield from dbt.cli(
        ["build", "--exclude-resource-type", "unit_test"],
        context=context,
        target_path=home.derived / "dbt",
    ).stream()


@dg.multi_asset(
    name="publish",
    specs=[
        dg.AssetSpec(
            ["published", "snapshot"],
            group_name="publish",
            deps=[metrics, ["ledger", "requisitions"]],
            description=(
                "A versioned, read-only DuckDB file of marts, metrics, decisions and the ledger's "
                "order lines: BI reads it while the next run writes."
            ),
            owners=OWNERS,
            kinds={"duckdb"},
        ),
        dg.AssetSpec(
            ["published", "dashboard"],
            group_name="publish",
            deps=[metrics],
            description="The snapshot as one HTML page.",
            owners=OWNERS,
            kinds={"html"},
        ),
    ],
)
def publish(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Written aside, then switched in one step; readers of the old version keep it until they open
    anew."""
    home = lakehouse.open_home()
    snapshot = publishing.publish(home, context.run_id, is_anew=lakehouse.from_archive)
    yield dg.MaterializeResult(
        asset_key=["published", "snapshot"],
        metadata={"path": dg.MetadataValue.path(str(snapshot.path))},
    )
    page = write_dashboard(snapshot.path, home.published / "dashboard.html")
    yield dg.MaterializeResult(
        asset_key=["published", "dashboard"], metadata={"path": dg.MetadataValue.path(str(page))}
    )
