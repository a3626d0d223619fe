"""EDIFACT on the wire (ISO 9735): segments inside messages inside an interchange, with every
reference and count checked, and every size bounded."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.procurement import exact_numbers
from models.procurement.codec import MOST_DELIVERIES, check_size
from models.procurement.exact_numbers import expect
from models.procurement.messages import MessageError, Party
from models.procurement.x12 import UNSAYABLE
from models.safe_names import legible

#: The character set behind each syntax identifier.
CHARSETS = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "latin-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOW": "utf-8",
    "UNOY": "utf-8",
}
#: What may stand between interchanges and means nothing: line ends, blanks, a byte order mark, the
#: end signs of old systems.
FILLER = re.compile(r"(?:ï»¿|[ \t\r\n\x00\x1a])*+")
#: Signs that stand in no message, unless they are its separators.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
#: Stands for the release sign of an interchange that has none; no message has this sign.
NONE = "\x00"
#: Where another interchange begins, in whatever was cut off before it.
NEXT = re.compile(r"[\r\n]UN[AB][^\w\s]")
#: More separators than this in one interchange is no message but an attempt on our memory.
MOST_SEPARATORS = 1_000_000
#: Qualifiers of an id that both sides agreed on between themselves.
AGREED = ("", "ZZZ")

Elements = Sequence[Sequence[str] | str]


@dataclass(frozen=True)
class Separators:
    """The signs that part components, elements and segments, and the one that releases them."""

    component: str = ":"
    element: str = "+"
    release: str = "?"
    terminator: str = "'"

    def pieces(self, text: str, place: int, limit: int) -> Iterator[re.Match[str]]:
        """Every segment from a place on, released signs in it, up to its terminator; the first one
        without ends it, so that nothing is looked at twice."""
        end, release = re.escape(self.terminator), re.escape(self.release)
        one = re.compile(rf"((?:[^{end}{release}]|{release}.)*+){end}", re.DOTALL)
        while (found := one.match(text, place, limit)) is not None:
            yield found
            place = found.end()


@dataclass(frozen=True)
class Segment:
    """A tag and its elements, each a row of components."""

    tag: str
    elements: tuple[tuple[str, ...], ...]

    def get(self, element: int, component: int = 1) -> str:
        """A component at 1-based positions, empty where it is not there."""
        row = self.elements[element - 1] if element <= len(self.elements) else ()
        return row[component - 1].strip() if component <= len(row) else ""

    def need(self, element: int, component: int = 1) -> str:
        """A component that has to be there. Raises MessageError where it is not."""
        found = self.get(element, component)
        if not found:
            raise MessageError(f"{self.name(element, component)} is missing")
        return found

    def name(self, element: int, component: int = 1) -> str:
        """What the standard calls a component, such as LIN01.1, for messages about it."""
        return f"{self.tag}{element:02d}.{component}"

    def whole(self, element: int, component: int = 1, digits: int = 15) -> int:
        """A component as a whole number. Raises MessageError where it is missing, no number or
        longer than `digits`."""
        found = self.need(element, component)
        return exact_numbers.whole(found, self.name(element, component), digits)

    def __str__(self) -> str:
        rows = (":".join(row).rstrip(":") for row in self.elements)
        return " ".join([self.tag, *filter(None, rows)])[:120]


@dataclass(frozen=True)
class EdiMessage:
    """One message between its UNH and UNT; fault says what is wrong with its count or reference."""

    name: str
    version: str
    reference: str
    segments: tuple[Segment, ...]
    identifier: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Interchange:
    """What stands between UNB and UNZ. control: its reference, 0 where that is no number."""

    sender: Party
    receiver: Party
    reference: str
    is_test: bool
    written_at: str
    messages: tuple[EdiMessage, ...]

    @property
    def control(self) -> int:
        """The interchange's reference as a number of at most 14 digits, else 0."""
        is_number = self.reference.isascii() and self.reference.isdecimal()
        return int(self.reference) if is_number and len(self.reference) <= 14 else 0


def write(
    name: str,
    body: Iterable[tuple[str, Elements]],
    ours: Party,
    theirs: Party,
    control: int,
    at: datetime,
    usage: str = "P",
    version: str = "D:96A:UN",
) -> bytes:
    """One message in one interchange, in Latin-1 (UNOC) where that can say it, else in UTF-8.

    Raises MessageError where a value has a control character in it or does not fit the envelope.
    """
    for party in (ours, theirs):
        if not 0 < len(party.id) <= 35 or party.id != party.id.strip():
            raise MessageError(
                f"'{legible(party.id, 60)}' cannot stand on an EDIFACT envelope: give the partner "
                "an id of 1 to 35 characters"
            )
    ends = [(party.id, _qualifier(party)) for party in (ours, theirs)]
    written = (f"{at:%y%m%d}", f"{at:%H%M}")
    segments = [("UNH", ["1", (name, *version.split(":"))]), *body]
    test = ["", "", "", "", "", "1"] if usage == "T" else []
    tail = [
        ("UNT", [str(len(segments) + 1), "1"]),
        ("UNZ", ["1", str(control)]),
    ]

    def said(syntax: Sequence[str]) -> str:
        head = ("UNB", [syntax, *ends, written, str(control), *test])
        return "UNA:+.? '\n" + "".join(_text(*s) for s in (head, *segments, *tail))

    text = said(("UNOC", "3"))
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return said(("UNOW", "4")).encode()


def _qualifier(party: Party) -> str:
    return "ZZZ" if party.qualifier == "ZZ" else party.qualifier


def _text(tag: str, elements: Elements) -> str:
    rows = [[row] if isinstance(row, str) else row for row in elements]
    written = [":".join(_trimmed([_released(part) for part in row])) for row in rows]
    return "+".join(_trimmed([tag, *written])) + "'\n"


def _trimmed(parts: list[str]) -> list[str]:
    """The parts without the empty ones at the end, which nobody writes."""
    while parts and not parts[-1]:
        parts = parts[:-1]
    return parts


def _released(text: str) -> str:
    if UNSAYABLE.intersection(map(unicodedata.category, text)):
        raise MessageError(f"'{legible(text, 60)}' has a control character in it; clean the id")
    return re.sub(r"([?+:'])", r"?\1", text)


def split(body: bytes) -> list[bytes]:
    """The interchanges in these bytes, in order; put together again they are the body.

    Each ends behind its UNZ, or where the next one begins; what is no interchange is a piece of its
    own.
    """
    text = body.decode("latin-1")  # every byte is one sign, so places in it are places in the body
    cuts = [found.start() + 1 for found in NEXT.finditer(text)]
    pieces: list[bytes] = []
    start = 0
    while len(pieces) < MOST_DELIVERIES and (end := _end(text, start, cuts)) < len(body):
        if _skip(text, end) == len(text):
            break
        pieces.append(body[start:end])
        start = end
    return [*pieces, body[start:]]


def _skip(text: str, start: int) -> int:
    """Where the first sign stands that means something."""
    found = FILLER.match(text, start)
    return found.end() if found else start


def _end(text: str, start: int, cuts: Sequence[int]) -> int:
    """Where the interchange that begins here ends, at the latest at the next of the cuts."""
    begin = _skip(text, start)
    try:
        marks, place = _separators(text, begin)
    except MessageError:
        marks, place = Separators(), begin
    after = bisect_right(cuts, _skip(text, place))
    limit = cuts[after] if after < len(cuts) else len(text)
    is_open = False
    for segment in marks.pieces(text, place, limit):
        at = _skip(text, segment.start())
        tag = text[at : at + 3]
        if tag == "UNZ":
            return segment.end()
        # a UNA that cannot be read begins what it stands before, and ends nothing
        if (tag == "UNA" and at > begin) or (tag == "UNB" and is_open):
            return segment.start()
        is_open = is_open or tag == "UNB"
    return limit


def _separators(text: str, begin: int) -> tuple[Separators, int]:
    """The separators that a UNA at this place declares, or the usual ones, and where UNB may
    begin. Raises MessageError where neither stands here."""
    if text.startswith("UNA", begin):
        una = text[begin + 3 : begin + 9].ljust(6)
        signs = (una[0], una[1], una[3], una[5])
        if len(set(signs)) < 4 or any(sign.isalnum() for sign in signs) or una[5] == " ":
            raise MessageError("the UNA segment declares no usable separators")
        release = NONE if una[3] == " " else una[3]
        return Separators(una[0], una[1], release, una[5]), begin + 9
    if not text.startswith("UNB", begin):
        raise MessageError("it begins with neither UNA nor UNB")
    return Separators(), begin


def read(body: bytes) -> Interchange:
    """The one interchange in these bytes. Raises MessageError naming the segment where an envelope,
    count or reference is wrong."""
    check_size(body)
    text = _decoded(body)
    marks, place = _separators(text, 0)
    if sum(text.count(sign) for sign in (marks.component, marks.element, marks.terminator)) > (
        MOST_SEPARATORS
    ):
        raise MessageError(f"more than {MOST_SEPARATORS:,} separators stand in it")
    segments = list(_segments(text, place, marks))
    head, last = segments[0], segments[-1]
    if head.tag != "UNB" or last.tag != "UNZ":
        raise MessageError("the interchange is cut off: UNB or UNZ is missing")
    reference = head.need(5)
    expect("UNZ02", last.need(2), reference)
    messages, groups = _inside(segments[1:-1])
    expect("UNZ01", last.whole(1), groups or len(messages))
    return Interchange(
        _party(head, 2),
        _party(head, 3),
        reference,
        head.get(11) == "1",
        _written_at(head.get(4), head.get(4, 2)),
        tuple(messages),
    )


def _decoded(body: bytes) -> str:
    """The text of an interchange in the character set that its UNB names."""
    body = body[_skip(body[:4000].decode("latin-1"), 0) :]
    start = body[:400].decode("latin-1")
    marks, place = _separators(start, 0)
    head = start[_skip(start, place) :]
    syntax = head[4:8] if head.startswith(f"UNB{marks.element}") else ""
    charset = CHARSETS.get(syntax)
    if charset is None:
        raise MessageError(f"UNB01.1 is '{legible(syntax, 8)}', no character set that is read here")
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as error:
        raise MessageError(f"byte {error.start} is no {syntax} text ({charset})") from error
    own = (marks.component, marks.element, marks.release, marks.terminator)
    for found in CONTROL.finditer(text, 0, len(text.rstrip(" \r\n\x00\x1a"))):
        if found[0] not in own:
            raise MessageError(f"sign {found.start()} is a control character")
    return text


def _segments(text: str, place: int, marks: Separators) -> Iterator[Segment]:
    """Every segment, in order; what stands behind the last terminator must be nothing."""
    end = place
    for found in marks.pieces(text, place, len(text)):
        end = found.end()
        raw = found[1].lstrip("\r\n\t ")
        if raw:
            yield _segment(raw, marks)
    if _skip(text, end) != len(text):
        raise MessageError("the interchange is cut off: a segment has no terminator")
    if end == place:
        raise MessageError("the interchange is empty")


def _segment(raw: str, marks: Separators) -> Segment:
    rows = [
        tuple(_unreleased(part, marks.release) for part in _parts(row, marks.component, marks))
        for row in _parts(raw, marks.element, marks)
    ]
    return Segment(rows[0][0], tuple(rows[1:]))


def _parts(raw: str, sign: str, marks: Separators) -> list[str]:
    """The parts between signs that are not released; releases stay in them."""
    if marks.release not in raw:
        return raw.split(sign)
    parts, start, place = [], 0, 0
    while place < len(raw):
        if raw[place] == marks.release:
            place += 2
            continue
        if raw[place] == sign:
            parts.append(raw[start:place])
            start = place + 1
        place += 1
    return [*parts, raw[start:]]


def _unreleased(part: str, release: str) -> str:
    if release not in part:
        return part
    return re.sub(re.escape(release) + r"(.)", r"\1", part, flags=re.DOTALL)


def _party(head: Segment, element: int) -> Party:
    qualifier = head.get(element, 2)
    return Party(head.need(element), "ZZ" if qualifier in AGREED else qualifier)


def _written_at(day: str, time: str) -> str:
    for form in ("%y%m%d%H%M", "%Y%m%d%H%M"):
        try:
            return datetime.strptime(day + time, form).isoformat(timespec="minutes")
        except ValueError:
            continue
    return ""


def _inside(segments: Sequence[Segment]) -> tuple[list[EdiMessage], int]:
    """The messages between UNB and UNZ, and how many groups (UNG) they stand in."""
    messages: list[EdiMessage] = []
    groups, group, in_group = 0, None, 0
    start: int | None = None
    for index, segment in enumerate(segments):
        if segment.tag == "UNH" and start is None:
            start = index
        elif segment.tag == "UNT" and start is not None:
            messages.append(_message(segments[start : index + 1]))
            start, in_group = None, in_group + 1
        elif start is not None:
            continue
        elif segment.tag == "UNG" and group is None:
            group, in_group = segment, 0
        elif segment.tag == "UNE" and group is not None:
            expect("UNE01", segment.whole(1), in_group)
            expect("UNE02", segment.need(2), group.need(5))
            group, groups = None, groups + 1
        else:
            raise MessageError(f"segment {index + 2} is {segment.tag[:3]}, outside any message")
    if start is not None or group is not None:
        raise MessageError("a message or group is not closed")
    return messages, groups


def _message(segments: Sequence[Segment]) -> EdiMessage:
    head, last = segments[0], segments[-1]
    fault = ""
    try:
        expect("UNT01", last.whole(1), len(segments))
        expect("UNT02", last.need(2), head.need(1))
    except MessageError as error:
        fault = str(error)
    identifier = head.elements[1] if len(head.elements) > 1 else ()
    version = ":".join(part for part in identifier[1:3])
    return EdiMessage(
        head.get(2), version, head.get(1), tuple(segments[1:-1]), tuple(identifier), fault
    )
