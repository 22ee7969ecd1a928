"""Credit notes without a refund: what is owed on an invoice that is paid in part can be given up."""

import sqlalchemy as sa
from alembic import op

from connector.database.migrations.guard import guard

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credit_note") as batch:
        batch.alter_column("returned_payment_id", existing_type=sa.String(length=255), nullable=True)
    if op.get_bind().dialect.name == "sqlite":
        # The table was made anew there, and the triggers that guard it went with the old one.
        guard(("credit_note",))
