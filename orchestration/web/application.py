"""The desk as an application: its rooms, what guards them, and what is said when something goes
wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from orchestration.app import webhook_watch
from orchestration.errors import StockhouseError, translate
from orchestration.facts.published_snapshots import PublishError
from orchestration.home import Home
from orchestration.web import api, charts
from orchestration.web.api import problems
from orchestration.web.api.problems import ProblemError
from orchestration.web.guard import HEADERS, Guard, TooLargeError
from orchestration.web.jobs import Jobs
from orchestration.web.open_sources import Held
from orchestration.web.pages import (
    audit,
    exceptions,
    items,
    limits,
    orders,
    overrides,
    scenarios,
    sign_in,
    sign_on,
    suppliers,
    today,
    views,
)
from orchestration.web.people import People, secret_of
from orchestration.web.rendering import STATIC
from orchestration.web.request_context import (
    ForgedError,
    NotFoundError,
    NotSignedInError,
    Room,
    Visit,
    WrongRoleError,
    bare,
)
from orchestration.web.sessions import Sessions
from orchestration.web.single_sign_on import Provider, SignOn
from orchestration.web.tokens import Tokens
from orchestration.web.translation import Words
from orchestration.web.views import Views

#: What a request may be refused for: its status, its title, and what to do about it.
REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    ForgedError: (
        403,
        "This form is too old",
        "It was opened before you last signed in, or came from elsewhere. Nothing was done: open "
        "the page again.",
    ),
    NotFoundError: (
        404,
        "There is no such page",
        "It may have been withdrawn by a newer plan, or the address is cut off.",
    ),
    TooLargeError: (
        413,
        "That is too much",
        "A form or file may have 2 MB. Nothing was done.",
    ),
    WrongRoleError: (
        403,
        "Your role does not reach so far",
        "Nothing was done. Ask somebody who may, or an admin for another role.",
    ),
}

ROOMS = (
    today,
    exceptions,
    orders,
    items,
    overrides,
    limits,
    scenarios,
    suppliers,
    audit,
    sign_in,
    sign_on,
    views,
)


def create_app(
    home: Home,
    *,
    hosts: tuple[str, ...] = (),
    is_secure: bool = False,
    provider: Provider | None = None,
) -> FastAPI:
    """The desk of one home. hosts: the names it answers to; is_secure: it is reached by HTTPS;
    provider: whose word lets people in beside their passwords."""
    sessions = Sessions(secret_of(home.derived))
    people = People(home)
    room = Room(
        home,
        people,
        Tokens(home, people),
        sessions,
        Jobs(),
        Held(home),
        Views(home),
        is_secure=is_secure,
        sign_on=SignOn(provider) if provider else None,
    )

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        stop = Event()
        webhook_watch.begin(home)
        Thread(target=_warm_up, daemon=True).start()
        Thread(target=webhook_watch.follow, args=(home, stop), daemon=True).start()
        yield
        stop.set()
        room.jobs.close()
        room.held.close()

    app = FastAPI(
        title="Stockhouse",
        summary="The planner's desk for ERPs and scripts.",
        description=api.__doc__ or "",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{api.PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,  # what generated clients call it
        lifespan=life,
    )
    app.state.room = room
    for module in ROOMS:
        app.include_router(module.router)
    app.include_router(api.router)
    app.mount("/static", Kept(directory=STATIC), name="static")
    for kind in (*REFUSALS, HTTPException, RequestValidationError, ProblemError):
        app.add_exception_handler(kind, _refused)
    for kind in (StockhouseError, ValueError, OSError):
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(NotSignedInError, _ask_who)
    app.add_exception_handler(500, _failed)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts, "127.0.0.1", "localhost"])
    app.add_middleware(Guard, is_secure=is_secure)
    return app


class Kept(StaticFiles):
    """Our own files, whose address changes when they do: a browser may keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, to be kept for a year."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(api.PREFIX)


async def _page(
    request: Request, status: int, title: str, message: str, kept: dict[str, list[str]]
) -> Response:
    """What went wrong, as a page, with what was typed."""
    one: Visit = await bare(request)
    back = request.headers.get("referer", "")
    back = back.split(request.headers.get("host", "\0"), 1)[-1] if back else ""
    content = {"title": one.words(title), "message": one.words(message), "kept": kept}
    return await run_in_threadpool(
        one.page, "trouble.html.j2", status, back=sign_in.local(back or "/"), **content
    )


async def _refused(request: Request, error: Exception) -> Response:
    """A page for what is refused, or the API's problem document; nothing was done."""
    if _is_api(request):
        return problems.of(request, error)
    if isinstance(error, RequestValidationError):
        raise error  # a page asks for forms, which it reads itself
    if isinstance(error, HTTPException):
        _, title, message = REFUSALS[NotFoundError]
        if error.status_code != 404:
            title, message = "This address does not take that", "Nothing was done."
        answer = await _page(request, error.status_code, title, message, {})
        answer.headers.update(error.headers or {})  # which methods are allowed, when to come again
        return answer
    status, title, message = REFUSALS[type(error)]
    kept = error.visit.typed() if isinstance(error, WrongRoleError) else {}
    return await _page(request, status, title, message, kept)


async def _told(request: Request, error: Exception) -> Response:
    """A page for an error with words: nothing published, the ledger locked, a broken file."""
    report = translate(error)
    if report is None or isinstance(error, ValidationError):  # an answer of ours is not in shape
        raise error
    if _is_api(request):
        return problems.of(request, error)
    is_early = isinstance(error, PublishError)
    title = "Nothing is published yet" if is_early else "This cannot be shown now"
    return await _page(request, 503, title, report.message, {})


async def _ask_who(request: Request, error: Exception) -> Response:
    """The sign-in page; what was typed goes with it."""
    one: Visit = await bare(request)
    one = replace(one, session=one.room.sessions.fresh(), person=None)
    path = request.url.path
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        return one.go("/sign-in", next=path + query)
    back = request.headers.get("referer", "").split(request.headers.get("host", "\0"), 1)
    to = sign_in.local(back[-1]) if len(back) > 1 else "/"
    kept = dict(error.typed) if isinstance(error, NotSignedInError) else {}
    if path == "/sign-in" or path.startswith("/welcome/"):
        return one.go(path)
    return await run_in_threadpool(sign_in.door, one, to, 401, kept, path)


async def _failed(request: Request, error: Exception) -> Response:
    """A page for a defect of ours; its traceback is in the log."""
    if _is_api(request):
        answer: Response = problems.of(request, error)
        answer.headers.update(HEADERS)
        return answer
    title, message = (
        "Something went wrong here",
        "It is written to the desk's log. Nothing is lost.",
    )
    answer = await _page(request, 500, title, message, {})
    answer.headers.update(HEADERS)
    return answer


def _warm_up() -> None:
    """Draw one chart: the first one takes a second that no reader has to wait for."""
    charts.bars([("", 1.0, "main")], Words("en", "en_GB"), "")
