"""Owns how card numbers are kept out of texts: cards are entered on the processor's pages only, and never kept here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from connector.errors import DomainError

CARD_NUMBER = "The row has what looks like a card number, which must never be kept: remove it."
"""Why a row of a file stays out."""
_CLOSE = re.compile(r"(?<![+\d])\d(?:[\s.-]?\d){12,}")
"""Digits that are written as one number. After a plus sign stands a telephone number, which may have as many."""
_WIDE = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
"""Digits with anything between them that is no letter: dates and telephone numbers in a row look like that, too."""
_OF_A_NETWORK = re.compile(r"4(\d{15}|\d{18})|(5\d|2[2-7]|35)\d{14}|3[47]\d{13}|3[0689]\d{12}|6\d{15,18}", re.ASCII)
"""How the numbers of Visa, Mastercard, JCB, American Express, Diners Club, Discover, UnionPay and Maestro begin."""
_FIRST_GROUP = 4
"""So many digits of a card stand together at its beginning, whichever way the rest is parted; a date has fewer."""


def without_card_number(*texts: str) -> None:
    """Raise DomainError if one of the texts that somebody typed holds what looks like a card number."""
    if any(map(holds_card_number, texts)):
        raise DomainError("This holds a card number: nothing was kept, cards are entered on Stripe's page only.")


def holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits, alone or in groups, pass the check sum of payment cards (ISO/IEC 7812, Luhn).

    Groups that are parted by more than a space, a dot or a hyphen count where they begin like a card of a network.
    """
    # White space is kept as single spaces, so it is read like that.
    plain = " ".join(text.split())
    close = (number for run in _CLOSE.finditer(plain) for number in _numbers(run[0], 1))
    wide = (number for run in _WIDE.finditer(plain) for number in _numbers(run[0], _FIRST_GROUP))
    return any(map(_luhn, chain(close, filter(_OF_A_NETWORK.fullmatch, wide))))


def _numbers(run: str, first: int) -> Iterator[str]:
    """What neighbouring groups of the run make together, if the first of them has so many digits."""
    groups = ["".join(str(int(digit)) for digit in group) for group in re.findall(r"\d+", run)]
    for start, group in enumerate(groups):
        digits = ""
        for more in groups[start : start + 19] if len(group) >= first else ():
            digits += more
            if 13 <= len(digits) <= 19:
                yield digits


def _luhn(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2] + [sum(divmod(2 * value, 10)) for value in values[1::2]]) % 10 == 0
