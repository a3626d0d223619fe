"""A partner's SFTP server: messages are put under `out`, what waits under `in` is fetched and moved
to `taken`."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from models.procurement.codec import LARGEST
from models.safe_names import name_of
from orchestration.ledger import folders
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import Envelope, TransportError

T = TypeVar("T")

#: Files fetched in one go; the rest waits for the next.
MOST_FILES = 100


class Sftp:
    """The transport of partners whose address is sftp://user@host:port/folder.

    The server is known by its host key alone; we are known by a password or a key.
    """

    def deliver(self, envelope: Envelope, partner: Partner) -> None:
        """Put the message into `out`, all of it or none; a resend replaces it by the same bytes."""
        name = envelope.file_name(partner)
        _run(lambda: _put(partner, name, envelope.body), partner)

    def fetch(self, partner: Partner) -> None:
        """Bring what waits in `in` into the partner's folder here, each file whole; only then is it
        moved to `taken` there, so that a crash fetches it twice and hearing it twice changes
        nothing."""
        _run(lambda: _take(partner), partner)


def _run(work: Callable[[], Awaitable[T]], partner: Partner) -> T:
    """Work on a partner's server, in its time; every failure there is a TransportError."""
    try:
        import asyncssh  # noqa: PLC0415  an extra: only who has SFTP partners needs it
    except ImportError as error:
        raise TransportError("SFTP needs asyncssh: pip install 'stockhouse[partners]'") from error

    try:
        return base.in_time(work, partner)
    except (asyncssh.Error, OSError, ValueError) as error:
        raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error


@asynccontextmanager
async def _server(partner: Partner) -> AsyncIterator[tuple[Any, str]]:
    """A session on the partner's server, and its folder there."""
    import asyncssh  # noqa: PLC0415

    url = urlsplit(partner.address)
    connection = await asyncssh.connect(
        url.hostname or "",
        url.port or 22,
        username=unquote(url.username or ""),
        password=base.secret_of(partner),
        client_keys=[partner.key_file] if partner.key_file else None,
        known_hosts=([asyncssh.import_public_key(partner.host_key)], [], []),
        agent_path=None,
        config=None,
    )
    try:
        yield await connection.start_sftp_client(), unquote(url.path) or "."
    finally:
        connection.abort()  # what was written has been acknowledged; a good-bye could take for ever


async def _put(partner: Partner, name: str, body: bytes) -> None:
    async with _server(partner) as (sftp, place):
        folder = posixpath.join(place, folders.OUT)
        await sftp.makedirs(folder, exist_ok=True)
        unfinished, whole = posixpath.join(folder, f".{name}"), posixpath.join(folder, name)
        async with sftp.open(unfinished, "wb") as file:
            await file.write(body)
        if await sftp.exists(whole):
            await sftp.remove(whole)
        await sftp.rename(unfinished, whole)


async def _take(partner: Partner) -> None:
    async with _server(partner) as (sftp, place):
        waiting, taken = (posixpath.join(place, name) for name in (folders.IN, folders.TAKEN))
        if partner.place is None or not await sftp.isdir(waiting):
            return
        names = sorted(name for name in await sftp.listdir(waiting) if not name.startswith("."))
        for name in names[:MOST_FILES]:
            path = posixpath.join(waiting, name)
            if "/" in name or not await sftp.isfile(path) or await sftp.islink(path):
                continue
            async with sftp.open(path, "rb") as file:
                body = await file.read(LARGEST + 1)
            # its bytes stand in its name: another file of the same name does not replace it unheard
            digest = hashlib.sha256(body).hexdigest()[:8]
            base.keep(partner.place, folders.IN, f"{name_of(name)}-{digest}", body)
            await sftp.makedirs(taken, exist_ok=True)
            there = posixpath.join(taken, name)
            if await sftp.exists(there):
                await sftp.remove(there)
            await sftp.rename(path, there)
