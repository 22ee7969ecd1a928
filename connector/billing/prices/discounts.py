"""Discounts that somebody earns or enters: referrals and promo codes. How they are computed is `pricing`'s business."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from connector.billing.prices.pricing import PromoScope, PromoTerms
from connector.database.base import Base, state_column


class PromoCode(Base):
    """A code that is entered at sign-up."""

    __tablename__ = "promo_code"
    __table_args__ = (
        UniqueConstraint("location_id", "code"),
        CheckConstraint("(percent IS NULL) <> (amount_cents IS NULL)", name="percent_or_amount"),
        CheckConstraint("max_uses IS NULL OR used <= max_uses", name="not_used_up"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    location_id: Mapped[str] = mapped_column(ForeignKey("location.id"))
    code: Mapped[str]
    """Upper case."""
    percent: Mapped[str | None]
    """A decimal number."""
    amount_cents: Mapped[int | None]
    scope: Mapped[PromoScope] = mapped_column(state_column(PromoScope))
    periods: Mapped[int | None]
    """How many periods it lasts; None: for ever."""
    opens: Mapped[date | None]
    closes: Mapped[date | None]
    """The last day on which it can be entered."""
    max_uses: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    """Counted in the transaction that redeems it, so the last one goes to one person only."""
    plan_ids: Mapped[list[Any] | None]
    """Plans that it is for; None: all."""
    campaign: Mapped[str] = mapped_column(default="")
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def terms(self) -> PromoTerms:
        return PromoTerms(
            code=self.code,
            percent=None if self.percent is None else Decimal(self.percent),
            amount_cents=self.amount_cents,
            scope=self.scope,
            periods=self.periods,
            opens=self.opens,
            closes=self.closes,
            max_uses=self.max_uses,
            plan_ids=frozenset(self.plan_ids or ()),
        )


class PromoRedemption(Base):
    """A promo code that was entered for a contract; it counts from the first period billed with it."""

    __tablename__ = "promo_redemption"

    contract_id: Mapped[str] = mapped_column(ForeignKey("contract.id"), primary_key=True)
    promo_code_id: Mapped[str] = mapped_column(ForeignKey("promo_code.id"))
    from_period: Mapped[int] = mapped_column(default=0)
    redeemed_at: Mapped[datetime]


class Referral(Base):
    """A member who brought another one."""

    __tablename__ = "referral"
    __table_args__ = (Index("ix_referral_referrer", "referrer_contract_id"),)

    referred_contract_id: Mapped[str] = mapped_column(ForeignKey("contract.id"), primary_key=True)
    referrer_contract_id: Mapped[str] = mapped_column(ForeignKey("contract.id"))
    campaign: Mapped[str] = mapped_column(default="")
    staff_user_id: Mapped[str | None] = mapped_column(ForeignKey("staff_user.id"))
    created_at: Mapped[datetime]
