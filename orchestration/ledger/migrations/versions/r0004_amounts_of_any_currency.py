"""Amounts in ten-thousandths, in which every currency's minor unit is a whole number: dinars have
three digits, yen none, and all were kept as hundredths."""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from orchestration.ledger.migrations.versions.r0001_events_and_projections import NO_CHANGE

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None

State = dict[str, Any]
FINER = 100  # ten-thousandths in a hundredth


def upgrade() -> None:
    """Count what is held in ten-thousandths, and know no currency of the documents there are."""
    _unguard()
    op.execute("ALTER TABLE encumbrances RENAME COLUMN amount_cents TO amount")
    op.execute(f"UPDATE encumbrances SET amount = amount * {FINER}")
    _guard()
    _rewrite(_finer)


def downgrade() -> None:
    """Back to hundredths; what is finer is lost."""
    _unguard()
    op.execute(f"UPDATE encumbrances SET amount = amount / {FINER}")
    op.execute("ALTER TABLE encumbrances RENAME COLUMN amount TO amount_cents")
    _guard()
    _rewrite(_coarser)


def _finer(state: State) -> State:
    for invoice in state["invoices"].values():
        if "amount_cents" in invoice:
            invoice["amount"] = invoice.pop("amount_cents") * FINER
    return {"currency": "", **state}


def _coarser(state: State) -> State:
    for invoice in state["invoices"].values():
        if "amount" in invoice:
            invoice["amount_cents"] = invoice.pop("amount") // FINER
    return {name: value for name, value in state.items() if name != "currency"}


def _rewrite(change: Callable[[State], State]) -> None:
    """Change the folded state of every document, in the one JSON text it has."""
    documents = sa.table("documents", sa.column("document_id"), sa.column("state"))
    connection = op.get_bind()
    for name, state in connection.execute(sa.select(documents)).all():
        text = json.dumps(
            change(json.loads(state)), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        where = documents.c.document_id == name
        connection.execute(sa.update(documents).where(where).values(state=text))


def _unguard() -> None:
    """Let the entries be changed, this once."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute('DROP TRIGGER "encumbrances_is_append_only" ON "encumbrances"')
        return
    for change in ("update", "delete"):
        op.execute(f'DROP TRIGGER "encumbrances_no_{change}"')


def _guard() -> None:
    """The triggers of r0001 again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            'CREATE TRIGGER "encumbrances_is_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON '
            '"encumbrances" FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()'
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f'CREATE TRIGGER "encumbrances_no_{change.lower()}" BEFORE {change} ON "encumbrances" '
            f"BEGIN SELECT RAISE(ABORT, '{NO_CHANGE}'); END"
        )
