"""Supply, stock and economics: two echelons checked by hand, and a world that feeds nothing but
sales."""

from __future__ import annotations

from datetime import date
from math import isnan
from pathlib import Path

import duckdb
import pytest
from warehouses import Row, at, build, days, make_warehouse, query

from models.replenishment.constraints import Constraint
from orchestration.facts import decisions
from orchestration.facts.planning_inputs import read_nodes
from orchestration.facts.purchase_terms import RISES, read_limits, read_logistics
from orchestration.facts.timeline import Timeline
from orchestration.home.sql import tuples


def count(item: str, location: str, when: str, **more: object) -> Row:
    return {"item_id": item, "location_id": location, "event_at": at(when), **more}


def line(item: str, location: str, quantity: float, when: str, **more: object) -> Row:
    return count(item, location, when, quantity=quantity, **more)


def transfer(number: str, quantity: float, when: str, **more: object) -> Row:
    return {
        "transfer_id": number,
        "item_id": "cup",
        "from_id": "dc",
        "to_id": "shop",
        "quantity": quantity,
        "event_at": at(when),
        **more,
    }


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Supplier acme -> dc -> shop, one item; Now is the midnight that begins 2024-01-15."""
    before = at("2023-12-01")
    order = {"supplier_id": "acme", "unit_cost": 2.0}
    tables: dict[str, list[Row]] = {
        "items": [
            {
                "item_id": "cup",
                "levels": ["table", "cups"],
                "supplier_id": "acme",
                "weight_kg": 0.5,
                "known_at": before,
            }
        ],
        "locations": [
            {"location_id": "dc", "kind": "distribution_centre", "known_at": before},
            {"location_id": "shop", "kind": "store", "supplied_from": "dc", "known_at": before},
        ],
        "suppliers": [
            {"supplier_id": "acme", "name": "Acme", "payment_days": 30.0, "known_at": before}
        ],
        "supplier_terms": [
            {
                "item_id": "cup",
                "supplier_id": "acme",
                "lead_time_days": 10.0,
                "moq": 24.0,
                "order_multiple": 12.0,
                "from_quantity": tier,
                "unit_cost": cost,
                "known_at": before,
            }
            for tier, cost in [(1.0, 2.0), (100.0, 1.8)]
        ],
        "lanes": [
            {
                "from_id": "dc",
                "to_id": "shop",
                "transit_days": 2.0,
                "freight_per_kg": 0.4,
                "distance_km": 250.0,
                "co2_per_tonne_km": 0.08,
                "capacity_kg": 40.0,
                "known_at": before,
            }
        ],
        "prices": [{"item_id": "cup", "price": 5.0, "event_at": at("2024-01-01")}],
        "aliases": [{"kind": "item", "alias": "CUP-1", "id": "cup", "known_at": before}],
        "sales": [
            line("cup", "shop", 3.0, "2024-01-03 10:00", unit_price=5.0),
            line("CUP-1", "shop", 2.0, "2024-01-06 10:00", unit_price=5.0),
        ],
        "stock": [
            count("cup", "dc", "2024-01-01 08:00", on_hand=100.0),
            count("cup", "shop", "2024-01-01 08:00", on_hand=10.0),
            count("cup", "dc", "2024-01-14 20:00", on_hand=114.0),
        ],
        "purchase_orders": [
            line(
                "cup",
                "dc",
                24.0,
                "2024-01-02 09:00",
                order_id="p1",
                line_id="1",
                due_at=at("2024-01-09"),
                **order,
            ),
            line(
                "cup",
                "dc",
                36.0,
                "2024-01-05 09:00",
                order_id="p2",
                line_id="1",
                due_at=at("2024-01-20"),
                **order,
            ),
            # the same order twice: our own ledger said it first, then the ERP
            line(
                "cup",
                "dc",
                48.0,
                "2024-01-12 09:00",
                order_id="p3",
                line_id="1",
                due_at=at("2024-01-25"),
                source_id="ledger",
                **order,
            ),
            line(
                "cup",
                "dc",
                44.0,
                "2024-01-13 09:00",
                order_id="p3",
                line_id="1",
                due_at=at("2024-01-25"),
                **order,
            ),
            line(
                "cup",
                "dc",
                60.0,
                "2024-01-13 09:00",
                order_id="p4",
                line_id="1",
                due_at=at("2024-01-28"),
                source_id="ledger",
                **order,
            ),
        ],
        "receipts": [
            line("cup", "dc", 24.0, "2024-01-10 09:00", order_id="p1", line_id="1"),
            line("cup", "dc", 10.0, "2024-01-13 09:00", order_id="p2", line_id="1"),
        ],
        "transfers": [
            transfer(
                "t1",
                20.0,
                "2024-01-04 06:00",
                due_at=at("2024-01-06"),
                row_key=1,
                known_at=at("2024-01-04 06:00"),
            ),
            transfer(
                "t1",
                20.0,
                "2024-01-04 06:00",
                due_at=at("2024-01-06"),
                row_key=1,
                received_at=at("2024-01-06 06:00"),
                known_at=at("2024-01-06 06:00"),
            ),
            transfer("t2", 5.0, "2024-01-14 21:00", due_at=at("2024-01-16")),
        ],
        "adjustments": [count("cup", "shop", "2024-01-08 10:00", delta=-1.0)],
    }
    warehouse = make_warehouse(
        tmp_path_factory.mktemp("network") / "warehouse.duckdb",
        {"now_at": at("2024-01-15")},
        tables,
    )
    with duckdb.connect(str(warehouse)) as con:
        decisions.load(con, warehouse.parent / "no decisions yet")
    # with every data test and unit test of theirs
    build(warehouse, "staging intermediate marts metrics")
    return warehouse


def test_stock_is_the_last_count_and_all_that_moved_since(network: Path) -> None:
    positions = (
        "select location_id, on_hand, on_order, position from marts.fct_stock_positions order by 1"
    )
    assert query(network, positions) == [
        ("dc", 114.0 - 5.0, 26.0 + 44.0 + 60.0, 109.0 + 130.0),
        ("shop", 10.0 - 3.0 - 2.0 + 20.0 - 1.0, 5.0, 24.0 + 5.0),
    ]


def test_what_a_contract_promises_the_table_itself_refuses_to_leave_empty(network: Path) -> None:
    promised = """select distinct table_schema from information_schema.columns
                  where is_nullable = 'NO' and column_name = 'item_id'
                      and table_name in ('fct_demand', 'kpi_turns') order by 1"""
    assert query(network, promised) == [("marts",), ("metrics",)]


def test_books_balance_and_a_difference_is_named(network: Path) -> None:
    rows = query(
        network,
        (
            "select location_id, difference from intermediate.int_stock_balanced where is_count "
            "and "
            "difference is not null"
        ),
    )
    assert rows == [("dc", 114.0 - (100.0 + 24.0 + 10.0 - 20.0))]


def test_an_order_counts_once_whoever_shows_it(network: Path) -> None:
    open_orders = "select order_id, kind, quantity, origin from marts.fct_open_orders order by 1"
    assert query(network, open_orders) == [
        ("p2", "purchase", 26.0, "erp"),
        ("p3", "purchase", 44.0, "erp"),
        ("p4", "purchase", 60.0, "ledger"),
        ("t2", "transfer", 5.0, "erp"),
    ]


def test_all_that_changed_what_is_on_order_adds_up_to_the_open_orders(network: Path) -> None:
    changes = """select lower(order_id), kind, sum(on_order_change), origin
        from intermediate.int_orders_changed
                 group by all having sum(on_order_change) <> 0 order by 1"""
    assert query(network, changes) == query(
        network, "select order_id, kind, quantity, origin from marts.fct_open_orders order by 1"
    )
    then = """select sum(on_order_change) from intermediate.int_orders_changed
              where lower(order_id) = 'p3' and known_at <= timestamp '2024-01-12 12:00'"""
    assert query(network, then) == [(48.0,)], "the ledger's word, until the systems show the order"


def test_the_shop_transfers_and_the_centre_purchases_on_its_terms(network: Path) -> None:
    planned = """select location_id, role, is_forecast, kind, from_id, lead_time_periods, moq,
        order_multiple, unit_cost, price, freight_per_unit
                 from marts.dim_item_locations order by 1"""
    assert query(network, planned) == [
        ("dc", "distribution_centre", False, "purchase", "acme", 10, 24.0, 12.0, 2.0, 5.0, 0.0),
        ("shop", "store", True, "transfer", "dc", 2, 0.0, 1.0, 2.0, 5.0, 0.2),
    ]


def test_a_lane_says_what_it_takes_and_what_it_emits(network: Path) -> None:
    with duckdb.connect(str(network), read_only=True) as con:
        limits = read_limits(con)
        [row] = [row for row in read_nodes(con).to_dicts() if row["location_id"] == "shop"]
        logistics = read_logistics(con, Timeline.read(con), None)
    way = {"from_id": "dc", "location_id": "shop"}
    assert limits == [Constraint("lane dc to shop", 40.0, "weight_kg", way)]
    assert logistics.co2(row) == pytest.approx(250 * 0.08 * 0.5 / 1000)
    assert isnan(logistics.co2(row | {"weight_kg": None}))


def test_an_open_order_is_a_lower_bound_of_its_lead_time(network: Path) -> None:
    times = (
        "select order_id, is_censored, actual_days from marts.fct_lead_times where order_id in "
        "('p1', 'p2', 't1') order by 1"
    )
    assert query(network, times) == [("p1", False, 8.0), ("p2", True, 10.0), ("t1", False, 2.0)]


def test_two_names_of_one_item_are_one_series(network: Path) -> None:
    assert query(network, "select distinct item_id, is_declared from marts.dim_items") == [
        ("cup", True)
    ]
    assert query(network, "select sum(quantity) from marts.fct_demand where is_current") == [(5.0,)]


def test_a_world_of_sales_alone_still_has_every_mart_and_assumed_economics(tmp_path: Path) -> None:
    sales = [
        line("cup", "shop", 4.0, f"2024-01-{day:02d}", known_at=at(f"2024-01-{day:02d}") + days(1))
        for day in range(1, 11)
    ]
    warehouse = make_warehouse(
        tmp_path / "warehouse.duckdb",
        {"now_at": at("2024-01-11"), "timezone": "UTC"},
        {"sales": sales},
    )
    build(warehouse, "staging intermediate marts", "run")
    planned = (
        "select role, kind, from_id, lead_time_periods, price, unit_cost, shortage_cost, "
        "is_assumed from marts.dim_item_locations"
    )
    assert query(warehouse, planned) == [
        ("store", "purchase", "implicit supplier", 14, 1.0, 0.6, 0.4, True)
    ]
    assert query(warehouse, "select max(period_start), count(*) from marts.fct_demand") == [
        (date(2024, 1, 10), 10)
    ]
    positions = "select on_hand, position, stock_known_at from marts.fct_stock_positions"
    assert query(warehouse, positions) == [(0.0, 0.0, None)]


def test_an_announced_price_waits_for_its_day_and_is_no_price_of_before_it(tmp_path: Path) -> None:
    terms = {"item_id": "cup", "supplier_id": "acme", "lead_time_days": 10.0, "row_key": 1}
    tables: dict[str, list[Row]] = {
        "items": [{"item_id": "cup", "known_at": at("2023-12-01")}],
        "sales": [line("cup", "shop", 2.0, "2024-01-06 10:00")],
        "supplier_terms": [
            terms | {"unit_cost": 2.0, "known_at": at("2023-12-01"), "row_hash": 1},
            terms
            | {
                "unit_cost": 3.0,
                "known_at": at("2024-01-05"),
                "starts_at": at("2024-01-20"),
                "row_hash": 2,
            },
        ],
    }
    warehouse = make_warehouse(tmp_path / "warehouse.duckdb", {"now_at": at("2024-01-15")}, tables)
    build(warehouse, "staging intermediate marts", "run")
    terms_now = (
        "select unit_cost, known_at, valid_from from marts.dim_supplier_terms where is_current"
    )
    assert query(warehouse, terms_now) == [(2.0, at("2023-12-01"), at("2023-12-01"))]
    assert query(warehouse, "select unit_cost from marts.dim_item_locations") == [(2.0,)]
    then = "select unit_cost from marts.dim_supplier_terms_as_known_at(timestamp '{}')"
    assert query(warehouse, then.format("2024-01-15")) == [(2.0,)]
    assert query(warehouse, then.format("2024-01-21")) == [(3.0,)]
    with duckdb.connect(str(warehouse), read_only=True) as con:
        soon, late = (
            tuples(con, RISES, {"now": day}) for day in (at("2024-01-15"), at("2024-01-25"))
        )
    assert soon == [("cup", "acme", 3.0, at("2024-01-20"))]
    assert late == []
