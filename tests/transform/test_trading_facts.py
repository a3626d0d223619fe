"""Money in other currencies, stock that cannot be sold, items that take another's place, and what
customers still wait for."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from warehouses import Row, at, build, make_warehouse, query

from orchestration.facts.supply_calendar import read_calendar
from orchestration.facts.timeline import Timeline

BEFORE = at("2023-01-01")
#: status, bin, lot, expiry and reservation of each row, and what of its 10 units can be sold
LOTS: list[tuple[Row, float]] = [
    ({}, 10),
    ({"status": "available"}, 10),
    ({"status": "Consignment"}, 10),
    ({"status": "BLOCKED"}, 0),
    ({"status": "blocked - recall"}, 0),
    ({"status": "Reserved"}, 0),
    ({"status": "quality inspection"}, 0),
    ({"status": "gesperrt"}, 0),
    ({"reserved": 4.0}, 6),
    ({"reserved": 14.0}, 0),
    ({"expires_at": at("2024-01-19")}, 0),
    ({"expires_at": at("2024-01-25")}, 0),  # after the count, before Now, and nothing went out
    ({"expires_at": at("2024-03-01")}, 10),
]


def stocked(item: str, **more: object) -> Row:
    where = {"location_id": "shop", "event_at": at("2024-01-20"), "on_hand": 10.0}
    return {"item_id": item, **where, **more}


def sold(item: str, when: str, **more: object) -> Row:
    where = {"location_id": "shop", "event_at": at(when), "quantity": 1.0}
    return {"item_id": item, **where, **more}


def rate(currency: str, when: str, worth: float) -> Row:
    return {"currency": currency, "event_at": at(when), "rate": worth, "known_at": BEFORE}


def follows(old: str, new: str, when: str, **more: object) -> Row:
    dated = {"item_id": old, "successor_id": new, "starts_at": at(when)}
    return {**dated, "known_at": at("2023-12-01"), **more}


def owed(order: str, item: str, quantity: float, **more: object) -> Row:
    where = {"location_id": "shop", "event_at": at("2024-01-30"), "due_at": at("2024-02-05")}
    return {"order_id": order, "item_id": item, "quantity": quantity, **where, **more}


TABLES: dict[str, list[Row]] = {
    "exchange_rates": [
        rate("usd", "2024-01-01", 0.9),
        rate("USD", "2024-01-15", 0.8),
        rate("USD", "2024-03-01", 0.1),
        rate("JPY", "2024-01-01", 0.006),
    ],
    "items": [
        {"item_id": "lamp", "unit_cost": 1000.0, "currency": "JPY", "known_at": BEFORE},
        {"item_id": "tea", "unit_cost": 2.0, "currency": "XXX", "known_at": BEFORE},
    ],
    "supplier_terms": [
        {
            "item_id": "cup",
            "supplier_id": "acme",
            "unit_cost": 5.0,
            "currency": "USD",
            "lead_time_working_days": 10.0,
            "shelf_life_days": 30.0,
            "known_at": BEFORE,
        },
        {
            "item_id": "cup",
            "supplier_id": "gone",
            "unit_cost": 1.0,
            "ends_at": at("2024-01-10"),
            "known_at": BEFORE,
        },
    ],
    "purchase_orders": [
        {
            "order_id": "P1",
            "item_id": "cup",
            "location_id": "shop",
            "quantity": 5.0,
            "unit_cost": 5.0,
            "currency": "usd",
            "event_at": at("2024-01-10"),
            "due_at": at("2024-02-20"),
            "supplier_id": "acme",
        },
        {
            "order_id": "P2",
            "item_id": "old",
            "location_id": "shop",
            "quantity": 6.0,
            "event_at": at("2024-01-10"),
            "due_at": at("2024-02-20"),
            "supplier_id": "acme",
        },
    ],
    "prices": [
        {
            "item_id": "cup",
            "price": 11.9,
            "tax_share": 0.19,
            "event_at": at("2024-01-01"),
            "known_at": BEFORE,
        },
    ],
    "sales": [
        sold("cup", "2024-01-10", unit_price=11.9, tax_share=0.19),
        sold("cup", "2024-01-16", unit_price=10.0, currency="USD"),
        sold("old", "2024-01-05", quantity=10.0),
        sold("older", "2024-01-04", quantity=4.0),
        sold("split", "2024-01-06", quantity=10.0),
        sold("later", "2024-01-06", quantity=3.0),
        sold("new", "2024-01-30", quantity=2.0),
        *(sold(f"lot{n}", "2024-01-02") for n in range(len(LOTS))),
    ],
    "stock": [
        *(stocked(f"lot{n}", lot=f"L{n}", **lot) for n, (lot, _) in enumerate(LOTS)),
        stocked("old", on_hand=7.0),
        stocked("older", on_hand=1.0),
        stocked("new", on_hand=0.0),
        stocked("split", on_hand=10.0),
    ],
    "successions": [
        follows("older", "old", "2024-01-05"),
        follows("old", "new", "2024-01-25"),
        follows("split", "left", "2024-01-25", share=0.6),
        follows("split", "right", "2024-01-25", share=0.3),
        follows("later", "soon", "2024-06-01"),
    ],
    "components": [
        {"item_id": "set", "part_id": "cup", "quantity": 2.0, "known_at": BEFORE},
    ],
    "bills_of_materials": [
        {"item_id": "cup", "part_id": part, "quantity": 2.0, "known_at": BEFORE, **more}
        for part, more in (
            ("clay", {"scrap_share": 0.1}),
            ("split", {}),
            ("glaze", {"ends_at": at("2024-01-31")}),
        )
    ]
    + [{"item_id": "clay", "part_id": "earth", "quantity": 0.5, "known_at": BEFORE}],
    "substitutes": [
        {"item_id": "cup", "substitute_id": other, "known_at": BEFORE, **more}
        for other, more in (
            ("mug", {}),
            ("bowl", {"quantity": 0.5, "starts_at": at("2024-03-01")}),
            ("new", {"quantity": 3.0}),
        )
    ],
    "customer_orders": [
        owed("C1", "set", 3.0),
        owed("C2", "old", 5.0, delivered_quantity=2.0),
        owed("C3", "cup", 9.0, status="cancelled"),
        owed("C4", "cup", 9.0, status="shipped", delivered_quantity=9.0),
    ],
    "lane_stops": [
        {
            "from_id": "acme",
            "to_id": "shop",
            "mode": mode,
            "hub_id": hub,
            "after_days": days,
            "known_at": BEFORE,
        }
        for mode, hub, days in ((None, "port", 2.5), ("sea", "canal", None))
    ],
    "suppliers": [
        {"supplier_id": "acme", "country": " de", "region_id": "BY", "known_at": BEFORE},
        {"supplier_id": "bell", "country": "DE", "region_id": "BE", "known_at": BEFORE},
    ],
    "locations": [{"location_id": "shop", "country": "FR", "known_at": BEFORE}],
    "holidays": [
        {"day": date(2024, 2, 5), "supplier_id": "acme", "known_at": BEFORE},
        {"day": date(2024, 2, 6), "country": "de", "known_at": BEFORE},
        {"day": date(2024, 2, 7), "country": "DE", "region_id": "BY", "known_at": BEFORE},
        {"day": date(2024, 2, 8), "country": "FR", "region_id": "BY", "known_at": BEFORE},
        {"day": date(2024, 2, 9), "region_id": "BY", "known_at": BEFORE},
    ],
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each item stands for one habit of real companies; Now is the midnight that begins
    2024-02-01."""
    world = {"timezone": "UTC", "now_at": at("2024-02-01"), "lead_time_days": 3.0}
    warehouse = make_warehouse(tmp_path_factory.mktemp("trade") / "warehouse.duckdb", world, TABLES)
    models = "+fct_stock_positions +dim_item_locations +fct_customer_orders +fct_prices"
    build(
        warehouse,
        f"{models} +dim_holidays +dim_lane_stops +fct_stock_lots +fct_open_orders "
        "+dim_suppliers +dim_locations +dim_substitutes",
        "run",
    )
    return warehouse


def one(company: Path, sql: str) -> object:
    ((value,),) = query(company, sql)
    return value


def test_a_lane_passes_the_hubs_that_are_said_of_it(company: Path) -> None:
    stops = "select from_id, to_id, mode, hub_id, after_days from marts.dim_lane_stops order by 4"
    assert query(company, stops) == [
        ("acme", "shop", "sea", "canal", None),
        ("acme", "shop", None, "port", 2.5),
    ]


def test_holidays_of_a_country_close_its_suppliers_and_places(company: Path) -> None:
    with duckdb.connect(str(company), read_only=True) as con:
        calendar = read_calendar(con, Timeline.read(con))
    assert calendar is not None
    closed = {
        name: sorted(day.day for day in days.closed)
        for name, days in (calendar.orders | calendar.takes).items()
        if name in ("acme", "bell", "shop")
    }
    # the 5th is acme's own, the 6th the country's, the 7th a region's of it, the 9th a region's
    assert closed == {"acme": [5, 6, 7, 9], "bell": [6], "shop": []}
    assert calendar.works["bell"].closed == calendar.orders["bell"].closed


def test_amounts_in_another_currency_count_at_the_rate_of_their_day(company: Path) -> None:
    revenue = "select round(revenue, 6) from marts.fct_demand where is_current and item_id = 'cup'"
    assert query(company, f"{revenue} and revenue > 0 order by period_start") == [(10,), (8,)]
    assert one(company, "select unit_cost from marts.fct_open_orders where order_id = 'P1'") == 4.5


def test_what_holds_now_is_worth_what_its_currency_is_worth_now(company: Path) -> None:
    cost = "select round(unit_cost, 6) from marts.dim_supplier_terms where supplier_id = 'acme'"
    assert one(company, cost) == 4.0
    assert one(company, "select unit_cost from marts.dim_items where item_id = 'lamp'") == 6.0


def test_a_currency_without_a_rate_is_never_one_to_one(company: Path) -> None:
    assert one(company, "select unit_cost from marts.dim_items where item_id = 'tea'") is None


def test_a_price_that_includes_tax_earns_what_is_left_of_it(company: Path) -> None:
    assert one(company, "select round(price, 6) from marts.fct_prices") == 10.0


def test_terms_that_ended_are_no_terms(company: Path) -> None:
    current = "select supplier_id from marts.dim_supplier_terms where is_current"
    assert query(company, current) == [("acme",)]


@pytest.mark.parametrize("number", range(len(LOTS)))
def test_stock_that_cannot_be_sold_is_not_available(company: Path, number: int) -> None:
    found = f"select on_hand from marts.fct_stock_positions where item_id = 'lot{number}'"
    assert one(company, found) == LOTS[number][1], LOTS[number][0]


def test_lots_are_told_with_what_of_them_can_be_sold(company: Path) -> None:
    lots = "select lot, available from marts.fct_stock_lots where status = 'blocked'"
    assert query(company, lots) == [("L3", 0.0)]


def test_who_takes_a_place_takes_history_stock_and_orders_through_the_chain(company: Path) -> None:
    demand = "select item_id, sum(quantity) from marts.fct_demand where is_current group by 1"
    found = dict(query(company, demand))
    assert {name: found.get(name) for name in ("older", "old", "new", "left", "right")} == {
        "older": None,
        "old": None,
        "new": 16.0,
        "left": 6.0,
        "right": 3.0,
    }
    position = """select item_id, on_hand, inherited, on_order from marts.fct_stock_positions
        where item_id in ('new', 'left', 'right', 'old', 'split') order by 1"""
    assert query(company, position) == [
        ("left", 6.0, 6.0, 0.0),
        ("new", 6.0, 8.0, 6.0),  # 2 of the new one were sold before any was counted
        ("right", 3.0, 3.0, 0.0),
    ]


def test_an_item_is_planned_until_an_order_of_its_successor_can_be_there(company: Path) -> None:
    planned = "select item_id from marts.dim_item_locations where item_id in ('later', 'soon')"
    assert query(company, planned) == [("later",)]


def test_parts_of_what_is_made_are_planned_where_it_is_bought_in(company: Path) -> None:
    """With what is lost, through parts of parts, and as what has taken a part's place."""
    taken = "select part_id, round(taken, 6) from marts.dim_bills_of_materials order by 1"
    assert query(company, taken) == [("clay", 2.2), ("earth", 0.5), ("left", 1.2), ("right", 0.6)]
    planned = """select item_id, location_id, role, kind from marts.dim_item_locations
        where item_id in ('clay', 'earth', 'glaze', 'left') order by 1"""
    assert query(company, planned) == [
        ("clay", "shop", "distribution_centre", "purchase"),
        ("earth", "shop", "distribution_centre", "purchase"),
        ("left", "shop", "store", "purchase"),
    ]


def test_substitutes_hold_from_their_first_day(company: Path) -> None:
    found = "select item_id, substitute_id, quantity from marts.dim_substitutes order by 2"
    assert query(company, found) == [("cup", "mug", 1.0), ("cup", "new", 3.0)]


def test_what_customers_wait_for_is_told_by_part_and_by_successor(company: Path) -> None:
    waiting = "select order_id, item_id, quantity, due_on from marts.fct_customer_orders order by 1"
    due = date(2024, 2, 5)
    assert query(company, waiting) == [("C1", "cup", 6.0, due), ("C2", "new", 3.0, due)]
