"""Small companies that are odd and legal, written as files: what a run of each has to come to."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2024, 1, 1)
CONTRACT = """
world: tiny
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: sales.csv
    key: [ticket]
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: '"day"', quantity: pieces}]
"""
BESIDE = """
  stock:
    silo: erp
    path: stock.csv
    key: [article, shop]
    known_after: 1 day
    into: [stock: {item_id: article, location_id: shop, event_at: '"day"', on_hand: on_hand}]
  terms:
    silo: sheets
    path: terms.csv
    key: [article]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: article, supplier_id: supplier, lead_time_days: lead, moq: moq, order_multiple: multiple, unit_cost: cost}]
  places:
    silo: erp
    path: places.csv
    optional: true
    key: [shop]
    known_at: date '2024-01-01'
    into: [locations: {location_id: shop, supplied_from: hub}]
"""
#: Terms of one item each: lead time, least order, multiple, cost.
ODD_TERMS = {
    "usual": (7, 1, 1, 4),
    "no lead": (0, 1, 1, 4),
    "a year's lead": (400, 1, 1, 4),
    "a lifetime's lead": (1_000_000, 1, 1, 4),
    "back in time": (-7, 1, 1, 4),
    "a billion": (7, 1_000_000_000, 1, 4),
    "no multiple": (7, 0, 0, 4),
    "below zero": (7, -5, -12, 4),
    "in fractions": (7, 1.5, 2.5, 4),
    "unread": (7, "#N/A", 1, 4),
    "for nothing": (7, 1, 1, 0),
    "a/b\\c": (7, 1, 1, 4),
    '🍎 "red", big': (7, 1, 1, 4),
    "NULL": (7, 1, 1, 4),
    "1e5": (7, 1, 1, 4),
    "x" * 200: (7, 1, 1, 4),
    "x" * 201: (7, 1, 1, 4),
    "..": (7, 1, 1, 4),
    "O'Neill & Söhne": (7, 1, 1, 4),
    "never sold": (7, 1, 1, 4),
    "a trillion each": (7, 1, 1, 1e12),
    "a trillion at once": (7, 1, 1e13, 4),
    "sold once": (7, 1, 1, 4),
    "a heap": (7, 1, 1, 4),
    "a debt": (7, 1, 1, 4),
    "uncounted": (7, 1, 1, 4),
}
Rows = Iterable[tuple[Any, ...]]


@dataclass(frozen=True)
class World:
    """A company's folder, how its run ends, words it must say and values of its warehouse."""

    write: Callable[[Path], None]
    code: int = 0
    words: tuple[str, ...] = ()
    values: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)


def table(folder: Path, name: str, head: str, rows: Rows) -> None:
    """One CSV file, with quotes where a cell needs them."""
    text = io.StringIO()
    csv.writer(text).writerows([head.split(","), *rows])
    (folder / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")


def sales(items: Iterable[str], days: int, shop: str = "MAIN") -> Rows:
    """Every item sells 4 to 12 a day, all of them alike."""
    for number, item in enumerate(items):
        chance = random.Random(3)
        for k in range(days):
            day = FIRST + timedelta(days=k)
            yield f"{k}-{number}", day, item, shop, chance.randint(4, 12)


def steady(items: Iterable[str], days: int = 60, *, first: date = FIRST, each: int = 10) -> Rows:
    """Every item sells the same every day."""
    for number, item in enumerate(items):
        for k in range(days):
            yield f"{k}-{number}", first + timedelta(days=k), item, "MAIN", each


def sold(folder: Path, rows: Rows, contract: str = CONTRACT) -> None:
    """A world of sales alone."""
    (folder / "world.yml").write_text(contract, encoding="utf-8")
    table(folder, "sales", "ticket,day,article,shop,pieces", rows)


def odd_items(folder: Path) -> None:
    """One company with an oddity an item."""
    alike = sales((i for i in ODD_TERMS if i != "never sold"), 60)
    sold(folder, [*alike, ("typed", "2024-02-10", "sold once", "MAIN", 10**13)], CONTRACT + BESIDE)
    odd = {"a heap": 10**15, "a debt": -(10**15), "uncounted": "#REF!"}
    counted = ((item, "MAIN", "2024-02-29", odd.get(item, 20)) for item in ODD_TERMS)
    table(folder, "stock", "article,shop,day,on_hand", counted)
    terms = ((item, "S1", *said) for item, said in ODD_TERMS.items())
    table(folder, "terms", "article,supplier,lead,moq,multiple,cost", terms)


def supplied(folder: Path, places: Rows) -> None:
    """One item in places that supply each other."""
    sold(folder, sales(["A1"], 60), CONTRACT + BESIDE)
    table(folder, "stock", "article,shop,day,on_hand", [("A1", "MAIN", "2024-02-29", 20)])
    table(folder, "terms", "article,supplier,lead,moq,multiple,cost", [("A1", "S1", 7, 1, 1, 4)])
    table(folder, "places", "shop,hub", places)


def shop_and_branch(folder: Path) -> None:
    """A shop that sells and supplies a branch."""
    rows = [
        *sales(["alone", "both"], 60),
        *((f"b{ticket}", *rest) for ticket, *rest in sales(["both", "branch only"], 60, "BRANCH")),
    ]
    sold(folder, rows, CONTRACT + BESIDE)
    counted = [
        ("alone", "MAIN", "2024-02-28", 20),
        ("both", "MAIN", "2024-02-28", 20),
        ("both", "BRANCH", "2024-02-28", 20),
        ("branch only", "MAIN", "2024-02-28", 20),
        ("branch only", "BRANCH", "2024-02-28", 20),
    ]
    table(folder, "stock", "article,shop,day,on_hand", counted)
    terms = [(item, "S1", 7, 1, 1, 4) for item in ("alone", "both", "branch only")]
    table(folder, "terms", "article,supplier,lead,moq,multiple,cost", terms)
    table(folder, "places", "shop,hub", [("MAIN", ""), ("BRANCH", "MAIN")])


COUNT = "article,shop,day,on_hand"
TERMS = "article,supplier,lead,moq,multiple,cost"
DATED = """known_at: '"day"::timestamp + interval 1 day'"""
PIECES = "quantity: pieces}"


def counted(
    folder: Path, rows: Rows, day: str, stock: dict[str, int], terms: Rows, contract: str
) -> None:
    """A world of sales, stock and terms."""
    sold(folder, rows, contract)
    table(folder, "stock", COUNT, ((item, "MAIN", day, units) for item, units in stock.items()))
    table(folder, "terms", TERMS, terms)


def from_wednesday(folder: Path) -> None:
    """Weeks that begin before the first ticket, and end after the last one."""
    weekly = (CONTRACT + BESIDE).replace("grain: day", "grain: week")
    contract = weekly.replace("known_after: 1 day", DATED, 1)
    lines = steady(["A1", "A2"], 70, first=date(2024, 1, 3))
    terms = [("A1", "S1", 7, 1, 12, 4), ("A2", "S1", 7, 1, 12, 4)]
    counted(folder, lines, "2024-03-12", {"A1": 20, "A2": 500}, terms, contract)


def seven_months(folder: Path) -> None:
    """Monthly totals, too few for a rehearsal."""
    monthly = (CONTRACT + BESIDE).replace("grain: day", "grain: month")
    contract = monthly.replace("weekly", "monthly").replace("after: 1 day", "after: 31 days", 1)
    lines = [(f"{m}{i}", date(2024, m, 1), i, "MAIN", 300) for m in range(1, 8) for i in ("A", "B")]
    terms = [("A", "S1", 45, 1, 24, 4), ("B", "S1", 20, 2000, 1, 4)]
    counted(folder, lines, "2024-07-31", {"A": 100, "B": 100}, terms, contract)


def ten_days(folder: Path) -> None:
    """A young company that counted its stock before yesterday's sales were handed over."""
    terms = [("A1", "S1", 7, 1, 12, 4), ("A2", "S1", 7, 1, 12, 4)]
    stock = {"A1": 20, "A2": 1000}
    counted(folder, steady(["A1", "A2"], 10), "2024-01-11", stock, terms, CONTRACT + BESIDE)


def summer_time(folder: Path) -> None:
    """Yen, and sales at an hour that one night does not have."""
    contract = (CONTRACT + BESIDE).replace("EUR", "JPY\ntimezone: Europe/Berlin")
    contract = contract.replace(PIECES, "quantity: pieces, unit_price: '1500'}")
    lines = [
        (f"{k}-{hour}", f"{date(2024, 2, 1) + timedelta(days=k)} {hour}", "A1", "MAIN", 5)
        for k in range(75)
        for hour in ("02:30:00", "23:30:00")
    ]
    terms = [("A1", "S1", 7, 1, 1, 1200)]
    counted(folder, lines, "2024-04-16", {"A1": 20}, terms, contract)


def spelt_otherwise(folder: Path) -> None:
    """Ids that differ in zeros, case, blanks and the form of an umlaut; a sum at the end; stock
    that lies where nobody sells."""
    items = ["0012", "abc", "A/1", "Ärmel", "KEPT"]
    lines = [*steady(items), ("sum", "2024-02-29", "Total", "MAIN", 3000)]
    terms = [(item, "S/1" if item == "A/1" else "Süd", 7, 1, 1, 4) for item in items]
    stock = {"12": 500, "ABC": 500, " A/1 ": 20, "A\u0308rmel": 20}
    counted(folder, lines, "2024-02-29", stock, terms, CONTRACT + BESIDE)
    with (folder / "stock.csv").open("a", encoding="utf-8") as file:
        file.write("KEPT,DEPOT,2024-02-29,300\n")


SHEETS = """
  terms:
    silo: sheets
    path: terms.xlsx
    key: [Article]
    known_at: date '2024-01-01'
    fill_down: [Supplier]
    into: [supplier_terms: {item_id: Article, supplier_id: Supplier, lead_time_days: Lead, moq: MOQ}]
  counts:
    silo: sheets
    path: counts.xlsx
    key: [Article]
    known_at: date '2024-02-29'
    into: [stock: {item_id: Article, location_id: "'MAIN'", event_at: date '2024-02-29', on_hand: Pieces}]
"""


def of_sheets(folder: Path) -> None:
    """A hidden first sheet, merged cells, blank rows, a name that stands twice, a sum at the end."""
    sold(folder, steady(["A1", "A2", "A3"]), CONTRACT + SHEETS)
    book = openpyxl.Workbook()
    book.worksheets[0].sheet_state = "hidden"
    book.worksheets[0].append(["Article", "Supplier", "Lead", "MOQ"])
    book.worksheets[0].append(["A1", "S9", 7, 999])
    sheet = book.create_sheet("Terms")
    for row in (
        ["Supplier", "Article", "Lead", "MOQ"],
        ["S1", "A1", 7, 1],
        [None, "A2", 7, 200],
        [],
        ["S2", "A3", 14, 1],
    ):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    book.save(folder / "terms.xlsx")
    book = openpyxl.Workbook()
    for row in (["Article", "Pieces", "Pieces"], ["A1", 20, 2000], ["A2", 30, 3000]):
        book.worksheets[0].append(row)
    for row in (["A3", 40, 4000], [], ["Total", 90, 9000]):
        book.worksheets[0].append(row)
    book.save(folder / "counts.xlsx")


DOCUMENTS = """
  web:
    silo: shop
    path: orders.json
    format: {json: {records: orders.line_items}}
    key: [order, sku]
    known_after: 1 day
    into: [sales: {item_id: sku, location_id: "'MAIN'", event_at: created_at, quantity: quantity}]
  units:
    silo: sheets
    path: units.csv
    key: [article, unit]
    known_at: date '2024-01-01'
    into: [item_units: {item_id: article, unit: unit, quantity: holds}]
  po_heads:
    silo: erp
    path: po_heads.csv
    key: [po]
    known_after: 0 days
    into: [orders: {order_id: po, event_at: ordered, supplier_id: supplier, location_id: shop}]
  po_lines:
    silo: erp
    path: po_lines.csv
    key: [po, line]
    known_after: 0 days
    into: [purchase_orders: {order_id: po, line_id: line, item_id: article, quantity: qty, due_at: due}]
  freight:
    silo: erp
    path: freight.csv
    key: [shipment]
    known_after: 1 day
    into: [shipments: {shipment_id: shipment, order_id: po, item_id: article, from_id: sender, to_id: shop, quantity: qty, freight_cost: freight}]
"""


def in_pieces(folder: Path) -> None:
    """Sales in a Mac's zip with units in brackets, orders in JSON, purchase orders in headers and
    lines, of which some lack their supplier, their header or their day."""
    items = ["HEAD", "NOSUP", "LOST", "CASE", "JSON"]
    contract = CONTRACT.replace("sales.csv", "sales.zip\n    format: csv") + BESIDE + DOCUMENTS
    contract = contract.replace(PIECES, "quantity: 'Qty (pcs)', unit: 'Unit [code]'}")
    contract = contract.replace("unit_cost: cost", "unit_cost: cost, unit: unit")
    (folder / "world.yml").write_text(contract, encoding="utf-8")
    table(
        folder,
        "lines",
        "ticket,day,article,shop,Qty (pcs),Unit [code]",
        [
            *((*row, "EA") for row in steady(items[:3])),
            *((f"c{row[0]}", *row[1:4], 1, "CS") for row in steady(["CASE"])),
        ],
    )
    with zipfile.ZipFile(folder / "sales.zip", "w") as packed:
        packed.write(folder / "lines.csv", "sales/sales.csv")
        packed.writestr("__MACOSX/sales/._sales.csv", b"\0\5\x16\7\0\2\0\0Mac OS X")
    days = [str(FIRST + timedelta(days=k)) for k in range(60)]
    lines = [{"sku": "JSON", "quantity": 10}]
    orders = [{"order": f"W{day}", "created_at": day, "line_items": lines} for day in days]
    (folder / "orders.json").write_text(json.dumps({"orders": orders}), encoding="utf-8")
    table(folder, "stock", COUNT, ((item, "MAIN", "2024-02-29", 20) for item in items))
    unit = {"CASE": "CS"}
    terms = ((item, "S1", 7, 1, 1, 4, unit.get(item, "EA")) for item in items)
    table(folder, "terms", f"{TERMS},unit", terms)
    table(folder, "units", "article,unit,holds", [("CASE", "CS", 12)])
    heads = [("P1", "2024-02-26", "S1", "MAIN"), ("P2", "2024-02-26", "", "MAIN")]
    table(folder, "po_heads", "po,ordered,supplier,shop", heads)
    numbers = {"P1": "HEAD", "P2": "NOSUP", "P9": "LOST"}
    open_lines = ((po, 1, item, 50, "2024-03-04") for po, item in numbers.items())
    table(folder, "po_lines", "po,line,article,qty,due", open_lines)
    freight = [("F1", "P1", "HEAD", "S1", "MAIN", 50, 9), ("F2", "P7", "LOST", "S1", "MAIN", 50, 9)]
    table(folder, "freight", "shipment,po,article,sender,shop,qty,freight", freight)


ASIDE = (
    "select column_name, rule, count(*) from raw.quarantine where table_name <> 'sales' "
    "group by all order by all"
)
HELD = """
    select item_id, kind from decisions.exceptions where item_id in ('a trillion each',
        'a trillion at once', 'sold once', 'a heap', 'a debt')
        or kind in ('terms_set_aside', 'position_set_aside')
    order by all"""
ORDERED = "select count(*) from decisions.order_lines where item_id in ('never sold')"
#: Whether each item is forecast at what it sells in its window of two reviews, and ordered for one
#: at least: what nobody can get before the goods come is not asked for again.
NEED = """
    select item_id, abs(expected_demand / {window} - 1) < 0.15 as forecast, position,
        quantity between {window} / 2 and 1.3 * {window} as ordered
    from decisions.targets where position < {window} order by 1"""
SUM = [("item_id", "is a word for a sum and names nothing", 1)]
DOUBTED = "select column_name, rule, count(*) from raw.quarantine group by all"
KINDS = "select item_id, kind from decisions.exceptions where item_id <> 'all' order by all"
WORLDS = {
    "weeks from a Wednesday": World(
        from_wednesday,
        values={
            "select quantity % 12 = 0 and quantity between 70 and 168 from "
            "decisions.order_lines where item_id = 'A1'": [(True,)]
        },
    ),
    "seven months of totals": World(
        seven_months,
        values={
            "select item_id, quantity from decisions.order_lines order by 1": [
                ("A", 912.0),
                ("B", 2000.0),
            ],
        },
    ),
    "ten days and a report that is missing": World(
        ten_days,
        values={"select item_id, quantity from decisions.order_lines": [("A1", 144.0)]},
    ),
    "yen where summer time begins": World(
        summer_time, values={NEED.format(window=140): [("A1", True, 10.0, True)]}
    ),
    "ids spelt otherwise": World(
        spelt_otherwise,
        words=("Each item has one spelling in all tables",),
        values={
            DOUBTED: SUM,
            NEED.format(window=140): [("A/1", True, 10.0, True), ("Ärmel", True, 10.0, True)],
            "select item_id, kind from decisions.exceptions where kind in ('unknown_stock', "
            "'stock_elsewhere') order by all": [
                ("0012", "unknown_stock"),
                ("KEPT", "stock_elsewhere"),
                ("KEPT", "unknown_stock"),
                ("abc", "unknown_stock"),
            ],
        },
    ),
    "sheets as people make them": World(
        of_sheets,
        words=("`Pieces` is the name of several columns",),
        values={
            DOUBTED: SUM,
            "select item_id, from_id, quantity between 130 and 190 as for_two_weeks, quantity = 200 "
            "as least, quantity between 180 and 290 as for_three from decisions.order_lines "
            "order by 1": [
                ("A1", "S1", True, False, False),
                ("A2", "S1", False, True, True),
                ("A3", "S2", False, False, True),
            ],
        },
    ),
    "documents in pieces": World(
        in_pieces,
        words=(
            "left by a program",
            "Every order line to a supplier says its date and place",
            "Every shipment says its day",
        ),
        values={
            "select item_id, position from decisions.targets order by 1": [
                ("CASE", 8.0),
                ("HEAD", 60.0),
                ("JSON", 10.0),
                ("LOST", 10.0),
                ("NOSUP", 60.0),
            ],
            "select quantity % 12, round(unit_cost * 12, 6)::double from decisions.order_lines where item_id = "
            "'CASE'": [(0.0, 4)],
        },
    ),
    "a day of sales": World(
        lambda folder: sold(folder, sales(["A1"], 1)),
        2,
        ("At least two periods are over", "Land more history"),
    ),
    "a header alone": World(lambda folder: sold(folder, []), 1, ("what day it is",)),
    "ten days of sales": World(lambda folder: sold(folder, sales(["A1"], 10))),
    "places in a loop": World(
        lambda folder: supplied(folder, [("MAIN", "HUB"), ("HUB", "MAIN")]),
        1,
        ("never the place itself again", "location_id="),
    ),
    "an oddity an item": World(
        odd_items,
        values={
            ASIDE: [
                ("item_id", "is longer than 200 characters", 2),
                ("lead_time_days", "is more than 1,000 days", 1),
                ("lead_time_days", "is negative", 1),
                ("moq", "is negative", 1),
                ("moq", "is no number as declared", 1),
                ("on_hand", "is no number as declared", 1),
            ],
            ORDERED: [(0,)],
            HELD: [
                ("a debt", "negative_stock"),
                ("a heap", "covers_a_century"),
                ("a lifetime's lead", "terms_set_aside"),
                ("a trillion at once", "beyond_any_order"),
                ("a trillion each", "beyond_any_order"),
                ("back in time", "terms_set_aside"),
                ("below zero", "terms_set_aside"),
                ("sold once", "beyond_its_record"),
                ("uncounted", "position_set_aside"),
                ("unread", "terms_set_aside"),
            ],
            "select count(distinct quantity) from decisions.order_lines where item_id in "
            "('usual', 'no multiple', 'a/b\\c', 'NULL', '1e5', '..')": [(1,)],
            "select abs(expected_demand / (14 * 7.95) - 1) < 0.2 from decisions.targets where "
            "item_id in ('usual', 'sold once')": [(True,), (True,)],
            "select quantity >= 1e9 from decisions.order_lines where item_id = 'a billion'": [
                (True,)
            ],
            "select quantity % 2.5 from decisions.order_lines where item_id = 'in fractions'": [
                (0.0,)
            ],
        },
    ),
    "a shop that supplies another": World(
        shop_and_branch,
        values={
            # what one item sells alone is what it sells beside a branch that has a shelf of its own
            "select distinct item_id from decisions.forecasts where location_id = 'MAIN' order by "
            "all": [("alone",), ("both",), ("branch only",)],
        },
    ),
}


BOUGHT = """
  bought:
    silo: erp
    path: po.csv
    key: [po]
    known_after: 0 days
    into: [purchase_orders: {order_id: po, supplier_id: supplier, item_id: article, location_id: shop, quantity: pieces, event_at: ordered, due_at: due}]
  came:
    silo: erp
    path: came.csv
    key: [slip]
    known_after: 0 days
    into: [receipts: {order_id: po, item_id: article, location_id: shop, quantity: pieces, event_at: day}]
"""


def only_bought(folder: Path) -> None:
    """No terms and no master data: the orders say from whom, and the receipts how late; some of the
    last delivery went back."""
    counts = BESIDE[: BESIDE.index("  terms:")]
    sold(folder, steady(["A1", "NEW"], 120), CONTRACT + counts + BOUGHT)
    days = [FIRST + timedelta(days=k) for k in range(0, 110, 10)]
    orders = [(f"P{day}", "V1", "A1", "MAIN", 100, day, day + timedelta(days=7)) for day in days]
    table(folder, "po", "po,supplier,article,shop,pieces,ordered,due", orders)
    came = [(f"R{day}", f"P{day}", "A1", "MAIN", 100, day + timedelta(days=8)) for day in days]
    back = ("back", f"P{days[-1]}", "A1", "MAIN", -20, "2024-04-29")
    table(folder, "came", "slip,po,article,shop,pieces,day", [*came, back])
    table(folder, "stock", COUNT, [(item, "MAIN", "2024-04-28", 60) for item in ("A1", "NEW")])


WORLDS["orders alone say who supplies"] = World(
    only_bought,
    words=("Receipts below zero are goods sent back",),
    values={
        "select item_id, from_id from marts.dim_item_locations order by 1": [
            ("A1", "V1"),
            ("NEW", "implicit supplier"),
        ],
        "select count(*) from decisions.exceptions where kind = 'lead_time_beyond_forecast'": [
            (0,)
        ],
        "select distinct actual_days from marts.fct_lead_times": [(8.0,)],
        "select quantity from marts.fct_open_orders": [(20.0,)],
    },
)


def two_sources(folder: Path) -> None:
    """Each item from two suppliers: 60 % and 40 %, 30 % and the rest, and more than all."""
    terms = BESIDE.replace("key: [article]", "key: [article, supplier]")
    sold(
        folder,
        sales(["A1", "A2", "A3"], 60),
        CONTRACT + terms.replace("unit_cost: cost", "unit_cost: cost, share: share"),
    )
    table(folder, "stock", COUNT, [(i, "MAIN", "2024-02-29", 20) for i in ("A1", "A2", "A3")])
    near, far = ("NEAR", 7, 1, 1, 5), ("FAR", 14, 1, 12, 4)
    shares = {"A1": (0.6, 0.4), "A2": ("", 0.3), "A3": (0.8, 0.6)}
    said = [
        (i, *who, n) for i, two in shares.items() for who, n in zip((near, far), two, strict=True)
    ]
    table(folder, "terms", "article,supplier,lead,moq,multiple,cost,share", said)


WORLDS["two suppliers with shares"] = World(
    two_sources,
    words=("Suppliers share out at most all", "shares_add_up_to=1.4", "from NEAR (share 60 %)"),
    values={
        """select item_id, from_id, round(quantity / sum(quantity) over (partition by item_id), 1),
            date_diff('day', review_period, due_on)
        from decisions.order_lines order by all""": [
            ("A1", "FAR", 0.4, 14),
            ("A1", "NEAR", 0.6, 7),
            ("A2", "FAR", 0.3, 14),
            ("A2", "NEAR", 0.7, 7),
            ("A3", "FAR", 0.4, 14),
            ("A3", "NEAR", 0.6, 7),
        ],
        "select count(*) from decisions.order_lines where from_id = 'FAR' and quantity % 12 > 0": [
            (0,)
        ],
    },
)


def run_world(world: World, folder: Path) -> list[str]:
    """Write a world, run it by the product's command, and say what is not as it has to be."""
    place, home = folder / "world", folder / "home"
    place.mkdir()
    world.write(place)
    command = [str(Path(sys.executable).parent / "stockhouse"), "run", str(place)]
    done = subprocess.run(
        [*command, "--home", str(home)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    found = [f"not said: {words}" for words in world.words if words not in said]
    if done.returncode != world.code or "Traceback" in said:
        found.append(f"exit {done.returncode}: {said}")
    with duckdb.connect(str(home / "derived" / "warehouse.duckdb"), read_only=True) as con:
        values = {query: con.sql(query).fetchall() for query in world.values}
    found += [
        f"{query}: {values[query]}" for query in values if values[query] != world.values[query]
    ]
    if others := {one.name for one in folder.iterdir()} - {"world", "home"}:
        found.append(f"written beside the home: {others}")
    return found
