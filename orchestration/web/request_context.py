"""One request as the pages see it: who asks, in which language, what they typed, and how to
answer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from orchestration.app.procurement import Desk
from orchestration.errors import ErrorReport, StockhouseError, translate
from orchestration.home import Home
from orchestration.ledger import StaleError
from orchestration.web.guard import is_from_here
from orchestration.web.jobs import Jobs
from orchestration.web.open_sources import Held
from orchestration.web.people import People, Person
from orchestration.web.rendering import render
from orchestration.web.sessions import COOKIE, LASTS, Once, Patience, Rates, Session, Sessions
from orchestration.web.single_sign_on import SignOn
from orchestration.web.tokens import Tokens
from orchestration.web.translation import Words
from orchestration.web.views import Views

#: A reason longer than this is no reason; the ledger keeps it for ever.
LONGEST_TEXT = 2_000
#: Fields that every form has, and that nobody typed.
OWN = ("token", "intent")

Answer = TypeVar("Answer", bound=Response)


@dataclass(frozen=True)
class Room:
    """What all visits share."""

    home: Home
    people: People
    tokens: Tokens
    sessions: Sessions
    jobs: Jobs
    held: Held
    views: Views
    is_secure: bool = False
    sign_on: SignOn | None = None
    patience: Patience = field(default_factory=Patience)
    once: Once = field(default_factory=Once)
    rates: Rates = field(default_factory=Rates)


class NotSignedInError(StockhouseError):
    """Nobody is signed in, or no longer; what was typed is kept."""

    def __init__(self, typed: Mapping[str, list[str]]) -> None:
        self.typed = typed
        super().__init__("not signed in")


class WrongRoleError(StockhouseError):
    """The person's role does not reach so far."""

    def __init__(self, visit: Visit, role: str) -> None:
        self.visit, self.role = visit, role
        super().__init__(role)


class ForgedError(StockhouseError):
    """A form that did not come from a page of this session."""


class NotFoundError(StockhouseError):
    """There is no such line, item or case."""


@dataclass(frozen=True)
class Visit:
    """One request by one person; form, several, files: what was typed, ticked and uploaded."""

    request: Request
    room: Room
    session: Session
    person: Person | None
    words: Words
    form: Mapping[str, str] = field(default_factory=dict)
    several: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def me(self) -> Person:
        """The person who asks; only for pages behind a sign-in."""
        assert self.person is not None  # noqa: S101 - `signed_in` has seen to it
        return self.person

    def may(self, role: str) -> bool:
        """Whether the person may do what a role may."""
        return self.person is not None and self.person.may(role)

    def asked(self, name: str, usual: str = "") -> str:
        """A word of the address."""
        return self.request.query_params.get(name, usual).strip()[:200]

    def desk(self) -> AbstractContextManager[Desk]:
        """The home's ledger at its Now, waiting a few seconds for another writer at most."""
        return nullcontext(self.room.held.desk())

    def page(self, template: str, status: int = 200, **content: Any) -> HTMLResponse:
        """A page; the session's cookie goes with it, for its forms need one."""
        return self.sealed(HTMLResponse(render(self, template, content), status))

    def go(self, path: str, **query: str) -> RedirectResponse:
        """Show another page instead."""
        to = path + ("?" + urlencode(query) if query else "")
        return self.sealed(RedirectResponse(to, 303))

    def sealed(self, answer: Answer) -> Answer:
        """An answer with this visit's session in its cookie."""
        answer.set_cookie(
            COOKIE,
            self.room.sessions.sign(self.session),
            max_age=LASTS,
            httponly=True,
            samesite="lax",
            secure=self.room.is_secure,
        )
        return answer

    def text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """A field of the form. Raises ValueError where it is longer than anybody reads."""
        said = self.form.get(name, "").strip()
        if len(said) > longest:
            words = self.words("{size} characters are too many here: {most} at most")
            raise ValueError(words.format(size=len(said), most=longest))
        return said

    def number(self, name: str, usual: int) -> int:
        """A whole number of the address, 1 or more; the usual one for anything else."""
        said = self.asked(name)
        return max(int(said), 1) if said.isascii() and said.isdecimal() else usual

    def amount(self, name: str) -> float:
        """A number of the form, 0 or more. Raises ValueError for anything else."""
        said = self.text(name, 40)
        try:
            value = float(said)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            words = self.words("'{said}' is no number of 0 or more")
            raise ValueError(words.format(said=said))
        return value

    def reason(self) -> str:
        """Why, as the record keeps it. Raises ValueError for none."""
        if not (said := self.text("reason")):
            raise ValueError(self.words("Say why: the record keeps the reason."))
        return said

    def seen(self) -> dict[str, int]:
        """The versions of the documents that the form was made from."""
        pairs = (pair.rpartition("=") for pair in self.several.get("seen", ()))
        return {name: int(version) for name, _, version in pairs if version.isdecimal()}

    def typed(self) -> dict[str, list[str]]:
        """What the person typed, without the fields every form has."""
        return {name: values for name, values in self.several.items() if name not in OWN}


def room_of(request: Request) -> Room:
    """What the application shares with all visits."""
    room: Room = request.app.state.room
    return room


async def bare(request: Request) -> Visit:
    """Whoever asks, signed in or not, without any form."""
    room = room_of(request)
    session = room.sessions.read(request.cookies.get(COOKIE)) or room.sessions.fresh()
    person = await run_in_threadpool(room.people.get, session.name) if session.name else None
    if person is not None and person.epoch != session.epoch:
        person = None
    words = Words.of(request.cookies.get("language"), request.headers.get("accept-language", ""))
    return Visit(request, room, session, person, words)


async def visit(request: Request) -> Visit:
    """Whoever asks, signed in or not; a form's fields are read and its token is checked."""
    found = await bare(request)
    session, person = found.session, found.person
    if request.method == "POST":
        form, several, files = await _form(request)
        found = replace(found, form=form, several=several, files=files)
        if session.name and person is None:
            raise NotSignedInError(found.typed())
        host = request.headers.get("host", "")
        is_ours = is_from_here(dict(request.headers), host)
        if not (is_ours and session.has(form.get("token", ""))):
            if person is None and is_ours:
                raise NotSignedInError(found.typed())
            raise ForgedError
    return found


async def _form(
    request: Request,
) -> tuple[dict[str, str], dict[str, list[str]], dict[str, bytes]]:
    form: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    files: dict[str, bytes] = {}
    sent = await request.form(max_files=2, max_fields=5_000)
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            several.setdefault(name, []).append(value)
            form[name] = value
    return form, several, files


def signed_in(role: str = "viewer") -> Callable[[Request], Coroutine[Any, Any, Visit]]:
    """A dependency: the visit of a person of this role or higher."""

    async def found(request: Request) -> Visit:
        one = await visit(request)
        if one.person is None:
            raise NotSignedInError(one.typed())
        if not one.may(role):
            raise WrongRoleError(one, role)
        return one

    return found


@dataclass(frozen=True)
class Problem:
    """What went wrong, on the page on which it did: the message, and whether the page is newer than
    the form that was sent."""

    message: str
    status: int
    is_stale: bool = False


def problem_of(error: Exception) -> Problem | None:
    """An error a person can mend, as a page shows it; None for a defect of ours."""
    report: ErrorReport | None = translate(error)
    if report is None:
        return None
    stale = isinstance(error, StaleError)
    return Problem(report.message, 409 if stale else 422, stale)


def act(
    one: Visit,
    do: Callable[[], tuple[str, dict[str, str]]],
    again: Callable[[Problem], Response],
) -> Response:
    """Do what a form asks for, once, and show where it led; a form sent twice shows the same again.

    do: returns the page to go to and what to say there. again: the form's own page with what went
    wrong, and with everything that was typed.
    """
    try:
        to, said = one.room.once(f"{one.session.token}{one.form.get('intent', '')}", do)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        return again(problem)
    return one.go(to, **said)
