"""One row a business grain: parts are added up, an order is one however it is written, and what is
over or given up is not awaited."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from warehouses import Row, at, build, make_warehouse, query, run_dbt

from orchestration.expectations.doubtful_items import FAR_AHEAD
from orchestration.facts.opening_stock import due_by_period
from orchestration.facts.planning_inputs import with_kits
from orchestration.facts.timeline import Timeline

BEFORE = at("2023-01-01")
PLANNED = ("bin", "cup", "bolt", "new", "plate", "box")


def fact(item: str, when: str, location: str | None = "shop", **more: object) -> Row:
    return {"item_id": item, "location_id": location, "event_at": at(when), **more}


def sold(item: str, when: str, **more: object) -> Row:
    return fact(item, when, **({"quantity": 1.0} | more))


def ordered(order: str, item: str, when: str, **more: object) -> Row:
    return fact(item, when, **({"order_id": order, "line_id": "10", "quantity": 10.0} | more))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each item stands for one habit of real systems; Now is the midnight that begins
    2024-02-01."""
    tables: dict[str, list[Row]] = {
        "items": [{"item_id": "cup", "supplier_id": "acme", "pack_size": 12.0, "known_at": BEFORE}],
        "item_units": [{"item_id": "cup", "unit": "PAL", "quantity": 480.0, "known_at": BEFORE}],
        "components": [
            {"item_id": "set", "part_id": "plate", "quantity": 2.0, "known_at": BEFORE},
            {"item_id": "set", "part_id": "box", "quantity": 1.0, "known_at": BEFORE},
            {"item_id": "hamper", "part_id": "set", "quantity": 3.0, "known_at": BEFORE},
        ],
        "aliases": [
            {"kind": " Supplier", "alias": "ACME Ltd", "id": "ACME", "known_at": BEFORE},
            {"kind": "supplier", "alias": "ACME", "id": "acme", "known_at": BEFORE},
            {"kind": "location", "alias": "Shop 1", "id": "shop", "known_at": BEFORE},
            {"kind": "item", "alias": "OLD1", "id": "OLD2", "known_at": at("2024-01-05")},
            {"kind": "item", "alias": "OLD2", "id": "new", "known_at": at("2024-01-09")},
        ],
        "sales": [
            sold("OLD1", "2024-01-02"),
            sold("OLD2", "2024-01-06"),
            sold("new", "2024-01-12"),
            sold("cup", "2024-01-02", order_id="s1"),
            sold("cup", "2024-01-02", order_id="s2", quantity=5.0),
            sold("cup", "2024-01-03", order_id="s3", quantity=7.0),
            sold("bin", "2024-01-08", order_id="s8", event_at=None, known_lag=timedelta(0)),
            sold("hamper", "2024-01-04", quantity=2.0),
            sold("set", "2024-01-04"),
            sold("plate", "2024-01-04"),
        ],
        "orders": [
            {"order_id": "s1", "event_at": at("2024-01-02"), "status": "Shipped"},
            {"order_id": "0S 2", "event_at": at("2024-01-02"), "status": " CANCELLED "},
            {
                "order_id": "00s3",
                "event_at": at("2024-01-03"),
                "status": "storniert",
                "known_at": at("2024-01-20"),
            },
            # the header of a purchase order, and of a sale that says its order alone
            {
                "order_id": "0007",
                "event_at": at("2024-01-27"),
                "location_id": "shop",
                "promised_at": at("2024-02-20"),
            },
            {"order_id": "0S 8", "event_at": at("2024-01-08")},
        ],
        "stock": [
            *(fact("bin", "2024-01-20", on_hand=pieces) for pieces in (20.0, 300.0, 40.0)),
            fact("cup", "2024-01-20", on_hand=2.0, unit="CS"),
            # kits as systems list them: at zero, and below where sales are booked on them
            fact("set", "2024-01-20", on_hand=0.0),
            fact("hamper", "2024-01-20", on_hand=-2.0),
            *(
                fact("bolt", "2024-01-20", on_hand=pieces, bin=bin) | {"event_at": at(when)}
                for bin, pieces, when in (
                    ("A1", 20.0, "2024-01-20 08:00"),
                    ("A2", 300.0, "2024-01-20 08:20"),
                    ("B7", 40.0, "2024-01-20 17:00"),
                )
            ),
        ],
        "assortment": [
            {"item_id": item, "location_id": "shop", "known_at": BEFORE} for item in PLANNED
        ],
        "purchase_orders": [
            ordered(
                "P8",
                "bolt",
                "2024-01-02",
                due_at=at("2024-01-20"),
                supplier_id="acme",
                quantity=200.0,
            ),
            ordered(
                "P9",
                "bolt",
                "2023-01-02",
                due_at=at("2023-01-10"),
                supplier_id="acme",
                quantity=400.0,
            ),
            ordered(
                "P10",
                "bolt",
                "2024-01-20",
                due_at=at("2024-02-10"),
                supplier_id="acme",
                quantity=30.0,
                status="cancelled",
            ),
            ordered(
                "P11",
                "bolt",
                "2024-01-20",
                due_at=at("2024-02-10"),
                supplier_id="acme",
                quantity=50.0,
                status="Short closed",
            ),
            ordered(
                "P12",
                "bolt",
                "2024-01-25",
                due_at=at("2024-02-12"),
                supplier_id="acme",
                quantity=60.0,
                status="open",
            ),
            ordered("P13", "cup", "2024-01-25", quantity=4.0, unit="CS", unit_cost=24.0),
            ordered("P14", "cup", "2024-01-25", quantity=1.0, unit="pal"),
            ordered(
                "7",
                "bin",
                "2024-01-27",
                event_at=None,
                location_id=None,
                known_at=at("2024-01-27"),
            ),
            ordered("P17", "box", "2024-01-26", due_at=at("2042-02-12"), supplier_id="acme"),
            ordered("P20", "jug", "2024-01-02", due_at=at("2024-01-12"), supplier_id="acme"),
            # one order told in two parts at once: 5 now and 7 later, no line numbers
            ordered("P15", "new", "2024-01-26", line_id=None, quantity=5.0),
            ordered("P15", "new", "2024-01-26", line_id=None, quantity=7.0),
        ],
        "receipts": [
            fact("bolt", "2024-01-19", order_id=" p8", line_id="00010", quantity=200.0),
            fact(
                "bolt",
                "2024-01-30",
                location=None,
                order_id="P11",
                line_id="10.0",
                quantity=20.0,
            ),
            # all of it came, and some was sent back
            fact("jug", "2024-01-10", order_id="P20", line_id="10", quantity=10.0),
            fact("jug", "2024-01-24", order_id="P20", line_id="10", quantity=-4.0),
            # an order that nobody knows says no place
            fact("bolt", "2024-01-30", location=None, order_id="P77", quantity=9.0),
        ],
        "shipments": [
            {
                "shipment_id": "f1",
                "from_id": "dc",
                "to_id": "shop",
                "item_id": "bolt",
                "quantity": 5.0,
                "order_id": " 0S1",
                "known_at": None,
            },
        ],
        "supplier_terms": [
            {
                "item_id": "cup",
                "supplier_id": "ACME Ltd",
                "moq": 2.0,
                "unit": "cs",
                "unit_cost": 24.0,
                "known_at": BEFORE,
            },
            {"item_id": "bin", "supplier_id": "acme", "order_multiple": 0.0, "known_at": BEFORE},
        ],
    }
    tables |= {
        "lanes": [
            {
                "from_id": "ACME Ltd",
                "to_id": "Shop 1",
                "transit_days": 2.0,
                "freight_per_kg": 0.5,
                "known_at": BEFORE,
            }
        ],
        "constraints": [
            {"name": "supplier_minimum", "scope": "ACME Ltd", "value": 9.0, "known_at": BEFORE},
            {"name": "capacity", "scope": "Shop 1", "value": 90.0, "known_at": BEFORE},
            {"name": "budget", "value": 900.0, "known_at": BEFORE},
        ],
    }
    world = {"timezone": "UTC", "now_at": at("2024-02-01")}
    warehouse = make_warehouse(tmp_path_factory.mktemp("grain") / "warehouse.duckdb", world, tables)
    build(
        warehouse,
        (
            "+fct_stock_positions +fct_overdue_orders +fct_lead_times +fct_shipments "
            "+dim_item_locations +dim_item_units +fct_receipts +int_orders_changed +fct_constraints +dim_lanes "
            "+fct_kit_demand"
        ),
        "run",
    )
    return warehouse


def _demand(company: Path, item: str) -> dict[date, float]:
    rows = query(
        company,
        (
            "select period_start, quantity from marts.fct_demand where is_current and quantity > 0 "
            "and "
            "item_id = ?"
        ),
        [item],
    )
    return {day: quantity for day, quantity in rows}


def test_an_alias_of_an_alias_is_followed_to_its_end(company: Path) -> None:
    assert _demand(company, "new") == {
        date(2024, 1, 2): 1,
        date(2024, 1, 6): 1,
        date(2024, 1, 12): 1,
    }
    assert query(
        company,
        "select alias, id, known_at from intermediate.int_aliases_current where kind = 'item' order by alias",
    ) == [
        ("OLD1", "new", at("2024-01-09")),
        ("OLD2", "new", at("2024-01-09")),
    ]
    assert query(company, "select count(*) from marts.dim_items where item_id like 'OLD%'") == [
        (0,)
    ]


def test_lanes_terms_and_limits_of_an_alias_are_of_what_it_stands_for(company: Path) -> None:
    lanes = "select from_id, to_id from marts.dim_lanes"
    assert query(company, lanes) == [("acme", "shop")]
    limits = "select name, scope from marts.fct_constraints order by name"
    assert query(company, limits) == [
        ("budget", "all"),
        ("capacity", "shop"),
        ("supplier_minimum", "acme"),
    ]


def test_stock_counted_in_bins_is_their_sum(company: Path) -> None:
    assert query(
        company, "select on_hand from marts.fct_stock_positions where item_id = 'bin'"
    ) == [(360.0,)]


def test_bins_counted_one_after_the_other_are_one_count(company: Path) -> None:
    # 20 more came in ten days later
    stock = "select on_hand from marts.fct_stock_positions where item_id = 'bolt'"
    assert query(company, stock) == [(380.0,)]


def test_lines_of_a_cancelled_order_count_until_that_is_known(company: Path) -> None:
    assert _demand(company, "cup") == {date(2024, 1, 2): 1}
    versions = (
        "select quantity from marts.fct_demand where item_id = 'cup' and period_start = date "
        "'2024-01-03' order by version"
    )
    assert query(company, versions) == [(7.0,), (0.0,)]


def test_a_receipt_closes_its_line_however_the_numbers_are_written(company: Path) -> None:
    assert query(
        company, "select order_id, quantity from marts.fct_open_orders where item_id = 'bolt'"
    ) == [("P12", 60.0)]
    assert query(company, "select supplier_id from marts.fct_receipts where line_id = '00010'") == [
        ("acme",)
    ]


def test_an_order_due_in_eighteen_years_covers_nothing_of_today_and_is_told(company: Path) -> None:
    with duckdb.connect(str(company), read_only=True) as con:
        timeline = Timeline.read(con)
        coming = con.execute("select * from marts.fct_open_orders").pl()
        told = con.execute(FAR_AHEAD).fetchall()
    nodes = pl.DataFrame({"item_id": ["box", "bolt"], "location_id": ["shop", "shop"]})
    due = due_by_period(coming, nodes, timeline, start=timeline.origin, horizon=30)
    assert due.sum(axis=1).tolist() == [0.0, 60.0]
    ((item, _, kind, _, reason),) = told
    assert (item, kind) == ("box", "due_far_ahead") and "2042-02-12" in reason


def test_a_line_finds_its_header_however_the_numbers_are_written(company: Path) -> None:
    said = "select order_id, due_on, quantity from marts.fct_open_orders where item_id = 'bin'"
    assert query(company, said) == [("7", date(2024, 2, 20), 10.0)]
    assert _demand(company, "bin") == {date(2024, 1, 8): 1}


@pytest.mark.parametrize(("orphans", "stops"), [(1, False), (30, True)])
def test_few_sales_without_a_header_are_told_and_many_stop_the_line(
    orphans: int, stops: bool, tmp_path: Path
) -> None:
    sales: list[Row] = [
        {
            "item_id": "cup",
            "location_id": "shop",
            "quantity": 1.0,
            "order_id": f"{'lost' if k < orphans else 'o'}{k}",
            "known_lag": timedelta(0),
        }
        for k in range(300)
    ]
    orders: list[Row] = [{"order_id": f"O{k}", "event_at": at("2024-01-02")} for k in range(300)]
    warehouse = make_warehouse(
        tmp_path / "warehouse.duckdb",
        {"timezone": "UTC", "now_at": at("2024-02-01")},
        {"sales": sales, "orders": orders},
    )
    done = run_dbt(warehouse, "build", "--select", "stg_world stg_orders stg_calendar +stg_sales")
    told = [line for line in done.stdout.splitlines() if "found_in_stg_sales" in line]
    assert any(f"WARN {orphans} " in line for line in told)
    assert any(f"FAIL {orphans} " in line for line in told) is stops


def test_a_receipt_without_a_place_came_to_that_of_its_order(company: Path) -> None:
    came = "select order_id, location_id, quantity from marts.fct_receipts where item_id = 'bolt' and order_id <> ' p8'"
    assert query(company, came) == [("P11", "shop", 20.0)]


def test_what_is_overdue_beyond_belief_is_neither_awaited_nor_a_lead_time_and_is_told(
    company: Path,
) -> None:
    assert query(company, "select order_id, quantity from marts.fct_overdue_orders") == [
        ("P9", 400.0)
    ]
    assert query(
        company, "select order_id from marts.fct_lead_times where item_id = 'bolt' order by 1"
    ) == [("P12",), ("P8",)]


def test_what_changed_adds_up_to_what_is_on_order(company: Path) -> None:
    changed = (
        "select item_id, sum(on_order_change) from intermediate.int_orders_changed group by 1 "
        "having sum(on_order_change) <> 0 order by 1"
    )
    assert query(company, changed) == query(
        company, "select item_id, sum(quantity) from marts.fct_open_orders group by 1 order by 1"
    )


def test_what_is_sent_back_is_waited_for_and_says_nothing_of_the_lead_time(company: Path) -> None:
    of_jugs = "where item_id = 'jug'"
    waited = f"select order_id, quantity from marts.fct_open_orders {of_jugs}"
    assert query(company, waited) == [("P20", 4.0)]
    took = f"select actual_days, is_censored from marts.fct_lead_times {of_jugs}"
    assert query(company, took) == [(8.0, False)]
    moved = f"select sum(delta) from intermediate.int_stock_moved {of_jugs}"
    assert query(company, moved) == [(6.0,)]


def test_two_rows_of_one_line_told_at_once_are_its_parts(company: Path) -> None:
    assert query(company, "select quantity from marts.fct_open_orders where item_id = 'new'") == [
        (12.0,)
    ]


def test_orders_stock_and_terms_in_cases_are_planned_in_pieces(company: Path) -> None:
    open_orders = (
        "select order_id, quantity, unit_cost, from_id from marts.fct_open_orders where item_id = "
        "'cup' order by 1"
    )
    assert query(company, open_orders) == [("P13", 48.0, 2.0, "acme"), ("P14", 480.0, None, "acme")]
    assert query(
        company, "select on_hand from marts.fct_stock_positions where item_id = 'cup'"
    ) == [(24.0,)]
    terms = (
        "select moq, order_multiple, unit_cost, from_id from marts.dim_item_locations where "
        "item_id = 'cup'"
    )
    assert query(company, terms) == [(24.0, 12.0, 2.0, "acme")]


def test_a_multiple_of_nothing_is_none(company: Path) -> None:
    multiple = "select order_multiple from marts.dim_item_locations where item_id = 'bin'"
    assert query(company, multiple) == [(1.0,)]


def test_what_a_unit_holds_is_told(company: Path) -> None:
    held = "select item_id, unit, quantity from marts.dim_item_units"
    assert query(company, held) == [("cup", "pallet", 480.0)]


def test_a_kit_sold_is_demand_of_its_parts_through_kits_of_kits(company: Path) -> None:
    day = date(2024, 1, 4)
    assert _demand(company, "plate") == {day: 2 * 3 * 2 + 2 + 1}
    assert _demand(company, "box") == {day: 2 * 3 + 1}
    assert query(
        company, "select count(*) from marts.dim_item_locations where item_id in ('set', 'hamper')"
    ) == [(0,)]


def test_what_of_a_part_s_demand_was_for_kits_is_known_by_kit(company: Path) -> None:
    shares = (
        "select item_id, kit_id, quantity, round(share, 3) from marts.fct_kit_demand order by all"
    )
    assert query(company, shares) == [
        ("box", "hamper", 6.0, round(6 / 7, 3)),
        ("box", "set", 1.0, round(1 / 7, 3)),
        ("plate", "hamper", 12.0, round(12 / 15, 3)),
        ("plate", "set", 2.0, round(2 / 15, 3)),
    ]


def test_a_centre_s_demand_is_for_kits_as_that_of_all_it_supplies(company: Path) -> None:
    rows = pl.DataFrame(
        {
            "item_id": ["plate"] * 3,
            "location_id": ["A", "B", "DC"],
            "kind": ["transfer", "transfer", "purchase"],
            "from_id": ["DC", "DC", "acme"],
        }
    )
    kits = pl.DataFrame(
        {"item_id": ["plate"], "location_id": ["A"], "kit_share": [0.5], "kits": ["set"]}
    )
    usual = np.array([[4.0, 4.0], [4.0, 4.0], [0.0, 0.0]])
    told = with_kits(rows, kits, usual)
    assert told["kit_share"].to_list() == [0.5, 0.0, 0.25]
    assert told["kits"].to_list() == ["set"] * 3


def test_an_order_without_supplier_has_its_item_s_or_the_implicit_one(company: Path) -> None:
    said = (
        "select distinct from_id from marts.fct_open_orders where item_id in ('cup', 'new') order "
        "by 1"
    )
    assert query(company, said) == [("acme",), ("implicit supplier",)]


def test_a_shipment_without_a_time_has_its_order_s(company: Path) -> None:
    assert query(company, "select shipped_at, known_at from marts.fct_shipments") == [
        (at("2024-01-02"), at("2024-01-02"))
    ]
