"""What needs a person, by the money at risk, and what people have made of it.

A case is what the last plan held up, a line that is late, short or refused, an approved one that
cannot be sent, or what an answer, a receipt or silence left to ask. What became of it (owner,
status, due day or snoozed until, reason) stands in the ledger, as events of the case's own
document. A case that somebody closed comes back when a later plan raises it again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from math import prod
from typing import Any

import polars as pl

from models.procurement.documents import CLOSED, Document
from orchestration.app.order_book import CASES, decimals, open_cases
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import lines_of, names, published, remembered, rows
from orchestration.app.supply_exceptions import trouble
from orchestration.facts import decisions
from orchestration.ledger import LedgerError

OPEN, WORKING, SNOOZED, DONE = "open", "in work", "snoozed", "done"
STATUSES = (OPEN, WORKING, SNOOZED, DONE)
#: What a case says beside what order_book.CASES has.
WORKED = {
    "case_id": pl.String,
    "status": pl.String,
    "owner": pl.String,
    "until": pl.String,
    "due": pl.String,
    "is_overdue": pl.Boolean,
    "note": pl.String,
    "by": pl.String,
    "version": pl.Int64,
    "came_back": pl.Boolean,
}
#: Kinds of case that are raised once, by an event, and not anew by each plan.
MESSAGE, GOODS = "supplier_message", "goods_and_silence"
#: A bill that its match left to a person; once, until the reason is another.
BILL = "bill_not_matched"
#: An approved line that cannot be sent, for as long as that is so.
UNSENT = "order_not_sent"
#: Stages in which it no longer matters that a message did not arrive: the goods did.
ARRIVED = ("received", CLOSED)
#: The longest a case may sleep.
LONGEST_SNOOZE = timedelta(days=92)


def case_id(kind: str, *of: str) -> str:
    """The name of a case: the same for the same kind of trouble with the same item and place, or
    with the same document and reason where an event raised it."""
    said = "\n".join((kind, *of))
    return f"CASE-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def worklist(desk: Desk) -> pl.DataFrame:
    """Every case with what became of it, the most money at risk first; columns CASES + WORKED."""
    return remembered(desk, "worklist", lambda: _worklist(desk))


def _worklist(desk: Desk) -> pl.DataFrame:
    known = desk.ledger.worked()
    raised = (
        open_cases(desk),
        _supply(desk),
        _unsent(desk),
        _opened(desk, known),
        _asked(desk),
        _bills(desk),
    )
    money = pl.col("value_at_risk").round(decimals(desk.currency))
    cases = pl.concat(raised).with_columns(money)
    plan = decisions.latest_run(desk.home.decisions, "exceptions")
    today = desk.now.date().isoformat()
    found = []
    for row in cases.iter_rows(named=True):
        once = row["kind"] in (MESSAGE, GOODS, BILL)
        by_line = once or row["kind"] == UNSENT
        of = (row["id"], row["reason"]) if by_line else (row["item_id"], row["location_id"])
        name = case_id(row["kind"], *of)
        found.append(row | {"case_id": name} | _state(known.get(name), plan, today, once=once))
    schema = CASES | WORKED
    return pl.DataFrame(found, schema=schema, orient="row").sort(
        "value_at_risk", "case_id", descending=[True, False], nulls_last=True
    )


def _state(said: Mapping[str, Any] | None, plan: str, today: str, *, once: bool) -> dict[str, Any]:
    """What is last said of a case, as it counts now. once: no later plan raises it again."""
    if said is None:
        return dict.fromkeys(("owner", "until", "due", "note", "by"), "") | {
            "status": OPEN,
            "version": 0,
            "came_back": False,
            "is_overdue": False,
        }
    status, until = str(said["status"]), str(said.get("until") or "")
    due = str(said.get("due") or "")
    woke = status == SNOOZED and until <= today
    raised = status == DONE and not once and said.get("about") != plan
    return {
        "status": OPEN if woke or raised else status,
        "owner": said.get("owner") or "",
        "until": until,
        "due": due,
        "is_overdue": status == WORKING and bool(due) and due < today,
        "note": said.get("reason") or "",
        "by": said["by"],
        "version": said["version"],
        "came_back": woke or raised,
    }


def _opened(desk: Desk, known: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Cases that people opened themselves and nobody has closed."""
    mine = [said for said in known.values() if said.get("kind") and said["status"] != DONE]
    if not mine:
        return pl.DataFrame(schema=CASES)
    with published(desk.home) as con:
        called = names(con)
    worth = {d.document_id: d.quantity * d.unit_cost for d in lines_of(desk)}
    return pl.DataFrame(
        [
            (
                said["id"],
                "warning",
                said["kind"],
                said["item_id"],
                called.get(said["item_id"], said["item_id"]),
                said["location_id"],
                worth.get(said["id"]),
                desk.currency,
                said["reason"],
            )
            for said in mine
        ],
        schema=CASES,
        orient="row",
    )


def _supply(desk: Desk) -> pl.DataFrame:
    """Lines that are late, short or refused, as cases; at risk is what will not come, or comes too
    late, at its price."""
    found = [(line, why) for line in lines_of(desk) if (why := trouble(line))]
    if not found:
        return pl.DataFrame(schema=CASES)
    with published(desk.home) as con:
        prices = {
            (row["item_id"], row["location_id"]): row["price"]
            for row in rows(con, "select item_id, location_id, price from marts.dim_item_locations")
        }
    raised = []
    for line, why in found:
        price = float(prices.get((line.item_id, line.location_id)) or line.unit_cost)
        severity, kind = (
            ("error", "supplier_refused") if line.ended else ("warning", "supplier_late_or_short")
        )
        raised.append((line, severity, kind, price * _missing(line), why))
    return _of_lines(desk, raised)


def _of_lines(desk: Desk, raised: Sequence[tuple[Document, str, str, float, str]]) -> pl.DataFrame:
    """Cases of the ledger's lines, each with its severity, kind, money at risk and reason."""
    if not raised:
        return pl.DataFrame(schema=CASES)
    with published(desk.home) as con:
        called = names(con)
    return pl.DataFrame(
        [
            (
                line.document_id,
                severity,
                kind,
                line.item_id,
                called.get(line.item_id, line.item_id),
                line.location_id,
                money,
                desk.currency,
                why,
            )
            for line, severity, kind, money, why in raised
        ],
        schema=CASES,
        orient="row",
    )


def _missing(line: Document) -> float:
    """Units of a line that do not come as asked: of a short one the shortage, of a late or refused
    one all that has not come."""
    to_come = line.quantity - line.received
    promised = [units for units in (line.confirmed, sum(line.shipments.values())) if units]
    short = line.quantity - min(promised, default=line.quantity)
    return to_come if line.ended or short <= 0 else min(short, to_come)


def _unsent(desk: Desk) -> pl.DataFrame:
    """Approved lines that their supplier cannot hear of, as cases; at risk is the line."""
    try:
        partners = desk.partners
    except LedgerError as error:  # nothing can be sent, and all other cases are as they are
        odd = ("", "error", UNSENT, "", "", "", None, desk.currency, str(error))
        return pl.DataFrame([odd], schema=CASES, orient="row")
    reasons = desk.ledger.unsent(partners, desk.now)
    return _of_lines(
        desk,
        [
            (line, "error", UNSENT, line.quantity * line.unit_cost, reasons[line.document_id])
            for line in lines_of(desk)
            if line.document_id in reasons and line.stage not in ARRIVED
        ],
    )


def _asked(desk: Desk) -> pl.DataFrame:
    """What answers, receipts and silence left for a person, whose it is in the reason; over once
    its line has ended. At risk is the line, nothing for a delivery that belongs to no line."""
    asked = desk.ledger.questions()
    if not asked:
        return pl.DataFrame(schema=CASES)
    lines = {line.document_id: line for line in lines_of(desk)}
    with published(desk.home) as con:
        called = names(con)
    found = []
    for event in asked:
        line = lines.get(event.document_id)
        if line is not None and line.ended:
            continue
        item = line.item_id if line else ""
        heard = "delivery" in event.payload or line is None
        found.append(
            (
                event.document_id,
                "warning",
                MESSAGE if heard else GOODS,
                item,
                called.get(item, item),
                line.location_id if line else "",
                line.quantity * line.unit_cost if line else None,
                desk.currency,
                f"for {event.payload.get('owner', 'buyer')}, of {event.actor}: "
                f"{event.payload.get('reason', '')}",
            )
        )
    return pl.DataFrame(found, schema=CASES, orient="row").unique(
        ["id", "kind", "reason"], maintain_order=True
    )


def _bills(desk: Desk) -> pl.DataFrame:
    """Bills that do not agree with what was ordered and received, as cases; at risk is what they
    ask for."""
    return _of_lines(
        desk,
        [
            (
                line,
                "error",
                BILL,
                prod(line.bills[name]),
                f"bill {name} of {line.from_id} for order {line.order_id}: {bill['reason']}",
            )
            for line in lines_of(desk)
            for name, bill in line.invoices.items()
            if bill["status"] == "exception"
        ],
    )


def with_cases(desk: Desk, book: pl.DataFrame) -> pl.DataFrame:
    """The order book with how many cases of each line wait for a person (exceptions)."""
    count = Counter(cases_to_do(desk)["id"].to_list())
    waiting = [
        sum(count[name] for name in {*names})
        for names in book.select("id", "document_id").iter_rows()
    ]
    return book.with_columns(exceptions=pl.Series(waiting, dtype=pl.Int64))


def cases_to_do(desk: Desk) -> pl.DataFrame:
    """The cases that nobody has closed or put to sleep, the most money at risk first; columns
    CASES + WORKED."""
    return worklist(desk).filter(pl.col("status").is_in((OPEN, WORKING)))


def money_at_risk(cases: pl.DataFrame) -> float:
    """What is at stake in all these cases together: each item and place once, with the largest of
    its cases; a case of no item for itself. Money; cases that nobody can price count nothing."""
    whose = pl.when(pl.col("item_id") == "").then("case_id").otherwise(pl.lit(""))
    of = ["item_id", "location_id", whose.alias("whose")]
    return float(cases.group_by(of).agg(pl.col("value_at_risk").max())["value_at_risk"].sum())


def work(
    desk: Desk,
    cases: Collection[str],
    by: str,
    status: str,
    reason: str,
    *,
    owner: str = "",
    until: date | None = None,
    seen: Mapping[str, int] | None = None,
    what: Mapping[str, str] | None = None,
) -> None:
    """Say what becomes of cases: who has them, until when they sleep, or that they are done.

    until: the day on which snoozed cases wake, or by which cases in work are settled. what: kind,
    item_id, location_id and id of a case that a person opens, such as a deferred line.
    Raises ValueError for what cannot be meant and StaleError where somebody was faster.
    """
    if status not in STATUSES:
        raise ValueError(f"a case is {', '.join(STATUSES)}, not '{status}'")
    if not cases:
        raise ValueError("tick at least one case")
    today, last = desk.now.date(), desk.now.date() + LONGEST_SNOOZE
    if status == SNOOZED and (until is None or not today < until <= last):
        raise ValueError(f"say until when it sleeps: a day after {today}, up to {last}")
    if status == WORKING and until and until < today:
        raise ValueError(f"{until} is over: say by which day from {today} on it is settled")
    if status in (SNOOZED, DONE) and not reason.strip():
        raise ValueError("say why: the record keeps the reason")
    said = {
        "status": status,
        "owner": owner or (by if status == WORKING else ""),
        "until": until.isoformat() if until and status == SNOOZED else "",
        "due": until.isoformat() if until and status == WORKING else "",
        "reason": reason,
        "about": decisions.latest_run(desk.home.decisions, "exceptions"),
    } | dict(what or {})
    desk.ledger.work(dict.fromkeys(cases, said), by, desk.now, seen)


def defer(
    desk: Desk,
    line: Document,
    by: str,
    reason: str,
    until: date,
    seen: Mapping[str, int] | None = None,
) -> str:
    """Put a line aside until a day: a case that sleeps till then; returns its id. Raises as `work`
    does."""
    about = {"kind": "deferred", "item_id": line.item_id, "location_id": line.location_id}
    case, about["id"] = case_id(*about.values()), line.document_id
    work(desk, [case], by, SNOOZED, reason, until=until, seen=seen, what=about)
    return case
