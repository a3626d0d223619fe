"""What people and the approval matrix do to order lines: approve, reject, firm, change, cancel; the
switch and limits over them; and four eyes: nobody approves what he proposed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from models.domain import need_id
from models.procurement.actors import MATRIX, is_same, person, spelt
from models.procurement.approval import BUYER, DIRECTOR, Evidence, Limits, judge
from models.procurement.documents import PARTS, Document, in_money
from orchestration.ledger import proof
from orchestration.ledger.schema import documents, encumbrances, events
from orchestration.ledger.store import LedgerError, Unit, moves

#: The id of a plan's line: its need's, with or without the run before it.
NEED = re.compile(r"(?:[0-9a-f]{8}-)?(?P<need>[0-9a-f]{10})")
SWITCH, LIMITS = "SWITCH", "LIMITS"


@dataclass(frozen=True)
class ApprovalReport:
    """What the matrix approved by itself, and what waits for whom: {document id: (level,
    reasons)}."""

    approved: tuple[str, ...]
    waiting: dict[str, tuple[int, tuple[str, ...]]]


def find(unit: Unit, references: Sequence[str]) -> list[Document]:
    """The lines meant by document ids, intent keys, order ids or the ids of plan lines. Raises
    LedgerError for what means nothing."""
    found: dict[str, Document] = {}
    for reference in references:
        meant = unit.read(
            sa.or_(
                documents.c.document_id == reference,
                sa.and_(documents.c.intent_key == reference, documents.c.is_live),
                sa.and_(documents.c.order_id == reference, documents.c.order_id != ""),
            ),
            documents.c.intent_key != "",
        )
        if not meant and (named := NEED.fullmatch(reference)):
            live = unit.read(documents.c.is_live, documents.c.intent_key != "")
            meant = [document for document in live if need_id(document.intent_key) == named["need"]]
        if not meant:
            raise LedgerError(
                f"{reference} is no order line, order or live intent key of this ledger; "
                "`stockhouse orders` lists them"
            )
        found |= {document.document_id: document for document in meant}
    return list(found.values())


def limits_in_force(connection: sa.Connection) -> Limits:
    """The limits last confirmed, or the house's defaults."""
    event = last(connection, LIMITS, "limits_set")
    return Limits.from_payload(json.loads(event["payload"])) if event else Limits()


def proposed_limits(connection: sa.Connection) -> tuple[Limits, str] | None:
    """Limits that wait for a second person, and who proposed them; None where nothing waits."""
    event = last(connection, LIMITS)
    if event is None or event["kind"] != "limits_proposed":
        return None
    return Limits.from_payload(json.loads(event["payload"])), str(event["actor"])


def confirm_limits(unit: Unit, by: str) -> Limits:
    """Put proposed limits in force as a second person, of the highest level anybody has. Raises
    LedgerError otherwise."""
    waiting = proposed_limits(unit.connection)
    if waiting is None:
        raise LedgerError(
            "no change of the limits waits to be confirmed: propose one with `stockhouse limits "
            "set`"
        )
    limits, proposer = waiting
    if is_same(by, proposer):
        raise LedgerError(f"{proposer} proposed these limits: another person has to confirm them")
    level, highest = (
        _level(by, now := limits_in_force(unit.connection)),
        max(now.approvers.values(), default=0),
    )
    if level < highest:
        raise LedgerError(f"only a person of level {highest} confirms limits, {by} has {level}")
    unit.add(unit.open(LIMITS), "limits_set", by, limits.to_payload())
    return limits


def _level(by: str, limits: Limits) -> int:
    """A person's level; where no roles are kept everybody has the highest."""
    if not limits.approvers:
        return 99
    return next(
        (level for name, level in limits.approvers.items() if spelt(name) == spelt(by)), BUYER - 1
    )


def last(
    connection: sa.Connection, document_id: str, kind: str | None = None
) -> dict[str, Any] | None:
    """The last event of one of the desk's own documents, of one kind or of any."""
    query = (
        sa.select(events)
        .where(events.c.document_id == document_id)
        .order_by(events.c.version.desc())
        .limit(1)
    )
    query = query if kind is None else query.where(events.c.kind == kind)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def is_stopped(connection: sa.Connection) -> bool:
    """Whether the kill switch is on: nothing leaves until a person resumes."""
    event = last(connection, SWITCH)
    return event is not None and event["kind"] == "stopped"


def number(unit: Unit, lines: Sequence[Document]) -> dict[str, dict[str, str]]:
    """Order and line numbers for lines that get none yet: one order a supplier (or shipping
    location), destination and currency.

    The order is named by the ledger's next sequence number, so no counter can be lost or used
    twice.
    """
    numbered: dict[str, dict[str, str]] = {}
    groups: dict[tuple[str, str, str, str], list[Document]] = {}
    for line in lines:
        if line.order_id:
            numbered[line.document_id] = {"order_id": line.order_id, "line_id": line.line_id}
        else:
            order = (line.kind, line.from_id, line.location_id, line.sold.currency)
            groups.setdefault(order, []).append(line)
    for place, (key, members) in enumerate(sorted(groups.items())):
        order_id = f"{'SHP' if key[0] == 'purchase' else 'SHT'}{unit.seq + 1 + place:08d}"
        for index, line in enumerate(sorted(members, key=lambda d: d.document_id), start=1):
            numbered[line.document_id] = {"order_id": order_id, "line_id": str(index)}
    return numbered


def firm(unit: Unit, references: Sequence[str], by: str) -> list[str]:
    """Fix requisitions against every later plan: from now on they count in the stock position."""
    lines = find(unit, references)
    numbers = number(unit, lines)
    for line in lines:
        unit.add(line, "firmed", by, numbers[line.document_id])
    return [line.document_id for line in lines]


def reject(unit: Unit, references: Sequence[str], by: str, reason: str) -> list[str]:
    """Say no to requisitions: the need is not proposed again in its review period."""
    return [
        _each(unit, line, "rejected", by, {"reason": reason}) for line in find(unit, references)
    ]


def cancel(unit: Unit, references: Sequence[str], by: str, reason: str) -> list[str]:
    """Call off approved lines: the budget is released, and a supplier that knows the order is told
    with the next sending."""
    return [
        _each(unit, line, "cancelled", by, {"reason": reason}) for line in find(unit, references)
    ]


def change(
    unit: Unit, reference: str, by: str, quantity: float | None, due_on: date | None, reason: str
) -> str:
    """Order another quantity or day of an approved line. More money than approved needs a new
    approval: it is refused here."""
    (line,) = find(unit, [reference])
    target = line.quantity if quantity is None else float(quantity)
    day = line.due_on if due_on is None else due_on.isoformat()
    if not line.received < target <= line.quantity:
        raise LedgerError(
            f"{line.document_id}: {target:g} is not between what came ({line.received:g}) and what "
            "was approved "
            f"({line.quantity:g}); cancel the line, or let the plan propose the rest"
        )
    return _each(
        unit,
        line,
        "changed",
        by,
        {"quantity": target, "due_on": day, "unit_cost": line.unit_cost, "reason": reason},
    )


def _each(unit: Unit, line: Document, kind: str, by: str, payload: dict[str, Any]) -> str:
    unit.add(line, kind, by, payload)
    return line.document_id


def approve(
    unit: Unit, references: Sequence[str], by: str, evidence: Mapping[str, Evidence], note: str = ""
) -> list[str]:
    """Approve requisitions as a named person, within that person's level, the daily cap and the
    budget, all or none of them."""
    lines = find(unit, references)
    for name, why in proof.doubts(unit.connection, [line.document_id for line in lines]).items():
        raise LedgerError(f"{name} cannot be approved: {why}; see `stockhouse audit`")
    limits = limits_in_force(unit.connection)
    level = _level(by, limits)
    _refuse_own(unit, lines, by)
    room = _room(unit, limits)
    numbers = number(unit, lines)
    for line in lines:
        known = evidence.get(line.document_id, Evidence())
        if known.override is not None and not line.is_firm:
            raise LedgerError(
                f"{line.document_id} cannot be approved: {known.override} was recorded after it "
                "was planned; run the line again, or end the override"
            )
        verdict = judge(line.kind, line.quantity, line.unit_cost, known, limits)
        if max(verdict.level, BUYER) > level:
            raise LedgerError(
                f"{line.document_id} needs level {max(verdict.level, BUYER)}, {by} has {level}: "
                f"{'; '.join(verdict.reasons)}"
            )
        room -= _spend(line)
        if room < 0:
            raise LedgerError(
                f"{line.document_id}: the daily cap or the budget is used up "
                f"({in_money(-room):,.2f} too much); raise it or wait"
            )
        unit.add(
            line,
            "approved",
            by,
            numbers[line.document_id]
            | {"level": level, "reasons": list(verdict.reasons)}
            | ({"note": note} if note else {}),
        )
    return [line.document_id for line in lines]


def signed(by: str) -> str:
    """A person's name as the record keeps it. Raises LedgerError for none, and for the name of a
    machine."""
    try:
        return person(by)
    except ValueError as error:
        raise LedgerError(str(error)) from error


def _refuse_own(unit: Unit, lines: Sequence[Document], by: str, what: str = "approve it") -> None:
    """Nobody approves or pays what they proposed, or what their override moved, however they spell
    their name."""
    for document_id, actor, mover in moves(unit, [line.document_id for line in lines]):
        if is_same(by, mover):
            told = "proposed" if mover == actor else "moved by an override"
            raise LedgerError(
                f"separation of duties: {document_id} was {told} by {mover}, so {by} cannot {what} "
                "too"
            )


def release_payment(unit: Unit, reference: str, invoice_id: str, by: str) -> None:
    """Propose the payment of one invoice that the match left to people.

    Who releases it has the level that all the line's payments together need, and neither proposed
    nor moved the line. What is paid beyond the approved order has to fit into the daily cap and the
    budget. Raises LedgerError where any of it stands in the way.
    """
    lines = find(unit, [reference])
    if len(lines) != 1:
        raise LedgerError(
            f"{reference} has {len(lines)} lines; name one of them: "
            f"{', '.join(line.document_id for line in lines)}"
        )
    line, limits = lines[0], limits_in_force(unit.connection)
    _refuse_own(unit, [line], by, f"release the payment of {invoice_id}")
    invoice = line.invoices.get(invoice_id)
    amount = line.payable(invoice_id) if invoice else 0
    paid = amount + sum(other.get("amount", 0) for other in line.invoices.values())
    needed = max(judge(line.kind, 1.0, in_money(paid), Evidence(), limits).level, BUYER)
    if needed > (level := _level(by, limits)):
        raise LedgerError(
            f"paying {in_money(paid):,.2f} for {line.document_id} needs level {needed}, {by} has "
            f"{level}"
        )
    beyond = min(paid - _spend(line), amount)
    if beyond > 0 and beyond > _room(unit, limits):
        raise LedgerError(
            f"{line.document_id}: {in_money(beyond):,.2f} beyond the order are more than the daily "
            "cap or the budget leaves"
        )
    propose_payment(unit, line, invoice_id, by)


def approve_within_limits(unit: Unit, evidence: Mapping[str, Evidence]) -> ApprovalReport:
    """Let the matrix approve what needs nobody; the rest waits for people."""
    automatic, waiting = within_limits(unit, evidence, limits_in_force(unit.connection))
    numbers = number(unit, automatic)
    for line in automatic:
        unit.add(line, "approved", MATRIX, numbers[line.document_id] | {"level": 0, "reasons": []})
    return ApprovalReport(tuple(line.document_id for line in automatic), waiting)


def within_limits(
    unit: Unit, evidence: Mapping[str, Evidence], limits: Limits
) -> tuple[list[Document], dict[str, tuple[int, tuple[str, ...]]]]:
    """The requisitions that need nobody, the cheapest first while cap and budget last; and of the
    others who has to approve them, and why."""
    requisitions = unit.read(documents.c.stage == "requisition")
    room = _room(unit, limits)
    automatic: list[Document] = []
    waiting: dict[str, tuple[int, tuple[str, ...]]] = {}
    doubtful = proof.doubts(unit.connection, [line.document_id for line in requisitions])
    for line in sorted(requisitions, key=lambda d: (_spend(d), d.document_id)):
        verdict = judge(
            line.kind,
            line.quantity,
            line.unit_cost,
            evidence.get(line.document_id, Evidence()),
            limits,
        )
        if why := doubtful.get(line.document_id):
            waiting[line.document_id] = (DIRECTOR, (why,))
        elif not verdict.is_automatic:
            waiting[line.document_id] = (verdict.level, verdict.reasons)
        elif _spend(line) > room:
            waiting[line.document_id] = (BUYER, ("the daily cap or the budget is used up",))
        else:
            room -= _spend(line)
            automatic.append(line)
    return automatic, waiting


def propose_payment(unit: Unit, document: Document, invoice_id: str, by: str) -> None:
    """Hand one invoice of a line to accounts payable. Raises LedgerError where there is none, or it
    was handed over before."""
    invoice = document.invoices.get(invoice_id)
    if invoice is None or invoice["status"] == "payment_proposed":
        raise LedgerError(
            f"{document.document_id}: invoice {invoice_id} is "
            f"{'paid for already' if invoice else 'unknown'}"
        )
    amount = document.payable(invoice_id)
    unit.add(document, "payment_proposed", by, {"invoice_id": invoice_id, "amount": amount})


def _spend(line: Document) -> int:
    return line.worth_of(line.quantity) if line.kind == "purchase" else 0


def _room(unit: Unit, limits: Limits) -> float:
    """What may still be approved now, in PARTS: the least of what is left of today's cap and of the
    budget."""
    held = (
        unit.connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(encumbrances.c.amount), 0)))
        or 0
    )
    today = sa.select(sa.func.coalesce(sa.func.sum(encumbrances.c.amount), 0)).select_from(
        encumbrances.join(events, events.c.seq == encumbrances.c.seq)
    )
    spent = (
        unit.connection.scalar(
            today.where(encumbrances.c.day == unit.known_at[:10], events.c.kind == "approved")
        )
        or 0
    )
    rooms: list[tuple[float | None, int]] = [(limits.daily_cap, spent), (limits.budget, held)]
    left = [round(limit * PARTS) - int(used) for limit, used in rooms if limit is not None]
    return min(left, default=float("inf"))
