"""Promo codes that do not count are tried a few times a day on one link, so that nobody finds codes by guessing."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector.billing.activity import Activity, remember
from connector.billing.agreements.contracts import Contract
from connector.billing.clinics import Location
from connector.billing.prices.discounts import PromoRedemption
from connector.billing.prices.pricing import CodeOfNoUse
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.refusals import PayerRefusal
from connector.use_cases.plans.promo_codes import redeem

REFUSED = "Promo Code Refused"
"""The history's name for it; which code it was stands nowhere."""
TRIES = 10
"""In a day, of one contract; a new link for it gives no more."""
OF_NO_USE = "This promo code is not known, or cannot be used now: check its spelling, or continue without it."
"""The same for all, or whoever guesses would learn which codes there are."""
TOO_MANY = "Too many promo codes were tried here: continue without one, or try again tomorrow."


class WrongCode(PayerRefusal):
    """A try that counts."""


def redeem_typed(session: Session, location: Location, contract: Contract, code: str, now: datetime) -> None:
    """Redeem a code that the payer has typed. Raises PayerRefusal when it does not count, WrongCode for a bad try."""
    recent = select(func.count()).where(
        Activity.subject_id == contract.id, Activity.action == REFUSED, Activity.at > now - timedelta(days=1)
    )
    # Of a contract that has a code no other is looked up, so there is nothing to guess.
    if session.get(PromoRedemption, contract.id) is None and (session.scalar(recent) or 0) >= TRIES:
        raise PayerRefusal(TOO_MANY)
    try:
        redeem(session, location, contract, code, now)
    except CodeOfNoUse:
        raise WrongCode(OF_NO_USE) from None
    except DomainError as refusal:
        # What else is wrong with a code is said in words for whoever typed it.
        raise PayerRefusal(str(refusal)) from None


def count_try(context: Context, contract_id: str) -> None:
    """Remember a bad try, of which nothing else is kept."""
    with context.database.unit_of_work() as session:
        contract = session.get_one(Contract, contract_id)
        actor = f"member:{contract.member_id}"
        remember(session, contract_id, REFUSED, context.clock.now(), location_id=contract.location_id, actor=actor)
