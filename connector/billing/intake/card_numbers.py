"""Owns how card numbers are kept out of texts: cards are entered on the processor's pages only, and never kept here."""

from __future__ import annotations

import re

from connector.errors import DomainError

_DIGITS = re.compile(r"\d(?:[\s.-]?\d){12,}")


def without_card_number(*texts: str) -> None:
    """Raise DomainError if one of the texts that somebody typed holds what looks like a card number."""
    if any(map(holds_card_number, texts)):
        raise DomainError("This holds a card number: nothing was kept, cards are entered on Stripe's page only.")


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits, alone or in groups, pass the check sum of payment cards (ISO/IEC 7812, Luhn)."""
    for run in _DIGITS.finditer(text):
        groups = re.split(r"\D", run[0])
        for start in range(len(groups)):
            digits = ""
            for group in groups[start : start + 19]:
                digits += group
                if 13 <= len(digits) <= 19 and _luhn(digits):
                    return True
    return False


def _luhn(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2] + [sum(divmod(2 * value, 10)) for value in values[1::2]]) % 10 == 0
