"""One small company with what companies take for granted: order days, working days and holidays,
foreign currencies, kits, goods made, a successor, a substitute, blocked stock, and customers who
wait; from its files to its
orders and back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_replan_is_the_plan import orders_of

from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.landing import World

FIRST, DAYS = date(2024, 1, 1), 60  # decided on Friday, 2024-03-01
#: what sells how often a day; PLAIN is like TUESDAY but for its supplier
MEANS = {"TUESDAY": 8, "PLAIN": 8, "WAITED": 8, "KIT": 3, "PART": 2, "OLD": 6, "WORKDAYS": 5}
MEANS |= {"TABLE": 4, "SLOW": 2}
FILES: dict[str, tuple[str, list[str]]] = {
    "items": (
        "article,supplier",
        [
            "TUESDAY,TUE",
            "PLAIN,ANY",
            "WAITED,ANY",
            "KIT,ANY",
            "PART,ANY",
            "OLD,ANY",
            "NEW,ANY",
            "WORKDAYS,ANY",
            "TABLE,WORKSHOP",
            "TOP,WORKSHOP",
            "LEG,ANY",
            "SLOW,ANY",
        ],
    ),
    "terms": (
        "article,supplier,lead,workdays,cost,cur",
        [
            "TUESDAY,TUE,3,,4,USD",
            "PLAIN,ANY,3,,4,EUR",
            "WAITED,ANY,3,,4,",
            "PART,ANY,3,,500,JPY",
            "OLD,ANY,3,,4,",
            "NEW,ANY,3,,4,",
            "WORKDAYS,ANY,,10,4,",
            "TABLE,WORKSHOP,4,,30,",
            "TOP,WORKSHOP,2,,9,",
            "LEG,ANY,3,,2,",
            "SLOW,ANY,3,,5,",
        ],
    ),
    "suppliers": ("supplier,days,until,country", ["TUE,tue,18:00,NL", "ANY,,,DE"]),
    "rates": (
        "currency,day,rate",
        ["USD,2024-01-01,0.8", "USD,2024-02-15,0.9", "JPY,2024-01-01,0.006"],
    ),
    "units": ("article,unit,pieces", ["TUESDAY,Pallet,100"]),
    "limits": ("limit,whose,least", ["supplier_minimum_pallets,TUE,2"]),
    "bom": ("kit,part,n", ["KIT,PART,2"]),
    "recipes": (
        "made,part,n,lost",
        ["TABLE,TOP,1,", "TABLE,LEG,4,0.05", "TOP,LEG,0.5,"],
    ),
    "substitutes": ("article,instead", ["TABLE,SLOW"]),
    "succession": ("old,new,on", ["OLD,NEW,2024-02-27"]),
    "stock": (
        "article,lot,status,n",
        [
            "TUESDAY,L1,available,60",
            "PLAIN,L1,available,60",
            "PLAIN,L2,blocked,500",
            "WAITED,L1,,60",
            "PART,L1,ok,50",
            "OLD,L1,,40",
            "NEW,L1,,0",
            "WORKDAYS,L1,,60",
            "TABLE,L1,,10",
            "TOP,L1,,3",
            "SLOW,L1,,500",
        ],
    ),
    "orders": ("order,article,n,due", ["C1,WAITED,90,2024-03-03"]),
    "holidays": ("day,country", ["2024-03-05,nl"]),
}


def _sales() -> Iterable[str]:
    chance = random.Random(5)
    for k in range(DAYS):
        day = FIRST + timedelta(days=k)
        like: dict[str, int] = {}
        for item, mean in MEANS.items():
            sold = max(1, round(chance.gauss(mean, mean / 4)))
            # three articles that sell alike, so that what differs in their orders has another cause
            sold = like.setdefault(str(mean), sold) if mean == 8 else sold
            name = "NEW" if item == "OLD" and k >= DAYS - 3 else item
            yield f"{k}-{name},{day},{name},{sold},9.5"


def everyday(folder: Path) -> Path:
    """The company's folder: its contract and its files."""
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("everyday.yml"), folder / "world.yml")
    files = FILES | {"sales": ("ticket,day,article,pieces,price", list(_sales()))}
    for name, (head, rows) in files.items():
        (folder / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]
) -> tuple[Path, Path]:
    """The folder and the home of one finished run."""
    base = tmp_path_factory.mktemp("everyday")
    folder = everyday(base / "world")
    command("run", folder, "--home", base / "home", "--json")
    return folder, base / "home"


@pytest.fixture(scope="module")
def lines(company: tuple[Path, Path], command: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    with Home(company[1]).connect(read_only=True) as con:
        found = frame(con, "select * from decisions.order_lines")
    return {row["item_id"]: row for row in found.iter_rows(named=True)}


@pytest.mark.line
def test_an_order_that_cannot_leave_today_covers_the_longer_window(
    lines: dict[str, dict[str, Any]],
) -> None:
    late, plain = lines["TUESDAY"], lines["PLAIN"]
    assert plain["due_on"] == date(2024, 3, 4)
    assert late["due_on"] == date(2024, 3, 15)  # Tuesday the 5th is a holiday there
    assert "leaves on Tue 2024-03-12" in late["reason"]
    assert late["quantity"] - plain["quantity"] > 6 * 8
    assert lines["WORKDAYS"]["due_on"] == date(2024, 3, 15)


@pytest.mark.line
def test_a_least_order_in_pallets_is_kept_and_said(lines: dict[str, dict[str, Any]]) -> None:
    assert lines["TUESDAY"]["quantity"] >= 200
    assert "for the supplier's least order" in lines["TUESDAY"]["reason"]


@pytest.mark.line
def test_orders_are_priced_at_the_rates_of_their_currencies(
    lines: dict[str, dict[str, Any]],
) -> None:
    costs = {item: round(lines[item]["unit_cost"], 6) for item in ("TUESDAY", "PLAIN", "PART")}
    assert costs == {"TUESDAY": 3.6, "PLAIN": 4.0, "PART": 3.0}


@pytest.mark.line
def test_kits_sold_are_demand_of_their_parts_and_the_trace_leads_to_them(
    company: tuple[Path, Path], lines: dict[str, dict[str, Any]], command: Callable[..., Any]
) -> None:
    assert "KIT" not in lines
    with Home(company[1]).connect(read_only=True) as con:
        demand = "select avg(quantity) from marts.fct_demand where is_current and item_id = 'PART'"
        assert 7 < con.execute(demand).fetchall()[0][0] < 9
    told = command("trace", lines["PART"]["order_line_id"], "--home", company[1]).stdout
    assert "item_id=KIT" in told


@pytest.mark.line
def test_goods_made_are_demand_of_their_parts_through_parts_of_parts(
    company: tuple[Path, Path], lines: dict[str, dict[str, Any]], command: Callable[..., Any]
) -> None:
    """At four tables a day: neither tops nor legs are sold, and both are ordered and explained."""
    table, top, leg = lines["TABLE"], lines["TOP"], lines["LEG"]
    assert "made of 4.2 × LEG, 1 × TOP, taken when it is begun" in table["reason"]
    assert top["quantity"] >= table["quantity"] - 3
    assert leg["quantity"] > 4.2 * table["quantity"]
    assert "for TABLE" in leg["reason"] and "for TOP" in leg["reason"]
    with Home(company[1]).connect(read_only=True) as con:
        short = con.execute("select item_id, kind from decisions.exceptions").fetchall()
    assert ("TABLE", "parts_short") in short
    assert not {item for item, kind in short if kind == "beyond_a_year"}
    told = command("trace", leg["order_line_id"], "--home", company[1]).stdout
    assert "raw.bills_of_materials" in told and "item_id=TABLE" in told


@pytest.mark.line
def test_what_may_stand_in_is_offered_beside_the_order(
    company: tuple[Path, Path], lines: dict[str, dict[str, Any]]
) -> None:
    with Home(company[1]).connect(read_only=True) as con:
        found = con.execute("""select item_id, from_id, quantity from decisions.alternatives
            where kind = 'substitute'""").fetchall()
    ((item, instead, units),) = found
    assert (item, instead) == ("TABLE", "SLOW") and 0 < units < 500
    assert f"{units:g} of SLOW can be used in its place" in lines["TABLE"]["reason"]


@pytest.mark.line
def test_the_successor_is_ordered_and_uses_up_what_it_replaces(
    lines: dict[str, dict[str, Any]],
) -> None:
    assert "OLD" not in lines
    assert "40 of the stock are of what it replaces" in lines["NEW"]["reason"]


@pytest.mark.line
def test_blocked_stock_does_not_cover_demand_and_customers_who_wait_are_served(
    lines: dict[str, dict[str, Any]],
) -> None:
    assert lines["PLAIN"]["quantity"] > 0  # 500 blocked ones lie there
    assert "Customers wait for 90 already" in lines["WAITED"]["reason"]
    assert lines["WAITED"]["quantity"] > lines["PLAIN"]["quantity"] + 70
    assert "for customers who wait" in lines["WAITED"]["reason"]


@pytest.mark.line
def test_a_replan_of_the_same_facts_is_the_same_plan(company: tuple[Path, Path]) -> None:
    planned, again = orders_of(Home(company[1]), World.load(company[0]))
    assert planned.height >= 6
    assert again.equals(planned)


@pytest.mark.line
def test_a_currency_without_a_rate_stops_the_run_with_a_message(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    folder = everyday(tmp_path / "world")
    (folder / "rates.csv").write_text("currency,day,rate\nUSD,2024-01-01,0.8\n", encoding="utf-8")
    done = command("run", folder, "--home", tmp_path / "home", "--until", "land", code=1)
    assert "currency=JPY" in done.stderr
    assert "Feed exchange_rates" in done.stderr
