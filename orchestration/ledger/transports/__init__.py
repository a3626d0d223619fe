"""How bytes reach a partner, and how what it says reaches us, by the scheme of its address.
Delivering the same message twice leaves one; no way takes longer than its time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from orchestration.ledger.partners import Partner
from orchestration.ledger.transports.base import Envelope, Transport, TransportError
from orchestration.ledger.transports.folder import Folder
from orchestration.ledger.transports.http import Http
from orchestration.ledger.transports.sftp import Sftp
from orchestration.ledger.transports.smtp import Smtp
from orchestration.ledger.transports.tryton import Erp

__all__ = ["Envelope", "Transport", "TransportError", "deliver", "fetch"]

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


def fetch(partners: Iterable[Partner]) -> dict[str, TransportError]:
    """Bring what waits for us at the partners' own places into their folders here, several at a
    time; what kept whom from being reached, by partner."""

    def one(partner: Partner) -> tuple[str, TransportError | None]:
        try:
            _transport(partner).fetch(partner)
        except TransportError as error:
            return partner.partner_id, error
        return partner.partner_id, None

    far = [partner for partner in partners if partner.scheme]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {name: error for name, error in pool.map(one, far) if error is not None}


def _transport(partner: Partner) -> Transport:
    found = TRANSPORTS.get(partner.scheme)
    if found is None:
        raise TransportError(f"{partner.address}: no way of this kind is known")
    return found
