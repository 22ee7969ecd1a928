"""Members and the payment methods that they have authorised. Personal data lives here and nowhere else."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.database.base import Base, state_column


class Member(Base):
    """A person: covered by a plan, paying for a household, or both."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("location_id", "external_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    external_id: Mapped[str]
    """The id in the file that the member came from, or the member's own id: an import twice changes nothing."""
    given_name: Mapped[str]
    family_name: Mapped[str]
    date_of_birth: Mapped[date | None]
    gender: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    suburb: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="")
    postcode: Mapped[str] = mapped_column(default="")
    processor_customer_id: Mapped[str | None]
    created_at: Mapped[datetime]


class MethodKind(StrEnum):
    """Kinds of payment method, by Stripe's names; more may come (`payto`)."""

    CARD = "card"
    BECS = "au_becs_debit"
    DESK = "desk"
    """Paid at the practice, which Stripe knows nothing of: no method that could be charged."""


class PaymentMethod(Base):
    """A card or bank account that the payment processor keeps; we know its id and its last digits only."""

    __tablename__ = "payment_method"
    __table_args__ = (Index("ix_payment_method_member_id", "member_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("member.id"))
    kind: Mapped[MethodKind] = mapped_column(state_column(MethodKind))
    processor_id: Mapped[str] = mapped_column(unique=True)
    mandate_id: Mapped[str | None]
    """The direct debit request (DDR) that the payer accepted; BECS only."""
    last4: Mapped[str]
    brand: Mapped[str | None]
    expiry_month: Mapped[int | None]
    expiry_year: Mapped[int | None]
    """Cards only: the last month in which the card is accepted."""
    fingerprint: Mapped[str | None]
    """The same for the same card or account, whoever enters it."""
    usable: Mapped[bool] = mapped_column(default=True)
    """False once the mandate is inactive or the method was replaced; nothing is charged to it any more."""
    created_at: Mapped[datetime]
