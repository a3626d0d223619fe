"""A dry run of sending: the messages as files, and not one event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from models.procurement.documents import Document
from models.procurement.messages import MessageError
from orchestration.ledger.outbox import to_order
from orchestration.ledger.partners import Partner, render
from orchestration.ledger.schema import documents
from orchestration.ledger.store import Store

DRY_RUN = "dry_run"


def preview(store: Store, partners: Mapping[str, Partner], now: datetime) -> list[Path]:
    """Write what a sending would send now if every requisition were approved: one file an order, in `dry_run` under the partner.

    Earlier dry runs are replaced. Control number and order number are given at the real sending; here the first is 1 and the
    second is the destination's name. An order the partner's format cannot say leaves the reason instead, in `.unwritable.txt`.
    """
    waiting = store.lines(sa.or_(documents.c.awaits_sending, documents.c.stage == "requisition"))
    orders: dict[tuple[str, str], list[Document]] = {}
    for line in waiting:
        orders.setdefault((line.from_id, line.location_id), []).append(line)
    folders = {name: partner.place / DRY_RUN for name, partner in partners.items() if partner.place}
    for old in (path for folder in folders.values() for path in folder.glob("*") if path.is_file()):
        old.unlink()
    written = []
    for (from_id, location_id), lines in sorted(orders.items()):
        if from_id not in folders:
            continue
        partner = partners[from_id]
        for index, line in enumerate(sorted(lines, key=lambda d: d.document_id), start=1):
            line.order_id, line.line_id = f"DRY-{location_id}"[:22], str(index)
        path = folders[from_id] / f"{from_id}-{location_id}.{partner.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            body = render(to_order(lines, lines, partner, 0, now.date()), partner, 1, now)
        except MessageError as error:  # the sending reports the same order as unwritable and goes on with the others
            path, body = path.with_suffix(".unwritable.txt"), f"{error}\n".encode()
        path.write_bytes(body)
        written.append(path)
    return written
