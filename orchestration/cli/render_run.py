"""What a person sees of a run: its orders and why, its limits, champions and warnings."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from models.domain import need_id
from orchestration.cli.render import count_of
from orchestration.facts import decisions
from orchestration.facts.kept_agents import AGENT, kept_agent
from orchestration.home import Home

#: How many of the gates' warnings a run prints.
WARNINGS_SHOWN = 12
ORDERS_SHOWN = 12
WAYS_SHOWN = 5
#: From so many columns on there is room for the reasons inside the table of orders.
WIDE = 150


def run_result(home: Home, report: dict[str, Any], until: str) -> Group:
    """The result of a run: its orders beside what the legacy rules would have ordered, and what
    each rule would have cost."""
    parts: list[Any] = []
    if until in ("replenish", "publish"):
        lines, champions = (
            decisions.latest(home.decisions, "order_lines"),
            decisions.latest(home.decisions, "champions"),
        )
        if lines is not None and not lines.is_empty():
            parts.append(OrderTable(lines, *_names_and_currency(home)))
        if champions is not None:
            parts.append(champion_table(champions))
            if told := _agent_left_out(home, champions):
                parts.append(Text(told))
        limits = decisions.latest(home.decisions, "limits")
        if limits is not None and (limits["shadow_price"] > 0).any():
            parts.append(limit_table(limits.filter(pl.col("shadow_price") > 0)))
        ways = decisions.latest(home.decisions, "alternatives")
        if (
            lines is not None
            and not lines.is_empty()
            and ways is not None
            and ways.filter(run_id=lines["run_id"][0], is_cheapest=True)["rank"].max()
        ):
            parts.append(way_table(ways))
    parts += [warnings(report["warnings"]), Text(_summary(report))]
    if until in ("replenish", "publish") and (told := _for_a_person(home)):
        parts.append(Text(told))
    if until == "publish":
        parts.append(Text(_next_steps(home)))
    return Group(*parts)


def warnings(said: Sequence[str]) -> Group:
    """What the gates and the door say of the facts, whether the line went on or not."""
    shown = [Text(f"warning {one}", style="yellow") for one in said[:WARNINGS_SHOWN]]
    if len(said) > WARNINGS_SHOWN:
        more = f"and {len(said) - WARNINGS_SHOWN} more warnings, see `run --json`"
        shown.append(Text(f"{more} or state/gate_results"))
    return Group(*shown)


def _for_a_person(home: Home) -> str:
    """How many exceptions of each kind the plan leaves to people, and where they stand; empty where
    there are none."""
    found = decisions.latest(home.decisions, "exceptions")
    if found is None or found.is_empty():
        return ""
    kinds = found.group_by("kind").len().sort("len", "kind", descending=[True, False])
    told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.iter_rows())
    cases = count_of(len(found), "exception")
    return f"{cases} for a person: {told}; see `stockhouse orders --exceptions`."


def _names_and_currency(home: Home) -> tuple[dict[str, str], str]:
    with home.connect(read_only=True) as con:
        names = con.execute(
            "select item_id, name from marts.dim_items where is_current and name is not null"
        ).fetchall()
        world = con.execute("select currency from raw.world").fetchone()
    return dict(names), str(world[0]) if world and world[0] else ""


class OrderTable:
    """The largest order lines by value, with the legacy quantities beside; names and reasons stand
    in the table or, where that is too narrow, below. Each line's id is what `trace` and `approve`
    take.
    """

    def __init__(self, lines: pl.DataFrame, names: dict[str, str], currency: str) -> None:
        self.shown = lines.sort("value", descending=True).head(ORDERS_SHOWN)
        self.title = f"Proposed orders: {count_of(len(lines), 'line')}"
        if len(lines) > len(self.shown):
            self.title += f", the {len(self.shown)} largest by value"
        self.names, self.currency = names, currency

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_wide = options.max_width >= WIDE
        table = Table(title=self.title, padding=(0, 1) if is_wide else 0)
        for name in ("id", "item", "to", "from"):
            table.add_column(name, overflow="fold")
        for name in (
            "quantity",
            "EOQ + ROP" if is_wide else "EOQ",
            "min-max",
            f"value {self.currency}",
        ):
            table.add_column(name, justify="right")
        table.add_column("due", no_wrap=True)
        if is_wide:
            table.add_column("why", overflow="fold", ratio=1)
        for row in self.shown.iter_rows(named=True):
            named = f"{row['item_id']} {self.names.get(row['item_id'], '')}".strip()
            cells = [
                need_id(row["intent_key"]),
                named if is_wide else row["item_id"],
                row["location_id"],
                row["from_id"],
                f"{row['quantity']:,.0f}",
                f"{row['eoq_quantity']:,.0f}",
                f"{row['min_max_quantity']:,.0f}",
                f"{row['value']:,.2f}",
                str(row["due_on"]),
            ]
            table.add_row(*cells, *([row["reason"]] if is_wide else []))
        yield table
        if not is_wide:
            for row in self.shown.iter_rows(named=True):
                item = (
                    f"{need_id(row['intent_key'])} "
                    f"{self.names.get(row['item_id'], row['item_id'])}: "
                )
                yield Text.assemble((item, "bold"), row["reason"])


def champion_table(champions: pl.DataFrame) -> Table:
    """What each policy would have cost over the replayed weeks, and how sure the difference is."""
    known = f"as known on {champions['as_of'][0]:%Y-%m-%d}"
    title = f"Rehearsed in the twin, {known}: cost over the replayed weeks"
    table = Table(title=title, padding=0)
    table.add_column("policy", no_wrap=True)
    for name in ("holding", "shortage", "total", "to champion", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in champions.filter(pl.col("total_cost").is_null()).iter_rows(named=True):
        table.add_row(row["policy"] + " ★", *["not rehearsed"] * 3)
    for row in champions.drop_nulls("total_cost").sort("total_cost").iter_rows(named=True):
        is_in_shadow = row.get("is_in_shadow")  # runs of older versions do not say
        mark = " ★" if row["is_champion"] else " (in shadow)" if is_in_shadow else ""
        difference = "" if row["is_champion"] else f"{row['mean_difference']:+,.0f}"
        interval = "" if row["is_champion"] else f"{row['lower']:+,.0f} … {row['upper']:+,.0f}"
        table.add_row(
            row["policy"] + mark,
            f"{row['holding_cost']:,.0f}",
            f"{row['shortage_cost']:,.0f}",
            f"{row['total_cost']:,.0f}",
            difference,
            interval,
        )
    return table


def _agent_left_out(home: Home, champions: pl.DataFrame) -> str:
    """Why the agent that is kept was not rehearsed; empty where it was, or none is kept."""
    kept = kept_agent(home)
    if kept is None or AGENT in champions["policy"]:
        return ""
    return (
        f"The agent is not among them: it learned from days before {kept.knows_until}, and is "
        "rehearsed once all replayed weeks came after them."
    )


def limit_table(limits: pl.DataFrame) -> Table:
    """The limits that cut orders, and what one more unit of each would save."""
    table = Table(title="Limits that cut orders", padding=0)
    table.add_column("limit", no_wrap=True)
    for name in ("wanted", "at most", "one more saves"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in limits.sort("shadow_price", descending=True).iter_rows(named=True):
        table.add_row(
            row["name"],
            f"{row['wanted']:,.0f}",
            f"{row['at_most']:,.0f}",
            f"{row['shadow_price']:,.2f}" if row["shadow_price"] >= 0.005 else "< 0.01",
        )
    return table


def way_table(ways: pl.DataFrame) -> Table:
    """The other ways that would save most against the normal order; nothing is ordered by them
    unless a person does."""
    series = ("item_id", "location_id")
    normal = ways.filter(pl.col("rank") == 0).select(*series, normal_cost="total_cost")
    cheaper = ways.filter(pl.col("is_cheapest") & (pl.col("rank") > 0)).join(normal, on=series)
    cheaper = cheaper.with_columns(saves=pl.col("normal_cost") - pl.col("total_cost")).sort(
        -pl.col("saves"), *series
    )
    table = Table(
        title=(
            f"Other ways that would cost less: {len(cheaper)}, the {min(len(cheaper), WAYS_SHOWN)} "
            "that save most"
        ),
        padding=0,
    )
    for name in ("item", "to", "way"):
        table.add_column(name)
    for name in ("quantity", "arrives", "buying", "saves in all"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in cheaper.head(WAYS_SHOWN).iter_rows(named=True):
        table.add_row(
            row["item_id"],
            row["location_id"],
            row["way"],
            f"{row['quantity']:,.0f}",
            str(row["arrives_on"]),
            _more_or_less(row["extra_purchase_cost"]),
            f"{row['saves']:,.2f}",
        )
    return table


def _more_or_less(money: float) -> str:
    """A difference in what goods cost, in words rather than by a sign."""
    said = f"{abs(money):,.2f}"
    return (
        said if float(said.replace(",", "")) == 0 else f"{said} {'more' if money > 0 else 'less'}"
    )


def _summary(report: dict[str, Any]) -> str:
    stations = " · ".join(f"{name} {seconds:.1f} s" for name, seconds in report["stations"].items())
    money = f" {report['currency']}" if report["currency"] else ""
    moved = report["order_value"] - report["purchase_value"]
    anew = f"{', '.join(report['read_anew'])} read anew, as the contract reads it now; "
    parts = f" ({moved:,.2f} of it moved between places)" if moved >= 0.005 else ""
    return (
        f"\n{count_of(report['new_deliveries'], 'new file')}, "
        f"{count_of(report['new_rows'], 'new row')}, "
        f"{report['quarantined_rows']:,} put in quarantine; {anew if report['read_anew'] else ''}"
        f"{count_of(report['order_lines'], 'order line')} worth {report['order_value']:,.2f}{money}"
        f"{parts}, "
        f"{report['new_orders']:,} of them new."
        f"\n{stations}"
    )


def _next_steps(home: Home) -> str:
    """What to type next, as it works in this terminal: with the tools' folder where it is not on
    the path."""
    beside = Path(sys.executable).parent
    tools = "" if shutil.which("stockhouse") == str(beside / "stockhouse") else f"{beside}/"
    return (
        "\nWhere to look next\n"
        f"  Orders: {tools}stockhouse orders --home {home.root}\n"
        f"  BI:     {home.published}/current/stockhouse.duckdb    (any DuckDB client, read-only, "
        "also while a run is writing)\n"
        f"  Page:   {home.published}/dashboard.html\n"
        f"  Graph:  DAGSTER_HOME={home.dagster} {tools}dagster dev -m orchestration.definitions\n"
        f"  More:   {tools}stockhouse --help\n"
    )
