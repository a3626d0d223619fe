"""A partner's e-mail as it came: whom its head names as its sender, who vouches for that, and what
is attached to it."""

from __future__ import annotations

import re
from email import policy
from email.errors import MessageError as MailError
from email.message import Message as Mail
from email.parser import BytesParser

from models.procurement.codec import LARGEST
from models.procurement.messages import MessageError

#: What one mail may have at most: parts, lines, and signs in the head of a part.
MOST_PARTS, MOST_LINES, LONGEST_HEAD = 40, 500_000, 32_000
#: An address as a head may name it, with a name before it or a comment behind it.
ADDRESS = re.compile(
    r"\s*(?:[^<>]*<\s*(?P<angled>[^\s<>()\",:;\\@]+@[A-Za-z0-9.-]+)\s*>"
    r"|(?P<bare>[^\s<>()\",:;\\@]+@[A-Za-z0-9.-]+)(?:\s*\([^<>()]*\))?)\s*"
)
#: What a mail server that checked says of the sender's domain (RFC 8601).
PASSED = re.compile(r"\bdmarc\s*=\s*pass\b[^;]*\bheader\.from\s*=\s*\"?([A-Za-z0-9.-]+)", re.I)
#: What goes with letters and is none of a partner's documents.
NOISE = (
    *("image/", "text/calendar", "text/vcard", "text/x-vcard", "text/rfc822-headers"),
    *("message/delivery-status", "application/pgp-signature", "application/pkcs7-signature"),
    "application/x-pkcs7-signature",
)
#: Files are named by what they are; anything else is what its bytes say.
SUFFIXES = ("edi", "x12", "edifact", "xml", "csv", "pdf", "txt", "xlsx")


def head(lines: bytes) -> Mail:
    """The lines of a mail's head."""
    return BytesParser(policy=policy.compat32).parsebytes(lines[:LONGEST_HEAD], headersonly=True)


def sender(said: Mail) -> str:
    """The one address that a mail says it is from, in lower case; empty where it names none, or
    several. Nothing here proves that it is."""
    names = said.get_all("From", [])
    match = ADDRESS.fullmatch(str(names[0])) if len(names) == 1 else None
    return (match["angled"] or match["bare"]).lower() if match else ""


def is_vouched(said: Mail, server: str) -> bool:
    """Whether our own mail server says that the sender's domain stands behind a mail (DMARC).

    server: the name it signs its findings with; its first finding about DMARC counts, as what a
    sender writes there itself stands below, or is taken out by that server (RFC 8601, 5)."""
    ours = re.compile(rf"\s*{re.escape(server)}(?:\s+\d+)?\s*;.*\bdmarc\s*=", re.I | re.S)
    findings = map(str, said.get_all("Authentication-Results", []))
    found = next(filter(ours.match, findings), "")
    passed = PASSED.search(found)
    domain = sender(said).rpartition("@")[2]
    return passed is not None and bool(domain) and passed[1].lower() == domain


def is_letter(said: Mail) -> bool:
    """Whether the head already says that nothing is attached."""
    return said.get_content_type() in ("text/plain", "text/html", "multipart/alternative") and (
        said.get_content_disposition() != "attachment"
    )


def attached(body: bytes) -> list[tuple[str, bytes]]:
    """What is attached to a mail, each with the ending that its file gets; one that is too large to
    be a document is cut behind its bound.

    Raises MessageError for a mail that is built beyond the bounds: nothing of it is taken.
    """
    if body.count(b"\n") > MOST_LINES or len(re.findall(rb"(?i)\b(?:multipart|message)/", body)) > (
        MOST_PARTS
    ):
        raise MessageError(f"it has more than {MOST_LINES:,} lines or {MOST_PARTS} mails in it")
    try:
        parts = list(BytesParser(policy=policy.compat32).parsebytes(body).walk())
        if len(parts) > MOST_PARTS:
            raise MessageError(f"it has {len(parts)} parts, more than {MOST_PARTS}")
        found = [(part, _is_document(part)) for part in parts]
        return [(_suffix(part), _bytes(part)) for part, is_one in found if is_one]
    except (MailError, LookupError, ValueError, RecursionError) as error:
        if isinstance(error, MessageError):
            raise
        raise MessageError(f"it is no mail that can be taken apart: {error}") from error


def _is_document(part: Mail) -> bool:
    if sum(len(name) + len(str(value)) for name, value in part.items()) > LONGEST_HEAD:
        raise MessageError(f"a part's head has more than {LONGEST_HEAD:,} signs")
    kind = part.get_content_type()
    if part.is_multipart() or kind.startswith(NOISE):
        return False
    is_attached = part.get_filename() is not None or part.get_content_disposition() == "attachment"
    return is_attached or kind not in ("text/plain", "text/html")


def _suffix(part: Mail) -> str:
    ending = (part.get_filename() or "").rpartition(".")[2].lower()
    return ending if ending in SUFFIXES else "dat"


def _bytes(part: Mail) -> bytes:
    said = part.get_payload(decode=True)
    return said[: LARGEST + 1] if isinstance(said, bytes) else b""
