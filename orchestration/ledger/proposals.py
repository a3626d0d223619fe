"""From a plan to requisitions: one need, one document; the same plan twice changes nothing, a
re-plan revises what nobody firmed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from models.domain import MOST_ORDERED, OrderLine
from models.procurement import exact_numbers
from models.procurement.actors import PLANNER
from models.procurement.documents import TERMS, Document
from models.procurement.supplier_sale_terms import Sale
from models.safe_names import legible
from orchestration.ledger.schema import documents
from orchestration.ledger.store import LedgerError, Unit, moves

LONGEST_KEY = 600
#: NUL, and halves of characters: what no database keeps as text.
UNKEPT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class ProposalReport:
    """What a plan did to the ledger, in lines.

    new_orders: requisitions opened. revised: unfirmed requisitions with new terms. unchanged:
    requisitions the plan repeats.
    withdrawn: unfirmed requisitions the plan no longer contains. kept: lines whose need is already
    firmed, approved, ordered, or refused by a person, which a plan leaves alone. document_ids: the
    document of every line, by intent key.
    """

    new_orders: int
    revised: int
    unchanged: int
    withdrawn: int
    kept: int
    document_ids: dict[str, str]


def terms(line: OrderLine) -> dict[str, Any]:
    """What a requisition asks for, as its document keeps it and its supplier will read it."""
    return {
        "from_id": line.from_id,
        "quantity": exact_numbers.stated(line.quantity),
        "due_on": line.due_on.isoformat(),
        "unit_cost": exact_numbers.stated(line.unit_cost),
    }


def need(line: OrderLine) -> dict[str, Any]:
    """Which need a requisition answers: what never changes about it."""
    return {
        "world": line.world,
        "kind": line.kind,
        "intent_key": line.intent_key,
        "item_id": line.item_id,
        "location_id": line.location_id,
        "review_period": line.review_period.isoformat(),
    }


def check(lines: Sequence[OrderLine]) -> None:
    """Refuse a plan that no supplier could fill. Raises LedgerError naming the line."""
    seen: set[str] = set()
    for line in lines:
        if not 0 < line.quantity < float("inf") or not 0 <= line.unit_cost < float("inf"):
            asked = f"{line.quantity} at {line.unit_cost}"
            raise LedgerError(
                f"{line.intent_key}: {asked} cannot be ordered; the plan is not recorded"
            )
        if max(line.quantity, line.value) > MOST_ORDERED:
            asked = f"{line.quantity:g} at {line.unit_cost:g}"
            raise LedgerError(
                f"{line.intent_key}: {asked} is more than anybody orders; mend the data"
            )
        if len(line.intent_key) > LONGEST_KEY or len(line.from_id) > LONGEST_KEY:
            raise LedgerError(
                f"{legible(line.intent_key, 100)}: an id in it is longer than {LONGEST_KEY} "
                "characters"
            )
        if odd := [text for text in (line.intent_key, line.from_id) if UNKEPT.search(text)]:
            said = legible(odd[0], 200)
            raise LedgerError(
                f"{said}: an id in it has a sign no ledger keeps (NUL, half a character)"
            )
        if line.intent_key in seen:
            raise LedgerError(
                f"{line.intent_key}: the plan asks twice for one need; the plan is not recorded"
            )
        seen.add(line.intent_key)


def propose(
    unit: Unit,
    lines: Sequence[OrderLine],
    run_id: str,
    by: str = PLANNER,
    scope: Collection[tuple[str, str]] | None = None,
    review_period: date | None = None,
    authors: Mapping[tuple[str, str], Collection[str]] | None = None,
    currency: str = "",
    sales: Mapping[tuple[str, str], Sale] | None = None,
) -> ProposalReport:
    """Record a plan as requisitions under their intent keys.

    sales: in which unit and currency a supplier reads an item, by (item, supplier), where that is
    not ours.

    currency: of their costs, by ISO 4217; without it money is rounded to hundredths.

    authors: who moved a line's quantity by an override, by item and location; they propose it as
    much as the planner does.

    scope: the (item, location) pairs this plan speaks for; None when it speaks for the whole world,
    so that unfirmed requisitions of its review period or an earlier one which it does not repeat
    are withdrawn. review_period: the first day of the period a plan is for, so that a plan without
    a line can withdraw too; by default the newest among its lines.
    """
    check(lines)
    standing = {
        d.intent_key: d
        for d in unit.read_in(
            documents.c.intent_key, [x.intent_key for x in lines], documents.c.is_live
        )
    }
    authors = authors or {}
    overridden = [x.intent_key for x in lines if (x.item_id, x.location_id) in authors]
    known = [standing[key].document_id for key in overridden if key in standing]
    moved_by = {(name, mover) for name, _, mover in moves(unit, known)}
    counts = dict.fromkeys(("new", "revised", "unchanged", "kept"), 0)
    document_ids: dict[str, str] = {}
    for line in lines:
        document = standing.get(line.intent_key)
        sale = _sale(line, sales or {})
        moved = sorted(authors.get((line.item_id, line.location_id), ()))
        asked = _asked(line, run_id, {"currency": currency, "sale": sale, "authors": moved})
        if document is None:
            document = unit.create("R")
            unit.add(document, "requested", by, need(line) | asked)
            counts["new"] += 1
        elif document.stage != "requisition" or document.is_firm:
            counts["kept"] += 1
        elif (
            all(getattr(document, name) == asked[name] for name in TERMS)
            and document.sale == sale
            and all((document.document_id, mover) in moved_by for mover in moved)
        ):
            counts["unchanged"] += 1
        else:
            unit.add(document, "revised", by, asked)
            counts["revised"] += 1
        document_ids[line.intent_key] = document.document_id
    withdrawn = [
        d for d in _dropped(unit, lines, scope, review_period) if d.intent_key not in document_ids
    ]
    for document in withdrawn:
        unit.add(
            document,
            "withdrawn",
            by,
            {"run_id": run_id, "reason": "the newer plan does not need it"},
        )
    return ProposalReport(
        counts["new"],
        counts["revised"],
        counts["unchanged"],
        len(withdrawn),
        counts["kept"],
        document_ids,
    )


def _asked(line: OrderLine, run_id: str, beside: Mapping[str, Any]) -> dict[str, Any]:
    """What the event of a requisition says; of what stands beside its terms, what there is."""
    return {
        **terms(line),
        "reason": line.reason,
        "parts": {k: float(v) for k, v in line.parts.items()},
        "run_id": run_id,
        **{name: value for name, value in beside.items() if value},
    }


def _sale(line: OrderLine, sales: Mapping[tuple[str, str], Sale]) -> dict[str, Any]:
    """On what terms a purchase is sold, as its document keeps it; empty where they are ours."""
    sold = sales.get((line.item_id, line.from_id)) if line.kind == "purchase" else None
    return sold.to_payload() if sold else {}


def _dropped(
    unit: Unit,
    lines: Sequence[OrderLine],
    scope: Collection[tuple[str, str]] | None,
    review_period: date | None,
) -> list[Document]:
    """Stored unfirmed requisitions this plan speaks for: its world, its review period or an earlier
    one, its scope."""
    periods = [line.review_period for line in lines] + ([review_period] if review_period else [])
    if not periods:
        return []
    worlds, spoken = {line.world for line in lines}, None if scope is None else set(scope)
    asked = unit.read(
        documents.c.stage == "requisition", documents.c.review_period <= max(periods).isoformat()
    )
    return [
        d
        for d in asked
        if not d.is_firm
        and (not worlds or d.world in worlds)
        and (spoken is None or (d.item_id, d.location_id) in spoken)
    ]
