"""The circuit breaker of the connections to practice systems: since when one fails, why, and when it is tried again."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(length=255)
    op.create_table(
        "connection_trouble",
        sa.Column("location_id", text, nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("retry_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_connection_trouble_location_id_location")
        ),
        sa.PrimaryKeyConstraint("location_id", name=op.f("pk_connection_trouble")),
    )
