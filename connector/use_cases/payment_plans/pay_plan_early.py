"""Pay a payment plan early: the next instalments now, or all that remain. There is no penalty, and no discount."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import BILLABLE, AgreementStatus
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.clinics import Location
from connector.billing.collecting.catch_up import debit_day
from connector.billing.collecting.charges import Origin
from connector.billing.invoices import InvoiceKind
from connector.billing.members import MethodKind
from connector.billing.prices.pricing import PricedLine
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.collection.plan_attempts import FirstTry, Payer, payers, plan_first
from connector.use_cases.context import Context
from connector.use_cases.invoices.issue import Draft, Issued, issue
from connector.use_cases.invoices.issue_due import instalment_lines
from connector.use_cases.payment_plans.agree_payment_plan import find_plan
from connector.use_cases.payment_plans.change_payment_plan import end_pause_early


def pay_early(context: Context, plan_id: str, count: int, actor: str) -> list[Issued]:
    """Invoice the next instalments today, each on its own; the later ones keep their dates. The next run collects.

    Raises DomainError when not so many are left, or nobody can be charged.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan, location, payer = _payable(session, plan_id)
        left = plan.instalment_count - plan.next_number + 1
        if not 1 <= count <= left:
            raise DomainError(f"The payment plan {plan_id} has {left} parts left to invoice: pay 1 to {left} early.")
        today = business_date(now, location.zone)
        drafts = [_next(plan, today) for _ in range(count)]
        _end_pause_of_nothing(session, location, plan, today)
        remember(
            session, plan_id, "Instalments Paid Early", now, location_id=location.id, actor=actor, instalments=count
        )
        return _invoice(session, context, location, drafts, payer)


def pay_off(context: Context, plan_id: str, actor: str) -> Issued:
    """Invoice all that remains today, as one. The next run collects. Raises DomainError as above."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        plan, location, payer = _payable(session, plan_id)
        today = business_date(now, location.zone)
        first, lines = plan.next_number, tuple[PricedLine, ...]()
        while plan.next_due is not None:
            lines += _next(plan, today).lines
        _end_pause_of_nothing(session, location, plan, today)
        remember(session, plan_id, "Payment Plan Paid Off", now, location_id=location.id, actor=actor)
        (issued,) = _invoice(session, context, location, [_draft(plan, first, lines, today)], payer)
    return issued


def _payable(session: Session, plan_id: str) -> tuple[PaymentPlan, Location, Payer]:
    plan = find_plan(session, plan_id)
    if plan.status not in (*BILLABLE, AgreementStatus.SUSPENDED):
        raise DomainError(f"The payment plan {plan_id} is {plan.status.value}: nothing of it can be paid early.")
    if plan.next_due is None:
        raise DomainError(f"All instalments of the payment plan {plan_id} are invoiced: their invoices are to be paid.")
    payer = payers(session, {plan.member_id}).get(plan.member_id)
    if payer is None:
        raise DomainError(f"The member {plan.member_id} has no usable payment method: ask for one by link first.")
    return plan, session.get_one(Location, plan.location_id), payer


def _next(plan: PaymentPlan, today: date) -> Draft:
    """The next instalment, and the plan's step beyond it. One that is due already keeps its due date."""
    number, due = plan.next_number, min(plan.next_due or today, today)
    lines = instalment_lines(plan, number)
    if plan.status is AgreementStatus.SUSPENDED:
        # A pause lasts until its day, which is no instalment's.
        until = plan.next_due
        plan.step()
        plan.next_due = until if plan.next_due else None
    else:
        plan.step()
    return _draft(plan, number, lines, due)


def _end_pause_of_nothing(session: Session, location: Location, plan: PaymentPlan, today: date) -> None:
    """A plan without instalments left has nothing to be paused for."""
    if plan.status is AgreementStatus.SUSPENDED and plan.next_due is None:
        end_pause_early(session, location, plan, today)


def _draft(plan: PaymentPlan, number: int, lines: tuple[PricedLine, ...], due: date) -> Draft:
    of = ("payment_plan_id", plan.id)
    return Draft(InvoiceKind.INSTALMENT, plan.member_id, of, number, due, lines, fee_bearer=plan.fee_bearer)


def _invoice(session: Session, context: Context, location: Location, drafts: list[Draft], payer: Payer) -> list[Issued]:
    now = context.clock.now()
    today = business_date(now, location.zone)
    session.flush()
    issued = issue(session, location, drafts, now, context.tiers)
    day = debit_day(today, (), location.calendar, is_becs=payer.kind is MethodKind.BECS)
    tries = [FirstTry(item.id, item.draft.total, payer.method_id, day) for item in issued]
    plan_first(session, location, tries, now, Origin.STAFF)
    return issued
