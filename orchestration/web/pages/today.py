"""Today: the morning in one look."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from orchestration.app import event_replan, snapshot_queries, supplier_answers
from orchestration.app.home_context import world_of
from orchestration.app.today import today
from orchestration.home import Home
from orchestration.intake.inbox import FILE
from orchestration.web import charts
from orchestration.web.request_context import Visit, signed_in

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]


@router.get("/")
def page(one: Viewer) -> Response:
    """What the machine did, what needs a person, what is at risk, and whether all is in order."""
    home = one.room.home
    with one.desk() as desk:
        now, age = today(desk), snapshot_queries.age(desk)
        news = snapshot_queries.remembered(desk, "news", lambda: _is_news(home), _heard(home))
        is_new = not desk.ledger.history(actor=one.me.name, limit=1)
    rows = [(row["name"], row["value"], "main") for row in now.spend]
    about = one.words("What the plan buys, by supplier")
    return one.page(
        "today.html.j2",
        now=now,
        age=age,
        spend=charts.bars(rows, one.words, about) if rows else None,
        jobs=one.room.jobs.all(),
        hints=is_new and one.may("planner"),
        unanswered=news,
    )


def _is_news(home: Home) -> bool:
    """Whether something has happened that no plan has answered."""
    try:
        return event_replan.unanswered(home, world_of(home)) is not None
    except ValueError:
        return False


def _heard(home: Home) -> int:
    """When the streams last brought anything."""
    inbox = home.inbox / FILE
    return inbox.stat().st_mtime_ns if inbox.exists() else 0


@router.post("/replan")
def replan(one: Planner) -> Response:
    """Re-plan in the background what has happened since the last run."""
    home = one.room.home
    one.room.once(
        one.form.get("intent", ""),
        lambda: one.room.jobs.start(
            one.words("Re-plan"), one.me.name, lambda tell: supplier_answers.react(home)
        ),
    )
    return one.go("/", done="job")
