"""Several installations on one database: who may write to a practice system, and who claimed a write-back."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(length=255)
    op.create_table(
        "connection_lease",
        sa.Column("location_id", text, nullable=False),
        sa.Column("holder", text, nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_connection_lease_location_id_location")),
        sa.PrimaryKeyConstraint("location_id", name=op.f("pk_connection_lease")),
    )
    op.add_column("write_back", sa.Column("claimed_by", text))
