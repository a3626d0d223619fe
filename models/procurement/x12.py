"""X12 on the wire: segments inside a transaction set, a group and an interchange, with every
control number and count checked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from models.procurement import exact_numbers
from models.procurement.codec import MOST_DELIVERIES, check_size
from models.procurement.exact_numbers import expect
from models.procurement.messages import MessageError, Party
from models.safe_names import legible

ISA_LENGTH = 106
#: The usual separators, and control characters for values that contain one of them: X12 has no way
#: to escape.
SEPARATORS = (("*", ">", "~\n"), ("\x1d", "\x1f", "\x1c"))

#: What may stand between interchanges and means nothing: line ends, blanks, a byte order mark, the
#: end signs of old systems.
FILLER = b"\xef\xbb\xbf \t\r\n\x00\x1a"
FILLED = re.compile(rb"[" + re.escape(FILLER) + rb"]*+")

#: Unicode's categories of signs that stand in no element: controls, line and paragraph ends, lone
#: surrogates.
UNSAYABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})

#: Where another interchange begins, whatever stands before it.
NEXT_ISA = re.compile(rb"[\r\n]ISA[^A-Za-z0-9]")

Segment = Sequence[str]


@dataclass(frozen=True)
class TransactionSet:
    """One document of a group: its segments between ST and SE; fault says what is wrong with its
    count or number."""

    code: str
    group_control: int
    segments: tuple[Segment, ...]
    control: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Interchange:
    """What one sender put between ISA and IEA: its documents, and the receipts of what we sent."""

    sender: Party
    receiver: Party
    control: int
    is_test: bool
    written_at: str  # the envelope's own time as ISO text, to the minute; empty where it is none
    sets: tuple[TransactionSet, ...]
    receipts: tuple[Segment, ...]  # TA1 segments


#: A number as X12 writes it.
number = exact_numbers.text


def day(value: date) -> str:
    """A day as X12 writes it, YYYYMMDD."""
    return f"{value:%Y%m%d}"


def is_plain(text: str) -> bool:
    """Whether every sign of it is in X12's own character set, as the envelope's must be."""
    return text.isascii() and text.isprintable()


def fits_envelope(party_id: str) -> bool:
    """Whether an id can stand on an envelope, where it is filled up with blanks to 15
    characters."""
    return 0 < len(party_id) <= 15 and is_plain(party_id) and party_id == party_id.strip()


def write(
    code: str,
    group: str,
    body: Iterable[Segment],
    sender: Party,
    receiver: Party,
    control: int,
    at: datetime,
    usage: str = "P",
) -> str:
    """One transaction set in one group in one interchange; the same control number stands in ISA13
    and GS06.

    code: 850 or 860. group: PO or PC. at: the time on the envelope. usage: P production, T test.
    Raises MessageError where a value does not fit on the envelope, is empty where it must not be,
    or contains every separator there is.
    """
    segments = [list(segment) for segment in body]
    _check_sayable(segments, (sender, receiver), control)
    said = "".join(value for segment in segments for value in segment) + sender.id + receiver.id
    element, component, terminator = _separators(said)
    isa = [
        "ISA",
        "00",
        " " * 10,
        "00",
        " " * 10,
        sender.qualifier,
        sender.id.ljust(15),
        receiver.qualifier,
        receiver.id.ljust(15),
        at.strftime("%y%m%d"),
        at.strftime("%H%M"),
        "U",
        "00401",
        f"{control:09d}",
        "0",
        usage,
        component,
    ]
    gs = [
        "GS",
        group,
        sender.id,
        receiver.id,
        day(at),
        at.strftime("%H%M"),
        str(control),
        "X",
        "004010",
    ]
    tail = [
        ["SE", str(len(segments) + 2), "0001"],
        ["GE", "1", str(control)],
        ["IEA", "1", f"{control:09d}"],
    ]
    trimmed = [
        element.join(segment).rstrip(element)
        for segment in (gs, ["ST", code, "0001"], *segments, *tail)
    ]
    return terminator.join([element.join(isa), *trimmed]) + terminator


def _check_sayable(
    segments: Sequence[Sequence[str]], parties: Sequence[Party], control: int
) -> None:
    if not 0 < control < 1_000_000_000:
        raise MessageError(f"control number {control} does not fit in the nine digits of ISA13")
    for party in parties:
        if not fits_envelope(party.id):
            raise MessageError(
                f"'{party.id}' cannot stand on an X12 envelope: give the partner an id of 1 to 15 "
                "characters of plain ASCII"
            )
    for text in (text for segment in segments for text in segment):
        if UNSAYABLE.intersection(map(unicodedata.category, text)):
            raise MessageError(
                f"'{legible(text, 60)}' has a control character in it, which X12 uses itself; "
                "clean the id"
            )


def _separators(said: str) -> tuple[str, str, str]:
    """The first separators of element, component and segment that stand in no value."""
    for element, component, terminator in SEPARATORS:
        if not any(sign in said for sign in element + component + terminator):
            return element, component, terminator
    raise MessageError("the values use up every separator there is; clean the ids")


def split(body: bytes) -> list[bytes]:
    """The interchanges in these bytes, in order; nothing of them is lost: put together again they
    are the body.

    Each begins at its ISA and ends behind its IEA, or where the next ISA begins; what is no
    interchange is a piece of its own.
    """
    pieces: list[bytes] = []
    start = 0
    while len(pieces) < MOST_DELIVERIES and (end := _end(body, start)) < len(body):
        if _skip(body, end) == len(body):
            break
        pieces.append(body[start:end])
        start = end
    return [*pieces, body[start:]]


def _skip(body: bytes, start: int) -> int:
    """Where the first byte stands that means something."""
    found = FILLED.match(body, start)
    return found.end() if found else start


def _end(body: bytes, start: int) -> int:
    """Where the interchange that begins here ends."""
    begin = _skip(body, start)
    head = body[begin : begin + ISA_LENGTH]
    is_whole = len(head) == ISA_LENGTH and not NEXT_ISA.search(head)
    if not (is_whole and head.startswith(b"ISA")):
        found = NEXT_ISA.search(body, begin)
        return found.start() + 1 if found else len(body)
    element, terminator = re.escape(head[3:4]), re.escape(head[105:106])
    border = rb"(?:" + terminator + rb"[\r\n]*|[\r\n]+)"
    end = rb"IEA" + element + rb"[^\r\n]*?" + terminator
    last = re.compile(border + rb"(?:(?P<isa>ISA" + element + rb")|" + end + rb")")
    found = last.search(body, begin + ISA_LENGTH - 1)
    if found is None:
        return len(body)
    return found.start("isa") if found["isa"] else found.end()


def read(body: bytes) -> Interchange:
    """The one interchange in these bytes. Raises MessageError naming the segment where an envelope,
    count or control number is wrong."""
    check_size(body)
    try:
        text = body.strip(FILLER).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MessageError(f"byte {error.start} is not UTF-8 text") from error
    if "\x00" in text:
        raise MessageError(f"byte {body.index(0)} is NUL, which no text has")
    if not text.startswith("ISA") or len(text) < ISA_LENGTH:
        raise MessageError("it does not begin with an ISA segment of 106 characters")
    element, terminator = text[3], text[105]
    if element.isalnum() or terminator.isalnum() or element == terminator:
        raise MessageError("the ISA segment declares no usable separators")
    segments = [
        part.strip("\r\n").split(element) for part in text.split(terminator) if part.strip("\r\n ")
    ]
    isa, last = segments[0], segments[-1]
    if len(isa) != 17 or last[0] != "IEA":
        raise MessageError("the interchange is cut off: ISA or IEA is incomplete")
    control = integer(isa, 13, 9)
    groups = sum(1 for segment in segments if segment[0] == "GS")
    expect("IEA02", value(last, 2), isa[13])
    expect("IEA01", integer(last, 1), groups)
    sets, receipts = _inside(segments[1:-1])
    sender, receiver = Party(isa[6].strip(), isa[5]), Party(isa[8].strip(), isa[7])
    is_test = isa[15] == "T"
    return Interchange(
        sender, receiver, control, is_test, _written_at(isa), tuple(sets), tuple(receipts)
    )


def _written_at(isa: Segment) -> str:
    try:
        return datetime.strptime(isa[9] + isa[10], "%y%m%d%H%M").isoformat(timespec="minutes")
    except ValueError:
        return ""


def _inside(segments: Sequence[Segment]) -> tuple[list[TransactionSet], list[Segment]]:
    """Transaction sets and TA1 receipts of the segments between ISA and IEA."""
    sets: list[TransactionSet] = []
    receipts: list[Segment] = []
    group: Segment | None = None
    start: tuple[int, Segment] | None = None
    in_group = 0
    for index, segment in enumerate(segments):
        tag = segment[0]
        if tag == "TA1" and group is None:
            receipts.append(segment)
        elif tag == "GS" and group is None:
            group, in_group = segment, 0
        elif tag == "ST" and group is not None and start is None:
            start = (index, segment)
        elif tag == "SE" and start is not None and group is not None:
            first, head = start
            fault = ""
            try:
                expect("SE01", integer(segment, 1), index - first + 1)
                expect("SE02", value(segment, 2), value(head, 2))
            except MessageError as error:
                fault = str(error)
            inside = tuple(segments[first + 1 : index])
            sets.append(
                TransactionSet(value(head, 1), integer(group, 6, 9), inside, value(head, 2), fault)
            )
            start, in_group = None, in_group + 1
        elif tag == "GE" and group is not None and start is None:
            expect("GE01", integer(segment, 1), in_group)
            expect("GE02", integer(segment, 2), integer(group, 6))
            group = None
        elif start is None:
            raise MessageError(f"segment {index + 2} is {tag}, outside any transaction set")
    if group is not None or start is not None:
        raise MessageError("a group or transaction set is not closed")
    return sets, receipts


def value(segment: Segment, position: int, needed: bool = True) -> str:
    """The element at a 1-based position. Raises MessageError where it is needed and absent."""
    found = segment[position].strip() if position < len(segment) else ""
    if needed and not found:
        raise MessageError(f"{segment[0]}{position:02d} is missing")
    return found


def integer(segment: Segment, position: int, digits: int = 15) -> int:
    """A whole number of at most so many digits. Raises MessageError for anything else."""
    return exact_numbers.whole(value(segment, position), f"{segment[0]}{position:02d}", digits)


def exact(segment: Segment, position: int) -> Decimal:
    """A decimal number as written, neither negative nor beyond what anybody orders. Raises
    MessageError for anything else."""
    return exact_numbers.exact(value(segment, position), f"{segment[0]}{position:02d}")


def quantity(segment: Segment, position: int) -> float:
    """A number as `exact` reads it, for reckoning."""
    return float(exact(segment, position))


def on(segment: Segment, position: int) -> date:
    """An element as a day. Raises MessageError, naming it, where it is none."""
    found = value(segment, position)
    try:
        return datetime.strptime(found, "%Y%m%d").date()
    except ValueError as error:
        raise MessageError(
            f"{segment[0]}{position:02d} is '{found[:40]}', no day as YYYYMMDD"
        ) from error
