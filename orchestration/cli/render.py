"""What a person sees in the terminal: progress while something runs, lists, what a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from models.labels import in_words
from models.safe_names import legible

if TYPE_CHECKING:
    import polars as pl

    from models.procurement.documents import Document
    from orchestration.ledger import ProposalReport, SendReport

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
        SpinnerColumn(finished_text=""),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def on_step(step: str, what: str) -> None:
            if what == "start":
                tasks[step] = bar.add_task(STEPS.get(step, step), total=1)
            elif step in tasks:
                words, is_done = STEPS.get(step, step), what != "failure"
                told = f"[green]✓[/] {words}" if is_done else f"[red]✗ {words} failed[/]"
                bar.update(tasks[step], description=told, completed=1)

        yield on_step


@contextmanager
def status(console: Console) -> Iterator[Callable[[str], None]]:
    """One live line that says what is being done."""
    with console.status("starting") as line:
        yield line.update


@contextmanager
def said(console: Console) -> Iterator[Callable[[str], None]]:
    """As `status`, and a line each where nobody watches, so that a log shows how far it is."""
    if console.is_terminal:
        with status(console) as tell:
            yield tell
    else:
        yield lambda words: console.print(words, markup=False, highlight=False, soft_wrap=True)


def count_of(number: int, noun: str) -> str:
    """A number and what it counts: 1 line, 2,000 lines."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sending(report: SendReport) -> str:
    """What a sending did, in a sentence and a line for whatever is left to a person."""
    said = [
        f"{count_of(report.queued, 'message')} written, {report.sent:,} sent, "
        f"{report.waiting:,} to be tried again, {report.dead:,} given up"
    ]
    said += [f"no partner is known for {name}" for name in report.unaddressed]
    said += [f"cannot be written: {what}" for what in report.unwritable]
    said += [f"held back, its record was altered: {what}" for what in report.altered]
    if report.is_stopped:
        said.append("the kill switch held orders back: `stockhouse resume` lets them go")
    return "\n".join(said)


def decided(line: Document, done: str) -> str:
    """What a person did, with the line it was done to, as it is now."""
    item, place, source = map(legible, (line.item_id, line.location_id, line.from_id))
    return (
        f"{line.document_id} {done}: {line.quantity:,.10g} of {item} from {source} to {place}, "
        f"due {line.due_on}"
    )


def proposal(report: ProposalReport) -> str:
    """What a plan did to the ledger, in a sentence."""
    return (
        f"{count_of(report.new_orders, 'requisition')} new, {report.revised:,} revised, "
        f"{report.unchanged:,} as they were, {report.withdrawn:,} withdrawn, {report.kept:,} left "
        "to the people who decided them"
    )


def listing(frame: pl.DataFrame, title: str) -> Table:
    """Any short list of decisions as a table; what is unknown is a dash, numbers have two decimals
    at most, nothing is cut. An item's name stands behind its id."""
    table = Table(title=title, padding=0)
    currencies = (
        frame["currency"].unique().drop_nulls().to_list() if "currency" in frame.columns else []
    )
    frame = _named(frame)
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
        table.add_row(*map(_cell, row))
    table.caption = f"money in {currencies[0]}" if currencies else None
    return table


def cases(frame: pl.DataFrame, title: str) -> Group:
    """What waits for a person: a line that says of what, and what is at risk, and one that says
    why."""
    parts: list[Any] = [Text(title, style="bold")]
    for row in _named(frame).iter_rows(named=True):
        where, at = row["item_id"], f" at {row['location_id']}" if row["location_id"] else ""
        if (row["item_id"], row["location_id"]) == ("all", "all"):
            where, at = "every item and place", ""
        stake = f", {_cell(row['value_at_risk'])} {row['currency']}" if row["value_at_risk"] else ""
        head = f"{in_words(row['kind'])}{stake}"
        parts.append(Text.assemble((f"{_cell(row['id'])} ", "bold"), f"{where}{at}: {head}"))
        parts.append(Text(f"    {row['reason']}"))
    return Group(*parts)


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Ids of items with their names behind them, in place of two columns."""
    if not {"item_id", "item"} <= set(frame.columns):
        return frame
    import polars as pl

    is_told = pl.col("item").is_not_null() & (pl.col("item") != pl.col("item_id"))
    both = pl.when(is_told).then(pl.col("item_id") + " " + pl.col("item")).otherwise("item_id")
    return frame.with_columns(item_id=both).drop("item")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else str(value)


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
            f"forgotten: {count_of(found.rows, 'row')} in "
            f"{count_of(found.deliveries, 'file')} of {', '.join(found.sources)} now name a "
            "stand-in."
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
