"""The house rules of the SQL, read from dbt's own manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jinja2 import Environment
from warehouses import PROJECT, SCRATCH, WORLD, at, make_warehouse, run_dbt

from orchestration.app import dbt_project
from orchestration.defs import resources
from orchestration.home.sql import document_key

LAYERS = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "marts": ("dim_", "fct_", "bridge_"),
    "features": ("feat_",),
    "metrics": ("kpi_",),
}
#: What each layer may read. Intermediate models may read marts: the plan at Now is made from the
#: truth, not beside it.
READS = {
    "staging": {"raw", "staging"},
    "intermediate": {"staging", "intermediate", "marts"},
    "marts": {"staging", "intermediate", "marts"},
    "features": {"staging", "intermediate", "marts", "features"},
    "metrics": {"intermediate", "marts", "metrics", "decisions"},
}
MARTS = {
    "bridge_aliases",
    "dim_bills_of_materials",
    "dim_calendar",
    "dim_holidays",
    "dim_item_locations",
    "dim_item_units",
    "dim_items",
    "dim_lane_stops",
    "dim_lanes",
    "dim_locations",
    "dim_substitutes",
    "dim_successions",
    "dim_supplier_terms",
    "dim_suppliers",
    "fct_constraints",
    "fct_customer_orders",
    "fct_demand",
    "fct_kit_demand",
    "fct_lead_times",
    "fct_open_orders",
    "fct_openings",
    "fct_overdue_orders",
    "fct_prices",
    "fct_promotions",
    "fct_receipts",
    "fct_shipments",
    "fct_signals",
    "fct_stock",
    "fct_stock_lots",
    "fct_stock_positions",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("conventions")
    warehouse = make_warehouse(
        folder / "warehouse.duckdb", WORLD | {"now_at": at("2024-01-01")}, {}
    )
    result = run_dbt(warehouse, "parse")
    assert result.returncode == 0, result.stdout
    return json.loads((SCRATCH / "target" / "manifest.json").read_text())


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(node: dict[str, Any]) -> str:
    return node["source_name"] if node["resource_type"] == "source" else node["fqn"][1]


def test_the_marts_are_exactly_the_agreed_ones(manifest: dict[str, Any]) -> None:
    assert {node["name"] for node in models(manifest) if layer(node) == "marts"} == MARTS


def test_every_model_is_named_by_its_layer_and_lives_in_the_schema_of_its_folder(
    manifest: dict[str, Any],
) -> None:
    wrong = [
        node["name"]
        for node in models(manifest)
        if not node["name"].startswith(LAYERS[layer(node)]) or node["schema"] != layer(node)
    ]
    assert not wrong


def test_a_trial_target_stands_beside_the_truth_and_changes_none_of_it(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "warehouse.duckdb")).close()
    listed = run_dbt(
        tmp_path / "warehouse.duckdb",
        "--quiet",
        "ls",
        "--target",
        "dev",
        "--resource-type",
        "model",
        "--output",
        "json",
        "--output-keys",
        "name schema",
    )
    assert listed.returncode == 0, listed.stdout
    schemas = {
        json.loads(line)["schema"] for line in listed.stdout.splitlines() if line.startswith("{")
    }
    assert schemas == {
        f"dev_{name}" for name in ("staging", "intermediate", "marts", "features", "metrics")
    }


def test_what_dbt_s_own_commands_write_is_not_what_the_line_reads() -> None:
    """A trial of today must not be the graph, or the metrics, of tomorrow."""
    theirs = dbt_project.PROJECT / "target"
    assert resources.PROJECT.manifest_path.parent != theirs
    said = json.loads(resources.PROJECT.manifest_path.read_text(encoding="utf-8"))
    schemas = {one["schema"] for one in said["nodes"].values() if one["resource_type"] == "model"}
    assert schemas == {"staging", "intermediate", "marts", "features", "metrics"}


def test_no_layer_reads_what_it_may_not(manifest: dict[str, Any]) -> None:
    everything = manifest["nodes"] | manifest["sources"]
    wrong = [
        (node["name"], everything[parent]["name"])
        for node in models(manifest)
        for parent in node["depends_on"]["nodes"]
        # the settings, for all
        if layer(everything[parent]) not in READS[layer(node)]
        and everything[parent]["name"] != "stg_world"
    ]
    assert not wrong


def test_staging_joins_nothing(manifest: dict[str, Any]) -> None:
    assert not [
        n["name"]
        for n in models(manifest)
        if layer(n) == "staging" and re.search(r"\bjoin\b", n["raw_code"], re.IGNORECASE)
    ]


def test_the_corrections_of_every_table_that_is_read_by_version_are_known() -> None:
    staging = {one.stem: one.read_text() for one in (PROJECT / "models/staging").glob("*.sql")}
    kept = set(re.findall(r"'(\w+)'", staging.pop("stg_corrections").partition("%}")[0])) - {
        "table"
    }
    asked = re.findall(r"versions\('source', '(\w+)'\)", "".join(staging.values()))
    assert kept == set(asked) and len(asked) == len(kept) > 30
    read = sum(len(re.findall(r"\bversions\(", sql)) for sql in staging.values())
    assert read == len(asked), "staging reads no versions without its table"


def test_every_model_and_column_is_described(manifest: dict[str, Any]) -> None:
    wrong = [
        node["name"] for node in models(manifest) if not node["description"] or not node["columns"]
    ]
    wrong += [
        f"{node['name']}.{c['name']}"
        for node in models(manifest)
        for c in node["columns"].values()
        if not c["description"]
    ]
    wrong += [
        f"raw.{source['name']}"
        for source in manifest["sources"].values()
        if not source["description"]
    ]
    assert not wrong


def test_every_mart_feature_and_metric_has_an_enforced_contract(manifest: dict[str, Any]) -> None:
    published = [
        node for node in models(manifest) if layer(node) in {"marts", "features", "metrics"}
    ]
    assert not [node["name"] for node in published if not node["contract"]["enforced"]]


def test_every_model_has_a_group_with_an_owner(manifest: dict[str, Any]) -> None:
    owned = {group["name"] for group in manifest["groups"].values() if group["owner"].get("name")}
    assert not [node["name"] for node in models(manifest) if node["group"] not in owned]


def test_every_key_of_a_dimension_and_every_metric_grain_is_tested(
    manifest: dict[str, Any],
) -> None:
    tested: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node.get("test_metadata"):
            tested.setdefault(node["attached_node"] or "", set()).add(node["test_metadata"]["name"])
    keyed = [
        node
        for node in models(manifest)
        if node["name"].startswith(("dim_", "bridge_", "kpi_", "fct_demand", "fct_stock_positions"))
    ]
    assert not [
        node["name"]
        for node in keyed
        if not tested.get(node["unique_id"], set()) & {"unique_grain", "unique"}
    ]
    promised = {
        node["unique_id"]
        for node in models(manifest)
        if any(column["constraints"] for column in node["columns"].values())
    }
    assert not [
        n["name"]
        for n in models(manifest)
        if layer(n) in {"marts", "features", "metrics"} and n["unique_id"] not in promised
    ]
    assert not [
        n["name"]
        for n in models(manifest)
        if layer(n) == "staging" and "complete" not in tested[n["unique_id"]]
    ]


def test_every_metric_has_a_unit_test(manifest: dict[str, Any]) -> None:
    tested = {unit["model"] for unit in manifest["unit_tests"].values()}
    assert not [
        node["name"]
        for node in models(manifest)
        if layer(node) == "metrics" and node["name"] not in tested
    ]


def test_no_customer_is_named_where_reports_and_models_look(manifest: dict[str, Any]) -> None:
    published = [
        node for node in models(manifest) if layer(node) in {"marts", "features", "metrics"}
    ]
    assert not [
        node["name"]
        for node in published
        if any("customer" in column for column in node["columns"])
    ]


def test_every_dispatched_macro_has_a_default_and_a_duckdb_body() -> None:
    sql = "\n".join(path.read_text() for path in Path(PROJECT / "macros").glob("*.sql"))
    dispatched = set(re.findall(r"adapter\.dispatch\('(\w+)'\)", sql))
    bodies = set(re.findall(r"macro (\w+?__\w+)\(", sql))
    assert dispatched
    assert not [
        name for name in dispatched if not {f"default__{name}", f"duckdb__{name}"} <= bodies
    ]


@pytest.mark.parametrize(
    "number",
    ["10", "0010", "10.0", "10.00", " 010.0 ", "po 7", "PO7", "000", "0.0", "", "v1.50", "a.b"],
)
def test_a_document_has_one_number_in_dbt_and_in_the_gate(number: str) -> None:
    text = (PROJECT / "macros/documents.sql").read_text(encoding="utf-8")
    macros = Environment(autoescape=False).from_string(text).module  # noqa: S701 - SQL, no page
    macro = macros.duckdb__document_key("said")
    asked = f"select {macro}, {document_key('said')} from (select ? as said)"
    found, wanted = duckdb.execute(asked, [number]).fetchall()[0]
    assert found == wanted
