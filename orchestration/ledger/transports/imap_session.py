"""A session in a mailbox of ours over IMAP: bounded in time and bytes, and encrypted beyond this
machine before anybody signs in."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestration.home.addresses import is_loopback
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import TransportError

#: A mail larger than this is left for a person: the largest attachment as base64, and its letter.
LARGEST_MAIL = 16 * 1024 * 1024
#: What a server may say in one session; what is more waits for the next.
MOST_BYTES = 4 * LARGEST_MAIL
#: Unread mails that are looked at in one session, the newest.
MOST_LOOKED_AT = 2_000
#: Mails whose heads are asked for in one command.
AT_ONCE = 200
WANTED = "FROM MESSAGE-ID AUTHENTICATION-RESULTS CONTENT-TYPE CONTENT-DISPOSITION"
HEADERS = f"BODY.PEEK[HEADER.FIELDS ({WANTED})]"
UID, SIZE = re.compile(rb"\bUID (\d{1,10})"), re.compile(rb"\bRFC822\.SIZE (\d{1,15})")


@dataclass(frozen=True)
class Head:
    """A mail as its head names it: its number in the mailbox, its size in bytes, and those lines of
    its head that say from whom it is."""

    uid: int
    size: int
    lines: bytes


class _Server(imaplib.IMAP4):
    """A connection that ends when its time is over, however slowly the other side drips, and takes
    in no more than it may. context: of the encryption that begins with the first byte."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.ends_at = time.monotonic() + base.TIMEOUT_SECONDS
        self.context, self.waiting, self.said = context, bytearray(), 0
        super().__init__(host, port)

    def _left(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect; imaplib's own way in would wait anew for every byte."""
        self.host, self.port = host, port
        self.sock = socket.create_connection((host, port), self._left())
        self.file = self.sock.makefile("rb")  # imaplib closes it; nothing is read through it
        if self.context is not None:
            self._wrap(self.context)

    def _wrap(self, context: ssl.SSLContext) -> None:
        self.sock.settimeout(self._left())
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def encrypt(self, context: ssl.SSLContext) -> None:
        """STARTTLS; a server that offers none is refused, and so is what somebody on the way put
        behind its answer in the clear."""
        status, said = self.xatom("STARTTLS")
        if status != "OK" or self.waiting:
            raise self.error(f"it does not encrypt (STARTTLS): {said[-1]!r}")
        self._wrap(context)

    def _receive(self) -> None:
        self.sock.settimeout(self._left())
        said = self.sock.recv(65536)
        self.said += len(said)
        if not said or self.said > MOST_BYTES:
            why = f"it said more than {MOST_BYTES:,} bytes" if said else "it hung up"
            raise self.abort(why)
        self.waiting += said

    def _take(self, size: int) -> bytes:
        taken = bytes(self.waiting[:size])
        del self.waiting[:size]
        return taken

    def read(self, size: int) -> bytes:
        """So many bytes."""
        if size > LARGEST_MAIL:
            raise self.abort(f"it announces {size:,} bytes, more than a mail may have")
        while len(self.waiting) < size:
            self._receive()
        return self._take(size)

    def readline(self) -> bytes:
        """The next line."""
        seen = 0
        while (end := self.waiting.find(b"\n", seen)) < 0:
            seen = len(self.waiting)
            self._receive()
        return self._take(end + 1)

    def send(self, data: Any) -> None:
        """Say something."""
        self.sock.settimeout(self._left())
        self.sock.sendall(data)


class Mailbox:
    """The unread mails of one mailbox; looking at them leaves them unread."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    def _ask(self, command: str, *words: str) -> list[Any]:
        status, said = self._server.uid(command, *words)
        if status != "OK":
            raise self._server.error(f"{command} was answered {status} {said!r:.200}")
        return list(said)

    def unread(self) -> tuple[list[Head], int]:
        """The heads of the newest unread mails that carry no flag, oldest first; and how many older
        ones were not looked at."""
        (found, *_) = self._ask("SEARCH", "UNSEEN", "UNFLAGGED", "UNDELETED")
        uids = sorted(int(uid) for uid in (found or b"").split())
        looked_at = uids[-MOST_LOOKED_AT:]
        heads = [
            head
            for start in range(0, len(looked_at), AT_ONCE)
            for head in self._heads(looked_at[start : start + AT_ONCE])
        ]
        return heads, len(uids) - len(looked_at)

    def _heads(self, uids: Sequence[int]) -> Iterator[Head]:
        said = self._ask("FETCH", ",".join(map(str, uids)), f"(UID RFC822.SIZE {HEADERS})")
        for part, behind in zip(said, [*said[1:], b""], strict=True):
            if not isinstance(part, tuple):
                continue
            # what is not the head stands before it or behind it, as the server likes
            about = part[0] + (behind if isinstance(behind, bytes) else b"")
            uid, size = UID.search(about), SIZE.search(about)
            if uid and size and int(uid[1]) in uids:
                yield Head(int(uid[1]), int(size[1]), part[1])

    def whole(self, uid: int) -> bytes:
        """A whole mail; empty where the server does not hand it out."""
        status, said = self._server.uid("FETCH", str(uid), "(BODY.PEEK[])")
        found = (part[1] for part in said if isinstance(part, tuple))
        return next(found, b"") if status == "OK" else b""

    def mark(self, uid: int, flag: str) -> None:
        """Give a mail a flag."""
        self._ask("STORE", str(uid), "+FLAGS.SILENT", f"({flag})")


@contextmanager
def opened(address: str, password: str | None) -> Iterator[Mailbox]:
    """The mailbox at imap(s)://user@host:port/NAME, INBOX where no name is said.

    Raises TransportError where it is not reached in its time, or would have to be signed in to in
    the clear.
    """
    url = urlsplit(address)
    try:
        user, host, name = unquote(url.username or ""), url.hostname or "", unquote(url.path[1:])
        context = ssl.create_default_context()
        is_tls = url.scheme == "imaps"
        server = _Server(host, url.port or (993 if is_tls else 143), context if is_tls else None)
        try:
            if not is_tls and not is_loopback(host):
                server.encrypt(context)
            _sign_in(server, user, password or "")
            status, said = server.select(_quoted(name or "INBOX"))
            if status != "OK":
                raise server.error(f"there is no mailbox {name or 'INBOX'}: {said[-1]!r:.200}")
            yield Mailbox(server)
        finally:
            with suppress(OSError):  # a good-bye could take for ever
                server.shutdown()
    except TimeoutError as error:
        late = f"not done within {base.TIMEOUT_SECONDS:g} s"
        raise TransportError(f"{address}: {late}") from error
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        raise TransportError(f"{address}: {error or type(error).__name__}") from error


def _sign_in(server: _Server, user: str, password: str) -> None:
    """Sign in; LOGIN has no words for what is not ASCII."""
    if (user + password).isascii() and (user + password).isprintable():
        server.login(user, password)
    else:
        server.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())


def _quoted(name: str) -> str:
    """A mailbox's name in a command. Raises ValueError for signs that a server spells otherwise."""
    if not (name.isascii() and name.isprintable()) or set('"\\') & set(name):
        raise ValueError(f"the mailbox {name!r} is not written as its server spells it")
    return f'"{name}"'
