"""What a draft makes of files of rates, kits, successors, supplier days, lots and open orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing.readers.suggesting import suggest

FILES = {
    "fx": (
        "currency,valid_from,rate\nUSD,2024-01-01,0.9\nJPY,2024-01-01,0.006\n",
        "exchange_rates",
        ("currency: currency", "rate: rate", "event_at: valid_from"),
    ),
    "bom": (
        "kit,component,qty\nK1,P1,2\nK1,P2,1\n",
        "components",
        ("item_id: kit", "part_id: component", "quantity: qty"),
    ),
    "recipes": (
        "finished good,ingredient,qty,scrap,valid to\nK1,P1,2,0.1,2024-12-31\nK1,P2,1,0,\n",
        "bills_of_materials",
        ("part_id: ingredient", "scrap_share: scrap", "ends_at: valid to", "made before: bills"),
    ),
    "substitutes": (
        "article,substitute\nA,B\nC,D\n",
        "substitutes",
        ("item_id: article", "substitute_id: substitute"),
    ),
    "replacements": (
        "old_item,new_item,valid_from\nA,B,2024-01-01\nC,D,2024-02-01\n",
        "successions",
        ("item_id: old_item", "successor_id: new_item", "starts_at: valid_from"),
    ),
    "suppliers": (
        "supplier,name,order_days,cutoff\nS1,Acme,tue,11:00\nS2,Bell,mon,12:00\n",
        "suppliers",
        ("order_days: order_days", "order_until: cutoff"),
    ),
    "stock": (
        "article,warehouse,batch,status,count_date,on_hand\nA,W,L1,blocked,2024-01-01,3\n",
        "stock",
        ("lot: batch", "status: status", "on_hand: on_hand"),
    ),
    "public_holidays": (
        "date,country,holiday name\n2024-12-25,DE,Christmas\n2024-12-26,GB,Boxing Day\n",
        "holidays",
        ("day: date", "country: country", "name: holiday name"),
    ),
    "units": (
        "article,unit,pieces\nA,pallet,480\nA,case,12\n",
        "item_units",
        ("item_id: article", "unit: unit", "quantity: pieces"),
    ),
    "receipts": (
        "receipt no,order,line,article,warehouse,qty,UoM,received_on\n"
        "R1,P1,10,A,W,3,CS,2024-01-03\n",
        "receipts",
        ("unit: UoM", "order_id: order", "line_id: line"),
    ),
    "open_orders": (
        "order,article,warehouse,qty,order_date,due_date,shipped_qty\n"
        "O1,A,W,3,2024-01-01,2024-02-01,0\n",
        "customer_orders",
        ("due_at: due_date", "delivered_quantity: shipped_qty"),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_trade_is_told_by_its_columns(name: str, tmp_path: Path) -> None:
    text, table, mapped = FILES[name]
    file = tmp_path / f"{name}.csv"
    file.write_text(text, encoding="utf-8")
    drafted = suggest([file])
    assert f"- {table}:" in drafted
    for line in mapped:
        assert line in drafted
