"""What each kind of message says, read from what is true now; None, when it is not true any more.

Amounts and dates that were decided with the message are in its detail: cents under `amount_cents`, dates as ISO text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Payment
from connector.billing.invoices import UNPAID, Invoice, InvoiceStatus
from connector.billing.links import LinkKind
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.staff import StaffStatus, StaffUser
from connector.clock import business_date
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money, total
from connector.use_cases.collection.method_page import method_page
from connector.use_cases.context import Context
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.invoices.owed import owed
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.link_url import link_for
from connector.use_cases.patient_pages.open_link import ON_WISH
from connector.use_cases.patient_pages.show_invoice import live_attempt
from connector.use_cases.patient_pages.show_plan_change import change_page
from connector.use_cases.plans.decide_plan_change import offered_with
from connector.use_cases.practice.staff_users import INVITATION_LASTS, invitation_code

Values = dict[str, object]
Link = Callable[[], str]
"""Makes the address; asks the processor, so it is called outside a unit of work."""

METHOD_NAMES = {MethodKind.CARD: "card", MethodKind.BECS: "bank account"}


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A message to be worded. Has no repr: it leads to a person."""

    context: Context
    session: Session
    message: Message
    location: Location
    member: Member | None
    now: datetime

    @property
    def today(self) -> date:
        return business_date(self.now, self.location.zone)

    def day(self, name: str) -> date | None:
        """A date of the detail."""
        text = self.message.detail.get(name)
        return date.fromisoformat(text) if text else None

    def money(self, name: str) -> Money:
        """An amount of the detail."""
        detail = self.message.detail
        cents = detail.get(f"{name}_cents", detail.get(name))
        return Money(cents or 0, self.location.currency)


Found = tuple[Values, Link | None]


def _link(asked: Asked, kind: LinkKind, subject_id: str = "") -> Link | None:
    """A link for what the message is about, or for what that belongs to."""
    member = asked.member
    if member is None:
        return None
    return lambda: link_for(asked.context, kind, subject_id or asked.message.subject_id, asked.location, member)


def _method_link(asked: Asked, agreement_id: str, currency: str) -> Link | None:
    """A page on which the payer gives another method for a running agreement."""
    member = asked.member
    if member is None:
        return None
    return lambda: method_page(asked.context, member.id, agreement_id, currency).url


def _method(method: PaymentMethod | None) -> Values:
    if method is None:
        return {"method": "", "last4": ""}
    return {"method": METHOD_NAMES.get(method.kind, ""), "last4": method.last4}


def _usable(asked: Asked) -> PaymentMethod | None:
    query = select(PaymentMethod).where(
        PaymentMethod.member_id == asked.message.member_id, PaymentMethod.usable.is_(True)
    )
    return asked.session.scalars(query).first()


def _invitation(asked: Asked) -> Found | None:
    return {}, _link(asked, LinkKind.SIGNUP)


def _new_link(asked: Asked) -> Found | None:
    kind = link_subject(asked.context, asked.session, asked.message.subject_id).kind
    return {"about": kind.value if kind in ON_WISH else ""}, _link(asked, kind)


def _payment_request(asked: Asked) -> Found | None:
    is_plan = bool(asked.message.detail.get("is_plan"))
    values: Values = {"amount": asked.money("amount"), "due_on": asked.day("due_on"), "is_plan": is_plan, "parts": []}
    query = select(Invoice).where(Invoice.instant_payment_id == asked.message.subject_id, Invoice.status.in_(UNPAID))
    parts = [(part.amount, part.due_date) for part in asked.session.scalars(query.order_by(Invoice.period))]
    if len(parts) > 1:
        values["amount"] = total((amount for amount, _ in parts), asked.location.currency)
        values["due_on"], values["parts"] = parts[0][1], parts
    return values, _link(asked, LinkKind.PAYMENT)


def _hold_request(asked: Asked) -> Found | None:
    return {"amount": asked.money("amount")}, _link(asked, LinkKind.PAYMENT)


def _receipt(asked: Asked) -> Found | None:
    payment = asked.session.get_one(Payment, asked.message.subject_id)
    invoice = asked.session.get_one(Invoice, payment.invoice_id)
    method = asked.session.scalars(
        select(PaymentMethod)
        .join(ChargeAttempt, ChargeAttempt.payment_method_id == PaymentMethod.id)
        .where(ChargeAttempt.charge_id == payment.charge_id, ChargeAttempt.state == AttemptState.SUCCEEDED)
    ).first()
    values: Values = {
        "number": invoice_number(invoice),
        "amount": payment.amount,
        "paid_on": payment.business_date,
        "url": "",
        "expires_on": asked.today + timedelta(days=asked.location.policy.invoice_link_days),
    }
    # The money has arrived in any case, even where there is no page with a paid invoice to lead to.
    is_shown = bool(asked.context.public_url) and invoice.status is InvoiceStatus.COMPLETED
    return values | _method(method), _link(asked, LinkKind.RECEIPT, invoice.id) if is_shown else None


def _upcoming_debit(asked: Asked) -> Found | None:
    agreement: Contract | PaymentPlan | None = asked.session.get(Contract, asked.message.subject_id)
    agreement = agreement or asked.session.get(PaymentPlan, asked.message.subject_id)
    due, method = asked.day("due_on"), _usable(asked)
    if agreement is None or method is None or agreement.status not in BILLABLE:
        return None
    if due is None or agreement.next_due != due or due <= asked.today:
        return None
    values: Values = {"amount": asked.money("amount"), "due_on": due}
    return values | _method(method), _method_link(asked, agreement.id, agreement.currency)


def _payment_failed(asked: Asked) -> Found | None:
    invoice = asked.session.get_one(Invoice, asked.message.subject_id)
    if invoice.status is not InvoiceStatus.OVERDUE or live_attempt(asked.session, invoice.id):
        return None
    last = asked.session.scalars(
        select(PaymentMethod)
        .join(ChargeAttempt, ChargeAttempt.payment_method_id == PaymentMethod.id)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where(Charge.invoice_id == invoice.id, ChargeAttempt.state == AttemptState.FAILED)
        .order_by(ChargeAttempt.decided_at.desc(), ChargeAttempt.id)
    ).first()
    retry_on = asked.day("retry_on")
    values: Values = {
        "amount": invoice.amount,
        "due_on": invoice.due_date,
        # A message that could not be sent for days does not promise what is past.
        "retry_on": max(retry_on, asked.today) if retry_on else None,
    }
    return values | _method(last), _link(asked, LinkKind.OVERDUE)


def _card_expiring(asked: Asked) -> Found | None:
    card, due = asked.session.get_one(PaymentMethod, asked.message.subject_id), asked.day("due_on")
    if not card.usable or due is None or card.expiry_month is None or card.expiry_year is None:
        return None
    if (card.expiry_year, card.expiry_month) >= (due.year, due.month):
        # The bank has renewed it meanwhile.
        return None
    values: Values = {
        "last4": card.last4,
        "card_expiry": f"{card.expiry_month:02}/{card.expiry_year}",
        "due_on": due,
    }
    return values, _method_link(asked, asked.message.detail["agreement_id"], asked.location.currency)


def _plan_change(asked: Asked) -> Found | None:
    change = asked.session.get_one(PlanChange, asked.message.subject_id)
    page = change_page(asked.context, asked.session, asked.location, change)
    if page is None:
        return None
    values: Values = {
        "changes": [(one.person, one.new_plan, one.old_price, one.new_price) for one in page.people],
        "old_amount": page.debit_now,
        "amount": page.debit_then,
        "frequency": page.frequency.value,
        "effective_on": page.effective_on,
    }
    # The person with whom it was told may have left meanwhile; what is offered to the others stands.
    first, _ = offered_with(asked.session, change)[0]
    return values, _link(asked, LinkKind.PLAN_CHANGE, first.id)


def _dependent_added(asked: Asked) -> Found | None:
    cover = asked.session.get_one(Cover, asked.message.subject_id)
    if cover.until_period is not None:
        return None
    version = asked.session.get_one(PlanVersion, cover.plan_version_id)
    values: Values = {
        "person": asked.session.get_one(Member, cover.member_id).given_name,
        "plan": asked.session.get_one(MembershipPlan, version.plan_id).name,
        "old_amount": asked.money("old_amount"),
        "amount": asked.money("amount"),
        "frequency": asked.session.get_one(Contract, cover.contract_id).frequency.value,
        "effective_on": asked.day("effective_on"),
    }
    return values, None


def _hold_expiring(asked: Asked) -> Found | None:
    hold = asked.session.get_one(PaymentHold, asked.message.subject_id)
    if hold.status is not HoldStatus.AUTHORISED or hold.capture_before is None:
        return None
    values: Values = {
        "hold_id": hold.id,
        "amount": hold.amount,
        "expires_on": business_date(hold.capture_before, asked.location.zone),
        "url": f"connector holds list --location {asked.location.slug}",
    }
    return values, None


def _overdue_staff_notice(asked: Asked) -> Found | None:
    ids = asked.message.detail["invoice_ids"].split()
    query = select(Invoice).where(Invoice.id.in_(ids), Invoice.status == InvoiceStatus.OVERDUE)
    overdue = asked.session.scalars(query.order_by(Invoice.due_date, Invoice.number)).all()
    if not overdue:
        return None
    agreements = dict.fromkeys(
        invoice.contract_id or invoice.payment_plan_id or invoice.instant_payment_id or invoice.id
        for invoice in overdue
    )
    values: Values = {
        "count": len(agreements),
        "contract_ids": list(agreements),
        "amount": total((invoice.amount for invoice in overdue), asked.location.currency),
        "url": f"connector recoveries list --location {asked.location.slug}",
    }
    return values, None


def _kept_too_much(asked: Asked) -> Found | None:
    invoice = asked.session.get_one(Invoice, asked.message.subject_id)
    surplus = -owed(asked.session, invoice)
    if surplus <= 0:
        return None
    values: Values = {
        "number": invoice_number(invoice),
        "amount": Money(surplus, invoice.currency),
        "url": f"connector payments list --location {asked.location.slug}",
    }
    return values, None


def _staff_invitation(asked: Asked) -> Found | None:
    user = asked.session.get_one(StaffUser, asked.message.subject_id)
    if user.status is not StaffStatus.PENDING:
        return None

    def accept() -> str:
        with asked.context.database.unit_of_work() as session:
            return invitation_code(session, user.id, asked.now)

    ends = business_date(asked.now + INVITATION_LASTS, asked.location.zone)
    return {"given_name": user.given_name, "expires_on": ends}, accept


def _plan_paused(asked: Asked) -> Found | None:
    plan = asked.session.get_one(PaymentPlan, asked.message.subject_id)
    if plan.status is not AgreementStatus.SUSPENDED:
        return None
    values: Values = {"amount": asked.money("amount"), "paused_on": asked.day("paused_on")}
    return values, _method_link(asked, plan.id, plan.currency)


def _membership_cancelled(asked: Asked) -> Found | None:
    return {"ends_on": asked.day("ends_on")}, None


FACTS: dict[MessageKind, Callable[[Asked], Found | None]] = {
    MessageKind.INVITATION: _invitation,
    MessageKind.PAYMENT_REQUEST: _payment_request,
    MessageKind.RECEIPT: _receipt,
    MessageKind.UPCOMING_DEBIT: _upcoming_debit,
    MessageKind.PAYMENT_FAILED: _payment_failed,
    MessageKind.PAYMENT_FAILED_AGAIN: _payment_failed,
    MessageKind.FINAL_NOTICE: _payment_failed,
    MessageKind.CARD_EXPIRING: _card_expiring,
    MessageKind.PLAN_CHANGE_NOTICE: _plan_change,
    MessageKind.DEPENDENT_ADDED: _dependent_added,
    MessageKind.HOLD_REQUEST: _hold_request,
    MessageKind.HOLD_EXPIRING: _hold_expiring,
    MessageKind.OVERDUE_STAFF_NOTICE: _overdue_staff_notice,
    MessageKind.KEPT_TOO_MUCH: _kept_too_much,
    MessageKind.STAFF_INVITATION: _staff_invitation,
    MessageKind.NEW_LINK: _new_link,
    MessageKind.PAYMENT_PLAN_PAUSED: _plan_paused,
    MessageKind.MEMBERSHIP_CANCELLED: _membership_cancelled,
}
