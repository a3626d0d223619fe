"""How bytes reach a partner: a folder both sides see, or an HTTP POST; delivering the same message twice leaves one."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from orchestration.ledger.partners import Partner

TIMEOUT_SECONDS = 10.0
RETRY_STATUS = frozenset({408, 425, 429})


class TransportError(Exception):
    """The message did not arrive, or nobody can tell; is_final says that trying again is of no use."""

    def __init__(self, why: str, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


@dataclass(frozen=True)
class Envelope:
    """What a transport needs to know of a message; control is the partner's control number, the same at every resend."""

    control: int
    document_type: str
    order_id: str
    body: bytes


def deliver(envelope: Envelope, partner: Partner) -> None:
    """Hand the bytes over. Raises TransportError when it cannot be known that they arrived."""
    if partner.address.startswith(("http://", "https://")):
        post(envelope, partner)
    else:
        put(envelope, partner)


def put(envelope: Envelope, partner: Partner) -> None:
    """Write the message into the partner's `out` folder, all of it or none; its name carries the control number."""
    folder = Path(partner.address) / "out"
    name = f"{envelope.control:09d}-{envelope.document_type}-{envelope.order_id}.{partner.suffix}"
    unfinished = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(envelope.body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise TransportError(f"{folder / name}: {error.strerror}") from error


def post(envelope: Envelope, partner: Partner) -> None:
    """POST the message; any 2xx is taken for arrived. A refusal for good (4xx) is final, everything else may be tried again."""
    kind = "application/edi-x12" if partner.form == "x12" else "message/rfc822"
    headers = {"Content-Type": kind, "Idempotency-Key": f"{partner.ours.id}-{partner.partner_id}-{envelope.control}"}
    try:
        answer = httpx.post(partner.address, content=envelope.body, headers=headers, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error
    if answer.status_code >= 300:
        final = 300 <= answer.status_code < 500 and answer.status_code not in RETRY_STATUS
        raise TransportError(f"{partner.address} answered {answer.status_code}: {answer.text[:200]}", final)
