"""Indexes for what is looked up with each payment: those of an invoice, what went back of one, a charge's attempts."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_payment_invoice_id", "payment", ["invoice_id"])
    op.create_index("ix_returned_payment_payment_id", "returned_payment", ["payment_id"])
    op.create_index("ix_charge_attempt_charge_id", "charge_attempt", ["charge_id"])
