"""Show what somebody is asked to pay or to agree to: an instant payment, a payment plan, a hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.hold_rules import OPEN_REQUEST
from connector.billing.agreements.instalment_terms import first_instalment
from connector.billing.agreements.payment_plans import PaymentPlan, PaymentPlanTemplate
from connector.billing.agreements.payment_requests import HoldStatus, InstantPayment, PaymentHold, RequestStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.declines import REFUSED_BY_PROCESSOR
from connector.billing.invoices import Invoice
from connector.billing.members import MethodKind
from connector.billing.prices.pricing import amount_of
from connector.clock import business_date
from connector.money import Money, total
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue_due import instalment_invoice_lines
from connector.use_cases.patient_pages.pay_invoice import refusal_text
from connector.use_cases.patient_pages.show_invoice import (
    InvoicePage,
    MethodShown,
    PayState,
    invoice_page,
    offered_method,
    shown,
    usable_method,
)


@dataclass(frozen=True, slots=True)
class DatedAmount:
    """One amount with its day."""

    label: str
    amount: Money
    due: date


@dataclass(frozen=True, slots=True)
class RequestPage:
    """All that the page of an instant payment shows."""

    description: str
    now: tuple[DatedAmount, ...]
    """Due today or before: paid at once."""
    later: tuple[DatedAmount, ...]
    due_now: Money
    method: MethodShown | None
    failure: str
    under_way: bool
    """A payment is being made: nothing is to be done meanwhile."""


@dataclass(frozen=True, slots=True)
class PlanPage:
    """All that the page of a payment plan shows: its schedule as it is when it is accepted today."""

    description: str
    total: Money
    setup_fee: Money
    frequency: Frequency
    schedule: tuple[DatedAmount, ...]
    method: MethodShown | None

    @property
    def amounts(self) -> str:
        """What somebody agrees to, as a form carries it back: the cents of each payment."""
        return "/".join(str(part.amount.cents) for part in self.schedule)


@dataclass(frozen=True, slots=True)
class HoldPage:
    """All that the page of a hold shows."""

    description: str
    amount: Money
    answer_until: date
    card: MethodShown | None
    """Of bank accounts nothing can be held, so one on file is not shown."""
    under_way: bool
    """The card's bank is being asked, or asks the payer."""
    failure: str
    """Why the last card did not do, in words for the payer; empty when none was tried."""


def request_page(context: Context, session: Session, location: Location, request: InstantPayment) -> RequestPage | None:
    """The page of an instant payment; None when nothing is asked for any more."""
    if request.status is not RequestStatus.ACTIVE:
        return None
    today = business_date(context.clock.now(), location.zone)
    query = select(Invoice).where(Invoice.instant_payment_id == request.id).order_by(Invoice.due_date, Invoice.period)
    pages = [page for invoice in session.scalars(query) if (page := invoice_page(session, invoice))]
    due = [page for page in pages if page.due <= today and page.state is PayState.DUE]
    later = [page for page in pages if page.due > today and page.state is PayState.DUE]
    under_way = any(page.state is not PayState.DUE for page in pages)
    if not pages:
        return None
    return RequestPage(
        description=request.description,
        now=tuple(map(_dated, due)),
        later=tuple(map(_dated, later)),
        due_now=total((page.amount for page in due), location.currency),
        method=usable_method(session, request.member_id),
        failure=next((page.failure for page in due if page.failure), ""),
        under_way=under_way,
    )


def plan_page(context: Context, session: Session, location: Location, plan: PaymentPlan) -> PlanPage | None:
    """The page of a payment plan; None when it does not wait for its payer."""
    if plan.status is not AgreementStatus.PENDING:
        return None
    today = business_date(context.clock.now(), location.zone)
    session.expunge(plan)  # What follows works out dates on it, which only its acceptance may store.
    template = session.get(PaymentPlanTemplate, plan.template_id) if plan.template_id else None
    wanted = today + timedelta(days=template.start_after_days) if template else plan.anchor
    upfront = plan.instalment(0).amount
    plan.anchor = first_instalment(today, wanted, plan.frequency, pays_today=bool(upfront))

    def part(number: int) -> DatedAmount:
        lines = instalment_invoice_lines(context.tiers, location, plan, number)
        due = plan.instalment(number).due if number else today
        return DatedAmount(f"Instalment {number}" if number else "Today", amount_of(lines, plan.currency), due)

    return PlanPage(
        description=plan.description,
        total=Money(plan.total_cents, plan.currency),
        setup_fee=Money(plan.setup_fee_cents, plan.currency),
        frequency=plan.frequency,
        schedule=tuple(map(part, range(0 if upfront else 1, plan.instalment_count + 1))),
        method=usable_method(session, plan.member_id),
    )


def hold_page(session: Session, location: Location, hold: PaymentHold) -> HoldPage | None:
    """The page of a hold; None when it does not wait for the payer's card."""
    if hold.status not in (*OPEN_REQUEST, HoldStatus.AUTHORISING):
        return None
    failure = hold.failure_code if hold.status is HoldStatus.FAILED else None
    return HoldPage(
        description=hold.description,
        amount=hold.amount,
        answer_until=business_date(hold.expires_at, location.zone),
        card=_card(session, hold),
        under_way=hold.status is HoldStatus.AUTHORISING,
        failure=refusal_text(failure) if failure else "",
    )


def _card(session: Session, hold: PaymentHold) -> MethodShown | None:
    """The card on file, unless the processor would not even try it for this hold."""
    method = offered_method(session, hold.member_id)
    if method is None or method.kind is not MethodKind.CARD:
        return None
    is_refused = hold.failure_code == REFUSED_BY_PROCESSOR and hold.payment_method_id == method.id
    return None if is_refused else shown(method)


def _dated(page: InvoicePage) -> DatedAmount:
    return DatedAmount(page.number, page.amount, page.due)
