"""Small companies that are odd and legal, written as files: what a run of each has to come to."""

from __future__ import annotations

import csv
import io
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

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


def sold(folder: Path, rows: Rows, contract: str = CONTRACT) -> None:
    """A world of sales alone."""
    (folder / "world.yml").write_text(contract, encoding="utf-8")
    table(folder, "sales", "ticket,day,article,shop,pieces", rows)


def odd_items(folder: Path) -> None:
    """One company with an oddity an item."""
    alike = sales((i for i in ODD_TERMS if i != "never sold"), 60)
    sold(folder, [*alike, ("typed", "2024-02-10", "sold once", "MAIN", 10**13)], CONTRACT + BESIDE)
    odd = {"a heap": 10**15, "a debt": -(10**15)}
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


ASIDE = (
    "select column_name, rule, count(*) from raw.quarantine where table_name <> 'sales' "
    "group by all order by all"
)
HELD = """
    select item_id, kind from decisions.exceptions where item_id in ('a trillion each',
        'a trillion at once', 'sold once', 'a heap', 'a debt') or kind = 'terms_set_aside'
    order by all"""
ORDERED = "select count(*) from decisions.order_lines where item_id in ('never sold')"
WORLDS = {
    "a day of sales": World(
        lambda folder: sold(folder, sales(["A1"], 1)),
        1,
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
