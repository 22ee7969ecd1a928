"""Skip periods of a contract: those of a pause, and those before a membership whose first payment came late."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.prices.discounts import PromoRedemption


def skip_periods(session: Session, contract: Contract, day: date) -> None:
    """Pass over the periods that fall due before that day. They are never billed, and use nothing up.

    A set-up fee that was to come with one of them, and a promo code, come with the next that are billed.
    """
    before = contract.next_period
    contract.skip_to(day)
    for cover in session.scalars(select(Cover).where(Cover.contract_id == contract.id, Cover.from_period >= before)):
        if cover.until_period is None:
            cover.from_period = max(cover.from_period, contract.next_period)
    if redemption := session.get(PromoRedemption, contract.id):
        redemption.from_period += contract.next_period - before
    session.flush()
