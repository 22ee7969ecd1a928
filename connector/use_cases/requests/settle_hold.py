"""Settle a hold: take the money or let it go, and bring our rows in line with what Stripe says of it.

Whoever decides to take commits the invoice and the charge with the decision, so that the money arises like that of
any charge. When the hold turns out to have ended, nothing was charged and the invoice is void.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import CONNECTOR, remember
from connector.billing.agreements.asking import chargeable
from connector.billing.agreements.hold_rules import OPEN_REQUEST, after_report, charge_id_of, check_at
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.due_ids import attempt_id
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceStatus
from connector.billing.links import LinkKind, end
from connector.billing.offers.plan_terms import TaxCode
from connector.billing.prices.pricing import LineKind, PricedLine
from connector.billing.processor import ChargeReport
from connector.clock import business_date
from connector.errors import DomainError, InvariantBroken, Rejected
from connector.money import Money
from connector.use_cases.collection.put_off import ASK_AGAIN_AFTER
from connector.use_cases.collection.settle_charge import PAYER_CHECK_AFTER, settle_charge
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current
from connector.use_cases.invoices.issue import Draft, issue
from connector.use_cases.invoices.platform_fees import application_fee_cents
from connector.use_cases.invoices.take_back import give_up
from connector.use_cases.practice.location_settings import require_active

log = structlog.get_logger()

HOLD_ENDED = "authorisation_ended"
"""Our failure code for money that could not be taken because the hold had ended."""
_NOT_FOR_RUNS = timedelta(days=3650)
"""The attempt of a hold is worked on by `work_holds` alone, never by a run that would confirm it."""


def capture_hold(context: Context, hold_id: str, amount: Money | None, actor: str) -> HoldStatus:
    """Take all of the held money or the given part; the rest is released. Returns what became of it.

    Raises DomainError when it cannot be taken, and EdgeError when Stripe gives no clear answer: the decision stands,
    and `work_holds` asks again.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        hold = find_hold(session, hold_id)
        wanted = chargeable("What is taken of a hold", hold.amount if amount is None else amount)
        if hold.status is not HoldStatus.AUTHORISED:
            raise DomainError(f"The hold {hold_id} is {hold.status.value}: only an authorised one can be captured.")
        if hold.capture_before is not None and hold.capture_before <= now:
            raise DomainError(f"The hold {hold_id} has ended, and nothing was charged: request a payment instead.")
        if wanted > hold.amount:
            raise DomainError(f"The hold {hold_id} is of {hold.amount}: no more than that can be captured.")
        location = session.get_one(Location, hold.location_id)
        require_active(location)
        kept = application_fee_cents(context, location, InvoiceKind.HOLD, wanted)
        _invoice(session, location, hold, wanted, kept, now)
        remember(session, hold_id, "Hold Captured", now, location_id=location.id, actor=actor, cents=wanted.cents)
    return take(context, hold_id)


def release_hold(context: Context, hold_id: str, actor: str) -> HoldStatus:
    """Let the held money go, or withdraw a request that nobody has answered. Raises as `capture_hold`."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        hold = find_hold(session, hold_id)
        if hold.status not in (*OPEN_REQUEST, HoldStatus.AUTHORISED):
            raise DomainError(f"The hold {hold_id} is {hold.status.value}: there is nothing to release.")
        hold.status = HoldStatus.RELEASING if hold.processor_id else HoldStatus.RELEASED
        hold.next_check_at = now + ASK_AGAIN_AFTER
        end(session, LinkKind.PAYMENT, hold_id, "released", now)
        remember(session, hold_id, "Hold Released", now, location_id=hold.location_id, actor=actor)
    return let_go(context, hold_id) if hold.status is HoldStatus.RELEASING else hold.status


def take(context: Context, hold_id: str) -> HoldStatus:
    """Carry out a decided capture; repeating it takes the money once."""
    require_current(context)
    hold, processor_id = _known(context, hold_id)
    with context.database.read() as session:
        charge = session.get_one(Charge, charge_id_of(hold_id))
    fee = Money(charge.application_fee_cents, charge.currency)
    try:
        report = context.processor.capture_charge(
            f"hold-capture:{hold_id}", processor_id, charge.amount, application_fee=fee or None
        )
    except Rejected:
        if hold.capture_before is None or context.clock.now() < hold.capture_before:
            raise
        # The bank's time is over and Stripe has not ended it yet: end it, so that nobody can take it later.
        report = context.processor.cancel_charge(f"hold-release:{hold_id}", processor_id)
    return settle_hold(context, hold_id, report)


def let_go(context: Context, hold_id: str) -> HoldStatus:
    """Carry out a decided release; repeating it changes nothing."""
    _, processor_id = _known(context, hold_id)
    report = context.processor.cancel_charge(f"hold-release:{hold_id}", processor_id)
    return settle_hold(context, hold_id, report)


def on_hold_news(context: Context, processor_id: str) -> bool:
    """Act on news of a payment object; False when it does not belong to a hold."""
    with context.database.read() as session:
        query = select(PaymentHold.id, PaymentHold.status).where(PaymentHold.processor_id == processor_id)
        hold = session.execute(query).first()
    if hold is None:
        return False
    if hold.status is not HoldStatus.CAPTURED:
        settle_hold(context, hold.id, context.processor.read_charge(processor_id))
    return True


def settle_hold(context: Context, hold_id: str, report: ChargeReport) -> HoldStatus:
    """Apply Stripe's report; applying it again, or an older one later, changes nothing. Returns the status."""
    with context.database.unit_of_work() as session:
        hold = find_hold(session, hold_id)
        now, before = context.clock.now(), hold.status
        status = after_report(before, report, hold.capture_before, now)
        if status is HoldStatus.CAPTURED and before is not HoldStatus.CAPTURED:
            charge_id = _charge_for(session, hold, report, now)
        else:
            charge_id = None
            _apply(session, hold, status, report, now)
    if charge_id is None:
        return status
    settle_charge(context, charge_id, report)
    with context.database.unit_of_work() as session:
        find_hold(session, hold_id).status = HoldStatus.CAPTURED
    return HoldStatus.CAPTURED


def find_hold(session: Session, hold_id: str) -> PaymentHold:
    """The hold, locked for the caller's unit of work. Raises DomainError when there is none."""
    hold = session.get(PaymentHold, hold_id, with_for_update=True)
    if hold is None:
        raise DomainError(f"There is no hold {hold_id!r}: see `connector holds list --location SLUG`.")
    return hold


def currency_of(context: Context, hold_id: str) -> str:
    """The currency of a hold. Raises DomainError when there is none."""
    with context.database.read() as session:
        return find_hold(session, hold_id).currency


def _known(context: Context, hold_id: str) -> tuple[PaymentHold, str]:
    with context.database.read() as session:
        hold = session.get_one(PaymentHold, hold_id)
    if hold.processor_id is None:
        raise InvariantBroken(f"The hold {hold_id} was authorised without an id at Stripe.")
    return hold, hold.processor_id


def _apply(session: Session, hold: PaymentHold, status: HoldStatus, report: ChargeReport, now: datetime) -> None:
    """Everything but money that was taken."""
    before, hold.status = hold.status, status
    if status is HoldStatus.AUTHORISED and report.capture_before is not None:
        hold.capture_before, hold.failure_code = report.capture_before, None
        hold.next_check_at = check_at(hold.capture_before, hold.warned_at is not None)
        end(session, LinkKind.PAYMENT, hold.id, "authorised", now)
    elif status is HoldStatus.AUTHORISING:
        hold.next_check_at = now + PAYER_CHECK_AFTER
    elif status is HoldStatus.FAILED and before is HoldStatus.AUTHORISING:
        hold.failure_code, hold.next_check_at = report.failure_code or "canceled", hold.expires_at
    elif before is HoldStatus.CAPTURING and status is not before:
        _void(session, hold, now)
    if status is not before:
        log.info("hold.settled", hold_id=hold.id, location_id=hold.location_id, status=status.value)


def _charge_for(session: Session, hold: PaymentHold, report: ChargeReport, now: datetime) -> str | None:
    """The charge that the money belongs to; one that was taken at Stripe's dashboard gets its invoice now."""
    found = session.scalar(select(Charge.id).join(Invoice).where(Invoice.payment_hold_id == hold.id))
    if found is not None or report.settlement is None:
        return found
    location = session.get_one(Location, hold.location_id)
    remember(session, hold.id, "Hold Captured", now, location_id=location.id, actor=CONNECTOR)
    settled = report.settlement
    return _invoice(session, location, hold, settled.gross, settled.application_fee_cents, now)


def _invoice(session: Session, location: Location, hold: PaymentHold, amount: Money, kept: int, now: datetime) -> str:
    """Decide the capture: invoice, charge and attempt, whose payment object exists already. Returns the charge's id.

    `kept`: cents that Stripe is to keep for the platform.
    """
    hold.status, hold.captured_cents = HoldStatus.CAPTURING, amount.cents
    hold.next_check_at = now + ASK_AGAIN_AFTER
    today = business_date(now, location.zone)
    line = PricedLine(LineKind.HOLD, hold.member_id, hold.description or "Held deposit", amount, TaxCode.GST_FREE)
    draft = Draft(InvoiceKind.HOLD, hold.member_id, ("payment_hold_id", hold.id), 0, today, (line,))
    (issued,) = issue(session, location, [draft], now)
    charge = Charge(
        id=charge_id_of(hold.id),
        location_id=location.id,
        invoice_id=issued.id,
        amount_cents=amount.cents,
        application_fee_cents=kept,
        currency=amount.currency,
        processor_id=hold.processor_id,
        created_at=now,
    )
    session.add(charge)
    session.flush()
    attempt = ChargeAttempt(
        id=attempt_id(charge.id, 1),
        location_id=location.id,
        charge_id=charge.id,
        payment_method_id=hold.payment_method_id,
        state=AttemptState.SENDING,
        origin=Origin.STAFF,
        debit_on=today,
        created_at=now,
        sent_at=now,
        next_check_at=now + _NOT_FOR_RUNS,
    )
    session.add(attempt)
    return charge.id


def _void(session: Session, hold: PaymentHold, now: datetime) -> None:
    """The hold ended before its money could be taken: nothing is owed, and nothing was charged."""
    hold.captured_cents = None
    location = session.get_one(Location, hold.location_id)
    invoice = session.scalars(select(Invoice).where(Invoice.payment_hold_id == hold.id)).one()
    give_up(session, invoice, InvoiceStatus.EXPIRED, business_date(now, location.zone), now)
    attempts = select(ChargeAttempt).join(Charge).where(Charge.invoice_id == invoice.id)
    for attempt in session.scalars(attempts):
        attempt.state, attempt.decided_at, attempt.failure_code = AttemptState.FAILED, now, HOLD_ENDED
