"""The billing core: versions of plans, households, numbered invoices with lines, recovery, links, messages and fees."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from connector import ids
from connector.database.base import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


CENTS_OR_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

APPEND_ONLY = (
    "activity",
    "benefit_use",
    "fee_statement",
    "invoice_line",
    "plan_version",
    "platform_fee",
    "undone_return",
)
"""What happened is never edited: the database itself refuses to change or remove these rows."""


def upgrade() -> None:
    _new_tables()
    _new_columns()
    _keep_plans_and_contracts()
    _keep_invoices()
    _new_keys()
    _guard()


def _new_columns() -> None:
    """Columns of old tables, with what they mean for rows that are there already."""
    text = sa.String(length=255)
    added: dict[str, list[sa.Column[Any]]] = {
        "charge": [_with("application_fee_cents", CENTS_OR_COUNT, "0")],
        "charge_attempt": [
            _with("origin", sa.String(length=24), "'schedule'"),
            sa.Column("debit_on", sa.Date()),
            sa.Column("advice_code", text),
            sa.Column("network_advice_code", text),
        ],
        "clinic": [_with("abn", text, "''"), _with("contact", text, "''")],
        "contract": [
            # What runs already has no first charge that could fail.
            _with("adopted", sa.Boolean(), "true"),
            sa.Column("signed_at", Instant()),
            sa.Column("lock_in_until", sa.Date()),
            sa.Column("frozen_at", Instant()),
            sa.Column("ends_on", sa.Date()),
        ],
        "invoice": [
            sa.Column("number", CENTS_OR_COUNT),
            sa.Column("kind", sa.String(length=24)),
            sa.Column("instant_payment_id", text),
            sa.Column("payment_hold_id", text),
            sa.Column("issued_by", sa.JSON()),
        ],
        "location": [
            _with("status", sa.String(length=24), "'active'"),
            *(
                _with(name, text, "''")
                for name in ("region", "trading_name", "abn", "address", "phone", "email", "website")
            ),
            _with("settings", sa.JSON(), "'{}'"),
            _with("next_invoice_number", CENTS_OR_COUNT, "1"),
        ],
        "member": [_with("gender", text, "''")],
        "membership_plan": [_with("version", CENTS_OR_COUNT, "1"), sa.Column("archived_at", Instant())],
        "payment_method": [
            sa.Column("brand", text),
            sa.Column("expiry_month", CENTS_OR_COUNT),
            sa.Column("expiry_year", CENTS_OR_COUNT),
            sa.Column("fingerprint", text),
        ],
        "payment_plan": [
            sa.Column("template_id", text),
            _with("description", text, "''"),
            _with("deposit_cents", CENTS_OR_COUNT, "0"),
            _with("setup_fee_cents", CENTS_OR_COUNT, "0"),
            _with("anchor_number", CENTS_OR_COUNT, "1"),
            sa.Column("accepted_at", Instant()),
            sa.Column("archived_at", Instant()),
        ],
        "payout": [sa.Column("failed_at", Instant())],
    }
    for table, columns in added.items():
        for column in columns:
            op.add_column(table, column)


def _with(name: str, kind: sa.types.TypeEngine[Any], value: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, server_default=sa.text(value))


def _keep_plans_and_contracts() -> None:
    """Each plan's prices become its first version, and each contract's price the cover of its holder."""
    connection = op.get_bind()
    prices: dict[str, dict[str, int]] = {}
    for plan_id, frequency, cents in connection.execute(
        sa.text("SELECT plan_id, frequency, amount_cents FROM plan_price")
    ):
        prices.setdefault(plan_id, {})[frequency] = cents
    versions = {}
    for plan_id, created_at in connection.execute(sa.text("SELECT id, created_at FROM membership_plan")):
        versions[plan_id] = ids.new_id("plv")
        connection.execute(
            sa.text(
                "INSERT INTO plan_version (id, plan_id, number, document, actor, created_at) "
                "VALUES (:id, :plan, 1, :document, 'connector', :at)"
            ),
            {
                "id": versions[plan_id],
                "plan": plan_id,
                "document": json.dumps({"prices": prices.get(plan_id, {})}),
                "at": created_at,
            },
        )
    contracts = connection.execute(
        sa.text("SELECT id, member_id, plan_id, price_cents, anchor, status, created_at FROM contract")
    ).all()
    for contract in contracts:
        connection.execute(
            sa.text(
                "INSERT INTO cover (id, contract_id, member_id, position, plan_version_id, price_cents, setup_fee_cents, "
                "from_period, starts_on, created_at) "
                "VALUES (:id, :contract, :member, 'holder', :version, :price, 0, 0, :starts, :at)"
            ),
            {
                "id": ids.new_id("cov"),
                "contract": contract.id,
                "member": contract.member_id,
                "version": versions[contract.plan_id],
                "price": contract.price_cents,
                "starts": None if contract.status == "pending" else contract.anchor,
                "at": contract.created_at,
            },
        )


def _keep_invoices() -> None:
    """Old invoices get their numbers in the order of issue, and their one line."""
    connection = op.get_bind()
    connection.execute(
        sa.text("UPDATE invoice SET kind = CASE WHEN contract_id IS NULL THEN 'instalment' ELSE 'membership' END")
    )
    connection.execute(
        sa.text(
            "UPDATE charge_attempt SET debit_on = (SELECT due_date FROM invoice JOIN charge ON charge.invoice_id = invoice.id "
            "WHERE charge.id = charge_attempt.charge_id)"
        )
    )
    for location_id, name, zone, slug in connection.execute(
        sa.text("SELECT id, name, timezone, slug FROM location")
    ).all():
        seller = {"name": name, "trading_name": name, "abn": "", "address": "", "phone": "", "email": ""}
        seller |= {"timezone": zone, "prefix": slug.upper()}
        query = "SELECT id, member_id, kind, period, amount_cents FROM invoice WHERE location_id = :it ORDER BY issued_at, id"
        number = 0
        for number, invoice in enumerate(connection.execute(sa.text(query), {"it": location_id}).all(), start=1):
            connection.execute(
                sa.text("UPDATE invoice SET number = :number, issued_by = :seller WHERE id = :id"),
                {"number": number, "seller": json.dumps(seller), "id": invoice.id},
            )
            membership = invoice.kind == "membership"
            connection.execute(
                sa.text(
                    "INSERT INTO invoice_line "
                    "(invoice_id, position, member_id, kind, description, amount_cents, gst_cents, tax_code) "
                    "VALUES (:id, 0, :member, :kind, :said, :cents, 0, 'gst_free')"
                ),
                {
                    "id": invoice.id,
                    "member": invoice.member_id,
                    "kind": "plan" if membership else "instalment",
                    "said": "Membership" if membership else f"Instalment {invoice.period}",
                    "cents": invoice.amount_cents,
                },
            )
        connection.execute(
            sa.text("UPDATE location SET next_invoice_number = :next WHERE id = :it"),
            {"next": number + 1, "it": location_id},
        )


def _new_keys() -> None:
    op.drop_table("plan_price")
    live = sa.text("state IN ('planned', 'sending', 'payer', 'processing')")
    with op.batch_alter_table("charge_attempt") as batch:
        batch.alter_column("debit_on", existing_type=sa.Date(), nullable=False)
        batch.drop_index("uq_charge_attempt_live")
    op.create_index(
        "uq_charge_attempt_live", "charge_attempt", ["charge_id"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_index("ix_charge_attempt_debit", "charge_attempt", ["location_id", "debit_on"])
    with op.batch_alter_table("contract") as batch:
        batch.drop_constraint(op.f("ck_contract_price_positive"), type_="check")
        batch.drop_constraint(op.f("fk_contract_plan_id_membership_plan"), type_="foreignkey")
        batch.drop_column("plan_id")
        batch.drop_column("price_cents")
    _invoice_keys()
    with op.batch_alter_table("payment_plan") as batch:
        batch.drop_constraint(op.f("ck_payment_plan_cent_per_instalment"), type_="check")
        batch.create_check_constraint(
            op.f("ck_payment_plan_cent_per_instalment"),
            "total_cents - deposit_cents >= instalment_count AND instalment_count > 0",
        )
        batch.create_check_constraint(
            op.f("ck_payment_plan_not_negative"), "deposit_cents >= 0 AND setup_fee_cents >= 0"
        )
        batch.create_foreign_key(
            op.f("fk_payment_plan_template_id_payment_plan_template"), "payment_plan_template", ["template_id"], ["id"]
        )
        batch.create_index("ix_payment_plan_member_id", ["member_id"])
    with op.batch_alter_table("write_back") as batch:
        batch.drop_constraint(op.f("uq_write_back_source_id_leg"), type_="unique")
        batch.create_unique_constraint(op.f("uq_write_back_source_id_leg_member_id"), ["source_id", "leg", "member_id"])


def _invoice_keys() -> None:
    agreements = ("contract", "payment_plan", "instant_payment", "payment_hold")
    one = " + ".join(f"CASE WHEN {name}_id IS NULL THEN 0 ELSE 1 END" for name in agreements) + " = 1"
    with op.batch_alter_table("invoice") as batch:
        batch.drop_constraint(op.f("ck_invoice_one_agreement"), type_="check")
        batch.drop_constraint(op.f("ck_invoice_amount_positive"), type_="check")
        for column, kind in (("number", CENTS_OR_COUNT), ("kind", sa.String(length=24)), ("issued_by", sa.JSON())):
            batch.alter_column(column, existing_type=kind, nullable=False)
        batch.create_check_constraint(op.f("ck_invoice_one_agreement"), one)
        batch.create_check_constraint(op.f("ck_invoice_amount_not_negative"), "amount_cents >= 0")
        batch.drop_constraint(op.f("uq_invoice_contract_id_period"), type_="unique")
        for columns in (
            ["contract_id", "kind", "period"],
            ["instant_payment_id", "period"],
            ["location_id", "number"],
            ["payment_hold_id"],
        ):
            batch.create_unique_constraint(op.f(f"uq_invoice_{'_'.join(columns)}"), columns)
        for table in ("payment_hold", "instant_payment"):
            batch.create_foreign_key(op.f(f"fk_invoice_{table}_id_{table}"), table, [f"{table}_id"], ["id"])
        batch.create_index("ix_invoice_member_id", ["member_id"])


def _guard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER tr_{table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER tr_{table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _new_tables() -> None:
    op.create_table(
        "activity",
        sa.Column("sequence", CENTS_OR_COUNT, autoincrement=True, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=True),
        sa.Column("subject_id", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_activity")),
    )
    with op.batch_alter_table("activity", schema=None) as batch_op:
        batch_op.create_index("ix_activity_location_id", ["location_id"], unique=False)
        batch_op.create_index("ix_activity_subject_id", ["subject_id"], unique=False)

    op.create_table(
        "staff_user",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("clinic_id", sa.String(length=255), nullable=False),
        sa.Column("given_name", sa.String(length=255), nullable=False),
        sa.Column("family_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=255), nullable=False),
        sa.Column("role", sa.Enum("admin", "limited", name="role", native_enum=False, length=24), nullable=False),
        sa.Column(
            "status",
            sa.Enum("pending", "active", "disabled", name="staffstatus", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_staff_user_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_user")),
        sa.UniqueConstraint("clinic_id", "email", name=op.f("uq_staff_user_clinic_id_email")),
    )
    op.create_table(
        "fee_statement",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("payments", CENTS_OR_COUNT, nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("gst_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_fee_statement_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_statement")),
        sa.UniqueConstraint("location_id", "month", name=op.f("uq_fee_statement_location_id_month")),
    )
    op.create_table(
        "payment_plan_template",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("only_for_members", sa.Boolean(), nullable=False),
        sa.Column("min_total_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("max_total_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("months", sa.JSON(), nullable=False),
        sa.Column("frequencies", sa.JSON(), nullable=False),
        sa.Column("deposit_percent", CENTS_OR_COUNT, nullable=False),
        sa.Column("setup_fee_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("start_after_days", CENTS_OR_COUNT, nullable=False),
        sa.Column("archived_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["location_id"], ["location.id"], name=op.f("fk_payment_plan_template_location_id_location")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_plan_template")),
        sa.UniqueConstraint("location_id", "name", name=op.f("uq_payment_plan_template_location_id_name")),
    )
    op.create_table(
        "promo_code",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("code", sa.String(length=255), nullable=False),
        sa.Column("percent", sa.String(length=255), nullable=True),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=True),
        sa.Column(
            "scope",
            sa.Enum("join", "recurring", "both", name="promoscope", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("periods", CENTS_OR_COUNT, nullable=True),
        sa.Column("opens", sa.Date(), nullable=True),
        sa.Column("closes", sa.Date(), nullable=True),
        sa.Column("max_uses", CENTS_OR_COUNT, nullable=True),
        sa.Column("used", CENTS_OR_COUNT, nullable=False),
        sa.Column("plan_ids", sa.JSON(), nullable=True),
        sa.Column("campaign", sa.String(length=255), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("(percent IS NULL) <> (amount_cents IS NULL)", name=op.f("ck_promo_code_percent_or_amount")),
        sa.CheckConstraint("max_uses IS NULL OR used <= max_uses", name=op.f("ck_promo_code_not_used_up")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_promo_code_location_id_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promo_code")),
        sa.UniqueConstraint("location_id", "code", name=op.f("uq_promo_code_location_id_code")),
    )
    op.create_table(
        "staff_location",
        sa.Column("staff_user_id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_staff_location_location_id_location")),
        sa.ForeignKeyConstraint(
            ["staff_user_id"], ["staff_user.id"], name=op.f("fk_staff_location_staff_user_id_staff_user")
        ),
        sa.PrimaryKeyConstraint("staff_user_id", "location_id", name=op.f("pk_staff_location")),
    )
    op.create_table(
        "benefit_use",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("procedure_code", sa.String(length=255), nullable=False),
        sa.Column("quantity", CENTS_OR_COUNT, nullable=False),
        sa.Column("used_on", sa.Date(), nullable=False),
        sa.Column("takes_back_id", sa.String(length=255), nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_benefit_use_member_id_member")),
        sa.ForeignKeyConstraint(
            ["takes_back_id"], ["benefit_use.id"], name=op.f("fk_benefit_use_takes_back_id_benefit_use")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_benefit_use")),
        sa.UniqueConstraint("takes_back_id", name=op.f("uq_benefit_use_takes_back_id")),
    )
    with op.batch_alter_table("benefit_use", schema=None) as batch_op:
        batch_op.create_index("ix_benefit_use_member_id", ["member_id", "used_on"], unique=False)

    op.create_table(
        "instant_payment",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum("active", "completed", "cancelled", "expired", name="requeststatus", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("accepted_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_instant_payment_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_instant_payment_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instant_payment")),
    )
    with op.batch_alter_table("instant_payment", schema=None) as batch_op:
        batch_op.create_index("ix_instant_payment_member_id", ["member_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=True),
        sa.Column("staff_user_id", sa.String(length=255), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "invitation",
                "payment_request",
                "invoice_issued",
                "receipt",
                "upcoming_debit",
                "payment_failed",
                "payment_failed_again",
                "final_notice",
                "card_expiring",
                "plan_change_notice",
                "hold_expiring",
                "overdue_staff_notice",
                "staff_invitation",
                "new_link",
                "payment_plan_paused",
                "membership_cancelled",
                name="messagekind",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("channel", sa.Enum("email", "sms", name="channel", native_enum=False, length=24), nullable=False),
        sa.Column("subject_id", sa.String(length=255), nullable=False),
        sa.Column("reason_key", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued", "sending", "sent", "failed", "dropped", name="messagestate", native_enum=False, length=24
            ),
            nullable=False,
        ),
        sa.Column("not_before", Instant(), nullable=False),
        sa.Column("attempts", CENTS_OR_COUNT, nullable=False),
        sa.Column("provider_id", sa.String(length=255), nullable=True),
        sa.Column("failure", sa.String(length=255), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_message_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_message_member_id_member")),
        sa.ForeignKeyConstraint(["staff_user_id"], ["staff_user.id"], name=op.f("fk_message_staff_user_id_staff_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("reason_key", name=op.f("uq_message_reason_key")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index("ix_message_member_id", ["member_id"], unique=False)
        batch_op.create_index("ix_message_work", ["state", "not_before"], unique=False)

    op.create_table(
        "plan_version",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("plan_id", sa.String(length=255), nullable=False),
        sa.Column("number", CENTS_OR_COUNT, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["membership_plan.id"], name=op.f("fk_plan_version_plan_id_membership_plan")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_version")),
        sa.UniqueConstraint("plan_id", "number", name=op.f("uq_plan_version_plan_id_number")),
    )
    op.create_table(
        "secure_link",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "signup",
                "payment",
                "invoice",
                "overdue",
                "plan_change",
                "staff",
                name="linkkind",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("subject_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=True),
        sa.Column("token_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_because", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_secure_link_member_id_member")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secure_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_secure_link_token_hash")),
    )
    with op.batch_alter_table("secure_link", schema=None) as batch_op:
        batch_op.create_index(
            "uq_secure_link_live",
            ["kind", "subject_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "cover",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("contract_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column(
            "position", sa.Enum("holder", "dependent", name="position", native_enum=False, length=24), nullable=False
        ),
        sa.Column("plan_version_id", sa.String(length=255), nullable=False),
        sa.Column("price_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("setup_fee_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("from_period", CENTS_OR_COUNT, nullable=False),
        sa.Column("until_period", CENTS_OR_COUNT, nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("price_cents > 0", name=op.f("ck_cover_price_positive")),
        sa.CheckConstraint("setup_fee_cents >= 0", name=op.f("ck_cover_setup_fee_not_negative")),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_cover_contract_id_contract")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_cover_member_id_member")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_cover_plan_version_id_plan_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cover")),
    )
    with op.batch_alter_table("cover", schema=None) as batch_op:
        batch_op.create_index("ix_cover_contract_id", ["contract_id"], unique=False)
        batch_op.create_index("ix_cover_member_id", ["member_id"], unique=False)
        batch_op.create_index(
            "uq_cover_live",
            ["contract_id", "member_id", "from_period"],
            unique=True,
            sqlite_where=sa.text("until_period IS NULL"),
            postgresql_where=sa.text("until_period IS NULL"),
        )

    op.create_table(
        "payment_hold",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("captured_cents", CENTS_OR_COUNT, nullable=True),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "requested",
                "authorising",
                "authorised",
                "capturing",
                "captured",
                "releasing",
                "released",
                "expired",
                "failed",
                name="holdstatus",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("payment_method_id", sa.String(length=255), nullable=True),
        sa.Column("attempt", CENTS_OR_COUNT, nullable=False),
        sa.Column("processor_id", sa.String(length=255), nullable=True),
        sa.Column("capture_before", Instant(), nullable=True),
        sa.Column("warned_at", Instant(), nullable=True),
        sa.Column("failure_code", sa.String(length=255), nullable=True),
        sa.Column("next_check_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_payment_hold_amount_positive")),
        sa.CheckConstraint(
            "captured_cents IS NULL OR captured_cents <= amount_cents",
            name=op.f("ck_payment_hold_at_most_what_is_held"),
        ),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_payment_hold_location_id_location")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_payment_hold_member_id_member")),
        sa.ForeignKeyConstraint(
            ["payment_method_id"], ["payment_method.id"], name=op.f("fk_payment_hold_payment_method_id_payment_method")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_hold")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_payment_hold_processor_id")),
    )
    with op.batch_alter_table("payment_hold", schema=None) as batch_op:
        batch_op.create_index("ix_payment_hold_member_id", ["member_id"], unique=False)
        batch_op.create_index("ix_payment_hold_work", ["status", "next_check_at"], unique=False)

    op.create_table(
        "promo_redemption",
        sa.Column("contract_id", sa.String(length=255), nullable=False),
        sa.Column("promo_code_id", sa.String(length=255), nullable=False),
        sa.Column("from_period", CENTS_OR_COUNT, nullable=False),
        sa.Column("redeemed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contract.id"], name=op.f("fk_promo_redemption_contract_id_contract")
        ),
        sa.ForeignKeyConstraint(
            ["promo_code_id"], ["promo_code.id"], name=op.f("fk_promo_redemption_promo_code_id_promo_code")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_promo_redemption")),
    )
    op.create_table(
        "referral",
        sa.Column("referred_contract_id", sa.String(length=255), nullable=False),
        sa.Column("referrer_contract_id", sa.String(length=255), nullable=False),
        sa.Column("campaign", sa.String(length=255), nullable=False),
        sa.Column("staff_user_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["referred_contract_id"], ["contract.id"], name=op.f("fk_referral_referred_contract_id_contract")
        ),
        sa.ForeignKeyConstraint(
            ["referrer_contract_id"], ["contract.id"], name=op.f("fk_referral_referrer_contract_id_contract")
        ),
        sa.ForeignKeyConstraint(
            ["staff_user_id"], ["staff_user.id"], name=op.f("fk_referral_staff_user_id_staff_user")
        ),
        sa.PrimaryKeyConstraint("referred_contract_id", name=op.f("pk_referral")),
    )
    with op.batch_alter_table("referral", schema=None) as batch_op:
        batch_op.create_index("ix_referral_referrer", ["referrer_contract_id"], unique=False)

    op.create_table(
        "plan_change",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("cover_id", sa.String(length=255), nullable=False),
        sa.Column("plan_version_id", sa.String(length=255), nullable=False),
        sa.Column("price_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "offered", "accepted", "applied", "withdrawn", name="planchangestatus", native_enum=False, length=24
            ),
            nullable=False,
        ),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["cover_id"], ["cover.id"], name=op.f("fk_plan_change_cover_id_cover")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_plan_change_plan_version_id_plan_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_change")),
    )
    with op.batch_alter_table("plan_change", schema=None) as batch_op:
        batch_op.create_index(
            "uq_plan_change_open",
            ["cover_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('offered', 'accepted')"),
            postgresql_where=sa.text("status IN ('offered', 'accepted')"),
        )

    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.String(length=255), nullable=False),
        sa.Column("position", CENTS_OR_COUNT, nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "plan",
                "setup_fee",
                "dependents_discount",
                "referral_discount",
                "promo_discount",
                "platform_fee",
                "instalment",
                "deposit",
                "instant",
                "hold",
                "exit_fee",
                "waived",
                name="linekind",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("gst_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("tax_code", sa.Enum("gst_free", "gst", name="taxcode", native_enum=False, length=24), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_invoice_line_member_id_member")),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_line")),
    )
    op.create_table(
        "recovery",
        sa.Column("invoice_id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("step", CENTS_OR_COUNT, nullable=False),
        sa.Column("shifted_days", CENTS_OR_COUNT, nullable=False),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.Column("next_on", sa.Date(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_because", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_recovery_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_recovery_location_id_location")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_recovery")),
    )
    with op.batch_alter_table("recovery", schema=None) as batch_op:
        batch_op.create_index("ix_recovery_work", ["location_id", "ended_at", "next_on"], unique=False)

    op.create_table(
        "platform_fee",
        sa.Column("payment_id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("gst_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column(
            "bearer", sa.Enum("practice", "patient", name="feebearer", native_enum=False, length=24), nullable=False
        ),
        sa.Column(
            "collection",
            sa.Enum("application_fee", "statement", name="feecollection", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_platform_fee_location_id_location")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_platform_fee_payment_id_payment")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_platform_fee")),
    )
    with op.batch_alter_table("platform_fee", schema=None) as batch_op:
        batch_op.create_index("ix_platform_fee_location_date", ["location_id", "business_date"], unique=False)

    op.create_table(
        "refund_request",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("payment_id", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "pending",
                "succeeded",
                "failed",
                "cancelled",
                name="refundstate",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("processor_id", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("failure", sa.String(length=255), nullable=True),
        sa.Column("next_check_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_refund_request_amount_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_refund_request_location_id_location")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_request_payment_id_payment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_request")),
        sa.UniqueConstraint("processor_id", name=op.f("uq_refund_request_processor_id")),
    )
    with op.batch_alter_table("refund_request", schema=None) as batch_op:
        batch_op.create_index("ix_refund_request_payment_id", ["payment_id"], unique=False)

    op.create_table(
        "undone_return",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("location_id", sa.String(length=255), nullable=False),
        sa.Column("returned_payment_id", sa.String(length=255), nullable=False),
        sa.Column("amount_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("fee_cents", CENTS_OR_COUNT, nullable=False),
        sa.Column("currency", sa.String(length=255), nullable=False),
        sa.Column("undone_at", Instant(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_undone_return_location_id_location")),
        sa.ForeignKeyConstraint(
            ["returned_payment_id"],
            ["returned_payment.id"],
            name=op.f("fk_undone_return_returned_payment_id_returned_payment"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undone_return")),
        sa.UniqueConstraint("returned_payment_id", name=op.f("uq_undone_return_returned_payment_id")),
    )
    with op.batch_alter_table("undone_return", schema=None) as batch_op:
        batch_op.create_index("ix_undone_return_location_date", ["location_id", "business_date"], unique=False)
