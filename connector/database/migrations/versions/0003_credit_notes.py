"""Credit notes: what is refunded is not asked for again. And who bore the platform's fee when somebody agreed."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant
from connector.database.migrations.guard import guard

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CENTS_OR_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

APPEND_ONLY = ("credit_note",)
"""What happened is never edited: the database itself refuses to change or remove these rows."""


def upgrade() -> None:
    op.add_column("location", sa.Column("next_credit_note_number", CENTS_OR_COUNT, nullable=False, server_default="1"))
    with op.batch_alter_table("location") as batch:
        batch.alter_column("next_credit_note_number", server_default=None)
    # Until now only a person could close a location.
    op.execute("UPDATE location SET status = 'paused' WHERE status = 'pending'")
    text = sa.String(length=255)
    op.create_table(
        "credit_note",
        sa.Column("id", text, nullable=False),
        sa.Column("location_id", text, nullable=False),
        sa.Column("number", CENTS_OR_COUNT, nullable=False),
        sa.Column("invoice_id", text, nullable=False),
        sa.Column("returned_payment_id", text, nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("gst_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", text, nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_credit_note_amount_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_credit_note_location_id_location")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id_invoice")),
        sa.ForeignKeyConstraint(
            ["returned_payment_id"],
            ["returned_payment.id"],
            name=op.f("fk_credit_note_returned_payment_id_returned_payment"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint("location_id", "number", name=op.f("uq_credit_note_location_id_number")),
        sa.UniqueConstraint("returned_payment_id", name=op.f("uq_credit_note_returned_payment_id")),
    )
    op.create_index("ix_credit_note_invoice_id", "credit_note", ["invoice_id"])
    for table in ("contract", "payment_plan"):
        op.add_column(table, sa.Column("fee_bearer", sa.String(length=24)))
    guard(APPEND_ONLY)
