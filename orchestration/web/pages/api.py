"""The same lists as JSON, for whoever is signed in; described at /api/openapi.json."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel

from orchestration.app import looking
from orchestration.app.items import SORTS, item_list, item_page
from orchestration.app.order_book import order_book
from orchestration.app.order_card import order_card
from orchestration.app.worklist import worklist
from orchestration.web.visit import Visit, signed_in

router = APIRouter(prefix="/api/v1", tags=["desk"])
Viewer = Annotated[Visit, Depends(signed_in())]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Size = Annotated[int, Query(ge=1, le=500)]


class Listing(BaseModel):
    """One page of a list, and how many rows there are in all."""

    total: int
    rows: list[dict[str, Any]]


class State(BaseModel):
    """How old everything is."""

    world: str
    currency: str
    now: str
    version: int
    published_at: str
    events: int


@router.get("/state")
def state(one: Viewer) -> State:
    """How old the facts, their publication and the ledger are."""
    with one.desk() as desk:
        age = looking.age(desk)
    return State(
        world=age.world,
        currency=age.currency,
        now=age.now.isoformat(),
        version=age.version,
        published_at=age.published_at.isoformat(),
        events=age.events,
    )


@router.get("/orders")
def orders(one: Viewer, page: Page = 1, size: Size = 50) -> Listing:
    """Every line that is proposed or under way, the largest value first."""
    with one.desk() as desk:
        book = order_book(desk)
    return Listing(total=len(book), rows=book.slice((page - 1) * size, size).to_dicts())


@router.get("/orders/{line}", responses={404: {"description": "There is no such line."}})
def order(one: Viewer, line: str) -> dict[str, Any]:
    """Everything about one line, with the parts that add up to its quantity."""
    with one.desk() as desk:
        try:
            card = order_card(desk, line)
        except LookupError as error:
            raise HTTPException(404, "there is no such line") from error
    content: dict[str, Any] = jsonable_encoder(card)
    return content


@router.get("/exceptions")
def exceptions(one: Viewer, page: Page = 1, size: Size = 50) -> Listing:
    """What needs a person, the most at risk first."""
    with one.desk() as desk:
        cases = worklist(desk)
    return Listing(total=len(cases), rows=cases.slice((page - 1) * size, size).to_dicts())


@router.get("/items")
def items(
    one: Viewer,
    search: Annotated[str, Query(max_length=200)] = "",
    sort: Annotated[str, Query(pattern="^(" + "|".join(SORTS) + ")$")] = "risk",
    page: Page = 1,
    size: Size = 50,
) -> Listing:
    """What is planned, by item and location."""
    found = item_list(one.room.home, search, "", "", sort, page, size)
    return Listing(total=found.total, rows=jsonable_encoder(found.rows))


@router.get("/items/{item}", responses={404: {"description": "There is no such item."}})
def item(one: Viewer, item: str) -> dict[str, Any]:
    """Everything about one item."""
    with one.desk() as desk:
        try:
            found = item_page(desk, item)
        except LookupError as error:
            raise HTTPException(404, "there is no such item") from error
    content: dict[str, Any] = jsonable_encoder(found)
    return content
