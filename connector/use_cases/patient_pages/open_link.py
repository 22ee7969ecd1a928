"""Open a secure link: what stands behind it at this moment. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import InstantPayment, PaymentHold
from connector.billing.clinics import Location, LocationStatus
from connector.billing.documents.document import InvoiceDocument
from connector.billing.invoices import Invoice
from connector.billing.links import LinkKind, SecureLink, find
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.policy import EarlyCancel
from connector.use_cases.context import Context
from connector.use_cases.invoices.invoice_document import invoice_document
from connector.use_cases.patient_pages.paid_besides import PaidBesides, paid_besides
from connector.use_cases.patient_pages.show_invoice import InvoicePage, PaidPage, invoice_page, paid_page
from connector.use_cases.patient_pages.show_method import MethodPage, method_page_of
from connector.use_cases.patient_pages.show_plan_change import ChangePage, change_page
from connector.use_cases.patient_pages.show_request import (
    HoldPage,
    PlanPage,
    RequestPage,
    hold_page,
    plan_page,
    request_page,
)
from connector.use_cases.patient_pages.show_signup import SignupPage, signup_page

PATIENT_KINDS = tuple(kind for kind in LinkKind if kind is not LinkKind.STAFF)
"""Links of any other kind are unknown on the patients' pages."""
ON_WISH = (LinkKind.RECEIPT, LinkKind.METHOD)
"""Links with which nothing is asked for."""

Page = SignupPage | InvoicePage | PaidPage | MethodPage | RequestPage | PlanPage | HoldPage | ChangePage


@dataclass(frozen=True, slots=True)
class Practice:
    """Who asks, as patients know it."""

    name: str
    phone: str
    email: str
    is_active: bool
    """Whether it takes payments now."""
    early_cancel: EarlyCancel
    cancel_notice_days: int
    """What leaving within a lock-in costs."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that can be used now, and the page behind it."""

    subject_id: str
    practice: Practice
    page: Page
    besides: tuple[PaidBesides, ...] = ()
    """What another payment method that is given here pays, too."""


def open_link(context: Context, token: str) -> OpenedLink | None:
    """The page of that token; None alike for a token that is unknown, expired, revoked or used."""
    with context.database.read() as session:
        link = usable_link(session, token, context.clock.now())
        return page_of(context, session, link) if link else None


def opened_invoice(context: Context, token: str) -> InvoiceDocument | None:
    """The invoice that a link is about, as a document; None when the link cannot be used, or is about no invoice."""
    with context.database.read() as session:
        link = usable_link(session, token, context.clock.now())
        invoice = session.get(Invoice, link.subject_id) if link else None
        return invoice_document(session, invoice) if invoice else None


def usable_link(session: Session, token: str, now: datetime) -> SecureLink | None:
    """The link of that token if it may be used on the patients' pages now."""
    link = find(session, token)
    if link is None or link.kind not in PATIENT_KINDS or link.expires_at <= now:
        return None
    # Paying has begun with the acceptance; until it is completed the link shows how it stands.
    begun = link.kind is LinkKind.PAYMENT and link.ended_because == "accepted"
    return link if link.ended_at is None or begun else None


def page_of(context: Context, session: Session, link: SecureLink) -> OpenedLink | None:
    """What stands behind a link; None when what it was for has been settled in another way."""
    for model, describe in _DESCRIBED.items():
        row = session.get(model, link.subject_id)
        if row is not None:
            location = session.get_one(Location, _location_id(session, row))
            page: Page | None = _OF_KIND.get(link.kind, describe)(context, session, location, row)
            if page is None:
                return None
            # With another method for an agreement, what is overdue of it is paid besides, too.
            own = "" if link.kind is LinkKind.METHOD else link.subject_id
            besides = paid_besides(session, link.member_id or "", own)
            return OpenedLink(link.subject_id, practice_of(location), page, besides)
    return None


def practice_of(location: Location) -> Practice:
    """The practice as its patients know it."""
    policy, is_active = location.policy, location.status is LocationStatus.ACTIVE
    name = location.trading_name or location.name
    return Practice(name, location.phone, location.email, is_active, policy.early_cancel, policy.cancel_notice_days)


def _location_id(
    session: Session, row: Contract | Invoice | InstantPayment | PaymentPlan | PaymentHold | PlanChange
) -> str:
    if isinstance(row, PlanChange):
        cover = session.get_one(Cover, row.cover_id)
        return session.get_one(Contract, cover.contract_id).location_id
    return row.location_id


_DESCRIBED: dict[type, Callable[..., Page | None]] = {
    Contract: signup_page,
    Invoice: lambda _context, session, _location, invoice: invoice_page(session, invoice),
    InstantPayment: request_page,
    PaymentPlan: plan_page,
    PaymentHold: lambda _context, session, location, hold: hold_page(session, location, hold),
    PlanChange: change_page,
}
_OF_KIND: dict[LinkKind, Callable[..., Page | None]] = {
    LinkKind.RECEIPT: lambda _context, _session, _location, invoice: paid_page(invoice),
    LinkKind.METHOD: lambda _context, session, _location, agreement: method_page_of(session, agreement),
}
"""Links that show something else of what they are about than what is to be done."""
