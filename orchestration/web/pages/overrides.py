"""Overrides: what people know and the data do not; previewed, recorded, ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from models.replenishment.overrides import PARAMETERS, Override
from orchestration.app import people_overrides, snapshot_queries
from orchestration.planning.override_journal import parse
from orchestration.web.request_context import Problem, Visit, act, problem_of, signed_in

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
SCOPE = ("item_id", "location_id", "category", "from_id")


def _page(
    one: Visit, problem: Problem | None = None, preview: people_overrides.Preview | None = None
) -> Response:
    everything = bool(one.asked("all"))
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
    entries = people_overrides.standing(one.room.home, everything=everything)[::-1]
    return one.page(
        "overrides.html.j2",
        problem.status if problem else 200,
        problem=problem,
        preview=preview,
        entries=entries,
        everything=everything,
        age=age,
        parameters=[(name, one.words.term(name)) for name in PARAMETERS],
        asked={name: one.asked(name) for name in ("kind", *SCOPE)},
    )


@router.get("/overrides")
def page(one: Viewer) -> Response:
    """The overrides the next plan follows, and a form for another one."""
    return _page(one)


def wanted(one: Visit) -> Override:
    """The override that the form describes. Raises ValueError for what cannot be meant."""
    scope = [f"{name}={said}" for name in SCOPE if (said := one.text(name, 200))]
    if not scope:
        raise ValueError(one.words("Say for what: an item, a place, a category or a source."))
    kind = one.form.get("kind", "")
    parameter = one.form.get("parameter") or None
    return parse(
        kind,
        one.amount("value"),
        one.reason(),
        scope,
        one.form.get("expires_on") or None,
        parameter if kind == "parameter" else None,
    )


@router.post("/overrides")
def record(one: Planner) -> Response:
    """Record an override, or show what it would change and what that costs."""
    if one.form.get("to") == "preview":
        try:
            return _page(one, preview=people_overrides.preview(one.room.home, wanted(one)))
        except Exception as error:
            if (problem := problem_of(error)) is None:
                raise
            return _page(one, problem)

    def do() -> tuple[str, dict[str, str]]:
        people_overrides.record(one.room.home, wanted(one), one.me.name)
        return "/overrides", {"done": "override"}

    return act(one, do, lambda problem: _page(one, problem))


@router.post("/overrides/{override_id}/end")
def end(one: Planner, override_id: str) -> Response:
    """End an override: the next plan is the system's own again."""

    def do() -> tuple[str, dict[str, str]]:
        people_overrides.end(one.room.home, override_id, one.me.name, one.reason())
        return "/overrides", {"done": "ended"}

    return act(one, do, lambda problem: _page(one, problem))
