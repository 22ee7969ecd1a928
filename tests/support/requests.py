"""Short ways to give cards, to ask for money once or in instalments, and to die at a failpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import select

from connector import failpoints
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, InstantPayment, PaymentHold
from connector.billing.invoices import Invoice
from connector.billing.members import PaymentMethod
from connector.money import Money
from connector.use_cases.requests.hold_payment import request_hold
from connector.use_cases.requests.request_payment import accept_request
from tests.support.practice import Enrolled, Practice

STAFF = "person:mia"


class Died(BaseException):
    """Stands for the end of the process: nothing in the product may catch it."""


@contextmanager
def dying_at(failpoint: str) -> Iterator[None]:
    """The process dies at that failpoint, inside the block."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
        patch.setattr(failpoints, "_die", _die)
        patch.setattr(failpoints, "_passes", count(1))
        patch.setenv(failpoints.VARIABLE, failpoint)
        yield


def dies(failpoint: str, action: Callable[[], object]) -> bool:
    """Whether the process dies at that failpoint on the way through the action."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(failpoints, "_die", _die)
            patch.setattr(failpoints, "_passes", count(1))
            patch.setenv(failpoints.VARIABLE, failpoint)
            action()
    except Died:
        return True
    return False


def _die() -> None:
    raise Died


def aud(cents: int) -> Money:
    return Money(cents, "aud")


def method_of(practice: Practice, person: Enrolled) -> str:
    """The payment method that the member's charges go to now."""
    with practice.context.database.read() as session:
        usable = PaymentMethod.member_id == person.member_id, PaymentMethod.usable.is_(True)
        return session.scalars(select(PaymentMethod.id).where(*usable)).one()


def give(practice: Practice, person: Enrolled, method: str) -> str:
    """The member gives another card or account on the hosted page; returns our id of it."""
    practice.sign_up(person, method)
    return method_of(practice, person)


def hold_for(practice: Practice, person: Enrolled, cents: int = 12_000) -> str:
    """A request for a hold; returns its id."""
    return request_hold(practice.context, person.member_id, aud(cents), STAFF)


def hold_of(practice: Practice) -> PaymentHold:
    """The only hold."""
    (hold,) = practice.all(PaymentHold)
    return hold


def held(practice: Practice) -> HoldStatus:
    """Where the only hold stands."""
    return hold_of(practice).status


def accept(practice: Practice, request_id: str, method_id: str) -> list[str]:
    """The payer submits the page of a payment request; returns the attempts that the page makes now."""
    with practice.context.database.unit_of_work() as session:
        request = session.get_one(InstantPayment, request_id)
        return accept_request(session, practice.location, request, method_id, practice.clock.now())


def plan_of(practice: Practice) -> PaymentPlan:
    """The only payment plan."""
    (plan,) = practice.all(PaymentPlan)
    return plan


def invoices(practice: Practice) -> list[Invoice]:
    """Invoices of what was asked for once or in instalments, in their order."""
    return sorted((row for row in practice.all(Invoice) if row.contract_id is None), key=lambda row: row.number)
