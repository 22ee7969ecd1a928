"""Owns the reading of a CSV file of members: a MemberRow or a RefusedRow for every data row.

Of rows gone by only digests are kept, to find duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import BinaryIO

from connector.billing.intake.cells import BadCell
from connector.billing.intake.csv_rows import Columns, RefusedRow, read_rows
from connector.billing.intake.member_cells import FORMS, TEXTS, MemberFileRules, MemberRow, check_cells

COLUMNS = Columns(
    required=("given_name", "family_name"),
    known=frozenset([*TEXTS, *FORMS]),
    # Spreadsheets export addresses of several lines.
    broken=("address",),
)
TEST_METHOD = "pm_card_"


def read_member_file(stream: BinaryIO, rules: MemberFileRules) -> Iterator[MemberRow | RefusedRow]:
    """Each data row of a seekable stream, once and in order; see `read_rows`.

    Raises DomainError when nothing can be read at all: an empty file, no text, or a header that cannot be used.
    """
    earlier = _Earlier()
    for row in read_rows(stream, COLUMNS):
        yield row if isinstance(row, RefusedRow) else _checked(*row, rules, earlier)


@dataclass(slots=True)
class _Earlier:
    """Where each id, person, customer and payment method was accepted first."""

    _first: dict[bytes, int] = field(default_factory=dict)

    def admit(self, row: MemberRow) -> None:
        """Note the row's keys. Raises BadCell, and notes none of them, when an earlier row has one."""
        keys = [("id", row.external_id, "The id"), ("", row.person_key, "The person")]
        if not row.has_id:
            # The id was made of the person, so that the person is what is the same.
            keys.reverse()
        # Stripe's test methods are shared by design; any other belongs to one payer.
        if row.processor_method_id and not row.processor_method_id.startswith(TEST_METHOD):
            keys.append(("stripe_payment_method", row.processor_method_id, "The payment method"))
        if row.processor_customer_id:
            keys.append(("stripe_customer", row.processor_customer_id, "The customer at Stripe"))
        digests = []
        for column, key, what in keys:
            digests.append(blake2b(f"{column}:{key}".encode(), digest_size=12).digest())
            if first := self._first.get(digests[-1]):
                raise BadCell(column, f"{what} is the same as on line {first}: remove one of the two rows.")
        self._first.update(dict.fromkeys(digests, row.line))


def _checked(line: int, cells: Mapping[str, str], rules: MemberFileRules, earlier: _Earlier) -> MemberRow | RefusedRow:
    try:
        member = check_cells(line, cells, rules)
        earlier.admit(member)
    except BadCell as bad:
        return RefusedRow(line, bad.column, bad.reason)
    return member
