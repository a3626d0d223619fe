"""A shop of some articles, each odd in a way of its own, small enough to check by hand."""

from __future__ import annotations

from pathlib import Path

from warehouses import Row, at, build, make_warehouse


def sale(item: str, quantity: float, when: str, **more: object) -> Row:
    return {
        "item_id": item,
        "location_id": "shop",
        "quantity": quantity,
        "event_at": at(when),
        "unit_price": 2.0,
        **more,
    }


def make_daily(folder: Path) -> Path:
    """A day grain in London, its demand built; Now is the midnight that begins 2024-02-10."""
    steady = [
        sale("steady", 4.0, f"2024-01-{day:02d} 10:00", row_key=1000 + day) for day in range(1, 32)
    ]
    corrected = sale(
        "steady", 32.0, "2024-01-20 10:00", row_key=1020, known_at=at("2024-02-05 09:00")
    )
    tables: dict[str, list[Row]] = {
        "sales": [
            *steady,
            corrected,
            # bought, bought again, half of the second taken back; a stranger takes back what nobody
            # bought
            sale("netted", 10.0, "2024-01-02 10:00", customer_id="ann"),
            sale("netted", 6.0, "2024-01-03 10:00", customer_id="ann"),
            sale("netted", 6.0, "2024-01-03 11:00", customer_id="bob"),
            sale("late", 5.0, "2024-01-02 10:00"),
            sale("late", 7.0, "2024-01-03 10:00", known_at=at("2024-01-05 08:00")),
            sale("empty", 3.0, "2024-01-02 10:00"),
            sale("empty", 1.0, "2024-01-04 10:00"),
            sale("night", 2.0, "2024-01-02 23:30"),
            sale("shelved", 3.0, "2024-01-06 10:00"),
            sale("future", 9.0, "2024-01-02 10:00", known_at=at("2024-03-01 00:00")),
            *(sale("typed", 4.0, f"2024-01-{day:02d} 10:00") for day in range(2, 9)),
            sale("typed", 4e6, "2024-01-05 11:00"),
        ],
        "returns": [
            sale("netted", 6.0, "2024-01-08 10:00", customer_id="ann"),
            sale("netted", 2.0, "2024-01-09 10:00", customer_id="bob"),
            sale("netted", 5.0, "2024-01-10 10:00", customer_id="eve"),
        ],
        "stock": [
            {
                "item_id": "empty",
                "location_id": "shop",
                "event_at": at("2024-01-04 18:00"),
                "is_in_stock": False,
            },
            {
                "item_id": "shelved",
                "location_id": "shop",
                "event_at": at("2024-01-03 18:00"),
                "on_hand": 9.0,
            },
            {
                "item_id": "steady",
                "location_id": "shop",
                "event_at": at("2023-12-20 18:00"),
                "on_hand": 9.0,
            },
        ],
    }
    warehouse = make_warehouse(folder / "warehouse.duckdb", {"now_at": at("2024-02-10")}, tables)
    build(warehouse, "+fct_demand +int_stock_moved", "run")
    return warehouse
