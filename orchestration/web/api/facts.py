"""What is published: how old it is, what is planned by item and place, and the forecast."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from starlette.responses import Response

from orchestration.app.forecasts import MEAN, forecasts
from orchestration.app.items import SORTS, item_list, item_page
from orchestration.app.procurement import Desk
from orchestration.web.api.answers import Cursor, Limit, after, cursor_of, listed
from orchestration.web.api.caller import Reading
from orchestration.web.api.problems import RESPONSES
from orchestration.web.api.shapes import Age, Filter, Utc
from orchestration.web.request_context import NotFoundError

router = APIRouter(tags=["facts"], responses=RESPONSES)


class Items(BaseModel):
    """One page of what is planned, an item at a place a row."""

    age: Age
    total: int
    next: str
    rows: list[dict[str, Any]]


class Item(BaseModel):
    """Everything about one item."""

    age: Age
    about: dict[str, Any]
    places: list[dict[str, Any]]
    coming: list[dict[str, Any]]
    suppliers: list[dict[str, Any]]
    metrics: dict[str, Any]


class Expected(BaseModel):
    """Demand expected of an item at a place in a period; quantile null is the mean."""

    item_id: str
    location_id: str
    period_start: date
    quantile: float | None
    value: float
    model: str
    as_of: Utc


class Forecasts(BaseModel):
    """One page of the published forecast."""

    age: Age
    next: str
    rows: list[Expected]


@router.get("/state", response_model=Age)
def state(one: Reading) -> Response:
    """How old the facts, their publication and the ledger are."""
    return listed(one, "state", Age.of)


@router.get("/items", response_model=Items)
def items(
    one: Reading,
    search: Filter = "",
    location_id: Filter = "",
    sort: Annotated[str, Query(pattern="^(" + "|".join(SORTS) + ")$")] = "risk",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """What is planned, by item and place."""
    start = after(cursor, int)
    page = start[0] if start else 1

    def make(desk: Desk) -> BaseModel:
        found = item_list(one.room.home, search, location_id, "", sort, page, limit)
        more = cursor_of(page + 1) if page * limit < found.total else ""
        rows = jsonable_encoder(found.rows)
        return Items(age=Age.of(desk), total=found.total, next=more, rows=rows)

    return listed(one, "items", make)


@router.get("/items/{item_id:path}", response_model=Item)
def item(one: Reading, item_id: str) -> Response:
    """Everything about one item: places, stock, what is coming, suppliers."""

    def make(desk: Desk) -> BaseModel:
        try:
            found = item_page(desk, item_id)
        except LookupError as error:
            raise NotFoundError("there is no such item") from error
        said = ("about", "places", "coming", "suppliers", "metrics")
        return Item(
            age=Age.of(desk), **{name: jsonable_encoder(getattr(found, name)) for name in said}
        )

    return listed(one, f"item {item_id}", make)


@router.get("/forecasts", response_model=Forecasts)
def expected(
    one: Reading,
    item_id: Filter = "",
    location_id: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """The published forecast, in the order of item, place, period and quantile."""
    start = after(cursor, str, str, str, float)

    def make(desk: Desk) -> BaseModel:
        found = forecasts(one.room.home, item_id, location_id, start, limit + 1)
        rows = [Expected(**row) for row in found[:limit]]
        more = _cursor(rows[-1]) if len(found) > limit else ""
        return Forecasts(age=Age.of(desk), next=more, rows=rows)

    return listed(one, "forecasts", make)


def _cursor(last: Expected) -> str:
    quantile = MEAN if last.quantile is None else last.quantile
    return cursor_of(last.item_id, last.location_id, last.period_start.isoformat(), quantile)
