"""The seal, by which a database that was set back or copied is known."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(length=255)
    op.create_table(
        "seal",
        sa.Column("id", text, nullable=False),
        sa.Column("kept_as", text, nullable=True),
        sa.Column("text", text, nullable=False),
        sa.Column("next_text", text, nullable=True),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("broken_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal")),
    )
