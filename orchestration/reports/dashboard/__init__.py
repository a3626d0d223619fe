"""The dashboard: one HTML page from a published snapshot, charts inside, nothing fetched; it opens
from a mail or a memory stick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from models.forecasting.drift import TAIL
from models.labels import in_words
from orchestration.home import files
from orchestration.home.sql import records
from orchestration.reports.dashboard.pictures import Bar, bars, columns, fan, short

Row = dict[str, Any]
#: How many periods of demand stand before a forecast, and how many series and lines are shown.
PAST, SERIES, LINES = 56, 6, 10
#: What nobody knows is drawn so, and never as zero.
UNKNOWN = "–"


@dataclass(frozen=True)
class Panel:
    """One chart of the page: its title, the picture, and how to read it."""

    title: str
    picture: Markup
    reading: str


def write_dashboard(snapshot: Path, target: Path) -> Path:
    """Draw a published snapshot (its DuckDB file) as one page at target, replaced whole; returns
    target."""
    pages = Environment(
        loader=PackageLoader("orchestration.reports.dashboard", "."),
        autoescape=select_autoescape(default=True),
    )
    pages.filters["short"] = short
    with duckdb.connect(str(snapshot), read_only=True) as con:
        # it is drawn on standard output, where --json prints its result alone
        con.execute("set enable_progress_bar = false")
        page = pages.get_template("page.html.j2").render(_content(con))
    files.write(target, page)
    return target


def _content(con: duckdb.DuckDBPyConnection) -> Row:
    about = _rows(
        con,
        "select snapshot.*, world.* from published.snapshot as snapshot, published.world as world",
    )[0]
    money = about["currency"]
    return {
        "about": about,
        "tiles": _tiles(con, money),
        "panels": [_spend(con, money), _policies(con, money), _cover(con), _forecast(con)],
        "series": _series(con),
        "lines": _rows(con, f"{_LINES} limit {LINES}"),
        "line_count": _value(con, "select count(*) from decisions.order_lines"),
        "exceptions": _rows(con, _EXCEPTIONS),
        "money": money,
    }


_LINES = """
select line.*, coalesce(item.name, line.item_id) as item_name
from decisions.order_lines as line
left join marts.dim_items as item on item.item_id = line.item_id and item.is_current
order by line.value desc, line.order_line_id
"""
_EXCEPTIONS = """
select
    kind, severity, count(*) as cases, min(item_id) as item_id,
    min_by(location_id, item_id) as location_id, min_by(reason, item_id) as reason
from decisions.exceptions
group by kind, severity order by severity, cases desc
"""


def _tiles(con: duckdb.DuckDBPyConnection, money: str) -> list[tuple[str, str, str]]:
    """(what, number, small print) of the figures a planner looks at first, each as its metric has
    it; what is unknown is a dash."""
    orders = _rows(
        con,
        """select count(*) filter (kind = 'purchase') as bought,
            count(*) filter (kind = 'transfer') as moved,
        coalesce(sum(value) filter (kind = 'purchase'), 0) as spend from decisions.order_lines""",
    )[0]
    stock = _rows(
        con, "select sum(stock_value) as value, count(*) as places from metrics.kpi_working_capital"
    )[0]
    shelves = _rows(
        con,
        """select median(cover_days) as cover, count(*) filter (on_hand <= 0) as empty,
            count(*) as counted
        from metrics.kpi_cover_days""",
    )[0]
    exceptions = _value(con, "select count(*) from decisions.exceptions")
    never, empty = "no stock was ever counted", shelves["empty"] / max(shelves["counted"], 1)
    return [
        ("to buy", f"{short(orders['spend'])} {money}", f"{orders['bought']:,} purchase lines"),
        ("to move", f"{orders['moved']:,}", "transfer lines"),
        (
            (
                "stock",
                f"{short(stock['value'])} {money}",
                f"{stock['places']:,} item-locations, at cost",
            )
            if stock["places"]
            else ("stock", UNKNOWN, never)
        ),
        (
            ("cover", f"{shelves['cover']:,.0f} days", "median, at the issues of the last 28 days")
            if shelves["cover"] is not None
            else (
                "cover",
                UNKNOWN,
                "nothing left in the last 28 days" if shelves["counted"] else never,
            )
        ),
        (
            (
                "empty shelves",
                f"{empty:.1%}",
                f"{shelves['empty']:,} of {shelves['counted']:,} item-locations",
            )
            if shelves["counted"]
            else ("empty shelves", UNKNOWN, never)
        ),
        ("exceptions", f"{exceptions:,}", "need a person"),
    ]


def _spend(con: duckdb.DuckDBPyConnection, money: str) -> Panel:
    rows = _rows(
        con,
        """select coalesce(any_value(supplier.name), line.from_id) as name,
            sum(line.value) as value, count(*) as lines
        from decisions.order_lines as line left join marts.dim_suppliers as supplier
          on supplier.supplier_id = line.from_id and supplier.is_current
        where line.kind = 'purchase' group by line.from_id order by value desc limit 12""",
    )
    spend = [
        Bar(
            row["name"],
            [("s1", row["value"])],
            f"{short(row['value'])} {money} · {row['lines']} lines",
        )
        for row in rows
    ]
    return Panel(
        "What to buy, by supplier", bars(spend), f"Value of the proposed purchase lines, {money}."
    )


def _policies(con: duckdb.DuckDBPyConnection, money: str) -> Panel:
    rows = _rows(
        con, "select * from decisions.champions where total_cost is not null order by total_cost"
    )
    policies = []
    for row in rows:
        name = ("★ " if row["is_champion"] else "") + in_words(row["policy"])
        name += " (in shadow)" if row["is_in_shadow"] else ""
        hint = (
            f"{in_words(row['policy'])}: holding {row['holding_cost']:,.0f} + shortage "
            f"{row['shortage_cost']:,.0f} {money}"
        )
        spoiled = row["total_cost"] - row["holding_cost"] - row["shortage_cost"]
        if spoiled >= 1:
            hint += f" + spoiled {spoiled:,.0f} {money}"
        if row["lower"] is not None:
            hint += (
                f"; difference to the champion per period {row['mean_difference']:,.1f} "
                f"({row['lower']:,.1f} to {row['upper']:,.1f})"
            )
        policies.append(
            Bar(
                name,
                [("s1", row["holding_cost"]), ("s2", row["shortage_cost"])],
                f"{short(row['total_cost'])} {money}",
                hint,
            )
        )
    key = Markup('<span class="key s1"></span>holding <span class="key s2"></span>shortage. ')
    return Panel(
        "What each policy would have cost",
        bars(policies),
        key + "Replayed on the same past demand; ★ decides the orders.",
    )


def _cover(con: duckdb.DuckDBPyConnection) -> Panel:
    title = "How long the stock lasts"
    edges = [
        ("< 1", 7.0),
        ("1–2", 14.0),
        ("2–4", 28.0),
        ("4–8", 56.0),
        ("8–26", 182.0),
        ("> 26", float("inf")),
    ]
    counted = _rows(con, "select on_hand, cover_days from metrics.kpi_cover_days")
    if not counted:
        return Panel(title, Markup(""), "Unknown: no stock was counted.")
    there = [row["cover_days"] for row in counted if row["on_hand"] > 0]
    covers = [days for days in there if days is not None]
    rows, below = [("out", len(counted) - len(there), "bad")], 0.0
    for label, edge in edges:
        kind = "warn" if edge <= 7 or below >= 182 else "s1"
        rows.append((label, sum(below < days <= edge for days in covers), kind))
        below = edge
    rows.append(("no issues", len(there) - len(covers), "soft"))
    return Panel(
        title,
        columns(rows),
        (
            "Counted item-locations by weeks of cover; red are the empty shelves, amber is short "
            "or slow, grey had no issues in the last 28 days."
        ),
    )


def _forecast(con: duckdb.DuckDBPyConnection) -> Panel:
    title = "How good the forecast is"
    # nothing sold in the rehearsal leaves no error to show
    scores = "select method, wape from decisions.forecast_scores where isfinite(wape)"
    steps = _rows(con, f"{scores} order by stair")
    if not steps:
        return Panel(title, Markup(""), "Unknown: no forecast has been rehearsed yet.")
    stairs = [
        Bar(
            in_words(step["method"]),
            [("s1", step["wape"])],
            f"{step['wape']:.1%}{_beside(step['wape'], steps[0]['wape'])}",
        )
        for step in steps
    ]
    return Panel(
        title,
        bars(stairs),
        "Error of single items and periods in rehearsal, as a share of what was sold, and beside "
        f"the simplest method's; the last one decides.{_held(con)}",
    )


def _beside(error: float, simplest: float) -> str:
    gain = 1 - error / simplest if simplest else 0.0
    return f" · {abs(gain):.0%} {'less' if gain > 0 else 'more'}" if gain else ""


def _held(con: duckdb.DuckDBPyConnection) -> str:
    """How the model in service kept to its upper quantile, when it was tried and since."""
    found = _rows(con, "select * from decisions.models order by as_of desc, model limit 1")
    if not found:
        return ""
    tries = (
        (found[0]["unseen_under_tail"], "periods it had not seen"),
        (found[0]["served_under_tail"], f"the {found[0]['served_periods']:,} it served since"),
    )
    said = [f"{share:.1%} in {where}" for share, where in tries if share is not None]
    return (
        f" Demand stayed under its upper quantile, which {TAIL:.1%} should: {', '.join(said)}."
        if said
        else ""
    )


def _series(con: duckdb.DuckDBPyConnection) -> list[Panel]:
    """Forecast against demand for the series with the most revenue."""
    largest = _rows(
        con,
        f"""select item_id, location_id, coalesce(any_value(item.name), item_id) as name from (
            select distinct item_id, location_id from decisions.forecasts
        ) join marts.fct_demand as demand using (item_id, location_id)
        left join marts.dim_items as item using (item_id)
        where demand.is_current and coalesce(item.is_current, true)
        group by item_id, location_id order by sum(demand.revenue) desc nulls last, item_id,
            location_id limit {SERIES}""",
    )
    panels = []
    for key in largest:
        given = {"item": key["item_id"], "place": key["location_id"]}
        past = con.execute(
            f"""select period_start, quantity from marts.fct_demand
            where item_id = $item and location_id = $place and is_current
                order by 1 desc limit {PAST}""",
            given,
        ).fetchall()[::-1]
        ahead = con.execute(
            """select quantile, list((period_start, value) order by period_start)
                from decisions.forecasts
            where item_id = $item and location_id = $place group by quantile""",
            given,
        ).fetchall()
        by_level = dict(ahead)
        levels = sorted(level for level in by_level if level is not None)
        pairs = [
            (low, high)
            for low, high in zip(levels, reversed(levels), strict=True)
            if low < high and 0.02 <= low <= 0.25
        ]
        wide_and_narrow = [pairs[0], pairs[-1]] if len(pairs) > 1 else pairs
        bands = [
            (f"band{i}", by_level[low], by_level[high])
            for i, (low, high) in enumerate(wide_and_narrow)
        ]
        panels.append(
            Panel(
                f"{key['name']} at {key['location_id']}",
                fan(past, bands, by_level.get(None) or by_level.get(0.5) or []),
                "",
            )
        )
    return panels


def _rows(con: duckdb.DuckDBPyConnection, query: str, given: Any = None) -> list[Row]:
    return records(con, query, given)


def _value(con: duckdb.DuckDBPyConnection, query: str, given: Any = None) -> Any:
    return next((value for row in records(con, query, given) for value in row.values()), None)
