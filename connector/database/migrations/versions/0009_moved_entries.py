"""Entries that were moved to the right patient, are dated later, or go towards treatment."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant
from connector.database.migrations.guard import guard

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CENTS_OR_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

APPEND_ONLY = ("entry_move",)
"""What happened is never edited: the database itself refuses to change or remove these rows."""


def upgrade() -> None:
    text = sa.String(length=255)
    op.create_table(
        "entry_move",
        sa.Column("id", text, nullable=False),
        sa.Column("location_id", text, nullable=False),
        sa.Column("payment_id", text, nullable=False),
        sa.Column("member_id", text, nullable=False),
        sa.Column("from_patient_id", text, nullable=False),
        sa.Column("to_patient_id", text, nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", text, nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("actor", text, nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_entry_move_amount_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_entry_move_location_id_location")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_entry_move_payment_id_payment")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_entry_move_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entry_move")),
    )
    op.create_index("ix_entry_move_payment_id", "entry_move", ["payment_id"])
    with op.batch_alter_table("write_back") as batch:
        batch.add_column(sa.Column("after_id", text))
        batch.add_column(sa.Column("ledger_date", sa.Date()))
        batch.add_column(sa.Column("prepayment", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch.create_foreign_key(op.f("fk_write_back_after_id_write_back"), "write_back", ["after_id"], ["id"])
    with op.batch_alter_table("write_back") as batch:
        batch.alter_column("prepayment", server_default=None)
    op.add_column("patient_link", sa.Column("entries_follow_since", Instant()))
    op.add_column("patient_link", sa.Column("entries_follow_by", text))
    guard(APPEND_ONLY)
