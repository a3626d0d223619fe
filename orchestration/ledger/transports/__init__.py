"""How bytes reach a partner, and how what it says reaches us, by the scheme of its address.
Delivering the same message twice leaves one; no way takes longer than its time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import imap
from orchestration.ledger.transports.base import (
    Envelope,
    Fetched,
    Missed,
    Transport,
    TransportError,
)
from orchestration.ledger.transports.folder import Folder
from orchestration.ledger.transports.http import Http
from orchestration.ledger.transports.sftp import Sftp
from orchestration.ledger.transports.smtp import Smtp
from orchestration.ledger.transports.tryton import Erp

__all__ = ["Envelope", "Fetched", "Transport", "TransportError", "deliver", "fetch"]

TRANSPORTS: dict[str, Transport] = {
    "": Folder(),
    "http": Http(),
    "https": Http(),
    "sftp": Sftp(),
    "smtp": Smtp(),
    "smtps": Smtp(),
    "tryton+http": Erp(),
    "tryton+https": Erp(),
}
#: Partners whose mail is fetched at the same time.
AT_ONCE = 8


def deliver(envelope: Envelope, partner: Partner) -> None:
    """Hand the bytes over. Raises TransportError when it cannot be known that they arrived."""
    _transport(partner).deliver(envelope, partner)


def fetch(partners: Iterable[Partner]) -> Fetched:
    """Bring what waits for us at the partners' own places, and in our mailboxes, into their folders
    here, several at a time."""

    def place(partner: Partner) -> Fetched:
        try:
            _transport(partner).fetch(partner)
        except TransportError as error:
            return Fetched([Missed(partner.partner_id, str(error))])
        return Fetched()

    def mailbox(group: list[Partner]) -> Fetched:
        try:
            return imap.fetch(group)
        except TransportError as error:
            behind = f" ({len(group)} partners answer there)" if len(group) > 1 else ""
            return Fetched([Missed(group[0].partner_id, f"{error}{behind}", group[0].inbox)])

    known = list(partners)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        at_theirs = pool.map(place, [partner for partner in known if partner.scheme])
        at_ours = pool.map(mailbox, imap.by_mailbox(known))
        found = [*at_theirs, *at_ours]
    return Fetched(
        [missed for one in found for missed in one.missed],
        [line for one in found for line in one.left],
    )


def _transport(partner: Partner) -> Transport:
    found = TRANSPORTS.get(partner.scheme)
    if found is None:
        raise TransportError(f"{partner.address}: no way of this kind is known")
    return found
