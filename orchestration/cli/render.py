"""What a person sees in the terminal: progress while the line runs, and tables of what came of
it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from models.domain import need_id
from orchestration.facts import decisions
from orchestration.home import Home

#: How many of the gates' warnings a run prints.
WARNINGS_SHOWN = 12
ORDERS_SHOWN = 12
WAYS_SHOWN = 5
#: From so many columns on there is room for the reasons inside the table of orders.
WIDE = 150

STEPS = {
    "land": "landing extracts",
    "land__gate": "checking what came in",
    "transform": "building the source of truth (dbt)",
    "features__serve": "serving features (Feast)",
    "features__watch": "comparing features with what was learnt",
    "forecast": "forecasting demand",
    "rehearse": "rehearsing policies in the twin",
    "replenish": "writing order lines",
    "replenish__gate": "checking what goes out",
    "replenish__propose": "proposing requisitions",
    "publish__metrics": "computing metrics (dbt)",
    "publish": "publishing the snapshot",
    "publish__dry_run": "writing the orders as a dry run",
    "procure__poll": "hearing suppliers",
    "procure__match": "matching goods and bills",
    "procure__send": "sending orders",
}


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str, str], None]]:
    """A live line a step: what is being done, and for how long."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def on_step(step: str, what: str) -> None:
            if what == "start":
                tasks[step] = bar.add_task(STEPS.get(step, step), total=1)
            elif step in tasks:
                if what == "failure":
                    bar.update(tasks[step], description=f"[red]{STEPS.get(step, step)} failed[/]")
                bar.update(tasks[step], completed=1)

        yield on_step


@contextmanager
def status(console: Console) -> Iterator[Callable[[str], None]]:
    """One live line that says what is being done."""
    with console.status("starting") as line:
        yield line.update


def front(found: dict[str, Any]) -> Table:
    """What service costs on a network, from the cheapest to the best served."""
    table = Table(title=f"{found['problem']}: cost and service, a period", padding=0)
    for name in ("missing unit costs", "holding", "ordering", "fill rate", "bullwhip"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["rows"]:
        bullwhip = "–" if row["bullwhip"] is None else f"{row['bullwhip']:.2f}"
        table.add_row(
            f"{row['price']:g} times",
            f"{row['holding']:,.2f}",
            f"{row['ordering']:,.2f}",
            f"{row['fill_rate']:.2%}",
            bullwhip,
        )
    return table


def agent_card(card: dict[str, Any]) -> Text:
    """What a company's agent came to, in a few lines."""
    saves = 1 - card["cost"] / card["structured_cost"] if card["structured_cost"] else 0.0
    ended = "; ".join(f"seed {run['seed']} {run['ended']}" for run in card["runs"])
    return Text(
        f"Agent of {card['world']}, on what was known by {card['trained_until']}: its structured "
        f"part orders up to the mean + {card['buffer']:.2f} of the buffer to the critical fractile,"
        f" at most {card['cap']:.2f} review intervals' fractile at once.\n"
        f"On futures kept aside it costs {card['cost']:,.2f}, its structured part alone "
        f"{card['structured_cost']:,.2f}, that before learning {card['start_cost']:,.2f}: the net "
        f"saves {saves:.2%}.\n{ended}. {card['seconds']:.0f} CPU s.\n"
        "The next rehearsal judges it beside the other policies; "
        f"`stockhouse replay --start {card['trained_until']} --policies agent,…` does now."
    )


@contextmanager
def said(console: Console) -> Iterator[Callable[[str], None]]:
    """As `status`, and a line each where nobody watches, so that a log shows how far it is."""
    if console.is_terminal:
        with status(console) as tell:
            yield tell
    else:
        yield lambda words: console.print(words, markup=False, highlight=False, soft_wrap=True)


def gap_table(found: dict[str, Any]) -> Group:
    """How far from the reference each policy is, by problem, and by kind of problem in short."""
    table = Table(title="Cost a period against the reference, 95 % interval", padding=0)
    for name in ("problem", "policy"):
        table.add_column(name, no_wrap=True)
    for name in ("cost", "reference", "gap", "interval", "CPU s", "seed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["rows"]:
        lower, upper = row["interval"]
        table.add_row(
            row["problem"],
            row["policy"],
            f"{row['cost']:,.3f}",
            f"{row['reference']:,.3f}",
            f"{row['gap']:+.2%}",
            f"{lower:+.2%} … {upper:+.2%}",
            f"{row['seconds']:.0f}",
            str(row["seed"]),
        )
    parts: list[RenderableType] = [table]
    for one in found.get("summary", []):
        parts.append(
            Text(
                f"{one['problems']}, {one['cases']} cases, {one['policy']}: mean gap "
                f"{one['mean_gap']:+.2%}, worst {one['worst_gap']:+.2%}, {one['seconds']:.0f} CPU s"
            )
        )
    ended = [run for run in found.get("runs", []) if run["ended"].startswith("stopped")]
    parts += [Text(f"seed {run['seed']} {run['ended']}; the last good one counts") for run in ended]
    parts.append(Text(f"Made by code {found['code']}."))
    if not found.get("is_current", True):
        parts.append(Text("The code has changed since: `stockhouse learn --report --retrain`."))
    return Group(*parts)


def scorecard(card: dict[str, Any]) -> Table:
    """What each policy cost in a replay, cheapest first."""
    table = Table(title="Replay")
    table.add_column("policy")
    for name in (
        "holding",
        "shortage",
        "total",
        "with freight",
        "end stock",
        "on the way",
        "fill rate",
        "against the incumbent",
    ):
        table.add_column(name, justify="right")
    for name, policy in sorted(card["policies"].items(), key=lambda pair: pair[1]["total_cost"]):
        rival = policy.get("difference")
        table.add_row(
            name + (" ★" if name == card["champion"] else ""),
            f"{policy['holding_cost']:,.1f}",
            f"{policy['shortage_cost']:,.1f}",
            f"{policy['total_cost']:,.1f}",
            f"{policy['total_with_freight']:,.1f}",
            f"{policy['end_stock_value']:,.0f}",
            f"{policy['pipeline_value']:,.0f}",
            f"{policy['fill_rate']:.1%}",
            f"{rival['mean']:+,.0f} ({rival['lower']:+,.0f} … {rival['upper']:+,.0f})"
            if rival
            else "",
        )
    verdicts = [
        (
            f"forecasts by {name} cost {one['mean']:+,.0f} ({one['lower']:+,.0f} … "
            f"{one['upper']:+,.0f}) against XGBoost's: "
        )
        + ("cheaper beyond chance" if one["is_cheaper"] else "not promoted")
        for name, one in card["challengers"].items()
    ]
    table.caption = "\n".join(verdicts) or None
    return table


def run_result(home: Home, report: dict[str, Any], until: str) -> Group:
    """The result of a run: its orders beside what the legacy rules would have ordered, and what
    each rule would have cost."""
    parts: list[Any] = []
    if until in ("replenish", "publish"):
        lines, champions = (
            decisions.latest(home.decisions, "order_lines"),
            decisions.latest(home.decisions, "champions"),
        )
        if lines is not None:
            parts.append(OrderTable(lines, *_names_and_currency(home)))
        if champions is not None:
            parts.append(champion_table(champions))
        limits = decisions.latest(home.decisions, "limits")
        if limits is not None and (limits["shadow_price"] > 0).any():
            parts.append(limit_table(limits.filter(pl.col("shadow_price") > 0)))
        ways = decisions.latest(home.decisions, "alternatives")
        if (
            lines is not None
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
    return f"{len(found):,} exceptions for a person: {told}; see `stockhouse orders --exceptions`."


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
        self.title = f"Proposed orders: {len(lines)} lines, the {len(self.shown)} largest by value"
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


def listing(frame: pl.DataFrame, title: str) -> Table:
    """Any short list of decisions as a table; what is unknown is a dash, numbers have two decimals
    at most, nothing is cut."""
    table = Table(title=title, padding=0)
    shown = [
        name
        for name in frame.columns
        if name not in ("reason", "document_id", "currency") and not frame[name].is_null().all()
    ]
    for name in shown:
        is_number = frame[name].dtype.is_numeric()
        table.add_column(
            name.removesuffix("_id").replace("_", " "),
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in frame.select(shown).iter_rows():
        table.add_row(
            *(
                "–"
                if cell is None
                else f"{cell:,.2f}".removesuffix(".00")
                if isinstance(cell, float)
                else str(cell)
                for cell in row
            )
        )
    currencies = (
        frame["currency"].unique().drop_nulls().to_list() if "currency" in frame.columns else []
    )
    table.caption = f"money in {currencies[0]}" if currencies else None
    return table


def study(said: dict[str, Any]) -> Group:
    """What each scenario changes in total, with the range of the futures, and what to do."""
    shown: list[RenderableType] = []
    for answer in said["scenarios"]:
        table = Table(title=answer["title"], padding=0)
        table.add_column(f"{said['periods']} periods, {said['futures']} futures", no_wrap=True)
        for name in ("without", "with", "difference", "95 % of futures", "95 % sure of the mean"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, one in answer["totals"].items():
            as_number = "{:+,.2%}" if name == "fill_rate" else "{:+,.0f}"
            words = ("before", "after", "difference", "lower", "upper", "mean_lower", "mean_upper")
            cells = [as_number.format(one[word]) for word in words]
            plain = [cell.removeprefix("+") for cell in cells[:2]]
            spans = [f"{cells[3]} … {cells[4]}", f"{cells[5]} … {cells[6]}"]
            table.add_row(name.replace("_", " "), *plain, cells[2], *spans)
        shown += [table, f"{len(answer['turn_unprofitable'])} items and lanes turn unprofitable."]
        if len(answer["measures"]) > 1:
            shown.append(_measures(answer))
    if said["robustness"]:
        shown.append(_robustness(said["robustness"]))
    if promoted := said.get("promoted"):
        shown.append(
            f"{promoted['measure'].replace('_', ' ')} for {promoted['scenario']}: "
            f"{promoted['lines']} order lines, {promoted['new_orders']} of them new in the ledger."
        )
    return Group(*shown, said["trust"]["words"], f"Kept as study {said['study_id']}.")


def _measures(answer: dict[str, Any]) -> Table:
    table = Table(title="What to do about it: money beside doing nothing", padding=0)
    table.add_column("measure", no_wrap=True)
    for name in ("order lines", "premium paid", "costs in all", "95 % sure", "fill rate"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in answer["measures"]:
        best = " ★" if one["measure"] == answer["best_measure"] else ""
        name = one["measure"].replace("_", " ") + best
        if not one["order_lines"]:
            why = "" if one["measure"] == "do_nothing" else "no way in time that saves its cost"
            table.add_row(name, why, "", "", "", f"{one['fill_rate']:.2%}")
            continue
        span = f"{one['mean_lower']:+,.0f} … {one['mean_upper']:+,.0f}"
        table.add_row(
            name,
            f"{one['order_lines']:,}",
            f"{one['premium']:,.0f}",
            f"{one['cost']:+,.0f}",
            span,
            f"{one['fill_rate']:.2%}",
        )
    return table


def _robustness(found: list[dict[str, Any]]) -> Table:
    table = Table(title=f"Does {found[0]['champion']} hold?", padding=0)
    for name in (
        "rival",
        "scenarios",
        "cheaper for sure",
        "dearer for sure",
        "mean",
        "most regret",
    ):
        table.add_column(name, justify="left" if name == "rival" else "right", no_wrap=True)
    for one in found:
        counts = [str(one[name]) for name in ("scenarios", "cheaper_for_sure", "dearer_for_sure")]
        money = f"{one['mean_difference']:+,.0f}", f"{one['most_regret']:,.0f}"
        table.add_row(one["policy"], *counts, *money)
    return table


def replayed_study(said: dict[str, Any]) -> str:
    """Whether a kept study comes out the same."""
    if not said["differing"]:
        return f"Study {said['study_id']}: all {said['figures']:,} figures are the same."
    lines = [f"{one['figure']}: {one['kept']} then, {one['now']} now" for one in said["differing"]]
    return "\n".join([f"Study {said['study_id']}: {len(lines)} figures differ.", *lines[:20]])


def champion_table(champions: pl.DataFrame) -> Table:
    """What each policy would have cost over the replayed weeks, and how sure the difference is."""
    table = Table(title="Rehearsed in the twin: cost over the replayed weeks", padding=0)
    table.add_column("policy", no_wrap=True)
    for name in ("holding", "shortage", "total", "to champion", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in champions.filter(pl.col("total_cost").is_null()).iter_rows(named=True):
        table.add_row(row["policy"] + " ★", *["not rehearsed"] * 3)
    for row in champions.drop_nulls("total_cost").sort("total_cost").iter_rows(named=True):
        mark = " ★" if row["is_champion"] else ""
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
            f"{row['shadow_price']:,.3f}",
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
    for name in ("quantity", "arrives", "costs more", "saves in all"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in cheaper.head(WAYS_SHOWN).iter_rows(named=True):
        table.add_row(
            row["item_id"],
            row["location_id"],
            row["way"],
            f"{row['quantity']:,.0f}",
            str(row["arrives_on"]),
            f"{row['extra_purchase_cost']:,.2f}",
            f"{row['saves']:,.2f}",
        )
    return table


def findings(found: list[Any]) -> Group:
    """What `stockhouse check` found, one row a finding."""
    table = Table(title="What would be loaded, and what looks wrong")
    for name in ("source", "kind", "message"):
        table.add_column(name, overflow="fold")
    for finding in found:
        if finding.kind != "plan":
            table.add_row(finding.source, finding.kind, finding.message)
    can = [f"  {finding.message}" for finding in found if finding.kind == "plan"]
    return Group(table, Text("\n".join(["What the plan can do with this", *can])))


def forgotten(found: Any) -> str:
    """What a wish to be forgotten came to, in one paragraph."""
    if found.deliveries:
        said = (
            f"forgotten: {found.rows:,} rows in {found.deliveries:,} deliveries of "
            f"{', '.join(found.sources)} now name a stand-in."
        )
        said += " Make a new backup and destroy the old ones."
    else:
        said = (
            "nothing to forget: no delivery holds this customer. Nobody of this id ever came, or "
            "was forgotten before."
        )
        said += f" Did you mean {' or '.join(found.similar)}?" if found.similar else ""
    if found.not_searched:
        said += f" Not searched, world.yml no longer knows them: {', '.join(found.not_searched)}."
    if found.left:
        more = f" and {len(found.left) - 10} more" if len(found.left) > 10 else ""
        said += (
            f"\nThe same signs still stand in {', '.join(found.left[:10])}{more}: as another "
            "spelling, in a text, or as something else than the customer. Mend them at their "
            "source, or map the column as customer_id."
        )
    return said


def _summary(report: dict[str, Any]) -> str:
    stations = " · ".join(f"{name} {seconds:.1f} s" for name, seconds in report["stations"].items())
    return (
        f"\n{report['new_deliveries']} new deliveries, {report['new_rows']:,} new rows, "
        f"{report['quarantined_rows']} in quarantine; "
        f"{report['new_orders']} new orders worth {report['order_value']:,.2f}.\n{stations}"
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
