"""Tell once more what came of a link to whoever submits it a moment after it was used: a double click, a slow network.

Looking at a used link tells nothing, and so does submitting it later, or with another answer than the one that counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold, RequestStatus
from connector.billing.clinics import Location
from connector.billing.collecting.charges import Payment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import LinkKind, SecureLink, find
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.answers import (
    AS_IT_IS,
    DECLINED,
    HELD,
    JOINED,
    METHOD_GIVEN,
    ON_DUE_DATES,
    PAID_ALREADY,
    PLAN_SET_UP,
    THANKS,
    Done,
    changes_on,
)
from connector.use_cases.patient_pages.open_link import PATIENT_KINDS, practice_of
from connector.use_cases.recovery.recover import PAID

SHORT_WHILE = timedelta(minutes=10)
_DONE = frozenset({"consumed", "accepted", "authorised", PAID})
"""Why a link ends whose payer has done what it was for; one that was revoked, replaced or called off tells nothing."""

Told = tuple[str, str]
"""Title and sentence."""


def told_again(context: Context, token: str, action: str) -> Done | None:
    """What came of the link of that token, if this was done with it a short while ago."""
    now = context.clock.now()
    with context.database.read() as session:
        link = find(session, token)
        if link is None or link.kind not in PATIENT_KINDS or link.ended_because not in _DONE:
            return None
        if _done_at(session, link) + SHORT_WHILE < now:
            return None
        told = (THANKS, METHOD_GIVEN) if link.kind is LinkKind.METHOD else _told(session, link.subject_id, action)
        if told is None:
            return None
        location = session.get_one(Location, session.get_one(Member, link.member_id).location_id)
        return Done(practice_of(location), told[0], (told[1],))


def _done_at(session: Session, link: SecureLink) -> datetime:
    """When it ended. A request that was agreed to may have been paid only later."""
    of_subject = or_(Invoice.id == link.subject_id, Invoice.instant_payment_id == link.subject_id)
    paid = session.scalar(
        select(func.max(Payment.recorded_at)).join(Invoice, Invoice.id == Payment.invoice_id).where(of_subject)
    )
    return max(at for at in (link.ended_at, paid, link.created_at) if at is not None)


def _told(session: Session, subject_id: str, action: str) -> Told | None:
    """What is told of it, if the button is one of its page and fits what it has come to."""
    row = next((row for model in _SUBJECTS if (row := session.get(model, subject_id))), None)
    match row, action:
        case Contract(status=AgreementStatus.ACTIVE), "sign_up" | "method":
            return THANKS, JOINED
        case Invoice(status=InvoiceStatus.COMPLETED), "pay" | "method":
            return THANKS, PAID_ALREADY
        case InstantPayment(status=RequestStatus.COMPLETED), "pay" | "method":
            return THANKS, PAID_ALREADY
        case PaymentPlan(status=AgreementStatus.ACTIVE), "accept" | "method":
            return PLAN_SET_UP, ON_DUE_DATES
        case PaymentHold(status=status), "accept" | "method" if status in HELD:
            return THANKS, HELD[status]
        case PlanChange(status=PlanChangeStatus.ACCEPTED), "accept":
            return THANKS, changes_on(row.effective_on)
        case PlanChange(status=PlanChangeStatus.WITHDRAWN), "decline":
            return AS_IT_IS, DECLINED
    return None


_SUBJECTS = (Contract, Invoice, InstantPayment, PaymentPlan, PaymentHold, PlanChange)
