"""Hold an amount on a card: ask for it by link, and let the card's bank set it aside. Nothing is charged by that.

One payment object at Stripe belongs to a hold, and can hold the money once; a declined card may be followed by
another one. The decision to ask is committed before each call, the answer after it.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.asking import chargeable, described
from connector.billing.agreements.hold_rules import OPEN_REQUEST, charge_id_of
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.clinics import Location
from connector.billing.members import Member, MethodKind, PaymentMethod
from connector.billing.processor import AuthorisedMethod, ChargeReport, ChargeStatus
from connector.clock import business_date
from connector.errors import DomainError, InvariantBroken, Rejected
from connector.messaging.kinds import MessageKind
from connector.money import Money
from connector.use_cases.collection.collect_charge import REFUSED
from connector.use_cases.collection.plan_attempts import payers
from connector.use_cases.collection.put_off import ASK_AGAIN_AFTER
from connector.use_cases.context import Context
from connector.use_cases.continuity.require_current import require_current
from connector.use_cases.messages.queue_message import queue_message
from connector.use_cases.payment_plans.agree_payment_plan import payer_and_location
from connector.use_cases.practice.location_settings import require_active
from connector.use_cases.requests.settle_hold import find_hold, settle_hold

log = structlog.get_logger()


def request_hold(context: Context, member_id: str, amount: Money, actor: str, description: str = "") -> str:
    """Ask a member for a card on which the amount is held; returns the hold's id. Raises DomainError."""
    now, description = context.clock.now(), described(description)
    chargeable("A hold", amount)
    with context.database.unit_of_work() as session:
        member, location = payer_and_location(session, member_id)
        expires_at = now + timedelta(days=location.policy.payment_link_days)
        hold = PaymentHold(
            id=ids.new_id("hold"),
            location_id=location.id,
            member_id=member.id,
            description=description,
            amount_cents=amount.cents,
            currency=amount.currency,
            status=HoldStatus.REQUESTED,
            attempt=1,
            next_check_at=expires_at,
            expires_at=expires_at,
            created_at=now,
        )
        session.add(hold)
        remember(session, hold.id, "Hold Requested", now, location_id=location.id, actor=actor, cents=amount.cents)
        queue_message(
            session,
            location,
            MessageKind.HOLD_REQUEST,
            hold.id,
            "requested",
            now,
            member_id=member.id,
            urgent=True,
            amount_cents=amount.cents,
            expires_on=business_date(expires_at, location.zone).isoformat(),
        )
    return hold.id


def authorise_hold(context: Context, hold_id: str, method_id: str, return_url: str = "") -> ChargeReport:
    """Hold the amount on this card. With `return_url` the payer is present and may be sent to a page of their bank.

    Raises DomainError for a bank account, a request that is over or a paused location, and EdgeError when Stripe gives
    no clear answer: `work_holds` asks again.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        hold = find_hold(session, hold_id)
        if hold.status not in OPEN_REQUEST or hold.expires_at <= now:
            raise DomainError(f"The hold {hold_id} is {_told(hold, over=hold.expires_at <= now)}: no card is needed.")
        require_active(session.get_one(Location, hold.location_id))
        method = session.get(PaymentMethod, method_id)
        if method is None or method.member_id != hold.member_id or not method.usable:
            raise DomainError("This payment method cannot be used: give another card.")
        if method.kind is not MethodKind.CARD:
            raise DomainError("A bank account cannot be held, only debited: give a card for the hold.")
        hold.attempt += hold.status is HoldStatus.FAILED
        hold.status, hold.payment_method_id = HoldStatus.AUTHORISING, method_id
        hold.failure_code, hold.next_check_at = None, now + ASK_AGAIN_AFTER
    return ask_bank(context, hold_id, return_url)


def authorise_for_payer(context: Context, hold_id: str) -> HoldStatus:
    """Hold the amount on the card on file, as agreed at the desk. Returns what became of it; raises as above."""
    with context.database.read() as session:
        hold = session.get(PaymentHold, hold_id)
        payer = payers(session, {hold.member_id}).get(hold.member_id) if hold else None
    if hold is not None and payer is None:
        raise DomainError(f"The member {hold.member_id} has no usable payment method: let them open their link.")
    authorise_hold(context, hold_id, payer.method_id if payer else "")
    with context.database.read() as session:
        return session.get_one(PaymentHold, hold_id).status


def ask_bank(context: Context, hold_id: str, return_url: str = "") -> ChargeReport:
    """Ask for what was decided, with the keys of the decision: repeating it cannot hold the money twice."""
    require_current(context)
    with context.database.read() as session:
        hold = session.get_one(PaymentHold, hold_id)
        member, method = session.get_one(Member, hold.member_id), session.get_one(PaymentMethod, hold.payment_method_id)
    try:
        processor_id = hold.processor_id or _prepare(context, hold, member)
        report = _confirm(context, hold, processor_id, method, return_url)
    except Rejected as error:
        # Stripe changed nothing and will not on a repeat: the payer may try another card.
        log.warning("hold.refused", hold_id=hold_id, reason=str(error))
        report = ChargeReport(hold.processor_id or "", ChargeStatus.OPEN, REFUSED)
    settle_hold(context, hold_id, report)
    return report


def _prepare(context: Context, hold: PaymentHold, member: Member) -> str:
    if member.processor_customer_id is None:
        raise InvariantBroken(f"The member {member.id} has a payment method but is unknown at Stripe.")
    processor_id = context.processor.prepare_charge(
        f"hold:{hold.id}",
        member.processor_customer_id,
        hold.amount,
        charge_id_of(hold.id),
        hold.id,
        hold.location_id,
        manual_capture=True,
    )
    with context.database.unit_of_work() as session:
        session.get_one(PaymentHold, hold.id).processor_id = processor_id
    return processor_id


def _confirm(
    context: Context, hold: PaymentHold, processor_id: str, method: PaymentMethod, return_url: str
) -> ChargeReport:
    card = AuthorisedMethod(method.kind, method.processor_id, method.mandate_id, method.last4)
    if return_url:
        key = f"hold-present:{hold.id}:{hold.attempt}"
        return context.processor.present_charge(key, processor_id, card, hold.amount, return_url)
    return context.processor.confirm_charge(f"hold-confirm:{hold.id}:{hold.attempt}", processor_id, card, hold.amount)


def _told(hold: PaymentHold, *, over: bool) -> str:
    return "over" if over and hold.status in OPEN_REQUEST else hold.status.value
