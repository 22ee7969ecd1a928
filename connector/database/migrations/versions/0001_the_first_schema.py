"""The first schema."""

import sqlalchemy as sa
from alembic import op

from connector.database.base import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


CENTS_OR_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

APPEND_ONLY = ("journal_entry", "posting", "write_back_step", "payment", "returned_payment", "day_close")
"""What happened is never edited: the database itself refuses to change or remove these rows."""


def upgrade() -> None:
    op.create_table(
        "clinic",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic")),
        sa.UniqueConstraint("name", name=op.f("uq_clinic_name")),
    )
    op.create_table(
        "event_cursor",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("read_until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_cursor")),
    )
    op.create_table(
        "inbox_event",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "charge",
                "enrolment",
                "refund",
                "dispute",
                "payout",
                "other",
                name="eventkind",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("created", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("handled_at", Instant(), nullable=True),
        sa.Column("deliveries_failed", CENTS_OR_COUNT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_event")),
    )
    with op.batch_alter_table("inbox_event", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_event_open", ["handled_at", "created"], unique=False)

    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=255), nullable=False),
        sa.Column("period", sa.String(length=255), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("job", "period", name=op.f("pk_job_run")),
    )
    op.create_table(
        "payout",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("processor_id", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("arrival_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_payout_processor_id")),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("clinic_id", sa.String(length=255), nullable=False),
        sa.Column("slug", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("timezone", sa.String(length=255), nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("pms_adapter", sa.String(length=255), nullable=False),
        sa.Column("pms_settings", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_location_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("slug", name=op.f("uq_location_slug")),
    )
    op.create_table(
        "day_close",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("number", CENTS_OR_COUNT, nullable=False),
        sa.Column("closed_at", Instant(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_day_close_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_close")),
        sa.UniqueConstraint("location_id", "business_date", name=op.f("uq_day_close_location_id_business_date")),
        sa.UniqueConstraint("location_id", "number", name=op.f("uq_day_close_location_id_number")),
    )
    op.create_table(
        "day_sheet_reading",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("read_at", Instant(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_day_sheet_reading_location_id_location")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_sheet_reading")),
    )
    with op.batch_alter_table("day_sheet_reading", schema=None) as batch_op:
        batch_op.create_index("ix_day_sheet_reading_day", ["location_id", "business_date", "read_at"], unique=False)

    op.create_table(
        "journal_entry",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=True),
        sa.Column(
            "recipe",
            sa.Enum(
                "invoice_issued",
                "charge_settled",
                "refund",
                "dispute",
                "processor_fee",
                "payout",
                name="recipe",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("source_id", sa.String(length=255), nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("effective_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_journal_entry_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint("recipe", "source_id", name=op.f("uq_journal_entry_recipe_source_id")),
    )
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.create_index("ix_journal_entry_location_date", ["location_id", "effective_date"], unique=False)

    op.create_table(
        "member",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("given_name", sa.String(length=255), nullable=False),
        sa.Column("family_name", sa.String(length=255), nullable=False),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("suburb", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("postcode", sa.String(length=255), nullable=False),
        sa.Column("processor_customer_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_member_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("location_id", "external_id", name=op.f("uq_member_location_id_external_id")),
    )
    op.create_table(
        "membership_plan",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_membership_plan_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership_plan")),
        sa.UniqueConstraint("location_id", "name", name=op.f("uq_membership_plan_location_id_name")),
    )
    op.create_table(
        "contract",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("plan_id", sa.String(length=255), nullable=False),
        sa.Column(
            "frequency",
            sa.Enum("weekly", "fortnightly", "monthly", "annually", name="frequency", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("price_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "active",
                "overdue",
                "completed",
                "cancelled",
                name="agreementstatus",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("anchor", sa.Date(), nullable=True),
        sa.Column("invited_at", Instant(), nullable=True),
        sa.Column("next_period", CENTS_OR_COUNT, nullable=False),
        sa.Column("next_due", sa.Date(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("price_cents > 0", name=op.f("ck_contract_price_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_contract_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_contract_member_id_member")),
        sa.ForeignKeyConstraint(["plan_id"], ["membership_plan.id"], name=op.f("fk_contract_plan_id_membership_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
    )
    with op.batch_alter_table("contract", schema=None) as batch_op:
        batch_op.create_index("ix_contract_due", ["location_id", "status", "next_due"], unique=False)
        batch_op.create_index("ix_contract_member_id", ["member_id"], unique=False)

    op.create_table(
        "link_review",
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column(
            "outcome", sa.Enum("review", "none", name="reviewoutcome", native_enum=False, length=24), nullable=False
        ),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("weights_version", sa.String(length=255), nullable=False),
        sa.Column("examined_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_link_review_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_link_review_member_id_member")),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_link_review")),
    )
    with op.batch_alter_table("link_review", schema=None) as batch_op:
        batch_op.create_index("ix_link_review_location", ["location_id", "resolved_at"], unique=False)

    op.create_table(
        "patient_link",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("pms_patient_id", sa.String(length=255), nullable=False),
        sa.Column("linked_at", Instant(), nullable=False),
        sa.Column("linked_by", sa.String(length=255), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("weights_version", sa.String(length=255), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_patient_link_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_patient_link_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_link")),
    )
    with op.batch_alter_table("patient_link", schema=None) as batch_op:
        batch_op.create_index(
            "uq_patient_link_member",
            ["member_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "uq_patient_link_patient",
            ["location_id", "pms_patient_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "payment_method",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column(
            "kind", sa.Enum("card", "au_becs_debit", name="methodkind", native_enum=False, length=24), nullable=False
        ),
        sa.Column("processor_id", sa.String(length=255), nullable=False),
        sa.Column("mandate_id", sa.String(length=255), nullable=True),
        sa.Column("last4", sa.String(length=255), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_payment_method_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_payment_method_processor_id")),
    )
    with op.batch_alter_table("payment_method", schema=None) as batch_op:
        batch_op.create_index("ix_payment_method_member_id", ["member_id"], unique=False)

    op.create_table(
        "payment_plan",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("total_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("instalment_count", CENTS_OR_COUNT, nullable=False),
        sa.Column(
            "frequency",
            sa.Enum("weekly", "fortnightly", "monthly", "annually", name="frequency", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("anchor", sa.Date(), nullable=False),
        sa.Column("next_number", CENTS_OR_COUNT, nullable=False),
        sa.Column("next_due", sa.Date(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "active",
                "overdue",
                "completed",
                "cancelled",
                name="agreementstatus",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "total_cents >= instalment_count AND instalment_count > 0", name=op.f("ck_payment_plan_cent_per_instalment")
        ),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_payment_plan_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_payment_plan_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_plan")),
    )
    with op.batch_alter_table("payment_plan", schema=None) as batch_op:
        batch_op.create_index("ix_payment_plan_due", ["location_id", "status", "next_due"], unique=False)

    op.create_table(
        "plan_price",
        sa.Column("plan_id", sa.String(length=255), nullable=False),
        sa.Column(
            "frequency",
            sa.Enum("weekly", "fortnightly", "monthly", "annually", name="frequency", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["membership_plan.id"], name=op.f("fk_plan_price_plan_id_membership_plan")
        ),
        sa.PrimaryKeyConstraint("plan_id", "frequency", name=op.f("pk_plan_price")),
    )
    op.create_table(
        "posting",
        sa.Column("entry_id", sa.String(length=255), nullable=False),
        sa.Column("line", CENTS_OR_COUNT, nullable=False),
        sa.Column(
            "account",
            sa.Enum(
                "receivable",
                "membership_income",
                "instalment_income",
                "processor_clearing",
                "processor_fees",
                "bank",
                name="account",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("cents", CENTS_OR_COUNT, nullable=False),
        sa.CheckConstraint("cents <> 0", name=op.f("ck_posting_not_zero")),
        sa.ForeignKeyConstraint(["entry_id"], ["journal_entry.id"], name=op.f("fk_posting_entry_id_journal_entry")),
        sa.PrimaryKeyConstraint("entry_id", "line", name=op.f("pk_posting")),
    )
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.create_index("ix_posting_account", ["account"], unique=False)

    op.create_table(
        "write_back",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("source_id", sa.String(length=255), nullable=False),
        sa.Column("leg", sa.Enum("payment", "reversal", name="leg", native_enum=False, length=24), nullable=False),
        sa.Column("reverses_id", sa.String(length=255), nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("entry_date", sa.Date(), nullable=False),
        sa.Column("payment_type", sa.String(length=255), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "unlinked",
                "ready",
                "queued",
                "sending",
                "accepted",
                "confirmed",
                "rejected",
                "unknown",
                "held",
                "recorded",
                name="writebackstate",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("pms_patient_id", sa.String(length=255), nullable=True),
        sa.Column("sent_to_patient_id", sa.String(length=255), nullable=True),
        sa.Column("attempts", CENTS_OR_COUNT, nullable=False),
        sa.Column("fence", CENTS_OR_COUNT, nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("baseline", sa.JSON(), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("next_attempt_at", Instant(), nullable=False),
        sa.Column("looks", CENTS_OR_COUNT, nullable=False),
        sa.Column("failed_looks", CENTS_OR_COUNT, nullable=False),
        sa.Column("pms_entry_id", sa.String(length=255), nullable=True),
        sa.Column("pms_entry_date", sa.Date(), nullable=True),
        sa.Column("confirmed_at", Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_write_back_amount_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_write_back_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_write_back_member_id_member")),
        sa.ForeignKeyConstraint(["reverses_id"], ["write_back.id"], name=op.f("fk_write_back_reverses_id_write_back")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_back")),
        sa.UniqueConstraint("location_id", "pms_entry_id", name=op.f("uq_write_back_location_id_pms_entry_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_write_back_reference")),
        sa.UniqueConstraint("source_id", "leg", name=op.f("uq_write_back_source_id_leg")),
    )
    with op.batch_alter_table("write_back", schema=None) as batch_op:
        batch_op.create_index("ix_write_back_location_date", ["location_id", "entry_date"], unique=False)
        batch_op.create_index("ix_write_back_member_id", ["member_id"], unique=False)
        batch_op.create_index("ix_write_back_work", ["location_id", "state", "next_attempt_at"], unique=False)

    op.create_table(
        "invoice",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("contract_id", sa.String(length=255), nullable=True),
        sa.Column("payment_plan_id", sa.String(length=255), nullable=True),
        sa.Column("period", CENTS_OR_COUNT, nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "processing",
                "completed",
                "overdue",
                "cancelled",
                name="invoicestatus",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.CheckConstraint("(contract_id IS NULL) <> (payment_plan_id IS NULL)", name=op.f("ck_invoice_one_agreement")),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_invoice_amount_positive")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_invoice_contract_id_contract")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_invoice_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_invoice_member_id_member")),
        sa.ForeignKeyConstraint(
            ["payment_plan_id"], ["payment_plan.id"], name=op.f("fk_invoice_payment_plan_id_payment_plan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("contract_id", "period", name=op.f("uq_invoice_contract_id_period")),
        sa.UniqueConstraint("payment_plan_id", "period", name=op.f("uq_invoice_payment_plan_id_period")),
    )
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.create_index("ix_invoice_location_due", ["location_id", "due_date"], unique=False)

    op.create_table(
        "write_back_step",
        sa.Column("sequence", CENTS_OR_COUNT, autoincrement=True, nullable=False),
        sa.Column("write_back_id", sa.String(length=255), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column(
            "before",
            sa.Enum(
                "unlinked",
                "ready",
                "queued",
                "sending",
                "accepted",
                "confirmed",
                "rejected",
                "unknown",
                "held",
                "recorded",
                name="writebackstate",
                native_enum=False,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column(
            "after",
            sa.Enum(
                "unlinked",
                "ready",
                "queued",
                "sending",
                "accepted",
                "confirmed",
                "rejected",
                "unknown",
                "held",
                "recorded",
                name="writebackstate",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["write_back_id"], ["write_back.id"], name=op.f("fk_write_back_step_write_back_id_write_back")
        ),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_write_back_step")),
    )
    with op.batch_alter_table("write_back_step", schema=None) as batch_op:
        batch_op.create_index("ix_write_back_step_write_back_id", ["write_back_id"], unique=False)

    op.create_table(
        "charge",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("invoice_id", sa.String(length=255), nullable=False),
        sa.Column("generation", CENTS_OR_COUNT, nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("processor_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_charge_amount_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_charge_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_charge_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge")),
        sa.UniqueConstraint("invoice_id", "generation", name=op.f("uq_charge_invoice_id_generation")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_charge_processor_id")),
    )
    op.create_table(
        "charge_attempt",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("charge_id", sa.String(length=255), nullable=False),
        sa.Column("payment_method_id", sa.String(length=255), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "sending",
                "processing",
                "succeeded",
                "failed",
                name="attemptstate",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("next_check_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("failure_code", sa.String(length=255), nullable=True),
        sa.Column("failed_charge_id", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.id"], name=op.f("fk_charge_attempt_charge_id_charge")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_charge_attempt_location_id_location")),
        sa.ForeignKeyConstraint(
            ["payment_method_id"],
            ["payment_method.id"],
            name=op.f("fk_charge_attempt_payment_method_id_payment_method"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_attempt")),
    )
    with op.batch_alter_table("charge_attempt", schema=None) as batch_op:
        batch_op.create_index("ix_charge_attempt_work", ["state", "next_check_at"], unique=False)
        batch_op.create_index(
            "uq_charge_attempt_live",
            ["charge_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('planned', 'sending', 'processing')"),
            postgresql_where=sa.text("state IN ('planned', 'sending', 'processing')"),
        )

    op.create_table(
        "payment",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("invoice_id", sa.String(length=255), nullable=False),
        sa.Column("charge_id", sa.String(length=255), nullable=False),
        sa.Column("processor_charge_id", sa.String(length=255), nullable=False),
        sa.Column(
            "method_kind",
            sa.Enum("card", "au_becs_debit", name="methodkind", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("fee_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("settled_at", Instant(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.id"], name=op.f("fk_payment_charge_id_charge")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_payment_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_payment_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("charge_id", name=op.f("uq_payment_charge_id")),
        sa.UniqueConstraint("processor_charge_id", name=op.f("uq_payment_processor_charge_id")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index("ix_payment_location_date", ["location_id", "business_date"], unique=False)

    op.create_table(
        "returned_payment",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("payment_id", sa.String(length=255), nullable=False),
        sa.Column(
            "kind", sa.Enum("refund", "dispute", name="returnkind", native_enum=False, length=24), nullable=False
        ),
        sa.Column("processor_id", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("fee_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("returned_at", Instant(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_returned_payment_location_id_location")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_returned_payment_payment_id_payment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returned_payment")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_returned_payment_processor_id")),
    )
    with op.batch_alter_table("returned_payment", schema=None) as batch_op:
        batch_op.create_index("ix_returned_payment_location_date", ["location_id", "business_date"], unique=False)
    _guard()


def _guard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER tr_{table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER tr_{table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
