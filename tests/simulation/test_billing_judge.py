"""The judge of billing can say no: it works out by itself what is due, and sees what was taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.invoices import InvoiceStatus
from connector.billing.prices.pricing import PricedLine
from connector.billing.processor import AuthorisedMethod, ChargeReport
from connector.billing.stripe.charges import Charges
from connector.money import Money
from connector.use_cases.collection import run_due
from connector.use_cases.invoices import issue_due
from connector.use_cases.invoices.issue import Draft, Issued, issue
from connector.use_cases.invoices.price_periods import Prices
from tests.support import billing_acts as acts
from tests.support.billing_story import Story

CARD = "pm_card_visa"


def broken_in_a_plain_story(first_morning: Path) -> set[str]:
    """The kinds of promises that are broken when a household pays weekly for ten days and nothing goes wrong."""
    story = Story(first_morning)
    try:
        story.join("Large", Frequency.WEEKLY, CARD, ("Small",))
        for _ in range(10):
            story.pass_day()
        return {it.partition(":")[0] for it in story.broken(in_the_end=True) + acts.uncollected(story)}
    finally:
        story.close()


def test_the_judge_finds_nothing_in_a_plain_story(first_morning: Path) -> None:
    """What the tests below see comes from the mistake that each of them makes."""
    assert broken_in_a_plain_story(first_morning) == set()


def test_a_price_that_is_wrong_by_a_cent_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge works out by itself what a period comes to."""
    lines = Prices.lines

    def dearer(*args: Any, **options: Any) -> tuple[PricedLine, ...]:
        first, *others = lines(*args, **options)
        return replace(first, amount=first.amount + Money(1, "aud")), *others

    monkeypatch.setattr(Prices, "lines", dearer)

    assert broken_in_a_plain_story(first_morning) == {"not_asked", "not_due"}


def test_a_period_that_comes_too_early_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge works out by itself when a period is due."""
    due_date = Contract.due_date
    monkeypatch.setattr(Contract, "due_date", lambda contract, period: due_date(contract, period) - timedelta(days=1))

    assert {"not_asked", "not_due"} <= broken_in_a_plain_story(first_morning)


def test_a_period_that_is_passed_over_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is charged too little has been promised something else as well."""
    step = Contract.step

    def two_steps(contract: Contract) -> None:
        step(contract)
        step(contract)

    monkeypatch.setattr(Contract, "step", two_steps)

    assert "not_asked" in broken_in_a_plain_story(first_morning)


def test_a_charge_above_the_invoice_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Stripe took counts, not what the product believes."""
    prepare, confirm, cent = Charges.prepare_charge, Charges.confirm_charge, Money(1, "aud")

    def prepared(charges: Charges, key: str, customer_id: str, amount: Money, *rest: Any, **options: Any) -> str:
        return prepare(charges, key, customer_id, amount + cent, *rest, **options)

    def confirmed(
        charges: Charges, key: str, processor_id: str, method: AuthorisedMethod, amount: Money
    ) -> ChargeReport:
        return confirm(charges, key, processor_id, method, amount + cent)

    monkeypatch.setattr(Charges, "prepare_charge", prepared)
    monkeypatch.setattr(Charges, "confirm_charge", confirmed)

    assert "double_charge" in broken_in_a_plain_story(first_morning)


def test_an_invoice_that_is_merely_ticked_off_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as paid was taken, at Stripe or at the desk."""

    def ticked_off(session: Session, location: Location, drafts: Sequence[Draft], *rest: Any) -> list[Issued]:
        paid = [replace(draft, status=InvoiceStatus.COMPLETED) for draft in drafts]
        return issue(session, location, paid, *rest)

    monkeypatch.setattr(issue_due, "issue", ticked_off)

    assert "not_taken" in broken_in_a_plain_story(first_morning)


def test_an_invoice_that_nobody_collects_is_found(first_morning: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be collected has been collected in the end."""
    monkeypatch.setattr(run_due, "collect_open", lambda *_: None)

    assert "membership" in {it.split()[0] for it in broken_in_a_plain_story(first_morning)}
