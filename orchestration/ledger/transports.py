"""How bytes reach a partner: a folder both sides see, or an HTTP POST; delivering the same message twice leaves one."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from models.procurement.x12 import LARGEST
from orchestration.ledger.partners import Partner

TIMEOUT_SECONDS = 10.0
X12 = "application/edi-x12"
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
    if partner.is_online:
        post(envelope, partner)
    else:
        put(envelope, partner)


def put(envelope: Envelope, partner: Partner) -> None:
    """Write the message into the partner's `out` folder, all of it or none; its name carries the control number."""
    name = f"{envelope.control:09d}-{envelope.document_type}-{envelope.order_id}.{partner.suffix}"
    write(Path(partner.address) / "out", name, envelope.body)


def write(folder: Path, name: str, body: bytes) -> None:
    """Write a file into a folder others read, all of it or none. Raises TransportError where the disk refuses."""
    unfinished = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise TransportError(f"{folder / name}: {error.strerror}") from error


def post(envelope: Envelope, partner: Partner) -> None:
    """POST the message; any 2xx is taken for arrived. A refusal for good (4xx) is final, everything else may be tried again.

    An answer in X12 that comes with the response is put where the partner's answers wait, under the message's control number.
    """
    kind = X12 if partner.form == "x12" else "message/rfc822"
    headers = {"Content-Type": kind, "Idempotency-Key": f"{partner.ours.id}-{partner.partner_id}-{envelope.control}"}
    try:
        with httpx.stream("POST", partner.address, content=envelope.body, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
            said = _bounded(answer)
    except httpx.HTTPError as error:
        raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error
    if answer.status_code >= 300:
        final = 300 <= answer.status_code < 500 and answer.status_code not in RETRY_STATUS
        raise TransportError(f"{partner.address} answered {answer.status_code}: {said[:200].decode(errors='replace')}", final)
    if said and partner.place and answer.headers.get("content-type", "").startswith(X12):
        write(partner.place / "in", f"{envelope.control:09d}-answer.edi", said)


def _bounded(answer: httpx.Response) -> bytes:
    """What a partner says in its response, and of too much only as many bytes as show that it is."""
    said = b""
    for piece in answer.iter_bytes():
        said += piece
        if len(said) > LARGEST:
            break
    return said
