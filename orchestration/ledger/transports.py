"""How bytes reach a partner: a folder both sides see, or an HTTP POST; delivering the same message
twice leaves one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.names import name_of
from models.procurement.codec import LARGEST
from orchestration.errors import REFUSED, StockhouseError
from orchestration.ledger import folders
from orchestration.ledger.partners import Partner

#: One exchange with a partner has this long, from the first byte to the last.
TIMEOUT_SECONDS = 10.0
RETRY_STATUS = frozenset({408, 425, 429})


class TransportError(StockhouseError):
    """The message did not arrive, or nobody can tell; is_final says that trying again is of no
    use."""

    exit_code = REFUSED
    label = "the partner was not reached"

    def __init__(self, why: str, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


@dataclass(frozen=True)
class Envelope:
    """What a transport needs to know of a message; control is the partner's control number, the
    same at every resend."""

    control: int
    document_type: str
    order_id: str
    body: bytes


def deliver(envelope: Envelope, partner: Partner) -> None:
    """Hand the bytes over. Raises TransportError when it cannot be known that they arrived."""
    if partner.is_online:
        post(envelope, partner)
    else:
        put(envelope, partner)


def put(envelope: Envelope, partner: Partner) -> None:
    """Write the message into the partner's `out` folder, all of it or none; its name carries the
    control number."""
    order = f"{envelope.document_type}-{name_of(envelope.order_id)}"
    name = f"{envelope.control:09d}-{order}.{partner.writer.suffix}"
    _write(Path(partner.address), folders.OUT, name, envelope.body)


def _write(place: Path, kind: str, name: str, body: bytes) -> None:
    try:
        folders.write(place, kind, name, body)
    except OSError as error:
        raise TransportError(f"{place / kind / name}: {error.strerror or error}") from error


def post(envelope: Envelope, partner: Partner) -> None:
    """POST the message; any 2xx is taken for arrived. A refusal for good (4xx) is final, everything
    else may be tried again.

    The whole exchange has TIMEOUT_SECONDS, however slowly the partner reads or drips. An answer in
    the partner's format that comes with the response is put where the partner's answers wait, under
    the message's control number.
    """
    try:
        answer, said = asyncio.run(_exchange(envelope, partner))
    except TimeoutError as error:
        raise TransportError(f"{partner.address}: not done within {TIMEOUT_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error
    if answer.status_code >= 300:
        final = 300 <= answer.status_code < 500 and answer.status_code not in RETRY_STATUS
        why = f"answered {answer.status_code}: {said[:200].decode(errors='replace')}"
        raise TransportError(f"{partner.address} {why}", final)
    reader, media_type = partner.reader, answer.headers.get("content-type", "")
    if said and partner.place and media_type.startswith(reader.media_type):
        name = f"{envelope.control:09d}-answer.{reader.suffix}"
        _write(partner.place, folders.IN, name, said)


async def _exchange(envelope: Envelope, partner: Partner) -> tuple[httpx.Response, bytes]:
    """The response to a message and what it says. Raises TimeoutError when its time is over."""
    headers = {
        "Content-Type": partner.writer.media_type,
        "Idempotency-Key": f"{name_of(partner.ours.id, partner.partner_id)}-{envelope.control}",
    }
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client,
        client.stream("POST", partner.address, content=envelope.body, headers=headers) as answer,
    ):
        return answer, await _bounded(answer)


async def _bounded(answer: httpx.Response) -> bytes:
    """What a partner says in its response, and of too much only as many bytes as show that it
    is."""
    said = b""
    async for piece in answer.aiter_bytes():
        said += piece
        if len(said) > LARGEST:
            break
    return said
