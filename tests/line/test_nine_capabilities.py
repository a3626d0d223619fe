"""The nine things a user takes for granted, each in the sample company's data and in what it says of
its orders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.home.sql import frame, tuples

pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]
Reasons = dict[tuple[str, str], str]
#: capability → rows of the data that have it, and orders whose reason says it
CAPABILITIES: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "1 units of measure": (
        "raw.purchase_orders where unit = 'case'",
        (("22972", "DC1", r"Bought as 11 × case of 24 at "),),
    ),
    "2 statuses": (
        "raw.stock where status = 'blocked' and bin is not null and lot is not null",
        (("22326", "DC1", "371 more lie there blocked, past their date or promised"),),
    ),
    "3 calendars": (
        "raw.holidays where supplier_id = 'S08'",
        (),  # whichever of S02's lines the budget leaves: see the test
    ),
    "4 currencies": (
        "raw.exchange_rates where currency = 'USD'",
        (("22750", "DC1", " at 3.25 USD"),),
    ),
    "5 kits and bills of materials": (
        "raw.components",
        (
            ("22972", "DC1", "Of what is expected, 60.7 are for kits sold: 22634"),
            ("22694", "DC1", "It is made of 1 × M-BOW, 0.42 × M-RIBBON, 5 × M-ROD"),
            ("M-ROD", "DC1", "Expected for what is made of it: 1,487.8 for 22694"),
        ),
    ),
    "6 succession and substitutes": (
        "raw.successions",
        (("22751", "DC1", "Until it comes, 47 of 22273 can be used in its place"),),
    ),
    "7 suppliers' rules": (
        "raw.constraints where name like 'supplier_minimum%'",
        (("22086", "DC1", "S10 takes no order below 60 kg, this one comes to 837.27"),),
    ),
    "8 customer orders": (
        "raw.customer_orders where delivered_quantity > 0",
        (("21212", "UK", "Customers wait for 960 already"),),
    ),
    "9 files as people make them": ("raw.manifest where path like '%year=2011%'", ()),
}


@pytest.fixture(scope="module")
def said(sample_run: tuple[Path, dict[str, Any]]) -> Reasons:
    with duckdb.connect(str(sample_run[0] / "derived/warehouse.duckdb"), read_only=True) as con:
        lines = frame(con, "select item_id, location_id, reason from decisions.order_lines")
    return {(item, place): reason for item, place, reason in lines.iter_rows()}


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_stands_in_the_data_and_in_the_reasons_of_orders(
    sample_run: tuple[Path, dict[str, Any]], said: Reasons, capability: str
) -> None:
    rows, orders = CAPABILITIES[capability]
    with duckdb.connect(str(sample_run[0] / "derived/warehouse.duckdb"), read_only=True) as con:
        assert tuples(con, f"select count(*) > 0 from {rows}") == [(True,)]
    for item, place, words in orders:
        assert words in said[item, place]


def test_calendars_and_the_heir_s_stock_are_said_wherever_they_change_an_order(
    sample_run: tuple[Path, dict[str, Any]], said: Reasons
) -> None:
    with duckdb.connect(str(sample_run[0] / "derived/warehouse.duckdb"), read_only=True) as con:
        ordered = "select item_id, location_id from decisions.order_lines"
        paper = tuples(con, f"{ordered} where from_id = 'S02'")
        heirs = tuples(
            con,
            f"{ordered} join marts.fct_stock_positions using (item_id, location_id) "
            "where inherited > 0",
        )
    assert paper and all("It leaves on Tue 2011-12-13" in said[line] for line in paper)
    assert all("of the stock are of what it replaces" in said[line] for line in heirs)


def test_what_is_to_be_made_without_its_parts_is_an_exception(
    sample_run: tuple[Path, dict[str, Any]],
) -> None:
    with duckdb.connect(str(sample_run[0] / "derived/warehouse.duckdb"), read_only=True) as con:
        short = tuples(
            con, "select item_id, reason from decisions.exceptions where kind = 'parts_short'"
        )
    ((item, reason),) = short
    assert item == "22694" and "288 of M-BOW are taken, 100 lie there" in reason


def test_traces_lead_to_the_rows_that_gave_an_order_its_parts_units_and_aliases(
    sample_run: tuple[Path, dict[str, Any]], command: Callable[..., Any]
) -> None:
    home = sample_run[0]
    with duckdb.connect(str(home / "derived/warehouse.duckdb"), read_only=True) as con:
        line = dict(tuples(con, "select item_id, order_line_id from decisions.order_lines"))
        (alias,) = tuples(
            con, "select sum(quantity) from marts.fct_customer_orders where item_id = '22469'"
        )
    assert alias == (48.0,)  # ordered as WEB-0117, once WEB-17

    def tables(item: str) -> set[str]:
        told = json.loads(command("trace", line[item], "--home", home, "--json").stdout)
        return {
            step["table"] for step in told["steps"] if step["link"] == "raw rows" and step["rows"]
        }

    assert {"raw.bills_of_materials", "raw.stock"} <= tables("M-ROD")
    assert {"raw.components", "raw.item_units", "raw.exchange_rates"} <= tables("22972")
