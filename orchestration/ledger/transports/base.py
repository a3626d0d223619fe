"""What every way to a partner has in common: what is carried, what can go wrong, and how long it
may take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from models.safe_names import name_of
from orchestration.errors import REFUSED, StockhouseError
from orchestration.ledger import folders
from orchestration.ledger.partners import Partner

T = TypeVar("T")

#: One exchange with a partner has this long, from the first byte to the last.
TIMEOUT_SECONDS = 10.0


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

    def file_name(self, partner: Partner) -> str:
        """What the message is called where it lies as a file; a resend has the same name."""
        order = f"{self.document_type}-{name_of(self.order_id)}"
        return f"{self.control:09d}-{order}.{partner.writer.suffix}"


@dataclass(frozen=True)
class Missed:
    """What a partner may have said and we could not hear: why, and of which mail (empty for all
    that it says)."""

    partner_id: str
    why: str
    mail: str = ""


@dataclass
class Fetched:
    """What fetching found beside answers: what could not be heard, and lines about what was left in
    mailboxes for a person."""

    missed: list[Missed] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Transport(Protocol):
    """A way to a partner."""

    def deliver(self, envelope: Envelope, partner: Partner) -> None:
        """Hand the bytes over; handing the same message over twice leaves one. Raises
        TransportError when it cannot be known that they arrived."""
        ...

    def fetch(self, partner: Partner) -> None:
        """Bring what waits for us at the partner's into its folder `in`. Raises TransportError
        where the partner is not reached; what came before that stays."""
        ...


def in_time(work: Callable[[], Awaitable[T]], partner: Partner) -> T:
    """Work on a partner's server in the time that one exchange has. Raises TransportError where
    that is not enough."""

    async def timed() -> T:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await work()

    try:
        return asyncio.run(timed())
    except TimeoutError as error:
        late = f"not done within {TIMEOUT_SECONDS:g} s"
        raise TransportError(f"{partner.address}: {late}") from error


def secret_of(partner: Partner) -> str | None:
    """The partner's password, from the environment variable that its description names; None where
    it names none."""
    return secret(partner.secret)


def secret(variable: str) -> str | None:
    """The password in an environment variable; None where none is named."""
    found = os.environ.get(variable) if variable else None
    if variable and not found:
        raise TransportError(f"the environment variable {variable} is not set")
    return found


def keep(place: Path, kind: str, name: str, body: bytes) -> None:
    """Write a file into a folder shared with a partner, all of it or none."""
    try:
        folders.write(place, kind, name, body)
    except OSError as error:
        raise TransportError(f"{place / kind / name}: {error.strerror or error}") from error
