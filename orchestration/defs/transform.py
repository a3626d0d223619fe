"""transform: from what systems say to what the business means, and the point-in-time rows that models may see (dbt)."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration import decisions
from orchestration.defs.resources import PROJECT, TRANSLATOR, Lakehouse


@dbt_assets(manifest=PROJECT.manifest_path, project=PROJECT, dagster_dbt_translator=TRANSLATOR, exclude="tag:decisions", name="transform")
def transform(context: dg.AssetExecutionContext, lakehouse: Lakehouse, dbt: DbtCliResource) -> Iterator[Any]:
    """Staging, intermediate, marts and feature rows, each with its tests."""
    home = lakehouse.open_home()
    with home.connect() as con:
        decisions.load(con, home.decisions)  # sources must exist before dbt reads them, also on the first run
    yield from dbt.cli(["build"], context=context).stream()
