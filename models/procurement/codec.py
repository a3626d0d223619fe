"""What a document format has to be able to do; orders, answers and invoices themselves are neutral
(`messages`). A new format is one file with a Codec, and its line in `formats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from models.procurement.messages import (
    EDI_DESK,
    Message,
    MessageError,
    Odd,
    OddLineError,
    Order,
    Party,
)

Line = TypeVar("Line")

#: A delivery larger than this is no answer to an order of ours, in any format.
LARGEST = 8 * 1024 * 1024
#: A file is taken apart into so many deliveries at most; what is behind them is one more, which
#: cannot be read, and is kept for a person.
MOST_DELIVERIES = 1_000


def no_receipts(control: int, at: datetime, usage: str) -> Iterable[bytes]:
    """The receipts of a format that knows none."""
    return ()


@dataclass(frozen=True)
class Delivery:
    """What one delivery says, and the envelope it came in.

    sender, receiver: every name an envelope has for its ends, none where it has none. is_test:
    None where the format cannot say. control: the envelope's number, 0 where it has none.
    written_at: the envelope's own time as ISO text, to the minute or the day; empty where it has
    none. receipts: what tells the partner that this arrived, written under the control numbers from
    the given one on.
    """

    messages: tuple[Message, ...]
    sender: tuple[Party, ...] = ()
    receiver: tuple[Party, ...] = ()
    is_test: bool | None = None
    control: int = 0
    written_at: str = ""
    receipts: Callable[[int, datetime, str], Iterable[bytes]] = no_receipts


class Writer(Protocol):
    """How orders are said in one format. suffix: of its files. media_type: as HTTP and mail name
    it."""

    @property
    def suffix(self) -> str:
        """How its files' names end, without the dot."""
        ...

    @property
    def media_type(self) -> str:
        """What HTTP and mail call it."""
        ...

    def document_type(self, order: Order) -> str:
        """What the format calls an order, or a change of one; at most 8 characters."""
        ...

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as the partner is sent it, under our control number. usage: P production, T
        test. Raises MessageError where the format cannot say it."""
        ...


class Reader(Protocol):
    """How answers, ship notices and invoices are heard in one format. receipt_type: what the format
    calls the receipt of a delivery."""

    @property
    def suffix(self) -> str:
        """How its files' names end, without the dot."""
        ...

    @property
    def media_type(self) -> str:
        """What HTTP and mail call it."""
        ...

    @property
    def receipt_type(self) -> str:
        """What the format calls the receipt of a delivery; empty where it has none."""
        ...

    def split(self, body: bytes) -> list[bytes]:
        """The deliveries in one file, in order; put together again they are the body."""
        ...

    def read(self, body: bytes) -> Delivery:
        """Everything one delivery says. Raises MessageError, naming the place, where nothing of it
        can be read; nothing is guessed."""
        ...


class Codec(Writer, Reader, Protocol):
    """A format that is written and read."""


def check_size(body: bytes) -> None:
    """Refuse a delivery that is too large to be one, before anything of it is read."""
    if len(body) > LARGEST:
        raise MessageError(f"{len(body):,} bytes are more than the {LARGEST:,} a delivery may have")


def each(
    documents: Iterable[Callable[[], Iterable[Message]]], name: str, before: Iterable[Message] = ()
) -> tuple[Message, ...]:
    """Everything the documents of one delivery say, behind what was said before them; one that
    cannot be read is odd, the others are read. Raises MessageError where nothing can be."""
    readers, messages = list(documents), list(before)
    faults: list[MessageError] = []
    for place, read in enumerate(readers, start=1):
        try:
            messages += read()
        except MessageError as error:
            faults.append(error)
            reason = f"{name} {place} of {len(readers)} cannot be read: {error}"
            messages.append(Odd("", "", reason, EDI_DESK))
    if faults and len(faults) == len(messages):
        raise faults[0]
    return tuple(messages)


def each_line(
    lines: Iterable[tuple[str, Callable[[], Line]]], order_id: str, owner: str, about: str = ""
) -> tuple[list[Line], list[Odd]]:
    """The lines of one document that can be taken, and the others with the reason.

    lines: the number of each and what reads it. about: what an odd one's reason begins with. Raises
    MessageError where none of them can even be read.
    """
    taken: list[Line] = []
    odd: list[Odd] = []
    broken: list[MessageError] = []
    for line_id, read in lines:
        try:
            taken.append(read())
        except OddLineError as error:
            odd.append(Odd(order_id, line_id, f"{about}line {line_id}: {error}", owner))
        except MessageError as error:
            broken.append(error)
            reason = f"{about}line {line_id} cannot be read: {error}"
            odd.append(Odd(order_id, line_id, reason, owner))
    if broken and len(broken) == len(taken) + len(odd):
        raise broken[0]
    return taken, odd
