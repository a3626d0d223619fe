"""What goes wrong, as problem documents (RFC 9457): what, where, and how to mend it."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from models.safe_names import legible
from orchestration.errors import StockhouseError, translate
from orchestration.facts.published_snapshots import PublishError
from orchestration.ledger import LedgerError, StaleError
from orchestration.ledger.idempotent_requests import OtherRequestError
from orchestration.ledger.store import BusyError
from orchestration.web.guard import TooLargeError
from orchestration.web.request_context import NotFoundError

MEDIA = "application/problem+json"


class Place(BaseModel):
    """Where in a request something is wrong, and what."""

    where: str
    what: str


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(description="What kind of problem it is: urn:stockhouse:problem:NAME.")
    title: str
    status: int
    detail: str = Field(description="What went wrong, and where.")
    mend: str = Field(description="How to mend it.")
    instance: str = Field(description="The address that was asked.")
    errors: list[Place] = []


class ProblemError(StockhouseError):
    """A request that is refused, with all that its problem document says."""

    def __init__(self, kind: str, detail: str, headers: dict[str, str] | None = None) -> None:
        self.kind, self.headers = kind, headers or {}
        super().__init__(detail)


#: kind: (status, title, how to mend it)
KINDS = {
    "unknown-caller": (
        401,
        "Nobody is known by this",
        "Send `Authorization: Bearer TOKEN` with a token of `stockhouse token add`.",
    ),
    "not-allowed": (
        403,
        "This token or role does not reach so far",
        "Use a token with the scope, of a person with the role.",
    ),
    "not-found": (404, "There is no such thing", "List what there is, and take an id from there."),
    "wrong-method": (405, "This address does not take that method", "See the header Allow."),
    "refused": (409, "It cannot be done as things stand", "Look at it as it is now."),
    "stale": (
        412,
        "It has changed since you looked",
        "Read it again, decide again, and send its new ETag as If-Match.",
    ),
    "too-large": (413, "That is too much", "Send less at once; nothing was done."),
    "wrong-content": (415, "This is not JSON", "Send `Content-Type: application/json`."),
    "not-understood": (
        422,
        "The request is not understood",
        "Mend what `errors` names; /api/v1/openapi.json describes every field.",
    ),
    "key-used": (409, "The key was used for something else", "Make a new Idempotency-Key."),
    "no-key": (
        428,
        "A header is missing",
        "Send an Idempotency-Key of your own, and the ETag you looked at as If-Match.",
    ),
    "too-often": (429, "Too many requests", "Wait as long as Retry-After says, in seconds."),
    "not-now": (503, "It cannot be had now", "Try again in a moment, with the same key."),
    "defect": (500, "A defect of ours", "It is in the desk's log; nothing is half done."),
}
#: What any address may answer beside its own.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "; ".join(dict.fromkeys(t for s, t, _ in KINDS.values() if s == status)),
        "model": Problem,
        "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (401, 403, 404, 422, 429, 503)
}
WRITING = RESPONSES | {
    status: RESPONSES[422] | {"description": next(t for s, t, _ in KINDS.values() if s == status)}
    for status in (409, 412, 413, 428)
}


def answer(
    request: Request,
    kind: str,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[Place] | None = None,
) -> JSONResponse:
    """A problem document as the answer to a request."""
    status, title, mend = KINDS[kind]
    said = Problem(
        type=f"urn:stockhouse:problem:{kind}",
        title=title,
        status=status,
        detail=detail,
        mend=mend,
        instance=legible(request.url.path, 200),
        errors=errors or [],
    )
    more = {"retry-after": "1"} if kind == "not-now" else {}
    return JSONResponse(said.model_dump(), status, more | (headers or {}), MEDIA)


def of(request: Request, error: Exception) -> JSONResponse:
    """The problem document of an error."""
    if isinstance(error, ProblemError):
        return answer(request, error.kind, str(error), error.headers)
    if isinstance(error, RequestValidationError):
        return _not_understood(request, error)
    if isinstance(error, HTTPException):
        return _refused(request, error)
    report = translate(error)
    if report is None:
        return answer(request, "defect", "something went wrong here")
    return answer(request, _kind_of(error), report.message)


def _kind_of(error: Exception) -> str:
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (TooLargeError, "too-large"),
        (NotFoundError, "not-found"),
        (StaleError, "stale"),
        (OtherRequestError, "key-used"),
        (BusyError, "not-now"),
        (PublishError, "not-now"),
        (LedgerError, "refused"),
        (StockhouseError, "refused"),
        (ValueError, "refused"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), "not-now")


def _not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
    """Every place of a request that is not understood; what was sent there is not repeated."""
    places = [
        Place(where=legible(".".join(map(str, one["loc"])), 200), what=legible(one["msg"]))
        for one in error.errors()[:20]
    ]
    detail = "; ".join(f"{place.where}: {place.what}" for place in places[:3])
    lacks = {one["loc"][-1] for one in error.errors() if one["type"] == "missing"}
    is_bare = lacks and lacks <= {"Idempotency-Key", "If-Match"} and len(lacks) == len(places)
    return answer(request, "no-key" if is_bare else "not-understood", detail, errors=places)


def _refused(request: Request, error: HTTPException) -> JSONResponse:
    if isinstance(error.__cause__, TooLargeError):
        return answer(request, "too-large", "the request's body is larger than any of ours")
    kinds = {401: "unknown-caller", 403: "not-allowed", 404: "not-found", 405: "wrong-method"}
    kind = kinds.get(error.status_code, "not-understood")
    headers = {name.lower(): said for name, said in (error.headers or {}).items()}
    if kind == "wrong-method":
        headers["allow"] = ", ".join(methods(request))
    detail = f"{request.method} {legible(request.url.path, 200)}: {error.detail}"
    return answer(request, kind, detail, headers)


def methods(request: Request) -> list[str]:
    """The methods that an address takes, as the API's description has them."""
    found = {
        method.upper()
        for path, known in request.app.openapi()["paths"].items()
        if compile_path(path)[0].fullmatch(request.url.path)
        for method in known
    }
    return sorted(found)
