"""What everyday life brings to the sample company, as its orders and their traces tell it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from orchestration.home.sql import frame, tuples

pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]
Lines = dict[tuple[str, str], dict[str, Any]]


def query(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "derived/warehouse.duckdb"), read_only=True) as con:
        return tuples(con, sql)


@pytest.fixture(scope="module")
def lines(sample_run: tuple[Path, dict[str, Any]]) -> Lines:
    with duckdb.connect(str(sample_run[0] / "derived/warehouse.duckdb"), read_only=True) as con:
        found = frame(con, "select * from decisions.order_lines")
    return {(row["item_id"], row["location_id"]): row for row in found.iter_rows(named=True)}


@pytest.fixture(scope="module")
def traced(
    sample_run: tuple[Path, dict[str, Any]], lines: Lines, command: Callable[..., Any]
) -> Callable[[str, str], dict[str, list[dict[str, Any]]]]:
    """The rows of a line's trace, by table."""

    def trace(item: str, place: str) -> dict[str, list[dict[str, Any]]]:
        line = lines[item, place]["order_line_id"]
        told = json.loads(command("trace", line, "--home", sample_run[0], "--json").stdout)
        return {step["table"]: step["rows"] for step in told["steps"] if step["link"] == "raw rows"}

    return trace


def of_supplier(lines: Lines, supplier: str) -> list[dict[str, Any]]:
    return [line for line in lines.values() if line["from_id"] == supplier]


def test_a_supplier_s_units_and_money_stand_in_the_reasons_of_his_orders(lines: Lines) -> None:
    cases, dollars = of_supplier(lines, "S07"), of_supplier(lines, "S11")
    assert cases and dollars
    assert all(" × case of " in line["reason"] and " EUR" in line["reason"] for line in cases)
    assert all(" USD" in line["reason"] for line in dollars)
    assert not any("Bought as" in line["reason"] for line in of_supplier(lines, "S01"))


def test_every_order_can_be_written_for_who_is_to_read_it(
    sample_run: tuple[Path, dict[str, Any]],
) -> None:
    """In cases, at the rate of the day, from the company's own centre: none is left behind."""
    files = list(sample_run[0].glob("state/partners/*/dry_run/*"))
    assert {"S07", "S11", "DC1"} <= {path.parents[1].name for path in files}
    assert not [path.name for path in files if path.name.endswith(".unwritable.txt")]


def test_an_order_waits_for_its_supplier_s_day(lines: Lines) -> None:
    told = of_supplier(lines, "S02")
    assert told and all("It leaves on Tue 2011-12-13" in line["reason"] for line in told)


def test_stock_that_cannot_be_sold_and_customers_who_wait_are_said(
    sample_run: tuple[Path, dict[str, Any]], lines: Lines
) -> None:
    aside = dict(
        query(
            sample_run[0],
            "select item_id, set_aside from marts.fct_stock_positions where set_aside > 0",
        )
    )
    assert aside == {"17012F": 37, "21212": 131, "21714": 22, "22326": 371, "79321": 123}
    said = {item for item, place in lines if place == "DC1"} & set(aside)
    assert said
    for item in said:
        assert f"{aside[item]:,.0f} more lie there blocked" in lines[item, "DC1"]["reason"]
    assert "Customers wait for 960 already" in lines["21212", "UK"]["reason"]


def test_a_kit_s_sales_and_a_predecessor_s_stock_are_their_heirs(
    sample_run: tuple[Path, dict[str, Any]],
) -> None:
    planned = {
        item for (item,) in query(sample_run[0], "select item_id from marts.dim_item_locations")
    }
    assert not {"22634", "22912"} & planned
    assert {"22972", "84997B", "22914"} <= planned
    ((inherited,),) = query(
        sample_run[0],
        "select sum(inherited) from marts.fct_stock_positions where item_id = '22914'",
    )
    assert inherited == 32  # 28 yellow ones in DC1, 4 in UK


def test_a_trace_leads_to_what_an_order_depends_on(
    lines: Lines, traced: Callable[[str, str], dict[str, list[dict[str, Any]]]]
) -> None:
    item = of_supplier(lines, "S07")[0]["item_id"]
    told = traced(item, "DC1")
    assert {row["unit"] for row in told["raw.item_units"]} == {"case", "pallet"}
    assert {row["currency"] for row in told["raw.exchange_rates"]} == {"EUR"}
    assert any(row["name"] == "capacity" for row in told["raw.constraints"])
    paper = of_supplier(lines, "S02")[0]
    told = traced(paper["item_id"], "DC1")
    assert told["raw.suppliers"][0]["order_days"] == "tue, thu"
    assert {row["day"] for row in told["raw.holidays"]} >= {"2011-12-26", "2012-01-02"}


def test_a_supplier_s_least_order_is_kept_and_its_trace_leads_to_it(
    lines: Lines, traced: Callable[[str, str], dict[str, list[dict[str, Any]]]]
) -> None:
    bought = [sum(line["value"] for line in of_supplier(lines, "S03"))]
    bought.append(sum(line["quantity"] for line in of_supplier(lines, "S09")))
    assert all(one == 0 or one >= least for one, least in zip(bought, (400, 1000), strict=True))
    told = traced(of_supplier(lines, "S10")[0]["item_id"], "DC1")
    least = {row["name"]: row["value"] for row in told["raw.constraints"] if row["scope"] == "S10"}
    assert least == {"supplier_minimum_kg": 60}


def test_what_was_cancelled_or_closed_short_is_not_on_its_way(
    sample_run: tuple[Path, dict[str, Any]],
) -> None:
    ended = pl.DataFrame(
        query(
            sample_run[0],
            """
            select order_id, line_id, status in ('cancelled', 'closed short')
            from raw.purchase_orders where status <> 'open'
            """,
        ),
        orient="row",
    )
    assert len(ended) == 9
    still = query(
        sample_run[0],
        """
        select count(*) from marts.fct_open_orders as open
        join raw.purchase_orders as said using (order_id, line_id) where said.status <> 'open'
        """,
    )
    assert still == [(0,)]
