"""Requisitions and orders: line by line, and what people decide about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import Response

from models.domain import need_id
from models.procurement.documents import Document, in_money
from orchestration.app import procurement, snapshot_queries, worklist
from orchestration.app.order_card import order_card
from orchestration.app.procurement import Desk
from orchestration.web.api.answers import Cursor, Limit, after, listed, page_of, told
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import (
    Age,
    Body,
    Day,
    Done,
    Filter,
    Id,
    Note,
    Reason,
    Units,
    cash,
    money,
)
from orchestration.web.api.writing import Key, Match, decide, line_of

router = APIRouter(tags=["orders"], responses=RESPONSES)
Planner = Annotated[Caller, Depends(may("orders:write"))]
Approver = Annotated[Caller, Depends(may("orders:write", "approver"))]
Stage = Literal[
    "requisition",
    "approved",
    "sent",
    "acknowledged",
    "shipped",
    "partially_received",
    "received",
    "closed",
    "withdrawn",
    "rejected",
    "cancelled",
    "refused",
]


class Order(BaseModel):
    """One order line, from requisition to its end. version: its ETag, for If-Match."""

    document_id: str
    id: str
    version: int
    stage: Stage
    kind: str
    item_id: str
    location_id: str
    from_id: str
    order_id: str
    line_id: str
    quantity: float
    confirmed: float | None
    received: float
    open_quantity: float
    invoiced: float
    unit_cost: str
    value: str
    due_on: str
    asked_on: str
    reason: str
    proposer: str
    approver: str
    is_firm: bool
    exceptions: int

    @classmethod
    def of(cls, line: Document, version: int) -> Order:
        """A line of the ledger at a version."""
        own = {"id", "version", "unit_cost", "value"}
        said = {name: getattr(line, name) for name in cls.model_fields.keys() - own}
        return cls(
            id=need_id(line.intent_key),
            version=version,
            unit_cost=money(line.unit_cost),
            value=cash(in_money(line.worth_of(line.quantity)), line.currency),
            **said,
        )


class Orders(BaseModel):
    """One page of order lines. total: how many there are on all pages; next: the cursor of the
    page behind, empty at the end."""

    age: Age
    total: int
    next: str
    rows: list[Order]


class Explanation(BaseModel):
    """Why a line is what it is. parts add up to the plan's quantity; level: of the person whom the
    approval matrix asks, with reasons."""

    age: Age
    document_id: str
    item: str
    currency: str
    parts: list[tuple[str, float]]
    level: int
    reasons: list[str]
    plan: dict[str, Any] | None
    target: dict[str, Any] | None
    ways: list[dict[str, Any]]
    limits: list[dict[str, Any]]


class Noted(Body):
    """A note that the record keeps beside a decision."""

    note: Note = ""


class Reasoned(Body):
    """Why."""

    reason: Reason


class Changed(Body):
    """What else is wanted of an approved line: units in all (not more than approved), or the
    day."""

    reason: Reason
    quantity: Units | None = None
    due_on: Day | None = None


class Deferred(Body):
    """Until when a line is put aside."""

    reason: Reason
    until: Day


def _all(desk: Desk) -> list[Document]:
    return snapshot_queries.lines_of(desk)


def _page(
    one: Caller, limit: int, cursor: str, asked: Mapping[str, str | None], *, ended: bool
) -> Response:
    start = after(cursor, str)

    def make(desk: Desk) -> BaseModel:
        wanted = {name: value for name, value in asked.items() if value}
        found = [
            line
            for line in _all(desk)
            if (ended or not line.ended)
            and all(getattr(line, name) == value for name, value in wanted.items())
        ]
        lines, more = page_of(found, lambda line: (line.document_id,), start, limit)
        versions = desk.ledger.store.versions([line.document_id for line in lines])
        rows = [Order.of(line, versions[line.document_id]) for line in lines]
        return Orders(age=Age.of(desk), total=len(found), next=more, rows=rows)

    return listed(one, f"orders {asked}", make)


@router.get("/requisitions", response_model=Orders)
def requisitions(
    one: Reading,
    item_id: Filter = "",
    location_id: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """What is proposed and waits for approval, in the order of its document."""
    asked = {"stage": "requisition", "item_id": item_id, "location_id": location_id}
    return _page(one, limit, cursor, asked, ended=False)


@router.get("/orders", response_model=Orders)
def orders(
    one: Reading,
    stage: Stage | None = None,
    kind: Literal["purchase", "transfer"] | None = None,
    item_id: Filter = "",
    location_id: Filter = "",
    from_id: Filter = "",
    order_id: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """Every line that is proposed or under way, or those of one stage, in the order of its
    document."""
    asked = {
        "stage": stage,
        "kind": kind,
        "item_id": item_id,
        "location_id": location_id,
        "from_id": from_id,
        "order_id": order_id,
    }
    return _page(one, limit, cursor, asked, ended=stage is not None or bool(order_id))


@router.get("/orders/{document_id}", response_model=Order)
def order(one: Reading, document_id: Id) -> Response:
    """One line as it is now; its ETag is what a decision sends as If-Match."""
    desk = one.desk()
    line = line_of(desk, document_id)
    version = desk.ledger.store.versions([line.document_id])[line.document_id]
    return told(one, Order.of(line, version), f'"{version}"')


@router.get("/orders/{document_id}/explanation", response_model=Explanation)
def explanation(one: Reading, document_id: Id) -> Response:
    """Why this line: its parts, whom the matrix asks, other ways and limits."""

    def make(desk: Desk) -> BaseModel:
        card = order_card(desk, line_of(desk, document_id).document_id)
        return Explanation(
            age=Age.of(desk),
            document_id=card.line.document_id,
            level=card.verdict.level,
            reasons=list(card.verdict.reasons),
            **{
                name: getattr(card, name)
                for name in ("item", "currency", "parts", "plan", "target", "ways", "limits")
            },
        )

    return listed(one, f"explanation {document_id}", make)


@router.post("/orders/{document_id}/approve", response_model=Done, responses=WRITING)
def approve(one: Approver, document_id: Id, body: Noted, key: Key, match: Match) -> Response:
    """Approve a requisition, within the person's level, the cap and the budget; nobody approves
    what they proposed or moved."""
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: procurement.approve(
            desk, [line.document_id], one.name, seen, body.note
        ),
    )


@router.post("/orders/{document_id}/reject", response_model=Done, responses=WRITING)
def reject(one: Approver, document_id: Id, body: Reasoned, key: Key, match: Match) -> Response:
    """Reject a requisition: its need is not proposed again in its review period."""
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: desk.ledger.reject(
            [line.document_id], one.name, desk.now, body.reason, seen
        ),
    )


@router.post("/orders/{document_id}/firm", response_model=Done, responses=WRITING)
def firm(one: Planner, document_id: Id, body: Body, key: Key, match: Match) -> Response:
    """Firm a requisition: no later plan changes it."""
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: desk.ledger.firm([line.document_id], one.name, desk.now, seen),
    )


@router.post("/orders/{document_id}/cancel", response_model=Done, responses=WRITING)
def cancel(one: Approver, document_id: Id, body: Reasoned, key: Key, match: Match) -> Response:
    """Cancel an approved line; the next sending tells a supplier that knows it."""
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: desk.ledger.cancel(
            [line.document_id], one.name, desk.now, body.reason, seen
        ),
    )


@router.post("/orders/{document_id}/change", response_model=Done, responses=WRITING)
def change(one: Approver, document_id: Id, body: Changed, key: Key, match: Match) -> Response:
    """Order less, or for another day, of an approved line; the next sending tells the supplier."""
    day = date.fromisoformat(body.due_on) if body.due_on else None
    if body.quantity is None and day is None:
        raise ValueError("body: say what changes: quantity, due_on or both")
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: desk.ledger.change(
            line.document_id, one.name, desk.now, body.quantity, day, body.reason, seen
        ),
    )


@router.post("/orders/{document_id}/defer", response_model=Done, responses=WRITING)
def defer(one: Planner, document_id: Id, body: Deferred, key: Key, match: Match) -> Response:
    """Put a line aside until a day: a case that comes back then."""
    until = date.fromisoformat(body.until)
    return decide(
        one,
        document_id,
        key,
        match,
        body,
        lambda desk, line, seen: worklist.defer(desk, line, one.name, body.reason, until, seen),
    )
