"""Limits and autonomy: shown, previewed, proposed, confirmed by a second person; and the kill
switch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends
from starlette.responses import Response

from models.procurement.approval import PLAN_LIMITS
from orchestration.app import limits as setting
from orchestration.app import plan_limits as planned
from orchestration.app import snapshot_queries
from orchestration.app.people_overrides import Preview
from orchestration.app.plan_limits import PlanLimit
from orchestration.ledger.approvals_and_limits import LIMITS, SWITCH
from orchestration.web.request_context import (
    Problem,
    Visit,
    WrongRoleError,
    act,
    problem_of,
    signed_in,
)
from orchestration.web.translation import UNKNOWN

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
Approver = Annotated[Visit, Depends(signed_in("approver"))]
NUMBERS = (
    "auto_amount",
    "buyer_amount",
    "manager_amount",
    "usual_factor",
    "least_complete",
    "worst_risk",
)
#: Limits that may be left out: nothing is held back by them then.
OPTIONAL = ("daily_cap", "budget")
#: What the field of a limit of the plan is called before its name.
PLAN = "plan."
#: Days on which nobody delivers or receives, as the company's books say.
CLOSED = """
select * from marts.dim_holidays where day >= $today order by day limit 12
"""
#: What the field of a class is called before its name.
CLASS = "class."
KINDS = ("limits_proposed", "limits_set", "stopped", "resumed")


@dataclass(frozen=True)
class Priced:
    """Other limits of the plan, and what the plan would be with them."""

    wanted: dict[str, float]
    preview: Preview


def _page(
    one: Visit,
    problem: Problem | None = None,
    previewed: dict[str, Any] | None = None,
    priced: Priced | None = None,
) -> Response:
    with one.desk() as desk:
        said, age = setting.show_limits(desk), snapshot_queries.age(desk)
        changes = {name: then for name, (_, then) in (said.changes or {}).items()}
        asked = {name: pair[1] for name, pair in (previewed or {}).items()} or changes
        effect = setting.effect(desk, asked) if asked else None
        history = desk.ledger.history(KINDS, [LIMITS, SWITCH], limit=12)
        version = desk.ledger.store.versions([LIMITS])[LIMITS]
        is_stopped = desk.ledger.is_stopped()
        mode = snapshot_queries.remembered(desk, "autonomy", lambda: setting.autonomy(desk))
        of_plan = planned.plan_limits(desk)
        classes = snapshot_queries.remembered(desk, "classes", lambda: setting.class_records(desk))
    with snapshot_queries.published(one.room.home) as con:
        used = snapshot_queries.rows(con, "select * from decisions.limits order by 1, name")
        closed = snapshot_queries.rows(con, CLOSED, {"today": age.now.date()})
    approvers = "\n".join(f"{name}: {level}" for name, level in said.in_force.approvers.items())
    return one.page(
        "limits.html.j2",
        problem.status if problem else 200,
        problem=problem,
        said=said,
        mode=mode,
        classes=classes,
        age=age,
        effect=effect,
        previewed=previewed,
        history=history,
        version=version,
        is_stopped=is_stopped,
        used=used,
        of_plan=of_plan,
        closed=closed,
        priced=priced,
        names=[(name, one.words.term(name)) for name in PLAN_LIMITS],
        spread=lambda pairs: _spread(one, pairs, of_plan),
        approvers=approvers,
        shown=lambda value: _shown(one, value),
    )


def _spread(
    one: Visit, pairs: Mapping[str, tuple[Any, Any]], known: list[PlanLimit]
) -> list[tuple[str, Any, Any]]:
    """Changed limits line by line; of those that have parts, the parts that change, beside what
    holds now."""
    holds = {limit.key: limit.value for limit in known}
    found: list[tuple[str, Any, Any]] = []
    for name, (now, then) in pairs.items():
        if not isinstance(then, dict):
            found.append((one.words.term(name), now, then))
            continue
        before = holds | now if name == "plan" else now
        found += [
            (f"{one.words.term(name)}: {part}", before.get(part), then.get(part))
            for part in sorted(now.keys() | then.keys())
            if now.get(part) != then.get(part)
        ]
    return found


def _shown(one: Visit, value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, dict):
        return ", ".join(f"{name}: {level}" for name, level in value.items()) or UNKNOWN
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or UNKNOWN
    return one.words(value) if isinstance(value, str) else one.words.number(value, 2)


@router.get("/limits")
@router.get("/limits/plan")
def page(one: Viewer) -> Response:
    """The limits in force, what waits for a second person, and the kill switch."""
    return _page(one)


def asked_for(one: Visit) -> dict[str, Any]:
    """The limits of the form, or of the uploaded file. Raises ValueError for what is none."""
    if sheet := one.files.get("sheet"):
        return from_file(sheet)
    found: dict[str, Any] = {"maturity": one.form.get("maturity", "")}
    found |= {name: one.amount(name) for name in NUMBERS}
    found |= {name: one.amount(name) if one.text(name) else None for name in OPTIONAL}
    asking = one.text("asking_categories").split(",")
    found["asking_categories"] = [name.strip() for name in asking if name.strip()]
    found["class_maturity"] = {
        name.removeprefix(CLASS): mode
        for name, mode in one.form.items()
        if name.startswith(CLASS) and mode
    }
    levels = yaml.safe_load(one.text("approvers", 20_000)) or {}
    if not isinstance(levels, dict):
        raise ValueError(one.words("Who may approve is written as one “name: level” a line."))
    found["approvers"] = {str(name): level for name, level in levels.items()}
    return found


def from_file(content: bytes) -> dict[str, Any]:
    """Limits out of an uploaded YAML text or Excel sheet (name, value). Raises ValueError for
    another file."""
    if not content.startswith(b"PK"):
        return setting.read_limits(content)
    from openpyxl import load_workbook  # noqa: PLC0415 - only for an upload

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        rows = [row[:2] for row in book.worksheets[0].iter_rows(max_row=100, values_only=True)]
    except Exception as error:
        raise ValueError(f"the workbook cannot be read: {error}") from error
    pairs = [f"{row[0]}={row[1]}" for row in rows if len(row) == 2 and None not in row]
    return setting.parse_limits(pairs)


@router.post("/limits")
def propose(one: Planner) -> Response:
    """Propose other limits, or show what they would change."""
    if one.form.get("to") == "preview":
        try:
            with one.desk() as desk:
                now = desk.ledger.limits()
                changed = dict(now.differences(now.changed(asked_for(one))))
            return _page(one, previewed=changed)
        except Exception as error:
            if (problem := problem_of(error)) is None:
                raise
            return _page(one, problem)

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            setting.propose_limits(desk, asked_for(one), one.me.name, one.seen())
        return "/limits", {"done": "proposed"}

    return act(one, do, lambda problem: _page(one, problem))


def _wanted(one: Visit, known: list[PlanLimit]) -> dict[str, float]:
    """The limits of the plan that the form, its file, or a preview asks for and that hold not yet.

    Raises ValueError where there are none.
    """
    said: dict[str, Any] = {
        name.removeprefix(PLAN): one.amount(name) for name in one.form if name.startswith(PLAN)
    }
    if sheet := one.files.get("book"):
        said |= planned.from_workbook(sheet)
    elif not said:
        scope = one.text("scope", 200) or "all"
        said = {f"{one.form.get('limit', '')} {scope}": one.amount("value")}
    holds = {limit.key: limit.value if limit.coming is None else limit.coming for limit in known}
    wanted = {key: size for key, size in said.items() if holds.get(key) != size}
    if not wanted:
        raise ValueError(one.words("These limits hold already: nothing would change."))
    return wanted


@router.post("/limits/plan")
def plan(one: Planner) -> Response:
    """Propose other limits of the plan, or show what they would change and cost."""
    if one.form.get("to") == "preview":
        try:
            with one.desk() as desk:
                wanted = _wanted(one, planned.plan_limits(desk))
                desk.ledger.limits().changed({"plan": wanted})
                priced = Priced(wanted, planned.preview(desk, wanted))
            return _page(one, priced=priced)
        except Exception as error:
            if (problem := problem_of(error)) is None:
                raise
            return _page(one, problem)

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            wanted = _wanted(one, planned.plan_limits(desk))
            setting.propose_limits(desk, {"plan": wanted}, one.me.name, one.seen())
        return "/limits", {"done": "proposed"}

    return act(one, do, lambda problem: _page(one, problem))


@router.post("/limits/confirm")
def confirm(one: Approver) -> Response:
    """Put what waits in force, as a second person, as it was when the page was made."""

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            setting.confirm_limits(desk, one.me.name, one.seen())
        return "/limits", {"done": "confirmed"}

    return act(one, do, lambda problem: _page(one, problem))


@router.post("/limits/switch")
def switch(one: Planner) -> Response:
    """Stop everything, or let orders go again."""
    resumes = one.form.get("to") == "resume"
    if resumes and not one.may("approver"):
        raise WrongRoleError(one, "approver")

    def do() -> tuple[str, dict[str, str]]:
        with one.desk() as desk:
            turn = desk.ledger.resume if resumes else desk.ledger.stop
            turn(one.me.name, desk.now, one.reason())
        return "/limits", {"done": "resumed" if resumes else "stopped"}

    return act(one, do, lambda problem: _page(one, problem))
