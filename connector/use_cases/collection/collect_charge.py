"""Collect one charge through Stripe: create the payment object, commit its id, confirm it, commit the outcome.

A crash anywhere in between is repeated with the same idempotency keys, which Stripe keeps for 24 hours; after that the
object itself is asked. A payment object can succeed once, so even a lost row cannot charge twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from connector.billing.clinics import Location, LocationStatus
from connector.billing.collecting.charges import ABANDONED, LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.invoices import UNPAID, Invoice
from connector.billing.members import Member, PaymentMethod
from connector.billing.processor import AuthorisedMethod, ChargeReport, ChargeStatus
from connector.database.engine import DatabaseUnavailable
from connector.database.row_locks import ROW_LOCK
from connector.errors import AccessDenied, InvariantBroken, NotSent, RateLimited, Rejected
from connector.money import Money
from connector.use_cases.collection.plan_attempts import withdraw
from connector.use_cases.collection.put_off import ASK_AGAIN_AFTER, comes_now, day_is_open
from connector.use_cases.collection.settle_charge import of_earlier_attempt, settle_charge
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current
from connector.use_cases.invoices.platform_fees import application_fee_of, tier_of

log = structlog.get_logger()

REFUSED = "refused_by_processor"
"""Our failure code for a request that Stripe did not accept, as opposed to a payment that was declined."""
METHOD_GONE = "method_gone"
"""Ours for a method that was removed, or whose mandate ended, before anything was sent."""
KEYS_LAST = timedelta(hours=23)
"""An hour less than Stripe keeps idempotency keys, for clocks that differ."""
GIVEN_UP_AFTER = timedelta(days=3)
"""A charge that Stripe could not confirm for so long is overdue, so that a person hears of it."""


@dataclass(frozen=True)
class _Work:
    """An attempt with all that it takes to make it."""

    attempt: ChargeAttempt
    charge: Charge
    member: Member
    method: PaymentMethod
    location: Location


_EVERYTHING = (
    select(ChargeAttempt, Charge, Member, PaymentMethod, Location)
    .join(Charge, Charge.id == ChargeAttempt.charge_id)
    .join(Invoice, Invoice.id == Charge.invoice_id)
    .join(Member, Member.id == Invoice.member_id)
    .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
    .join(Location, Location.id == ChargeAttempt.location_id)
)


def collect_charge(context: Context, attempt_id: str, return_url: str = "") -> ChargeReport | None:
    """Take one attempt as far as it goes now; returns Stripe's answer, or None when nothing was asked.

    With `return_url` the payer is present, and the report may ask to send them to a page of their bank first.
    Raises EdgeError when Stripe cannot be asked, and DomainError while the platform's fee cannot be worked out, or this
    database is not the newest; nothing is lost by either.
    """
    require_current(context)
    try:
        return _take_on(context, _read(context, attempt_id), return_url)
    except (NotSent, AccessDenied, RateLimited, DatabaseUnavailable):
        raise
    except Exception:
        # Whatever was wrong with this one, the others are not to wait behind it.
        _postpone(context, attempt_id)
        raise


def _take_on(context: Context, work: _Work, return_url: str) -> ChargeReport | None:
    if work.attempt.state not in LIVE_ATTEMPT:
        # Called off since the caller looked: e.g. the invoice was cancelled, or the membership paused.
        return None
    try:
        if work.attempt.state is AttemptState.PLANNED and not _may_begin(context, work):
            return None
        if work.attempt.state is AttemptState.PLANNED and not _prepare(context, work):
            return None
        report = _ask(context, work, return_url)
        settle_charge(context, work.charge.id, report, refused=report.failure_code == ABANDONED)
    except Rejected as error:
        # Stripe changed nothing and will not on a repeat: the invoice is overdue and the log says why.
        log.warning("charge.refused", charge_id=work.charge.id, reason=str(error))
        return _fail_here(context, work, REFUSED)
    return report


def _read(context: Context, attempt_id: str) -> _Work:
    with context.database.read() as session:
        return _Work(*session.execute(_EVERYTHING.where(ChargeAttempt.id == attempt_id)).one())


def _may_begin(context: Context, work: _Work) -> bool:
    """Whether the attempt can be made now: not with a method that has ended, nor at a location that is paused.

    Raises DomainError for a tier that is not in the settings: what was taken then could not be booked.
    """
    if work.location.status is not LocationStatus.ACTIVE:
        return False
    tier_of(context.tiers, work.location)
    if not work.method.usable:
        _fail_here(context, work, METHOD_GONE)
        return False
    if not day_is_open(work.location, work.attempt, work.method.kind, context.clock.now()):
        return True
    with context.database.unit_of_work() as session:
        return _stands(session, work, context.clock.now())


def _stands(session: Session, work: _Work, now: datetime) -> bool:
    """Whether the attempt may be made now, under a lock. What is paid or void since it was planned is called off."""
    invoice = session.get_one(Invoice, work.charge.invoice_id, with_for_update=ROW_LOCK)
    if invoice.status not in UNPAID:
        withdraw(session, invoice.id, now)
        return False
    return comes_now(session, work.location, work.attempt, work.charge, work.method, now)


def _prepare(context: Context, work: _Work) -> bool:
    """Create the payment object, then commit its id together with the decision to confirm it. False when called off."""
    charge = work.charge
    # A retry confirms the same payment object again, which can succeed only once.
    charge.processor_id = charge.processor_id or _payment_object(context, work)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        # Asked again with the decision: another worker may have sent a debit meanwhile, or the desk taken cash.
        stands = _stands(session, work, now)
        session.execute(update(Charge).where(Charge.id == charge.id).values(processor_id=charge.processor_id))
        if not stands:
            return False
        decided = session.scalar(
            update(ChargeAttempt)
            .where(ChargeAttempt.id == work.attempt.id, ChargeAttempt.state.in_(_MAY_BE_SENT))
            .values(state=AttemptState.SENDING, sent_at=now)
            .returning(ChargeAttempt.id)
        )
    return decided is not None


def _payment_object(context: Context, work: _Work) -> str:
    """The id of a new payment object. What the platform keeps of it is stored first: a repeat must say the same."""
    charge, customer_id = work.charge, work.member.processor_customer_id
    if customer_id is None:
        raise InvariantBroken(f"The member {work.member.id} has a payment method but is unknown at Stripe.")
    if context.fee_kept_by_stripe and not charge.application_fee_cents:
        with context.database.unit_of_work() as session:
            charge.application_fee_cents = application_fee_of(session, context, work.location, charge)
            fee_column = {"application_fee_cents": charge.application_fee_cents}
            session.execute(update(Charge).where(Charge.id == charge.id).values(**fee_column))
    fee = Money(charge.application_fee_cents, charge.currency)
    return context.processor.prepare_charge(
        f"pi:{charge.id}",
        customer_id,
        charge.amount,
        charge.id,
        charge.invoice_id,
        charge.location_id,
        application_fee=fee or None,
    )


_MAY_BE_SENT = (AttemptState.PLANNED, AttemptState.SENDING)
"""Another worker may have decided the same meanwhile: both confirm with one key."""


def _ask(context: Context, work: _Work, return_url: str) -> ChargeReport:
    """Confirm while the key protects from doing it twice; afterwards, and for what is under way, look first.

    A charge that was never confirmed, because nothing got through for a day, is confirmed then, for some days.
    """
    attempt, now = work.attempt, context.clock.now()
    if return_url:
        return _present(context, work, return_url)
    if attempt.origin is Origin.PAYER and attempt.state is not AttemptState.PROCESSING:
        return _look_for_payer(context, work)
    age = now - (attempt.sent_at or now)
    if attempt.state is AttemptState.PROCESSING or age > KEYS_LAST:
        report = context.processor.read_charge(_known(work.charge))
        untouched = report.status is ChargeStatus.OPEN and not _is_news(context, report)
        if attempt.state is AttemptState.PROCESSING or not untouched or age > GIVEN_UP_AFTER:
            return report
    return context.processor.confirm_charge(
        f"confirm:{attempt.id}", _known(work.charge), _authorised(work.method), work.charge.amount
    )


def _present(context: Context, work: _Work, return_url: str) -> ChargeReport:
    return context.processor.present_charge(
        f"present:{work.attempt.id}", _known(work.charge), _authorised(work.method), work.charge.amount, return_url
    )


def _look_for_payer(context: Context, work: _Work) -> ChargeReport:
    """The payer was present and has gone: whatever the page came to is shown by the payment object.

    One that was left open is cancelled, so that nothing can be taken on the bank's page any more once it is given up:
    the invoice may be paid in another way, or be void, by then.
    """
    report = context.processor.read_charge(_known(work.charge))
    nothing = report.status is ChargeStatus.OPEN and not _is_news(context, report)
    if nothing or report.status is ChargeStatus.NEEDS_PAYER:
        report = context.processor.cancel_charge(f"cancel:{work.attempt.id}", _known(work.charge))
        if report.status is ChargeStatus.CANCELLED:
            return replace(report, failure_code=ABANDONED)
    return report


def _is_news(context: Context, report: ChargeReport) -> bool:
    with context.database.read() as session:
        return report.failure_code is not None and not of_earlier_attempt(session, report)


def _fail_here(context: Context, work: _Work, code: str) -> ChargeReport:
    """End an attempt that Stripe did not hear of, or did not accept."""
    report = ChargeReport(work.charge.processor_id or "", ChargeStatus.OPEN, code)
    settle_charge(context, work.charge.id, report, refused=True)
    return report


def _postpone(context: Context, attempt_id: str) -> None:
    with context.database.unit_of_work() as session:
        again = context.clock.now() + ASK_AGAIN_AFTER
        session.execute(
            update(ChargeAttempt)
            .where(ChargeAttempt.id == attempt_id, ChargeAttempt.state.in_(LIVE_ATTEMPT))
            .values(next_check_at=again)
        )


def _authorised(method: PaymentMethod) -> AuthorisedMethod:
    return AuthorisedMethod(method.kind, method.processor_id, method.mandate_id, method.last4)


def _known(charge: Charge) -> str:
    if charge.processor_id is None:
        raise InvariantBroken(f"The charge {charge.id} was sent without an id at Stripe.")
    return charge.processor_id
