"""Collect one charge through Stripe: create the payment object, commit its id, confirm it, commit the outcome.

A crash anywhere in between is repeated with the same idempotency keys, which Stripe keeps for 24 hours; after that the
object itself is asked. A payment object can succeed once, so even a lost row cannot charge twice.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import update

from connector.billing.charges import AttemptState, Charge, ChargeAttempt
from connector.billing.invoices import Invoice
from connector.billing.members import Member, PaymentMethod
from connector.billing.processor import AuthorisedMethod, ChargeReport, ChargeStatus
from connector.errors import InvariantBroken, OutcomeUnknown, Rejected
from connector.failpoints import failpoint
from connector.use_cases.context import Context
from connector.use_cases.settle_charge import of_earlier_attempt, settle_charge

log = structlog.get_logger()

REFUSED = "refused_by_processor"
"""Our failure code for a request that Stripe did not accept, as opposed to a payment that was declined."""
ASK_AGAIN_AFTER = timedelta(minutes=5)
KEYS_LAST = timedelta(hours=23)
"""An hour less than Stripe keeps idempotency keys, for clocks that differ."""
GIVEN_UP_AFTER = timedelta(days=3)
"""A charge that Stripe could not confirm for so long is overdue, so that a person hears of it."""


def collect_charge(context: Context, attempt_id: str) -> None:
    """Take one attempt as far as it goes now. Raises EdgeError when Stripe cannot be asked; nothing is lost by that."""
    with context.database.read() as session:
        attempt = session.get_one(ChargeAttempt, attempt_id)
        charge = session.get_one(Charge, attempt.charge_id)
        invoice = session.get_one(Invoice, charge.invoice_id)
        member = session.get_one(Member, invoice.member_id)
        method = session.get_one(PaymentMethod, attempt.payment_method_id)
    try:
        if attempt.state is AttemptState.PLANNED:
            charge = _prepare(context, attempt, charge, member)
        settle_charge(context, charge.id, _ask(context, attempt, charge, method))
    except Rejected as error:
        # Stripe changed nothing and will not on a repeat: the invoice is overdue and the log says why.
        log.warning("charge.refused", charge_id=charge.id, reason=str(error))
        settle_charge(
            context, charge.id, ChargeReport(charge.processor_id or "", ChargeStatus.OPEN, REFUSED), refused=True
        )
    except (OutcomeUnknown, InvariantBroken):
        _postpone(context, attempt)
        raise


def _ask(context: Context, attempt: ChargeAttempt, charge: Charge, method: PaymentMethod) -> ChargeReport:
    """Confirm while the key protects from doing it twice; afterwards, and for debits under way, look first.

    A charge that was never confirmed, because nothing got through for a day, is confirmed then, for some days.
    """
    now = context.clock.now()
    age = now - (attempt.sent_at or now)
    if attempt.state is AttemptState.PROCESSING or age > KEYS_LAST:
        report = context.processor.read_charge(_known(charge))
        with context.database.read() as session:
            news = report.failure_code is not None and not of_earlier_attempt(session, report)
        untouched = report.status is ChargeStatus.OPEN and not news
        if attempt.state is AttemptState.PROCESSING or not untouched or age > GIVEN_UP_AFTER:
            return report
    return _confirm(context, attempt, charge, method)


def _postpone(context: Context, attempt: ChargeAttempt) -> None:
    with context.database.unit_of_work() as session:
        again = context.clock.now() + ASK_AGAIN_AFTER
        session.execute(update(ChargeAttempt).where(ChargeAttempt.id == attempt.id).values(next_check_at=again))


def _prepare(context: Context, attempt: ChargeAttempt, charge: Charge, member: Member) -> Charge:
    """Create the payment object, then commit its id together with the decision to confirm it."""
    if member.processor_customer_id is None:
        raise InvariantBroken(f"The member {member.id} has a payment method but is unknown at Stripe.")
    # A retry confirms the same payment object again, which can succeed only once.
    processor_id = charge.processor_id or context.processor.prepare_charge(
        f"pi:{charge.id}", member.processor_customer_id, charge.amount, charge.id, charge.invoice_id, charge.location_id
    )
    failpoint("charge.prepared")
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        session.execute(update(Charge).where(Charge.id == charge.id).values(processor_id=processor_id))
        session.execute(
            update(ChargeAttempt)
            .where(ChargeAttempt.id == attempt.id, ChargeAttempt.state == AttemptState.PLANNED)
            .values(state=AttemptState.SENDING, sent_at=now)
        )
    charge.processor_id = processor_id
    return charge


def _confirm(context: Context, attempt: ChargeAttempt, charge: Charge, method: PaymentMethod) -> ChargeReport:
    authorised = AuthorisedMethod(method.kind, method.processor_id, method.mandate_id, method.last4)
    report = context.processor.confirm_charge(f"confirm:{attempt.id}", _known(charge), authorised, charge.amount)
    failpoint("charge.confirmed")
    return report


def _known(charge: Charge) -> str:
    if charge.processor_id is None:
        raise InvariantBroken(f"The charge {charge.id} was sent without an id at Stripe.")
    return charge.processor_id
