"""What if: scenarios on the shelf, studies started here, and what they answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, Response

from models.labels import IMPOSSIBLE
from models.twin.counter_measures import NOTHING
from models.twin.event_effects import KINDS
from models.twin.trust import TRUSTED
from orchestration.app import snapshot_queries, studies
from orchestration.app.futures_limit import LEAST_FUTURES, MOST_FUTURES, check_futures
from orchestration.app.scenario_answers import SHELF_WORDS, trust_in_words
from orchestration.app.scenario_fit import outside_in_words
from orchestration.app.scenarios import read_calibration
from orchestration.app.snapshot_queries import Row
from orchestration.reports.study_report import POLICY
from orchestration.web.request_context import NotFoundError, Problem, Visit, act, signed_in
from orchestration.web.tables import as_file
from orchestration.web.translation import Words

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]
Planner = Annotated[Visit, Depends(signed_in("planner"))]
Approver = Annotated[Visit, Depends(signed_in("approver"))]
#: So many items and lanes stand on a study's page; its report and table have them all.
SHOWN = 12


def _page(one: Visit, problem: Problem | None = None) -> Response:
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
    return one.page(
        "scenarios.html.j2",
        problem.status if problem else 200,
        problem=problem,
        age=age,
        files=studies.scenario_files(one.room.home),
        studies=studies.studies(one.room.home),
        jobs=one.room.jobs.all(),
        span={"min": LEAST_FUTURES, "max": MOST_FUTURES},
        kinds=[(name, one.words.term(name)) for name, kind in KINDS.items() if not kind.words],
    )


@router.get("/scenarios")
def page(one: Viewer) -> Response:
    """The studies that were made, and the scenarios that can be asked."""
    return _page(one)


@router.post("/scenarios")
def write(one: Planner) -> Response:
    """Put a scenario of one effect on the shelf."""

    def do() -> tuple[str, dict[str, str]]:
        pairs = [part.partition("=") for part in one.text("scope").split(",") if part.strip()]
        kind = one.form.get("kind", "")
        size = one.amount("size") if one.text("size") else None
        studies.write_scenario(
            one.room.home,
            one.text("title", 120),
            kind,
            {name.strip(): value.strip() for name, _, value in pairs},
            (KINDS[kind].word or "") if kind in KINDS else "",
            size,
            date.fromisoformat(one.form.get("starts_on", "")),
            date.fromisoformat(one.form.get("ends_on", "")),
        )
        return "/scenarios", {"done": "scenario"}

    return act(one, do, lambda problem: _page(one, problem))


@router.post("/scenarios/run")
def run(one: Planner) -> Response:
    """Start a study in the background."""

    def do() -> tuple[str, dict[str, str]]:
        chosen = one.several.get("scenario", [])
        futures = check_futures(int(one.amount("futures")))
        if not chosen:
            raise ValueError(one.words("Tick at least one scenario."))
        home, me = one.room.home, one.me.name
        titles = {file.name: file.title for file in studies.scenario_files(home)}
        answered = one.words("it is among the studies")

        def ask(tell: Callable[[str], None]) -> str:
            studies.run_study(home, chosen, futures, me, tell)
            return answered

        one.room.jobs.start("; ".join(titles.get(name, name) for name in chosen), me, ask)
        return "/scenarios", {"done": "job"}

    return act(one, do, lambda problem: _page(one, problem))


@router.get("/scenarios/calibration")
def calibration(one: Viewer) -> Response:
    """The twin against counts: how far its stock lay from what was counted, by class and place."""
    with one.desk() as desk:
        age, errors = snapshot_queries.age(desk), read_calibration(one.room.home, desk.now)
    rows = [] if errors is None else errors.sort("error", descending=True).to_dicts()
    return one.page(
        "calibration.html.j2",
        age=age,
        rows=rows,
        trust=_trust(errors, one.words),
        is_trusted=all(row["is_trusted"] for row in rows) and bool(rows),
        most=TRUSTED,
    )


@router.get("/scenarios/{study_id}")
def study_page(one: Viewer, study_id: str) -> Response:
    """What a study answered."""
    with one.desk() as desk:
        age = snapshot_queries.age(desk)
    home, words = one.room.home, one.words
    try:
        made = studies.study_made(home, study_id)
        names = [answer["scenario"] for answer in made.said["scenarios"]]
        moved = {
            name: _most_moved(studies.table(home, study_id, f"{name}_lanes")) for name in names
        }
    except LookupError as error:
        raise NotFoundError from error
    return one.page(
        "study.html.j2",
        one=made,
        age=age,
        moved=moved,
        outside=lambda row: outside_in_words(row, words, words.term, words.number, words.day),
        trust=_trust(pl.DataFrame(made.said["trust"]["classes"]), one.words),
        nothing=NOTHING,
        impossible=IMPOSSIBLE,
        spoils=SHELF_WORDS,
    )


def _most_moved(lanes: pl.DataFrame) -> list[Row]:
    """The items and lanes whose margin a scenario moves most, the largest first."""
    moved = lanes.filter(pl.col("margin_difference") != 0)
    return moved.sort(pl.col("margin_difference").abs(), descending=True).head(SHOWN).to_dicts()


def _trust(errors: pl.DataFrame | None, words: Words) -> str:
    return trust_in_words(errors, words, words.share)


@router.get("/scenarios/{study_id}/report.html")
def report(one: Viewer, study_id: str) -> Response:
    """A study's report as it was written, a stranger to the desk's own pages."""
    try:
        text = studies.report(one.room.home, study_id)
    except LookupError as error:
        raise NotFoundError from error
    return HTMLResponse(text, headers={"content-security-policy": POLICY})


@router.post("/scenarios/{study_id}/promote")
def promote(one: Approver, study_id: str) -> Response:
    """Order, in the background, what a study advises for a scenario."""
    scenario, home, me = one.text("scenario", 200), one.room.home, one.me.name

    def do() -> tuple[str, dict[str, str]]:
        title = one.words("Order what {name} advises").format(name=scenario)
        one.room.jobs.start(
            title, me, lambda tell: studies.promote(home, study_id, scenario, me, tell)
        )
        return "/scenarios", {"done": "job"}

    return act(one, do, lambda problem: _page(one, problem))


@router.get("/scenarios/{study_id}/{name}.csv")
def table(one: Viewer, study_id: str, name: str) -> Response:
    """A table of a study, as a file."""
    try:
        return as_file(studies.table(one.room.home, study_id, name), name)
    except LookupError as error:
        raise NotFoundError from error
