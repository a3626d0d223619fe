"""transform: from what systems say to what the business means, and the point-in-time rows that
models may see (dbt)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, dbt_assets

from feature_repo.custom_views import OwnView, own_text, write_own
from feature_repo.features import SERVICES, VIEWS
from orchestration.defs.changed_models import fingerprints, is_growing, reading_only, without
from orchestration.defs.resources import PROJECT, TRANSLATOR, Lakehouse
from orchestration.facts import decisions
from orchestration.home import HomeError, extensions
from orchestration.home.sql import quote, table_hash


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
    """Staging, intermediate, marts and feature rows, each with its tests; where the facts are the
    same, only models whose SQL changed and what is built on them."""
    home, own, views = lakehouse.open_home(), extensions.named("tables"), own_features()
    manifest = json.loads(PROJECT.manifest_path.read_text(encoding="utf-8"))
    names = {key.path[-1] for key in context.selected_asset_keys}
    asked = {model for model in manifest["nodes"] if model.rpartition(".")[2] in names}
    # what is made from tables that this run does not make is made anew each time
    whole = reading_only(asked, manifest)
    said = fingerprints(manifest)
    prints = {model: said[model] for model in said if model in whole}
    growing = {model: said[model] for model in asked if is_growing(manifest["nodes"][model])}
    with home.connect() as con:
        # sources must exist before dbt reads them, also on the first run
        decisions.load(con, home.decisions)
        facts = facts_of(con, own, own_text(views))
        kept = standing(con, facts, prints)
        if kept != asked:
            forget_build(con)  # half built, nothing stands
        anew = [] if kept >= growing.keys() else begin_anew(con, growing)
    if kept == asked:
        context.log.info(
            "nothing new has been landed and no SQL changed: the tables stand as they were built "
            "and tested"
        )
        yield from unchanged(context)
        return
    context.log.info("%s of %s models stand as they were built", len(kept), len(asked))
    standing_names = {name.rpartition(".")[2] for name in kept}
    # what stands comes first: a model that stands reads only such as stand too
    yield from (
        one
        for one in unchanged(context)
        if one.asset_key and one.asset_key.path[-1] in standing_names
    )
    yield from dbt.cli(
        [
            "build",
            "--exclude-resource-type",
            "unit_test",
            *anew,
            *without(kept, PROJECT.manifest_path),
        ],
        context=context,
        target_path=home.derived / "dbt",
    ).stream()
    with home.connect() as con:
        build_own_tables(con, own, views)
        write_own(views, home.features)
        mark_built(con, facts, prints)
        mark_grown(con, growing)


def own_features() -> dict[str, OwnView]:
    """By name, the feature views that extensions offer. Raises HomeError for a name that one of
    ours, or a table of theirs, has."""
    views: dict[str, OwnView] = extensions.named("features")
    taken = {one.name for one in VIEWS} | {one.name for one in SERVICES}
    taken |= extensions.named("tables").keys()
    if strange := sorted(taken & views.keys()):
        raise HomeError(f"an extension's feature view {strange[0]!r} has a name that is taken")
    known = {feature.name for view in VIEWS for feature in view.features}
    for name, view in views.items():
        if twice := sorted(known & view.features.keys()):
            raise HomeError(
                f"the feature {twice[0]!r} of the view {name!r} has a name that is taken"
            )
        known |= view.features.keys()
    return views


def build_own_tables(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, str], views: Mapping[str, OwnView]
) -> None:
    """Build what extensions make of the marts, tables and feature rows, in schema `company`, whole
    or not at all. Raises HomeError with the database's own words where a select cannot be run."""
    con.execute("begin")
    con.execute("drop schema if exists company cascade")
    if tables or views:
        con.execute("create schema company")
    for name, select in {**tables, **{name: view.sql for name, view in views.items()}}.items():
        try:
            con.execute(f"create table company.{quote(name)} as {select}")
        except duckdb.Error as error:
            con.execute("rollback")
            raise HomeError(f"an extension's table {name!r} cannot be built: {error}") from error
    con.execute("commit")


def unchanged(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """The tables as they were built. Their tests are not told of: they passed then, or the build
    would not stand, and Dagster shows them as skipped rather than as passed once more."""
    for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata={"is_unchanged": True})


def facts_of(con: duckdb.DuckDBPyConnection, own: Mapping[str, str], views: str) -> str:
    """What a build depends on beside the SQL of its models: the deliveries landed and the contract
    that read them, the world's settings and Now, and a company's own tables and features."""
    # whole rows: a delivery that another contract reads anew may come to as many rows as before
    facts = (table_hash(con, "raw.world"), table_hash(con, "raw.manifest"))
    said = repr((facts, sorted(own.items()), views))
    return hashlib.sha256(said.encode()).hexdigest()


def standing(con: duckdb.DuckDBPyConnection, facts: str, prints: Mapping[str, str]) -> set[str]:
    """The models whose tables the last build made, tests and all, from these very facts and SQL."""
    con.execute(
        "create schema if not exists transform; create table if not exists transform.built "
        "(facts varchar, model varchar, fingerprint varchar)"
    )
    built = con.execute("select model, fingerprint from transform.built where facts = ?", [facts])
    return {model for model, fingerprint in built.fetchall() if prints.get(model) == fingerprint}


def forget_build(con: duckdb.DuckDBPyConnection) -> None:
    """From here on nothing is known to stand, until a build has succeeded."""
    con.execute("delete from transform.built")


def begin_anew(con: duckdb.DuckDBPyConnection, growing: Mapping[str, str]) -> list[str]:
    """What dbt is told where tables that grow are made anew: those that other SQL made than
    today's. Until a build has succeeded nobody knows which SQL made them."""
    con.execute("create table if not exists transform.grown (model varchar, fingerprint varchar)")
    made = dict(con.execute("select model, fingerprint from transform.grown").fetchall())
    if all(made.get(model) == fingerprint for model, fingerprint in growing.items()):
        return []
    con.executemany("delete from transform.grown where model = ?", [[model] for model in growing])
    return ["--full-refresh"]


def mark_grown(con: duckdb.DuckDBPyConnection, growing: Mapping[str, str]) -> None:
    """Remember which SQL made the tables that grow, after a build that succeeded."""
    for model, fingerprint in growing.items():
        con.execute("delete from transform.grown where model = ?", [model])
        con.execute("insert into transform.grown values (?, ?)", [model, fingerprint])


def mark_built(con: duckdb.DuckDBPyConnection, facts: str, prints: Mapping[str, str]) -> None:
    """Remember a build that succeeded."""
    con.executemany(
        "insert into transform.built values (?, ?, ?)",
        [(facts, model, fingerprint) for model, fingerprint in prints.items()],
    )
