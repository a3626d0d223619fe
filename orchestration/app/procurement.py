"""What the procure station does with a home's ledger: receive what suppliers say, book goods,
approve and send; it writes nothing but the ledger.

Now, currency and facts come from the published snapshot, so that a running batch, which holds the
warehouse, never blocks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from models.domain import need_id
from models.procurement.actors import ERP
from models.procurement.approval import Evidence
from models.procurement.documents import Document
from models.procurement.messages import Wording
from models.procurement.scorecard import failure_risk
from models.procurement.supplier_sale_terms import Sale
from orchestration.facts import decisions, published_snapshots
from orchestration.facts.display_names import wording
from orchestration.facts.supplier_units_and_currencies import SOLD_BY, sales_of
from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.ledger import (
    ApprovalReport,
    Ledger,
    Partner,
    Receipt,
    Reception,
    SendReport,
    folders,
)
from orchestration.ledger.partners import EMAIL, read_partners
from orchestration.ledger.receipts_and_reminders import FROM_ERP
from orchestration.ledger.store import PATIENCE
from orchestration.planning import override_journal


@dataclass(frozen=True)
class Desk:
    """A home's ledger with what its every step needs: the home's Now (naive UTC) and the partners
    by id."""

    home: Home
    ledger: Ledger
    now: datetime
    currency: str

    @property
    def partners(self) -> dict[str, Partner]:
        """Suppliers, and locations that ship to others, as state/partners/partners.yml describes
        them, or with a folder there; those who read mail, with the words that people read."""
        named = {str(document.from_id) for document in self.ledger.lines()}
        partners = read_partners(self.partner_folders, named, self.currency)
        if all(partner.form != EMAIL for partner in partners.values()):
            return partners
        said = _published_wording(self.home)
        return {
            name: replace(one, wording=said) if one.form == EMAIL else one
            for name, one in partners.items()
        }

    @property
    def partner_folders(self) -> Path:
        """Where what is said to suppliers and heard of them lies, a folder each."""
        return self.home.state / "partners"


@contextmanager
def open_desk(home: Home, patience: float = PATIENCE) -> Iterator[Desk]:
    """Open a home's ledger at the home's Now, which never lies before what the ledger has recorded
    already; see Ledger.clock."""
    ledger = Ledger.of(home, patience)
    try:
        yield desk_of(home, ledger)
    finally:
        ledger.close()


def desk_of(home: Home, ledger: Ledger) -> Desk:
    """The desk over a ledger that is open already, at the home's Now."""
    now, newest, currency = read_clock(home)
    return Desk(home, ledger, ledger.clock(now, newest), currency)


def read_clock(home: Home) -> tuple[datetime, datetime | None, str]:
    """The home's Now, how far its facts reach, and its currency; from the published snapshot, or
    before the first one from the warehouse.

    Raises ValueError where there is no Now to be had.
    """
    with _snapshot(home) as con:
        row = (
            con.execute(f"select {_clock_columns(con)} from published.world").fetchone()
            if con
            else None
        )
    if row is None:
        try:
            with home.connect(read_only=True, patience=PATIENCE) as con:
                row = con.execute("select now_at, newest_at, currency from raw.world").fetchone()
        except duckdb.Error as error:
            raise ValueError(
                f"{home.root} has nothing published and its warehouse cannot be read: {error}. Run "
                "the line first."
            ) from error
    if row is None or row[0] is None:
        raise ValueError(
            "the world has no sales, returns or stock yet, so there is no Now. Land some data "
            "first."
        )
    return row[0], row[1], row[2]


def _clock_columns(con: duckdb.DuckDBPyConnection) -> str:
    """Snapshots published before worlds said how far their facts reach say only their Now."""
    has = con.execute(
        "select 1 from duckdb_columns() where table_name = 'world' and column_name = 'newest_at'"
    ).fetchone()
    return f"now_at, {'newest_at' if has else 'null'}, currency"


@dataclass(frozen=True)
class Heard:
    """What became of every message that waited, by file; and lines about mail left for a person."""

    messages: dict[Path, Reception]
    left: list[str]


def poll(desk: Desk) -> Heard:
    """Fetch what waits at the partners' servers and in our mailboxes, and take every message in
    their `in` folders; the originals are kept, odd ones become exceptions."""
    partners = desk.partners
    left = desk.ledger.fetch(partners, desk.now)
    return Heard(desk.ledger.collect(partners, desk.now), left)


@dataclass(frozen=True)
class Matched:
    """What matching did: goods booked from the company's systems, receipts that these lowered, and
    lines whose silent supplier was raised as an exception."""

    receipts: int
    lowered: int
    chased: int


def match(desk: Desk) -> Matched:
    """Book the goods the company's systems report against our orders, follow them where they report
    less than before, match waiting invoices, and notice silence."""
    came, lowered = reported_receipts(desk)
    booked = desk.ledger.record_receipts(came, ERP, desk.now)
    taken_back = desk.ledger.lower_receipts(lowered, ERP, desk.now)
    return Matched(booked, taken_back, len(desk.ledger.chase(desk.now)))


def reported_receipts(desk: Desk) -> tuple[list[Receipt], list[Receipt]]:
    """What the published snapshot knows to have arrived for our orders and the ledger does not, and
    what it no longer knows to have arrived: one receipt a line, of the difference, below zero in
    the second list.

    The ledger's own receipts land too, so only what goes beyond them is news. Lowered is what the
    company's systems alone reported, and by a snapshot that is not older than the ledger and has
    receipts of some of its orders.
    """
    lines = {
        (d.order_id, d.line_id): d for d in desk.ledger.lines() if d.order_id and d.is_approved
    }
    if not lines:
        return [], []
    with _snapshot(desk.home) as con:
        if con is None:
            return [], []
        orders = sorted({order_id for order_id, _ in lines})
        arrived = con.execute(
            """
            select order_id, coalesce(line_id, '1'), sum(quantity), max(event_at)
                from marts.fct_receipts
            where is_current and list_contains($orders, order_id) group by all
            union all
            select split_part(order_id, '/', 1), split_part(order_id, '/', 2), null,
                max(received_at) from marts.fct_lead_times
            where kind = 'transfer' and not is_censored and list_contains($orders,
                split_part(order_id, '/', 1)) group by all
            """,
            {"orders": orders},
        ).fetchall()
    told = {
        (order_id, line_id): (quantity, received_at)
        for order_id, line_id, quantity, received_at in arrived
        if (order_id, line_id) in lines
    }
    came = [
        _difference(lines[key], quantity, received_at)
        for key, (quantity, received_at) in told.items()
        if _is_news(lines[key], quantity)
    ]
    if not told or read_clock(desk.home)[0] < desk.now:
        return came, []
    return came, [
        _difference(line, max(quantity, 0.0), received_at)
        for key, line in lines.items()
        if line.kind == "purchase" and line.received > 0
        for quantity, received_at in [
            told.get(key, (0.0, datetime.fromisoformat(line.arrived_at)))  # booked on another line
        ]
        if _is_lowered(line, quantity)
    ]


def _is_news(line: Document, quantity: float | None) -> bool:
    return (line.ordered if quantity is None else quantity) > line.received


def _is_lowered(line: Document, quantity: float) -> bool:
    is_theirs = all(name.startswith(FROM_ERP) for name in line.receipts)
    return is_theirs and max(quantity, 0.0) < line.received


def _difference(line: Document, quantity: float | None, received_at: datetime) -> Receipt:
    received = line.ordered if quantity is None else quantity  # a transfer arrives whole
    name = f"{FROM_ERP}{line.order_id}-{line.line_id}-{received:g}"
    if name in line.receipts:  # they came back to what they once said
        name += f"-{len(line.receipts)}"
    return Receipt(name, line.order_id, line.line_id, received - line.received, received_at)


def approve(
    desk: Desk,
    references: Sequence[str],
    by: str,
    seen: Mapping[str, int] | None = None,
    note: str = "",
) -> list[str]:
    """Approve lines as a named person, with what is known of each; all of them or none. seen: the
    versions that the person looked at, see Store.writing."""
    return desk.ledger.approve(references, by, desk.now, evidence(desk), seen, note)


def approve_and_send(desk: Desk) -> tuple[ApprovalReport, SendReport]:
    """Approve what the matrix lets through by itself, and send whatever is approved and unsent; the
    kill switch holds both back."""
    if desk.ledger.is_stopped():
        return ApprovalReport((), {}), SendReport(is_stopped=True)
    approved = desk.ledger.approve_within_limits(desk.now, evidence(desk))
    return approved, desk.ledger.send(desk.partners, desk.now)


def dry_run(desk: Desk) -> list[Path]:
    """Write the messages a sending would make as files in the partners' `dry_run` folders, and send
    none of them; what an earlier one wrote for somebody who is no supplier any more goes."""
    partners = desk.partners
    for folder in sorted(desk.partner_folders.glob(f"*/{folders.DRY_RUN}")):
        if folder.parent not in {partner.place for partner in partners.values()}:
            folders.clear(folder.parent, folders.DRY_RUN)
    return desk.ledger.preview(partners, desk.now)


def evidence(desk: Desk) -> dict[str, Evidence]:
    """What the approval matrix is told of each requisition: the ledger's own history, and the facts
    published about item and supplier.

    A supplier is judged by its record in the company's systems, which has the ledger's own orders
    of earlier runs in it; one without a record there by what the ledger alone knows. category is
    the item's.
    """
    known = desk.ledger.evidence(desk.now)
    risks = {name: failure_risk(due, good) for name, (due, good) in company_record(desk).items()}
    targets = decisions.latest(desk.home.decisions, "targets")
    known_of = ("item_id", "location_id", "completeness", "item_class")
    scored = [] if targets is None else targets.select(known_of).rows()
    complete = {(item, place): score for item, place, score, _ in scored}
    classes = {(item, place): name for item, place, _, name in scored}
    lines = {d.document_id: d for d in desk.ledger.lines() if d.document_id in known}
    with _snapshot(desk.home) as con:
        if con is None:
            return known
        categories = dict(
            con.execute("select item_id, category from marts.dim_items where is_current").fetchall()
        )
        moved = _overridden_since(desk, con)
    return {
        name: replace(
            record,
            override=moved.get((lines[name].item_id, lines[name].location_id)),
            category=categories.get(lines[name].item_id),
            item_class=classes.get((lines[name].item_id, lines[name].location_id)),
            completeness=complete.get(
                (lines[name].item_id, lines[name].location_id), record.completeness
            ),
            supplier_risk=risks.get(lines[name].from_id, record.supplier_risk)
            if lines[name].kind == "purchase"
            else None,
        )
        for name, record in known.items()
    }


def _overridden_since(desk: Desk, con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """By item and location, the override that the published plan does not know yet, in words."""
    if not override_journal.entries(desk.home):
        return {}
    shown = con.execute("select run_id, published_at from published.snapshot").fetchall()
    ((run_id, since),) = shown
    read = decisions.overrides_read(desk.home.decisions, run_id)
    planned = frame(con, "select * from marts.dim_item_locations")
    late = override_journal.unplanned(desk.home, desk.now, planned, read, since)
    return {
        pair: f"{entry.override_id} ({entry.author}: {entry.override.reason})"
        for pair, entry in late.items()
    }


def company_record(desk: Desk) -> dict[str, tuple[float, float]]:
    """What the company's own systems know of each supplier: its lines due, and how many of them
    were on time and in full."""
    with _snapshot(desk.home) as con:
        if con is None:
            return {}
        kept = con.execute(
            "select supplier_id, due_lines, due_lines * coalesce(otif_share, 0) from "
            "metrics.kpi_supplier_performance"
        )
        return {name: (float(due), float(good)) for name, due, good in kept.fetchall()}


@contextmanager
def _snapshot(home: Home) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """The published facts, None before the first publication."""
    try:
        current = published_snapshots.current(home.published)
    except published_snapshots.PublishError:
        yield None
        return
    with current.connect() as con:
        yield con


def published_facts(home: Home, query: str) -> pl.DataFrame:
    """What the published snapshot answers to a query; before the first one, the warehouse."""
    with _snapshot(home) as con:
        if con is not None:
            return frame(con, query)
    with home.connect(read_only=True) as warehouse:
        return frame(warehouse, query)


def published_sales(home: Home) -> dict[tuple[str, str], Sale]:
    """In which unit and currency suppliers sell, as published, by (item, supplier)."""
    return sales_of(published_facts(home, SOLD_BY))


def _published_wording(home: Home) -> Wording:
    with _snapshot(home) as con:
        return Wording() if con is None else wording(con)


def line_named(home: Home, reference: str) -> str:
    """The need's id (see models.domain.need_id) of the one line a document id, an order id or its
    line means; else the text itself.

    Raises ValueError where an order has several lines, naming them.
    """
    if not home.has_ledger:
        return reference
    ledger = Ledger.of(home)
    try:
        meant = [
            d
            for d in ledger.lines()
            if reference in (d.document_id, d.intent_key, d.order_id, f"{d.order_id}/{d.line_id}")
        ]
    finally:
        ledger.close()
    needs = sorted({need_id(d.intent_key) for d in meant})
    if len(needs) > 1:
        raise ValueError(
            f"{reference} has {len(needs)} lines; name one of them: {', '.join(needs)}"
        )
    return needs[0] if needs else reference
