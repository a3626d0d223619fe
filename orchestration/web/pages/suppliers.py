"""Suppliers: how they deliver, and a page of their own by a signed link, whose answer enters as an
855 would."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.responses import Response

from orchestration.app import snapshot_queries, supplier_answers
from orchestration.app.supplier_answers import Reply
from orchestration.app.supplier_record import supplier_record
from orchestration.web.request_context import NotFoundError, Problem, Visit, act, signed_in, visit

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
Anyone = Annotated[Visit, Depends(visit)]
#: A supplier's page may be opened for so many seconds.
LASTS = 14 * 86400


def signer(one: Visit) -> URLSafeTimedSerializer:
    """What signs the links of suppliers."""
    return URLSafeTimedSerializer(one.room.sessions.key, salt="supplier")


def _page(one: Visit, made: dict[str, str] | None = None) -> Response:
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
        lines = snapshot_queries.lines_of(desk)
        rows = snapshot_queries.remembered(
            desk, "suppliers", lambda: supplier_record(desk)
        ).to_dicts()
    waiting: dict[str, int] = {}
    for line in lines:
        if line.kind == "purchase" and line.stage == "sent":
            waiting[line.from_id] = waiting.get(line.from_id, 0) + 1
    return one.page("suppliers.html.j2", rows=rows, waiting=waiting, made=made, age=age)


@router.get("/suppliers")
def page(one: Viewer) -> Response:
    """How suppliers deliver, and what they have still to confirm."""
    return _page(one)


@router.post("/suppliers/{supplier}/link")
def make_link(one: Planner, supplier: str) -> Response:
    """A link to a supplier's own page; nobody has none."""
    with one.desk() as desk:
        known = supplier_record(desk)["supplier_id"].to_list()
    if supplier not in known:
        raise NotFoundError
    link = f"{str(one.request.base_url).rstrip('/')}/supplier/{signer(one).dumps(supplier)}"
    return _page(one, {"name": supplier, "link": link})


def _supplier_of(one: Visit, secret: str) -> str:
    try:
        return str(signer(one).loads(secret, max_age=LASTS))
    except BadSignature as error:
        raise NotFoundError from error


def _supplier_page(one: Visit, secret: str, problem: Problem | None = None) -> Response:
    supplier = _supplier_of(one, secret)
    with one.desk() as desk:
        lines = supplier_answers.open_lines(desk, supplier)
        world = desk.home.owner or ""
    with snapshot_queries.published(one.room.home) as con:
        names = snapshot_queries.names(con)
        given = {"id": supplier}
        query = "select name from marts.dim_suppliers where supplier_id = $id and is_current"
        known = snapshot_queries.one(con, query, given)
    orders = [(order, list(of)) for order, of in groupby(lines, lambda line: line.order_id)]
    return one.page(
        "supplier.html.j2",
        problem.status if problem else 200,
        problem=problem,
        name=(known or {}).get("name") or supplier,
        world=world,
        orders=orders,
        names=names,
        secret=secret,
    )


@router.get("/supplier/{secret}")
def supplier_page(one: Anyone, secret: str) -> Response:
    """A supplier's own open orders; the link is the key."""
    return _supplier_page(one, secret)


@router.post("/supplier/{secret}")
def answer(one: Anyone, secret: str) -> Response:
    """Hear a supplier's answer through the door its 855 would use, and re-plan in the
    background."""
    supplier, order_id = _supplier_of(one, secret), one.text("order_id", 64)

    def do() -> tuple[str, dict[str, str]]:
        replies = [
            Reply(name.partition(".")[2], one.amount(name), _day(one, name), one.text("reason", 80))
            for name in one.form
            if name.startswith("quantity.")
        ]
        with one.desk() as desk:
            received = supplier_answers.answer(desk, supplier, order_id, replies)
        if refused := [one.reason for one in received if one.status == "rejected"]:
            raise ValueError(refused[0])
        home = one.room.home
        one.room.jobs.start(
            one.words("Re-plan after {name} answered").format(name=supplier),
            supplier,
            lambda tell: supplier_answers.react(home),
        )
        return f"/supplier/{secret}", {"done": "answered"}

    return act(one, do, lambda problem: _supplier_page(one, secret, problem))


def _day(one: Visit, name: str) -> date | None:
    said: Any = one.form.get(name.replace("quantity.", "due."))
    return date.fromisoformat(said) if said else None
