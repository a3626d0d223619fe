"""How a request changes something: under a key of the caller's, so that it happens once however
often it is sent, and only where things are as the caller last saw them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from models.procurement.documents import Document, Event
from orchestration.app.order_card import find_line
from orchestration.app.procurement import Desk
from orchestration.ledger import Request
from orchestration.ledger.idempotent_requests import RepeatedError
from orchestration.web.api.answers import told
from orchestration.web.api.caller import Caller
from orchestration.web.api.shapes import Body, Done, Happened
from orchestration.web.request_context import NotFoundError

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="A new one for each thing that is meant; the same one when it is sent again.",
    ),
]
Match = Annotated[
    str,
    Header(
        alias="If-Match",
        max_length=64,
        pattern=r'^(\*|"[0-9]{1,9}")$',
        description='The ETag that was looked at, or `*` for "whatever it is now".',
    ),
]
VERSION = re.compile(r'"(\d{1,9})"')


@dataclass(frozen=True)
class Meant:
    """One request that changes something: who sends it, its name, and the version looked at (None
    for any)."""

    one: Caller
    request: Request
    version: int | None

    @property
    def request_id(self) -> str:
        """The request's own name."""
        return self.request.request_id

    def seen(self, document_id: str) -> dict[str, int]:
        """The version of a document that the caller looked at, as the ledger takes it."""
        return {} if self.version is None else {document_id: self.version}


def meant(one: Caller, key: str, body: Body, match: str = "*") -> Meant:
    """A request with its key and what was looked at.

    The key belongs to the person and not to the token: a script that gets a new token in the middle
    of its work does nothing twice.
    """
    where = f"{one.request.method} {one.request.url.path}".encode()
    said = body.model_dump_json().encode()
    request = Request.of(one.name, key, one.token_id, where, match.encode(), said)
    version = VERSION.fullmatch(match)
    return Meant(one, request, int(version[1]) if version else None)


def line_of(desk: Desk, document_id: str) -> Document:
    """An order line by any of its names. Raises NotFoundError where there is none."""
    try:
        return find_line(desk, document_id)
    except LookupError as error:
        raise NotFoundError(f"there is no order line {document_id}") from error


def decide(
    one: Caller,
    document_id: str,
    key: str,
    match: str,
    body: Body,
    do: Callable[[Desk, Document, dict[str, int]], object],
) -> Response:
    """Decide on one order line, as it was looked at: `do` gets the desk, the line, and the version
    looked at."""
    line, asked = line_of(one.desk(), document_id), meant(one, key, body, match)
    return once(asked, lambda desk: do(desk, line, asked.seen(line.document_id)))


def once(asked: Meant, do: Callable[[Desk], object]) -> Response:
    """What a request did to the ledger: now, or when it was first sent."""
    desk = asked.one.desk()
    events = desk.ledger.done(asked.request)
    is_repeated = events is not None
    if events is None:
        try:
            do(replace(desk, ledger=desk.ledger.asked(asked.request)))
        except RepeatedError as error:  # the same request, sent twice at once
            events, is_repeated = desk.ledger.between(*error.span), True
        else:
            events = desk.ledger.done(asked.request) or []
    return _done(asked.one, events, is_repeated)


def heard(asked: Meant) -> bool:
    """Keep that a request was sent whose work is written outside the ledger, under the request's
    own name; whether it was sent before."""
    desk = asked.one.desk()
    if desk.ledger.done(asked.request) is not None:
        return True
    try:
        desk.ledger.asked(asked.request).remember(desk.now)
    except RepeatedError:
        return True
    return False


def _done(one: Caller, events: list[Event], is_repeated: bool) -> Response:
    """The events, and the new version of the one document that was decided on as their ETag."""
    versions = {event.document_id: event.version for event in events}
    etag = f'"{max(versions.values())}"' if len(versions) == 1 else ""
    done = Done(events=[Happened.of(event) for event in events])
    return repeated(told(one, done, etag), is_repeated)


def repeated(answer: Response, is_repeated: bool) -> Response:
    """An answer that says whether the request had been answered before."""
    if is_repeated:
        answer.headers["idempotency-replayed"] = "true"
    return answer
