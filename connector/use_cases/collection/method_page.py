"""Open a page of the processor on which a payer gives a card or bank account, for one agreement."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select

from connector.billing.clinics import Location
from connector.billing.members import Member, PaymentMethod
from connector.billing.processor import HostedPage
from connector.use_cases.context import Context
from connector.use_cases.practice.location_settings import require_active

THANK_YOU = "/thank-you"
"""Where the browser goes afterwards, on our own pages. It proves nothing: what was done is asked of the processor."""
MESSAGE_MAX = 1_000
"""Characters beside the button of the page."""


def method_page(
    context: Context, member_id: str, agreement_id: str, currency: str, message: str | None = None
) -> HostedPage:
    """The page for that agreement, whose `message` says what the method will be used for.

    Raises EdgeError, and DomainError while the location takes no payments.
    """
    with context.database.read() as session:
        member = session.get_one(Member, member_id)
        require_active(session.get_one(Location, member.location_id))
        methods = session.scalar(select(func.count()).where(PaymentMethod.member_id == member_id))
    customer_id = member.processor_customer_id or processor_customer(context, member_id)
    return_url = f"{context.public_url}{THANK_YOU}" if context.public_url else None
    message = message[:MESSAGE_MAX] if message else None
    # A page lives for a day and takes one method, so a repeat is the same page until one of the two is over, or until
    # it has to say something else.
    said = hashlib.sha256(f"{return_url}\n{message}".encode()).hexdigest()[:16]
    key = f"enrol:{agreement_id}:{context.clock.now():%Y%m%d}:{methods}:{said}"
    return context.processor.open_enrolment(
        key, customer_id, agreement_id, currency, return_url=return_url, message=message
    )


def processor_customer(context: Context, member_id: str) -> str:
    """The member's id at the processor, made on first need with a key that makes a repeat the same customer."""
    with context.database.read() as session:
        known = session.get_one(Member, member_id).processor_customer_id
    if known:
        return known
    customer_id = context.processor.create_customer(f"cus:{member_id}", member_id)
    with context.database.unit_of_work() as session:
        session.get_one(Member, member_id).processor_customer_id = customer_id
    return customer_id
