"""Overrides: what people know and the data do not; the next plan follows them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from models.replenishment.overrides import Override
from orchestration.app import people_overrides
from orchestration.planning.override_journal import Entry
from orchestration.web.api.answers import Cursor, Limit, after, page_of, told
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import Age, Body, Day, Id, Name, Reason, Utc
from orchestration.web.api.writing import Key, Meant, heard, meant, repeated
from orchestration.web.request_context import NotFoundError

router = APIRouter(prefix="/overrides", tags=["overrides"], responses=RESPONSES)
Planner = Annotated[Caller, Depends(may("overrides:write"))]
Kind = Literal["demand_factor", "quantity", "parameter"]
Column = Literal["item_id", "location_id", "category", "from_id"]
Parameter = Literal["holding_cost", "shortage_cost", "unit_cost", "lead_time_periods"]


class Kept(BaseModel):
    """One override on record."""

    override_id: str
    kind: Kind
    value: float
    parameter: str | None
    scope: dict[str, str]
    reason: str
    expires_on: str | None
    author: str
    known_at: Utc
    ended_at: Utc | None
    ended_by: str | None

    @classmethod
    def of(cls, entry: Entry) -> Kept:
        """An entry of the record."""
        said = entry.as_dict()
        until = said["expires_on"].isoformat() if said["expires_on"] else None
        return cls(**(said | {"expires_on": until}))


class Overrides(BaseModel):
    """One page of overrides, the oldest first."""

    age: Age
    total: int
    next: str
    rows: list[Kept]


class New(Body):
    """What is wanted, for what (all columns of the scope together), why, and until which day it
    holds."""

    kind: Kind
    value: Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]
    scope: Annotated[dict[Column, Name], Field(min_length=1)]
    reason: Reason
    expires_on: Day | None = None
    parameter: Parameter | None = None

    def override(self) -> Override:
        """What is wanted, as the plan takes it. Raises ValueError for what cannot be meant."""
        until = date.fromisoformat(self.expires_on) if self.expires_on else None
        scope = {str(column): said for column, said in self.scope.items()}
        return Override(self.kind, self.value, self.reason, scope, until, self.parameter)


class Ended(Body):
    """Why it ends."""

    reason: Reason


@router.get("", response_model=Overrides)
def overrides(
    one: Reading, every: bool = False, limit: Limit = 50, cursor: Cursor = ""
) -> Response:
    """The overrides that the next plan follows, or every one there ever was."""
    start, desk = after(cursor, int), one.desk()
    found = [
        (_number(entry), entry)
        for entry in people_overrides.standing(one.room.home, everything=every)
    ]
    pairs, more = page_of(found, lambda pair: (pair[0],), start, limit)
    rows = [Kept.of(entry) for _, entry in pairs]
    return told(one, Overrides(age=Age.of(desk), total=len(found), next=more, rows=rows))


def _number(entry: Entry) -> int:
    return int(entry.override_id.rpartition("-")[2])


def _entry(one: Caller, override_id: str) -> Entry:
    for entry in people_overrides.standing(one.room.home, everything=True):
        if entry.override_id == override_id:
            return entry
    raise NotFoundError(f"there is no override {override_id}")


@router.get("/{override_id}", response_model=Kept)
def override(one: Reading, override_id: Id) -> Response:
    """One override as it is now."""
    return told(one, Kept.of(_entry(one, override_id)))


def _again(asked: Meant) -> Entry | None:
    """What this very request recorded or ended when it was first sent; None for a new one."""
    if not heard(asked):
        return None
    entries = people_overrides.standing(asked.one.room.home, everything=True)
    return next((entry for entry in entries if asked.request_id in entry.requests), None)


@router.post("", response_model=Kept, status_code=201, responses=WRITING)
def record(one: Planner, body: New, key: Key) -> Response:
    """Record an override; its author approves nothing that it moves."""
    asked, wanted = meant(one, key, body), body.override()
    if (entry := _again(asked)) is not None:
        return repeated(told(one, _as_recorded(entry), status=201), True)
    entry, _ = people_overrides.record(one.room.home, wanted, one.name, asked.request_id)
    return told(one, _as_recorded(entry), status=201)


def _as_recorded(entry: Entry) -> Kept:
    """An override as it was answered when it was recorded, whatever became of it."""
    return Kept.of(entry).model_copy(update={"ended_at": None, "ended_by": None})


@router.post("/{override_id}/end", response_model=Kept, responses=WRITING)
def end(one: Planner, override_id: Id, body: Ended, key: Key) -> Response:
    """End an override: the next plan is the system's own again."""
    _entry(one, override_id)
    asked = meant(one, key, body)
    if (entry := _again(asked)) is not None:
        return repeated(told(one, Kept.of(entry)), True)
    entry = people_overrides.end(
        one.room.home, override_id, one.name, body.reason, asked.request_id
    )
    return told(one, Kept.of(entry))
