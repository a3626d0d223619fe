"""The XML that a PDF carries for machines (Factur-X, ZUGFeRD): looked for among the streams that
can hold a file, without following what else a PDF may say, in bounded time and memory."""

from __future__ import annotations

import re
import zlib

from models.procurement.codec import LARGEST, check_size
from models.procurement.messages import MessageError

#: A PDF has so many streams at most; of each, so many bytes say what it is.
MOST_STREAMS, PEEK = 20_000, 4_096
#: An invoice may lie there so many times, as a PDF that was changed keeps what it was.
MOST_COPIES = 8
#: What describes a stream stands within so many bytes before it.
DESCRIBED = 2_000
STREAM = re.compile(rb">>\s{0,9}stream(?:\r\n|\n|\r)")
FILTER = re.compile(rb"/Filter\s*(?:\[([^\]]*)\]|(/\w+))")
INFLATED = {b"/FlateDecode", b"/Fl"}


def is_pdf(body: bytes) -> bool:
    """Whether a file says that it is a PDF."""
    return body[:1024].lstrip(b"\xef\xbb\xbf \r\n\t\0").startswith(b"%PDF-")


def within(pdf: bytes, root: re.Pattern[bytes]) -> bytes:
    """The one XML document in a PDF whose top element is like `root`.

    An attached file is always a stream of its own, so a PDF's objects need not be followed. Raises
    MessageError where there is none, or where several differ: an older one may lie there too, and
    nobody can say which is meant.
    """
    check_size(pdf)
    found: list[bytes] = []
    for count, place in enumerate(STREAM.finditer(pdf)):
        if count >= MOST_STREAMS or len(found) >= MOST_COPIES:
            many = f"{MOST_STREAMS:,} streams or {MOST_COPIES - 1} invoices"
            raise MessageError(f"the PDF has more than {many} in it")
        described = pdf[max(0, place.start() - DESCRIBED) : place.start()].rpartition(b" obj")[2]
        peek = _content(pdf, place.end(), described, PEEK)
        if root.search(peek.replace(b"\0", b"")):
            found.append(_content(pdf, place.end(), described, LARGEST + 1))
    if (different := len(set(found))) > 1:
        raise MessageError(f"the PDF has {different} different invoices for machines in it")
    if not found:
        sealed = " (it is encrypted)" if b"/Encrypt" in pdf else ""
        raise MessageError(f"the PDF has no invoice for machines in it{sealed}: a person reads it")
    return found[0]


def _content(pdf: bytes, start: int, described: bytes, most: int) -> bytes:
    """The first bytes of a stream, inflated where it is deflated; empty where it is kept in a way
    that attached files are not."""
    named = FILTER.search(described)
    filters = (named[1] or named[2] or b"").split() if named else []
    if not filters:
        end = pdf.find(b"endstream", start, start + most)
        return pdf[start : end if end >= 0 else start + most]
    if len(filters) > 1 or filters[0] not in INFLATED:
        return b""
    try:
        # what is deflated is hardly longer than what it holds
        return zlib.decompressobj().decompress(pdf[start : start + most + 1_024], most)
    except zlib.error:
        return b""
