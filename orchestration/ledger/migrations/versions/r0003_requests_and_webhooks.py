"""What scripts asked for, so that each request happens once; and how far each subscriber was
told."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables; neither changes anything that is there."""
    natural = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "requests",
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("after_seq", natural, nullable=False),
        sa.Column("last_seq", natural, nullable=False),
        sa.Column("recorded_at", sa.String(26), nullable=False),
    )
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("after_seq", natural, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.String(26), nullable=False),
        sa.Column("claimed_until", sa.String(26), nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Forget both; the ledger itself is untouched."""
    op.drop_table("webhooks")
    op.drop_table("requests")
