"""What we add between an event at Stripe and the proof in the practice system, payment by payment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import select, update

from connector.billing.collecting.charges import Charge, ChargeAttempt
from connector.billing.members import Member
from connector.billing.processor import AuthorisedMethod, ChargeReport
from connector.billing.stripe import StripeProcessor
from connector.errors import OutcomeUnknown
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.money import Money
from connector.sandbox.demo.processes import Sandbox
from connector.settings import StripeSettings
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.collection.collect_charge import collect_charge
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from tests.benchmarks.measure import Figure, percentile
from tests.benchmarks.practice import FIRST_PATIENT, OFFICE_KEYS, Practice, office, practice, stripe_account

PAYMENTS = 200
KEY = "sk_test_bench"
APART = timedelta(minutes=11)
"""Between two payments; longer than what each poll reads again, so that every poll brings one event."""


class _SilentStripe(StripeProcessor):
    """Stripe whose answer to a confirmation is lost, so that only the event tells of the payment."""

    def confirm_charge(self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money) -> ChargeReport:
        super().confirm_charge(key, processor_id, method, amount)
        raise OutcomeUnknown("The answer was lost on purpose.")


def run(folder: Path) -> list[Figure]:
    """Median and 99th percentile from the event being there to the write-back being confirmed."""
    with stripe_account(folder) as stripe, office(folder, PAYMENTS) as pms:
        processor = _SilentStripe(StripeSettings(secret_key=SecretStr(KEY), api_base=stripe.address))
        with practice(folder, pms.address, processor) as subject:
            attempts = _sign_up(subject, processor)
            bare = _BareCalls(stripe.address, pms.address)
            pairs = [_one(subject, [stripe, pms], attempt, bare, place) for place, attempt in enumerate(attempts)]
            bare.close()
            _check(subject)
    ours, least = [pair[0] * 1000 for pair in pairs], [pair[1] * 1000 for pair in pairs]
    name, baseline = "Event to proof, one payment", "the same requests, bare"
    return [
        Figure(f"{name}, median", median(ours), "ms", median(least), baseline, note=f"{PAYMENTS} payments"),
        Figure(f"{name}, 99th percentile", percentile(ours, 99), "ms", percentile(least, 99), baseline),
    ]


def _sign_up(subject: Practice, processor: StripeProcessor) -> Sequence[str]:
    """Linked members with a card each, and an attempt for each of their first invoices."""
    members = subject.add_members(PAYMENTS)
    cards = []
    for number, member_id in enumerate(members):
        customer = processor.create_customer(f"cus:{number}", member_id)
        cards.append(processor.attach_method(f"attach:{number}", customer, "pm_card_visa").processor_id)
        with subject.context.database.unit_of_work() as session:
            session.execute(update(Member).where(Member.id == member_id).values(processor_customer_id=customer))
    subject.link(members)
    subject.add_contracts(members, cards)
    issue_due(subject.context, subject.location, IssueTally())
    with subject.context.database.read() as session:
        return session.scalars(select(ChargeAttempt.id).order_by(ChargeAttempt.id)).all()


def _one(
    subject: Practice, sandboxes: Sequence[Sandbox], attempt_id: str, bare: _BareCalls, place: int
) -> tuple[float, float]:
    """Seconds that one payment took, and that the bare requests took."""
    subject.clock.advance(APART)
    for sandbox in sandboxes:
        sandbox.move_clock(subject.clock.now())
    try:
        collect_charge(subject.context, attempt_id)
    except OutcomeUnknown:
        """As arranged: the event has to tell."""
    started = time.perf_counter()
    read_news(subject.context)
    work_write_backs(subject.context)
    took = time.perf_counter() - started
    with subject.context.database.read() as session:
        charge = select(Charge.processor_id).join(ChargeAttempt).where(ChargeAttempt.id == attempt_id)
        processor_id = session.scalar(charge) or ""
    return took, bare.calls(processor_id, FIRST_PATIENT + place)


def _check(subject: Practice) -> None:
    with subject.context.database.read() as session:
        states = session.scalars(select(WriteBack.state)).all()
    if states.count(WriteBackState.CONFIRMED) != PAYMENTS:
        raise AssertionError(f"Not all of {PAYMENTS} payments were proven: {sorted(set(states))}")


class _BareCalls:
    """The four requests that one payment needs, over kept connections, with nothing around them."""

    def __init__(self, stripe: str, pms: str) -> None:
        keys = f"ODFHIR {OFFICE_KEYS['developer_key']}/{OFFICE_KEYS['customer_key']}"
        office_headers = {"Authorization": keys, "Content-Type": "application/json"}
        self._stripe = httpx.Client(base_url=stripe, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        self._office = httpx.Client(base_url=f"{pms}/api/v1", headers=office_headers, trust_env=False)

    def calls(self, processor_id: str, patient: int) -> float:
        """Read the events and the payment, write it for that patient, and read it back."""
        body: dict[str, Any] = {"PatNum": patient, "PayAmt": "0.01", "isPrepayment": "true"}
        expand = {"expand[]": "latest_charge.balance_transaction"}
        started = time.perf_counter()
        answers = [
            self._stripe.get("/v1/events", params={"limit": 1}),
            self._stripe.get(f"/v1/payment_intents/{processor_id}", params=expand),
            self._office.post("/payments", json=body),
            self._office.get("/payments", params={"PatNum": patient}),
        ]
        took = time.perf_counter() - started
        for answer in answers:
            answer.raise_for_status()
        return took

    def close(self) -> None:
        self._stripe.close()
        self._office.close()
