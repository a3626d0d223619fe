"""How a reading is answered: lists page by page behind a cursor, and an ETag with everything, so
that who has it already is not sent it again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from orchestration.app.procurement import Desk
from orchestration.ledger import Ledger
from orchestration.web.api.caller import Caller
from orchestration.web.api.problems import ProblemError

Limit = Annotated[int, Query(ge=1, le=500, description="How many rows a page has at most.")]
Cursor = Annotated[
    str,
    Query(max_length=600, pattern=r"^[A-Za-z0-9_-]*$", description="`next` of the page before."),
]
Row = TypeVar("Row")
#: Answers that are kept ready at most.
MOST_READY = 256


def told(one: Caller, content: BaseModel, etag: str = "", status: int = 200) -> Response:
    """A thing as JSON. etag: of what it says; made of the bytes where none is given."""
    return _sent(one, content.model_dump_json().encode(), etag, status)


def listed(one: Caller, asked: str, make: Callable[[Desk], BaseModel], *also: object) -> Response:
    """A list that follows from the publication, the ledger and what is asked alone: made once for
    each state of them. also: what else it depends on."""
    state, desk = one.state()
    key = repr((asked, one.request.url.query, state, also))
    etag = f'W/"{hashlib.sha256(key.encode()).hexdigest()[:24]}"'
    if _has(one, etag):
        return Response(status_code=304, headers=_headers(etag))
    ready = _ready(desk.ledger, state)
    content = ready.get(etag)
    if content is None:
        content = make(desk).model_dump_json().encode()
        if len(ready) < MOST_READY:
            ready[etag] = content
    return Response(content, 200, _headers(etag), "application/json")


def _ready(ledger: Ledger, state: tuple[int, int]) -> dict[str, bytes]:
    """The answers that are ready for this state; those of an older one are dropped."""
    kept = ledger.kept.get("answers")
    if kept is None or kept[0] != state:
        kept = ledger.kept["answers"] = (state, {})
    found: dict[str, bytes] = kept[1]
    return found


def _sent(one: Caller, content: bytes, etag: str, status: int) -> Response:
    etag = etag or f'"{hashlib.sha256(content).hexdigest()[:24]}"'
    if status == 200 and _has(one, etag):
        return Response(status_code=304, headers=_headers(etag))
    return Response(content, status, _headers(etag), "application/json")


def _headers(etag: str) -> dict[str, str]:
    return {"etag": etag, "cache-control": "private, no-cache"}


def _has(one: Caller, etag: str) -> bool:
    """Whether the caller says that this is what they have (RFC 9110: compared weakly)."""
    said = one.request.headers.get("if-none-match", "")
    if one.request.method not in ("GET", "HEAD") or not said:
        return False
    names = [name.strip().removeprefix("W/") for name in said.split(",")]
    return "*" in names or etag.removeprefix("W/") in names


def after(cursor: str, *kinds: type) -> tuple[Any, ...] | None:
    """Where a page begins, of the last row's key on the page before; None for the first page.
    Raises ProblemError for a cursor that is none of ours."""
    if not cursor:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(said, list) and list(map(type, said)) == list(kinds):
            return tuple(said)
    except (ValueError, binascii.Error, RecursionError):
        pass
    raise ProblemError("not-found", "query.cursor: it is no `next` of a page of this list")


def cursor_of(*key: object) -> str:
    """The cursor behind a row, by its key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def page_of(
    rows: Sequence[Row],
    key: Callable[[Row], tuple[Any, ...]],
    start: tuple[Any, ...] | None,
    limit: int,
) -> tuple[Sequence[Row], str]:
    """One page of rows that are sorted by a key, and the cursor of the next one ('' at the end)."""
    first = 0 if start is None else bisect_right(rows, start, key=key)
    found = rows[first : first + limit]
    more = first + limit < len(rows)
    return found, cursor_of(*key(found[-1])) if more else ""
