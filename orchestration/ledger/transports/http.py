"""An HTTP POST for each message; an answer may come with the response."""

from __future__ import annotations

import asyncio

import httpx

from models.procurement.codec import LARGEST
from models.safe_names import name_of
from orchestration.ledger import folders
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import Envelope, TransportError

RETRY_STATUS = frozenset({408, 425, 429})


class Http:
    """The transport of partners whose address is an http(s) URL."""

    def deliver(self, envelope: Envelope, partner: Partner) -> None:
        """POST the message; any 2xx is taken for arrived. A refusal for good (4xx) is final,
        everything else may be tried again.

        The whole exchange has TIMEOUT_SECONDS, however slowly the partner reads or drips. An answer
        in the partner's format that comes with the response is put where the partner's answers
        wait, under the message's control number.
        """
        try:
            answer, body = asyncio.run(_exchange(envelope, partner))
        except TimeoutError as error:
            late = f"not done within {base.TIMEOUT_SECONDS:g} s"
            raise TransportError(f"{partner.address}: {late}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error
        if answer.status_code >= 300:
            final = 300 <= answer.status_code < 500 and answer.status_code not in RETRY_STATUS
            why = f"answered {answer.status_code}: {body[:200].decode(errors='replace')}"
            raise TransportError(f"{partner.address} {why}", final)
        reader, media_type = partner.reader, answer.headers.get("content-type", "")
        if body and partner.place and media_type.startswith(reader.media_type):
            name = f"{envelope.control:09d}-answer.{reader.suffix}"
            base.keep(partner.place, folders.IN, name, body)

    def fetch(self, partner: Partner) -> None:
        """Nothing: the partner, or its gateway, puts what it says into its folder."""


async def _exchange(envelope: Envelope, partner: Partner) -> tuple[httpx.Response, bytes]:
    """The response to a message and what it says. Raises TimeoutError when its time is over."""
    headers = {
        "Content-Type": partner.writer.media_type,
        "Idempotency-Key": f"{name_of(partner.ours.id, partner.partner_id)}-{envelope.control}",
    }
    async with (
        asyncio.timeout(base.TIMEOUT_SECONDS),
        httpx.AsyncClient(timeout=base.TIMEOUT_SECONDS) as client,
        client.stream("POST", partner.address, content=envelope.body, headers=headers) as answer,
    ):
        return answer, await _bounded(answer)


async def _bounded(answer: httpx.Response) -> bytes:
    """What a partner says in its response, and of too much only as many bytes as show that it
    is."""
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LARGEST:
            break
    return body
