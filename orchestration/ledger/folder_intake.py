"""The files in partners' `in` folders, each handed to the inbox once and kept beside it; what
cannot be read is an exception of the EDI desk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from models.procurement.codec import LARGEST
from models.procurement.matching import Tolerance
from models.procurement.messages import EDI_DESK
from models.safe_names import legible
from orchestration.ledger import approvals_and_limits, folders
from orchestration.ledger.inbox import Reception, receive
from orchestration.ledger.partners import Partner
from orchestration.ledger.store import Store


def collect(
    store: Store, partners: Mapping[str, Partner], now: datetime, tolerance: Tolerance
) -> Iterator[tuple[Path, Reception]]:
    """Take every file in the partners' `in` folders, oldest name first; what was kept moves to
    `taken` beside it.

    A file that cannot be read, or is a link, stays where it is and is an exception of the EDI desk,
    once; so is a folder that cannot be looked into. Neither keeps another file or another partner
    waiting.
    """
    for partner in partners.values():
        if partner.place is None:
            continue
        try:
            waiting_names = folders.names(partner.place, folders.IN)
            if not waiting_names:
                continue
            with folders.opened(partner.place, folders.IN) as handle:
                for name in waiting_names:
                    path = partner.place / folders.IN / name
                    yield (
                        path,
                        _collect_one(
                            store,
                            partner,
                            partner.place,
                            handle,
                            name,
                            now=now,
                            tolerance=tolerance,
                        ),
                    )
        except OSError as error:
            where = partner.place / folders.IN
            yield where, _unread(store, partner, str(where), error, now)


def _collect_one(
    store: Store,
    partner: Partner,
    place: Path,
    handle: int,
    name: str,
    *,
    now: datetime,
    tolerance: Tolerance,
) -> Reception:
    try:
        body = folders.read(handle, name, LARGEST + 1)
    except OSError as error:
        return _unread(store, partner, name, error, now)
    reception = receive(store, body, partner, now, tolerance)
    try:
        folders.keep(place, handle, name)
    except OSError as error:  # it is kept in the ledger; hearing it again changes nothing
        _unread(store, partner, f"{folders.TAKEN} (for {name})", error, now)
    return reception


def _unread(store: Store, partner: Partner, name: str, error: OSError, now: datetime) -> Reception:
    """The exception about what cannot be read in a partner's folder."""
    return miss(store, partner, f"{name} cannot be read: {error.strerror or error}", now, name)


def miss(store: Store, partner: Partner, why: str, now: datetime, name: str = "") -> Reception:
    """The exception about what a partner may have said and we cannot hear: raised once, however
    often we look. name: of the file, empty for all that the partner says."""
    reason = legible(why)
    digest = hashlib.sha256(
        f"{partner.partner_id}/{name}".encode("utf-8", "surrogatepass")
    ).hexdigest()
    with store.writing(now) as unit:
        document = f"F{digest[:16]}"
        before = approvals_and_limits.last(unit.connection, document)
        if before is None or json.loads(before["payload"]).get("reason") != reason:
            said = {"owner": EDI_DESK, "reason": reason}
            unit.add(unit.open(document), "excepted", partner.partner_id, said)
    return Reception("unread", reason, exceptions=1)


def waiting(partner: Partner) -> list[Path]:
    """The files in a partner's `in` folder, oldest name first; none where it cannot be looked into,
    which hearing it tells."""
    if partner.place is None:
        return []
    try:
        return [
            partner.place / folders.IN / name for name in folders.names(partner.place, folders.IN)
        ]
    except OSError:
        return [partner.place / folders.IN]
