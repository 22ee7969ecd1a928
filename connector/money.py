"""Money as whole cents with a currency; the only place where amounts are rounded.

All divisions add up by construction: what one part loses by rounding another part carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import total_ordering

from connector.errors import DomainError

_AMOUNT = re.compile(r"(-?)([0-9]{1,9})(?:\.([0-9]{1,2}))?", re.ASCII)
_CURRENCY = re.compile(r"[a-z]{3}")

CENTS_MAX = 99_999_999
"""Largest amount of one charge: Stripe accepts eight digits."""


CURRENCIES = frozenset({"aud", "cad", "chf", "eur", "gbp", "hkd", "nzd", "sgd", "usd", "zar"})
"""Currencies of practices, all divided into a hundred parts; amounts of others (jpy, kwd) would be misread."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole cents of one currency (ISO 4217, lower case); may be negative."""

    cents: int
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.cents, int) or isinstance(self.cents, bool):
            raise TypeError("Money takes whole cents.")
        if _CURRENCY.fullmatch(self.currency) is None:
            raise ValueError(f"{self.currency!r} is not a currency: use three lower-case letters such as 'aud'.")

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read '20', '20.5' or '20.50'. Raises DomainError for anything else, also for a third decimal."""
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise DomainError(f"{text[:20]!r} is not an amount in whole cents: write it like 20.50.")
        sign, whole, part = match.groups()
        cents = int(whole) * 100 + int((part or "").ljust(2, "0"))
        if cents > CENTS_MAX:
            raise DomainError(f"{text!r} is too large: the limit is {CENTS_MAX // 100:,}.99.")
        return cls(-cents if sign else cents, currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + self._same(other).cents, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.cents - self._same(other).cents, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.cents, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.cents < self._same(other).cents

    def __bool__(self) -> bool:
        return self.cents != 0

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency.upper()}"

    @property
    def decimal(self) -> str:
        """The amount with two decimals and no currency, e.g. '20.50': the form that ledgers and files take."""
        return str(Decimal(self.cents).scaleb(-2).quantize(Decimal("0.01")))

    def split(self, parts: int) -> list[Money]:
        """Divide into equal parts with the remainder on the last one (instalments are agreed that way)."""
        if parts < 1:
            raise ValueError("Money is split into at least one part.")
        each = abs(self.cents) // parts * (1 if self.cents >= 0 else -1)
        shares = [Money(each, self.currency)] * (parts - 1)
        return [*shares, Money(self.cents - each * (parts - 1), self.currency)]

    def percent(self, rate: Decimal) -> Money:
        """`rate` per cent of the amount, rounded half up (away from zero) to a cent."""
        exact = Decimal(self.cents) * rate / 100
        return Money(int(exact.quantize(Decimal(1), ROUND_HALF_UP)), self.currency)

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"Amounts of {self.currency} and {other.currency} cannot be combined.")
        return other


def known_currency(text: str) -> str:
    """The currency code in lower case. Raises DomainError for one that is unknown or is not divided into cents."""
    code = text.strip().lower()
    if code not in CURRENCIES:
        raise DomainError(
            f"{text!r} is not a currency that can be used: choose one of {', '.join(sorted(CURRENCIES))}."
        )
    return code


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Sum of the amounts, which must all be of `currency`; zero for none."""
    return sum(amounts, start=Money.zero(currency))
