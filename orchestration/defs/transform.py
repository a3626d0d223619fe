"""transform: from what systems say to what the business means, and the point-in-time rows that
models may see (dbt)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.defs.resources import DBT, PROJECT, TRANSLATOR, Lakehouse
from orchestration.facts import decisions
from orchestration.home import HomeError, extensions
from orchestration.home.sql import quote


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=TRANSLATOR,
    exclude="tag:decisions",
    name="transform",
)
def transform(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse, dbt: DbtCliResource
) -> Iterator[Any]:
    """Staging, intermediate, marts and feature rows, each with its tests; nothing where neither the
    facts nor the SQL changed."""
    home = lakehouse.open_home()
    with home.connect() as con:
        # sources must exist before dbt reads them, also on the first run
        decisions.load(con, home.decisions)
        asked = fingerprint(con, sorted(context.selected_asset_keys), DBT)
        is_built = was_built(con, asked)
    if is_built:
        context.log.info(
            "nothing new has been landed and no SQL changed: the tables stand as they were built "
            "and tested"
        )
        yield from unchanged(context)
        return
    yield from dbt.cli(
        ["build", "--exclude-resource-type", "unit_test"],
        context=context,
        target_path=home.derived / "dbt",
    ).stream()
    with home.connect() as con:
        build_own_tables(con, extensions.named("tables"))
        mark_built(con, asked)


def build_own_tables(con: duckdb.DuckDBPyConnection, tables: Mapping[str, str]) -> None:
    """Build what extensions make of the marts, in schema `company`, whole or not at all. Raises
    HomeError with the database's own words where a select cannot be run."""
    con.execute("begin")
    con.execute("drop schema if exists company cascade")
    if tables:
        con.execute("create schema company")
    for name, select in tables.items():
        try:
            con.execute(f"create table company.{quote(name)} as {select}")
        except duckdb.Error as error:
            con.execute("rollback")
            raise HomeError(f"an extension's table {name!r} cannot be built: {error}") from error
    con.execute("commit")


def unchanged(
    context: dg.AssetExecutionContext,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """The tables as they were built, and the blocking tests they passed then; a build that failed
    one was never remembered."""
    for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata={"is_unchanged": True})
    for check in context.assets_def.check_specs:
        if check.blocking and check.key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                passed=True,
                asset_key=check.asset_key,
                check_name=check.name,
                description="not run again: neither the facts nor the SQL changed since it passed",
                metadata={"is_unchanged": True},
            )


def fingerprint(con: duckdb.DuckDBPyConnection, keys: Sequence[dg.AssetKey], project: Path) -> str:
    """What a build depends on: the deliveries landed, the world's settings and Now, the SQL, and
    which tables are asked for."""
    facts = con.execute("""
        select
            (select coalesce(sum(hash(world)::hugeint), 0) from raw.world as world),
            (select coalesce(sum(hash(delivery, source_id, rows_loaded,
                rows_quarantined)::hugeint), 0) from raw.manifest)
    """).fetchone()
    own = sorted(extensions.named("tables").items())
    digest = hashlib.sha256(repr((facts, [key.path for key in keys], own)).encode())
    for path in (
        project / "dbt_project.yml",
        *(
            file
            for folder in ("models", "macros")
            for file in sorted((project / folder).rglob("*.*"))
        ),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def was_built(con: duckdb.DuckDBPyConnection, asked: str) -> bool:
    """Whether the last build that succeeded, tests and all, was of exactly this."""
    con.execute(
        "create schema if not exists transform; create table if not exists transform.builds "
        "(fingerprint varchar)"
    )
    return (
        con.execute("select 1 from transform.builds where fingerprint = ?", [asked]).fetchone()
        is not None
    )


def mark_built(con: duckdb.DuckDBPyConnection, asked: str) -> None:
    """Remember a build that succeeded; older ones no longer describe the tables."""
    con.execute("begin")
    con.execute("delete from transform.builds")
    con.execute("insert into transform.builds values (?)", [asked])
    con.execute("commit")
