"""What a location may decide for itself about billing: every setting with its default, checked as a whole.

Kept with the location and changed by `connector locations set`. `docs/billing.md` gives the reason of each default.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connector.errors import DomainError
from connector.phrases import phrase
from connector.plain_numbers import DECIMAL, WHOLE


class CatchUp(StrEnum):
    """What is charged after days offline, when more than one period of an agreement has fallen due."""

    ALL = "all"
    """Every period, oldest first, one a day."""
    LATEST = "latest"
    """The newest period; older ones wait for a person's release."""
    ASK = "ask"
    """Nothing; all of them wait for a person's release."""


class FutureStart(StrEnum):
    """When somebody who signs up for a later start is first charged."""

    CHARGE_NOW = "charge_now"
    """At sign-up; the cycle counts from the agreed start."""
    CHARGE_AT_START = "charge_at_start"


class EarlyCancel(StrEnum):
    """What a member who leaves within the lock-in period owes."""

    ALLOW = "allow"
    NOTICE = "notice"
    """Periods that fall due within the notice are still charged."""
    CHARGE_REMAINDER = "charge_remainder"
    """The rest of the lock-in period is charged at once."""
    BLOCK = "block"
    """Refused, unless a person overrides it; nothing is charged."""


class Receipts(StrEnum):
    """Which payments have a receipt with a link to the invoice. What payers do themselves always has one."""

    ALL = "all"
    SPARING = "sparing"
    """All but the regular debits of whoever pays weekly or fortnightly, of which the first has one."""
    FEW = "few"
    """Of regular debits only the first of each agreement, and what was recovered."""


class FeeBearer(StrEnum):
    """Who pays the platform fee."""

    PRACTICE = "practice"
    PATIENT = "patient"
    """The fee is added to the invoice as a line of its own."""


class HouseholdPosting(StrEnum):
    """Whose ledger in the practice system a household's payment goes to."""

    PER_PERSON = "per_person"
    HOLDER = "holder"


Percent = Annotated[Decimal, DECIMAL, Field(ge=0, le=100, decimal_places=2)]
Days = Annotated[int, WHOLE, Field(ge=0, le=366)]
LinkDays = Annotated[int, WHOLE, Field(ge=1, le=366)]
"""A link that has ended on the day on which it is made is of use to nobody."""
Hour = Annotated[int, WHOLE, Field(ge=0, le=24)]
Cents = Annotated[int, WHOLE, Field(ge=0, le=99_999_999)]


_KINDS = "membership|exit|instalment|instant|hold"
Kind = Annotated[str, Field(pattern=f"^({_KINDS})$")]
"""A kind of invoice."""
PaymentType = Annotated[str, Field(pattern=rf"^(({_KINDS})\.)?(card|becs)=\S[^=]{{0,49}}$")]
"""`card=NAME`, or for one kind of invoice only `instalment.card=NAME`."""


class BillingPolicy(BaseModel):
    """The settings of one location. Days count from the due date or from the day of the failure, in local dates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    catch_up: CatchUp = CatchUp.LATEST
    future_start: FutureStart = FutureStart.CHARGE_NOW
    early_cancel: EarlyCancel = EarlyCancel.BLOCK
    cancel_notice_days: Days = 30
    change_notice_days: Days = 14
    """Written notice before a debit's amount, date or terms change (the norm of direct debit request agreements)."""

    dependent_discount_percent: Percent = Decimal(10)
    referral_discount_percent: Percent = Decimal(10)
    referral_months: Annotated[int, WHOLE, Field(ge=1, le=120)] = 12

    card_retry_days: tuple[Days, ...] = (3, 7, 14)
    becs_retry_days: tuple[Days, ...] = (5, 12)
    staff_notice_day: Days = 14
    final_notice_day: Days = 28
    """The contract is overdue for good and its benefits are frozen."""
    auto_cancel_day: Days = 0
    """0: never. Otherwise a contract that is unpaid for so many days is cancelled."""
    upcoming_notice_days: Days = 3
    """Days before a debit on which it is announced; 0: not at all."""
    card_expiry_notice_days: tuple[Days, ...] = (30, 7)
    receipts: Receipts = Receipts.SPARING
    send_from_hour: Hour = 9
    send_until_hour: Hour = 17

    becs_week_limit_cents: Cents = 1_000_000
    """What all debits of seven days may add up to: Stripe's starting limit for new accounts (Stripe: BECS limits)."""

    signup_link_days: LinkDays = 30
    payment_link_days: LinkDays = 14
    """After the last due date."""
    invoice_link_days: LinkDays = 30
    overdue_link_days: LinkDays = 28

    instalment_min_cents: Cents = 50
    """Stripe's smallest charge; a practice may want more."""
    credit_fee_warning_cents: Cents = 20_000
    """Fees of a payment plan in its first year near which staff are warned: credit law may ask for a licence."""

    household_posting: HouseholdPosting = HouseholdPosting.PER_PERSON
    allocated_kinds: tuple[Kind, ...] = ()
    """Kinds of invoice whose payments go towards open treatment; all others are prepayments."""
    payment_types: tuple[PaymentType, ...] = ()
    books_open_from: date | None = None
    """The practice's books are closed before that day: what is entered later is dated on it, with the true date in the
    note. For practice systems that do not tell."""
    platform_tier: Annotated[str, Field(max_length=40)] = "free"
    fee_bearer: FeeBearer = FeeBearer.PRACTICE

    @model_validator(mode="after")
    def _consistent(self) -> BillingPolicy:
        if self.send_from_hour >= self.send_until_hour:
            raise ValueError("send_from_hour must be before send_until_hour")
        for days in (self.card_retry_days, self.becs_retry_days):
            if list(days) != sorted(set(days)) or (days and not 0 < days[0] <= days[-1] < self.final_notice_day):
                raise ValueError("retry days must rise and lie before final_notice_day")
        if self.auto_cancel_day and self.auto_cancel_day < self.final_notice_day:
            raise ValueError("auto_cancel_day must not be before final_notice_day")
        return self


NONE = "none"


def policy_of(stored: Mapping[str, Any]) -> BillingPolicy:
    """The policy from what a location has stored: only what differs from the defaults. Raises DomainError."""
    try:
        return BillingPolicy.model_validate(dict(stored))
    except ValidationError as error:
        mistake = error.errors()[0]
        # Of a list only its name: which of its parts is wrong is seen at once.
        name = str(mistake["loc"][0]) if mistake["loc"] else "The settings"
        raise DomainError(
            f"{name} cannot be set so: {phrase(mistake)}. See docs/billing.md for what is allowed."
        ) from None


def changed(stored: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """What to store after setting some by text, e.g. {'card_retry_days': '3,7'}.

    An empty text restores the default, and NONE empties a list.
    """
    wanted: dict[str, Any] = dict(stored)
    for name, text in changes.items():
        if name not in BillingPolicy.model_fields:
            raise DomainError(f"{name!r} is not a setting: see `connector locations settings` for all names.")
        several = isinstance(BillingPolicy.model_fields[name].default, tuple)
        if not text:
            wanted.pop(name, None)
        else:
            parts = [] if text == NONE else [part.strip() for part in text.split(",")]
            wanted[name] = parts if several else text
    return policy_of(wanted).model_dump(mode="json", exclude_defaults=True)
