"""Names of people, suppliers and partners of any length: SQLite never counted, PostgreSQL stopped
at 128 characters."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

WIDENED = (
    ("events", "actor"),
    ("documents", "from_id"),
    ("outbox", "partner_id"),
    ("inbox", "partner_id"),
)


def upgrade() -> None:
    """Let ids be of any length in PostgreSQL; SQLite never bounded them."""
    if op.get_bind().dialect.name == "postgresql":
        for table, column in WIDENED:
            op.alter_column(table, column, type_=sa.Text)


def downgrade() -> None:
    """Back to 128 characters; PostgreSQL refuses where an id is longer."""
    if op.get_bind().dialect.name == "postgresql":
        for table, column in WIDENED:
            op.alter_column(table, column, type_=sa.String(128))
