"""Items: what is planned, paged by the snapshot itself, and one item with all that is known of
it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from orchestration.app import snapshot_queries
from orchestration.app.items import PAGE, SORTS, item_list, item_page
from orchestration.app.known_features import known_features
from orchestration.web import charts
from orchestration.web.request_context import NotFoundError, Visit, problem_of, signed_in

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]


@router.get("/items")
def page(one: Viewer) -> Response:
    """One page of what is planned, searched and sorted."""
    asked = {name: one.asked(name) for name in ("q", "place", "category", "sort")}
    asked["sort"] = asked["sort"] if asked["sort"] in SORTS else "risk"
    number = one.number("page", 1)
    found = item_list(
        one.room.home, asked["q"], asked["place"], asked["category"], asked["sort"], number
    )
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
    return one.page("items.html.j2", found=found, asked=asked, page=number, size=PAGE, age=age)


@router.get("/items/{item}")
def item(one: Viewer, item: str) -> Response:
    """One item: its places, stock, cover, orders, forecast, suppliers and what people did."""
    place = one.asked("place")
    with one.desk() as desk:
        try:
            found = item_page(desk, item, place)
        except LookupError as error:
            raise NotFoundError from error
        age = snapshot_queries.age(desk)
    ahead = found.chart
    return one.page(
        "item.html.j2",
        it=found,
        place=place,
        age=age,
        fan=charts.fan(ahead, one.words) if ahead.ahead else None,
        stock=charts.stock(ahead.stock, one.words) if ahead.stock else None,
    )


@router.get("/items/{item}/known")
def known(one: Viewer, item: str) -> Response:
    """What a model may have known of an item and place on a day; this page asks the warehouse,
    which a run may hold."""
    place, asked, problem, found = one.asked("place"), one.asked("day"), None, None
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
        try:
            found = known_features(desk, item, place, date.fromisoformat(asked) if asked else None)
        except LookupError as error:
            raise NotFoundError from error
        except Exception as error:
            if (problem := problem_of(error)) is None:
                raise
    return one.page(
        "known.html.j2",
        problem.status if problem else 200,
        trouble=problem.message if problem else "",
        found=found,
        item=item,
        place=place,
        day=asked,
        age=age,
    )
