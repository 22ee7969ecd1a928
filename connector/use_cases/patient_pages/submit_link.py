"""Submit the page of a secure link: what the payer has decided on it.

What is decided once (acceptance, refusal) consumes the link in the same unit of work. A payment is protected by its
attempt instead, of which an invoice has one at a time, so that a declined payer can try again with the same link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.hold_rules import OPEN_REQUEST
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.clinics import Location
from connector.billing.documents.wording import money_text
from connector.billing.links import SecureLink, consume
from connector.billing.members import MethodKind
from connector.billing.processor import ChargeStatus
from connector.errors import DomainError, EdgeError
from connector.use_cases.collection.method_page import THANK_YOU, method_page
from connector.use_cases.collection.plan_attempts import payers
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.acceptance import page_opened
from connector.use_cases.patient_pages.answers import (
    AS_IT_IS,
    BANK_ASKED,
    BEING_PAID,
    DECLINED,
    EACH_LATER,
    HELD,
    ON_DUE_DATES,
    ON_ITS_WAY,
    PAID_ALREADY,
    PLAN_SET_UP,
    SET_ASIDE,
    THANKS,
    Again,
    Answer,
    Done,
    Go,
    changes_on,
)
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.open_link import OpenedLink, Page, Practice, open_link, page_of, usable_link
from connector.use_cases.patient_pages.pay_invoice import Paid, PayOutcome, pay_invoice
from connector.use_cases.patient_pages.pay_request import pay_request
from connector.use_cases.patient_pages.promo_tries import WrongCode, count_try
from connector.use_cases.patient_pages.refusals import NO_CARD, NO_METHOD, PayerRefusal, payer_words
from connector.use_cases.patient_pages.show_invoice import InvoicePage
from connector.use_cases.patient_pages.show_method import MethodPage
from connector.use_cases.patient_pages.show_plan_change import ChangePage
from connector.use_cases.patient_pages.show_request import HoldPage, PlanPage, RequestPage, plan_page
from connector.use_cases.patient_pages.show_signup import SignupPage
from connector.use_cases.patient_pages.sign_up import SignupForm, preview, sign_up
from connector.use_cases.patient_pages.told_again import told_again
from connector.use_cases.payment_plans.agree_payment_plan import accept_payment_plan
from connector.use_cases.plans.decide_plan_change import accept_plan_change, decline_plan_change
from connector.use_cases.practice.location_settings import require_active
from connector.use_cases.requests.hold_payment import authorise_hold

UNREACHABLE = "The secure page cannot be opened just now: please try again in a few minutes."


@dataclass(frozen=True, slots=True)
class _Submit:
    """One submitted page."""

    context: Context
    token: str = field(repr=False)
    link: SecureLink
    opened: OpenedLink
    form: Mapping[str, str] = field(repr=False)

    @property
    def practice(self) -> Practice:
        return self.opened.practice


def submit_link(context: Context, token: str, form: Mapping[str, str]) -> Answer | None:
    """Do what the form's `action` says; if that was done a moment ago, say so. None for a token that cannot be used."""
    return _submitted(context, token, form) or told_again(context, token, form.get("action", ""))


def _submitted(context: Context, token: str, form: Mapping[str, str]) -> Answer | None:
    now = context.clock.now()
    with context.database.read() as session:
        link = usable_link(session, token, now)
        found = page_of(context, session, link) if link else None
    if link is None or found is None:
        return None
    act = _ACTIONS.get((type(found.page), form.get("action", "")))
    if act is None:
        return Again(found)
    try:
        return act(_Submit(context, token, link, found, form))
    except DomainError as refusal:
        again = _again(context, token, "")
        return replace(again, notice=payer_words(refusal, is_active=again.opened.practice.is_active)) if again else None
    except EdgeError:
        return _again(context, token, UNREACHABLE)


def _again(context: Context, token: str, notice: str) -> Again | None:
    found = open_link(context, token)
    return Again(found, notice) if found else None


def _once(submit: _Submit, decide: Callable[[Session, datetime], None]) -> bool:
    """Use the link up and decide, both or neither. False when another request was quicker."""
    now = submit.context.clock.now()
    with submit.context.database.unit_of_work() as session:
        if not consume(session, submit.link.id, now):
            return False
        decide(session, now)
    return True


def _signup_form(form: Mapping[str, str]) -> SignupForm:
    return SignupForm(
        chosen=form.get("plan", ""),
        promo=form.get("promo", ""),
        phone=form.get("phone", ""),
        agreed=form.get("agreed") == "yes",
        shown=form.get("shown", ""),
    )


def _preview(submit: _Submit) -> Answer | None:
    """The price of another choice; nothing of it is kept."""
    return _signup_again(submit, _signup_form(submit.form), "")


def _sign_up(submit: _Submit) -> Answer | None:
    """Store what was accepted, then let the payer give a payment method. The link lives until there is one."""
    context, now, form = submit.context, submit.context.clock.now(), _signup_form(submit.form)
    try:
        with context.database.unit_of_work() as session:
            link = usable_link(session, submit.token, now)
            if link is None:
                return None
            contract = session.get_one(Contract, link.subject_id, with_for_update=True)
            sign_up(context, session, session.get_one(Location, contract.location_id), contract, form)
    except DomainError as refusal:
        return _signup_again(submit, form, payer_words(refusal, is_active=submit.practice.is_active))
    return _method(submit)


def _signup_again(submit: _Submit, form: SignupForm, notice: str) -> Answer | None:
    """The page with the choice on it; without the promo code, or without the choice, when that cannot be had."""
    context = submit.context
    without_promo = SignupForm(chosen=form.chosen)
    for attempt in (form, without_promo, SignupForm()):
        try:
            with context.database.unit_of_work() as session:
                contract = session.get_one(Contract, submit.link.subject_id)
                page = preview(context, session, session.get_one(Location, contract.location_id), contract, attempt)
                session.rollback()
        except DomainError as refusal:
            notice = notice or payer_words(refusal, is_active=submit.practice.is_active)
            if isinstance(refusal, WrongCode):
                count_try(context, submit.link.subject_id)
        else:
            return Again(replace(submit.opened, page=page), notice, form)
    return None


def _method(submit: _Submit) -> Answer | None:
    """The processor's page for another card or account, whose completion pays or accepts."""
    page, context = submit.opened.page, submit.context
    if isinstance(page, SignupPage) and not page.signed and submit.form.get("action") != "sign_up":
        # Nobody gives a card for terms that they have not accepted.
        return Again(submit.opened)
    amounts = _checked_amounts(page, submit.form) if isinstance(page, PlanPage) else ""
    with context.database.read() as session:
        subject = link_subject(context, session, submit.link.subject_id)
    opened = method_page(context, subject.member_id, subject.id, subject.currency, subject.promise)
    with context.database.unit_of_work() as session:
        page_opened(session, subject, opened.session_id, amounts, context.clock.now())
    return Go(opened.url)


def _checked_amounts(page: PlanPage, form: Mapping[str, str]) -> str:
    """The amounts of a plan, if they are still those that the form was drawn with. Raises PayerRefusal otherwise."""
    if form.get("shown", "") != page.amounts:
        raise PayerRefusal("The amounts have changed: please check them below, and continue if you agree.")
    return page.amounts


def _pay(submit: _Submit) -> Answer | None:
    page = submit.opened.page
    outcome = pay_invoice(submit.context, submit.link.subject_id, f"{submit.context.public_url}{THANK_YOU}")
    if outcome.paid is Paid.YES and isinstance(page, InvoicePage):
        text = f"{money_text(page.amount)} for invoice {page.number} has been paid with your {method_text(page)}."
        return Done(submit.practice, THANKS, (text, "Your receipt is on its way to you."))
    return _not_paid_here(submit, outcome)


def _not_paid_here(submit: _Submit, outcome: PayOutcome) -> Answer | None:
    """What a payment came to that this request has not completed."""
    match outcome.paid:
        case Paid.SOON:
            return Done(submit.practice, "Your payment is on its way", (ON_ITS_WAY,))
        case Paid.AT_BANK:
            return Go(outcome.payer_url)
        case Paid.NO:
            return _again(submit.context, submit.token, outcome.text)
        case Paid.ELSEWHERE:
            return Done(submit.practice, "Your payment is being made", (BEING_PAID,))
        case Paid.ALREADY:
            return Done(submit.practice, THANKS, (PAID_ALREADY,))
    return None


def method_text(page: InvoicePage) -> str:
    """What the invoice is paid with, e.g. 'card ending 4242'."""
    return page.method.text if page.method else "payment method"


def _accept_plan(submit: _Submit) -> Answer | None:
    context, plan_id = submit.context, submit.link.subject_id

    def accept(session: Session, now: datetime) -> None:
        plan = session.get_one(PaymentPlan, plan_id, with_for_update=True)
        location = session.get_one(Location, plan.location_id)
        require_active(location)
        if (page := plan_page(context, session, location, plan)) is not None:
            _checked_amounts(page, submit.form)
            if page.method is None:
                raise PayerRefusal(NO_METHOD)
        accept_payment_plan(session, location, session.get_one(PaymentPlan, plan_id, with_for_update=True), now)

    if not _once(submit, accept):
        with context.database.read() as session:
            if session.get_one(PaymentPlan, plan_id).status is not AgreementStatus.ACTIVE:
                return None
    return Done(submit.practice, PLAN_SET_UP, (ON_DUE_DATES,))


def _accept_change(submit: _Submit) -> Answer | None:
    if not _once(submit, lambda session, now: accept_plan_change(session, submit.link.subject_id, now)):
        return None
    page = submit.opened.page
    return Done(submit.practice, THANKS, (changes_on(page.effective_on),)) if isinstance(page, ChangePage) else None


def _decline_change(submit: _Submit) -> Answer | None:
    if not _once(submit, lambda session, now: decline_plan_change(session, submit.link.subject_id, now)):
        return None
    return Done(submit.practice, AS_IT_IS, (DECLINED,))


def _pay_request(submit: _Submit) -> Answer | None:
    outcome = pay_request(submit.context, submit.link.subject_id, f"{submit.context.public_url}{THANK_YOU}")
    if outcome.paid is not Paid.YES:
        return _not_paid_here(submit, outcome)
    page = submit.opened.page
    later = isinstance(page, RequestPage) and page.later
    paid = "What is due now is paid, and your receipt is on its way."
    return Done(submit.practice, THANKS, (paid, *([EACH_LATER] if later else [])))


def _hold(submit: _Submit) -> Answer | None:
    """Let the amount be held on the card on file."""
    context, hold_id = submit.context, submit.link.subject_id
    with context.database.read() as session:
        member_id = session.get_one(PaymentHold, hold_id).member_id
        payer = payers(session, {member_id}).get(member_id)
    try:
        report = authorise_hold(context, hold_id, payer.method_id if payer else "", context.public_url + THANK_YOU)
    except DomainError:
        with context.database.read() as session:
            status = session.get_one(PaymentHold, hold_id).status
        if status in OPEN_REQUEST:
            if payer is None or payer.kind is not MethodKind.CARD:
                raise PayerRefusal(NO_CARD) from None
            raise
        return _held_elsewhere(submit, status)
    match report.status:
        case ChargeStatus.AUTHORISED:
            return Done(submit.practice, THANKS, (SET_ASIDE,))
        case ChargeStatus.NEEDS_PAYER if report.payer_url:
            return Go(report.payer_url)
        case ChargeStatus.OPEN:
            return _again(context, submit.token, "")
    return Done(submit.practice, THANKS, (BANK_ASKED,))


def _held_elsewhere(submit: _Submit, status: HoldStatus) -> Done | None:
    """The hold waits for no card any more: another request was quicker, or it is over."""
    return Done(submit.practice, THANKS, (HELD[status],)) if status in HELD else None


_ACTIONS: dict[tuple[type[Page], str], Callable[[_Submit], Answer | None]] = {
    (SignupPage, "preview"): _preview,
    (SignupPage, "sign_up"): _sign_up,
    (SignupPage, "method"): _method,
    (InvoicePage, "pay"): _pay,
    (InvoicePage, "method"): _method,
    (MethodPage, "method"): _method,
    (RequestPage, "pay"): _pay_request,
    (RequestPage, "method"): _method,
    (PlanPage, "accept"): _accept_plan,
    (PlanPage, "method"): _method,
    (HoldPage, "accept"): _hold,
    (HoldPage, "method"): _method,
    (ChangePage, "accept"): _accept_change,
    (ChangePage, "decline"): _decline_change,
}
