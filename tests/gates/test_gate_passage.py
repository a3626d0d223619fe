"""What a gate does with what it finds: it blocks, remembers, documents, and leaves no handle
behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration.expectations import (
    GATES,
    Gate,
    GateClosed,
    GateError,
    Law,
    history,
    require_open,
    validate,
)
from orchestration.expectations.dagster_checks import asset_of, check_results, check_specs
from tests.gates.tiny_company import found

ORDERS_OUT = GATES["orders_out"]
PLANT_ERROR = "update decisions.order_lines set quantity = -1 where order_line_id = 'line-1'"
PLANT_WARNING = "update marts.fct_demand set quantity = 0.01 where item_id = 'mug'"


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return found(tmp_path / "warehouse.duckdb")


def plant(warehouse: Path, statement: str) -> list[Any]:
    with duckdb.connect(str(warehouse)) as con:
        return con.execute(statement).fetchall()


def test_the_warehouse_can_be_written_by_another_process_after_a_gate(warehouse: Path) -> None:
    validate(warehouse, ORDERS_OUT, "run-1")
    script = (
        "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table marts.after_gate as "
        "select 1')"
    )
    subprocess.run([sys.executable, "-c", script, str(warehouse)], check=True)


def test_an_error_closes_the_gate_and_a_mended_run_opens_it(
    warehouse: Path, tmp_path: Path
) -> None:
    results = tmp_path / "gate_results"
    plant(warehouse, PLANT_ERROR)
    validate(warehouse, ORDERS_OUT, "run-1", results_dir=results)
    with pytest.raises(GateClosed, match=r"orders_out is closed[\s\S]*order_line_id=line-1"):
        require_open(results, ORDERS_OUT)
    plant(
        warehouse, "update decisions.order_lines set quantity = 36 where order_line_id = 'line-1'"
    )
    validate(warehouse, ORDERS_OUT, "run-1", results_dir=results)
    require_open(results, ORDERS_OUT)
    kept = history(results, ORDERS_OUT)
    assert kept.group_by("checked_at").len()["len"].to_list() == [len(ORDERS_OUT.laws)] * 2
    # how far the archive had been read
    assert kept["deliveries"].unique().to_list() == [len(plant(warehouse, "from raw.manifest"))]


def test_a_broken_warning_leaves_the_gate_open(warehouse: Path, tmp_path: Path) -> None:
    plant(warehouse, PLANT_WARNING)
    outcomes = validate(warehouse, ORDERS_OUT, "run-1", results_dir=tmp_path)
    assert [(outcome.name, outcome.severity) for outcome in outcomes if not outcome.passed] == [
        ("order_quantity_is_usual", "warning")
    ]
    require_open(tmp_path, ORDERS_OUT)


def test_a_gate_never_checked_is_closed(tmp_path: Path) -> None:
    with pytest.raises(GateClosed, match="never been checked"):
        require_open(tmp_path, ORDERS_OUT)


def test_only_the_rows_of_the_run_are_judged(warehouse: Path) -> None:
    plant(warehouse, PLANT_ERROR)
    assert any(outcome.blocks for outcome in validate(warehouse, ORDERS_OUT, "run-1"))
    assert not any(
        outcome.blocks for outcome in validate(warehouse, ORDERS_OUT, "it's {another} run")
    )


def test_what_cannot_be_checked_does_not_pass(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no warehouse at"):
        validate(tmp_path / "nowhere.duckdb", ORDERS_OUT, "run-1")
    broken = Gate(
        "broken",
        (
            Law(
                "speaks_of_nothing",
                "raw.sales",
                "select * from {batch} where no_such_column",
                "Nonsense.",
            ),
        ),
    )
    with pytest.raises(
        GateError, match=r"speaks_of_nothing cannot be checked[\s\S]*no_such_column"
    ):
        validate(warehouse, broken, "run-1")
    plant(warehouse, "drop table decisions.order_lines")
    with pytest.raises(GateError, match=r"no table decisions\.order_lines"):
        validate(warehouse, ORDERS_OUT, "run-1")


def test_data_docs_show_the_law_and_the_row_that_breaks_it(warehouse: Path, tmp_path: Path) -> None:
    plant(warehouse, PLANT_ERROR)
    validate(warehouse, ORDERS_OUT, "run-1", data_docs_dir=tmp_path / "data_docs")
    site = tmp_path / "data_docs" / "orders_out"
    assert (site / "index.html").exists()
    pages = "".join(
        page.read_text(encoding="utf-8") for page in site.rglob("validations/**/*.html")
    )
    assert "Every quantity is a positive number." in pages
    assert "line-1" in pages
    everything = pages + (site / "index.html").read_text(encoding="utf-8")
    # a page opened offline asks nobody for anything
    assert re.findall(r"<script|<link|<img|@import", everything) == []


def test_data_docs_show_the_newest_validation_alone(warehouse: Path, tmp_path: Path) -> None:
    for _ in range(2):
        validate(warehouse, ORDERS_OUT, "run-1", data_docs_dir=tmp_path / "data_docs")
    site = tmp_path / "data_docs" / "orders_out"
    assert len(list(site.glob("validations/**/*.html"))) == 1
    assert f"{len(ORDERS_OUT.laws)} of {len(ORDERS_OUT.laws)} laws are kept" in (
        site / "index.html"
    ).read_text(encoding="utf-8")


def test_every_law_is_one_asset_check_of_its_severity() -> None:
    for gate in GATES.values():
        specs = {spec.name: spec for spec in check_specs(gate)}
        assert [specs[law.name].blocking for law in gate.laws] == [
            law.severity == "error" for law in gate.laws
        ]


def line(warehouse: Path, results: Path) -> dg.Definitions:
    """Orders, their gate, and a station behind it that runs in its own job."""

    @dg.asset(key=asset_of("decisions.order_lines"))
    def order_lines() -> None: ...

    @dg.multi_asset_check(specs=check_specs(ORDERS_OUT))
    def orders_out():
        yield from check_results(validate(warehouse, ORDERS_OUT, "run-1", results_dir=results))

    @dg.asset(deps=[order_lines])
    def sent() -> None:
        require_open(results, ORDERS_OUT)

    jobs = [
        dg.define_asset_job("propose", selection=[order_lines]),
        dg.define_asset_job("send", selection=[sent]),
    ]
    return dg.Definitions(assets=[order_lines, sent], asset_checks=[orders_out], jobs=jobs)


@pytest.mark.parametrize(
    ("planted", "is_stopped"),
    [(PLANT_ERROR, True), (PLANT_WARNING, False)],
    ids=["error", "warning"],
)
def test_a_gate_stops_a_station_in_a_run_of_its_own(
    planted: str, is_stopped: bool, warehouse: Path, tmp_path: Path
) -> None:
    plant(warehouse, planted)
    defs = line(warehouse, tmp_path / "results")
    with dg.DagsterInstance.ephemeral() as instance:
        proposed = defs.resolve_job_def("propose").execute_in_process(
            instance=instance, raise_on_error=False
        )
        checks = proposed.get_asset_check_evaluations()
        assert len(checks) == len(ORDERS_OUT.laws)
        (broken,) = {check.severity for check in checks if not check.passed}
        assert broken == (dg.AssetCheckSeverity.ERROR if is_stopped else dg.AssetCheckSeverity.WARN)
        sent = defs.resolve_job_def("send").execute_in_process(
            instance=instance, raise_on_error=False
        )
        assert sent.success is not is_stopped
