"""What if: the scenarios on the shelf, studies started here, and what they answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from orchestration.app import studies
from orchestration.app.futures_limit import LEAST_FUTURES, MOST_FUTURES, check_futures
from orchestration.web.api.answers import Cursor, Limit, after, page_of, told
from orchestration.web.api.caller import Caller, Reading, may
from orchestration.web.api.problems import RESPONSES, WRITING
from orchestration.web.api.shapes import WHOLE, Body, Id, Name, Utc
from orchestration.web.api.writing import Key, heard, meant, repeated
from orchestration.web.jobs import Job
from orchestration.web.request_context import NotFoundError

router = APIRouter(prefix="/scenarios", tags=["scenarios"], responses=RESPONSES)
Planner = Annotated[Caller, Depends(may("scenarios:write"))]
#: Checked by whom every study is checked by; the schema says the same.
Futures = Annotated[
    int,
    Field(strict=True, json_schema_extra={"minimum": LEAST_FUTURES, "maximum": MOST_FUTURES}),
    WHOLE,
    AfterValidator(check_futures),
]


class OnShelf(BaseModel):
    """A scenario that can be asked; trouble: why it cannot be asked now, or empty."""

    name: str
    title: str
    text: str
    is_ours: bool
    trouble: str


class Shelf(BaseModel):
    """The scenarios there are."""

    rows: list[OnShelf]


class Made(BaseModel):
    """A study that was made: who asked, and when."""

    study_id: str
    by: str
    made_at: Utc


class Answered(Made):
    """A study with its answers."""

    said: dict[str, Any]


class Studies(BaseModel):
    """One page of studies, by their id."""

    next: str
    rows: list[Made]


class Started(BaseModel):
    """A study that is being made. message: how far it is; at its end, the study's id."""

    job_id: str
    status: Literal["waiting", "running", "done", "failed"]
    message: str

    @classmethod
    def of(cls, job: Job) -> Started:
        """A job of the desk."""
        return cls.model_validate(job, from_attributes=True)


class Ask(Body):
    """Which scenarios are asked together, on how many sampled futures."""

    scenarios: Annotated[list[Name], Field(min_length=1, max_length=20)]
    futures: Futures = MOST_FUTURES


@router.get("", response_model=Shelf)
def shelf(one: Reading) -> Response:
    """The scenarios that can be asked: those beside the world's contract, and the desk's own."""
    found = studies.scenario_files(one.room.home)
    rows = [OnShelf.model_validate(file, from_attributes=True) for file in found]
    return told(one, Shelf(rows=rows))


@router.get("/studies", response_model=Studies)
def made(one: Reading, limit: Limit = 50, cursor: Cursor = "") -> Response:
    """The studies on the shelf, by their id."""
    found = sorted(studies.studies(one.room.home), key=lambda study: study.study_id)
    page, more = page_of(found, lambda study: (study.study_id,), after(cursor, str), limit)
    rows = [Made.model_validate(study, from_attributes=True) for study in page]
    return told(one, Studies(next=more, rows=rows))


@router.get("/studies/{study_id}", response_model=Answered)
def study(one: Reading, study_id: Id) -> Response:
    """What a study answered."""
    try:
        found = studies.study_made(one.room.home, study_id)
    except LookupError as error:
        raise NotFoundError(f"there is no study {study_id}") from error
    return told(one, Answered.model_validate(found, from_attributes=True))


@router.get("/jobs/{job_id}", response_model=Started)
def job(one: Reading, job_id: Id) -> Response:
    """How far a study is."""
    found = one.room.jobs.get(job_id)
    if found is None:
        raise NotFoundError(
            f"there is no job {job_id} since the desk was opened; its study, if it was made, is "
            "under /scenarios/studies"
        )
    return told(one, Started.of(found))


@router.post("/studies", response_model=Started, status_code=202, responses=WRITING)
def start(one: Planner, body: Ask, key: Key) -> Response:
    """Ask the twin in the background; sent again, it is the same study, begun anew where the desk
    was closed before it was made."""
    home, me, asked = one.room.home, one.name, meant(one, key, body)
    there = {file.name for file in studies.scenario_files(home)}
    if unknown := [name for name in body.scenarios if name not in there]:
        raise ValueError(f"body.scenarios: there is no scenario '{unknown[0]}' on the shelf")
    before = heard(asked)
    begun = one.room.jobs.start(
        ", ".join(body.scenarios),
        me,
        lambda tell: studies.run_study(home, body.scenarios, body.futures, me, tell),
        asked.request_id[:12],
    )
    answer = told(one, Started.of(begun), status=202)
    answer.headers["location"] = f"/api/v1/scenarios/jobs/{begun.job_id}"
    return repeated(answer, before)
