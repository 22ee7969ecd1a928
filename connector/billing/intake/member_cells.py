"""Owns what a member's cells may hold: each is checked on its own, then all together; the first bad one ends the row.

Reasons quote no value of the file, because values are personal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import blake2b

import phonenumbers

from connector.billing.agreements.schedule import Frequency, first_due_from
from connector.billing.intake.card_numbers import CARD_NUMBER, holds_card_number
from connector.billing.intake.cells import (
    BadCell,
    amount_cell,
    check_currency,
    date_cell,
    fee_bearer_cell,
    frequency_cell,
    text_cell,
    value_cell,
)
from connector.billing.offers.plan_terms import PlanTerms, admits
from connector.billing.policy import FeeBearer
from connector.billing.prices.pricing import CHARGE_MIN_CENTS
from connector.errors import DomainError

__all__ = ["BadCell", "MemberFileRules", "MemberRow", "check_cells", "person_key", "phone_number"]

TEXTS = {
    "id": 100,
    "given_name": 100,
    "family_name": 100,
    "gender": 30,
    "address": 200,
    "suburb": 100,
    "state": 50,
    "postcode": 16,
    "plan": 100,
    "holder": 100,
}
"""Columns that hold any text, and the most characters that each may have."""
FORMS = (
    "date_of_birth",
    "email",
    "phone",
    "frequency",
    "currency",
    "price",
    "start_date",
    "next_due",
    "cycle_from",
    "member_since",
    "lock_in_until",
    "balance",
    "fee_bearer",
    "stripe_customer",
    "stripe_payment_method",
    "stripe_mandate",
)
"""Columns with a form of their own."""
START_AHEAD = timedelta(days=366)
"""A later start is a slip of the pen, and would leave a member unbilled for years."""
LOCK_IN_AHEAD = timedelta(days=3_660)
NO_PLAN = "none"
"""In the column `plan`: the person is no member, and only pays, e.g. for a payment plan."""

_PHONE = re.compile(r"[\d\s()+./-]{3,40}", re.ASCII)
_STRIPE_IDS = {
    "stripe_customer": ("cus_", "a customer"),
    "stripe_payment_method": ("pm_", "a payment method"),
    "stripe_mandate": ("mandate_", "a mandate"),
}
_STRIPE_ID = re.compile(r"[a-z]+_[A-Za-z0-9_]{1,200}", re.ASCII)
_EMAIL = re.compile(
    r"\w[\w.!#$%&'*+/=?^`{|}~-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]",
    re.ASCII | re.IGNORECASE,
)
"""Stricter than RFC 5322 on purpose: no quoted parts, no spaces, a domain with a dot, and no formula at the start.
What this refuses mail servers nearly always refuse, too; whether a mailbox exists only the first message tells."""
_PAID_BY_HOLDER = (*_STRIPE_IDS, "start_date", "next_due", "cycle_from", "lock_in_until", "balance", "fee_bearer")
_OF_MEMBERSHIPS = (
    *("price", "frequency", "start_date", "next_due", "cycle_from", "member_since", "lock_in_until"),
    *("holder", "fee_bearer"),
)


@dataclass(frozen=True, slots=True)
class MemberFileRules:
    """What the rows are measured against besides the file itself."""

    today: date
    """Business date of the location."""
    offered: frozenset[Frequency]
    """Frequencies at which the plan of rows that name none has a price; none when there is no such plan."""
    frequency: Frequency = Frequency.MONTHLY
    """For rows that name none."""
    email_needed: bool = True
    """Whether each person who has to sign up will be invited by e-mail."""
    plans: Mapping[str, PlanTerms] = field(default_factory=dict)
    """Terms by the name of the plan; under '' those of rows that name none."""
    currency: str = "aud"


@dataclass(frozen=True, slots=True, repr=False)
class MemberRow:
    """A person who may be imported; all texts are trimmed, and unknown ones are empty. The repr shows no field."""

    line: int
    external_id: str
    """The file's own id, or one that is derived from the person."""
    person_key: str
    given_name: str
    family_name: str
    date_of_birth: date | None
    gender: str
    email: str
    phone: str
    """E.164, e.g. '+61291234567'."""
    address: str
    suburb: str
    state: str
    postcode: str
    plan: str
    """Empty: the one that all rows without a plan get."""
    holder: str
    """The id of the account holder whose dependent this is; empty for account holders."""
    frequency: Frequency
    names_frequency: bool
    price_cents: int | None
    """What is really paid per period; None: the plan's price."""
    start_date: date | None
    """The next debit."""
    must_be_ahead: bool
    """Whether a start that has passed is a mistake."""
    cycle_from: date | None
    """A day that the cycle counts from, where the next debit alone does not tell it."""
    member_since: date | None
    lock_in_until: date | None
    balance_cents: int
    """Owed already."""
    fee_bearer: FeeBearer | None
    """Who bears the platform's fee by what was agreed, where the file says so."""
    processor_customer_id: str
    processor_method_id: str
    mandate_id: str

    @property
    def has_id(self) -> bool:
        """Whether the file gives an id."""
        return self.external_id != _derived_id(self.person_key)

    @property
    def is_member(self) -> bool:
        return self.plan != NO_PLAN

    @property
    def was_member(self) -> bool:
        """Whether the membership is taken over: then nothing is charged as for somebody who joins."""
        return bool(self.processor_method_id or self.start_date or self.member_since)

    def __repr__(self) -> str:
        return f"MemberRow(line {self.line})"


def check_cells(line: int, cells: Mapping[str, str], rules: MemberFileRules) -> MemberRow:
    """Check cell by cell, then what they say together. Raises BadCell at the first that will not do."""
    given_name, family_name = _name(cells, "given_name"), _name(cells, "family_name")
    birth = date_cell(cells, "date_of_birth", rules.today, "in the future")
    stripe = {column: _stripe_id(cells, column) for column in _STRIPE_IDS}
    texts = {column: text_cell(cells, column, longest) for column, longest in TEXTS.items()}
    _check_roles(cells, texts)
    # Who is charged with a method that exists, or by somebody else, is not written to.
    signs_up = not (stripe["stripe_payment_method"] or texts["holder"] or texts["plan"] == NO_PLAN)
    email = _email(cells, needed=rules.email_needed and signs_up)
    key = person_key(given_name, family_name, birth, email)
    phone, named = _phone(cells), frequency_cell(cells)
    row = MemberRow(
        line=line,
        external_id=texts["id"] or _derived_id(key),
        person_key=key,
        given_name=given_name,
        family_name=family_name,
        date_of_birth=birth,
        gender=texts["gender"],
        email=email,
        phone=phone,
        address=texts["address"],
        suburb=texts["suburb"],
        state=texts["state"],
        postcode=texts["postcode"],
        plan=texts["plan"],
        holder=texts["holder"],
        frequency=named or rules.frequency,
        names_frequency=named is not None,
        price_cents=_price(cells, rules),
        start_date=_start(cells, rules),
        must_be_ahead=bool(value_cell(cells, "next_due")),
        cycle_from=date_cell(cells, "cycle_from", rules.today + START_AHEAD, "more than a year ahead"),
        member_since=date_cell(cells, "member_since", rules.today, "in the future"),
        lock_in_until=date_cell(cells, "lock_in_until", rules.today + LOCK_IN_AHEAD, "more than ten years ahead"),
        balance_cents=_balance(cells, rules),
        fee_bearer=fee_bearer_cell(cells),
        processor_customer_id=stripe["stripe_customer"],
        processor_method_id=stripe["stripe_payment_method"],
        mandate_id=stripe["stripe_mandate"],
    )
    _check_together(row, rules)
    return row


def _check_roles(cells: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """Who pays for others, is paid for, or is no member at all, has not all of the columns."""
    if texts["holder"] and texts["holder"] == texts["id"]:
        raise BadCell("holder", "The row names itself: leave the cell of an account holder blank.")
    unfit: tuple[str, ...] = ()
    reason = ""
    if texts["plan"] == NO_PLAN:
        unfit, reason = _OF_MEMBERSHIPS, f"The plan is {NO_PLAN!r}, so there is no membership: leave this blank."
    elif texts["holder"]:
        unfit, reason = _PAID_BY_HOLDER, "The account holder pays: put it in the holder's row."
    for column in unfit:
        if cells.get(column, "").strip():
            raise BadCell(column, reason)


def _check_together(row: MemberRow, rules: MemberFileRules) -> None:
    # What is kept is not quite what was typed, and the lines of an address are read as one.
    if holds_card_number(row.phone) or holds_card_number(f"{row.address} {row.suburb} {row.state} {row.postcode}"):
        raise BadCell("", CARD_NUMBER)
    if row.mandate_id and not row.processor_method_id:
        raise BadCell("stripe_mandate", "A mandate needs its bank account: fill in stripe_payment_method, too.")
    if not row.is_member:
        return
    if row.plan and rules.plans and row.plan not in rules.plans:
        raise BadCell("plan", "The location has no plan of that name: add it first, or correct the name.")
    terms = rules.plans.get(row.plan)
    offered = frozenset(terms.prices) if terms else rules.offered
    if not offered:
        raise BadCell("plan", "Name the plan, here or with --plan for all rows that name none.")
    if not row.holder and row.frequency not in offered:
        choice = ", ".join(sorted(offered))
        raise BadCell("frequency", f"The plan is not offered {row.frequency}: choose one of {choice}.")
    if row.cycle_from:
        _check_cycle(row, row.cycle_from)
    if terms:
        try:
            admits(terms, row.date_of_birth, row.member_since or row.start_date or rules.today)
        except DomainError as error:
            raise BadCell("date_of_birth", str(error)) from None


def _check_cycle(row: MemberRow, cycle_from: date) -> None:
    if row.start_date is None or row.start_date < cycle_from:
        raise BadCell("cycle_from", "The cycle counts from a day on or before the next debit: fill in next_due, too.")
    if first_due_from(cycle_from, row.frequency, row.start_date)[1] != row.start_date:
        raise BadCell("cycle_from", "Nothing falls due on the day next_due in a cycle that counts from this day.")


def _name(cells: Mapping[str, str], column: str) -> str:
    text = text_cell(cells, column, TEXTS[column])
    # Na, None and Nil are names of people; N/A is not.
    if not text or text.lower() in ("n/a", "#n/a"):
        raise BadCell(column, "The name is missing: fill it in.")
    if not any(char.isalpha() for char in text):
        raise BadCell(column, "The name has no letter: correct it.")
    return text


def _email(cells: Mapping[str, str], *, needed: bool) -> str:
    text = value_cell(cells, "email")
    if not text:
        if needed:
            raise BadCell(
                "email", "An e-mail address is needed for the invitation: fill it in, or import with --no-invite."
            )
        return ""
    if len(text) > 254 or ".." in text or ".@" in text or not _EMAIL.fullmatch(text):
        raise BadCell("email", f"This is not an e-mail address: correct it{'' if needed else ' or leave it blank'}.")
    return text


def _phone(cells: Mapping[str, str]) -> str:
    text = value_cell(cells, "phone")
    return phone_number(text) if text else ""


def phone_number(text: str) -> str:
    """A telephone number in E.164, Australian unless it says otherwise. Raises BadCell."""
    try:
        number = phonenumbers.parse(text, "AU") if _PHONE.fullmatch(text) else None
    except phonenumbers.NumberParseException:
        number = None
    # Whether the number was ever assigned is not asked: the tables lag behind.
    if number is None or not phonenumbers.is_possible_number(number):
        raise BadCell("phone", "This cannot be a telephone number: correct it or leave it blank.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _stripe_id(cells: Mapping[str, str], column: str) -> str:
    prefix, what = _STRIPE_IDS[column]
    text = value_cell(cells, column)
    if text and not (text.startswith(prefix) and _STRIPE_ID.fullmatch(text)):
        raise BadCell(column, f"This is not the id of {what} at Stripe: they start with {prefix}.")
    return text


def _start(cells: Mapping[str, str], rules: MemberFileRules) -> date | None:
    latest, too_late = rules.today + START_AHEAD, "more than a year ahead"
    start = date_cell(cells, "start_date", latest, too_late)
    next_due = date_cell(cells, "next_due", latest, too_late)
    if start and next_due:
        raise BadCell("next_due", "start_date and next_due mean the same, the next debit: fill in one of them.")
    return start or next_due


def _price(cells: Mapping[str, str], rules: MemberFileRules) -> int | None:
    check_currency(cells, rules.currency)
    price = amount_cell(cells, "price", rules.currency)
    if price is not None and price.cents <= 0:
        raise BadCell("price", "The price must be above zero: leave it blank to take the plan's.")
    # What a household pays is charged as one, so a dependent's part may be smaller.
    if price is not None and price.cents < CHARGE_MIN_CENTS and not cells.get("holder", "").strip():
        raise BadCell("price", f"Less than 0.{CHARGE_MIN_CENTS} cannot be charged: correct it.")
    return price.cents if price else None


def _balance(cells: Mapping[str, str], rules: MemberFileRules) -> int:
    balance = amount_cell(cells, "balance", rules.currency)
    if balance is None or not balance:
        return 0
    if balance.cents < 0:
        raise BadCell("balance", "A credit cannot be taken over: give it back where it is, and leave the cell blank.")
    if balance.cents < CHARGE_MIN_CENTS:
        raise BadCell("balance", f"Less than 0.{CHARGE_MIN_CENTS} cannot be charged: waive it, and leave this blank.")
    return balance.cents


def _derived_id(key: str) -> str:
    return f"person-{key}"


def person_key(given_name: str, family_name: str, date_of_birth: date | None, email: str) -> str:
    """The same for the same names, birth date and e-mail address, whatever their case, spacing or Unicode form."""
    parts = (given_name, family_name, date_of_birth.isoformat() if date_of_birth else "", email)
    plain = (" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return blake2b("\x1f".join(plain).encode(), digest_size=16).hexdigest()
