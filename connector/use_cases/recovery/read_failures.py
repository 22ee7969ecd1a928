"""Read how the invoices of a batch of recoveries came to be unpaid, as the rules of recovery want to know it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector.billing.clinics import Location
from connector.billing.collecting.charges import ABANDONED, LIVE_ATTEMPT, AttemptState, Charge, ChargeAttempt, Origin
from connector.billing.collecting.declines import DeclineClass, Verdict
from connector.billing.collecting.dunning import Failure, attempts_allowed, technical_retry_at
from connector.billing.collecting.recovery import Recovery
from connector.billing.invoices import Invoice
from connector.billing.members import MethodKind, PaymentMethod
from connector.clock import business_date
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.recovery.heed_failure import verdict_of

NETWORK_WINDOW = timedelta(days=30)
"""Card networks count attempts over so many days."""

REMINDERS = (MessageKind.PAYMENT_FAILED, MessageKind.PAYMENT_FAILED_AGAIN, MessageKind.FINAL_NOTICE)
"""What tells a payer that an invoice is unpaid."""

_NOBODY_REFUSED = (DeclineClass.TECHNICAL, DeclineClass.ACCOUNT_LIMIT)

Try = tuple[ChargeAttempt, PaymentMethod]


@dataclass(frozen=True, slots=True)
class Unpaid:
    """One invoice with all that decides how its recovery goes on."""

    recovery: Recovery
    invoice: Invoice
    failure: Failure
    method: PaymentMethod | None
    """What the payer can be charged with now."""
    tried_again: bool
    """Whether another attempt has failed that the payer was not told of yet, so that the next message says so."""
    repeat_at: datetime | None
    """When an attempt that failed for technical reasons is repeated; nothing else is done until then."""


def read_unpaid(session: Session, location: Location, rows: Sequence[tuple[Recovery, Invoice]]) -> list[Unpaid]:
    """The invoices with the present state of their attempts; none of them may have one under way."""
    tries = _tries(session, [invoice.id for _, invoice in rows])
    methods = _usable(session, {invoice.member_id for _, invoice in rows})
    told = _told(session, [invoice.id for _, invoice in rows])
    return [
        _unpaid(location, recovery, invoice, tries[invoice.id], methods.get(invoice.member_id), told.get(invoice.id))
        for recovery, invoice in rows
    ]


def under_way(session: Session, invoice_ids: Collection[str]) -> set[str]:
    """Those of the invoices that have an attempt which is planned, or has no result yet."""
    query = (
        select(Charge.invoice_id)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .where(Charge.invoice_id.in_(invoice_ids), ChargeAttempt.state.in_(LIVE_ATTEMPT))
    )
    return set(session.scalars(query))


def may_try(session: Session, method: PaymentMethod, amount_cents: int, now: datetime) -> bool:
    """Whether card networks allow one more attempt with this amount; bank debits have no such limit."""
    if method.kind is not MethodKind.CARD:
        return True
    same_card = PaymentMethod.id == method.id
    if method.fingerprint:
        same_card = PaymentMethod.fingerprint == method.fingerprint
    made = session.scalar(
        select(func.count())
        .select_from(ChargeAttempt)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .join(Charge, Charge.id == ChargeAttempt.charge_id)
        .where(same_card, Charge.amount_cents == amount_cents, ChargeAttempt.sent_at >= now - NETWORK_WINDOW)
    )
    return attempts_allowed(made or 0)


def _tries(session: Session, invoice_ids: Collection[str]) -> defaultdict[str, list[Try]]:
    """The attempts of each invoice's newest payment object that came to an end, oldest first."""
    newest: dict[str, str] = {}
    found: defaultdict[str, list[Try]] = defaultdict(list)
    query = (
        select(Charge.invoice_id, Charge.id, ChargeAttempt, PaymentMethod)
        .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .where(Charge.invoice_id.in_(invoice_ids))
        .where(ChargeAttempt.state.in_((AttemptState.FAILED, AttemptState.SUCCEEDED)))
        .order_by(Charge.generation, ChargeAttempt.created_at, ChargeAttempt.decided_at, ChargeAttempt.id)
    )
    for invoice_id, charge_id, attempt, method in session.execute(query):
        if newest.get(invoice_id) != charge_id:
            newest[invoice_id] = charge_id
            found[invoice_id].clear()
        found[invoice_id].append((attempt, method))
    return found


def _usable(session: Session, member_ids: Collection[str]) -> dict[str, PaymentMethod]:
    query = select(PaymentMethod).where(PaymentMethod.member_id.in_(member_ids), PaymentMethod.usable.is_(True))
    return {method.member_id: method for method in session.scalars(query)}


def _told(session: Session, invoice_ids: Collection[str]) -> dict[str, datetime]:
    """When the payer of each invoice was last told that it is unpaid."""
    query = (
        select(Message.subject_id, func.max(Message.created_at))
        .where(Message.subject_id.in_(invoice_ids), Message.kind.in_(REMINDERS))
        .group_by(Message.subject_id)
    )
    return dict(session.execute(query).all())


def _unpaid(
    location: Location,
    recovery: Recovery,
    invoice: Invoice,
    tries: Sequence[Try],
    method: PaymentMethod | None,
    told: datetime | None,
) -> Unpaid:
    sent = [attempt.sent_at for attempt, _ in tries if attempt.sent_at is not None]
    # Nobody is told anything while an attempt is under way, so one that was sent later has also failed later.
    again = len(sent) > 1 and (told is None or max(sent) > told)
    last, last_method = tries[-1] if tries else (None, None)
    charged = method or last_method
    is_card = charged is None or charged.kind is MethodKind.CARD
    failed_on = recovery.started_on
    if last is not None and last.decided_at is not None:
        failed_on = business_date(last.decided_at, location.zone)
    if method is None or (last is not None and last.state is AttemptState.SUCCEEDED):
        # There is nothing to charge, or whoever was charged had the money fetched back.
        failure = Failure(Verdict(DeclineClass.HARD), is_card, failed_on)
    elif last is None or last.payment_method_id != method.id:
        failure = Failure(Verdict(DeclineClass.SOFT), is_card, failed_on, attempts=0)
    else:
        with_it = [attempt for attempt, _ in tries if attempt.payment_method_id == method.id]
        failure = _failure(with_it, method.kind, failed_on)
        return Unpaid(recovery, invoice, failure, method, again, _repeat_at(failure, with_it))
    return Unpaid(recovery, invoice, failure, method, again, None)


def _failure(attempts: Sequence[ChargeAttempt], kind: MethodKind, on: date) -> Failure:
    refused = [
        attempt
        for attempt in attempts
        if attempt.sent_at is not None
        and attempt.failure_code != ABANDONED
        and verdict_of(attempt, kind).decline_class not in _NOBODY_REFUSED
    ]
    first_of_last = attempts[-1 - _repeats(attempts)]
    return Failure(
        verdict_of(attempts[-1], kind),
        kind is MethodKind.CARD,
        on,
        len(refused),
        by_payer=first_of_last.origin is Origin.PAYER,
    )


def _repeats(attempts: Sequence[ChargeAttempt]) -> int:
    """How often the latest attempt was repeated for technical reasons."""
    repeats = sum(1 for _ in takewhile(lambda attempt: attempt.origin is Origin.TECHNICAL, reversed(attempts)))
    return min(repeats, len(attempts) - 1)


def _repeat_at(failure: Failure, attempts: Sequence[ChargeAttempt]) -> datetime | None:
    failed_at = attempts[-1].decided_at
    if failed_at is None or failure.by_payer:
        return None
    return technical_retry_at(failure.verdict, failed_at, _repeats(attempts))
