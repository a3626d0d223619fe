"""Exceptions: what needs a person, the most money at risk first, and what becomes of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import Response

from orchestration.app.procurement import Desk
from orchestration.app.worklist import OPEN, WORKING, work, worklist
from orchestration.web.api.answers import Cursor, Limit, after, listed, page_of, told
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import Age, Body, Day, Done, Filter, Id, Note, cash
from orchestration.web.api.writing import Key, Match, meant, once
from orchestration.web.request_context import NotFoundError

router = APIRouter(prefix="/exceptions", tags=["exceptions"], responses=RESPONSES)
Planner = Annotated[Caller, Depends(may("exceptions:write"))]
Status = Literal["open", "in work", "snoozed", "done"]


class Case(BaseModel):
    """One thing that needs a person. id: of the order line it is about, or empty; version: its
    ETag, for If-Match."""

    case_id: str
    version: int
    status: Status
    severity: str
    kind: str
    id: str
    item_id: str
    item: str
    location_id: str
    value_at_risk: str | None
    currency: str
    reason: str
    owner: str
    until: str
    due: str
    is_overdue: bool
    note: str
    by: str
    came_back: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Case:
        """A row of the worklist."""
        risk = row["value_at_risk"]
        said = {name: row[name] for name in cls.model_fields.keys() - {"value_at_risk", "id"}}
        return cls(
            value_at_risk=None if risk is None else cash(risk, row["currency"]),
            id=row["id"] or "",
            **said,
        )


class Cases(BaseModel):
    """One page of cases. total: how many there are on all pages; next: the cursor of the page
    behind, empty at the end."""

    age: Age
    total: int
    next: str
    rows: list[Case]


class Worked(Body):
    """What becomes of a case: taken (owner, by default oneself; until: by when it is settled),
    asleep until a day, done, or open again."""

    status: Status
    reason: Note = ""
    owner: Filter = ""
    until: Day | None = None


def _rank(row: dict[str, Any]) -> tuple[float, str]:
    """The most at risk first; what nobody can price comes last."""
    risk = row["value_at_risk"]
    return (1.0 if risk is None else -risk, row["case_id"])


@router.get("", response_model=Cases)
def exceptions(
    one: Reading,
    status: Status | Literal["all"] | None = None,
    kind: Filter = "",
    owner: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """What needs a person, the most money at risk first; without a status, what is to do."""
    start = after(cursor, float, str)
    wanted = (OPEN, WORKING) if status is None else (status,)

    def make(desk: Desk) -> BaseModel:
        found = [
            row
            for row in worklist(desk).to_dicts()
            if (status == "all" or row["status"] in wanted)
            and (not kind or row["kind"] == kind)
            and (not owner or row["owner"] == owner)
        ]
        rows, more = page_of(sorted(found, key=_rank), _rank, start, limit)
        cases = [Case.of(row) for row in rows]
        return Cases(age=Age.of(desk), total=len(found), next=more, rows=cases)

    return listed(one, "exceptions", make)


def _found(desk: Desk, case_id: str) -> dict[str, Any]:
    for row in worklist(desk).iter_rows(named=True):
        if row["case_id"] == case_id:
            return row
    raise NotFoundError(f"there is no exception {case_id}")


@router.get("/{case_id}", response_model=Case)
def exception(one: Reading, case_id: Id) -> Response:
    """One case as it is now; its ETag is what a decision sends as If-Match."""
    case = Case.of(_found(one.desk(), case_id))
    return told(one, case, f'"{case.version}"')


@router.post("/{case_id}", response_model=Done, responses=WRITING)
def decide(one: Planner, case_id: Id, body: Worked, key: Key, match: Match) -> Response:
    """Say what becomes of a case: who has it, until when it sleeps, or that it is done."""
    _found(one.desk(), case_id)
    asked = meant(one, key, body, match)
    until = date.fromisoformat(body.until) if body.until else None
    return once(
        asked,
        lambda desk: work(
            desk,
            [case_id],
            one.name,
            body.status,
            body.reason,
            owner=body.owner,
            until=until,
            seen=asked.seen(case_id),
        ),
    )
