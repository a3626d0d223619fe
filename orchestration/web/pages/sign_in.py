"""The door: sign in and out, a first password by a link, who is let in, and which language."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, RedirectResponse, Response

from models.procurement.actors import skeleton
from orchestration.web.people import ROLES, Person
from orchestration.web.request_context import Problem, Visit, act, problem_of, signed_in, visit
from orchestration.web.translation import LANGUAGES

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Visit, Depends(visit)]
Admin = Annotated[Visit, Depends(signed_in("admin"))]
#: What a sign-in form carries of the form that was cut off.
KEPT = "kept."


def local(path: str) -> str:
    """A path of our own, never another site's."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and "\n" not in path
    return path if is_ours else "/"


def door(
    one: Visit,
    to: str,
    status: int = 200,
    kept: dict[str, list[str]] | None = None,
    action: str = "",
    problem: Problem | None = None,
) -> HTMLResponse:
    """The sign-in page; what was typed elsewhere goes with it."""
    sign_on, elsewhere = one.room.sign_on, {"next": to}
    if sign_on and kept:
        elsewhere["form"] = sign_on.forms.keep(kept, action)
    return one.page(
        "sign_in.html.j2",
        status,
        world=one.room.home.owner or "",
        next=to,
        kept=kept or {},
        action=action,
        problem=problem,
        provider=sign_on.provider if sign_on else None,
        elsewhere=f"/sign-in/elsewhere?{urlencode(elsewhere)}",
    )


@router.get("/sign-in")
def sign_in_page(one: Anyone) -> Response:
    """Ask for name and password."""
    if one.person is not None:
        return one.go("/")
    return door(one, local(one.asked("next", "/")))


@router.post("/sign-in")
def sign_in(one: Anyone) -> Response:
    """Let a person in who gives the right password, and show what they had typed before."""
    name, password = one.form.get("name", "")[:200], one.form.get("password", "")
    kept = {
        field.removeprefix(KEPT): values
        for field, values in one.several.items()
        if field.startswith(KEPT)
    }
    to, action = local(one.form.get("next", "/")), local(one.form.get("action", "/"))
    keys = (f"name {_key(name)}", f"from {one.request.client.host if one.request.client else ''}")
    if wait := one.room.patience.wait(*keys):
        said = one.words("Too many wrong passwords. Try again in {minutes} minutes.")
        problem = Problem(said.format(minutes=-(-wait // 60)), 429)
        return door(one, to, 429, kept, action, problem)
    person = one.room.people.check(name, password)
    if person is None:
        one.room.patience.failed(*keys)
        problem = Problem(one.words("Name or password is wrong."), 401)
        return door(one, to, 401, kept, action, problem)
    one.room.patience.forget(*keys)
    return let_in(one, person, to, kept, action)


def let_in(
    one: Visit, person: Person, to: str, kept: dict[str, list[str]], action: str
) -> Response:
    """Begin a person's session, with the form that the last one's end cut off."""
    session = one.room.sessions.fresh(person.name, person.epoch)
    inside = replace(one, session=session, person=person)
    if kept:
        return inside.page("kept.html.j2", kept=kept, action=action, back=to)
    return inside.go(to)


def _key(name: str) -> str:
    try:
        return skeleton(name)
    except ValueError:
        return name.strip().casefold()


@router.post("/sign-out")
def sign_out(one: Anyone) -> Response:
    """End every session of this person."""
    if one.person is not None:
        one.room.people.sign_out(one.person.name)
    return replace(one, session=one.room.sessions.fresh(), person=None).go("/sign-in")


@router.get("/welcome/{secret}")
def welcome_page(one: Anyone, secret: str) -> Response:
    """Ask whoever has a link for a password."""
    invited = one.room.people.invited(secret)
    status = 200 if invited else 410
    return one.page("welcome.html.j2", status, invited=invited, secret=secret)


@router.post("/welcome/{secret}")
def welcome(one: Anyone, secret: str) -> Response:
    """Use up a link: from now on this person signs in by their password."""
    people = one.room.people
    try:
        person = people.enrol(secret, one.form.get("name", ""), one.form.get("password", ""))
    except Exception as error:
        if (problem := problem_of(error)) is None:
            raise
        invited = people.invited(secret)
        content = {"invited": invited, "secret": secret, "problem": problem}
        return one.page("welcome.html.j2", 422, **content)
    session = one.room.sessions.fresh(person.name, person.epoch)
    return replace(one, session=session, person=person).go("/")


@router.get("/language/{name}")
def language(one: Anyone, name: str) -> Response:
    """Keep the language that a reader chose."""
    answer = RedirectResponse(local(one.asked("next", "/")), 303)
    if name in LANGUAGES:
        answer.set_cookie("language", name, max_age=365 * 86400, httponly=True, samesite="lax")
    return answer


def _people(one: Visit, problem: Problem | None = None, made: object = None) -> HTMLResponse:
    roles = [(role, one.words(role)) for role in ROLES]
    everyone = sorted(one.room.people.all().values(), key=lambda person: person.name)
    status = problem.status if problem else 200
    content = {"people": everyone, "roles": roles, "made": made, "problem": problem}
    return one.page("people.html.j2", status, **content)


@router.get("/people")
def people_page(one: Admin) -> Response:
    """Who is let in, and as what."""
    return _people(one)


@router.post("/people")
def invite(one: Admin) -> Response:
    """Make a person known; their link is shown once."""
    name = one.text("name", 200)
    try:
        secret = one.room.people.invite(name, one.form.get("role", ""), one.me.name)
    except Exception as error:
        if (problem := problem_of(error)) is None:
            raise
        return _people(one, problem)
    return _people(replace(one, form={}), made={"name": name, "link": link(one, secret)})


def link(one: Visit, secret: str) -> str:
    """The address of a first password."""
    return f"{str(one.request.base_url).rstrip('/')}/welcome/{secret}"


@router.post("/people/{name}")
def change_person(one: Admin, name: str) -> Response:
    """Give a person another role or a new link, or let them in no more."""
    people, to = one.room.people, one.form.get("to")
    if to == "link" and (known := people.all().get(name)):
        secret = people.invite(name, known.role, one.me.name)
        return _people(replace(one, form={}), made={"name": name, "link": link(one, secret)})

    def do() -> tuple[str, dict[str, str]]:
        if to == "close":
            people.close(name, one.me.name)
        else:
            people.set_role(name, one.form.get("role", ""), one.me.name)
        return "/people", {"done": "person"}

    return act(one, do, lambda problem: _people(one, problem))
