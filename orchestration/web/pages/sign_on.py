"""The company's own door: sign in by its identity provider, where the environment names one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from orchestration.web.pages.sign_in import door, let_in, local
from orchestration.web.request_context import NotFoundError, Problem, Visit, problem_of, visit
from orchestration.web.single_sign_on import LASTS, SignOn

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Visit, Depends(visit)]
#: What proves that an answer was asked for by this browser: sent back to this door alone.
COOKIE, PATH = "stockhouse_sign_on", "/sign-in"


def _signer(one: Visit) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(one.room.sessions.key, salt="sign-on")


def _sign_on(one: Visit) -> SignOn:
    if one.room.sign_on is None:
        raise NotFoundError
    return one.room.sign_on


@router.get("/sign-in/elsewhere")
async def elsewhere(one: Anyone, request: Request) -> Response:
    """Go to the provider, and remember where to come back to."""
    sign_on, to = _sign_on(one), local(one.asked("next", "/"))
    begun: dict[str, Any] = {}
    request.scope["session"] = begun
    back = f"{str(request.base_url).rstrip('/')}/sign-in/answer"
    try:
        answer = await sign_on.begin(request, back)
    except Exception as error:
        return await _refused(one, error, to)
    said = _signer(one).dumps({"begun": begun, "next": to, "form": one.asked("form")})
    answer.set_cookie(
        COOKIE,
        said,
        max_age=LASTS,
        path=PATH,
        httponly=True,
        samesite="lax",
        secure=one.room.is_secure,
    )
    return answer


@router.get("/sign-in/answer")
async def answered(one: Anyone, request: Request) -> Response:
    """Let in whom the provider vouches for, where they were going."""
    sign_on = _sign_on(one)
    try:
        said = _signer(one).loads(request.cookies.get(COOKIE, ""), max_age=LASTS)
    except BadSignature:
        said = {"begun": {}, "next": "/", "form": ""}
    request.scope["session"] = said["begun"]
    try:
        who = await sign_on.end(request)
        person = await run_in_threadpool(one.room.people.arrive, who.identity, who.name, who.role)
    except Exception as error:
        return await _refused(one, error, said["next"])
    kept, action = sign_on.forms.take(said["form"])
    inside = await run_in_threadpool(let_in, one, person, said["next"], kept, action)
    inside.delete_cookie(COOKIE, path=PATH)
    return inside


async def _refused(one: Visit, error: Exception, to: str) -> Response:
    """The sign-in page with what the provider's answer lacked."""
    problem = problem_of(error)
    if problem is None:
        raise error
    said = Problem(problem.message, 403)
    return await run_in_threadpool(door, one, to, 403, problem=said)
