"""What a submitted page is answered with, and the sentences that tell payers what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from connector.billing.agreements.payment_requests import HoldStatus
from connector.billing.documents.wording import date_text
from connector.use_cases.patient_pages.open_link import OpenedLink, Practice
from connector.use_cases.patient_pages.sign_up import SignupForm

THANKS = "Thank you"
PLAN_SET_UP = "Your payment plan is set up"
AS_IT_IS = "Everything stays as it is"
ON_ITS_WAY = "A payment from a bank account takes up to three business days. You will be told what became of it."
BEING_PAID = "This payment is being made already: there is nothing more to do."
PAID_ALREADY = "This has been paid already, and your receipt is on its way."
EACH_LATER = "Each later amount will be taken on its due date."
ON_DUE_DATES = "Each payment will be taken on its due date."
SET_ASIDE = "The amount is set aside on your card. Nothing was charged."
BANK_ASKED = "Your bank is being asked. You will be told if anything is missing."
DECLINED = "You have declined the change."
METHOD_GIVEN = "Your payments are taken from the new card or bank account from now on."
JOINED = "You have joined already: there is nothing more to do."
HELD = {HoldStatus.AUTHORISING: BANK_ASKED, HoldStatus.AUTHORISED: SET_ASIDE}
"""What became of a hold for which a card was given."""


@dataclass(frozen=True, slots=True)
class Go:
    """The browser goes on to a page of the processor or of the payer's bank."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """It is done: what to tell the payer."""

    practice: Practice
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Again:
    """The page once more, with a sentence that says why, and with what was filled in."""

    opened: OpenedLink
    notice: str = ""
    form: SignupForm | None = None


Answer = Go | Done | Again


def changes_on(day: date) -> str:
    """What somebody reads who has accepted a change of plan."""
    return f"You have accepted the change. It takes effect on {date_text(day)}."
