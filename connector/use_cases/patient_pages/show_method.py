"""Show what a running membership or payment plan is paid with, to a payer who may give another card or bank account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from connector.billing.agreements.contracts import BILLABLE, AgreementStatus, Contract
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.use_cases.patient_pages.show_invoice import MethodShown, usable_method

RUNNING = (*BILLABLE, AgreementStatus.SUSPENDED)
"""Agreements that are paid, or will be again, with the payer's method."""


@dataclass(frozen=True, slots=True)
class MethodPage:
    """All that the page shows."""

    is_plan: bool
    """Whether it is about a payment plan, rather than a membership."""
    method: MethodShown | None
    next_due: date | None
    """None while nothing falls due."""


def method_page_of(session: Session, agreement: Contract | PaymentPlan) -> MethodPage | None:
    """The page for that agreement; None when it is over, or has not begun."""
    if agreement.status not in RUNNING:
        return None
    next_due = agreement.next_due if agreement.status in BILLABLE else None
    return MethodPage(isinstance(agreement, PaymentPlan), usable_method(session, agreement.member_id), next_due)
