"""What a draft makes of files of rates, kits, successors, supplier days, lots and open orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing.readers.contract_draft import suggest

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


GERMAN = {
    "artikel": ("Artikelnummer;Bezeichnung;EK\nA1;Tee;3,20\nA2;Kanne;7,45\n", "items", "EK"),
    "bestände": ("Stichtag;Filiale;Artikel;Bestand\n02.01.2024;MUC;A1;50\n", "stock", "Stichtag"),
    "bestellungen": (
        "Bestellnr;Lieferant;Artikel;Filiale;Bestelldatum;Liefertermin;Menge;Einzelpreis\n"
        "P1;L1;A1;MUC;08.01.2024;18.01.2024;108;1,10\n",
        "purchase_orders",
        "Bestelldatum",
    ),
    "konditionen": (
        "Lieferant;Artikel;Preis;Währung;Mindestmenge;VE;Lieferzeit Tage;gültig ab\n"
        "L1;A1;3,20;EUR;24;12;6;01.01.2024\n",
        "supplier_terms",
        "gültig ab",
    ),
    "kurse": ("Monat;Währung;Kurs\n01.01.2024;USD;0,92\n", "exchange_rates", "Monat"),
    "stückliste": ("Set;Bestandteil;Menge\nS1;A1;2\n", "bills_of_materials", "Bestandteil"),
    "verkäufe": (
        "Beleg;Datum;Filiale;Artikel;Menge;Preis\n"
        "B1;02.01.2024;MUC;A1;1;14,90\nB2;03.01.2024;MUC;A1;3;14,90\n",
        "sales",
        "Preis",
    ),
}


def test_german_headers_are_read_with_their_umlauts(tmp_path: Path) -> None:
    paths = []
    for name, (text, _, _) in GERMAN.items():
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text(text, encoding="utf-8-sig")
    draft = suggest(paths)
    for name, (_, table, column) in GERMAN.items():
        part = draft.partition(f"path: '{name}.csv'")[2] or draft.partition(f"path: {name}.csv")[2]
        source = part.partition("    silo:")[0]
        assert f"- {table}:" in source and f": {column}" in source, (name, source)
        assert "not used" not in source or name == "verkäufe", source
    assert "key: [Beleg]" in draft and "???" not in draft


@pytest.mark.parametrize("header", ["a;b;c", "Ding;Wert;Farbe", ";;", "parent;child;qty", "x"])
def test_no_file_ends_a_draft_of_all(tmp_path: Path, header: str) -> None:
    path = tmp_path / "odd_kit.csv"
    path.write_text(f"{header}\n{';'.join('1' for _ in header.split(';'))}\n", encoding="utf-8")
    assert "sources:" in suggest([path])


@pytest.mark.parametrize(
    ("quantities", "is_whole"),
    [(("6", "-2", "12.00"), True), (("6", "2.5"), False), (("1,5", "2"), False)],
)
def test_goods_sold_in_whole_pieces_are_planned_in_them(
    tmp_path: Path, quantities: tuple[str, ...], is_whole: bool
) -> None:
    rows = "".join(f"2025-01-{k:02};A;N;{said}\n" for k, said in enumerate(quantities, start=1))
    (tmp_path / "sales.csv").write_text(f"day;sku;store;qty\n{rows}")
    assert ("whole_units: true" in suggest([tmp_path / "sales.csv"])) is is_whole
