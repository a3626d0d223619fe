"""Audit and results: who decided what and why, whether the record is whole, and what it was
worth."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from markupsafe import Markup
from starlette.responses import Response

from orchestration.app import snapshot_queries
from orchestration.app.audit_trail import DECISIONS, model_record, override_moves, trail
from orchestration.app.decision_worth import decision_worth
from orchestration.app.results import results
from orchestration.app.snapshot_queries import Row
from orchestration.ledger.audit import audit
from orchestration.ledger.checkpoints import Checkpoints
from orchestration.web import charts
from orchestration.web.request_context import Visit, signed_in
from orchestration.web.translation import UNKNOWN, Words

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]


@router.get("/audit")
def page(one: Viewer) -> Response:
    """The record, the newest first; with ?check=1 it is verified from its first event on."""
    asked = {name: one.asked(name) for name in ("kind", "actor")}
    asked["kind"] = asked["kind"] if asked["kind"] in DECISIONS else ""
    everything, number = bool(one.asked("all")), one.number("page", 1)
    with one.desk() as desk:
        found, more = trail(desk, **asked, everything=everything, page=number)
        moves, record, age = override_moves(desk), model_record(desk), snapshot_queries.age(desk)
        measures = _measures(
            snapshot_queries.remembered(desk, "measures", desk.ledger.measures), one.words
        )
    home = one.room.home
    kept = Checkpoints(home.state)
    checked = audit(home.ledger_url, kept) if one.asked("check") else None
    return one.page(
        "audit.html.j2",
        found=found,
        more=more,
        page=number,
        asked=asked,
        kinds=DECISIONS,
        everything=everything,
        moves=moves,
        record=record,
        measures=measures,
        stairs=_stairs(record["stairs"], one.words),
        checked=checked,
        age=age,
    )


@router.get("/audit/worth")
def worth(one: Viewer) -> Response:
    """What decisions and overrides were worth, settled against what came."""
    with one.desk() as desk:
        found = snapshot_queries.remembered(desk, "worth", lambda: decision_worth(desk))
        age = snapshot_queries.age(desk)
    return one.page("worth.html.j2", found=found, age=age)


def _measures(said: dict[str, Any], words: Words) -> list[tuple[str, str]]:
    """The ledger's own measures, as they are read."""
    took = said["median_decision_to_sent_seconds"]
    return [
        (words("Lines sent"), words.number(said["sent_lines"])),
        (words("Of these no person touched"), words.share(said["straight_through_share"])),
        (
            words("From decision to sent, half of them within"),
            UNKNOWN if took is None else words.lasting(took),
        ),
        (
            words("Lines that went otherwise than agreed"),
            words.number(said["lines_with_exceptions"]),
        ),
        (words("Approved and not billed yet"), words.money(said["encumbered_money"])),
    ]


def _stairs(rows: list[Row], words: Words) -> Markup | None:
    """The error of each method beside the simpler one before it, as stairs."""
    steps = [(words.term(row["method"]), float(row["wape"])) for row in rows]
    about = words("Error by method, from the simplest to the one in service")
    return charts.stairs(steps, words, about) if steps else None


@router.get("/results")
def results_page(one: Viewer) -> Response:
    """Money tied up, service, cost against other rules, bills to come; a page to print."""
    with one.desk() as desk:
        found = snapshot_queries.remembered(desk, "results", lambda: results(desk))
        age = snapshot_queries.age(desk)
    words = one.words
    policies = [
        (
            words.term(row["policy"]),
            {"holding": row["holding_cost"], "shortage": row["shortage_cost"]},
        )
        for row in found.policies
    ]
    cash = [
        (words.short_day(row["week"]), {part: size for part, size in row.items() if part != "week"})
        for row in found.cash
    ]
    about = words("What each policy would have cost")
    days = {row["day"] for row in found.rehearsals}
    over_time = words("Cost by policy, from rehearsal to rehearsal")
    return one.page(
        "results.html.j2",
        r=found,
        age=age,
        policies=charts.stacked(policies, words, about, is_across=True) if policies else None,
        trend=charts.trend(found.rehearsals, words, over_time) if len(days) > 1 else None,
        cash=charts.stacked(cash, words, words("Bills to come, week by week"), is_across=False),
        weekly=_by_week(found.weeks, age.currency, words),
    )


def _by_week(weeks: list[Row], currency: str, words: Words) -> list[tuple[str, Markup]]:
    """Title and picture of what an executive follows from week to week."""
    titles = {
        "fill_rate": (words("Fill rate by week"), ".2~%"),
        "otif_share": (words("Deliveries on time in full, by week"), ".0%"),
        "turns": (words("Turns a year, of the quarter that ends with the week"), ".1f"),
        "stock_value": (words("Stock at cost by week, {currency}", currency=currency), "~s"),
    }
    return [
        (title, charts.weekly(weeks, field, form, title))
        for field, (title, form) in titles.items()
        if any(row[field] is not None for row in weeks)
    ]
