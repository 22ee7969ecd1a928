"""What an entry says in the practice system: its provider, what it is for, and its payment type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connector.billing.invoices import Invoice
from connector.billing.members import MethodKind
from connector.errors import DomainError
from connector.use_cases.books.payment_orders import payment_type
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice

HEADERS = {"Authorization": "ODFHIR sandbox-developer/sandbox-office", "Content-Type": "application/json"}
Opener = Callable[[str], AbstractContextManager[Practice]]


@pytest.fixture
def with_backup(tmp_path: Path, template: Path) -> Opener:
    """A practice whose connection names a backup provider."""

    @contextmanager
    def opened(provider: str) -> Iterator[Practice]:
        with running_practice(tmp_path, template, pms_settings={"backup_provider": provider}) as running:
            yield running

    return opened


def splits(practice: Practice) -> list[dict[str, Any]]:
    """The parts of the only payment, as the office shows them."""
    (row,) = practice.pms_rows()
    url = f"{practice.office.address}/api/v1/paysplits?PatNum={row['PatNum']}&PayNum={row['PayNum']}"
    answer = practice.office.client.get(url, headers=HEADERS)
    shown: list[dict[str, Any]] = answer.raise_for_status().json()
    return shown


@pytest.mark.parametrize(("own", "shown"), [(0, 2), (1, 1)])
def test_the_patients_own_provider_comes_before_the_backup_provider(with_backup: Opener, own: int, shown: int) -> None:
    """Who has none of their own gets the location's."""
    with with_backup("2") as practice:
        person = practice.paid()
        practice.staff("set_provider", PatNum=int(person.patient_id), ProvNum=own)

        practice.write()

        assert [row["ProvNum"] for row in splits(practice)] == [shown]
        practice.assert_all_written()


def test_a_backup_provider_that_cannot_be_set_leaves_the_payment_written_once(with_backup: Opener) -> None:
    """The office refuses the change after the payment was made."""
    with with_backup("9") as practice:
        person = practice.paid()
        practice.staff("set_provider", PatNum=int(person.patient_id), ProvNum=0)

        practice.work()
        practice.settle()

        assert [row["ProvNum"] for row in splits(practice)] == [0]
        practice.assert_all_written()


def test_the_probe_names_a_backup_provider_that_the_office_does_not_have(with_backup: Opener) -> None:
    """Before the first payment."""
    with with_backup("9") as practice:
        problems = practice.context.pms.of(practice.location).probe().problems

    assert problems == (
        "The office has no provider of the number in the setting 'backup_provider': correct the setting.",
    )


def test_without_a_setting_a_payment_is_a_prepayment(practice: Practice) -> None:
    """Of the office's unearned type, towards nothing."""
    practice.paid()
    practice.write()

    assert [row["UnearnedType"] != 0 for row in splits(practice)] == [True]


def test_a_kind_of_invoice_can_go_towards_open_treatment(practice: Practice) -> None:
    """The oldest first; what is left over is a prepayment again."""
    practice.set_policy(allocated_kinds="membership")
    person = practice.paid()
    body = {"PatNum": int(person.patient_id), "ProcDate": "2026-08-01", "ProcStatus": "C", "procCode": "012"}
    url = f"{practice.office.address}/api/v1/procedurelogs"
    practice.office.client.post(url, headers=HEADERS, json={**body, "ProcFee": "10.00"}).raise_for_status()

    practice.write()

    assert [(row["SplitAmt"], row["ProcNum"] != 0) for row in splits(practice)] == [(10, True), (19.9, False)]
    practice.assert_all_written()


@pytest.mark.parametrize(
    ("setting", "method", "named"),
    [
        ("", MethodKind.CARD, "SmilePass Card"),
        ("", MethodKind.BECS, "SmilePass Direct Debit"),
        ("card=Visa", MethodKind.CARD, "Visa"),
        ("card=Visa,membership.card=Membership Card", MethodKind.CARD, "Membership Card"),
        ("card=Visa,instalment.card=Plan Card", MethodKind.CARD, "Visa"),
        ("membership.becs=Membership Debit", MethodKind.BECS, "Membership Debit"),
    ],
)
def test_the_payment_type_is_named_by_kind_and_method(
    practice: Practice, setting: str, method: MethodKind, named: str
) -> None:
    """For one kind before all others, else for the method, else as before."""
    practice.paid()
    practice.set_policy(payment_types=setting)
    (invoice,) = practice.all(Invoice)
    with practice.context.database.read() as session:
        location = session.merge(practice.location, load=True)
        session.refresh(location)

        assert payment_type(location, invoice, method) == named


@pytest.mark.parametrize(
    "wrong",
    [
        {"payment_types": "cash=Cash"},
        {"payment_types": "card="},
        {"allocated_kinds": "dues"},
        {"books_open_from": "soon"},
    ],
    ids=str,
)
def test_a_setting_of_another_form_is_refused(practice: Practice, wrong: dict[str, str]) -> None:
    """Rather than being ignored."""
    with pytest.raises(DomainError, match="cannot be set so"):
        practice.set_policy(**wrong)
