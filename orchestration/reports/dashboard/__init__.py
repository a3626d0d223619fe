"""The dashboard: one HTML page from a published snapshot, charts inside, nothing fetched; it opens from a mail or a memory stick."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from orchestration.reports.dashboard.pictures import Bar, bars, columns, fan, short

Row = dict[str, Any]
#: How many periods of demand stand before a forecast, and how many series and lines are shown.
PAST, SERIES, LINES = 56, 6, 10


@dataclass(frozen=True)
class Panel:
    """One chart of the page: its title, the picture, and how to read it."""

    title: str
    picture: Markup
    reading: str


def write_dashboard(snapshot: Path, target: Path) -> Path:
    """Draw a published snapshot (its DuckDB file) as one page at target, replaced whole; returns target."""
    pages = Environment(loader=PackageLoader("orchestration.reports.dashboard", "."), autoescape=select_autoescape(default=True))
    pages.filters["short"] = short
    with duckdb.connect(str(snapshot), read_only=True) as con:
        con.execute("set enable_progress_bar = false")  # it is drawn on standard output, where --json prints its result alone
        page = pages.get_template("page.html.j2").render(_content(con))
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(".aside")
    aside.write_text(page, encoding="utf-8")
    os.replace(aside, target)
    return target


def _content(con: duckdb.DuckDBPyConnection) -> Row:
    about = _rows(con, "select snapshot.*, world.* from published.snapshot as snapshot, published.world as world")[0]
    run = {"run": _value(con, "select max_by(run_id, as_of) from decisions.order_lines") or about["run_id"]}
    if _value(con, "select count(*) from decisions.order_lines where run_id = ?", [about["run_id"]]):
        run = {"run": about["run_id"]}
    money = about["currency"]
    return {
        "about": about,
        "tiles": _tiles(con, run, money),
        "panels": [_spend(con, run, money), _policies(con, run, money), _cover(con)],
        "series": _series(con, run),
        "lines": _rows(con, f"{_LINES} limit {LINES}", run),
        "line_count": _value(con, "select count(*) from decisions.order_lines where run_id = $run", run),
        "exceptions": _rows(con, _EXCEPTIONS, run),
        "money": money,
    }


_LINES = """
select line.*, coalesce(item.name, line.item_id) as item_name
from decisions.order_lines as line
left join marts.dim_items as item on item.item_id = line.item_id and item.is_current
where line.run_id = $run order by line.value desc, line.order_line_id
"""
_EXCEPTIONS = """
select
    kind, severity, count(*) as cases, min(item_id) as item_id,
    min_by(location_id, item_id) as location_id, min_by(reason, item_id) as reason
from decisions.exceptions where run_id = $run
group by kind, severity order by severity, cases desc
"""
_COVER = """
with speed as (
    select item_id, location_id, sum(quantity) / (date_diff('day', min(period_start), max(period_start)) + 1) as per_day
    from marts.fct_demand where is_current and period_start > (select max(period_start) from marts.fct_demand) - 91
    group by all
)
select stock.item_id, stock.location_id, stock.on_hand, stock.on_hand / nullif(speed.per_day, 0) as cover_days
from marts.fct_stock_positions as stock join speed using (item_id, location_id)
"""


def _tiles(con: duckdb.DuckDBPyConnection, run: Row, money: str) -> list[tuple[str, str, str]]:
    """(what, number, small print) of the figures a planner looks at first."""
    orders = _rows(
        con,
        """select count(*) filter (kind = 'purchase') as bought, count(*) filter (kind = 'transfer') as moved,
        coalesce(sum(value) filter (kind = 'purchase'), 0) as spend from decisions.order_lines where run_id = $run""",
        run,
    )[0]
    stock = _rows(
        con,
        """select sum(stock.on_hand * item.unit_cost) as value, count(*) filter (stock.on_hand <= 0) as empty, count(*) as places
        from marts.fct_stock_positions as stock join marts.dim_item_locations as item using (item_id, location_id)""",
    )[0]
    cover = _value(con, f"select median(cover_days) from ({_COVER})")
    exceptions = _value(con, "select count(*) from decisions.exceptions where run_id = $run", run)
    return [
        ("to buy", f"{short(orders['spend'])} {money}", f"{orders['bought']:,} purchase lines"),
        ("to move", f"{orders['moved']:,}", "transfer lines"),
        ("stock", f"{short(stock['value'] or 0)} {money}", f"{stock['places']:,} item-locations, at cost"),
        ("cover", "–" if cover is None else f"{cover:,.0f} days", "median, at the demand of the last 13 weeks"),
        ("empty shelves", f"{stock['empty'] / max(stock['places'], 1):.1%}", f"{stock['empty']:,} item-locations"),
        ("exceptions", f"{exceptions:,}", "need a person"),
    ]


def _spend(con: duckdb.DuckDBPyConnection, run: Row, money: str) -> Panel:
    rows = _rows(
        con,
        """select coalesce(any_value(supplier.name), line.from_id) as name, sum(line.value) as value, count(*) as lines
        from decisions.order_lines as line left join marts.dim_suppliers as supplier
          on supplier.supplier_id = line.from_id and supplier.is_current
        where line.run_id = $run and line.kind = 'purchase' group by line.from_id order by value desc limit 12""",
        run,
    )
    found = [Bar(row["name"], [("s1", row["value"])], f"{short(row['value'])} {money} · {row['lines']} lines") for row in rows]
    return Panel("What to buy, by supplier", bars(found), f"Value of the proposed purchase lines, {money}.")


def _policies(con: duckdb.DuckDBPyConnection, run: Row, money: str) -> Panel:
    rows = _rows(
        con,
        """select * from decisions.champions where run_id = (
            select max_by(run_id, as_of) from decisions.champions
            where as_of <= (select max(as_of) from decisions.order_lines where run_id = $run))
        order by total_cost""",
        run,
    )
    found = []
    for row in rows:
        name = row["policy"].replace("_", " ") + (" ★" if row["is_champion"] else "")
        hint = f"{row['policy']}: holding {row['holding_cost']:,.0f} + shortage {row['shortage_cost']:,.0f} {money}"
        if row["lower"] is not None:
            hint += f"; difference to the champion per period {row['mean_difference']:,.1f} ({row['lower']:,.1f} to {row['upper']:,.1f})"
        found.append(Bar(name, [("s1", row["holding_cost"]), ("s2", row["shortage_cost"])], f"{short(row['total_cost'])} {money}", hint))
    key = Markup('<span class="key s1"></span>holding <span class="key s2"></span>shortage. ')
    return Panel("What each policy would have cost", bars(found), key + "Replayed on the same past demand; ★ decides the orders.")


def _cover(con: duckdb.DuckDBPyConnection) -> Panel:
    edges = [("out", 0.0), ("< 1 week", 7.0), ("1–2", 14.0), ("2–4", 28.0), ("4–8", 56.0), ("8–26", 182.0), ("> 26 weeks", float("inf"))]
    covers = [row["cover_days"] for row in _rows(con, _COVER) if row["cover_days"] is not None]
    rows, below = [], float("-inf")
    for label, edge in edges:
        kind = "bad" if edge <= 0 else "warn" if edge <= 7 or below >= 182 else "s1"
        rows.append((label, sum(below < days <= edge for days in covers), kind))
        below = edge
    return Panel(
        "How long the stock lasts",
        columns(rows),
        "Item-locations with demand, by weeks of cover; red is out of stock, amber is short or slow.",
    )


def _series(con: duckdb.DuckDBPyConnection, run: Row) -> list[Panel]:
    """Forecast against demand for the series with the most revenue."""
    largest = _rows(
        con,
        f"""select item_id, location_id, coalesce(any_value(item.name), item_id) as name from (
            select distinct item_id, location_id from decisions.forecasts where run_id = $run
        ) join marts.fct_demand as demand using (item_id, location_id)
        left join marts.dim_items as item using (item_id)
        where demand.is_current and coalesce(item.is_current, true)
        group by item_id, location_id order by sum(demand.revenue) desc nulls last, item_id, location_id limit {SERIES}""",
        run,
    )
    panels = []
    for key in largest:
        given = {"item": key["item_id"], "place": key["location_id"]}
        past = con.execute(
            f"""select period_start, quantity from marts.fct_demand
            where item_id = $item and location_id = $place and is_current order by 1 desc limit {PAST}""",
            given,
        ).fetchall()[::-1]
        ahead = con.execute(
            """select quantile, list((period_start, value) order by period_start) from decisions.forecasts
            where run_id = $run and item_id = $item and location_id = $place group by quantile""",
            given | run,
        ).fetchall()
        by_level = dict(ahead)
        levels = sorted(level for level in by_level if level is not None)
        pairs = [(low, high) for low, high in zip(levels, reversed(levels), strict=True) if low < high and 0.02 <= low <= 0.25]
        wide_and_narrow = [pairs[0], pairs[-1]] if len(pairs) > 1 else pairs
        bands = [(f"band{i}", by_level[low], by_level[high]) for i, (low, high) in enumerate(wide_and_narrow)]
        panels.append(Panel(f"{key['name']} at {key['location_id']}", fan(past, bands, by_level.get(None) or by_level.get(0.5) or []), ""))
    return panels


def _rows(con: duckdb.DuckDBPyConnection, query: str, given: Any = None) -> list[Row]:
    cursor = con.execute(query, given) if given is not None else con.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _value(con: duckdb.DuckDBPyConnection, query: str, given: Any = None) -> Any:
    row = (con.execute(query, given) if given is not None else con.execute(query)).fetchone()
    return row[0] if row else None
