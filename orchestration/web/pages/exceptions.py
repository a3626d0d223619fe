"""Exceptions: ranked by the money at risk, taken, snoozed, closed, exported."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends
from starlette.responses import Response

from orchestration.app import snapshot_queries
from orchestration.app.procurement import Desk
from orchestration.app.worklist import DONE, OPEN, WORKING, money_at_risk, work, worklist
from orchestration.web.request_context import NotFoundError, Problem, Visit, act, signed_in
from orchestration.web.tables import as_file, page_of

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
PAGE = 25


def asked_of(one: Visit) -> dict[str, str]:
    """What the list is narrowed by."""
    return {name: one.asked(name) for name in ("q", "status", "kind", "owner", "due")}


def narrowed(cases: pl.DataFrame, asked: dict[str, str]) -> pl.DataFrame:
    """The cases that are asked for; without a status, those that are to do."""
    wanted = [OPEN, WORKING] if not asked["status"] else [asked["status"]]
    if asked["status"] != "all":
        cases = cases.filter(pl.col("status").is_in(wanted))
    if asked["due"]:
        cases = cases.filter("is_overdue")
    for column in ("kind", "owner"):
        if asked[column]:
            cases = cases.filter(pl.col(column) == asked[column])
    if text := asked["q"].lower():
        said = pl.concat_str("item_id", "item", "location_id", "reason", separator=" ")
        cases = cases.filter(said.str.to_lowercase().str.contains(text, literal=True))
    return cases


def _list(one: Visit, problem: Problem | None = None) -> Response:
    with one.desk() as desk:
        cases, age = worklist(desk), snapshot_queries.age(desk)
    asked, number = asked_of(one), one.number("page", 1)
    found = narrowed(cases, asked)
    return one.page(
        "exceptions.html.j2",
        problem.status if problem else 200,
        problem=problem,
        age=age,
        rows=page_of(found, number, PAGE),
        page=number,
        size=PAGE,
        total=len(found),
        value_at_risk=money_at_risk(found),
        asked=asked,
        kinds=cases["kind"].unique().sort().to_list(),
        owners=[name for name in cases["owner"].unique().sort().to_list() if name],
    )


@router.get("/exceptions")
def page(one: Viewer) -> Response:
    """What needs a person, the most at risk first."""
    return _list(one)


@router.get("/exceptions.csv")
def export(one: Viewer) -> Response:
    """The list as it is narrowed, as a file."""
    with one.desk() as desk:
        return as_file(narrowed(worklist(desk), asked_of(one)), "exceptions")


def _work(one: Visit, desk: Desk, cases: list[str]) -> None:
    until = one.form.get("until") or ""
    work(
        desk,
        cases,
        one.me.name,
        one.form.get("to", ""),
        one.text("reason"),
        owner=one.text("owner", 64),
        until=date.fromisoformat(until) if until else None,
        seen={name: version for name, version in one.seen().items() if name in cases},
    )


@router.post("/exceptions")
def bulk(one: Planner) -> Response:
    """Say what becomes of the ticked cases, all of them or none."""

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            _work(one, desk, one.several.get("case", []))
        return "/exceptions", dict(one.request.query_params) | {"done": "cases"}

    return act(one, do, lambda problem: _list(one, problem))


def _case(one: Visit, case_id: str, problem: Problem | None = None) -> Response:
    with one.desk() as desk:
        found = worklist(desk).filter(pl.col("case_id") == case_id).to_dicts()
        history = desk.ledger.history(document_ids=[case_id])
        age = snapshot_queries.age(desk)
    case: dict[str, Any] | None = found[0] if found else None
    if case is None:
        raise NotFoundError
    status = problem.status if problem else 200
    content = {"case": case, "history": history, "age": age, "problem": problem}
    return one.page("case.html.j2", status, **content)


@router.get("/exceptions/{case_id}")
def case_page(one: Viewer, case_id: str) -> Response:
    """One case: what is wrong, what was said so far, and where to act."""
    return _case(one, case_id)


@router.post("/exceptions/{case_id}")
def work_case(one: Planner, case_id: str) -> Response:
    """Say what becomes of one case."""

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            _work(one, desk, [case_id])
        is_done = one.form.get("to") == DONE
        to = "/exceptions" if is_done else f"/exceptions/{case_id}"
        return to, {"done": "case"}

    return act(one, do, lambda problem: _case(one, case_id, problem))
