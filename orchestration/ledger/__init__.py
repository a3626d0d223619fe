"""The ledger: the transactional store where needs become orders, exactly once, inside limits people set.

Every function here is one transaction: it happens, or it does not. `now` is the home's Now (naive UTC); wall time is kept beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

import polars as pl

from models.domain import OrderLine
from models.procurement.approval import Evidence, Limits
from models.procurement.documents import Document, Event
from orchestration.ledger import desk, proposals, rows
from orchestration.ledger.desk import ApprovalReport
from orchestration.ledger.proposals import PLANNER, ProposalReport
from orchestration.ledger.store import LedgerError, Store

__all__ = ["ApprovalReport", "Ledger", "LedgerError", "ProposalReport"]


class Ledger:
    """Documents under an intent key, from requisition to payment proposal, in SQLite or PostgreSQL."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, url: str) -> Ledger:
        """The ledger at a database URL (sqlite:///path/ledger.sqlite or postgresql://…), created or migrated as needed."""
        return cls(Store(url))

    def close(self) -> None:
        """Give every connection back."""
        self.store.engine.dispose()

    def propose(
        self,
        lines: Sequence[OrderLine],
        run_id: str,
        now: datetime,
        by: str = PLANNER,
        scope: Collection[tuple[str, str]] | None = None,
    ) -> ProposalReport:
        """Record a plan as requisitions: new needs open one, changed ones revise it, dropped ones withdraw it; see proposals.propose."""
        with self.store.writing(now) as unit:
            return proposals.propose(unit, lines, run_id, by, scope)

    def approve_within_limits(self, now: datetime, evidence: Mapping[str, Evidence] | None = None) -> ApprovalReport:
        """Approve what the matrix lets through without a person; evidence by document id."""
        with self.store.writing(now) as unit:
            return desk.approve_within_limits(unit, evidence or {})

    def approve(self, references: Sequence[str], by: str, now: datetime, evidence: Mapping[str, Evidence] | None = None) -> list[str]:
        """Approve lines (document ids, intent keys or order ids) as a named person; all of them or none."""
        with self.store.writing(now) as unit:
            return desk.approve(unit, references, by, evidence or {})

    def reject(self, references: Sequence[str], by: str, now: datetime, reason: str) -> list[str]:
        """Say no to requisitions; their need is not proposed again in its review period."""
        with self.store.writing(now) as unit:
            return desk.reject(unit, references, by, reason)

    def firm(self, references: Sequence[str], by: str, now: datetime) -> list[str]:
        """Fix requisitions: no later plan revises or withdraws them, and they count in the stock position."""
        with self.store.writing(now) as unit:
            return desk.firm(unit, references, by)

    def cancel(self, references: Sequence[str], by: str, now: datetime, reason: str) -> list[str]:
        """Call off approved lines and release their budget; the next sending tells a supplier that knows them."""
        with self.store.writing(now) as unit:
            return desk.cancel(unit, references, by, reason)

    def change(
        self, reference: str, by: str, now: datetime, quantity: float | None = None, due_on: date | None = None, reason: str = ""
    ) -> str:
        """Order less, or for another day, of one approved line; the next sending tells the supplier."""
        with self.store.writing(now) as unit:
            return desk.change(unit, reference, by, quantity, due_on, reason)

    def stop(self, by: str, now: datetime, reason: str) -> None:
        """Turn the kill switch on: nothing is sent any more, also after a restart, until somebody resumes."""
        with self.store.writing(now) as unit:
            unit.add(unit.open(desk.SWITCH), "stopped", by, {"reason": reason})

    def resume(self, by: str, now: datetime, reason: str) -> None:
        """Turn the kill switch off."""
        with self.store.writing(now) as unit:
            unit.add(unit.open(desk.SWITCH), "resumed", by, {"reason": reason})

    def is_stopped(self) -> bool:
        """Whether the kill switch is on."""
        with self.store.engine.connect() as connection:
            return desk.is_stopped(connection)

    def set_limits(self, limits: Limits, by: str, now: datetime) -> None:
        """Set the approval matrix, the cap, the budget and who may approve; from now on, and on the record."""
        with self.store.writing(now) as unit:
            unit.add(unit.open(desk.LIMITS), "limits_set", by, limits.to_payload())

    def limits(self) -> Limits:
        """The limits in force."""
        with self.store.engine.connect() as connection:
            return desk.limits_in_force(connection)

    def events(self) -> list[Event]:
        """Every event, in order of seq."""
        return [event for event, _ in self.store.chained()]

    def lines(self) -> list[Document]:
        """Every order line's present state, in order of document id."""
        return self.store.lines()

    def canonical_rows(self) -> dict[str, pl.DataFrame]:
        """Orders and receipts as canonical rows of source `ledger`, from firming or approval onward; see rows.canonical_rows."""
        return rows.canonical_rows(self.store.chained())
