"""A billing run at three sizes: what a contract costs must not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import func, select, update

from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.billing.invoices import Invoice
from connector.billing.members import Member
from connector.billing.stripe import StripeProcessor
from connector.settings import StripeSettings
from connector.use_cases.collection.run_due import DueReport, collect_open
from connector.use_cases.invoices.issue_due import IssueTally, issue_due
from tests.benchmarks.measure import Figure, seconds
from tests.benchmarks.practice import Practice, practice, stripe_account

SIZES = (1_000, 10_000, 100_000)
CHARGED = 300
FLAT = 1.5
"""A cost per contract that grew by more between the smallest and the largest size is not flat."""

Payer = tuple[str, str]
"""A customer and a card of theirs, by Stripe's ids."""


def run(folder: Path) -> list[Figure]:
    """Contracts issued per second at each size, and the price of a charge among so many others."""
    issued, charged = [], []
    with stripe_account(folder) as stripe:
        processor = StripeProcessor(StripeSettings(secret_key=SecretStr("sk_test_bench"), api_base=stripe.address))
        payers = [_payer(processor, number) for number in range(CHARGED)]
        for size in SIZES:
            place = folder / str(size)
            place.mkdir()
            with practice(place, processor=processor) as subject:
                _sign_up(subject, payers, size)
                issued.append(seconds(lambda subject=subject: _issue(subject)) / size)  # type: ignore[misc]
                _leave_open(subject, CHARGED)
                charged.append(seconds(lambda subject=subject: _charge(subject)) / CHARGED)  # type: ignore[misc]
    return [*_figures("Contracts issued", issued), *_figures(f"Charges, {CHARGED} due", charged)]


def _figures(name: str, costs: Sequence[float]) -> list[Figure]:
    smallest, largest = f"{SIZES[0]:,}", f"{SIZES[-1]:,}"
    rates = [Figure(f"{name}, of {size:,}", 1 / cost, "per second") for size, cost in zip(SIZES, costs, strict=True)]
    growth = Figure(
        f"{name}: cost of one at {largest} and at {smallest}",
        costs[-1] * 1000,
        "ms",
        costs[0] * 1000,
        f"ms at {smallest}",
        bar=FLAT,
        by_ratio=True,
    )
    return [*rates, growth]


def _payer(processor: StripeProcessor, number: int) -> Payer:
    customer = processor.create_customer(f"cus:{number}", f"bench-{number}")
    return customer, processor.attach_method(f"attach:{number}", customer, "pm_card_visa").processor_id


def _sign_up(subject: Practice, payers: Sequence[Payer], size: int) -> None:
    members = subject.add_members(size)
    with subject.context.database.unit_of_work() as session:
        for member_id, (customer, _) in zip(members, payers, strict=False):
            session.execute(update(Member).where(Member.id == member_id).values(processor_customer_id=customer))
    subject.add_contracts(members, [card for _, card in payers])


def _issue(subject: Practice) -> None:
    issue_due(subject.context, subject.location, IssueTally())


def _leave_open(subject: Practice, count: int) -> None:
    """Keep the attempts of the members who are known at Stripe; all others have been decided long ago."""
    mine = select(ChargeAttempt.id).where(ChargeAttempt.payment_method_id < f"method_mem_{count:06}")
    decided = {"state": AttemptState.SUCCEEDED, "decided_at": subject.clock.now()}
    with subject.context.database.unit_of_work() as session:
        invoices = session.scalar(select(func.count()).select_from(Invoice))
        session.execute(update(ChargeAttempt).where(ChargeAttempt.id.not_in(mine)).values(**decided))
        left = session.scalar(select(func.count()).where(ChargeAttempt.state == AttemptState.PLANNED))
    if left != count or invoices is None or invoices < count:
        raise AssertionError(f"{left} attempts and {invoices} invoices are there instead of {count}.")


def _charge(subject: Practice) -> None:
    report = DueReport()
    collect_open(subject.context, report)
    if report.charged != CHARGED:
        raise AssertionError(f"{report.charged} of {CHARGED} were charged: {report.problems}")
