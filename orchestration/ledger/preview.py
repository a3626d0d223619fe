"""A dry run of sending: the messages as files, and not one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from models.procurement.documents import Document
from models.procurement.messages import MessageError
from models.safe_names import name_of
from orchestration.ledger import folders
from orchestration.ledger.outbox import to_order
from orchestration.ledger.partners import Partner, render
from orchestration.ledger.schema import documents
from orchestration.ledger.store import LedgerError, Store


def preview(store: Store, partners: Mapping[str, Partner], now: datetime) -> list[Path]:
    """Write what a sending would send now if every requisition were approved: one file an order, in
    `dry_run` under the partner.

    Earlier dry runs are replaced. Control number and order number are given at the real sending;
    here the first is 1, the second the destination's name, and an X12 envelope says that it is a
    test, so that a dry run is no order wherever it ends up. An order the partner's format cannot
    say leaves the reason instead, in `.unwritable.txt`. Raises LedgerError, when everything else is
    written, for a partner whose folder cannot be written to.
    """
    waiting = store.lines(sa.or_(documents.c.awaits_sending, documents.c.stage == "requisition"))
    orders: dict[str, dict[tuple[str, str], list[Document]]] = {}
    for line in waiting:
        place = (line.location_id, line.sold.currency)
        orders.setdefault(line.from_id, {}).setdefault(place, []).append(line)
    written: list[Path] = []
    failed: list[str] = []
    for name, partner in sorted(partners.items()):
        if partner.place is None:
            continue
        try:
            folders.clear(partner.place, folders.DRY_RUN)
            for (location_id, _), lines in sorted(orders.get(name, {}).items()):
                written.append(_write(partner.place, partner, location_id, lines, now))
        except OSError as error:
            failed.append(f"{partner.place / folders.DRY_RUN}: {error.strerror or error}")
    if failed:
        raise LedgerError(f"these dry runs cannot be written, all others are: {'; '.join(failed)}")
    return written


def _write(
    place: Path, partner: Partner, location_id: str, lines: list[Document], now: datetime
) -> Path:
    """The file of one order: its message, or why there can be none."""
    for index, line in enumerate(sorted(lines, key=lambda d: d.document_id), start=1):
        line.order_id, line.line_id = f"DRY-{name_of(location_id)}"[:22], str(index)
    tester = replace(partner, usage="T")
    currency = [lines[0].sold.currency] if lines[0].sold.currency else []
    name, suffix = name_of(partner.partner_id, location_id, *currency), partner.writer.suffix
    try:
        body = render(to_order(lines, lines, tester, 0, now.date()), tester, 1, now)
    except MessageError as error:  # the sending reports it as unwritable and goes on too
        suffix, body = "unwritable.txt", f"{error}\n".encode()
    folders.write(place, folders.DRY_RUN, f"{name}.{suffix}", body)
    return place / folders.DRY_RUN / f"{name}.{suffix}"
