"""Limits: what people set and the machine keeps to; proposed by one, confirmed by a second."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from models.procurement.actors import person
from models.procurement.approval import Limits
from orchestration.app import limits as setting
from orchestration.app.procurement import Desk
from orchestration.ledger.approvals_and_limits import LIMITS
from orchestration.web.api.answers import told
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import WHOLE, Age, Body, Done, Money, Name, money
from orchestration.web.api.writing import Key, Match, meant, once

router = APIRouter(prefix="/limits", tags=["limits"], responses=RESPONSES)
Planner = Annotated[Caller, Depends(may("limits:write"))]
Approver = Annotated[Caller, Depends(may("limits:write", "approver"))]
AMOUNTS = ("auto_amount", "buyer_amount", "manager_amount", "daily_cap", "budget")
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Factor = Annotated[float, Field(strict=True, ge=0, le=1e6, allow_inf_nan=False)]
Level = Annotated[int, Field(strict=True, ge=1, le=3), WHOLE]
Size = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]
Maturity = Literal["shadow", "suggest", "auto"]


class Limit(Body):
    """A limit of the plan: a budget, what a place can hold, what a truck can carry, or the least a
    supplier takes; scope: a place or supplier, or all."""

    name: Literal[
        "budget",
        "capacity",
        "truck_kg",
        "supplier_minimum",
        "supplier_minimum_kg",
        "supplier_minimum_units",
    ]
    scope: Name
    value: Size


class Service(Body):
    """The chance to meet all demand that is promised; scope: an item, place or category, or all."""

    name: Literal["service_level"]
    scope: Name
    value: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)]


class Set(BaseModel):
    """The limits: amounts are of one line, per level; null is no cap or no budget."""

    maturity: Maturity
    auto_amount: str
    buyer_amount: str
    manager_amount: str
    usual_factor: float
    least_complete: float
    worst_risk: float
    asking_categories: list[str]
    daily_cap: str | None
    budget: str | None
    approvers: dict[str, int]
    class_maturity: dict[str, Maturity]
    plan: list[Limit | Service]

    @classmethod
    def of(cls, limits: Limits) -> Set:
        """Limits with their money as decimal text."""
        said = limits.to_payload()
        amounts = {name: money(said[name]) for name in AMOUNTS if said[name] is not None}
        plan = [
            {"name": name, "scope": scope, "value": size}
            for name, _, scope, size in (
                (*key.partition(" "), v) for key, v in said["plan"].items()
            )
        ]
        known = {name: said[name] for name in cls.model_fields} | {"plan": plan}
        return cls(**(known | amounts))


class Standing(BaseModel):
    """What is in force; what waits for a second person, and who proposed it. version: the ETag,
    for If-Match."""

    age: Age
    version: int
    is_stopped: bool
    in_force: Set
    proposed: Set | None
    proposed_by: str


class Changes(Body):
    """The limits that are to be others; what is left out stays."""

    maturity: Maturity = "auto"
    auto_amount: Money = "0"
    buyer_amount: Money = "0"
    manager_amount: Money = "0"
    usual_factor: Factor = 3.0
    least_complete: Share = 0.6
    worst_risk: Share = 0.5
    asking_categories: Annotated[list[Name], Field(max_length=200)] = Field(default_factory=list)
    daily_cap: Money | None = None
    budget: Money | None = None
    approvers: Annotated[dict[str, Level], Field(max_length=200)] = Field(default_factory=dict)
    class_maturity: Annotated[dict[str, Maturity], Field(max_length=200)] = Field(
        default_factory=dict
    )
    plan: Annotated[list[Limit | Service], Field(max_length=500)] = Field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """The limits that were named, as the use case takes them. Raises ValueError for the name
        of nobody."""
        for name in self.approvers:
            person(name)
        named = {name: getattr(self, name) for name in self.model_fields_set}
        amounts = {n: float(named[n]) for n in AMOUNTS if named.get(n) is not None}
        if self.plan:
            named["plan"] = {f"{one.name} {one.scope}": one.value for one in self.plan}
        return named | amounts


@router.get("", response_model=Standing)
def limits(one: Reading) -> Response:
    """The limits in force and what waits; the ETag is what a change sends as If-Match."""
    desk = one.desk()
    waiting, version = desk.ledger.proposed_limits(), _version(desk)
    standing = Standing(
        age=Age.of(desk),
        version=version,
        is_stopped=desk.ledger.is_stopped(),
        in_force=Set.of(desk.ledger.limits()),
        proposed=Set.of(waiting[0]) if waiting else None,
        proposed_by=waiting[1] if waiting else "",
    )
    return told(one, standing, f'"{version}"')


def _version(desk: Desk) -> int:
    return desk.ledger.store.versions([LIMITS])[LIMITS]


@router.post("/propose", response_model=Done, responses=WRITING)
def propose(one: Planner, body: Changes, key: Key, match: Match) -> Response:
    """Propose other limits; they count once a second person has confirmed them."""
    asked = meant(one, key, body, match)
    return once(
        asked,
        lambda desk: setting.propose_limits(desk, body.said(), one.name, asked.seen(LIMITS)),
    )


@router.post("/confirm", response_model=Done, responses=WRITING)
def confirm(one: Approver, body: Body, key: Key, match: Match) -> Response:
    """Put what waits in force, as a second person."""
    asked = meant(one, key, body, match)
    return once(asked, lambda desk: setting.confirm_limits(desk, one.name, asked.seen(LIMITS)))
