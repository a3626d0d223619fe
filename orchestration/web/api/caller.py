"""Who asks, what they may, and how often: a token's person within the token's scopes, or somebody
signed in at the desk, who may only read here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from orchestration.app.procurement import Desk
from orchestration.web.api.problems import ProblemError
from orchestration.web.people import Person
from orchestration.web.request_context import Room, bare, room_of
from orchestration.web.sessions import RATE
from orchestration.web.tokens import SCOPES

#: Describes the token in OpenAPI; what counts is read in `caller`.
SCHEME = HTTPBearer(auto_error=False, description="A token of `stockhouse token add`.")


@dataclass(frozen=True)
class Caller:
    """Whoever asks: a person, the id of the token that acts for them ('' at the desk), and what
    it may do."""

    request: Request
    room: Room
    person: Person
    token_id: str
    scopes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The person's name, as the record keeps it."""
        return self.person.name

    def state(self) -> tuple[tuple[int, int], Desk]:
        """The home's desk now, and of which publication and last event it is."""
        return self.room.held.state()

    def desk(self) -> Desk:
        """The home's desk now."""
        return self.room.held.desk()


async def caller(request: Request) -> Caller:
    """Whoever asks. Raises ProblemError where nobody is known by what they send, or asks too
    often."""
    room, said = room_of(request), request.headers.get("authorization")
    if said is None:
        one = await bare(request)
        if one.person is None:
            raise _unknown("no token came with the request")
        found = Caller(request, room, one.person, "", ("read",))
    else:
        scheme, _, secret = said.partition(" ")
        held = room.tokens.holder(secret.strip()) if scheme.lower() == "bearer" else None
        if held is None:
            raise _unknown("the token is wrong, revoked, over, or its person is let in no more")
        found = Caller(request, room, held[1], held[0].token_id, held[0].scopes)
    if wait := room.rates.wait(found.token_id or found.name):
        raise ProblemError(
            "too-often", f"more than {RATE:g} requests a second", {"retry-after": str(wait)}
        )
    return found


def _unknown(detail: str) -> ProblemError:
    return ProblemError("unknown-caller", detail, {"www-authenticate": 'Bearer realm="stockhouse"'})


def may(scope: str, role: str = "") -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency: a caller whose token has a scope, and whose person has its role or the one
    given. Nobody writes by a cookie, which a page from elsewhere could send."""
    needed = role or SCOPES[scope]

    async def found(request: Request, _: Annotated[object, Depends(SCHEME)] = None) -> Caller:
        one = await caller(request)
        if scope != "read" and not one.token_id:
            raise ProblemError("not-allowed", "only a token writes here, no signed-in browser")
        if scope not in one.scopes:
            raise ProblemError("not-allowed", f"the token lacks the scope {scope}")
        if not one.person.may(needed):
            raise ProblemError(
                "not-allowed", f"{one.name} is a {one.person.role}; this needs a {needed}"
            )
        return one

    return found


Reading = Annotated[Caller, Depends(may("read"))]
