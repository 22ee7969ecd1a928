"""Check what staff type in about the practice and its people. What they typed is never quoted back."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from connector.addresses import is_web_address
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.intake.cells import FORMULA
from connector.billing.intake.member_cells import BadCell, phone_number
from connector.errors import DomainError
from connector.unseen import is_printable

NAME_MAX = 100
TEXT_MAX = 200
STATES = ("ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA")
"""The states and territories of Australia that have public holidays of their own."""

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}", re.ASCII | re.IGNORECASE)
_ABN_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)


def one_line(what: str, text: str, most: int = TEXT_MAX) -> str:
    """The text on one line with single spaces; may be empty.

    Raises DomainError when it cannot be shown as one, or holds a card number.
    """
    line = " ".join(text.split())
    if len(line) > most or not is_printable(line):
        raise DomainError(f"The {what} is one line of at most {most} printable characters: shorten it.")
    without_card_number(line)
    return line


def name(what: str, text: str) -> str:
    """The name of a person. Raises DomainError when there is none, or nothing of it is a letter."""
    line = one_line(what, text, NAME_MAX)
    if not line:
        raise DomainError(f"The {what} is missing: fill it in.")
    if line.startswith(FORMULA):
        raise DomainError(f"The {what} starts like a formula of a spreadsheet (=, +, -, @): correct it.")
    if not any(character.isalpha() for character in line):
        raise DomainError(f"The {what} has no letter: correct it.")
    return line


def email(text: str) -> str:
    """The address in lower case, so that it belongs to one person only; may be empty. Raises DomainError."""
    address = text.strip().lower()
    if address and (len(address) > 254 or ".." in address or not _EMAIL.fullmatch(address)):
        raise DomainError("This is not an e-mail address: correct it.")
    without_card_number(address)
    return address


def phone(text: str) -> str:
    """The number in E.164, Australian unless it says otherwise; may be empty. Raises DomainError."""
    without_card_number(text)
    try:
        number = phone_number(text.strip()) if text.strip() else ""
    except BadCell as error:
        raise DomainError(str(error)) from None
    without_card_number(number)
    return number


def abn(text: str) -> str:
    """The eleven digits of an Australian Business Number whose check sum holds (Australian Business Register).

    One is taken from the first digit, and the sum of the weighted digits is a multiple of 89. May be empty. Raises
    DomainError.
    """
    digits = "".join(text.split())
    if not digits:
        return ""
    if re.fullmatch(r"[1-9][0-9]{10}", digits, re.ASCII):
        values = [int(digits[0]) - 1, *map(int, digits[1:])]
        if sum(weight * value for weight, value in zip(_ABN_WEIGHTS, values, strict=True)) % 89 == 0:
            return digits
    raise DomainError("This is not an ABN: it has eleven digits, and one of them is wrong or missing.")


def website(text: str) -> str:
    """The address with its scheme, https where none is given; may be empty. Raises DomainError."""
    line = one_line("website", text)
    if not line:
        return ""
    address = line if "://" in line else f"https://{line}"
    if not is_web_address(address) or "." not in (urlsplit(address).hostname or "").strip("."):
        raise DomainError("This is not the address of a website: write it like https://www.example.com.au.")
    return address


def region(text: str) -> str:
    """The state whose public holidays count; may be empty. Raises DomainError."""
    state = text.strip().upper()
    if state and state not in STATES:
        raise DomainError(f"The region is one of {', '.join(STATES)}, or empty for the state of the time zone.")
    return state
