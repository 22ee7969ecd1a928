"""An option that a script fills from an empty variable is a mistake, and never means more than was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.billing.collecting.charges import Payment, RefundRequest
from tests.support.commands import command
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice

PERSON = ("--given-name", "Ada", "--family-name", "Lee", "--email", "ada@example.com")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Practice]:
    """One practice for all tests of this file, with one payment."""
    with running_practice(tmp_path_factory.mktemp("shop"), template) as running:
        running.paid(linked=False)
        yield running


@pytest.mark.parametrize("amount", ["", " "])
def test_an_empty_amount_does_not_refund_the_whole_payment(shop: Practice, amount: str) -> None:
    """Only leaving the option out means all that is left."""
    (payment,) = shop.all(Payment)

    done = command(shop, "payments", "refund", payment.id, f"--amount={amount}", "--yes")

    assert (done.code, done.out) == (2, "")
    assert "'--amount': It is empty: give a value, or leave the option out." in done.err
    assert shop.all(RefundRequest) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run-due", "--location="),
        ("run-due", "--dry-run", "--location="),
        ("write-backs", "work", "--location="),
        ("export", "{folder}", "--location="),
        ("users", "list", "--clinic="),
        ("platform-fees", "list", "--location="),
        ("members", "add", "--location", "leura", "--plan", "Essential", *PERSON, "--promo="),
        ("members", "add", "--location", "leura", "--plan", "Essential", *PERSON, "--referred-by="),
        ("members", "cancel", "con_1", "--cancel-dependents", "--promote=", "--yes"),
        ("import-members", "{folder}/members.csv", "--location", "leura", "--plan="),
        ("payment-plans", "propose", "mem_1", "--total", "90.00", "--instalments", "3", "--deposit="),
        ("payment-plans", "propose", "mem_1", "--total", "90.00", "--instalments", "3", "--setup-fee="),
    ],
)
def test_an_empty_option_is_wrong_usage(shop: Practice, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Else one location would become all of them, and an agreed code, deposit or heir none."""
    (tmp_path / "members.csv").write_text("given_name,family_name\nAda,Lee\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())

    done = command(shop, *(argument.format(folder=tmp_path) for argument in arguments))

    assert (done.code, done.out) == (2, "")
    assert "It is empty: give a value, or leave the option out." in done.err
    assert sorted(tmp_path.iterdir()) == before
