"""Orders: the book, the card that explains one line, and what people decide about it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends
from starlette.responses import Response

from models.procurement.documents import Document
from models.replenishment.explain import part_in_words
from models.replenishment.overrides import Override
from orchestration.app import people_overrides, procurement, snapshot_queries
from orchestration.app.order_book import order_book
from orchestration.app.order_card import find_line, order_card
from orchestration.app.procurement import Desk
from orchestration.app.worklist import defer, with_cases
from orchestration.facts.trace import UNPRINTED, trace
from orchestration.web import charts
from orchestration.web.request_context import (
    NotFoundError,
    Problem,
    Visit,
    WrongRoleError,
    act,
    signed_in,
)
from orchestration.web.tables import as_file, page_of

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
Approver = Annotated[Visit, Depends(signed_in("approver"))]
PAGE = 50
SORTS = {"item": "item", "quantity": "quantity", "value": "value", "due": "due_on"}
#: What only an approver may do to a line.
APPROVING = ("approve", "reject", "alter", "cancel")


def asked_of(one: Visit) -> dict[str, str]:
    """What the book is narrowed and sorted by."""
    asked = {name: one.asked(name) for name in ("q", "status", "kind", "place", "sort")}
    return asked | {"sort": asked["sort"] if asked["sort"] in SORTS else "value"}


def narrowed(book: pl.DataFrame, asked: dict[str, str]) -> pl.DataFrame:
    """The lines that are asked for, in the asked order."""
    for name, column in (("kind", "kind"), ("place", "location_id"), ("status", "status")):
        if asked[name]:
            book = book.filter(pl.col(column) == asked[name])
    if text := asked["q"].lower():
        said = pl.concat_str("item_id", "item", "from_id", "order_id", "id", separator=" ")
        book = book.filter(said.str.to_lowercase().str.contains(text, literal=True))
    falls = asked["sort"] in ("value", "quantity")
    return book.sort(SORTS[asked["sort"]], "id", descending=[falls, False])


def _book(desk: Desk, asked: dict[str, str]) -> pl.DataFrame:
    ended = asked["status"] in ("rejected", "cancelled", "refused", "closed", "withdrawn")
    if ended:
        return with_cases(desk, order_book(desk, [asked["status"]]))
    return snapshot_queries.remembered(desk, "book", lambda: with_cases(desk, order_book(desk)))


def stages_of(desk: Desk) -> list[str]:
    """How far any line is."""
    return sorted({line.stage for line in snapshot_queries.lines_of(desk)})


def _list(one: Visit, problem: Problem | None = None) -> Response:
    asked, number = asked_of(one), one.number("page", 1)
    with one.desk() as desk:
        stages = snapshot_queries.remembered(desk, "stages", lambda: stages_of(desk))
        asked["status"] = asked["status"] if asked["status"] in stages else ""
        book = _book(desk, asked)
        found = narrowed(book, asked)
        rows = page_of(found, number, PAGE)
        versions = desk.ledger.store.versions([str(row["document_id"]) for row in rows])
        age, is_stopped = snapshot_queries.age(desk), desk.ledger.is_stopped()
    return one.page(
        "orders.html.j2",
        problem.status if problem else 200,
        problem=problem,
        age=age,
        rows=rows,
        versions=versions,
        page=number,
        size=PAGE,
        total=len(found),
        value=found["value"].sum(),
        asked=asked,
        stages=stages,
        locations=book["location_id"].unique().sort().to_list(),
        is_stopped=is_stopped,
    )


@router.get("/orders")
def page(one: Viewer) -> Response:
    """Every line that is proposed or under way."""
    return _list(one)


@router.get("/orders.csv")
def export(one: Viewer) -> Response:
    """The book as it is narrowed, as a file."""
    with one.desk() as desk:
        asked = asked_of(one)
        return as_file(narrowed(_book(desk, asked), asked), "orders")


@router.post("/orders")
def bulk(one: Approver) -> Response:
    """Approve or reject the ticked lines, all of them or none."""
    lines, to = one.several.get("line", []), one.form.get("to", "")

    def do() -> tuple[str, dict[str, str]]:
        if not lines:
            raise ValueError(one.words("Tick at least one line."))
        seen = {name: version for name, version in one.seen().items() if name in lines}
        with one.desk() as desk:
            if to == "approve":
                procurement.approve(desk, lines, one.me.name, seen, one.text("reason"))
            else:
                desk.ledger.reject(lines, one.me.name, desk.now, one.reason(), seen)
        return "/orders", dict(one.request.query_params) | {"done": to}

    return act(one, do, lambda problem: _list(one, problem))


@router.post("/send")
def send(one: Approver) -> Response:
    """Send what is approved to the suppliers; the kill switch holds it back."""

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            report = desk.ledger.send(desk.partners, desk.now)
        if report.is_stopped:
            raise ValueError(one.words("The kill switch is on: nothing is sent."))
        return "/orders", {"done": "sent"}

    return act(one, do, lambda problem: _list(one, problem))


def _card(one: Visit, line_id: str, problem: Problem | None = None) -> Response:
    with one.desk() as desk:
        try:
            card = order_card(desk, line_id)
        except LookupError as error:
            raise NotFoundError from error
        age = snapshot_queries.age(desk)
    words, seen = one.words, card.chart
    parts = [(words(part_in_words(name, size)), size) for name, size in card.parts]
    total = card.plan["quantity"] if card.plan else 0.0
    return one.page(
        "order.html.j2",
        problem.status if problem else 200,
        problem=problem,
        card=card,
        age=age,
        part_words=part_in_words,
        waterfall=charts.waterfall(parts, total, words) if parts else None,
        fan=charts.fan(seen, words) if seen.ahead else None,
        stock=charts.stock(seen.stock, words) if seen.stock else None,
    )


@router.get("/orders/{line_id}")
def card_page(one: Viewer, line_id: str) -> Response:
    """Why this quantity, what happens with and without it, and who did what."""
    return _card(one, line_id)


@router.post("/orders/{line_id}/decide")
def decide(one: Planner, line_id: str) -> Response:
    """Approve, reject, firm, change, defer or cancel a line, as it was when the page was made."""
    to = one.form.get("to", "")
    if to in APPROVING and not one.may("approver"):
        raise WrongRoleError(one, "approver")

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            try:
                line = find_line(desk, line_id)
            except LookupError as error:
                raise NotFoundError from error
            _decide(one, desk, line, to)
        return f"/orders/{line.document_id}", {"done": to}

    return act(one, do, lambda problem: _card(one, line_id, problem))


def _decide(one: Visit, desk: Desk, line: Document, to: str) -> None:
    name, me, seen = line.document_id, one.me.name, one.seen()
    if to == "approve":
        procurement.approve(desk, [name], me, seen, one.text("reason"))
    elif to == "reject":
        desk.ledger.reject([name], me, desk.now, one.reason(), seen)
    elif to == "firm":
        desk.ledger.firm([name], me, desk.now, seen)
    elif to == "cancel":
        desk.ledger.cancel([name], me, desk.now, one.reason(), seen)
    elif to == "alter":
        day = date.fromisoformat(one.form["due_on"]) if one.form.get("due_on") else None
        desk.ledger.change(name, me, desk.now, one.amount("quantity"), day, one.reason(), seen)
    elif to == "change":
        _override(one, desk, line)
    elif to == "defer":
        day = date.fromisoformat(one.form.get("until", ""))
        defer(desk, line, me, one.reason(), day)
    else:
        raise ValueError(f"'{to}' is nothing a person does to a line")


def _override(one: Visit, desk: Desk, line: Document) -> None:
    """Another quantity for a requisition: an override of its item and place, for a while."""
    desk.ledger.store.check(one.seen())
    override = Override(
        "quantity",
        one.amount("quantity"),
        one.reason(),
        {"item_id": line.item_id, "location_id": line.location_id},
        date.fromisoformat(one.form.get("expires_on", "")),
        None,
    )
    people_overrides.record(desk.home, override, one.me.name)


@router.get("/orders/{line_id}/lineage")
def lineage(one: Viewer, line_id: str) -> Response:
    """From the line back to the rows of the files that caused it; this page alone asks the
    warehouse, which a run may hold."""
    with one.desk() as desk:
        need = procurement.line_named(desk.home, line_id)
        age = snapshot_queries.age(desk)
    with one.room.home.connect(read_only=True) as con:
        report = trace(con, one.room.home.archive, need)
    return one.page(
        "lineage.html.j2", report=report, age=age, hidden=UNPRINTED, back=f"/orders/{line_id}"
    )
